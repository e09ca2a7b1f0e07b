//! Accounts that are taken in from a file, or written into one.

use super::{Family, read_family};
use crate::{clock::Timestamp, db::Tx, error::Result, id::Id, params};

/// A sign-in with the hashes of its token.
pub(in crate::accounts) struct SignIn {
    pub(in crate::accounts) family: Family,
    pub(in crate::accounts) key_hash: Vec<u8>,
    pub(in crate::accounts) turn_hash: Vec<u8>,
}

/// When an account was made.
pub(in crate::accounts) async fn created_at(
    tx: &mut Tx<'_>,
    user: &Id,
) -> Result<Option<Timestamp>> {
    const CREATED: &str = "SELECT created_at FROM accounts WHERE user_id = $1";
    let row = tx.optional(CREATED, &params![user]).await?;
    Ok(row.map(|row| row.get("created_at")).transpose()?)
}

/// Adds a sign-in; one that is there stays as it is.
pub(in crate::accounts) async fn insert_sign_in(tx: &mut Tx<'_>, sign_in: &SignIn) -> Result<()> {
    const INSERT: &str = "
        INSERT INTO refresh_families
            (id, user_id, key_hash, turn_hash, created_at, used_at, expires_at, access_ends_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        ON CONFLICT DO NOTHING";
    let SignIn { family, key_hash, turn_hash } = sign_in;
    let row = params![
        &family.id,
        &family.user_id,
        key_hash.as_slice(),
        turn_hash.as_slice(),
        family.created_at,
        family.used_at,
        family.expires_at,
        family.access_ends_at,
    ];
    tx.execute(INSERT, &row).await?;
    Ok(())
}

/// A user's sign-ins, the one that was idle the longest first.
pub(in crate::accounts) async fn sign_ins(tx: &mut Tx<'_>, user: &Id) -> Result<Vec<SignIn>> {
    const OF_USER: &str = "
        SELECT * FROM refresh_families WHERE user_id = $1 ORDER BY used_at, id LIMIT 1000";
    let rows = tx.all(OF_USER, &params![user]).await?;
    let sign_ins = rows.iter().map(|row| {
        Ok(SignIn {
            family: read_family(row)?,
            key_hash: row.get("key_hash")?,
            turn_hash: row.get("turn_hash")?,
        })
    });
    sign_ins.collect()
}

/// The users after this one who have accounts.
pub(in crate::accounts) async fn accounts_after(
    tx: &mut Tx<'_>,
    after: &str,
    limit: i64,
) -> Result<Vec<Id>> {
    const AFTER: &str = "SELECT user_id FROM accounts WHERE user_id > $1 ORDER BY user_id LIMIT $2";
    let rows = tx.all(AFTER, &params![after, limit]).await?;
    rows.iter().map(|row| Ok(row.get("user_id")?)).collect()
}
