//! What SHKeeper tells: believed when it is signed, kept before it is processed, done once.

use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Map, Value};

use super::{
    PaymentService, is_own, no_callback, payouts,
    settle::{self, Settled},
    transaction,
};
use crate::{
    db::Tx,
    error::{Code, Error, Result},
    http::to_the_end,
    id::Id,
    money::Amount,
    payments::{
        announcements,
        documents::{LedgerKind, Payment},
        events::{EscrowState, PaymentStatus},
        shkeeper::callback::{
            Callback, InvoiceCallback, InvoiceStatus, Unconfirmed, parse_invoice, parse_payout,
        },
        store::{
            self,
            ledger::{self, NewEntry},
            webhooks::{self, Received},
        },
    },
};

/// The headers that are kept; the key is not among them.
const KEPT_HEADERS: [&str; 3] = ["content-type", "x-shkeeper-timestamp", "x-shkeeper-signature"];

impl PaymentService {
    /// Money came, or was seen, for an invoice.
    pub(in crate::payments) async fn invoice_callback(
        &self,
        token: String,
        headers: HeaderMap,
        raw: Bytes,
    ) -> Result<()> {
        self.believe(&headers, &raw)?;
        let callback = parse_invoice(&raw)?;
        let service = self.clone();
        to_the_end(async move {
            let key = callback.dedupe_key();
            let external_id = callback.external_id().to_owned();
            let received = (key.clone(), kept(&headers), raw.to_vec());
            let keep = async move |tx: &mut Tx<'_>| {
                let row = store::payments::of_token(tx, &token).await?.ok_or_else(no_callback)?;
                let payment = row.document;
                if !is_own(&external_id, &payment.id) {
                    return Err(no_callback());
                }
                let (dedupe_key, headers, body) = received;
                let subject = payment.id.clone();
                webhooks::keep(tx, Received { dedupe_key, subject, headers, body }).await?;
                Ok(payment.id)
            };
            let payment = service.db.write(keep).await?;
            service.process(payment, key, callback).await
        })
        .await
    }

    async fn process(&self, payment: Id, key: String, callback: Callback) -> Result<()> {
        let unit = async move |tx: &mut Tx<'_>| {
            // The request is held first, as everywhere, so that two callbacks wait for each other
            // here.
            let (mut sale, mut payment) = settle::hold(tx, &payment).await?;
            if !webhooks::begin(tx, &key).await? {
                return Ok((payment, Settled::Before));
            }
            let settled = match callback {
                Callback::Unconfirmed(seen) => {
                    note_seen(tx, &payment, seen).await?;
                    Settled::Before
                }
                Callback::Invoice(told) => {
                    if told.fiat != payment.currency {
                        let sentence = "is not the currency of the invoice";
                        return Err(Error::invalid("/fiat", sentence));
                    }
                    let confirms =
                        told.status.is_paid() && payment.status != PaymentStatus::Confirmed;
                    let changed = apply(tx, &mut payment, &told, confirms).await?;
                    if confirms {
                        settle::confirm(tx, &mut sale, &mut payment).await?
                    } else {
                        if changed {
                            payment.updated_at = tx.now();
                            store::payments::set_status(tx, &payment).await?;
                            tx.announce(announcements::updated(&payment));
                        }
                        Settled::Before
                    }
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
        token: String,
        headers: HeaderMap,
        raw: Bytes,
    ) -> Result<()> {
        self.believe(&headers, &raw)?;
        let told = parse_payout(&raw)?;
        let service = self.clone();
        to_the_end(async move {
            let key = told.dedupe_key();
            let (again, external_id) = (key.clone(), told.external_id.clone());
            let (headers, body) = (kept(&headers), raw.to_vec());
            let keep = async move |tx: &mut Tx<'_>| {
                let payout = store::payouts::of_token(tx, &token).await?.ok_or_else(no_callback)?;
                if !external_id.is_some_and(|external_id| is_own(&external_id, &payout.id)) {
                    return Err(no_callback());
                }
                let subject = payout.id.clone();
                webhooks::keep(tx, Received { dedupe_key: key, subject, headers, body }).await?;
                Ok(payout.id)
            };
            let payout = service.db.write(keep).await?;
            let process = async move |tx: &mut Tx<'_>| {
                if webhooks::begin(tx, &again).await? {
                    payouts::settle(tx, &payout, told.status.into(), Some(told.tx_hash)).await?;
                }
                Ok(())
            };
            service.db.write(process).await
        })
        .await
    }

    /// Refuses what SHKeeper did not sign.
    fn believe(&self, headers: &HeaderMap, raw: &[u8]) -> Result<()> {
        let provider = self.shkeeper.as_ref().ok_or_else(no_callback)?;
        provider.client.verify(headers, raw, self.clock.now()).map_err(|error| {
            let reason = error.reason();
            Error::new(Code::Unauthorized, format!("This is not believed: {reason}."))
                .with_reason("invalid_signature")
                .with_cause(error)
        })
    }
}

/// Notes what a callback says of an invoice's money; whether that changes anything that clients
/// see. What was paid is the balance, and it does not fall because callbacks overtook each other.
async fn apply(
    tx: &mut Tx<'_>,
    payment: &mut Payment,
    told: &InvoiceCallback,
    confirms: bool,
) -> Result<bool> {
    let before = payment.clone();
    if let Some(more) = told.balance_fiat.minus(payment.received_amount)
        && more > Amount::ZERO
    {
        payment.received_amount = told.balance_fiat;
        payment.tx_hash = told
            .trigger()
            .map(|trigger| transaction(trigger.txid.clone()))
            .or(payment.tx_hash.take());
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
    } else if confirms && payment.tx_hash.is_none() {
        payment.tx_hash = told.trigger().map(|trigger| transaction(trigger.txid.clone()));
    }
    let under_way = matches!(before.status, PaymentStatus::Pending | PaymentStatus::Partial);
    match told.status {
        InvoiceStatus::Partial if before.status == PaymentStatus::Pending => {
            payment.status = PaymentStatus::Partial;
        }
        InvoiceStatus::Cancelled if under_way => {
            payment.status = PaymentStatus::Failed;
            let entry = NewEntry::new(LedgerKind::Failed).because("the provider cancelled it");
            ledger::add(tx, &payment.id, entry).await?;
        }
        InvoiceStatus::Refunded if before.escrow_state != Some(EscrowState::Refunded) => {
            payment.escrow_state = Some(EscrowState::Refunded);
            let entry = NewEntry::of(LedgerKind::Refunded, payment, payment.received_amount);
            ledger::add(tx, &payment.id, entry).await?;
        }
        _ => {}
    }
    Ok(*payment != before)
}

async fn note_seen(tx: &mut Tx<'_>, payment: &Payment, seen: Unconfirmed) -> Result<()> {
    let entry = NewEntry {
        amount: Some(seen.amount),
        currency: Some(seen.crypto),
        tx_hash: Some(seen.txid),
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
