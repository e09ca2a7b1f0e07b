//! The one door out: whatever an application sends to sockets goes through here. Each socket gets
//! one copy, however many of the rooms it is in.

use std::sync::Arc;

use serde_json::value::RawValue;
use smallvec::SmallVec;

use super::{
    Catalogue,
    frame::Outgoing,
    hub::{Audience, Broadcast, Bundle, Except, Hub, Message},
};
pub use crate::stream::Target;
use crate::{
    event::{EventName, Namespace, Namespaces, ServerEvent},
    id::Id,
    room::Room,
};

/// Sends events. Cheap to clone.
#[derive(Clone)]
pub struct Emitter {
    hub: Hub,
    catalogue: Arc<Catalogue>,
}

/// An event that came from outside, with its name checked.
pub struct Emit {
    /// Who hears it.
    pub to: Target,
    /// Its name.
    pub event: EventName,
    /// Its data.
    pub data: Box<RawValue>,
    /// Only here; none takes the namespaces in which the room and the event are at home.
    pub namespace: Option<Namespace>,
    /// Dropped for a socket for which bytes wait already.
    pub volatile: bool,
}

impl Emitter {
    pub(super) fn new(hub: Hub, catalogue: Arc<Catalogue>) -> Self {
        Self { hub, catalogue }
    }

    /// Sends an event to a room.
    pub fn emit_to_room<E: ServerEvent>(&self, room: Room, event: &E) {
        self.broadcast_to(room, Except::Nobody, event);
    }

    /// Sends an event to every socket of its dialect.
    pub fn emit_global<E: ServerEvent>(&self, event: &E) {
        self.hub.broadcast(Broadcast {
            to: Audience::Everyone,
            except: Except::Nobody,
            namespaces: E::EVENT.dialect.namespaces(),
            message: Message::One(Outgoing::of(event)),
            volatile: false,
            receipt: None,
        });
    }

    /// Sends an event to every socket of a user.
    pub fn send_to_user<E: ServerEvent>(&self, user: &Id, event: &E) {
        self.emit_to_room(Room::User(user.clone()), event);
    }

    /// Sends an event to a conversation's room of the event's dialect, except to the sockets of
    /// one user.
    pub fn broadcast_to_conversation<E: ServerEvent>(
        &self,
        room: Room,
        event: &E,
        except_user: Option<&Id>,
    ) {
        let except = except_user.map_or(Except::Nobody, |user| Except::User(user.clone()));
        self.broadcast_to(room, except, event);
    }

    /// Sends many small events to everyone, as one write for each socket.
    pub fn emit_bundle(&self, bundle: Bundle) {
        self.hub.broadcast(Broadcast {
            to: Audience::Everyone,
            except: Except::Nobody,
            namespaces: Namespaces::ALL,
            message: Message::Bundle(Box::new(bundle)),
            volatile: false,
            receipt: None,
        });
    }

    /// Sends an event from outside; how many sockets of this node it was written to.
    pub async fn emit(&self, emit: Emit) -> usize {
        let known = self.catalogue.sent(emit.event.as_str());
        let namespaces = match (emit.namespace, &emit.to) {
            (Some(only), _) => Namespaces::of(only),
            (None, Target::Everyone) => known.map_or(Namespaces::ALL, |e| e.dialect.namespaces()),
            (None, Target::Rooms { rooms, .. }) => {
                // A room of one dialect decides; a user's is at home wherever the event is.
                let of_event = known.map_or(Namespaces::ALL, |e| e.dialect.namespaces());
                let of = |room: &Room| match room {
                    Room::User(_) | Room::Other(_) => of_event,
                    room => room.namespaces(),
                };
                rooms.iter().map(of).reduce(Namespaces::or).unwrap_or(Namespaces::ALL)
            }
        };
        let (receipt, sockets) = self.hub.receipt();
        let (to, except) = match emit.to {
            Target::Everyone => (Audience::Everyone, Except::Nobody),
            Target::Rooms { rooms, except } => {
                let except = if except.is_empty() { Except::Nobody } else { Except::Rooms(except) };
                (Audience::Rooms(SmallVec::from_vec(rooms)), except)
            }
        };
        let label = known.map_or("other", |event| event.name);
        self.hub.broadcast(Broadcast {
            to,
            except,
            namespaces,
            message: Message::One(Outgoing::named(&emit.event, emit.data, label)),
            volatile: emit.volatile,
            receipt: Some(receipt),
        });
        sockets.await.unwrap_or(0)
    }

    fn broadcast_to<E: ServerEvent>(&self, room: Room, except: Except, event: &E) {
        self.hub.broadcast(Broadcast {
            to: Audience::Rooms(SmallVec::from_buf([room])),
            except,
            namespaces: E::EVENT.dialect.namespaces(),
            message: Message::One(Outgoing::of(event)),
            volatile: false,
            receipt: None,
        });
    }
}
