//! Payouts, in the table `payouts`.

use super::{read, word};
use crate::{
    clock::Timestamp,
    db::{self, Row, Tx},
    error::{Code, Error, Result},
    id::Id,
    params,
    payments::{documents::Payout, events::PayoutStatus, transaction},
};

const FIND: &str = "SELECT * FROM payouts WHERE id = $1";

/// A payout with what clients do not see of it.
pub(in crate::payments) struct PayoutRow {
    pub(in crate::payments) document: Payout,
    pub(in crate::payments) webhook_token: Option<String>,
    pub(in crate::payments) request_name: Option<Vec<u8>>,
}

/// Adds a payout; false when its payment is about to be paid out already, or another is in its place.
pub(in crate::payments) async fn insert(tx: &mut Tx<'_>, row: &PayoutRow) -> Result<bool> {
    const INSERT: &str = "
        INSERT INTO payouts
            (id, seller_id, payment_id, amount, currency, destination, provider, status, task_id,
             tx_hash, reason, webhook_token, request_name, created_at, updated_at, tx_key)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
        ON CONFLICT DO NOTHING";
    let PayoutRow { document: payout, webhook_token, request_name } = row;
    let row = params![
        &payout.id,
        &payout.seller_id,
        payout.payment_id.as_ref(),
        payout.amount,
        &payout.currency,
        &payout.destination,
        word(payout.provider)?,
        word(payout.status)?,
        payout.task_id.as_ref(),
        payout.tx_hash.as_ref(),
        payout.reason.as_ref(),
        webhook_token.as_ref(),
        request_name.as_deref(),
        payout.created_at,
        payout.updated_at,
        payout.tx_hash.as_deref().map(transaction::key),
    ];
    Ok(tx.execute(INSERT, &row).await? == 1)
}

/// A payout.
pub(in crate::payments) async fn find(tx: &mut Tx<'_>, id: &Id) -> Result<Option<Payout>> {
    tx.optional(FIND, &params![id]).await?.as_ref().map(row).transpose()
}

/// A payout, locked until the end of the unit.
pub(in crate::payments) async fn find_for_update(
    tx: &mut Tx<'_>,
    id: &Id,
) -> Result<Option<Payout>> {
    tx.lock_row(FIND, &params![id]).await?.as_ref().map(row).transpose()
}

/// The payout that this request began.
pub(in crate::payments) async fn of_request(
    tx: &mut Tx<'_>,
    request_name: &[u8],
) -> Result<Option<Payout>> {
    const OF_REQUEST: &str = "SELECT * FROM payouts WHERE request_name = $1";
    tx.optional(OF_REQUEST, &params![request_name]).await?.as_ref().map(row).transpose()
}

/// Lets the request that began a payout begin another.
pub(in crate::payments) async fn forget_request(tx: &mut Tx<'_>, id: &Id) -> Result<()> {
    const FORGET: &str = "UPDATE payouts SET request_name = NULL WHERE id = $1";
    tx.execute(FORGET, &params![id]).await?;
    Ok(())
}

/// Whether a payment is paid out, or may be.
pub(in crate::payments) async fn is_paid_out(tx: &mut Tx<'_>, payment: &Id) -> Result<bool> {
    const PAID_OUT: &str = "
        SELECT COUNT(*) AS payouts FROM payouts WHERE payment_id = $1 AND status <> 'failed'";
    Ok(tx.one(PAID_OUT, &params![payment]).await?.get::<i64>("payouts")? > 0)
}

/// The payouts of a payment, the first first: each but the last has failed.
pub(in crate::payments) async fn of_payment(tx: &mut Tx<'_>, payment: &Id) -> Result<Vec<Payout>> {
    const OF_PAYMENT: &str = "SELECT * FROM payouts WHERE payment_id = $1 LIMIT 100";
    let rows = tx.all(OF_PAYMENT, &params![payment]).await?;
    let mut payouts = rows.iter().map(row).collect::<Result<Vec<_>>>()?;
    payouts.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(payouts)
}

/// The payout whose callbacks come to this path.
pub(in crate::payments) async fn of_token(tx: &mut Tx<'_>, token: &str) -> Result<Option<Payout>> {
    const OF_TOKEN: &str = "SELECT * FROM payouts WHERE webhook_token = $1";
    tx.optional(OF_TOKEN, &params![token]).await?.as_ref().map(row).transpose()
}

/// The payouts to a user, in the order of their ids.
pub(in crate::payments) async fn of_seller(
    tx: &mut Tx<'_>,
    seller: &Id,
    after: &str,
    limit: i64,
) -> Result<Vec<Payout>> {
    const OF_SELLER: &str = "
        SELECT * FROM payouts WHERE seller_id = $1 AND id > $2 ORDER BY id LIMIT $3";
    tx.all(OF_SELLER, &params![seller, after, limit]).await?.iter().map(row).collect()
}

/// Payouts by SHKeeper that are not through, in the order of their ids, from the one after `after`.
/// Those without any answer yet only if they were asked for before `asked_before`.
pub(in crate::payments) async fn under_way(
    tx: &mut Tx<'_>,
    after: &str,
    asked_before: Timestamp,
    limit: i64,
) -> Result<Vec<Payout>> {
    const UNDER_WAY: &str = "
        SELECT * FROM payouts
        WHERE provider = 'shkeeper' AND status IN ('pending', 'processing') AND id > $1
            AND (status = 'processing' OR reason IS NOT NULL OR created_at < $2)
        ORDER BY id LIMIT $3";
    tx.all(UNDER_WAY, &params![after, asked_before, limit]).await?.iter().map(row).collect()
}

/// Where payouts by SHKeeper stand that are not through, and since when each is; so many of them.
pub(in crate::payments) async fn all_under_way(
    tx: &mut Tx<'_>,
    limit: i64,
) -> Result<Vec<(PayoutStatus, Timestamp)>> {
    const ALL: &str = "
        SELECT status, created_at FROM payouts
        WHERE provider = 'shkeeper' AND status IN ('pending', 'processing') AND id > ''
        ORDER BY id LIMIT $1";
    let payout = |row: &Row| Ok((read(row, "status")?, row.get("created_at")?));
    tx.all(ALL, &params![limit]).await?.iter().map(payout).collect()
}

/// Notes where a payout stands.
///
/// # Errors
/// [`Code::Conflict`] when its transaction is another payout's.
pub(in crate::payments) async fn set_status(tx: &mut Tx<'_>, payout: &Payout) -> Result<()> {
    const STATUS: &str = "
        UPDATE payouts SET status = $2, task_id = $3, tx_hash = $4, reason = $5, updated_at = $6,
            tx_key = CASE WHEN tx_hash IS NULL OR tx_hash <> $4 THEN $7 ELSE tx_key END
        WHERE id = $1";
    let row = params![
        &payout.id,
        word(payout.status)?,
        payout.task_id.clone(),
        payout.tx_hash.clone(),
        payout.reason.clone(),
        payout.updated_at,
        payout.tx_hash.as_deref().map(transaction::key),
    ];
    let used = |error: db::Error| {
        let sentence = "This transaction is another payout's.";
        Error::new(Code::Conflict, sentence).with_cause(error)
    };
    tx.execute(STATUS, &row)
        .await
        .map_err(|error| if error.is_unique() { used(error) } else { error.into() })?;
    Ok(())
}

pub(super) fn row(row: &Row) -> Result<Payout> {
    let id: Id = row.get("id")?;
    Ok(Payout {
        underscore_id: id.clone(),
        id,
        seller_id: row.get("seller_id")?,
        payment_id: row.get("payment_id")?,
        amount: row.get("amount")?,
        currency: row.get("currency")?,
        destination: row.get("destination")?,
        provider: read(row, "provider")?,
        status: read(row, "status")?,
        task_id: row.get("task_id")?,
        tx_hash: row.get("tx_hash")?,
        reason: row.get("reason")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}
