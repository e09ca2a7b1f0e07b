//! Rooms by name: the typed form of every room of the contract
//! (docs/contract/events.md#two-dialects).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Object, RefOr,
        schema::{Schema, Type},
    },
};

use crate::{
    event::{Dialect, Namespaces},
    id::Id,
};

/// A room that sockets join and events are sent to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Room {
    /// `user-<id>`: every socket of one user.
    User(Id),
    /// `conversation:<id>`: a conversation, in the conversation dialect.
    Conversation(Id),
    /// `chat-<id>`: the same conversation, in the marketplace dialect.
    Chat(Id),
    /// `request-<id>`: a purchase request.
    Request(Id),
    /// `seller-<id>`: one seller.
    Seller(Id),
    /// `sellers`: all sellers.
    Sellers,
    /// `buyer-<id>`: one buyer.
    Buyer(Id),
    /// `buyers`: all buyers.
    Buyers,
    /// `template-checkout-<id>`: a checkout over several requests.
    Checkout(Id),
    /// `admins`: every socket of an admin is in here from the start.
    Admins,
    /// A room of another backend's making, entered by grant only.
    Other(Id),
}

/// Why a string is not a [`Room`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a room's name is an id, or one after a prefix such as user-")]
pub struct InvalidRoom;

type WithId = fn(Id) -> Room;

/// The prefixes, and what follows each.
const PREFIXES: [(&str, WithId); 7] = [
    ("user-", Room::User),
    ("conversation:", Room::Conversation),
    ("chat-", Room::Chat),
    ("request-", Room::Request),
    ("seller-", Room::Seller),
    ("buyer-", Room::Buyer),
    ("template-checkout-", Room::Checkout),
];

impl Room {
    /// The prefix of the room's name, and its id; one of the two is empty where a room has only one.
    fn parts(&self) -> (&'static str, &str) {
        match self {
            Self::User(id) => ("user-", id.as_str()),
            Self::Conversation(id) => ("conversation:", id.as_str()),
            Self::Chat(id) => ("chat-", id.as_str()),
            Self::Request(id) => ("request-", id.as_str()),
            Self::Seller(id) => ("seller-", id.as_str()),
            Self::Sellers => ("sellers", ""),
            Self::Buyer(id) => ("buyer-", id.as_str()),
            Self::Buyers => ("buyers", ""),
            Self::Checkout(id) => ("template-checkout-", id.as_str()),
            Self::Admins => ("admins", ""),
            Self::Other(id) => ("", id.as_str()),
        }
    }

    /// Which of the kinds of rooms it is, as they are counted.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::User(_) => "user",
            Self::Conversation(_) => "conversation",
            Self::Chat(_) => "chat",
            Self::Request(_) => "request",
            Self::Seller(_) => "seller",
            Self::Sellers => "sellers",
            Self::Buyer(_) => "buyer",
            Self::Buyers => "buyers",
            Self::Checkout(_) => "checkout",
            Self::Admins => "admins",
            Self::Other(_) => "other",
        }
    }

    /// Whether there may be a record of it that says who belongs there, which is not told by its name.
    #[must_use]
    pub const fn may_be_recorded(&self) -> bool {
        matches!(self, Self::Conversation(_) | Self::Chat(_) | Self::Request(_) | Self::Checkout(_))
    }

    /// The namespaces whose sockets hear what is sent to this room: `/` always, and that of the
    /// dialect the room belongs to (docs/contract/events.md#two-dialects).
    #[must_use]
    pub const fn namespaces(&self) -> Namespaces {
        match self {
            Self::User(_) | Self::Admins | Self::Other(_) => Namespaces::ALL,
            Self::Conversation(_) => Dialect::Conversation.namespaces(),
            _ => Dialect::Marketplace.namespaces(),
        }
    }
}

impl PartialSchema for Room {
    fn schema() -> RefOr<Schema> {
        Object::builder()
            .schema_type(Type::String)
            .pattern(Some("^[A-Za-z0-9_.:@-]{1,160}$"))
            .description(Some("A room's name."))
            .into()
    }
}

impl ToSchema for Room {}

impl FromStr for Room {
    type Err = InvalidRoom;

    fn from_str(name: &str) -> Result<Self, InvalidRoom> {
        match name {
            "sellers" => return Ok(Self::Sellers),
            "buyers" => return Ok(Self::Buyers),
            "admins" => return Ok(Self::Admins),
            _ => {}
        }
        for (prefix, room) in PREFIXES {
            if let Some(id) = name.strip_prefix(prefix) {
                return Id::new(id).map(room).map_err(|_| InvalidRoom);
            }
        }
        Id::new(name).map(Self::Other).map_err(|_| InvalidRoom)
    }
}

impl TryFrom<String> for Room {
    type Error = InvalidRoom;

    fn try_from(name: String) -> Result<Self, InvalidRoom> {
        name.parse()
    }
}

impl From<Room> for String {
    fn from(room: Room) -> Self {
        room.to_string()
    }
}

impl fmt::Display for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (prefix, id) = self.parts();
        f.write_str(prefix)?;
        f.write_str(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_room_of_the_contract_reads_back_as_it_prints() {
        for name in [
            "user-u1",
            "conversation:c1",
            "chat-c1",
            "request-r1",
            "seller-s1",
            "sellers",
            "buyer-b1",
            "buyers",
            "template-checkout-t1",
            "admins",
            "ops.alerts",
            "user-auth0|5f7c",
            "chat-é/%2F",
        ] {
            let room: Room = name.parse().unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(room.to_string(), name);
            assert_eq!(matches!(room, Room::Other(_)), name == "ops.alerts", "{name}");
        }
        for bad in ["", "user-", "chat- ", "a room", "user-a\n"] {
            assert_eq!(bad.parse::<Room>(), Err(InvalidRoom), "{bad:?}");
        }
    }
}
