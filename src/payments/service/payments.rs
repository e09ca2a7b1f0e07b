//! The rules of payments.

use std::{convert::identity, sync::Arc};

use super::{
    PaymentService,
    refusals::{conflict, no_payment, no_request},
    settle::{self, Settled},
    token,
};
use crate::{
    auth::{Identity, Role},
    db::Tx,
    error::{Error, Result},
    id::Id,
    marketplace::{Sale, Terms},
    money::{Amount, Currency, Money},
    payments::{
        announcements,
        documents::{LedgerKind, Payment, PaymentView},
        events::{EscrowState, PaymentProvider, PaymentStatus},
        requests::{CreatePayment, Filter},
        store::{
            self, coins,
            ledger::{self, NewEntry},
            payments::PaymentRow,
            transactions,
        },
        transaction,
    },
    rest::list::{List, Page},
};

impl PaymentService {
    /// Begins a payment; the one of the same provider that is under way is given back, with false.
    pub(in crate::payments) async fn pay(
        &self,
        caller: Arc<Identity>,
        request: CreatePayment,
    ) -> Result<(Payment, bool)> {
        if request.provider == PaymentProvider::Decentralized {
            if request.crypto.is_some() {
                return Err(Error::invalid("/crypto", "is for the provider shkeeper"));
            }
            return self.begin_payment(caller, request, Begun::into_answer).await;
        }
        let provider = self.provider()?.clone();
        let (looking, asked) = (caller.clone(), request.clone());
        let default = provider.client.crypto().clone();
        let look = async move |tx: &mut Tx<'_>| {
            let sale = Sale::find(tx, &asked.request_id).await?.ok_or_else(no_request)?;
            let (_, money) = terms(&sale, &looking, &asked)?;
            let row = under_way(tx, &asked, &money).await?;
            let answered = row.filter(|row| coin_to_ask(row, &asked, &default).is_none());
            Ok((sale.buyer().clone(), answered))
        };
        let (buyer, answered) = self.db.read(look).await?;
        if let Some(row) = answered {
            return Ok((row.document, false));
        }
        let permit = self.invoices.permit(&buyer).await?;
        let service = self.clone();
        self.db
            .run_to_completion(async move {
                let _permit = permit;
                let begun = service.begin_payment(caller, request, |begun| begun).await?;
                match &begun.ask {
                    Some(crypto) => {
                        service.invoice(&provider, begun.row, crypto, begun.is_new).await
                    }
                    None => Ok(begun.into_answer()),
                }
            })
            .await
    }

    /// Writes a payment down, or finds the one that is under way; and with it the coin that the
    /// provider is to be asked for. The buyer may change the coin, and what another call left
    /// without an invoice is taken up again. The unit gives back what is made of it by `give`.
    async fn begin_payment<T: Send + 'static>(
        &self,
        caller: Arc<Identity>,
        request: CreatePayment,
        give: fn(Begun) -> T,
    ) -> Result<T> {
        let id = Id::from(self.ids.next());
        let provider = match request.provider {
            PaymentProvider::Shkeeper => Some(self.provider()?.clone()),
            PaymentProvider::Decentralized => None,
        };
        let invoices = self.invoices.clone();
        let unit = async move |tx: &mut Tx<'_>| {
            let sale =
                Sale::find_for_update(tx, &request.request_id).await?.ok_or_else(no_request)?;
            let (seller, money) = terms(&sale, &caller, &request)?;
            let known = under_way(tx, &request, &money).await?;
            let is_new = known.is_none();
            let row = known.unwrap_or_else(|| new_payment(tx, id, &sale, seller, money, &request));
            let payment = &row.document;
            let ask = provider
                .as_ref()
                .and_then(|provider| coin_to_ask(&row, &request, provider.client.crypto()));
            if let (Some(provider), Some(_)) = (&provider, &ask) {
                let changes = coins::changes(tx, &payment.id).await?;
                if payment.invoice.is_some() && changes >= provider.client.coin_changes() {
                    let sentence = "The coin of this payment was changed too often; pay in the one \
                                    that its invoice names.";
                    return Err(conflict(sentence).with_reason("coin_changes"));
                }
                // Last, so that a call that is refused takes nothing.
                invoices.take(sale.buyer())?;
            }
            if is_new {
                if !store::payments::insert(tx, &row, 0).await? {
                    return Err(Error::internal("a payment began while its request was held"));
                }
                let entry = NewEntry::of(LedgerKind::Created, payment, payment.amount);
                ledger::add(tx, &payment.id, entry).await?;
                if provider.is_none() {
                    tx.announce(announcements::created(payment));
                }
            }
            if let Some(crypto) = &ask {
                coins::ask(tx, &payment.id, crypto, payment.invoice.is_some()).await?;
            }
            Ok(give(Begun { row, is_new, ask }))
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
            Ok(List::of(rows, &page, |payment| payment.id.to_string(), identity))
        };
        self.db.read(unit).await
    }

    /// Confirms a payment by its transaction. The same again changes nothing.
    pub(in crate::payments) async fn confirm(
        &self,
        id: Id,
        tx_hash: String,
    ) -> Result<(Payment, Settled)> {
        let tx_hash = transaction::name(tx_hash);
        let notifications = self.notifications.clone();
        let unit = async move |tx: &mut Tx<'_>| {
            let (mut sale, mut payment) = settle::find_for_update(tx, &id).await?;
            match payment.status {
                PaymentStatus::Confirmed
                    if payment
                        .tx_hash
                        .as_ref()
                        .is_some_and(|known| transaction::is_same(known, &tx_hash)) =>
                {
                    return Ok((payment, Settled::Before));
                }
                PaymentStatus::Confirmed => {
                    return Err(conflict("The payment is confirmed by another transaction."));
                }
                PaymentStatus::Failed => return Err(conflict("The payment failed.")),
                PaymentStatus::Pending | PaymentStatus::Partial => {}
            }
            if !transactions::claim(tx, &tx_hash, &id).await? {
                return Err(store::payments::used());
            }
            payment.tx_hash = Some(tx_hash);
            payment.received_amount = payment.received_amount.max(payment.amount);
            let settled = settle::confirm(tx, &notifications, &mut sale, &mut payment).await?;
            Ok((payment, settled))
        };
        let (payment, settled) = self.db.write(unit).await?;
        settled.log(&payment);
        Ok((payment, settled))
    }

    /// Notes where a payment's money lies. The same again changes nothing.
    pub(in crate::payments) async fn set_escrow(
        &self,
        id: Id,
        state: EscrowState,
    ) -> Result<Payment> {
        let unit = async move |tx: &mut Tx<'_>| {
            let row = store::payments::find_for_update(tx, &id).await?.ok_or_else(no_payment)?;
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

/// A payment that was begun, or found.
struct Begun {
    row: PaymentRow,
    is_new: bool,
    /// The coin that the provider is to be asked for.
    ask: Option<Currency>,
}

impl Begun {
    /// The payment, and whether it is new.
    fn into_answer(self) -> (Payment, bool) {
        (self.row.document, self.is_new)
    }
}

/// Who is paid, and how much, where the caller may pay that.
fn terms(sale: &Sale, caller: &Identity, request: &CreatePayment) -> Result<(Id, Money)> {
    if *sale.buyer() != caller.user_id && !caller.has(Role::Service) {
        return Err(no_request());
    }
    let Terms { seller, price } = sale.terms()?;
    let money = Money {
        amount: request.amount.unwrap_or(price.amount),
        currency: request.currency.clone().unwrap_or_else(|| price.currency.clone()),
    };
    if money != price && !(caller.has(Role::Service) && money.covers(&price)) {
        return Err(conflict("This is not the price of the accepted offer."));
    }
    Ok((seller, money))
}

/// The payment of that provider that is under way, which is of the same amount.
async fn under_way(
    tx: &mut Tx<'_>,
    request: &CreatePayment,
    money: &Money,
) -> Result<Option<PaymentRow>> {
    let row = store::payments::under_way(tx, &request.request_id, request.provider).await?;
    let same =
        |payment: &Payment| (payment.amount, &payment.currency) == (money.amount, &money.currency);
    if row.as_ref().is_some_and(|row| !same(&row.document)) {
        return Err(conflict("A payment of another amount is under way."));
    }
    Ok(row)
}

/// The coin that the provider has to be asked for; none where its answer is there.
fn coin_to_ask(row: &PaymentRow, request: &CreatePayment, default: &Currency) -> Option<Currency> {
    let invoiced = row.document.invoice.as_ref().map(|invoice| &invoice.crypto);
    match (&request.crypto, invoiced) {
        (Some(asked), invoiced) if invoiced != Some(asked) => Some(asked.clone()),
        (_, None) => Some(default.clone()),
        (_, Some(_)) => None,
    }
}

fn new_payment(
    tx: &Tx<'_>,
    id: Id,
    sale: &Sale,
    seller: Id,
    money: Money,
    request: &CreatePayment,
) -> PaymentRow {
    let document = Payment {
        id: id.clone(),
        underscore_id: id,
        request_id: request.request_id.clone(),
        buyer_id: sale.buyer().clone(),
        seller_id: seller,
        provider: request.provider,
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
    let webhook_token = (request.provider == PaymentProvider::Shkeeper).then(token);
    PaymentRow { document, webhook_token }
}
