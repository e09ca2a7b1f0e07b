//! The rules of payments.

use std::sync::Arc;

use super::{
    PaymentService, Provider, conflict, no_payment, no_request, not_done,
    settle::{self, Settled},
    token, transaction,
};
use crate::{
    auth::{Identity, Role},
    db::Tx,
    error::{Error, Result},
    http::{
        list::{List, Page},
        to_the_end,
    },
    id::Id,
    marketplace::Sale,
    money::{Amount, Currency, Money},
    payments::{
        announcements,
        documents::{LedgerKind, Payment, PaymentInvoice, PaymentView},
        events::{EscrowState, PaymentProvider, PaymentStatus},
        requests::{CreatePayment, Filter},
        shkeeper::{InvoiceOrder, ProviderError},
        store::{
            self,
            ledger::{self, NewEntry},
            payments::PaymentRow,
        },
    },
};

impl PaymentService {
    /// Begins a payment; the one of the same provider that is under way is given back, with false.
    pub(in crate::payments) async fn pay(
        &self,
        caller: Arc<Identity>,
        request: CreatePayment,
    ) -> Result<(Payment, bool)> {
        let provider = match request.provider {
            PaymentProvider::Shkeeper => Some(self.provider()?.clone()),
            PaymentProvider::Decentralized if request.crypto.is_some() => {
                return Err(Error::invalid("/crypto", "is for the provider shkeeper"));
            }
            PaymentProvider::Decentralized => None,
        };
        let service = self.clone();
        to_the_end(async move {
            let asked = request.crypto.clone();
            let (row, begun) = service.begin_payment(caller, request).await?;
            let Some(provider) = provider else { return Ok((row.document, begun)) };
            let invoiced = row.document.invoice.as_ref().map(|invoice| &invoice.crypto);
            // The buyer may change the coin, and what another call left without an invoice is taken
            // up again.
            let crypto = match (asked, invoiced) {
                (Some(asked), invoiced) if invoiced != Some(&asked) => asked,
                (_, None) => provider.client.crypto().clone(),
                (_, Some(_)) => return Ok((row.document, begun)),
            };
            Ok((service.invoice(&provider, row, &crypto).await?, begun))
        })
        .await
    }

    /// Writes a payment down, or finds the one that is under way.
    async fn begin_payment(
        &self,
        caller: Arc<Identity>,
        request: CreatePayment,
    ) -> Result<(PaymentRow, bool)> {
        let id = Id::from(self.ids.next());
        let unit = async move |tx: &mut Tx<'_>| {
            let sale = Sale::hold(tx, &request.request_id).await?.ok_or_else(no_request)?;
            if *sale.buyer() != caller.user_id && !caller.has(Role::Service) {
                return Err(no_request());
            }
            let terms = sale.terms()?;
            let money = Money {
                amount: request.amount.unwrap_or(terms.price.amount),
                currency: request.currency.unwrap_or_else(|| terms.price.currency.clone()),
            };
            if money != terms.price && !caller.has(Role::Service) {
                return Err(conflict("This is not the price of the accepted offer."));
            }
            let provider = request.provider;
            if let Some(row) = store::payments::under_way(tx, &request.request_id, provider).await?
            {
                if (row.document.amount, &row.document.currency) != (money.amount, &money.currency)
                {
                    return Err(conflict("A payment of another amount is under way."));
                }
                return Ok((row, false));
            }
            let payment = Payment {
                id: id.clone(),
                underscore_id: id,
                request_id: request.request_id,
                buyer_id: sale.buyer().clone(),
                seller_id: terms.seller,
                provider,
                amount: money.amount,
                currency: money.currency,
                status: PaymentStatus::Pending,
                escrow_state: None,
                tx_hash: None,
                received_amount: Amount::ZERO,
                invoice: None,
                created_at: tx.now(),
                updated_at: tx.now(),
            };
            let by_provider = provider == PaymentProvider::Shkeeper;
            let webhook_token = by_provider.then(token);
            if !store::payments::insert(tx, &payment, webhook_token.clone()).await? {
                return Err(Error::internal("a payment began while its request was held"));
            }
            let entry = NewEntry::of(LedgerKind::Created, &payment, payment.amount);
            ledger::add(tx, &payment.id, entry).await?;
            if !by_provider {
                tx.announce(announcements::created(&payment));
            }
            Ok((PaymentRow { document: payment, webhook_token }, true))
        };
        self.db.write(unit).await
    }

    /// Has the provider tell where to pay to. Asking again for the same payment is harmless: the
    /// provider knows it by its id and the path of its callback.
    async fn invoice(
        &self,
        provider: &Provider,
        row: PaymentRow,
        crypto: &Currency,
    ) -> Result<Payment> {
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
                self.invoiced(payment.id, invoice).await
            }
            Err(error) => {
                if matches!(error, ProviderError::Refused(_)) {
                    self.refused(payment.id).await?;
                }
                tracing::warn!(%error, "an invoice was not made");
                Err(not_done(error))
            }
        }
    }

    async fn invoiced(&self, id: Id, invoice: PaymentInvoice) -> Result<Payment> {
        let unit = async move |tx: &mut Tx<'_>| {
            let row = store::payments::hold(tx, &id).await?.ok_or_else(no_payment)?;
            let mut payment = row.document;
            if payment.invoice.as_ref() == Some(&invoice) {
                return Ok(payment);
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
            Ok(payment)
        };
        self.db.write(unit).await
    }

    /// Nobody has heard of the payment yet, so nobody hears of its end.
    async fn refused(&self, id: Id) -> Result<()> {
        let unit = async move |tx: &mut Tx<'_>| {
            let row = store::payments::hold(tx, &id).await?.ok_or_else(no_payment)?;
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

    /// A payment with its ledger, for who pays and who is paid.
    pub(in crate::payments) async fn get(
        &self,
        caller: Arc<Identity>,
        id: Id,
    ) -> Result<PaymentView> {
        let unit = async move |tx: &mut Tx<'_>| {
            let payment = store::payments::find(tx, &id).await?.ok_or_else(no_payment)?.document;
            let takes_part = [&payment.buyer_id, &payment.seller_id].contains(&&caller.user_id);
            if !takes_part && !caller.operates() {
                return Err(no_payment());
            }
            let ledger = ledger::list(tx, &id).await?;
            Ok(PaymentView { payment, ledger })
        };
        self.db.read(unit).await
    }

    /// The payments that the caller may see, the newest first.
    pub(in crate::payments) async fn list(
        &self,
        caller: Arc<Identity>,
        filter: Filter,
        page: Page,
    ) -> Result<List<Payment>> {
        let before: Option<Id> = page.after()?;
        let unit = async move |tx: &mut Tx<'_>| {
            let user = (!caller.operates()).then_some(&caller.user_id);
            let limit = i64::try_from(page.fetch()).unwrap_or(i64::MAX);
            let (request, before) = (filter.request_id.as_ref(), before.as_ref());
            let rows = store::payments::list(tx, user, request, before, limit).await?;
            Ok(List::of(rows, &page, |payment| payment.id.to_string()))
        };
        self.db.read(unit).await
    }

    /// Confirms a payment by its transaction. The same again changes nothing.
    pub(in crate::payments) async fn confirm(&self, id: Id, tx_hash: String) -> Result<Payment> {
        let tx_hash = transaction(tx_hash);
        let unit = async move |tx: &mut Tx<'_>| {
            let (mut sale, mut payment) = settle::hold(tx, &id).await?;
            match payment.status {
                PaymentStatus::Confirmed if payment.tx_hash.as_ref() == Some(&tx_hash) => {
                    return Ok((payment, Settled::Before));
                }
                PaymentStatus::Confirmed => {
                    return Err(conflict("The payment is confirmed by another transaction."));
                }
                PaymentStatus::Failed => return Err(conflict("The payment failed.")),
                PaymentStatus::Pending | PaymentStatus::Partial => {}
            }
            if store::payments::is_used(tx, &tx_hash, &id).await? {
                return Err(conflict("This transaction confirmed another payment."));
            }
            payment.tx_hash = Some(tx_hash);
            payment.received_amount = payment.received_amount.max(payment.amount);
            let settled = settle::confirm(tx, &mut sale, &mut payment).await?;
            Ok((payment, settled))
        };
        let (payment, settled) = self.db.write(unit).await?;
        settled.log(&payment);
        Ok(payment)
    }

    /// Notes where a payment's money lies. The same again changes nothing.
    pub(in crate::payments) async fn set_escrow(
        &self,
        id: Id,
        state: EscrowState,
    ) -> Result<Payment> {
        let unit = async move |tx: &mut Tx<'_>| {
            let row = store::payments::hold(tx, &id).await?.ok_or_else(no_payment)?;
            let mut payment = row.document;
            if payment.status != PaymentStatus::Confirmed {
                return Err(conflict("The payment is not confirmed."));
            }
            match payment.escrow_state {
                Some(now) if now == state => return Ok(payment),
                None | Some(EscrowState::Held) => {}
                Some(EscrowState::Released) => {
                    return Err(conflict("The money went to the seller already."));
                }
                Some(EscrowState::Refunded) => {
                    return Err(conflict("The money went back to the buyer already."));
                }
            }
            if state == EscrowState::Refunded && store::payouts::is_paid_out(tx, &id).await? {
                return Err(conflict("The payment is paid out to the seller, or about to be."));
            }
            payment.escrow_state = Some(state);
            payment.updated_at = tx.now();
            store::payments::set_status(tx, &payment).await?;
            let kind = match state {
                EscrowState::Held => LedgerKind::Held,
                EscrowState::Released => LedgerKind::Released,
                EscrowState::Refunded => LedgerKind::Refunded,
            };
            ledger::add(tx, &id, NewEntry::of(kind, &payment, payment.amount)).await?;
            tx.announce(announcements::updated(&payment));
            Ok(payment)
        };
        self.db.write(unit).await
    }
}
