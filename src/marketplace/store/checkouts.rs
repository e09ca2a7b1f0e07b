//! Checkouts, in the tables `checkouts` and `checkout_requests`.

use std::collections::BTreeSet;

use crate::{
    db::{Row, Tx},
    error::{Error, Result},
    id::Id,
    marketplace::documents::{Checkout, CheckoutStatus},
    params,
};

const FIND: &str = "SELECT * FROM checkouts WHERE id = $1";

/// Adds a checkout.
pub(in crate::marketplace) async fn insert(tx: &mut Tx<'_>, checkout: &Checkout) -> Result<()> {
    const INSERT: &str = "
        INSERT INTO checkouts (id, buyer_id, status, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $4)";
    const REQUEST: &str = "
        INSERT INTO checkout_requests (checkout_id, position, request_id) VALUES ($1, $2, $3)";
    let row =
        params![&checkout.id, &checkout.buyer_id, checkout.status.as_str(), checkout.created_at,];
    tx.execute(INSERT, &row).await?;
    for (position, request) in (0_i64..).zip(&checkout.request_ids) {
        tx.execute(REQUEST, &params![&checkout.id, position, request]).await?;
    }
    Ok(())
}

/// A checkout.
pub(in crate::marketplace) async fn find(tx: &mut Tx<'_>, id: &Id) -> Result<Option<Checkout>> {
    let found = tx.optional(FIND, &params![id]).await?;
    complete(tx, found).await
}

/// A checkout, locked until the end of the unit.
pub(in crate::marketplace) async fn find_for_update(
    tx: &mut Tx<'_>,
    id: &Id,
) -> Result<Option<Checkout>> {
    let found = tx.lock_row(FIND, &params![id]).await?;
    complete(tx, found).await
}

/// Notes how far a checkout's payment is.
pub(in crate::marketplace) async fn set_status(tx: &mut Tx<'_>, checkout: &Checkout) -> Result<()> {
    const STATUS: &str = "
        UPDATE checkouts SET status = $2, payment_id = $3, reason = $4, updated_at = $5
        WHERE id = $1";
    let row = params![
        &checkout.id,
        checkout.status.as_str(),
        checkout.payment_id.clone(),
        checkout.reason.clone(),
        checkout.updated_at,
    ];
    tx.execute(STATUS, &row).await?;
    Ok(())
}

/// The sellers whose offers were accepted on the requests of a checkout.
pub(in crate::marketplace) async fn sellers(tx: &mut Tx<'_>, checkout: &Id) -> Result<Vec<Id>> {
    const SELLERS: &str = "
        SELECT r.seller_id
        FROM checkout_requests c LEFT JOIN purchase_requests r ON r.id = c.request_id
        WHERE c.checkout_id = $1 AND r.seller_id IS NOT NULL";
    let rows = tx.all(SELLERS, &params![checkout]).await?;
    let sellers = rows.iter().map(|row| Ok(row.get("seller_id")?));
    Ok(sellers.collect::<Result<BTreeSet<_>>>()?.into_iter().collect())
}

pub(super) async fn complete(tx: &mut Tx<'_>, found: Option<Row>) -> Result<Option<Checkout>> {
    use CheckoutStatus::{Confirmed, Failed, Open, Pending};

    const REQUESTS: &str = "
        SELECT request_id FROM checkout_requests WHERE checkout_id = $1 ORDER BY position";
    let Some(row) = found else { return Ok(None) };
    let id: Id = row.get("id")?;
    let stored: String = row.get("status")?;
    let status = [Open, Pending, Confirmed, Failed]
        .into_iter()
        .find(|status| status.as_str() == stored)
        .ok_or_else(|| Error::internal(format!("the status {stored} of a checkout")))?;
    let requests = tx.all(REQUESTS, &params![&id]).await?;
    Ok(Some(Checkout {
        underscore_id: id.clone(),
        id,
        buyer_id: row.get("buyer_id")?,
        request_ids: requests
            .iter()
            .map(|row| Ok(row.get("request_id")?))
            .collect::<Result<_>>()?,
        status,
        payment_id: row.get("payment_id")?,
        reason: row.get("reason")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    }))
}
