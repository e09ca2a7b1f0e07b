//! Accounts, their refresh families and the tokens for new passwords, in the tables `accounts`,
//! `refresh_families` and `password_resets`.

pub(super) mod moved;

use super::email::EmailAddress;
use crate::{
    auth::{Role, Roles},
    clock::Timestamp,
    db::{Db, Row, Tx},
    error::Result,
    id::Id,
    params,
};

/// Rows that one unit of pruning removes, so that it holds nobody up.
const PRUNE_ROWS: i64 = 200;

/// An account.
#[derive(Clone)]
pub(super) struct Account {
    pub(super) user_id: Id,
    pub(super) email: String,
    pub(super) password_hash: String,
    pub(super) first_name: String,
    pub(super) last_name: String,
    pub(super) roles: Roles,
    /// Which of its passwords it is, from 1.
    pub(super) password_number: i64,
}

/// A refresh family.
#[derive(Clone)]
pub(super) struct Family {
    pub(super) id: Id,
    pub(super) user_id: Id,
    /// When it began.
    pub(super) created_at: Timestamp,
    /// When its last token was given.
    pub(super) used_at: Timestamp,
    /// When that ends.
    pub(super) expires_at: Timestamp,
    /// When the last of its access tokens ends.
    pub(super) access_ends_at: Timestamp,
}

const BY_USER: &str = "SELECT * FROM accounts WHERE user_id = $1";

/// Adds an account that was made then; false when somebody has its address.
pub(super) async fn insert(
    tx: &mut Tx<'_>,
    account: &Account,
    created_at: Timestamp,
) -> Result<bool> {
    const INSERT: &str = "
        INSERT INTO accounts (user_id, email, password_hash, first_name, last_name, roles,
            created_at, password_number)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        ON CONFLICT (email) DO NOTHING";
    let Account { user_id, email, password_hash, first_name, last_name, roles, password_number } =
        account;
    let roles: Vec<_> = roles.iter().map(Role::as_str).collect();
    let row = params![
        user_id,
        email,
        password_hash,
        first_name,
        last_name,
        roles.join(" "),
        created_at,
        *password_number,
    ];
    Ok(tx.execute(INSERT, &row).await? == 1)
}

/// The account of an address.
pub(super) async fn by_email(tx: &mut Tx<'_>, email: &EmailAddress) -> Result<Option<Account>> {
    const BY_EMAIL: &str = "SELECT * FROM accounts WHERE email = $1";
    tx.optional(BY_EMAIL, &params![email.as_str()]).await?.as_ref().map(account).transpose()
}

/// The account of a user.
pub(super) async fn by_user(tx: &mut Tx<'_>, user: &Id) -> Result<Option<Account>> {
    tx.optional(BY_USER, &params![user]).await?.as_ref().map(account).transpose()
}

/// The account of a user, locked until the end of the unit. Whoever also writes its families locks
/// it first.
pub(super) async fn by_user_for_update(tx: &mut Tx<'_>, user: &Id) -> Result<Option<Account>> {
    tx.lock_row(BY_USER, &params![user]).await?.as_ref().map(account).transpose()
}

/// Sets the hash of the same password, made anew.
pub(super) async fn set_hash(tx: &mut Tx<'_>, user: &Id, hash: &str) -> Result<()> {
    const SET: &str = "UPDATE accounts SET password_hash = $2 WHERE user_id = $1";
    tx.execute(SET, &params![user, hash]).await?;
    Ok(())
}

/// Sets a new password.
pub(super) async fn set_password(tx: &mut Tx<'_>, user: &Id, hash: &str) -> Result<()> {
    const SET: &str = "
        UPDATE accounts SET password_hash = $2, password_number = password_number + 1
        WHERE user_id = $1";
    tx.execute(SET, &params![user, hash]).await?;
    Ok(())
}

fn account(row: &Row) -> Result<Account> {
    let roles: String = row.get("roles")?;
    Ok(Account {
        user_id: row.get("user_id")?,
        email: row.get("email")?,
        password_hash: row.get("password_hash")?,
        first_name: row.get("first_name")?,
        last_name: row.get("last_name")?,
        roles: roles.split_whitespace().filter_map(Role::from_name).collect(),
        password_number: row.get("password_number")?,
    })
}

/// Begins a family with its first token. Of more than `most` of a user those go that were idle the
/// longest.
pub(super) async fn begin_family(
    tx: &mut Tx<'_>,
    family: &Family,
    key_hash: Vec<u8>,
    secret_hash: Vec<u8>,
    most: u32,
) -> Result<Vec<Family>> {
    const INSERT: &str = "
        INSERT INTO refresh_families
            (id, user_id, key_hash, turn_hash, created_at, used_at, expires_at, access_ends_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    const LEAVE: &str = "
        DELETE FROM refresh_families WHERE id IN (
            SELECT id FROM refresh_families WHERE user_id = $1
            ORDER BY used_at DESC, id DESC LIMIT 100 OFFSET $2)
        RETURNING *";
    let Family { id, user_id, created_at, used_at, expires_at, access_ends_at } = family;
    let row = params![
        id,
        user_id,
        key_hash,
        secret_hash,
        *created_at,
        *used_at,
        *expires_at,
        *access_ends_at
    ];
    tx.execute(INSERT, &row).await?;
    tx.all(LEAVE, &params![user_id, most]).await?.iter().map(read_family).collect()
}

/// The family of a key.
pub(super) async fn family(tx: &mut Tx<'_>, key_hash: Vec<u8>) -> Result<Option<Family>> {
    const BY_KEY: &str = "SELECT * FROM refresh_families WHERE key_hash = $1";
    tx.optional(BY_KEY, &params![key_hash]).await?.as_ref().map(read_family).transpose()
}

/// Gives a family its next token in the place of its last one, which still serves; none when that was
/// not its last one.
pub(super) async fn rotate(
    tx: &mut Tx<'_>,
    key_hash: Vec<u8>,
    secret_hash: Vec<u8>,
    next_hash: Vec<u8>,
    expires_at: Timestamp,
    access_ends_at: Timestamp,
) -> Result<Option<Family>> {
    const ROTATE: &str = "
        UPDATE refresh_families SET turn_hash = $3, used_at = $4, expires_at = $5,
            access_ends_at = CASE WHEN access_ends_at > $6 THEN access_ends_at ELSE $6 END
        WHERE key_hash = $1 AND turn_hash = $2 AND expires_at > $4
        RETURNING *";
    let row = params![key_hash, secret_hash, next_hash, tx.now(), expires_at, access_ends_at];
    tx.optional(ROTATE, &row).await?.as_ref().map(read_family).transpose()
}

/// Ends the family of a key.
pub(super) async fn end_by_key(tx: &mut Tx<'_>, key_hash: Vec<u8>) -> Result<Option<Family>> {
    const END: &str = "DELETE FROM refresh_families WHERE key_hash = $1 RETURNING *";
    tx.optional(END, &params![key_hash]).await?.as_ref().map(read_family).transpose()
}

/// Ends one family of a user.
pub(super) async fn end_family(tx: &mut Tx<'_>, user: &Id, family: &str) -> Result<Option<Family>> {
    const END: &str = "DELETE FROM refresh_families WHERE id = $1 AND user_id = $2 RETURNING *";
    tx.optional(END, &params![family, user]).await?.as_ref().map(read_family).transpose()
}

/// Ends all families of a user but this.
pub(super) async fn end_others(
    tx: &mut Tx<'_>,
    user: &Id,
    kept: Option<&str>,
) -> Result<Vec<Family>> {
    const END: &str = "DELETE FROM refresh_families WHERE user_id = $1 AND id <> $2 RETURNING *";
    let ended = tx.all(END, &params![user, kept.unwrap_or_default()]).await?;
    ended.iter().map(read_family).collect()
}

fn read_family(row: &Row) -> Result<Family> {
    Ok(Family {
        id: row.get("id")?,
        user_id: row.get("user_id")?,
        created_at: row.get("created_at")?,
        used_at: row.get("used_at")?,
        expires_at: row.get("expires_at")?,
        access_ends_at: row.get("access_ends_at")?,
    })
}

/// Keeps a token that sets a new password; one of no user for an address that nobody has.
pub(super) async fn insert_reset(
    tx: &mut Tx<'_>,
    token_hash: Vec<u8>,
    user: Option<&Id>,
    expires_at: Timestamp,
) -> Result<()> {
    const INSERT: &str = "
        INSERT INTO password_resets (token_hash, user_id, expires_at) VALUES ($1, $2, $3)";
    tx.execute(INSERT, &params![token_hash, user, expires_at]).await?;
    Ok(())
}

/// Whose password a token sets, while it does.
pub(super) async fn of_reset(tx: &mut Tx<'_>, token_hash: &[u8]) -> Result<Option<Id>> {
    const OF_TOKEN: &str = "
        SELECT user_id FROM password_resets WHERE token_hash = $1 AND expires_at > $2";
    let now = tx.now();
    let found = tx.optional(OF_TOKEN, &params![token_hash, now]).await?;
    found.map_or(Ok(None), |row| Ok(row.get("user_id")?))
}

/// Gives up all tokens that set a user's password.
pub(super) async fn end_resets(tx: &mut Tx<'_>, user: &Id) -> Result<()> {
    const END: &str = "DELETE FROM password_resets WHERE user_id = $1";
    tx.execute(END, &params![user]).await?;
    Ok(())
}

/// When a user signed in, and until when that serves.
pub(super) async fn families(tx: &mut Tx<'_>, user: &Id) -> Result<Vec<Family>> {
    const OF_USER: &str = "
        SELECT * FROM refresh_families WHERE user_id = $1 ORDER BY used_at LIMIT 100";
    tx.all(OF_USER, &params![user]).await?.iter().map(read_family).collect()
}

/// Removes a user's account, with all that they sign in with.
pub(super) async fn erase(tx: &mut Tx<'_>, user: &Id) -> Result<()> {
    const ERASE: &str = "DELETE FROM accounts WHERE user_id = $1";
    if by_user_for_update(tx, user).await?.is_some() {
        end_resets(tx, user).await?;
        end_others(tx, user, None).await?;
        tx.execute(ERASE, &params![user]).await?;
    }
    Ok(())
}

/// Removes what has ended; whether there may be more of it.
pub(super) async fn prune(db: &Db) -> Result<bool> {
    const FAMILIES: &str = "
        DELETE FROM refresh_families WHERE id IN (
            SELECT id FROM refresh_families WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)";
    const RESETS: &str = "
        DELETE FROM password_resets WHERE token_hash IN (
            SELECT token_hash FROM password_resets
            WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)";
    db.write(async |tx| {
        let now = tx.now();
        let families = tx.execute(FAMILIES, &params![now, PRUNE_ROWS]).await?;
        let resets = tx.execute(RESETS, &params![now, PRUNE_ROWS]).await?;
        Ok(families + resets > 0)
    })
    .await
}
