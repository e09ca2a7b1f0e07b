//! Who shares a request with whom: its buyer with its seller, and with those whose offers wait.
//! Whoever has an offer that was accepted is the request's seller.

use std::collections::HashSet;

use crate::{
    db::{Tx, Value},
    error::Result,
    id::Id,
    params,
};

/// The contacts of these users whose ids come after `after`, as pairs of user and contact; no more
/// than `limit`, those of one user in their order. Each is looked for by the one before, so that a
/// thousand requests between two cost one look.
pub(in crate::marketplace) async fn contacts(
    tx: &mut Tx<'_>,
    users: &[Id],
    after: Option<&Id>,
    limit: i64,
) -> Result<Vec<(Id, Id)>> {
    const CONTACTS: &str = "
        WITH RECURSIVE contact (of, id) AS (
            SELECT asked.key, $2 FROM json_each(json(CAST($1 AS TEXT))) AS asked
            UNION ALL
            SELECT contact.of, (
                SELECT MIN(next.id) FROM (
                    SELECT (
                        SELECT r.buyer_id FROM purchase_requests r
                        WHERE r.seller_id = contact.of AND r.buyer_id > contact.id
                        ORDER BY r.buyer_id LIMIT 1) AS id
                    UNION ALL SELECT (
                        SELECT r.seller_id FROM purchase_requests r
                        WHERE r.buyer_id = contact.of AND r.seller_id > contact.id
                        ORDER BY r.seller_id LIMIT 1)
                    UNION ALL SELECT (
                        SELECT o.buyer_id FROM offers o
                        WHERE o.seller_id = contact.of AND o.buyer_id > contact.id
                            AND o.status = 'pending'
                        ORDER BY o.buyer_id LIMIT 1)
                    UNION ALL SELECT (
                        SELECT o.seller_id FROM offers o
                        WHERE o.buyer_id = contact.of AND o.seller_id > contact.id
                            AND o.status = 'pending'
                        ORDER BY o.seller_id LIMIT 1)) AS next)
            FROM contact WHERE contact.id IS NOT NULL)
        SELECT of, id FROM contact WHERE id > $2 LIMIT $3";
    let after = after.map(Id::to_string).unwrap_or_default();
    let rows = tx.all(CONTACTS, &params![Value::keys(users), after, limit]).await?;
    rows.iter().map(|row| Ok((row.get("of")?, row.get("id")?))).collect()
}

/// Those of these users who share a request with another.
pub(in crate::marketplace) async fn shared(
    tx: &mut Tx<'_>,
    user: &Id,
    others: &[Id],
) -> Result<HashSet<Id>> {
    const SHARED: &str = "
        SELECT asked.key AS id FROM json_each(json(CAST($1 AS TEXT))) AS asked
        WHERE EXISTS (
                SELECT 1 FROM purchase_requests WHERE seller_id = asked.key AND buyer_id = $2)
            OR EXISTS (
                SELECT 1 FROM purchase_requests WHERE seller_id = $2 AND buyer_id = asked.key)
            OR EXISTS (
                SELECT 1 FROM offers
                WHERE seller_id = asked.key AND buyer_id = $2 AND status = 'pending')
            OR EXISTS (
                SELECT 1 FROM offers
                WHERE seller_id = $2 AND buyer_id = asked.key AND status = 'pending')";
    let rows = tx.all(SHARED, &params![Value::keys(others), user]).await?;
    rows.iter().map(|row| Ok(row.get("id")?)).collect()
}
