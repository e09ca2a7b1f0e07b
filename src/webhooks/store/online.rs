//! Of whom webhooks were told that they came, in the table `users_online`.

use crate::{
    db::{Result, Tx},
    id::Id,
    params,
};

/// Notes that it was told that a user came; false when it was before.
pub(in crate::webhooks) async fn note(tx: &mut Tx<'_>, user: &Id) -> Result<bool> {
    const NOTE: &str = "INSERT INTO users_online (user_id) VALUES ($1) ON CONFLICT DO NOTHING";
    Ok(tx.execute(NOTE, &params![user]).await? == 1)
}

/// Notes that it was told that a user went; false when nobody was told that they came.
pub(in crate::webhooks) async fn forget(tx: &mut Tx<'_>, user: &Id) -> Result<bool> {
    const FORGET: &str = "DELETE FROM users_online WHERE user_id = $1";
    Ok(tx.execute(FORGET, &params![user]).await? == 1)
}

/// The next of them after a user.
pub(in crate::webhooks) async fn after(tx: &mut Tx<'_>, user: &str, limit: i64) -> Result<Vec<Id>> {
    const AFTER: &str =
        "SELECT user_id FROM users_online WHERE user_id > $1 ORDER BY user_id LIMIT $2";
    tx.all(AFTER, &params![user, limit]).await?.iter().map(|row| row.get("user_id")).collect()
}
