//! Lists of requests. Each is gathered from stretches of indexes that are in the order of the list
//! and no longer than a page, so it costs the page, whoever asks and for whatever.
//!
//! A list goes back from where the page before ended (`$1`), the first page from what is after
//! every id. Whoever has an offer that was accepted is the request's seller; one that waits is on a
//! request that is open, or was called off.

use super::requests::row;
use crate::{
    db::{Row, Tx},
    error::Result,
    id::Id,
    marketplace::documents::{PurchaseRequest, RequestStatus},
    params,
};

/// Whose requests a list has.
pub(in crate::marketplace) struct Listed<'a> {
    /// Who asks.
    pub(in crate::marketplace) user: &'a Id,
    /// They see all.
    pub(in crate::marketplace) all: bool,
    /// They see what is open.
    pub(in crate::marketplace) open: bool,
    /// Only those that stand here.
    pub(in crate::marketplace) status: Option<RequestStatus>,
    /// Only those of this buyer.
    pub(in crate::marketplace) buyer: Option<&'a Id>,
    /// Only those made before this one.
    pub(in crate::marketplace) before: Option<&'a Id>,
}

/// A list, the newest first.
pub(in crate::marketplace) async fn list(
    tx: &mut Tx<'_>,
    listed: &Listed<'_>,
    limit: i64,
) -> Result<Vec<PurchaseRequest>> {
    // One's own are all there for whoever asks.
    let rows = if listed.all || listed.buyer == Some(listed.user) {
        whole(tx, listed, limit).await?
    } else {
        visible(tx, listed, limit).await?
    };
    rows.iter().map(|found| Ok(row(found)?.document)).collect()
}

/// All that there are.
async fn whole(tx: &mut Tx<'_>, listed: &Listed<'_>, limit: i64) -> Result<Vec<Row>> {
    const ALL: &str = "
        WITH upto AS (SELECT COALESCE(
            NULLIF($1, ''), (SELECT MAX(id) || '0' FROM purchase_requests)) AS id)
        SELECT * FROM purchase_requests
        WHERE id < (SELECT id FROM upto) ORDER BY id DESC LIMIT $2";
    const IN_STATUS: &str = "
        WITH upto AS (SELECT COALESCE(
            NULLIF($1, ''), (SELECT MAX(id) || '0' FROM purchase_requests)) AS id)
        SELECT * FROM purchase_requests
        WHERE status = $3 AND id < (SELECT id FROM upto) ORDER BY id DESC LIMIT $2";
    const OF_BUYER: &str = "
        WITH upto AS (SELECT COALESCE(
            NULLIF($1, ''), (SELECT MAX(id) || '0' FROM purchase_requests)) AS id)
        SELECT * FROM purchase_requests
        WHERE buyer_id = $3 AND id < (SELECT id FROM upto) ORDER BY id DESC LIMIT $2";
    const OF_BUYER_IN_STATUS: &str = "
        WITH upto AS (SELECT COALESCE(
            NULLIF($1, ''), (SELECT MAX(id) || '0' FROM purchase_requests)) AS id)
        SELECT * FROM purchase_requests
        WHERE buyer_id = $3 AND status = $4 AND id < (SELECT id FROM upto)
        ORDER BY id DESC LIMIT $2";
    let before = before(listed);
    let rows = match (listed.buyer, listed.status.map(RequestStatus::as_str)) {
        (None, None) => tx.all(ALL, &params![before, limit]).await,
        (None, Some(status)) => tx.all(IN_STATUS, &params![before, limit, status]).await,
        (Some(buyer), None) => tx.all(OF_BUYER, &params![before, limit, buyer]).await,
        (Some(buyer), Some(status)) => {
            tx.all(OF_BUYER_IN_STATUS, &params![before, limit, buyer, status]).await
        }
    };
    Ok(rows?)
}

/// What somebody may see.
const VISIBLE: &str = "
    WITH upto AS (SELECT COALESCE(
        NULLIF($1, ''), (SELECT MAX(id) || '0' FROM purchase_requests)) AS id)
    SELECT r.* FROM (
        SELECT id FROM (
            SELECT id FROM purchase_requests
            WHERE $4 = 1 AND status = 'open'
                AND id < (SELECT id FROM upto)
            ORDER BY id DESC LIMIT $3) AS open
        UNION SELECT id FROM (
            SELECT id FROM purchase_requests
            WHERE buyer_id = $2
                AND id < (SELECT id FROM upto)
            ORDER BY id DESC LIMIT $3) AS bought
        UNION SELECT id FROM (
            SELECT id FROM purchase_requests
            WHERE seller_id = $2
                AND id < (SELECT id FROM upto)
            ORDER BY id DESC LIMIT $3) AS sold
        UNION SELECT id FROM (
            SELECT request_id AS id FROM offers
            WHERE seller_id = $2 AND called_off = 0 AND status = 'pending'
                AND request_id < (SELECT id FROM upto)
            ORDER BY request_id DESC LIMIT $3) AS waiting
        UNION SELECT id FROM (
            SELECT request_id AS id FROM offers
            WHERE seller_id = $2 AND called_off = 1 AND status = 'pending'
                AND request_id < (SELECT id FROM upto)
            ORDER BY request_id DESC LIMIT $3) AS called_off
        ORDER BY id DESC LIMIT $3) AS page
    JOIN purchase_requests r ON r.id = page.id ORDER BY page.id DESC";

/// Of that what stands at `$5`.
const VISIBLE_IN_STATUS: &str = "
    WITH upto AS (SELECT COALESCE(
        NULLIF($1, ''), (SELECT MAX(id) || '0' FROM purchase_requests)) AS id)
    SELECT r.* FROM (
        SELECT id FROM (
            SELECT id FROM purchase_requests
            WHERE $4 = 1 AND status = 'open' AND $5 = 'open'
                AND id < (SELECT id FROM upto)
            ORDER BY id DESC LIMIT $3) AS open
        UNION SELECT id FROM (
            SELECT id FROM purchase_requests
            WHERE buyer_id = $2 AND status = $5
                AND id < (SELECT id FROM upto)
            ORDER BY id DESC LIMIT $3) AS bought
        UNION SELECT id FROM (
            SELECT id FROM purchase_requests
            WHERE seller_id = $2 AND status = $5
                AND id < (SELECT id FROM upto)
            ORDER BY id DESC LIMIT $3) AS sold
        UNION SELECT id FROM (
            SELECT request_id AS id FROM offers
            WHERE $5 = 'open' AND seller_id = $2 AND called_off = 0 AND status = 'pending'
                AND request_id < (SELECT id FROM upto)
            ORDER BY request_id DESC LIMIT $3) AS waiting
        UNION SELECT id FROM (
            SELECT request_id AS id FROM offers
            WHERE $5 = 'cancelled' AND seller_id = $2 AND called_off = 1 AND status = 'pending'
                AND request_id < (SELECT id FROM upto)
            ORDER BY request_id DESC LIMIT $3) AS called_off
        ORDER BY id DESC LIMIT $3) AS page
    JOIN purchase_requests r ON r.id = page.id ORDER BY page.id DESC";

/// What another buyer made, `$5`, and stands at `$6`.
const VISIBLE_OF_BUYER_IN_STATUS: &str = "
    WITH upto AS (SELECT COALESCE(
        NULLIF($1, ''), (SELECT MAX(id) || '0' FROM purchase_requests)) AS id)
    SELECT r.* FROM (
        SELECT id FROM (
            SELECT id FROM purchase_requests
            WHERE $4 = 1 AND buyer_id = $5 AND status = 'open' AND $6 = 'open'
                AND id < (SELECT id FROM upto)
            ORDER BY id DESC LIMIT $3) AS open
        UNION SELECT id FROM (
            SELECT id FROM purchase_requests
            WHERE seller_id = $2 AND buyer_id = $5 AND status = $6
                AND id < (SELECT id FROM upto)
            ORDER BY id DESC LIMIT $3) AS sold
        UNION SELECT id FROM (
            SELECT request_id AS id FROM offers
            WHERE $6 = 'open' AND seller_id = $2 AND buyer_id = $5 AND called_off = 0
                AND status = 'pending'
                AND request_id < (SELECT id FROM upto)
            ORDER BY request_id DESC LIMIT $3) AS waiting
        UNION SELECT id FROM (
            SELECT request_id AS id FROM offers
            WHERE $6 = 'cancelled' AND seller_id = $2 AND buyer_id = $5 AND called_off = 1
                AND status = 'pending'
                AND request_id < (SELECT id FROM upto)
            ORDER BY request_id DESC LIMIT $3) AS called_off
        ORDER BY id DESC LIMIT $3) AS page
    JOIN purchase_requests r ON r.id = page.id ORDER BY page.id DESC";

/// What another buyer made, `$5`.
const VISIBLE_OF_BUYER: &str = "
    WITH upto AS (SELECT COALESCE(
        NULLIF($1, ''), (SELECT MAX(id) || '0' FROM purchase_requests)) AS id)
    SELECT r.* FROM (
        SELECT id FROM (
            SELECT id FROM purchase_requests
            WHERE $4 = 1 AND buyer_id = $5 AND status = 'open'
                AND id < (SELECT id FROM upto)
            ORDER BY id DESC LIMIT $3) AS open
        UNION SELECT id FROM (
            SELECT id FROM purchase_requests
            WHERE seller_id = $2 AND buyer_id = $5
                AND id < (SELECT id FROM upto)
            ORDER BY id DESC LIMIT $3) AS sold
        UNION SELECT id FROM (
            SELECT request_id AS id FROM offers
            WHERE seller_id = $2 AND buyer_id = $5 AND called_off = 0 AND status = 'pending'
                AND request_id < (SELECT id FROM upto)
            ORDER BY request_id DESC LIMIT $3) AS waiting
        UNION SELECT id FROM (
            SELECT request_id AS id FROM offers
            WHERE seller_id = $2 AND buyer_id = $5 AND called_off = 1 AND status = 'pending'
                AND request_id < (SELECT id FROM upto)
            ORDER BY request_id DESC LIMIT $3) AS called_off
        ORDER BY id DESC LIMIT $3) AS page
    JOIN purchase_requests r ON r.id = page.id ORDER BY page.id DESC";

/// Those that are open, where the caller sees them, that they make or sell, and on which they have
/// an offer.
async fn visible(tx: &mut Tx<'_>, listed: &Listed<'_>, limit: i64) -> Result<Vec<Row>> {
    let (before, user, open) = (before(listed), listed.user, listed.open);
    let rows = match (listed.buyer, listed.status.map(RequestStatus::as_str)) {
        (None, None) => tx.all(VISIBLE, &params![before, user, limit, open]).await,
        (None, Some(status)) => {
            tx.all(VISIBLE_IN_STATUS, &params![before, user, limit, open, status]).await
        }
        (Some(buyer), None) => {
            tx.all(VISIBLE_OF_BUYER, &params![before, user, limit, open, buyer]).await
        }
        (Some(buyer), Some(status)) => {
            tx.all(VISIBLE_OF_BUYER_IN_STATUS, &params![before, user, limit, open, buyer, status])
                .await
        }
    };
    Ok(rows?)
}

fn before(listed: &Listed<'_>) -> String {
    listed.before.map(Id::to_string).unwrap_or_default()
}
