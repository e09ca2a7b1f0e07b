//! Money that waits for somebody, the oldest first: each list has an index of its own.

use super::{payments, payouts};
use crate::{
    clock::Timestamp,
    db::Tx,
    error::Result,
    params,
    payments::documents::{Payment, Payout},
};

/// The payments after this one that were confirmed, pay nothing, and were neither sent back nor handed on.
pub(in crate::payments) async fn unapplied(
    tx: &mut Tx<'_>,
    after: &str,
    limit: i64,
) -> Result<Vec<Payment>> {
    const UNAPPLIED: &str = "
        SELECT p.* FROM payment_ledger l JOIN payments p ON p.id = l.payment_id
        WHERE l.kind = 'unapplied' AND l.payment_id > $1
            AND (p.escrow_state IS NULL OR p.escrow_state = 'held')
        ORDER BY l.payment_id LIMIT $2";
    let rows = tx.all(UNAPPLIED, &params![after, limit]).await?;
    rows.iter().map(|row| Ok(payments::row(row)?.document)).collect()
}

/// The payments after this one of which a part came.
pub(in crate::payments) async fn partial(
    tx: &mut Tx<'_>,
    after: &str,
    limit: i64,
) -> Result<Vec<Payment>> {
    const PARTIAL: &str = "
        SELECT * FROM payments WHERE status = 'partial' AND id > $1 ORDER BY id LIMIT $2";
    let rows = tx.all(PARTIAL, &params![after, limit]).await?;
    rows.iter().map(|row| Ok(payments::row(row)?.document)).collect()
}

/// The payouts after this one that need a look: of which something is not clear, that were begun before
/// `begun_before` and are not through, and that failed last while their payment waits to be handed on.
pub(in crate::payments) async fn payouts(
    tx: &mut Tx<'_>,
    after: &str,
    begun_before: Timestamp,
    limit: i64,
) -> Result<Vec<Payout>> {
    const UNSETTLED: &str = "
        SELECT * FROM payouts p
        WHERE p.status <> 'completed' AND p.id > $1 AND CASE p.status
            WHEN 'failed' THEN EXISTS (
                    SELECT 1 FROM payments paid WHERE paid.id = p.payment_id
                        AND (paid.escrow_state IS NULL OR paid.escrow_state = 'held'))
                AND NOT EXISTS (
                    SELECT 1 FROM payouts other WHERE other.payment_id = p.payment_id
                        AND (other.status <> 'failed' OR other.id > p.id))
            ELSE p.reason IS NOT NULL OR p.created_at < $2 END
        ORDER BY p.id LIMIT $3";
    let rows = tx.all(UNSETTLED, &params![after, begun_before, limit]).await?;
    rows.iter().map(payouts::row).collect()
}
