//! Requests, offers and checkouts that are taken in from a file, or written into one.

use super::{
    checkouts, offers,
    requests::{self, RequestRow},
};
use crate::{
    db::Tx,
    error::Result,
    marketplace::documents::{Checkout, Offer},
    params,
};

/// The requests after this one.
pub(in crate::marketplace) async fn requests_after(
    tx: &mut Tx<'_>,
    after: &str,
    limit: i64,
) -> Result<Vec<RequestRow>> {
    const AFTER: &str = "SELECT * FROM purchase_requests WHERE id > $1 ORDER BY id LIMIT $2";
    tx.all(AFTER, &params![after, limit]).await?.iter().map(requests::row).collect()
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
