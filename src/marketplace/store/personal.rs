//! What one user asked for, offered and paid together, found by its index.

use super::{checkouts, offers, requests};
use crate::{
    db::Tx,
    error::Result,
    id::Id,
    marketplace::documents::{Checkout, Offer, PurchaseRequest},
    params,
};

/// The requests that a user made, in the order of their ids.
pub(in crate::marketplace) async fn requests_of(
    tx: &mut Tx<'_>,
    user: &Id,
    after: &str,
    limit: i64,
) -> Result<Vec<PurchaseRequest>> {
    const OF_BUYER: &str = "
        SELECT * FROM purchase_requests WHERE buyer_id = $1 AND id > $2 ORDER BY id LIMIT $3";
    let rows = tx.all(OF_BUYER, &params![user, after, limit]).await?;
    rows.iter().map(|row| Ok(requests::row(row)?.document)).collect()
}

/// The offers that a user made, in the order of their ids.
pub(in crate::marketplace) async fn offers_of(
    tx: &mut Tx<'_>,
    user: &Id,
    after: &str,
    limit: i64,
) -> Result<Vec<Offer>> {
    const OF_SELLER: &str = "
        SELECT * FROM offers WHERE seller_id = $1 AND id > $2 ORDER BY id LIMIT $3";
    tx.all(OF_SELLER, &params![user, after, limit]).await?.iter().map(offers::row).collect()
}

/// The requests that are a user's to deliver, in the order of their ids.
pub(in crate::marketplace) async fn sales_of(
    tx: &mut Tx<'_>,
    user: &Id,
    after: &str,
    limit: i64,
) -> Result<Vec<PurchaseRequest>> {
    const OF_SELLER: &str = "
        SELECT * FROM purchase_requests WHERE seller_id = $1 AND id > $2 ORDER BY id LIMIT $3";
    let rows = tx.all(OF_SELLER, &params![user, after, limit]).await?;
    rows.iter().map(|row| Ok(requests::row(row)?.document)).collect()
}

/// Takes away what its seller said to an offer.
pub(in crate::marketplace) async fn erase_message(tx: &mut Tx<'_>, offer: &Id) -> Result<()> {
    const ERASE: &str = "UPDATE offers SET message = NULL WHERE id = $1";
    tx.execute(ERASE, &params![offer]).await?;
    Ok(())
}

/// The checkouts that a user made, in the order of their ids.
pub(in crate::marketplace) async fn checkouts_of(
    tx: &mut Tx<'_>,
    user: &Id,
    after: &str,
    limit: i64,
) -> Result<Vec<Checkout>> {
    const OF_BUYER: &str = "
        SELECT * FROM checkouts WHERE buyer_id = $1 AND id > $2 ORDER BY id LIMIT $3";
    let mut found = Vec::new();
    for row in tx.all(OF_BUYER, &params![user, after, limit]).await? {
        found.extend(checkouts::complete(tx, Some(row)).await?);
    }
    Ok(found)
}
