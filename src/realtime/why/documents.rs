//! What is told of a user and an event.

use serde::Serialize;
use utoipa::ToSchema;

use crate::{clock::Timestamp, id::Id, room::Room};

/// What became of an event for somebody, from what they heard of it most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    /// Its client showed an offset that covers it.
    Heard,
    /// It was sent when the client came back.
    Recovered,
    /// It was sent when the client joined with `since`.
    Replayed,
    /// It was written to a socket; nothing says whether it was read.
    Written,
    /// It was written to a socket that took too little, which was closed for it.
    Slow,
    /// The client was away, and is sent it when it comes back.
    Waits,
    /// The user is left out of this event (`except`).
    Excluded,
    /// The user was taken out of the room before.
    Evicted,
    /// The user had left the room.
    Left,
    /// The user was connected, and not in the room.
    Outside,
    /// The user was connected to another namespace alone.
    Elsewhere,
    /// The user's token was revoked, or the user blocked.
    ShutOut,
    /// The user was not connected.
    Offline,
    /// What there is to know was not noted.
    Unknown,
    /// It says nothing any more, since what it showed was taken back.
    TakenBack,
}

/// What became of an event for a user.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Why {
    #[schema(value_type = String)]
    pub(super) user_id: Id,
    pub(super) verdict: Outcome,
    /// The verdict in words.
    pub(super) says: String,
    /// Whether all that there was to know around the event was noted, and looked at.
    pub(super) complete: bool,
    /// Of who was in none of its rooms: whether they may enter one now, by what is stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) may_enter: Option<bool>,
    pub(super) event: EventFacts,
    /// The user's sockets of that time and since, at most 100.
    pub(super) sockets: Vec<SocketFacts>,
}

/// The event.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct EventFacts {
    /// Where it stands in the order of all kept events.
    pub(super) position: i64,
    pub(super) created_at: Timestamp,
    /// Its numbers.
    pub(super) streams: Vec<Numbered>,
    /// What was sent.
    pub(super) sent: Vec<SentTo>,
}

/// A number in a stream.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Numbered {
    pub(super) stream: String,
    pub(super) seq: i64,
}

/// An event on the wire, and who it is for.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SentTo {
    pub(super) event: String,
    /// Its rooms; none where it is for everyone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>)]
    pub(super) rooms: Option<Vec<Room>>,
    /// Rooms whose members do not hear it.
    #[schema(value_type = Vec<String>)]
    pub(super) except: Vec<Room>,
    /// The user who does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub(super) except_user: Option<Id>,
    pub(super) namespaces: Vec<&'static str>,
}

/// One socket, and what it heard.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SocketFacts {
    pub(super) id: String,
    pub(super) namespace: &'static str,
    pub(super) outcome: Outcome,
    pub(super) connected_at: Timestamp,
    /// When it came back last, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) came_back_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ended_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ended_because: Option<String>,
    /// What is known, in words.
    pub(super) says: String,
}
