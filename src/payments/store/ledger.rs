//! What happened to payments, in the table `payment_ledger`: rows are added and never changed.

use super::{read, word};
use crate::{
    db::{Row, Tx},
    error::Result,
    id::Id,
    money::{Amount, Currency},
    params,
    payments::documents::{LedgerEntry, LedgerKind, Payment},
};

/// Something that happened to a payment.
pub(in crate::payments) struct NewEntry {
    pub(in crate::payments) kind: LedgerKind,
    pub(in crate::payments) amount: Option<Amount>,
    pub(in crate::payments) currency: Option<Currency>,
    pub(in crate::payments) tx_hash: Option<String>,
    pub(in crate::payments) detail: Option<String>,
}

impl NewEntry {
    /// Without anything to add.
    pub(in crate::payments) fn new(kind: LedgerKind) -> Self {
        Self { kind, amount: None, currency: None, tx_hash: None, detail: None }
    }

    /// About some of the payment's money.
    pub(in crate::payments) fn of(kind: LedgerKind, payment: &Payment, amount: Amount) -> Self {
        Self {
            amount: Some(amount),
            currency: Some(payment.currency.clone()),
            tx_hash: payment.tx_hash.clone(),
            ..Self::new(kind)
        }
    }

    /// With a word to it.
    pub(in crate::payments) fn because(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}

/// Adds to a payment's ledger.
pub(in crate::payments) async fn add(tx: &mut Tx<'_>, payment: &Id, entry: NewEntry) -> Result<()> {
    const NEXT: &str = "
        UPDATE payments SET ledger_entries = ledger_entries + 1 WHERE id = $1
        RETURNING ledger_entries";
    let ordinal = tx.one(NEXT, &params![payment]).await?.get("ledger_entries")?;
    let NewEntry { kind, amount, currency, tx_hash, detail } = entry;
    let entry =
        LedgerEntry { ordinal, kind, amount, currency, tx_hash, detail, created_at: tx.now() };
    insert(tx, payment, &entry).await
}

/// Adds an entry under its number, which is counted already.
pub(in crate::payments) async fn insert(
    tx: &mut Tx<'_>,
    payment: &Id,
    entry: &LedgerEntry,
) -> Result<()> {
    const ADD: &str = "
        INSERT INTO payment_ledger
            (payment_id, ordinal, kind, amount, currency, tx_hash, detail, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let row = params![
        payment,
        i64::try_from(entry.ordinal).unwrap_or(i64::MAX),
        word(entry.kind)?,
        entry.amount,
        entry.currency.as_ref(),
        entry.tx_hash.as_ref(),
        entry.detail.as_ref(),
        entry.created_at,
    ];
    tx.execute(ADD, &row).await?;
    Ok(())
}

/// Whether something has happened to a payment.
pub(in crate::payments) async fn has(
    tx: &mut Tx<'_>,
    payment: &Id,
    kind: LedgerKind,
) -> Result<bool> {
    const HAS: &str = "
        SELECT COUNT(*) AS entries FROM payment_ledger WHERE payment_id = $1 AND kind = $2";
    let entries: i64 = tx.one(HAS, &params![payment, word(kind)?]).await?.get("entries")?;
    Ok(entries > 0)
}

/// A payment's ledger, the first entry first.
pub(in crate::payments) async fn list(tx: &mut Tx<'_>, payment: &Id) -> Result<Vec<LedgerEntry>> {
    const LIST: &str = "SELECT * FROM payment_ledger WHERE payment_id = $1 ORDER BY ordinal";
    tx.all(LIST, &params![payment]).await?.iter().map(entry).collect()
}

fn entry(row: &Row) -> Result<LedgerEntry> {
    Ok(LedgerEntry {
        ordinal: row.get("ordinal")?,
        kind: read(row, "kind")?,
        amount: row.get("amount")?,
        currency: row.get("currency")?,
        tx_hash: row.get("tx_hash")?,
        detail: row.get("detail")?,
        created_at: row.get("created_at")?,
    })
}

#[cfg(test)]
mod tests {
    /// Whoever means to change what happened finds it here.
    #[test]
    fn the_ledger_is_only_added_to() {
        for source in [
            include_str!("coins.rs"),
            include_str!("ledger.rs"),
            include_str!("payments.rs"),
            include_str!("payouts.rs"),
            include_str!("unsettled.rs"),
            include_str!("webhooks.rs"),
        ] {
            for verb in ["UPDATE", "DELETE FROM"] {
                assert!(!source.contains(&format!("{verb} payment_ledger")));
            }
        }
    }
}
