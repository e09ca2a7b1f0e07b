//! Offers, in the table `offers`.

use std::collections::BTreeSet;

use crate::{
    db::{Row, Tx},
    error::{Error, Result},
    id::Id,
    marketplace::documents::{Offer, OfferStatus},
    params,
};

/// Adds an offer to a buyer, as called off where its request was; false when another of its seller waits, or another is accepted.
pub(in crate::marketplace) async fn insert(
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

/// An offer.
pub(in crate::marketplace) async fn find(tx: &mut Tx<'_>, id: &Id) -> Result<Option<Offer>> {
    const FIND: &str = "SELECT * FROM offers WHERE id = $1";
    tx.optional(FIND, &params![id]).await?.as_ref().map(row).transpose()
}

/// The offers on a request, of one seller or of all, the newest first.
pub(in crate::marketplace) async fn list(
    tx: &mut Tx<'_>,
    request: &Id,
    seller: Option<&Id>,
    before: Option<&Id>,
    limit: i64,
) -> Result<Vec<Offer>> {
    const OF_ALL: &str = "
        WITH upto AS (SELECT COALESCE(
            NULLIF($1, ''), (SELECT MAX(id) || '0' FROM offers)) AS id)
        SELECT * FROM offers
        WHERE request_id = $3 AND id < (SELECT id FROM upto) ORDER BY id DESC LIMIT $2";
    const OF_SELLER: &str = "
        WITH upto AS (SELECT COALESCE(
            NULLIF($1, ''), (SELECT MAX(id) || '0' FROM offers)) AS id)
        SELECT * FROM offers
        WHERE request_id = $3 AND seller_id = $4 AND id < (SELECT id FROM upto)
        ORDER BY id DESC LIMIT $2";
    let before = before.map(Id::to_string).unwrap_or_default();
    let rows = match seller {
        None => tx.all(OF_ALL, &params![before, limit, request]).await?,
        Some(seller) => tx.all(OF_SELLER, &params![before, limit, request, seller]).await?,
    };
    rows.iter().map(row).collect()
}

/// Notes that a request was called off while offers on it waited; the sellers whose offers wait or
/// are accepted.
pub(in crate::marketplace) async fn call_off(tx: &mut Tx<'_>, request: &Id) -> Result<Vec<Id>> {
    const CALL_OFF: &str = "
        UPDATE offers SET called_off = 1 WHERE request_id = $1 AND status = 'pending'
        RETURNING seller_id";
    const ACCEPTED: &str = "
        SELECT seller_id FROM offers WHERE request_id = $1 AND status = 'accepted'";
    let mut rows = tx.all(CALL_OFF, &params![request]).await?;
    rows.extend(tx.all(ACCEPTED, &params![request]).await?);
    let sellers = rows.iter().map(|row| Ok(row.get("seller_id")?));
    Ok(sellers.collect::<Result<BTreeSet<_>>>()?.into_iter().collect())
}

/// Whether a seller has an offer on a request that waits for a decision or is accepted.
pub(in crate::marketplace) async fn has_offer(
    tx: &mut Tx<'_>,
    request: &Id,
    seller: &Id,
) -> Result<bool> {
    const HAS: &str = "
        SELECT EXISTS (
                SELECT 1 FROM offers
                WHERE request_id = $1 AND seller_id = $2 AND status = 'pending')
            OR EXISTS (
                SELECT 1 FROM offers
                WHERE request_id = $1 AND seller_id = $2 AND status = 'accepted') AS has";
    Ok(tx.one(HAS, &params![request, seller]).await?.get("has")?)
}

/// The sellers of the offers on a request that wait for a decision or are accepted, at most so many.
pub(in crate::marketplace) async fn sellers(
    tx: &mut Tx<'_>,
    request: &Id,
    most: i64,
) -> Result<Vec<Id>> {
    const SELLERS: &str = "
        SELECT seller_id FROM offers WHERE request_id = $1 AND status = $2 LIMIT $3";
    let mut sellers = Vec::new();
    for status in ["accepted", "pending"] {
        let rows = tx.all(SELLERS, &params![request, status, most]).await?;
        for row in rows {
            sellers.push(row.get("seller_id")?);
        }
    }
    Ok(sellers)
}

/// How many offers on a request wait for a decision; counted up to `most`.
pub(in crate::marketplace) async fn pending(
    tx: &mut Tx<'_>,
    request: &Id,
    most: u32,
) -> Result<u32> {
    const PENDING: &str = "
        SELECT COUNT(*) AS offers FROM (
            SELECT 1 FROM offers WHERE request_id = $1 AND status = 'pending' LIMIT $2
        ) AS waiting";
    Ok(tx.one(PENDING, &params![request, most]).await?.get("offers")?)
}

/// Notes where an offer stands.
pub(in crate::marketplace) async fn set_status(
    tx: &mut Tx<'_>,
    id: &Id,
    status: OfferStatus,
) -> Result<()> {
    const STATUS: &str = "UPDATE offers SET status = $2, updated_at = $3 WHERE id = $1";
    tx.execute(STATUS, &params![id, status.as_str(), tx.now()]).await?;
    Ok(())
}

/// Rejects every offer on a request that waits for a decision; those.
pub(in crate::marketplace) async fn reject_pending(
    tx: &mut Tx<'_>,
    request: &Id,
) -> Result<Vec<Offer>> {
    const REJECT: &str = "
        UPDATE offers SET status = 'rejected', updated_at = $2
        WHERE request_id = $1 AND status = 'pending' RETURNING *";
    let rows = tx.all(REJECT, &params![request, tx.now()]).await?;
    let mut offers = rows.iter().map(row).collect::<Result<Vec<_>>>()?;
    offers.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(offers)
}

pub(super) fn row(row: &Row) -> Result<Offer> {
    use OfferStatus::{Accepted, Pending, Rejected, Withdrawn};

    let id: Id = row.get("id")?;
    let stored: String = row.get("status")?;
    let status = [Pending, Accepted, Rejected, Withdrawn]
        .into_iter()
        .find(|status| status.as_str() == stored)
        .ok_or_else(|| Error::internal(format!("the status {stored} of an offer")))?;
    Ok(Offer {
        underscore_id: id.clone(),
        id,
        request_id: row.get("request_id")?,
        seller_id: row.get("seller_id")?,
        amount: row.get("amount")?,
        currency: row.get("currency")?,
        message: row.get("message")?,
        delivery_days: row.get("delivery_days")?,
        status,
        is_selected: status == Accepted,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}
