//! The coins that the provider was asked for, in the table `payment_coins`: money in others was not
//! asked for.

use std::collections::HashMap;

use crate::{
    db::Tx,
    error::Result,
    id::Id,
    money::{Amount, Currency},
    params,
};

/// Notes that the provider is asked for a coin; `change` where another had been invoiced.
pub(in crate::payments) async fn ask(
    tx: &mut Tx<'_>,
    payment: &Id,
    crypto: &Currency,
    change: bool,
) -> Result<()> {
    const ASK: &str = "
        INSERT INTO payment_coins (payment_id, crypto, changes) VALUES ($1, $2, $3)
        ON CONFLICT (payment_id, crypto)
            DO UPDATE SET changes = payment_coins.changes + EXCLUDED.changes";
    tx.execute(ASK, &params![payment, crypto, change]).await?;
    Ok(())
}

/// How often the coin of a payment was changed.
pub(in crate::payments) async fn changes(tx: &mut Tx<'_>, payment: &Id) -> Result<i64> {
    const CHANGES: &str = "
        SELECT CAST(COALESCE(SUM(changes), 0) AS BIGINT) AS changes FROM payment_coins
        WHERE payment_id = $1";
    Ok(tx.one(CHANGES, &params![payment]).await?.get("changes")?)
}

/// How much of each coin the provider said that a payment is worth, when it said so last.
pub(in crate::payments) async fn invoiced(
    tx: &mut Tx<'_>,
    payment: &Id,
) -> Result<HashMap<Currency, Amount>> {
    const INVOICED: &str = "
        SELECT currency, amount FROM payment_ledger
        WHERE payment_id = $1 AND kind = 'invoiced' ORDER BY ordinal";
    let rows = tx.all(INVOICED, &params![payment]).await?;
    rows.iter().map(|row| Ok((row.get("currency")?, row.get("amount")?))).collect()
}

/// The coins that a payment may be paid in.
pub(in crate::payments) async fn list(tx: &mut Tx<'_>, payment: &Id) -> Result<Vec<Currency>> {
    const LIST: &str = "SELECT crypto FROM payment_coins WHERE payment_id = $1";
    let rows = tx.all(LIST, &params![payment]).await?;
    rows.iter().map(|row| Ok(row.get("crypto")?)).collect()
}
