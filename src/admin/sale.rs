//! One purchase as a timeline: what the rooms keep of it, with the events that told of each step, and who
//! they were for. What people wrote to each other is not in it, nor what the events carried.

use std::collections::BTreeSet;

use serde_json::{Value, value::RawValue};

use super::documents::{SaleEvent, SaleStep, SaleTimeline, StreamNumber};
use crate::{
    chat,
    clock::Timestamp,
    config::{Config, EventAudience},
    db::{Db, Portion, Tx, committed_after, events_after, number_at, position, position_before},
    error::{Code, Error, Result},
    id::Id,
    marketplace::{
        self,
        documents::{Offer, OfferStatus, PurchaseRequest, RequestStatus},
    },
    payments::{
        self, PaidFor,
        documents::{LedgerKind, Payout},
        events::PayoutStatus,
    },
    realtime,
    room::Room,
    stream::{CommittedEvent, Stream, Target, WireEvent},
};

/// Offers, payments and messages of a sale that are shown, each (docs/limits.md).
const SHOWN: i64 = 100;

/// Sellers with offers whose streams are looked through.
const SELLERS: usize = 20;

/// Events of a sale that are shown.
const EVENTS: usize = 200;

/// What is read of a stream to find them, at once and as often.
const PORTION: Portion = Portion { events: 500, bytes: 1_000_000 };
const PORTIONS: usize = 4;

/// Where the sale of one seller among many is told: to all of them, as it begins.
const BEGINNING: Portion = Portion { events: 20, bytes: 200_000 };

/// The sales of the marketplace, for operators. Cheap to clone.
#[derive(Clone)]
pub struct Sales {
    db: Db,
    audience: EventAudience,
}

/// What is kept of a sale.
struct Kept {
    request: PurchaseRequest,
    offers: Vec<Offer>,
    paid: Vec<PaidFor>,
    talk: Option<chat::Talk>,
}

impl Sales {
    /// The sales in this store.
    #[must_use]
    pub fn new(db: Db, config: &Config) -> Self {
        Self { db, audience: config.realtime.event_audience }
    }

    /// The sale of a request, from its beginning.
    pub(super) async fn timeline(&self, request: Id) -> Result<SaleTimeline> {
        let audience = self.audience;
        let unit = async move |tx: &mut Tx<'_>| {
            let kept = kept(tx, &request).await?;
            let (events, whole) = told(tx, &kept).await?;
            let mut steps = steps(&kept);
            steps.sort_by_key(|step| step.at);
            for event in &events {
                add(&mut steps, &kept.request.id, event, audience);
            }
            Ok(SaleTimeline {
                conversation_id: kept.talk.map(|talk| talk.conversation),
                request: kept.request,
                steps,
                partial: !whole,
            })
        };
        self.db.read(unit).await
    }
}

async fn kept(tx: &mut Tx<'_>, request: &Id) -> Result<Kept> {
    let found = marketplace::with_offers(tx, request, SHOWN).await?;
    let (request, offers) =
        found.ok_or_else(|| Error::new(Code::NotFound, "There is no such request."))?;
    let paid = payments::paid_for(tx, &request.id, SHOWN).await?;
    let talk = match &request.seller_id {
        Some(seller) => chat::talk_between(tx, &request.buyer_id, seller, SHOWN).await?,
        None => None,
    };
    // What they wrote before is of another matter.
    let talk = talk.map(|mut talk| {
        talk.messages.retain(|said| said.at >= request.created_at);
        talk
    });
    Ok(Kept { request, offers, paid, talk })
}

/// The events that name something of the sale, in their order; and whether all were looked at that may.
async fn told(tx: &mut Tx<'_>, kept: &Kept) -> Result<(Vec<CommittedEvent>, bool)> {
    let Some(before) = position_before(tx, kept.request.created_at).await? else {
        return Ok((Vec::new(), true));
    };
    let request = &kept.request;
    let sellers = kept.offers.iter().map(|offer| &offer.seller_id).take(SELLERS);
    let people = [&request.buyer_id].into_iter().chain(request.seller_id.as_ref()).chain(sellers);
    let mut streams: BTreeSet<Stream> = people.map(|id| Stream::User(id.clone())).collect();
    streams.insert(Stream::Request(request.id.clone()));
    streams.extend(kept.talk.iter().map(|talk| Stream::Conversation(talk.conversation.clone())));

    let names = names(kept);
    let (mut found, mut whole) = (BTreeSet::new(), kept.offers.len() <= SELLERS);
    for stream in &streams {
        whole &= search(tx, stream, before, &names, &mut found).await?;
    }
    if let Some(since) = number_at(tx, &Stream::Sellers, before).await? {
        let events = events_after(tx, &Stream::Sellers, since, BEGINNING).await?;
        found.extend(
            events.iter().filter(|event| is_about(&event.wire_events, &names)).map(|e| e.position),
        );
    }
    let mut events = Vec::new();
    for &at in found.iter().take(EVENTS) {
        let mut some = committed_after(tx, at - 1, at, PORTION).await?;
        // What they carried is not shown, and may be much.
        for event in some.iter_mut().flat_map(|event| &mut event.wire_events) {
            event.data = RawValue::NULL.to_owned();
        }
        events.extend(some);
    }
    whole &= found.len() <= EVENTS;
    Ok((events, whole))
}

/// Adds the positions of a stream's events that name one of these; whether the stream was read to its end.
async fn search(
    tx: &mut Tx<'_>,
    stream: &Stream,
    before: i64,
    names: &[String],
    found: &mut BTreeSet<i64>,
) -> Result<bool> {
    let (Some(mut since), Some(end)) =
        (number_at(tx, stream, before).await?, position(tx, stream).await?)
    else {
        return Ok(true);
    };
    for _ in 0..PORTIONS {
        let events = events_after(tx, stream, since, PORTION).await?;
        let Some(last) = events.last() else { return Ok(true) };
        since = last.seq;
        let about = events.iter().filter(|event| is_about(&event.wire_events, names));
        found.extend(about.map(|event| event.position));
    }
    Ok(since >= end.seq)
}

/// The ids of a sale, as they stand in payloads.
fn names(kept: &Kept) -> Vec<String> {
    let payments = kept.paid.iter().map(|paid| &paid.payment.payment.id);
    let payouts = kept.paid.iter().flat_map(|paid| &paid.payouts).map(|payout| &payout.id);
    let said = kept.talk.iter().flat_map(|talk| &talk.messages).map(|said| &said.id);
    let offers = kept.offers.iter().map(|offer| &offer.id);
    let all = [&kept.request.id].into_iter().chain(offers).chain(payments).chain(payouts);
    all.chain(said).filter_map(|id| serde_json::to_string(id).ok()).collect()
}

fn is_about(events: &[WireEvent], names: &[String]) -> bool {
    events.iter().any(|event| names.iter().any(|name| event.data.get().contains(name)))
}

/// The steps that the rooms keep.
fn steps(kept: &Kept) -> Vec<SaleStep> {
    let request = &kept.request;
    let step = |at, kind: &str, by: Option<&Id>, about: &Id, detail: Option<String>| SaleStep {
        at,
        kind: kind.to_owned(),
        by: by.cloned(),
        about: about.clone(),
        detail,
        events: Vec::new(),
    };
    let buyer = Some(&request.buyer_id);
    let title = Some(request.title.clone());
    let mut steps = vec![step(request.created_at, "requested", buyer, &request.id, title)];
    for offer in &kept.offers {
        let seller = Some(&offer.seller_id);
        let price = Some(format!("{} {}", offer.amount, offer.currency));
        steps.push(step(offer.created_at, "offered", seller, &offer.id, price));
        let (kind, by) = match offer.status {
            OfferStatus::Pending => continue,
            OfferStatus::Accepted => ("offer_accepted", buyer),
            OfferStatus::Rejected => ("offer_rejected", buyer),
            OfferStatus::Withdrawn => ("offer_withdrawn", seller),
        };
        steps.push(step(offer.updated_at, kind, by, &offer.id, None));
    }
    for said in kept.talk.iter().flat_map(|talk| &talk.messages) {
        steps.push(step(said.at, "message", Some(&said.by), &said.id, None));
    }
    for paid in &kept.paid {
        let payment = &paid.payment.payment.id;
        for entry in &paid.payment.ledger {
            let kind = format!("payment_{}", word(entry.kind));
            let money = entry.amount.zip(entry.currency.as_ref());
            let money = money.map(|(amount, currency)| format!("{amount} {currency}"));
            let detail = list([money, entry.tx_hash.clone(), entry.detail.clone()]);
            steps.push(step(entry.created_at, &kind, None, payment, detail));
        }
        steps.extend(paid.payouts.iter().flat_map(paid_out));
    }
    let delivery = request.delivery.clone().unwrap_or_default();
    let ends = match request.status {
        RequestStatus::Completed => Some(("completed", request.updated_at)),
        RequestStatus::Cancelled => Some(("cancelled", request.updated_at)),
        _ => None,
    };
    let moments: [Option<(&str, Timestamp)>; 3] = [
        delivery.delivered_at.map(|at| ("delivered", at)),
        delivery.buyer_confirmed_at.map(|at| ("buyer_confirmed", at)),
        ends,
    ];
    for (kind, at) in moments.into_iter().flatten() {
        let why = request.cancel_reason.clone().filter(|_| kind == "cancelled");
        steps.push(step(at, kind, buyer, &request.id, why));
    }
    steps
}

/// The beginning of a payout, and where it stands.
fn paid_out(payout: &Payout) -> Vec<SaleStep> {
    let step = |at, kind: &str, detail| SaleStep {
        at,
        kind: kind.to_owned(),
        by: None,
        about: payout.id.clone(),
        detail,
        events: Vec::new(),
    };
    let money = format!("{} {}", payout.amount, payout.currency);
    let begun = step(payout.created_at, "payout_created", Some(money));
    let kind = match payout.status {
        PayoutStatus::Pending => return vec![begun],
        PayoutStatus::Processing => "payout_processing",
        PayoutStatus::Completed => "payout_completed",
        PayoutStatus::Failed => "payout_failed",
    };
    let detail = list([payout.tx_hash.clone(), payout.reason.clone(), None]);
    vec![begun, step(payout.updated_at, kind, detail)]
}

/// A kind as clients see it.
fn word(kind: LedgerKind) -> String {
    let word = serde_json::to_value(kind).ok();
    word.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn list(parts: [Option<String>; 3]) -> Option<String> {
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(" · "))
}

/// Puts an event to the step of its unit of work, which has the same time; else it is a step of its own.
fn add(steps: &mut Vec<SaleStep>, request: &Id, event: &CommittedEvent, audience: EventAudience) {
    let numbers: Vec<_> = event
        .numbers
        .iter()
        .map(|(stream, seq)| StreamNumber { stream: stream.to_string(), seq: *seq })
        .collect();
    let shown = event.wire_events.iter().map(|wire_event| SaleEvent {
        event: wire_event.event.as_str().to_owned(),
        position: event.position,
        numbers: numbers.clone(),
        to: heard_by(wire_event, audience),
        except: except(wire_event),
    });
    let shown: Vec<_> = shown.collect();
    let upto = steps.partition_point(|step| step.at <= event.created_at);
    if let Some(step) = steps[..upto].last_mut().filter(|step| step.at == event.created_at) {
        step.events.extend(shown);
        return;
    }
    let told = SaleStep {
        at: event.created_at,
        kind: "told".to_owned(),
        by: None,
        about: request.clone(),
        detail: None,
        events: shown,
    };
    steps.insert(upto, told);
}

/// The rooms whose members it is for; `everyone` where it is for all.
fn heard_by(event: &WireEvent, audience: EventAudience) -> Vec<String> {
    match realtime::heard_by(audience, event.to.clone(), &event.participants) {
        Target::Everyone | Target::EveryoneBut { .. } => vec!["everyone".to_owned()],
        Target::Rooms { rooms, .. } => rooms.iter().map(Room::to_string).collect(),
    }
}

/// The rooms whose members are left out.
fn except(event: &WireEvent) -> Vec<String> {
    let rooms = match &event.to {
        Target::Everyone => &[][..],
        Target::EveryoneBut { except } | Target::Rooms { except, .. } => except,
    };
    let user = event.except_user.iter().map(|user| Room::User(user.clone()).to_string());
    rooms.iter().map(Room::to_string).chain(user).collect()
}
