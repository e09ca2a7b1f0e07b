//! What a payment is there to be paid out for: to its seller, once, and no more than came.

use std::{collections::HashMap, sync::Arc};

use super::refusals::{conflict, paid_out};
use crate::{
    config::PaymentsConfig,
    db::Tx,
    error::{Error, Result},
    id::Id,
    money::{Amount, Currency},
    payments::{
        documents::{LedgerKind, Payment},
        events::{EscrowState, PaymentStatus},
        requests::CreatePayout,
        store::{self, ledger, payouts},
    },
};

/// Which coins are worth a currency one to one. Cheap to clone.
#[derive(Clone)]
pub(super) struct Pegs(Arc<HashMap<String, String>>);

impl Pegs {
    /// As configured.
    pub(super) fn new(config: &PaymentsConfig) -> Self {
        let on_chains = config.pegs().flat_map(|(coin, currency)| {
            let chains = config.networks.iter().map(move |network| format!("{network}-{coin}"));
            let names = chains.chain([coin.to_owned()]);
            names.map(|name| (name, currency.to_owned())).collect::<Vec<_>>()
        });
        Self(Arc::new(on_chains.collect()))
    }

    /// What a currency is counted in: `ETH-USDT` is USDT on a chain, which is worth a USD.
    fn unit<'a>(&'a self, currency: &'a Currency) -> &'a str {
        let code = currency.as_str();
        self.0.get(code).map_or(code, String::as_str)
    }

    /// How much of a currency a payment may be paid out in; none in what it was not paid in.
    fn most(&self, payment: &Payment, currency: &Currency) -> Option<Amount> {
        if self.unit(currency) == self.unit(&payment.currency) {
            return Some(payment.amount.min(payment.received_amount));
        }
        // Other coins are worth what the provider said when it asked the buyer for them.
        let invoice = payment.invoice.as_ref().filter(|invoice| invoice.crypto == *currency)?;
        Some(invoice.crypto_amount.prorated(payment.received_amount, payment.amount))
    }
}

/// Refuses a payment that is not there to be paid out like this.
pub(super) async fn check_payment(
    tx: &mut Tx<'_>,
    payment: &Id,
    request: &CreatePayout,
    pegs: &Pegs,
) -> Result<()> {
    let Some(row) = store::payments::find_for_update(tx, payment).await? else {
        return Err(Error::invalid("/paymentId", "is not a payment"));
    };
    let payment = row.document;
    if payment.seller_id != request.seller_id {
        return Err(Error::invalid("/sellerId", "is not the seller of this payment"));
    }
    if payment.status != PaymentStatus::Confirmed {
        return Err(conflict("The payment is not confirmed."));
    }
    if payment.escrow_state == Some(EscrowState::Refunded) {
        return Err(conflict("The money went back to the buyer."));
    }
    if ledger::has(tx, &payment.id, LedgerKind::Unapplied).await? {
        return Err(conflict("The money is the buyer's: the request was not paid with it."));
    }
    if payouts::is_paid_out(tx, &payment.id).await? {
        return Err(paid_out());
    }
    let Some(most) = pegs.most(&payment, &request.currency) else {
        let sentence = format!("the payment is in {}, not in this", payment.currency);
        return Err(Error::invalid("/currency", sentence));
    };
    if request.amount > most {
        let sentence = format!("is more than the payment's {most} {}", request.currency);
        return Err(Error::invalid("/amount", sentence));
    }
    Ok(())
}
