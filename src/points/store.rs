//! Points in the store. A unit that changes a user's points locks their account first.

pub(super) mod moved;

use super::documents::{PointsTransaction, Referral};
use crate::{
    db::{Row, Tx},
    error::{Error, Result},
    id::Id,
    params,
    text::PersonName,
};

const ACCOUNT: &str =
    "SELECT points, lifetime, entries, told_level FROM points_accounts WHERE user_id = $1";

/// What a user has.
#[derive(Clone, Copy, Default)]
pub(super) struct Account {
    /// Now.
    pub(super) points: i64,
    /// For their level.
    pub(super) lifetime: i64,
    /// Entries of their ledger.
    pub(super) entries: i64,
    /// The highest level that they were told of, or had without; 0 before.
    pub(super) told_level: u32,
}

/// An account; an empty one for whoever has none.
pub(super) async fn account(tx: &mut Tx<'_>, user: &Id) -> Result<Account> {
    let found = tx.optional(ACCOUNT, &params![user]).await?;
    found.as_ref().map_or(Ok(Account::default()), read_account)
}

/// The same, begun where there is none, and locked until the end of the unit.
pub(super) async fn account_for_update(tx: &mut Tx<'_>, user: &Id) -> Result<Account> {
    const BEGIN: &str = "
        INSERT INTO points_accounts (user_id, points, lifetime, entries) VALUES ($1, 0, 0, 0)
        ON CONFLICT (user_id) DO NOTHING";
    if let Some(row) = tx.lock_row(ACCOUNT, &params![user]).await? {
        return read_account(&row);
    }
    tx.execute(BEGIN, &params![user]).await?;
    let row = tx.lock_row(ACCOUNT, &params![user]).await?;
    row.as_ref().map_or_else(|| Err(Error::internal("an account is not there")), read_account)
}

fn read_account(row: &Row) -> Result<Account> {
    Ok(Account {
        points: row.get("points")?,
        lifetime: row.get("lifetime")?,
        entries: row.get("entries")?,
        told_level: row.get("told_level")?,
    })
}

/// The entry of a user's ledger that has a reference: of an award, or of a reward for a referral.
pub(super) async fn find(
    tx: &mut Tx<'_>,
    user: &Id,
    referred: Option<&Id>,
    reference: Option<&str>,
) -> Result<Option<PointsTransaction>> {
    const FIND: &str = "
        SELECT * FROM points_ledger
        WHERE user_id = $1 AND referred_user_id = $2 AND reference = $3";
    let of = params![user, referred.map_or("", Id::as_str), reference.unwrap_or_default()];
    tx.optional(FIND, &of).await?.as_ref().map(read).transpose()
}

/// Adds an entry to its user's ledger, and notes what they have then.
pub(super) async fn append(
    tx: &mut Tx<'_>,
    transaction: &PointsTransaction,
    account: Account,
) -> Result<()> {
    const APPEND: &str = "
        INSERT INTO points_ledger
            (user_id, ordinal, id, points, balance, reason, reference, referred_user_id, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    const ACCOUNT: &str = "
        UPDATE points_accounts SET points = $2, lifetime = $3, entries = $4, told_level = $5
        WHERE user_id = $1";
    let user = &transaction.user_id;
    let row = params![
        user,
        account.entries,
        &transaction.id,
        transaction.points,
        transaction.balance,
        &transaction.reason,
        transaction.reference.as_deref().unwrap_or_default(),
        transaction.referred_user_id.as_ref().map_or("", Id::as_str),
        transaction.created_at,
    ];
    tx.execute(APPEND, &row).await?;
    let row = params![user, account.points, account.lifetime, account.entries, account.told_level];
    tx.execute(ACCOUNT, &row).await?;
    Ok(())
}

/// The entries of a user's ledger before a number, each with its own, the newest first.
pub(super) async fn ledger(
    tx: &mut Tx<'_>,
    user: &Id,
    before: i64,
    limit: i64,
) -> Result<Vec<(i64, PointsTransaction)>> {
    const LEDGER: &str = "
        SELECT * FROM points_ledger WHERE user_id = $1 AND ordinal < $2
        ORDER BY ordinal DESC LIMIT $3";
    let rows = tx.all(LEDGER, &params![user, before, limit]).await?;
    rows.iter().map(|row| Ok((row.get("ordinal")?, read(row)?))).collect()
}

fn read(row: &Row) -> Result<PointsTransaction> {
    let some = |text: String| Some(text).filter(|text| !text.is_empty());
    let id: Id = row.get("id")?;
    let referred = some(row.get("referred_user_id")?).map(|id| id.parse());
    Ok(PointsTransaction {
        underscore_id: id.clone(),
        id,
        user_id: row.get("user_id")?,
        points: row.get("points")?,
        balance: row.get("balance")?,
        reason: row.get("reason")?,
        reference: some(row.get("reference")?),
        referred_user_id: referred.transpose().map_err(Error::internal)?,
        created_at: row.get("created_at")?,
    })
}

/// A user's referral code.
pub(super) async fn code_of(tx: &mut Tx<'_>, user: &Id) -> Result<Option<String>> {
    const CODE: &str = "SELECT code FROM referral_codes WHERE user_id = $1";
    let found = tx.optional(CODE, &params![user]).await?;
    Ok(found.map(|row| row.get("code")).transpose()?)
}

/// Gives a user a code; false when they have one, or somebody else has this one.
pub(super) async fn insert_code(tx: &mut Tx<'_>, user: &Id, code: &str) -> Result<bool> {
    const INSERT: &str = "
        INSERT INTO referral_codes (code, user_id) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    Ok(tx.execute(INSERT, &params![code, user]).await? == 1)
}

/// Whose code it is.
pub(super) async fn of_code(tx: &mut Tx<'_>, code: &str) -> Result<Option<Id>> {
    const OF_CODE: &str = "SELECT user_id FROM referral_codes WHERE code = $1";
    let found = tx.optional(OF_CODE, &params![code]).await?;
    Ok(found.map(|row| row.get("user_id")).transpose()?)
}

/// Writes a referral down; false when the user was referred before.
pub(super) async fn insert_referral(tx: &mut Tx<'_>, referral: &Referral) -> Result<bool> {
    const INSERT: &str = "
        INSERT INTO referrals (referred_user_id, referrer_id, name, joined_at)
        VALUES ($1, $2, $3, $4) ON CONFLICT (referred_user_id) DO NOTHING";
    let row = params![
        &referral.referred_user_id,
        &referral.referrer_id,
        referral.name.as_str(),
        referral.joined_at,
    ];
    Ok(tx.execute(INSERT, &row).await? == 1)
}

/// Who referred a user.
pub(super) async fn referral(tx: &mut Tx<'_>, referred: &Id) -> Result<Option<Referral>> {
    const REFERRAL: &str = "SELECT * FROM referrals WHERE referred_user_id = $1";
    tx.optional(REFERRAL, &params![referred]).await?.as_ref().map(read_referral).transpose()
}

fn read_referral(row: &Row) -> Result<Referral> {
    let name: String = row.get("name")?;
    Ok(Referral {
        referrer_id: row.get("referrer_id")?,
        referred_user_id: row.get("referred_user_id")?,
        name: PersonName::try_from(name).map_err(Error::internal)?,
        joined_at: row.get("joined_at")?,
    })
}

/// The referrals of those whom a user referred, in the order of their ids.
pub(super) async fn referred_by(
    tx: &mut Tx<'_>,
    user: &Id,
    after: &str,
    limit: i64,
) -> Result<Vec<Referral>> {
    const REFERRED: &str = "
        SELECT * FROM referrals WHERE referrer_id = $1 AND referred_user_id > $2
        ORDER BY referred_user_id LIMIT $3";
    let rows = tx.all(REFERRED, &params![user, after, limit]).await?;
    rows.iter().map(read_referral).collect()
}

/// Removes some of a user's ledger, and with the last of it their account; how many entries.
pub(super) async fn erase_ledger(tx: &mut Tx<'_>, user: &Id, limit: i64) -> Result<u64> {
    const ENTRIES: &str = "
        DELETE FROM points_ledger WHERE (user_id, ordinal) IN (
            SELECT user_id, ordinal FROM points_ledger WHERE user_id = $1
            ORDER BY ordinal LIMIT $2)";
    const ACCOUNT_OF: &str = "DELETE FROM points_accounts WHERE user_id = $1";
    tx.lock_row(ACCOUNT, &params![user]).await?;
    let removed = tx.execute(ENTRIES, &params![user, limit]).await?;
    if removed < limit.unsigned_abs() {
        tx.execute(ACCOUNT_OF, &params![user]).await?;
    }
    Ok(removed)
}

/// Removes a user's code, who referred them, and some of those whom they referred; how many of these.
pub(super) async fn erase_referrals(tx: &mut Tx<'_>, user: &Id, limit: i64) -> Result<u64> {
    const CODE: &str = "DELETE FROM referral_codes WHERE user_id = $1";
    const OWN: &str = "DELETE FROM referrals WHERE referred_user_id = $1";
    const OTHERS: &str = "
        DELETE FROM referrals WHERE referred_user_id IN (
            SELECT referred_user_id FROM referrals WHERE referrer_id = $1
            ORDER BY referred_user_id LIMIT $2)";
    tx.execute(CODE, &params![user]).await?;
    tx.execute(OWN, &params![user]).await?;
    Ok(tx.execute(OTHERS, &params![user, limit]).await?)
}
