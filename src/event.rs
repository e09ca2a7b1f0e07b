//! Events by name: how a room declares what it sends and hears (its `events.rs`), and which names
//! may be sent at all.

use std::borrow::Cow;

use serde::{Deserialize, Serialize, Serializer};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Object, RefOr,
        schema::{Schema, Type},
    },
};

/// A Socket.IO namespace of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Namespace {
    /// `/`: both dialects.
    Root,
    /// `/chat`: the conversation dialect.
    Chat,
    /// `/marketplace`: the marketplace dialect.
    Marketplace,
}

impl Namespace {
    /// Every namespace.
    pub const ALL: [Self; 3] = [Self::Root, Self::Chat, Self::Marketplace];

    /// The namespace's path, as clients name it.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Root => "/",
            Self::Chat => "/chat",
            Self::Marketplace => "/marketplace",
        }
    }

    /// The namespace of a path; none for any other.
    #[must_use]
    pub fn from_path(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|namespace| namespace.path() == path)
    }
}

/// A set of namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Namespaces(u8);

impl Namespaces {
    /// All of them.
    pub const ALL: Self = Self(0b111);

    /// A set of one.
    #[must_use]
    pub const fn of(namespace: Namespace) -> Self {
        Self(1 << namespace as u8)
    }

    /// Both sets together.
    #[must_use]
    pub const fn with(self, namespace: Namespace) -> Self {
        Self(self.0 | 1 << namespace as u8)
    }

    /// What is in either set.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the set has it.
    #[must_use]
    pub const fn contains(self, namespace: Namespace) -> bool {
        self.0 & 1 << namespace as u8 != 0
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Namespace> {
        Namespace::ALL.into_iter().filter(move |namespace| self.contains(*namespace))
    }
}

/// The two ways in which web apps in production name the same things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// `message:new`, on `/` and `/chat`.
    Conversation,
    /// `new-message`, on `/` and `/marketplace`.
    Marketplace,
    /// Belongs to both: sessions and presence.
    Both,
}

impl Dialect {
    /// Where the dialect is spoken.
    #[must_use]
    pub const fn namespaces(self) -> Namespaces {
        let root = Namespaces::of(Namespace::Root);
        match self {
            Self::Conversation => root.with(Namespace::Chat),
            Self::Marketplace => root.with(Namespace::Marketplace),
            Self::Both => Namespaces::ALL,
        }
    }
}

/// Who says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Direction {
    /// The server, to sockets.
    ServerToClient,
    /// A client, to the server; it is acknowledged.
    ClientToServer,
}

/// The type of a payload or an acknowledgement: how documents name and describe it.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Its name in the documents.
    pub name: fn() -> Cow<'static, str>,
    /// Its schema, which refers to other types by name.
    pub schema: fn() -> RefOr<Schema>,
    /// Adds the types it refers to, by name.
    pub nested: fn(&mut Vec<(String, RefOr<Schema>)>),
}

impl Shape {
    /// The shape of a type.
    #[must_use]
    pub const fn of<T: ToSchema>() -> Self {
        Self { name: T::name, schema: T::schema, nested: T::schemas }
    }
}

/// One event of the wire contract, as a room declares it with [`events!`](crate::events).
#[derive(Clone, Copy, Debug)]
pub struct EventType {
    /// The name on the wire.
    pub name: &'static str,
    /// Whose name it is.
    pub dialect: Dialect,
    /// Who says it.
    pub direction: Direction,
    /// Who hears it, in the contract's words.
    pub to: &'static str,
    /// What it means: the doc comment of its declaration, as it stands there.
    pub doc: &'static str,
    /// Whether it is kept for replay ("Missed events"); typing, presence and sessions are not.
    pub kept: bool,
    /// What it carries.
    pub payload: Shape,
    /// How a success is acknowledged, for what clients send.
    pub ack: Option<Shape>,
}

impl EventType {
    /// What it means, in one line.
    #[must_use]
    pub fn description(&self) -> String {
        self.doc.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// The payload of one event that the server sends: the type alone decides the name on the wire.
pub trait ServerEvent: Serialize {
    /// The event.
    const EVENT: EventType;
}

/// The `success: true` of an acknowledgement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Success;

impl Serialize for Success {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bool(true)
    }
}

impl PartialSchema for Success {
    fn schema() -> RefOr<Schema> {
        let object = Object::builder().schema_type(Type::Boolean).enum_values(Some([true]));
        object.description(Some("It was done.")).into()
    }
}

impl ToSchema for Success {}

/// Declares the events of one dialect in a room: a constant for each, [`ServerEvent`] for each
/// payload that the server sends, and `EVENTS` with all of them.
///
/// What the server sends names its payload, whether it is `kept` or `ephemeral`, and who hears it;
/// what a client sends names its payload and the acknowledgement of a success.
///
/// ```ignore
/// events! {
///     server(Conversation) {
///         /// A user came online.
///         USER_ONLINE: "user:online", UserOnline, ephemeral, to "everyone but the user";
///     }
///     client(Conversation) {
///         /// Enters a conversation.
///         JOIN_CONVERSATION: "conversation:join", JoinConversation => ConversationJoined;
///     }
/// }
/// ```
#[macro_export]
macro_rules! events {
    (@kept kept) => { true };
    (@kept ephemeral) => { false };
    (
        $(server($server:ident) { $(
            $(#[doc = $sent_doc:literal])+
            $sent:ident: $sent_name:literal, $payload:ty, $kept:ident, to $to:literal;
        )+ })?
        $(client($client:ident) { $(
            $(#[doc = $heard_doc:literal])+
            $heard:ident: $heard_name:literal, $argument:ty => $ack:ty;
        )+ })?
    ) => {
        $($(
            $(#[doc = $sent_doc])+
            pub const $sent: $crate::event::EventType = $crate::event::EventType {
                name: $sent_name,
                dialect: $crate::event::Dialect::$server,
                direction: $crate::event::Direction::ServerToClient,
                to: $to,
                doc: concat!($($sent_doc, "\n"),+),
                kept: $crate::events!(@kept $kept),
                payload: $crate::event::Shape::of::<$payload>(),
                ack: None,
            };
            impl $crate::event::ServerEvent for $payload {
                const EVENT: $crate::event::EventType = $sent;
            }
        )+)?
        $($(
            $(#[doc = $heard_doc])+
            pub const $heard: $crate::event::EventType = $crate::event::EventType {
                name: $heard_name,
                dialect: $crate::event::Dialect::$client,
                direction: $crate::event::Direction::ClientToServer,
                to: "the server",
                doc: concat!($($heard_doc, "\n"),+),
                kept: false,
                payload: $crate::event::Shape::of::<$argument>(),
                ack: Some($crate::event::Shape::of::<$ack>()),
            };
        )+)?
        /// Every event declared here.
        pub const EVENTS: &[$crate::event::EventType] = &[$($($sent,)+)? $($($heard,)+)?];
    };
}

/// Names that JavaScript clients keep for themselves: one of them relayed drops every client in
/// the room (contract/events.md, "Reserved names").
const RESERVED: [&str; 6] =
    ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"];

/// The longest name of an event that comes from outside.
const MAX_NAME_CHARS: usize = 128;

/// An event name that may be sent: 1–128 characters without control characters, and not a reserved
/// one (contract/events.md, "Names of events").
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct EventName(Cow<'static, str>);

/// Why a string is not an [`EventName`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEventName {
    /// It does not have the form of a name.
    #[error("an event name has 1–128 characters, none of them a control character")]
    Malformed,
    /// Clients keep it for themselves.
    #[error("this event name is reserved by the Socket.IO clients")]
    Reserved,
}

/// Whether a name is one that JavaScript clients keep for themselves.
#[must_use]
pub fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name)
}

impl EventName {
    /// Takes a string as an event name.
    ///
    /// # Errors
    /// [`InvalidEventName`] when it is reserved or malformed.
    pub fn new(name: impl Into<String>) -> Result<Self, InvalidEventName> {
        let name = name.into();
        if is_reserved(&name) {
            return Err(InvalidEventName::Reserved);
        }
        let length = name.chars().take(MAX_NAME_CHARS + 1).count();
        if (1..=MAX_NAME_CHARS).contains(&length) && !name.contains(char::is_control) {
            Ok(Self(name.into()))
        } else {
            Err(InvalidEventName::Malformed)
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name of a declared event; the catalogue has checked it.
impl From<&EventType> for EventName {
    fn from(event: &EventType) -> Self {
        Self(Cow::Borrowed(event.name))
    }
}

impl TryFrom<String> for EventName {
    type Error = InvalidEventName;

    fn try_from(name: String) -> Result<Self, InvalidEventName> {
        Self::new(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_and_malformed_names_are_refused() {
        for name in RESERVED {
            assert_eq!(EventName::new(name), Err(InvalidEventName::Reserved));
        }
        for name in ["", "a\n", "\u{7f}", "\u{85}", "\u{1}", &"é".repeat(129)] {
            assert_eq!(EventName::new(name), Err(InvalidEventName::Malformed), "{name:?}");
        }
        for name in ["message:new", "chat message", "1", "A.b_c", "\"é🎉\\", &"é".repeat(128)] {
            assert!(EventName::new(name).is_ok(), "{name:?}");
        }
    }
}
