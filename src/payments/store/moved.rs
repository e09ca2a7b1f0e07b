//! Payments and payouts that are taken in from a file, or written into one, with all that hangs on them.

use super::{
    payments::{self, PaymentRow},
    payouts::{self, PayoutRow},
};
use crate::{
    clock::Timestamp,
    db::{Row, Tx},
    error::Result,
    id::Id,
    money::Currency,
    params,
};

/// A callback of a provider, as it came.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::payments) struct Callback {
    pub(in crate::payments) dedupe_key: String,
    pub(in crate::payments) provider: String,
    pub(in crate::payments) headers: String,
    pub(in crate::payments) body: Vec<u8>,
    pub(in crate::payments) received_at: Timestamp,
    pub(in crate::payments) processed_at: Option<Timestamp>,
}

/// The coins that the provider was asked for, each with how often the buyer changed to it.
pub(in crate::payments) async fn coins(
    tx: &mut Tx<'_>,
    payment: &Id,
) -> Result<Vec<(Currency, i64)>> {
    const COINS: &str = "
        SELECT crypto, changes FROM payment_coins WHERE payment_id = $1 ORDER BY crypto";
    let rows = tx.all(COINS, &params![payment]).await?;
    rows.iter().map(|row| Ok((row.get("crypto")?, row.get("changes")?))).collect()
}

/// Adds such a coin.
pub(in crate::payments) async fn insert_coin(
    tx: &mut Tx<'_>,
    payment: &Id,
    crypto: &Currency,
    changes: i64,
) -> Result<()> {
    const ADD: &str = "
        INSERT INTO payment_coins (payment_id, crypto, changes) VALUES ($1, $2, $3)";
    tx.execute(ADD, &params![payment, crypto, changes]).await?;
    Ok(())
}

/// The transactions that pay a payment, by their keys.
pub(in crate::payments) async fn transactions(
    tx: &mut Tx<'_>,
    payment: &Id,
) -> Result<Vec<String>> {
    const OF: &str = "
        SELECT tx_key FROM payment_transactions WHERE payment_id = $1 ORDER BY tx_key";
    let rows = tx.all(OF, &params![payment]).await?;
    rows.iter().map(|row| Ok(row.get("tx_key")?)).collect()
}

/// The callbacks about a payment or a payout.
pub(in crate::payments) async fn callbacks(tx: &mut Tx<'_>, subject: &Id) -> Result<Vec<Callback>> {
    const ABOUT: &str = "
        SELECT * FROM webhooks WHERE subject_id = $1 ORDER BY dedupe_key";
    tx.all(ABOUT, &params![subject]).await?.iter().map(callback).collect()
}

fn callback(row: &Row) -> Result<Callback> {
    Ok(Callback {
        dedupe_key: row.get("dedupe_key")?,
        provider: row.get("provider")?,
        headers: row.get("headers")?,
        body: row.get("body")?,
        received_at: row.get("received_at")?,
        processed_at: row.get("processed_at")?,
    })
}

/// Adds a callback; one that is there stays as it is.
pub(in crate::payments) async fn insert_callback(
    tx: &mut Tx<'_>,
    subject: &Id,
    callback: &Callback,
) -> Result<()> {
    const ADD: &str = "
        INSERT INTO webhooks
            (dedupe_key, provider, subject_id, headers, body, received_at, processed_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        ON CONFLICT (dedupe_key) DO NOTHING";
    let Callback { dedupe_key, provider, headers, body, received_at, processed_at } = callback;
    let row = params![
        dedupe_key,
        provider,
        subject,
        headers,
        body.as_slice(),
        *received_at,
        *processed_at,
    ];
    tx.execute(ADD, &row).await?;
    Ok(())
}

/// The payments after this one.
pub(in crate::payments) async fn payments_after(
    tx: &mut Tx<'_>,
    after: &str,
    limit: i64,
) -> Result<Vec<PaymentRow>> {
    const AFTER: &str = "SELECT * FROM payments WHERE id > $1 ORDER BY id LIMIT $2";
    tx.all(AFTER, &params![after, limit]).await?.iter().map(payments::row).collect()
}

/// A payout.
pub(in crate::payments) async fn find_payout(
    tx: &mut Tx<'_>,
    id: &Id,
) -> Result<Option<PayoutRow>> {
    const FIND: &str = "SELECT * FROM payouts WHERE id = $1";
    tx.optional(FIND, &params![id]).await?.as_ref().map(payout).transpose()
}

/// The payouts after this one.
pub(in crate::payments) async fn payouts_after(
    tx: &mut Tx<'_>,
    after: &str,
    limit: i64,
) -> Result<Vec<PayoutRow>> {
    const AFTER: &str = "SELECT * FROM payouts WHERE id > $1 ORDER BY id LIMIT $2";
    tx.all(AFTER, &params![after, limit]).await?.iter().map(payout).collect()
}

fn payout(row: &Row) -> Result<PayoutRow> {
    Ok(PayoutRow {
        document: payouts::row(row)?,
        webhook_token: row.get("webhook_token")?,
        request_name: row.get("request_name")?,
    })
}
