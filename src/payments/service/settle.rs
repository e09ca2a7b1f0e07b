//! A payment that is confirmed, by whomever: its own rows, its request and what is told of it, in
//! the unit of work of who confirms.

use super::refusals::no_payment;
use crate::{
    db::Tx,
    error::{Error, Result},
    id::Id,
    marketplace::{PaidBy, Sale},
    money::{Amount, Money},
    notifications::NotificationService,
    payments::{
        announcements,
        documents::{LedgerKind, Payment},
        events::PaymentStatus,
        happenings,
        store::{
            self,
            ledger::{self, NewEntry},
        },
    },
};

/// What became of a confirmation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::payments) enum Settled {
    /// The request is paid.
    Applied,
    /// The money is here, but is not the price, or the request was called off, or paid otherwise.
    Unapplied,
    /// It had been confirmed before.
    Before,
}

impl Settled {
    /// Tells an operator of money that has to go back. After the commit.
    pub(super) fn log(self, payment: &Payment) {
        if self == Self::Unapplied {
            tracing::warn!(
                payment = %payment.id,
                request = %payment.request_id,
                "a payment was confirmed that does not pay its request: it is not the price, or the \
                 request was called off or paid before"
            );
        }
    }
}

/// A payment with its sale, both locked until the end of the unit: the request first, as
/// everywhere.
pub(super) async fn find_for_update(tx: &mut Tx<'_>, id: &Id) -> Result<(Sale, Payment)> {
    let payment = store::payments::find(tx, id).await?.ok_or_else(no_payment)?.document;
    let sale = Sale::find_for_update(tx, &payment.request_id).await?;
    let sale = sale.ok_or_else(|| Error::internal("a payment's request is missing"))?;
    let payment = store::payments::find_for_update(tx, id).await?.ok_or_else(no_payment)?.document;
    Ok((sale, payment))
}

/// Confirms a payment whose money and transaction are noted in `payment`.
pub(super) async fn confirm(
    tx: &mut Tx<'_>,
    notifications: &NotificationService,
    sale: &mut Sale,
    payment: &mut Payment,
) -> Result<Settled> {
    payment.status = PaymentStatus::Confirmed;
    payment.updated_at = tx.now();
    store::payments::set_status(tx, payment).await?;
    let entry = NewEntry::of(LedgerKind::Confirmed, payment, payment.received_amount);
    ledger::add(tx, &payment.id, entry).await?;
    if let Some(more) = payment.received_amount.minus(payment.amount)
        && more > Amount::ZERO
    {
        let entry = NewEntry::of(LedgerKind::Overpaid, payment, more);
        ledger::add(tx, &payment.id, entry).await?;
    }
    tx.announce(announcements::updated(payment));
    let by = PaidBy {
        payment_id: payment.id.clone(),
        tx_hash: payment.tx_hash.clone(),
        provider: store::word(payment.provider)?,
        money: Money { amount: payment.amount, currency: payment.currency.clone() },
    };
    if !sale.pay(tx, &by).await? {
        let entry = NewEntry::of(LedgerKind::Unapplied, payment, payment.received_amount);
        let why = "it is not the price, or the request had been called off or paid before";
        ledger::add(tx, &payment.id, entry.because(why)).await?;
        return Ok(Settled::Unapplied);
    }
    tx.announce(announcements::received(payment));
    notifications.notify_of(tx, vec![happenings::received(sale, payment)]).await?;
    Ok(Settled::Applied)
}
