//! Payments, in the table `payments`.

use super::{read, word};
use crate::{
    db::{Row, Tx},
    error::{Code, Error, Result},
    id::Id,
    params,
    payments::{
        documents::{Payment, PaymentInvoice},
        events::PaymentProvider,
    },
};

const FIND: &str = "SELECT * FROM payments WHERE id = $1";

/// A payment with what clients do not see of it.
pub(in crate::payments) struct PaymentRow {
    pub(in crate::payments) document: Payment,
    /// The part of its callback's path that nobody else knows.
    pub(in crate::payments) webhook_token: Option<String>,
}

/// Adds a payment with so many entries of its ledger; false when one of the same provider is under way for
/// the request, or another is in its place.
pub(in crate::payments) async fn insert(
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

/// A payment.
pub(in crate::payments) async fn find(tx: &mut Tx<'_>, id: &Id) -> Result<Option<PaymentRow>> {
    tx.optional(FIND, &params![id]).await?.as_ref().map(row).transpose()
}

/// A payment, locked until the end of the unit. Whoever locks the request too locks that first.
pub(in crate::payments) async fn find_for_update(
    tx: &mut Tx<'_>,
    id: &Id,
) -> Result<Option<PaymentRow>> {
    tx.lock_row(FIND, &params![id]).await?.as_ref().map(row).transpose()
}

/// The payment of a provider that is under way for a request.
pub(in crate::payments) async fn under_way(
    tx: &mut Tx<'_>,
    request: &Id,
    provider: PaymentProvider,
) -> Result<Option<PaymentRow>> {
    const UNDER_WAY: &str = "
        SELECT * FROM payments
        WHERE request_id = $1 AND provider = $2 AND status IN ('pending', 'partial')";
    let found = tx.optional(UNDER_WAY, &params![request, word(provider)?]).await?;
    found.as_ref().map(row).transpose()
}

/// The payment whose callbacks come to this path.
pub(in crate::payments) async fn of_token(
    tx: &mut Tx<'_>,
    token: &str,
) -> Result<Option<PaymentRow>> {
    const OF_TOKEN: &str = "SELECT * FROM payments WHERE webhook_token = $1";
    tx.optional(OF_TOKEN, &params![token]).await?.as_ref().map(row).transpose()
}

/// Payments, the newest first: of one user, who pays or is paid, or of all; for one request or all.
pub(in crate::payments) async fn list(
    tx: &mut Tx<'_>,
    user: Option<&Id>,
    request: Option<&Id>,
    before: Option<&Id>,
    limit: i64,
) -> Result<Vec<Payment>> {
    const ALL: &str = "
        WITH upto AS (SELECT COALESCE(
            NULLIF($1, ''), (SELECT MAX(id) || '0' FROM payments)) AS id)
        SELECT * FROM payments WHERE id < (SELECT id FROM upto) ORDER BY id DESC LIMIT $2";
    const FOR_REQUEST: &str = "
        WITH upto AS (SELECT COALESCE(
            NULLIF($1, ''), (SELECT MAX(id) || '0' FROM payments)) AS id)
        SELECT * FROM payments
        WHERE request_id = $3 AND id < (SELECT id FROM upto) ORDER BY id DESC LIMIT $2";
    const OF_USER: &str = "
        WITH upto AS (SELECT COALESCE(
            NULLIF($1, ''), (SELECT MAX(id) || '0' FROM payments)) AS id)
        SELECT p.* FROM (
            SELECT id FROM (
                SELECT id FROM payments
                WHERE buyer_id = $3 AND id < (SELECT id FROM upto)
                ORDER BY id DESC LIMIT $2) AS paid
            UNION SELECT id FROM (
                SELECT id FROM payments
                WHERE seller_id = $3 AND id < (SELECT id FROM upto)
                ORDER BY id DESC LIMIT $2) AS received
            ORDER BY id DESC LIMIT $2) AS page
        JOIN payments p ON p.id = page.id ORDER BY page.id DESC";
    const OF_USER_FOR_REQUEST: &str = "
        WITH upto AS (SELECT COALESCE(
            NULLIF($1, ''), (SELECT MAX(id) || '0' FROM payments)) AS id)
        SELECT p.* FROM (
            SELECT id FROM (
                SELECT id FROM payments
                WHERE request_id = $4 AND buyer_id = $3 AND id < (SELECT id FROM upto)
                ORDER BY id DESC LIMIT $2) AS paid
            UNION SELECT id FROM (
                SELECT id FROM payments
                WHERE request_id = $4 AND seller_id = $3 AND id < (SELECT id FROM upto)
                ORDER BY id DESC LIMIT $2) AS received
            ORDER BY id DESC LIMIT $2) AS page
        JOIN payments p ON p.id = page.id ORDER BY page.id DESC";
    let before = before.map(Id::to_string).unwrap_or_default();
    let rows = match (user, request) {
        (None, None) => tx.all(ALL, &params![before, limit]).await,
        (None, Some(request)) => tx.all(FOR_REQUEST, &params![before, limit, request]).await,
        (Some(user), None) => tx.all(OF_USER, &params![before, limit, user]).await,
        (Some(user), Some(request)) => {
            tx.all(OF_USER_FOR_REQUEST, &params![before, limit, user, request]).await
        }
    };
    rows?.iter().map(|found| Ok(row(found)?.document)).collect()
}

/// Notes what the provider told to pay.
pub(in crate::payments) async fn set_invoice(
    tx: &mut Tx<'_>,
    payment: &Id,
    invoice: &PaymentInvoice,
) -> Result<()> {
    const INVOICE: &str = "
        UPDATE payments SET wallet = $2, crypto = $3, crypto_amount = $4, exchange_rate = $5,
            display_name = $6, updated_at = $7
        WHERE id = $1";
    let row = params![
        payment,
        &invoice.wallet,
        &invoice.crypto,
        invoice.crypto_amount,
        &invoice.exchange_rate,
        &invoice.display_name,
        tx.now(),
    ];
    tx.execute(INVOICE, &row).await?;
    Ok(())
}

/// Notes where a payment stands.
///
/// # Errors
/// [`Code::Conflict`] when its transaction confirmed another meanwhile.
pub(in crate::payments) async fn set_status(tx: &mut Tx<'_>, payment: &Payment) -> Result<()> {
    const STATUS: &str = "
        UPDATE payments SET status = $2, escrow_state = $3, tx_hash = $4, received = $5,
            updated_at = $6
        WHERE id = $1";
    let row = params![
        &payment.id,
        word(payment.status)?,
        payment.escrow_state.map(word).transpose()?,
        payment.tx_hash.clone(),
        payment.received_amount,
        payment.updated_at,
    ];
    tx.execute(STATUS, &row)
        .await
        .map_err(|error| if error.is_unique() { used().with_cause(error) } else { error.into() })?;
    Ok(())
}

/// A transaction pays once.
pub(in crate::payments) fn used() -> Error {
    Error::new(Code::Conflict, "This transaction confirmed another payment.")
}

pub(super) fn row(row: &Row) -> Result<PaymentRow> {
    let id: Id = row.get("id")?;
    let invoice = match row.get("wallet")? {
        None => None,
        Some(wallet) => Some(PaymentInvoice {
            wallet,
            crypto: row.get("crypto")?,
            crypto_amount: row.get("crypto_amount")?,
            exchange_rate: row.get("exchange_rate")?,
            display_name: row.get("display_name")?,
        }),
    };
    let escrow: Option<String> = row.get("escrow_state")?;
    let document = Payment {
        underscore_id: id.clone(),
        id,
        request_id: row.get("request_id")?,
        buyer_id: row.get("buyer_id")?,
        seller_id: row.get("seller_id")?,
        provider: read(row, "provider")?,
        amount: row.get("amount")?,
        currency: row.get("currency")?,
        status: read(row, "status")?,
        escrow_state: escrow.map(|_| read(row, "escrow_state")).transpose()?,
        tx_hash: row.get("tx_hash")?,
        received_amount: row.get("received")?,
        invoice,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    };
    Ok(PaymentRow { document, webhook_token: row.get("webhook_token")? })
}
