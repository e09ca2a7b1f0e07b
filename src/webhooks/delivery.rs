//! What a backend is told of an event: each of its calls, as bytes.

use std::{collections::BTreeSet, sync::Arc};

use serde::Serialize;
use serde_json::value::RawValue;

use crate::{
    access, chat,
    clock::Timestamp,
    config::EventAudience,
    db::Tx,
    error::Result,
    event::{EventName, EventPatterns, Twin},
    id::Id,
    marketplace,
    presence::Presence,
    realtime::{Catalogue, heard_by},
    room::Room,
    stream::{CommittedEvent, Stream, Target, WireEvent},
};

/// People whom an event is for, at most, of whom it is told who has no connection.
const MOST_PEOPLE: i64 = 1000;

/// What of events is told, and how.
#[derive(Clone)]
pub(super) struct Telling {
    pub(super) patterns: EventPatterns,
    pub(super) catalogue: Arc<Catalogue>,
    pub(super) audience: EventAudience,
    pub(super) presence: Presence,
}

/// An event that a backend is told.
pub(super) struct Delivery {
    /// Where it stands in the order of all events.
    pub(super) position: i64,
    /// When it was announced.
    pub(super) created_at: Timestamp,
    /// When it was read: what it shows may be edited or deleted since.
    pub(super) read_at: Timestamp,
    /// The streams that keep it: after what comes before it in any of them.
    pub(super) streams: Arc<[Stream]>,
    /// That of them in which it is told, and its number there.
    pub(super) stream: Stream,
    pub(super) seq: i64,
    /// Its calls, in their order; one at least.
    calls: Vec<Call>,
}

/// One call: of an event that is several to clients, each is one.
struct Call {
    event: EventName,
    data: Box<RawValue>,
    to: Target,
    except_user: Option<Id>,
    /// Whom it is for, as far as that is known.
    people: Vec<Id>,
}

/// The body of a call.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    r#type: &'a EventName,
    timestamp: Timestamp,
    data: &'a RawValue,
    stream: &'a str,
    seq: i64,
    rooms: &'a [Room],
    offline_user_ids: Vec<&'a Id>,
}

impl Telling {
    /// What a backend is told of an event: what its patterns take, once, not in each dialect. None when
    /// that is nothing, or the event was taken back.
    pub(super) fn of(&self, event: CommittedEvent, read_at: Timestamp) -> Option<Delivery> {
        if event.is_control() {
            return None;
        }
        let CommittedEvent { position, created_at, numbers, wire_events } = event;
        let calls: Vec<_> = self
            .without_twins(wire_events)
            .into_iter()
            .filter(|wire_event| self.patterns.find(wire_event.event.as_str()).is_some())
            .map(|wire_event| {
                let WireEvent { to, event, data, participants, except_user, .. } = wire_event;
                let to = heard_by(self.audience, to, &participants);
                Call { event, data, to, except_user, people: Vec::new() }
            })
            .collect();
        let home = match &calls.first()?.to {
            Target::Everyone | Target::EveryoneBut { .. } => Some(Stream::Global),
            Target::Rooms { rooms, .. } => rooms.first().map(Stream::from),
        };
        let at_home = numbers.iter().find(|(stream, _)| Some(stream) == home.as_ref());
        let (stream, seq) = at_home.or(numbers.first())?.clone();
        let streams = numbers.into_iter().map(|(stream, _)| stream).collect();
        Some(Delivery { position, created_at, read_at, streams, stream, seq, calls })
    }

    /// What says in the other dialect what another says is not told; alone, as a backend sends it, it is.
    fn without_twins(&self, mut wire_events: Vec<WireEvent>) -> Vec<WireEvent> {
        let is_twin = |wire_event: &WireEvent| {
            let known = self.catalogue.sent(wire_event.event.as_str());
            known.is_some_and(|event| matches!(event.twin, Twin::Named))
        };
        if !wire_events.iter().all(is_twin) {
            wire_events.retain(|wire_event| !is_twin(wire_event));
        }
        wire_events
    }
}

impl Delivery {
    /// How many calls it takes.
    pub(super) fn calls(&self) -> usize {
        self.calls.len()
    }

    /// Its name.
    pub(super) fn event(&self) -> &str {
        self.calls.first().map_or("", |call| call.event.as_str())
    }

    /// About as much as it takes of memory.
    pub(super) fn bytes(&self) -> usize {
        const EACH: usize = 256;
        let of = |call: &Call| EACH + call.data.get().len() + 64 * call.people.len();
        EACH + 64 * self.streams.len() + self.calls.iter().map(of).sum::<usize>()
    }

    /// Finds out whom it is for.
    pub(super) async fn find_people(&mut self, tx: &mut Tx<'_>) -> Result<()> {
        for call in &mut self.calls {
            let Target::Rooms { rooms, except } = &call.to else { continue };
            let mut people = BTreeSet::new();
            for room in rooms {
                people.extend(in_room(tx, room).await?);
            }
            people.retain(|user| {
                call.except_user.as_ref() != Some(user)
                    && !except.contains(&Room::User(user.clone()))
            });
            call.people = people.into_iter().collect();
        }
        Ok(())
    }

    /// What names a call: the same each time that it is made.
    pub(super) fn id(&self, call: usize) -> String {
        let id = id(self.created_at, self.position);
        if call == 0 { id } else { format!("{id}_{call}") }
    }

    /// The body of a call, made now.
    pub(super) fn body(&self, call: usize, presence: &Presence) -> Option<Vec<u8>> {
        let call = self.calls.get(call)?;
        let rooms = match &call.to {
            Target::Everyone | Target::EveryoneBut { .. } => &[][..],
            Target::Rooms { rooms, .. } => rooms,
        };
        let body = Body {
            r#type: &call.event,
            timestamp: self.created_at,
            data: &call.data,
            stream: &self.stream.to_string(),
            seq: self.seq,
            rooms,
            offline_user_ids: call.people.iter().filter(|user| !presence.is_online(user)).collect(),
        };
        serde_json::to_vec(&body).ok()
    }
}

/// What names the first call of an event. Where a store was put back from a backup, a position may come
/// again, but not the moment.
pub(super) fn id(created_at: Timestamp, position: i64) -> String {
    format!("msg_{}_{position}", created_at.millis())
}

/// The moment and the position of an event, from what names a call of it.
pub(super) fn read_id(id: &str) -> Option<(Timestamp, i64)> {
    let mut parts = id.strip_prefix("msg_")?.split('_');
    let (created_at, position) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    (position > 0).then(|| (Timestamp::from_millis(created_at), position))
}

/// Who is meant by a room; nobody where that is a crowd.
async fn in_room(tx: &mut Tx<'_>, room: &Room) -> Result<Vec<Id>> {
    match room {
        Room::User(id) | Room::Seller(id) | Room::Buyer(id) => Ok(vec![id.clone()]),
        Room::Conversation(id) | Room::Chat(id) => chat::participants(tx, id).await,
        Room::Request(_) | Room::Checkout(_) => marketplace::parties(tx, room, MOST_PEOPLE).await,
        Room::Other(_) => access::granted(tx, room, MOST_PEOPLE).await,
        Room::Sellers | Room::Buyers | Room::Admins => Ok(Vec::new()),
    }
}
