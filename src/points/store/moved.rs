//! Points and referrals that are taken in from a file, or written into one.

use super::{read, read_referral};
use crate::{
    db::Tx,
    error::Result,
    id::Id,
    params,
    points::documents::{PointsTransaction, Referral},
};

/// The entries of all ledgers after that of a user and a number, each with its own.
pub(in crate::points) async fn entries_after(
    tx: &mut Tx<'_>,
    (user, ordinal): (&str, i64),
    limit: i64,
) -> Result<Vec<(i64, PointsTransaction)>> {
    const AFTER: &str = "
        SELECT * FROM points_ledger WHERE (user_id, ordinal) > ($1, $2)
        ORDER BY user_id, ordinal LIMIT $3";
    let rows = tx.all(AFTER, &params![user, ordinal, limit]).await?;
    rows.iter().map(|row| Ok((row.get("ordinal")?, read(row)?))).collect()
}

/// The entry of a ledger that has an id.
pub(in crate::points) async fn entry(
    tx: &mut Tx<'_>,
    id: &Id,
) -> Result<Option<PointsTransaction>> {
    const ENTRY: &str = "SELECT * FROM points_ledger WHERE id = $1 LIMIT 1";
    tx.optional(ENTRY, &params![id]).await?.as_ref().map(read).transpose()
}

/// Notes the highest level that a user was told of, unless a higher one is known.
pub(in crate::points) async fn set_told_level(
    tx: &mut Tx<'_>,
    user: &Id,
    level: u32,
) -> Result<()> {
    const TOLD: &str = "
        INSERT INTO points_accounts (user_id, points, lifetime, entries, told_level)
        VALUES ($1, 0, 0, 0, $2)
        ON CONFLICT (user_id) DO UPDATE SET told_level = $2
        WHERE points_accounts.told_level < $2";
    tx.execute(TOLD, &params![user, level]).await?;
    Ok(())
}

/// The users after this one who have points.
pub(in crate::points) async fn accounts_after(
    tx: &mut Tx<'_>,
    after: &str,
    limit: i64,
) -> Result<Vec<Id>> {
    const AFTER: &str = "
        SELECT user_id FROM points_accounts WHERE user_id > $1 ORDER BY user_id LIMIT $2";
    let rows = tx.all(AFTER, &params![after, limit]).await?;
    rows.iter().map(|row| Ok(row.get("user_id")?)).collect()
}

/// The users after this one who have a referral code.
pub(in crate::points) async fn codes_after(
    tx: &mut Tx<'_>,
    after: &str,
    limit: i64,
) -> Result<Vec<Id>> {
    const AFTER: &str = "
        SELECT user_id FROM referral_codes WHERE user_id > $1 ORDER BY user_id LIMIT $2";
    let rows = tx.all(AFTER, &params![after, limit]).await?;
    rows.iter().map(|row| Ok(row.get("user_id")?)).collect()
}

/// The referrals of the users after this one.
pub(in crate::points) async fn referrals_after(
    tx: &mut Tx<'_>,
    after: &str,
    limit: i64,
) -> Result<Vec<Referral>> {
    const AFTER: &str = "
        SELECT * FROM referrals WHERE referred_user_id > $1 ORDER BY referred_user_id LIMIT $2";
    let rows = tx.all(AFTER, &params![after, limit]).await?;
    rows.iter().map(read_referral).collect()
}
