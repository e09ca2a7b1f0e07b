//! Where the buyer pays to: what the provider is asked for, and what is known after it answered.

use super::{
    PaymentService, Provider,
    refusals::{conflict, no_payment, not_done},
};
use crate::{
    db::Tx,
    error::{Error, Result},
    id::Id,
    log_limit,
    money::Currency,
    payments::{
        announcements,
        documents::{LedgerKind, Payment, PaymentInvoice},
        events::PaymentStatus,
        shkeeper::{InvoiceOrder, ProviderError},
        store::{
            self,
            ledger::{self, NewEntry},
            payments::PaymentRow,
        },
    },
};

impl PaymentService {
    /// Has the provider tell where to pay to. Asking again for the same payment is harmless: the
    /// provider knows it by its id and the path of its callback.
    pub(super) async fn invoice(
        &self,
        provider: &Provider,
        row: PaymentRow,
        crypto: &Currency,
        is_new: bool,
    ) -> Result<(Payment, bool)> {
        let PaymentRow { document: payment, webhook_token } = row;
        let token = webhook_token.ok_or_else(|| Error::internal("a payment has no token"))?;
        let order = InvoiceOrder {
            external_id: payment.id.to_string(),
            fiat: payment.currency.clone(),
            amount: payment.amount,
            callback_url: provider.payment_callback(&token),
        };
        match provider.client.payment_request(crypto, &order).await {
            Ok(invoice) => {
                let invoice = PaymentInvoice {
                    wallet: invoice.wallet,
                    crypto: invoice.crypto,
                    crypto_amount: invoice.amount,
                    exchange_rate: invoice.exchange_rate,
                    display_name: invoice.display_name,
                };
                self.invoiced(payment.id, invoice, is_new).await
            }
            Err(error) => {
                if matches!(error, ProviderError::Refused(_)) {
                    self.refused(payment.id).await?;
                }
                if let Some(left_out) = log_limit::admit("invoice", None, &error.to_string()) {
                    tracing::warn!(%error, left_out, "an invoice was not made");
                }
                Err(not_done(error))
            }
        }
    }

    /// Notes an invoice, and gives back with the payment whether that is new.
    async fn invoiced(
        &self,
        id: Id,
        invoice: PaymentInvoice,
        is_new: bool,
    ) -> Result<(Payment, bool)> {
        let unit = async move |tx: &mut Tx<'_>| {
            let row = store::payments::find_for_update(tx, &id).await?.ok_or_else(no_payment)?;
            let mut payment = row.document;
            if payment.invoice.as_ref() == Some(&invoice) {
                return Ok((payment, is_new));
            }
            if payment.status == PaymentStatus::Failed {
                return Err(conflict("The payment failed meanwhile; begin another."));
            }
            store::payments::set_invoice(tx, &id, &invoice).await?;
            let entry = NewEntry {
                amount: Some(invoice.crypto_amount),
                currency: Some(invoice.crypto.clone()),
                ..NewEntry::new(LedgerKind::Invoiced)
            };
            ledger::add(tx, &id, entry).await?;
            let first = payment.invoice.replace(invoice).is_none();
            if first {
                tx.announce(announcements::created(&payment));
            }
            Ok((payment, is_new))
        };
        self.db.write(unit).await
    }

    /// Nobody has heard of the payment yet, so nobody hears of its end.
    async fn refused(&self, id: Id) -> Result<()> {
        let unit = async move |tx: &mut Tx<'_>| {
            let row = store::payments::find_for_update(tx, &id).await?.ok_or_else(no_payment)?;
            let mut payment = row.document;
            if payment.status == PaymentStatus::Pending && payment.invoice.is_none() {
                payment.status = PaymentStatus::Failed;
                payment.updated_at = tx.now();
                store::payments::set_status(tx, &payment).await?;
                let entry = NewEntry::new(LedgerKind::Failed).because("the provider refused it");
                ledger::add(tx, &id, entry).await?;
            }
            Ok(())
        };
        self.db.write(unit).await
    }
}
