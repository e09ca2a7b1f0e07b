//! The one door out: whatever an application sends to sockets goes through here. Each socket gets
//! one copy, however many of the rooms it is in.

use std::sync::Arc;

use dashmap::DashMap;
use serde_json::value::RawValue;
use smallvec::SmallVec;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::{
    Catalogue,
    frame::Outgoing,
    hub::{Audience, Broadcast, Bundle, Except, Hub, Kept, Message, Picks, Receipt},
    live::Live,
    soft::Soft,
};
pub use crate::stream::Target;
use crate::{
    cluster::Cluster,
    config::EventAudience,
    db::Reach,
    event::{Alone, Ephemeral, EventName, Namespace, Namespaces, Twinned},
    id::Id,
    room::Room,
    stream::{CommittedEvent, WireEvent},
    traces,
};

/// Sends events. Cheap to clone.
#[derive(Clone)]
pub struct Emitter {
    hub: Hub,
    catalogue: Arc<Catalogue>,
    audience: EventAudience,
    /// The other nodes, where there are some.
    pub(super) cluster: Option<Cluster>,
    /// Who counts the sockets of an announced event, by its id.
    receipts: Arc<DashMap<Uuid, Receipt>>,
    /// Who listens to all of it.
    pub(super) live: Live,
}

/// An event that a backend sends, with its name checked.
#[derive(Clone, Debug)]
pub struct ExternalEvent {
    /// Names it in the log, and in every stream that keeps it.
    pub id: Uuid,
    /// Who hears it.
    pub to: Target,
    /// Its name.
    pub event: EventName,
    /// Its data.
    pub data: Box<RawValue>,
    /// Whether the data is a list of arguments.
    pub several: bool,
    /// Only here; none takes the namespaces in which the room and the event are at home.
    pub namespace: Option<Namespace>,
    /// Dropped for a socket for which bytes wait already.
    pub volatile: bool,
}

impl Emitter {
    pub(super) fn new(
        hub: Hub,
        catalogue: Arc<Catalogue>,
        audience: EventAudience,
        live: Live,
    ) -> Self {
        Self { hub, catalogue, audience, cluster: None, receipts: Arc::default(), live }
    }

    /// Sends an event to a room.
    ///
    /// ```
    /// use stoa::{realtime::{Emitter, events::SessionClosing}, room::Room};
    ///
    /// fn tell(emitter: &Emitter, room: Room, closing: &SessionClosing) {
    ///     emitter.emit_to_room(room, closing);
    /// }
    /// ```
    ///
    /// One that is kept does not go past the store:
    ///
    /// ```compile_fail,E0277
    /// use stoa::{chat::events::conversation::MessageReaction, realtime::Emitter, room::Room};
    ///
    /// fn tell(emitter: &Emitter, room: Room, reaction: &MessageReaction) {
    ///     emitter.emit_to_room(room, reaction);
    /// }
    /// ```
    pub fn emit_to_room<E: Ephemeral + Alone>(&self, room: Room, event: &E) {
        self.broadcast_to(room, Except::Nobody, event);
    }

    /// Sends an event to every socket of its dialect.
    pub fn emit_global<E: Ephemeral + Alone>(&self, event: &E) {
        self.broadcast(ephemeral(Audience::Everyone { kept_for: Vec::new() }, event));
    }

    /// Sends an event to a conversation in both dialects, except to the sockets of one user.
    pub fn broadcast_to_conversation<E>(
        &self,
        conversation: &Id,
        event: &E,
        twin: &E::Twin,
        except_user: Option<&Id>,
    ) where
        E: Ephemeral + Twinned<Twin: Ephemeral>,
    {
        let except = || except_user.map_or(Except::Nobody, |user| Except::User(user.clone()));
        self.broadcast_to(Room::Conversation(conversation.clone()), except(), event);
        self.broadcast_to(Room::Chat(conversation.clone()), except(), twin);
    }

    /// Sends many small events to everyone, as one write for each socket; done when all have been
    /// written to.
    pub async fn emit_bundle(&self, bundle: Bundle) {
        self.broadcast_bundle(Audience::Everyone { kept_for: Vec::new() }, bundle).await;
    }

    /// Sends each of these users what is picked for them of many small events, and admins all of
    /// them, as one write for each socket; done when all have been written to.
    pub async fn emit_picked(&self, bundle: Bundle, picks: impl IntoIterator<Item = (Id, Picks)>) {
        let picks = picks.into_iter().map(|(user, picks)| (Room::User(user), picks));
        self.broadcast_bundle(Audience::Each(picks.collect()), bundle).await;
    }

    async fn broadcast_bundle(&self, to: Audience, bundle: Bundle) {
        let (receipt, sockets) = self.hub.receipt();
        let message = Message::Bundle(Box::new(bundle));
        let bundle = plain(to, Namespaces::ALL, message);
        self.hand_over(Broadcast { receipt: Some(receipt), ..bundle });
        // A hub that ends writes nothing any more.
        let _ = sockets.await;
    }

    /// Sends an event from outside that is not kept; how many sockets of this node it was written
    /// to.
    pub(super) async fn emit(&self, emit: ExternalEvent) -> usize {
        let (receipt, sockets) = self.hub.receipt();
        let volatile = emit.volatile;
        let span = traces::span!("emit", event = emit.event.as_str());
        span.in_scope(|| self.send(emit.into(), None, volatile, Some(receipt)));
        sockets.await.unwrap_or(0)
    }

    /// Sends what was announced, when it has been committed: with it, all kept events have been sent as
    /// far as `reach` says.
    pub fn publish(&self, announced: CommittedEvent, reach: &Reach) {
        let CommittedEvent { position, mut numbers, wire_events, .. } = announced;
        numbers.sort_unstable();
        let kept = (!numbers.is_empty())
            .then(|| Arc::new(Kept { numbers: numbers.into(), position, reach: reach.clone() }));
        let mut left = wire_events.into_iter();
        while let Some(wire_event) = left.next() {
            let receipt = wire_event.id.and_then(|id| self.receipts.remove(&id));
            // Who hears more of it has not heard it before that.
            let goes_on = left.as_slice().iter().any(|later| self.meet(&wire_event, later));
            let offset = if goes_on {
                &Reach::among(reach.top(), reach.missing().chain([position]))
            } else {
                reach
            };
            let kept = kept.clone().map(|kept| (kept, offset));
            self.send(wire_event, kept, false, receipt.map(|(_, receipt)| receipt));
        }
    }

    /// Whether who hears one wire event of an event, hears the other, too.
    fn meet(&self, one: &WireEvent, other: &WireEvent) -> bool {
        let namespaces =
            |it: &WireEvent| at_home(&self.catalogue, &it.to, &it.event, it.namespace).0;
        let rooms = match (&one.to, &other.to) {
            (Target::Rooms { rooms, .. }, Target::Rooms { rooms: others, .. }) => {
                rooms.iter().any(|room| others.contains(room))
            }
            _ => true,
        };
        rooms && namespaces(one).meets(namespaces(other))
    }

    /// Has the sockets counted that [`Emitter::publish`] writes the rendering of this id to.
    pub(super) fn count(&self, id: Uuid) -> Count {
        let (receipt, sockets) = self.hub.receipt();
        self.receipts.insert(id, receipt);
        Count { id, receipts: self.receipts.clone(), sockets }
    }

    fn send(
        &self,
        wire_event: WireEvent,
        kept: Option<(Arc<Kept>, &Reach)>,
        volatile: bool,
        receipt: Option<Receipt>,
    ) {
        let WireEvent { to, event, data, several, participants, except_user, namespace, id: _ } =
            wire_event;
        let to = heard_by(self.audience, to, &participants);
        let (namespaces, label) = at_home(&self.catalogue, &to, &event, namespace);
        let (to, except) = audience(to, participants, except_user);
        let event = match &kept {
            Some((_, offset)) => Outgoing::kept(&event, data, several, label, offset),
            None => Outgoing::named(&event, data, several, label),
        };
        let (message, kept) = (Message::One(event), kept.map(|(kept, _)| kept));
        self.broadcast(Broadcast {
            except,
            volatile,
            kept,
            receipt,
            ..plain(to, namespaces, message)
        });
    }

    fn broadcast_to<E: Ephemeral>(&self, room: Room, except: Except, event: &E) {
        let to = Audience::Rooms(SmallVec::from_buf([room]));
        self.broadcast(Broadcast { except, ..ephemeral(to, event) });
    }

    /// To the sockets of this node; and to those of others, what they do not have from the store.
    fn broadcast(&self, broadcast: Broadcast) {
        if let Some(cluster) = &self.cluster
            && let Some(soft) = Soft::of(&broadcast)
        {
            cluster.send(soft);
        }
        self.hand_over(broadcast);
    }

    fn hand_over(&self, mut broadcast: Broadcast) {
        self.live.sees(&mut broadcast);
        self.hub.broadcast(broadcast);
    }

    /// Sends to the sockets of this node what another node sent to its own; whether it could be read.
    #[must_use]
    pub fn hear(&self, soft: &RawValue) -> bool {
        let soft = serde_json::from_str::<Soft>(soft.get()).ok();
        let broadcast = soft.and_then(|soft| soft.broadcast(&self.catalogue));
        broadcast.map(|broadcast| self.hand_over(broadcast)).is_some()
    }
}

/// What is neither kept nor counted, for all of an audience.
fn plain(to: Audience, namespaces: Namespaces, message: Message) -> Broadcast {
    Broadcast {
        to,
        except: Except::Nobody,
        namespaces,
        message,
        volatile: false,
        kept: None,
        receipt: None,
        outcome: None,
    }
}

fn ephemeral<E: Ephemeral>(to: Audience, event: &E) -> Broadcast {
    plain(to, E::EVENT.dialect.namespaces(), Message::One(Outgoing::of(event)))
}

/// Where an event is heard, and the name under which it is counted.
pub(super) fn at_home(
    catalogue: &Catalogue,
    to: &Target,
    event: &EventName,
    only: Option<Namespace>,
) -> (Namespaces, &'static str) {
    let known = catalogue.sent(event.as_str());
    let label = known.map_or("other", |event| event.name);
    if let Some(only) = only {
        return (Namespaces::of(only), label);
    }
    let of_event = known.map_or(Namespaces::ALL, |event| event.dialect.namespaces());
    let namespaces = match to {
        Target::Everyone | Target::EveryoneBut { .. } => of_event,
        Target::Rooms { rooms, .. } => {
            // A room of one dialect decides; a user's is at home wherever the event is.
            let of = |room: &Room| match room {
                Room::User(_) | Room::Admins | Room::Other(_) => of_event,
                room => room.namespaces(),
            };
            rooms.iter().map(of).reduce(Namespaces::or).unwrap_or(Namespaces::ALL)
        }
    };
    (namespaces, label)
}

/// Who hears an event that names who takes part: whom the documents say, or those alone
/// (`EVENT_AUDIENCE`). Admins see what else everyone would.
#[must_use]
pub fn heard_by(audience: EventAudience, to: Target, participants: &[Room]) -> Target {
    if audience == EventAudience::Documented || participants.is_empty() {
        return to;
    }
    let admins =
        matches!(to, Target::Everyone | Target::EveryoneBut { .. }).then_some(Room::Admins);
    let rooms = participants.iter().cloned().chain(admins).collect();
    Target::Rooms { rooms, except: Vec::new() }
}

fn audience(
    to: Target,
    mut participants: Vec<Room>,
    except_user: Option<Id>,
) -> (Audience, Except) {
    participants.sort_unstable();
    match (to, except_user) {
        (Target::Everyone, user) => {
            let except = user.map_or(Except::Nobody, Except::User);
            (Audience::Everyone { kept_for: participants }, except)
        }
        (Target::EveryoneBut { mut except }, user) => {
            except.extend(user.map(Room::User));
            (Audience::Everyone { kept_for: participants }, Except::Rooms(except))
        }
        (Target::Rooms { mut rooms, mut except }, user) => {
            rooms.sort_unstable();
            let audience = Audience::Rooms(SmallVec::from_vec(rooms));
            match user {
                Some(user) if except.is_empty() => (audience, Except::User(user)),
                None if except.is_empty() => (audience, Except::Nobody),
                user => {
                    except.extend(user.map(Room::User));
                    (audience, Except::Rooms(except))
                }
            }
        }
    }
}

impl From<ExternalEvent> for WireEvent {
    fn from(emit: ExternalEvent) -> Self {
        let ExternalEvent { id, to, event, data, several, namespace, volatile: _ } = emit;
        let participants = Vec::new();
        Self { to, event, data, several, participants, except_user: None, namespace, id: Some(id) }
    }
}

/// How many sockets an announced event will have been written to.
pub(super) struct Count {
    id: Uuid,
    receipts: Arc<DashMap<Uuid, Receipt>>,
    sockets: oneshot::Receiver<usize>,
}

impl Count {
    /// The number, once the unit of work has been committed and what it announced was published;
    /// 0 when nobody publishes.
    pub(super) async fn sockets(mut self) -> usize {
        self.receipts.remove(&self.id);
        (&mut self.sockets).await.unwrap_or(0)
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        self.receipts.remove(&self.id);
    }
}
