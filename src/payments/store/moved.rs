//! Payments and payouts that are taken in from a file, or written into one, with all that hangs on them.

use super::{payments, payouts, word};
use crate::{
    clock::Timestamp,
    db::{Row, Tx},
    error::Result,
    id::Id,
    money::Currency,
    params,
    payments::{
        documents::{LedgerEntry, Payout},
        store::payments::PaymentRow,
        transaction,
    },
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

/// A payout with what clients do not see of it.
pub(in crate::payments) struct PayoutRow {
    pub(in crate::payments) document: Payout,
    pub(in crate::payments) webhook_token: Option<String>,
    pub(in crate::payments) request_name: Option<Vec<u8>>,
}

/// Adds a payment as it was; false when another is in its place.
pub(in crate::payments) async fn insert_payment(
    tx: &mut Tx<'_>,
    row: &PaymentRow,
    ledger_entries: usize,
) -> Result<bool> {
    const INSERT: &str = "
        INSERT INTO payments
            (id, request_id, buyer_id, seller_id, provider, amount, currency, status, escrow_state,
             tx_hash, received, ledger_entries, crypto, wallet, crypto_amount, exchange_rate,
             display_name, webhook_token, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
            $19, $20)
        ON CONFLICT DO NOTHING";
    let PaymentRow { document: payment, webhook_token } = row;
    let invoice = payment.invoice.as_ref();
    let row = params![
        &payment.id,
        &payment.request_id,
        &payment.buyer_id,
        &payment.seller_id,
        word(payment.provider)?,
        payment.amount,
        &payment.currency,
        word(payment.status)?,
        payment.escrow_state.map(word).transpose()?,
        payment.tx_hash.as_ref(),
        payment.received_amount,
        i64::try_from(ledger_entries).unwrap_or(i64::MAX),
        invoice.map(|invoice| &invoice.crypto),
        invoice.map(|invoice| &invoice.wallet),
        invoice.map(|invoice| invoice.crypto_amount),
        invoice.map(|invoice| &invoice.exchange_rate),
        invoice.map(|invoice| &invoice.display_name),
        webhook_token.as_ref(),
        payment.created_at,
        payment.updated_at,
    ];
    Ok(tx.execute(INSERT, &row).await? == 1)
}

/// Adds what happened to a payment, as it was.
pub(in crate::payments) async fn insert_ledger(
    tx: &mut Tx<'_>,
    payment: &Id,
    ledger: &[LedgerEntry],
) -> Result<()> {
    const ADD: &str = "
        INSERT INTO payment_ledger
            (payment_id, ordinal, kind, amount, currency, tx_hash, detail, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    for (entry, ordinal) in ledger.iter().zip(1_i64..) {
        let row = params![
            payment,
            ordinal,
            word(entry.kind)?,
            entry.amount,
            entry.currency.as_ref(),
            entry.tx_hash.as_ref(),
            entry.detail.as_ref(),
            entry.created_at,
        ];
        tx.execute(ADD, &row).await?;
    }
    Ok(())
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

/// Adds a payout as it was; false when another is in its place.
pub(in crate::payments) async fn insert_payout(tx: &mut Tx<'_>, row: &PayoutRow) -> Result<bool> {
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
