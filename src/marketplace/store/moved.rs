//! Requests, offers and checkouts that are taken in from a file, or written into one.

use super::{
    checkouts, offers,
    requests::{self, RequestRow},
};
use crate::{
    db::Tx,
    error::Result,
    id::Id,
    marketplace::documents::{Checkout, Offer},
    params,
};

/// Adds a request as it was.
pub(in crate::marketplace) async fn insert_request(
    tx: &mut Tx<'_>,
    row: &RequestRow,
) -> Result<()> {
    const INSERT: &str = "
        INSERT INTO purchase_requests
            (id, buyer_id, title, description, budget_amount, budget_currency, category, metadata,
             status, accepted_offer_id, seller_id, payment_id, paid_amount, paid_currency,
             cancel_reason, delivery_status, carrier, tracking_number, code_hash, code_tries,
             delivered_at, buyer_confirmed_at, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
            $19, $20, $21, $22, $23, $24)";
    let RequestRow { document: request, paid, code_hash, code_tries } = row;
    let delivery = request.delivery.clone().unwrap_or_default();
    let row = params![
        &request.id,
        &request.buyer_id,
        &request.title,
        &request.description,
        request.budget.amount,
        &request.budget.currency,
        request.category.as_ref(),
        request.metadata.to_string(),
        request.status.as_str(),
        request.accepted_offer_id.as_ref(),
        request.seller_id.as_ref(),
        request.payment_id.as_ref(),
        paid.as_ref().map(|paid| paid.amount),
        paid.as_ref().map(|paid| &paid.currency),
        request.cancel_reason.as_ref(),
        delivery.status,
        delivery.carrier,
        delivery.tracking_number,
        code_hash.as_deref(),
        *code_tries,
        delivery.delivered_at,
        delivery.buyer_confirmed_at,
        request.created_at,
        request.updated_at,
    ];
    tx.execute(INSERT, &row).await?;
    Ok(())
}

/// The requests after this one.
pub(in crate::marketplace) async fn requests_after(
    tx: &mut Tx<'_>,
    after: &str,
    limit: i64,
) -> Result<Vec<RequestRow>> {
    const AFTER: &str = "SELECT * FROM purchase_requests WHERE id > $1 ORDER BY id LIMIT $2";
    tx.all(AFTER, &params![after, limit]).await?.iter().map(requests::row).collect()
}

/// Adds an offer to a buyer as it was; false when another of its seller waits, or another is accepted.
pub(in crate::marketplace) async fn insert_offer(
    tx: &mut Tx<'_>,
    offer: &Offer,
    buyer: &Id,
    is_called_off: bool,
) -> Result<bool> {
    const INSERT: &str = "
        INSERT INTO offers
            (id, request_id, seller_id, amount, currency, message, delivery_days, status,
             created_at, updated_at, buyer_id, called_off)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
        ON CONFLICT DO NOTHING";
    let row = params![
        &offer.id,
        &offer.request_id,
        &offer.seller_id,
        offer.amount,
        &offer.currency,
        offer.message.as_ref(),
        offer.delivery_days,
        offer.status.as_str(),
        offer.created_at,
        offer.updated_at,
        buyer,
        is_called_off,
    ];
    Ok(tx.execute(INSERT, &row).await? == 1)
}

/// The offers after this one.
pub(in crate::marketplace) async fn offers_after(
    tx: &mut Tx<'_>,
    after: &str,
    limit: i64,
) -> Result<Vec<Offer>> {
    const AFTER: &str = "SELECT * FROM offers WHERE id > $1 ORDER BY id LIMIT $2";
    tx.all(AFTER, &params![after, limit]).await?.iter().map(offers::row).collect()
}

/// The checkouts after this one.
pub(in crate::marketplace) async fn checkouts_after(
    tx: &mut Tx<'_>,
    after: &str,
    limit: i64,
) -> Result<Vec<Checkout>> {
    const AFTER: &str = "SELECT * FROM checkouts WHERE id > $1 ORDER BY id LIMIT $2";
    let mut found = Vec::new();
    for row in tx.all(AFTER, &params![after, limit]).await? {
        found.extend(checkouts::complete(tx, Some(row)).await?);
    }
    Ok(found)
}
