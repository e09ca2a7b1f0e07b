//! Offers, in the table `offers`.

use crate::{
    db::{Row, Tx},
    error::{Error, Result},
    id::Id,
    marketplace::documents::{Offer, OfferStatus},
    params,
};

/// Adds an offer; false when its seller has one already that waits for a decision.
pub(in crate::marketplace) async fn insert(tx: &mut Tx<'_>, offer: &Offer) -> Result<bool> {
    const INSERT: &str = "
        INSERT INTO offers
            (id, request_id, seller_id, amount, currency, message, delivery_days, status,
             created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)
        ON CONFLICT (request_id, seller_id) WHERE status = 'pending' DO NOTHING";
    let row = params![
        &offer.id,
        &offer.request_id,
        &offer.seller_id,
        offer.amount,
        &offer.currency,
        offer.message.clone(),
        offer.delivery_days,
        offer.status.as_str(),
        offer.created_at,
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
    const LIST: &str = "
        SELECT * FROM offers
        WHERE request_id = $1 AND ($2 = '' OR seller_id = $2) AND ($3 = '' OR id < $3)
        ORDER BY id DESC LIMIT $4";
    let text = |id: Option<&Id>| id.map(Id::to_string).unwrap_or_default();
    let rows = tx.all(LIST, &params![request, text(seller), text(before), limit]).await?;
    rows.iter().map(row).collect()
}

/// The sellers whose offers on a request wait for a decision or are accepted.
pub(in crate::marketplace) async fn sellers(tx: &mut Tx<'_>, request: &Id) -> Result<Vec<Id>> {
    const SELLERS: &str = "
        SELECT DISTINCT seller_id FROM offers
        WHERE request_id = $1 AND status IN ('pending', 'accepted') ORDER BY seller_id";
    let rows = tx.all(SELLERS, &params![request]).await?;
    rows.iter().map(|row| Ok(row.get("seller_id")?)).collect()
}

/// Whether a seller has an offer on a request that waits for a decision or is accepted.
pub(in crate::marketplace) async fn has_offer(
    tx: &mut Tx<'_>,
    request: &Id,
    seller: &Id,
) -> Result<bool> {
    const HAS: &str = "
        SELECT COUNT(*) AS offers FROM offers
        WHERE request_id = $1 AND seller_id = $2 AND status IN ('pending', 'accepted')";
    Ok(tx.one(HAS, &params![request, seller]).await?.get::<i64>("offers")? > 0)
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

fn row(row: &Row) -> Result<Offer> {
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
