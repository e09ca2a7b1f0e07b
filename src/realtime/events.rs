//! What the server tells a socket about its session, and the acknowledgements that rooms share
//! (docs/contract/events.md#session and docs/contract/events.md#client-to-server).

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{clock::Timestamp, error::AckCode, event::Success, events, id::Id, room::Room};

events! {
    server(Both) {
        /// The token ends in 60 seconds; `auth:refresh` with a new one keeps the socket.
        AUTH_EXPIRING: "auth:expiring", AuthExpiring, ephemeral, to "the socket";
        /// The server closes the socket after this.
        SESSION_CLOSING: "session:closing", SessionClosing, ephemeral, to "the socket";
        /// An event of the client's without a callback failed.
        ERROR: "error", EventFailed, ephemeral, to "the socket";
    }
    client(Both) {
        /// Extends the socket's life with a new token of the same user. Every room that it is in is
        /// checked again; what the new token may not enter is left.
        REFRESH_AUTH: "auth:refresh", RefreshAuth => AuthRefreshed, rate Refresh;
    }
}

/// The token ends soon.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuthExpiring {
    /// When the token ends.
    pub expires_at: Timestamp,
}

/// The server is about to close the socket.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionClosing {
    /// Why.
    pub reason: ClosingReason,
    /// Whether connecting again may help.
    pub retryable: bool,
    /// How long to wait before that, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

impl SessionClosing {
    /// What a client is told. Coming back helps, except for one that was shut out.
    #[must_use]
    pub const fn because(reason: ClosingReason) -> Self {
        let retryable = !matches!(reason, ClosingReason::Revoked | ClosingReason::ProtocolError);
        Self { reason, retryable, retry_after_ms: None }
    }
}

/// Why the server closes a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClosingReason {
    /// The token ended.
    TokenExpired,
    /// The token was revoked, or its user blocked.
    Revoked,
    /// An operator closed it.
    Disconnected,
    /// The client reads more slowly than it is sent to.
    SlowConsumer,
    /// The client sends too much.
    RateLimited,
    /// The client does not speak the protocol.
    ProtocolError,
    /// Too many connections of this user or address.
    ConnectionLimit,
    /// The server shuts down.
    Draining,
    /// The server failed.
    ServerError,
}

impl ClosingReason {
    /// As it is kept of a connection that ended for it.
    pub(super) const fn as_kept(self) -> &'static str {
        match self {
            Self::Revoked => "revoked",
            Self::SlowConsumer => "slow",
            _ => "disconnected",
        }
    }
}

/// An event of the client's failed and had no callback to hear it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventFailed {
    /// The event's name.
    pub event: String,
    /// Why, for people.
    pub error: String,
    /// Why, for programs.
    pub code: AckCode,
}

/// A new token for this socket.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RefreshAuth {
    /// The token, with or without `Bearer `.
    #[schema(value_type = String, max_length = 16384)]
    pub token: SecretString,
}

/// The socket lives as long as its new token.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuthRefreshed {
    /// Always true.
    pub success: Success,
    /// When the new token ends.
    pub expires_at: Option<Timestamp>,
    /// The rooms that the new token may not enter, by name: the socket is out of them.
    #[schema(value_type = Vec<String>)]
    pub left_rooms: Vec<Room>,
}

/// It was done, and there is nothing more to say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Done {
    /// Always true.
    pub success: Success,
}

/// One room was entered or left.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct RoomChanged {
    /// Always true.
    pub success: Success,
    /// The room's name.
    #[schema(value_type = String)]
    pub room: Room,
    /// Where the room's stream stands, when it was entered and keeps events.
    #[serde(flatten)]
    pub position: Position,
}

impl RoomChanged {
    /// A room that keeps no events was entered or left.
    #[must_use]
    pub fn of(room: Room) -> Self {
        Self { success: Success, room, position: Position::default() }
    }
}

/// Several rooms were entered or left at once.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct RoomsChanged {
    /// Always true.
    pub success: Success,
    /// The rooms' names.
    #[schema(value_type = Vec<String>)]
    pub rooms: Vec<Room>,
}

/// Where a stream stands after a join, and what a join with `since` brought ("Missed events").
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Position {
    /// The number of the stream's last event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<i64>,
    /// The life of the stream that `seq` counts in; another one means that it started anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Id>,
    /// Whether everything after `since` was sent again; if not, the history is to be fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovered: Option<bool>,
    /// How many events were sent again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replayed: Option<u64>,
}
