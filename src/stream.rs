//! Streams of kept events: how a room tells what happened, as the wire events that it becomes, so
//! that the store can keep them and the emitter can send them
//! (docs/contract/events.md#missed-events).

use std::{collections::BTreeSet, fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use uuid::Uuid;

use crate::{
    clock::Timestamp,
    event::{Alone, EventName, Kept, Namespace, Twinned, as_path},
    id::Id,
    room::Room,
};

/// A sequence of events that is numbered on its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    /// `conversation/<id>`: a conversation, in both dialects.
    Conversation(Id),
    /// `request/<id>`: a purchase request.
    Request(Id),
    /// `user/<id>`: what goes to one user, also as a seller or a buyer.
    User(Id),
    /// `checkout/<id>`: a checkout over several requests.
    Checkout(Id),
    /// `sellers`: what goes to all sellers.
    Sellers,
    /// `buyers`: what goes to all buyers.
    Buyers,
    /// `admins`: what goes to all admins.
    Admins,
    /// `global`: what goes to everyone.
    Global,
    /// `other/<id>`: a room of another backend's making.
    Other(Id),
    /// `about/<id>`: what backends alone are told of a user ([`crate::notice`]).
    About(Id),
    /// `control`: what processes have each other do ([`crate::control`]).
    Control,
}

/// Why a string is not a [`Stream`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a stream")]
pub struct InvalidStream;

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conversation(id) => write!(f, "conversation/{id}"),
            Self::Request(id) => write!(f, "request/{id}"),
            Self::User(id) => write!(f, "user/{id}"),
            Self::Checkout(id) => write!(f, "checkout/{id}"),
            Self::Sellers => f.write_str("sellers"),
            Self::Buyers => f.write_str("buyers"),
            Self::Admins => f.write_str("admins"),
            Self::Global => f.write_str("global"),
            Self::Other(id) => write!(f, "other/{id}"),
            Self::About(id) => write!(f, "about/{id}"),
            Self::Control => f.write_str("control"),
        }
    }
}

impl FromStr for Stream {
    type Err = InvalidStream;

    fn from_str(name: &str) -> Result<Self, InvalidStream> {
        let Some((kind, id)) = name.split_once('/') else {
            return match name {
                "sellers" => Ok(Self::Sellers),
                "buyers" => Ok(Self::Buyers),
                "admins" => Ok(Self::Admins),
                "global" => Ok(Self::Global),
                "control" => Ok(Self::Control),
                _ => Err(InvalidStream),
            };
        };
        let of = match kind {
            "conversation" => Self::Conversation,
            "request" => Self::Request,
            "user" => Self::User,
            "checkout" => Self::Checkout,
            "other" => Self::Other,
            "about" => Self::About,
            _ => return Err(InvalidStream),
        };
        Id::new(id).map(of).map_err(|_| InvalidStream)
    }
}

/// The stream in which what is sent to a room is kept.
impl From<&Room> for Stream {
    fn from(room: &Room) -> Self {
        match room {
            Room::Conversation(id) | Room::Chat(id) => Self::Conversation(id.clone()),
            Room::Request(id) => Self::Request(id.clone()),
            Room::User(id) | Room::Seller(id) | Room::Buyer(id) => Self::User(id.clone()),
            Room::Checkout(id) => Self::Checkout(id.clone()),
            Room::Sellers => Self::Sellers,
            Room::Admins => Self::Admins,
            Room::Buyers => Self::Buyers,
            Room::Other(id) => Self::Other(id.clone()),
        }
    }
}

/// Something that happened. It is announced inside a unit of work, numbered and kept with it, and
/// sent once that is committed.
pub trait DomainEvent: Send + 'static {
    /// The streams that keep it, each once. In several, each gives it a number of its own and has
    /// [what is kept there](WireEvent::for_stream) of the wire events, which are kept once; it is
    /// still sent once, as the first of them numbers it.
    fn streams(&self) -> Vec<Stream>;

    /// The wire events that it becomes, in the order in which they are sent; `seq` is its number
    /// in the first of its streams, 0 when it is not kept.
    fn render(&self, seq: i64) -> Vec<WireEvent>;

    /// Whether it has a number and can be replayed.
    fn kept(&self) -> bool {
        true
    }

    /// What it shows that can change later, so that it can be found and written anew with it; one of
    /// several streams can be taken back.
    fn subject(&self) -> Option<&Id> {
        None
    }

    /// The name of what it shows, where a row has all of that: in one stream nothing else is kept of it,
    /// and whoever has the row [tells it again](crate::db::Retell) by this name, as it is by then.
    fn source(&self) -> Option<String> {
        None
    }
}

/// A wire event without a number in its payload, announced as it is.
impl DomainEvent for WireEvent {
    fn streams(&self) -> Vec<Stream> {
        Self::streams(self)
    }

    fn render(&self, _: i64) -> Vec<Self> {
        vec![self.clone()]
    }
}

/// A wire event with somebody's words in it, which can be taken back with what they are about.
pub struct WithSubject {
    wire_event: WireEvent,
    subject: Id,
}

impl DomainEvent for WithSubject {
    fn streams(&self) -> Vec<Stream> {
        self.wire_event.streams()
    }

    fn render(&self, _: i64) -> Vec<WireEvent> {
        vec![self.wire_event.clone()]
    }

    fn subject(&self) -> Option<&Id> {
        Some(&self.subject)
    }
}

/// Who hears an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Target {
    /// Every authenticated socket.
    Everyone,
    /// Whoever is in one of these rooms, and in none of the others.
    #[serde(untagged)]
    Rooms {
        /// The rooms.
        rooms: Vec<Room>,
        /// The rooms whose members are left out.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        except: Vec<Room>,
    },
    /// Every authenticated socket but those in one of these rooms.
    #[serde(untagged)]
    EveryoneBut {
        /// The rooms.
        except: Vec<Room>,
    },
}

impl Target {
    fn room(room: Room) -> Self {
        Self::Rooms { rooms: vec![room], except: Vec::new() }
    }

    /// The streams that keep what goes there.
    #[must_use]
    pub fn streams(&self) -> BTreeSet<Stream> {
        match self {
            Self::Everyone | Self::EveryoneBut { .. } => BTreeSet::from([Stream::Global]),
            Self::Rooms { rooms, .. } => rooms.iter().map(Stream::from).collect(),
        }
    }
}

/// One wire event, addressed. As JSON it is what the store keeps.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WireEvent {
    /// Who hears it.
    pub to: Target,
    /// Its name.
    pub event: EventName,
    /// Its payload.
    pub data: Box<RawValue>,
    /// Whether the payload is a list of arguments, of which any number may be, and no argument itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub several: bool,
    /// The rooms that hear it instead where events reach who takes part and nobody else
    /// (`EVENT_AUDIENCE=participants`). It is kept in their streams too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub participants: Vec<Room>,
    /// The user whose sockets do not hear it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub except_user: Option<Id>,
    /// Only here; none takes the namespaces in which the event and the room are at home.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "as_path")]
    pub namespace: Option<Namespace>,
    /// Names it where several streams keep it, so that who is sent the events of all of
    /// them gets it once; and for who counts its sockets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Uuid>,
}

impl WireEvent {
    /// A kept event of the catalogue to this target.
    ///
    /// ```
    /// use stoa::{chat::events::conversation::MessageReaction, room::Room, stream::WireEvent};
    ///
    /// fn announced(room: Room, reaction: &MessageReaction) -> WireEvent {
    ///     WireEvent::to_room(room, reaction)
    /// }
    /// ```
    ///
    /// One that is not kept does not compile:
    ///
    /// ```compile_fail,E0277
    /// use stoa::{realtime::events::SessionClosing, room::Room, stream::WireEvent};
    ///
    /// fn announced(room: Room, closing: &SessionClosing) -> WireEvent {
    ///     WireEvent::to_room(room, closing)
    /// }
    /// ```
    ///
    /// nor one that is told in the other dialect, too, and is told here without its twin:
    ///
    /// ```compile_fail,E0277
    /// use stoa::{chat::events::conversation::MessageEdited, room::Room, stream::WireEvent};
    ///
    /// fn announced(room: Room, edited: &MessageEdited) -> WireEvent {
    ///     WireEvent::to_room(room, edited)
    /// }
    /// ```
    #[must_use]
    pub fn new<E: Kept + Alone>(to: Target, payload: &E) -> Self {
        Self::of(to, payload)
    }

    /// A kept event of the catalogue to a room.
    #[must_use]
    pub fn to_room<E: Kept + Alone>(room: Room, payload: &E) -> Self {
        Self::to_rooms([room], payload)
    }

    /// A kept event of the catalogue to several rooms; a socket gets it once.
    #[must_use]
    pub fn to_rooms<E: Kept + Alone>(rooms: impl Into<Vec<Room>>, payload: &E) -> Self {
        Self::new(Target::Rooms { rooms: rooms.into(), except: Vec::new() }, payload)
    }

    /// A kept event of the catalogue to every authenticated socket.
    #[must_use]
    pub fn to_everyone<E: Kept + Alone>(payload: &E) -> Self {
        Self::new(Target::Everyone, payload)
    }

    /// A kept event and its twin, each to the room of its dialect.
    #[must_use]
    pub fn twins<E>(room: Room, payload: &E, other_room: Room, twin: &E::Twin) -> [Self; 2]
    where
        E: Kept + Twinned<Twin: Kept>,
    {
        [Self::of(Target::room(room), payload), Self::of(Target::room(other_room), twin)]
    }

    /// The same for kept events that are one in the other dialect.
    #[must_use]
    pub fn twin_of_all<E>(room: &Room, all: &[E], other_room: Room, twin: &E::Twin) -> Vec<Self>
    where
        E: Kept + Twinned<Twin: Kept>,
    {
        let each = all.iter().map(|payload| Self::of(Target::room(room.clone()), payload));
        each.chain([Self::of(Target::room(other_room), twin)]).collect()
    }

    /// What no socket hears.
    pub(crate) fn to_nobody(event: EventName, data: Box<RawValue>) -> Self {
        Self::plain(Target::Rooms { rooms: Vec::new(), except: Vec::new() }, event, data)
    }

    fn of<E: Kept>(to: Target, payload: &E) -> Self {
        let data = to_raw_value(payload).unwrap_or_else(|error| {
            tracing::error!(%error, event = E::EVENT.name, "a payload could not be written");
            RawValue::NULL.to_owned()
        });
        Self::plain(to, EventName::from(&E::EVENT), data)
    }

    fn plain(to: Target, event: EventName, data: Box<RawValue>) -> Self {
        Self {
            to,
            event,
            data,
            several: false,
            participants: Vec::new(),
            except_user: None,
            namespace: None,
            id: None,
        }
    }

    /// How long its payload is.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.data.get().len()
    }

    /// Where only who takes part hears of it, these rooms hear it instead.
    #[must_use]
    pub fn or_participants(mut self, rooms: impl Into<Vec<Room>>) -> Self {
        self.participants = rooms.into();
        self
    }

    /// What a stream keeps of it: the same event, to those of the rooms that are kept there. Who
    /// takes part is kept something too, whoever else hears of it.
    #[must_use]
    pub fn for_stream(mut self, stream: &Stream) -> Option<Self> {
        let is_kept = |room: &Room| Stream::from(room) == *stream;
        match &mut self.to {
            Target::Everyone | Target::EveryoneBut { .. } if *stream == Stream::Global => {}
            Target::Everyone | Target::EveryoneBut { .. } => {
                let rooms: Vec<_> =
                    self.participants.iter().filter(|room| is_kept(room)).cloned().collect();
                if rooms.is_empty() {
                    return None;
                }
                self.to = Target::Rooms { rooms, except: Vec::new() };
            }
            Target::Rooms { rooms, .. } if rooms.iter().any(is_kept) => rooms.retain(is_kept),
            // Theirs is as it is, since where it goes to everywhere they do not hear it there.
            Target::Rooms { .. } if self.participants.iter().any(is_kept) => {}
            Target::Rooms { .. } => return None,
        }
        Some(self)
    }

    /// The streams that keep it.
    #[must_use]
    pub fn streams(&self) -> Vec<Stream> {
        let mut streams = self.to.streams();
        streams.extend(self.participants.iter().map(Stream::from));
        streams.into_iter().collect()
    }

    /// So that it can be taken back with what its words are about.
    #[must_use]
    pub fn about(self, subject: Id) -> WithSubject {
        WithSubject { wire_event: self, subject }
    }

    /// Leaves the sockets of this user out.
    #[must_use]
    pub fn except_user(mut self, user: Id) -> Self {
        self.except_user = Some(user);
        self
    }
}

/// A committed event on its way out.
#[derive(Clone, Debug)]
pub struct CommittedEvent {
    /// Where it stands in the order of all kept events; 0 when it is not kept.
    pub position: i64,
    /// When it was announced.
    pub created_at: Timestamp,
    /// Its number in each stream that keeps it; none when it is not kept.
    pub numbers: Vec<(Stream, i64)>,
    /// The wire events.
    pub wire_events: Vec<WireEvent>,
}

impl CommittedEvent {
    /// Whether processes alone are meant by it.
    #[must_use]
    pub fn is_control(&self) -> bool {
        matches!(self.numbers.as_slice(), [(Stream::Control, _)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> Id {
        text.parse().unwrap()
    }

    #[test]
    fn every_stream_reads_back_as_it_prints() {
        for name in [
            "conversation/c1",
            "request/r1",
            "user/u1",
            "checkout/t1",
            "sellers",
            "buyers",
            "admins",
            "global",
            "other/ops.alerts",
            "about/u1",
            "control",
            "user/auth0|5f7c",
            "user/a/b",
        ] {
            assert_eq!(name.parse::<Stream>().unwrap().to_string(), name);
        }
        for bad in ["", "user", "user/", "users/u1", "user/a b"] {
            assert_eq!(bad.parse::<Stream>(), Err(InvalidStream), "{bad:?}");
        }
    }

    #[test]
    fn a_conversation_and_a_chat_share_a_stream() {
        let rooms = [Room::Conversation(id("c1")), Room::Chat(id("c1"))];
        assert_eq!(rooms.map(|room| Stream::from(&room).to_string()), ["conversation/c1"; 2]);
    }

    #[test]
    fn each_stream_keeps_its_share() {
        let text = r#"{"to":{"rooms":["chat-c1","user-u1","conversation:c1"],"except":["sellers"]},
            "event":"x","data":1,"id":"01234567-89ab-7def-8123-456789abcdef"}"#;
        let wire_event: WireEvent = serde_json::from_str(text).unwrap();
        let by_stream: Vec<_> = wire_event
            .streams()
            .into_iter()
            .map(|stream| {
                let kept = wire_event.clone().for_stream(&stream).unwrap();
                assert_eq!((kept.id, &kept.event), (wire_event.id, &wire_event.event));
                format!("{stream} {}", serde_json::to_string(&kept.to).unwrap())
            })
            .collect();
        assert_eq!(
            by_stream,
            [
                r#"conversation/c1 {"rooms":["chat-c1","conversation:c1"],"except":["sellers"]}"#,
                r#"user/u1 {"rooms":["user-u1"],"except":["sellers"]}"#,
            ]
        );
        assert!(wire_event.clone().for_stream(&Stream::Global).is_none());
        let everyone = WireEvent { to: Target::Everyone, ..wire_event };
        assert_eq!(everyone.streams(), [Stream::Global]);
        assert_eq!(everyone.clone().for_stream(&Stream::Global).unwrap().to, Target::Everyone);
        let people = everyone.or_participants([Room::User(id("u1")), Room::User(id("u2"))]);
        let own = Target::Rooms { rooms: vec![Room::User(id("u2"))], except: Vec::new() };
        assert_eq!(people.for_stream(&Stream::User(id("u2"))).unwrap().to, own);
    }

    #[test]
    fn a_rendering_reads_back_as_it_was_written() {
        let text = [
            r#"{"to":"everyone","event":"payment-update","data":{"a":1.10},"namespace":"/chat"}"#,
            r#"{"to":{"rooms":["chat-c1"],"except":["user-u2"]},"event":"x","data":null}"#,
            r#"{"to":{"rooms":["user-u1"]},"event":"x","data":[],"exceptUser":"u1"}"#,
            r#"{"to":{"except":["user-u1"]},"event":"x","data":[]}"#,
        ];
        for text in text {
            let wire_event: WireEvent = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&wire_event).unwrap(), text);
        }
    }
}
