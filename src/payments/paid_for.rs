//! The payments for a request, for whoever looks at a sale as a whole.

use super::{
    documents::{Payment, PaymentView, Payout},
    store::{self, ledger},
};
use crate::{db::Tx, error::Result, id::Id};

/// A payment with its ledger, and what was paid out of it.
pub struct PaidFor {
    /// The payment.
    pub payment: PaymentView,
    /// Its payouts, the first first.
    pub payouts: Vec<Payout>,
}

/// The payments for a request, the newest first; so many of them.
///
/// # Errors
/// The store's.
pub async fn paid_for(tx: &mut Tx<'_>, request: &Id, most: i64) -> Result<Vec<PaidFor>> {
    let payments: Vec<Payment> = store::payments::list(tx, None, Some(request), None, most).await?;
    let mut paid = Vec::with_capacity(payments.len());
    for payment in payments {
        let ledger = ledger::list(tx, &payment.id).await?;
        let payouts = store::payouts::of_payment(tx, &payment.id).await?;
        paid.push(PaidFor { payment: PaymentView { payment, ledger }, payouts });
    }
    Ok(paid)
}
