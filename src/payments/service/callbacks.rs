//! What SHKeeper tells: believed when it is signed, kept before it is processed, done once. What
//! counts of it is the money.

use std::collections::HashMap;

use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Map, Value};

use super::{
    PaymentService, is_own, payouts,
    refusals::no_callback,
    settle::{self, Settled},
};
use crate::{
    db::Tx,
    error::{Code, Error, Result},
    id::Id,
    marketplace::Sale,
    money::{Amount, Currency},
    notifications::NotificationService,
    payments::{
        announcements,
        documents::{LedgerKind, Payment},
        events::{EscrowState, PaymentStatus},
        shkeeper::{
            ROUNDING, Shkeeper,
            callback::{
                Callback, InvoiceCallback, InvoiceStatus, Transaction, Unconfirmed, parse_invoice,
                parse_payout,
            },
        },
        store::{
            self, coins,
            ledger::{self, NewEntry},
            transactions,
            webhooks::{self, Received},
        },
        transaction,
    },
};

/// The headers that are kept; the key is not among them.
const KEPT_HEADERS: [&str; 3] = ["content-type", "x-shkeeper-timestamp", "x-shkeeper-signature"];

impl PaymentService {
    /// The payment whose callbacks come to this path. Anybody may ask, so it costs a look-up.
    pub(in crate::payments) async fn payment_called(&self, token: String) -> Result<Id> {
        self.shkeeper.as_ref().ok_or_else(no_callback)?;
        let look = async move |tx: &mut Tx<'_>| {
            store::payments::of_token(tx, &token).await?.ok_or_else(no_callback)
        };
        Ok(self.db.read(look).await?.document.id)
    }

    /// The payout whose callbacks come to this path, likewise.
    pub(in crate::payments) async fn payout_called(&self, token: String) -> Result<Id> {
        self.shkeeper.as_ref().ok_or_else(no_callback)?;
        let look = async move |tx: &mut Tx<'_>| {
            store::payouts::of_token(tx, &token).await?.ok_or_else(no_callback)
        };
        Ok(self.db.read(look).await?.id)
    }

    /// Money came, or was seen, for an invoice.
    pub(in crate::payments) async fn invoice_callback(
        &self,
        payment: Id,
        headers: HeaderMap,
        raw: Bytes,
    ) -> Result<()> {
        let client = self.believe(&headers, &raw)?;
        let callback = parse_invoice(&raw)?;
        if !is_own(callback.external_id(), &payment) {
            return Err(no_callback());
        }
        let service = self.clone();
        self.db
            .run_to_completion(async move {
                let key = callback.dedupe_key();
                let received = Received {
                    dedupe_key: key.clone(),
                    subject: payment.clone(),
                    headers: kept(&headers),
                    body: raw.to_vec(),
                };
                let keep = async move |tx: &mut Tx<'_>| webhooks::keep(tx, received).await;
                service.db.write_sized(raw.len(), keep).await?;
                service.process(client, payment, key, callback).await
            })
            .await
    }

    async fn process(
        &self,
        client: Shkeeper,
        payment: Id,
        key: String,
        callback: Callback,
    ) -> Result<()> {
        let notifications = self.notifications.clone();
        let unit = async move |tx: &mut Tx<'_>| {
            // The request is locked first, as everywhere, so that two callbacks wait for each other
            // here.
            let (mut sale, mut payment) = settle::find_for_update(tx, &payment).await?;
            if !webhooks::begin(tx, &key).await? {
                return Ok((payment, Settled::Before));
            }
            let settled = match callback {
                Callback::Unconfirmed(seen) => {
                    note_seen(tx, &payment, seen).await?;
                    Settled::Before
                }
                Callback::Invoice(told) => {
                    let coins = coins::list(tx, &payment.id).await?;
                    ensure_asked_for(&told, &payment, &coins)?;
                    let paid = money_of(tx, &client, &told, &payment).await?;
                    let least = client.least_for(payment.amount);
                    apply(tx, &notifications, &mut sale, &mut payment, &told, paid, least).await?
                }
            };
            Ok((payment, settled))
        };
        let (payment, settled) = self.db.write(unit).await?;
        settled.log(&payment);
        Ok(())
    }

    /// A payout is through.
    pub(in crate::payments) async fn payout_callback(
        &self,
        payout: Id,
        headers: HeaderMap,
        raw: Bytes,
    ) -> Result<()> {
        self.believe(&headers, &raw)?;
        let told = parse_payout(&raw)?;
        if !told.external_id.as_deref().is_some_and(|external_id| is_own(external_id, &payout)) {
            return Err(no_callback());
        }
        let service = self.clone();
        self.db
            .run_to_completion(async move {
                let key = told.dedupe_key();
                let received = Received {
                    dedupe_key: key.clone(),
                    subject: payout.clone(),
                    headers: kept(&headers),
                    body: raw.to_vec(),
                };
                let keep = async move |tx: &mut Tx<'_>| webhooks::keep(tx, received).await;
                service.db.write_sized(raw.len(), keep).await?;
                let notifications = service.notifications.clone();
                let process = async move |tx: &mut Tx<'_>| {
                    if webhooks::begin(tx, &key).await? {
                        payouts::told(tx, &notifications, &payout, told).await?;
                    }
                    Ok(())
                };
                service.db.write(process).await
            })
            .await
    }

    /// Refuses what SHKeeper did not sign.
    fn believe(&self, headers: &HeaderMap, raw: &[u8]) -> Result<Shkeeper> {
        let provider = self.shkeeper.as_ref().ok_or_else(no_callback)?;
        provider.client.verify(headers, raw, self.clock.now()).map_err(|error| {
            let reason = error.reason();
            Error::new(Code::Unauthorized, format!("This is not believed: {reason}."))
                .with_reason("invalid_signature")
                .with_cause(error)
        })?;
        Ok(provider.client.clone())
    }
}

/// Refuses what tells of money in a currency or a coin that nobody asked for.
fn ensure_asked_for(told: &InvoiceCallback, payment: &Payment, coins: &[Currency]) -> Result<()> {
    if told.fiat != payment.currency {
        return Err(Error::invalid("/fiat", "is not the currency of the invoice"));
    }
    let foreign = "is not a coin that this invoice was asked for";
    if !coins.contains(&told.crypto) {
        return Err(Error::invalid("/crypto", foreign));
    }
    let in_others = |transaction: &Transaction| {
        transaction.crypto.as_ref().is_some_and(|crypto| !coins.contains(crypto))
    };
    if let Some(index) = told.transactions.iter().position(in_others) {
        return Err(Error::invalid(format!("/transactions/{index}/crypto"), foreign));
    }
    Ok(())
}

/// The money of a callback.
struct Paid {
    /// How much of the price it makes up.
    amount: Amount,
    /// The name of the transaction that brought it.
    tx_hash: Option<String>,
}

/// How much of the price a callback shows to have come. Its status says nothing of that: what counts
/// is the balance, as far as it is made up by transactions that pay no other payment.
async fn money_of(
    tx: &mut Tx<'_>,
    client: &Shkeeper,
    told: &InvoiceCallback,
    payment: &Payment,
) -> Result<Paid> {
    let invoiced = coins::invoiced(tx, &payment.id).await?;
    let mut paid = Paid { amount: Amount::ZERO, tx_hash: None };
    for transaction in told.distinct_transactions() {
        let worth = worth(transaction, told, payment, &invoiced, client);
        if worth == Amount::ZERO {
            continue;
        }
        if !transactions::claim(tx, &transaction.txid, &payment.id).await? {
            tracing::warn!(payment = %payment.id, "a transaction pays another payment already");
            continue;
        }
        paid.amount = paid.amount.plus(worth);
        if transaction.trigger {
            paid.tx_hash = Some(transaction::name(transaction.txid.clone()));
        }
    }
    // Each is rounded by itself.
    if paid.amount.plus(ROUNDING) >= told.balance_fiat {
        paid.amount = told.balance_fiat;
    } else {
        tracing::warn!(payment = %payment.id, "a balance is more than its transactions show");
    }
    Ok(paid)
}

/// What a transaction brought of the price: what it is said to be worth, or what its coins are worth
/// by the invoice where that is less by more than a rate moves.
fn worth(
    transaction: &Transaction,
    told: &InvoiceCallback,
    payment: &Payment,
    invoiced: &HashMap<Currency, Amount>,
    client: &Shkeeper,
) -> Amount {
    let said = transaction.amount_fiat;
    let coin = transaction.crypto.as_ref().unwrap_or(&told.crypto);
    let whole = invoiced.get(coin).copied().unwrap_or(Amount::ZERO);
    let by_invoice = payment.amount.scaled(transaction.amount_crypto, whole);
    let by_invoice = by_invoice.unwrap_or(Amount::ZERO);
    if by_invoice >= client.least_worth(said) { said } else { by_invoice }
}

/// Notes the money of an invoice, and where its payment stands with it. The money does not fall
/// because callbacks overtook each other.
async fn apply(
    tx: &mut Tx<'_>,
    notifications: &NotificationService,
    sale: &mut Sale,
    payment: &mut Payment,
    told: &InvoiceCallback,
    paid: Paid,
    least: Amount,
) -> Result<Settled> {
    let before = payment.clone();
    if let Some(more) = paid.amount.minus(payment.received_amount)
        && more > Amount::ZERO
    {
        payment.received_amount = paid.amount;
        payment.tx_hash = paid.tx_hash.clone().or(payment.tx_hash.take());
        let entry = NewEntry::of(LedgerKind::Received, payment, more);
        ledger::add(tx, &payment.id, entry).await?;
        let over_before = before.received_amount.minus(payment.amount).unwrap_or(Amount::ZERO);
        let over_now = payment.received_amount.minus(payment.amount).unwrap_or(Amount::ZERO);
        if let Some(over) = over_now.minus(over_before)
            && over > Amount::ZERO
            && before.status == PaymentStatus::Confirmed
        {
            let entry = NewEntry::of(LedgerKind::Overpaid, payment, over);
            ledger::add(tx, &payment.id, entry).await?;
        }
    }
    let went_back = told.status == InvoiceStatus::Refunded;
    if went_back && matches!(before.escrow_state, None | Some(EscrowState::Held)) {
        payment.escrow_state = Some(EscrowState::Refunded);
        let entry = NewEntry::of(LedgerKind::Refunded, payment, payment.received_amount);
        ledger::add(tx, &payment.id, entry).await?;
    }
    let is_whole = payment.received_amount >= least;
    let here = payment.escrow_state != Some(EscrowState::Refunded);
    if is_whole && here && before.status != PaymentStatus::Confirmed {
        if payment.tx_hash.is_none() {
            payment.tx_hash = paid.tx_hash;
        }
        return settle::confirm(tx, notifications, sale, payment).await;
    }
    let under_way = matches!(before.status, PaymentStatus::Pending | PaymentStatus::Partial);
    if told.status == InvoiceStatus::Cancelled && under_way {
        payment.status = PaymentStatus::Failed;
        let entry = NewEntry::new(LedgerKind::Failed).because("the provider cancelled it");
        ledger::add(tx, &payment.id, entry).await?;
    } else if payment.received_amount > Amount::ZERO && before.status == PaymentStatus::Pending {
        payment.status = PaymentStatus::Partial;
    }
    if *payment != before {
        payment.updated_at = tx.now();
        store::payments::set_status(tx, payment).await?;
        tx.announce(announcements::updated(payment));
    }
    Ok(Settled::Before)
}

async fn note_seen(tx: &mut Tx<'_>, payment: &Payment, seen: Unconfirmed) -> Result<()> {
    let entry = NewEntry {
        amount: Some(seen.amount),
        currency: Some(seen.crypto),
        tx_hash: Some(transaction::name(seen.txid)),
        ..NewEntry::new(LedgerKind::Seen)
    };
    ledger::add(tx, &payment.id, entry).await
}

/// The headers that are kept, as JSON.
fn kept(headers: &HeaderMap) -> String {
    let kept = KEPT_HEADERS.iter().filter_map(|name| {
        let value = headers.get(*name)?.to_str().ok()?;
        Some(((*name).to_owned(), Value::from(value)))
    });
    Value::Object(kept.collect::<Map<_, _>>()).to_string()
}
