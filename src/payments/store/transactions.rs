//! Which payment a transaction pays, in the table `payment_transactions`: one, under whatever name.

use crate::{db::Tx, error::Result, id::Id, params, payments::transaction};

/// Takes a transaction for a payment; false when it pays another. Who takes several takes them in
/// the order of their keys, so that two who do so do not wait for each other.
pub(in crate::payments) async fn claim(
    tx: &mut Tx<'_>,
    tx_hash: &str,
    payment: &Id,
) -> Result<bool> {
    const CLAIM: &str = "
        INSERT INTO payment_transactions (tx_key, payment_id) VALUES ($1, $2)
        ON CONFLICT (tx_key) DO NOTHING";
    const PAYS: &str = "SELECT payment_id FROM payment_transactions WHERE tx_key = $1";
    let key = transaction::key(tx_hash);
    if tx.execute(CLAIM, &params![&key, payment]).await? == 1 {
        return Ok(true);
    }
    let pays: Id = tx.one(PAYS, &params![key]).await?.get("payment_id")?;
    Ok(pays == *payment)
}
