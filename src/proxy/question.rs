//! What a backend is asked.

use metrics::SharedString;
use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::{
    auth::{Identity, Roles},
    id::Id,
    realtime::{Connection, ForeignEvent},
    room::Room,
};

/// What a question is counted by.
#[derive(Clone, Debug)]
pub(super) struct Topic {
    /// `event` or `join`.
    pub(super) kind: &'static str,
    /// The pattern that took the event, or what else it is about: of these there are few.
    pub(super) event: SharedString,
}

/// An event of a client's.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EventQuestion<'a> {
    kind: &'static str,
    event: &'a str,
    args: &'a RawValue,
    #[serde(flatten)]
    asker: Asker<'a>,
    namespace: &'static str,
    socket_id: Uuid,
    rooms: Vec<Room>,
}

/// Whether somebody may enter a room.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct JoinQuestion<'a> {
    kind: &'static str,
    room: &'a Room,
    #[serde(flatten)]
    asker: Asker<'a>,
}

/// Who asks: nobody known, while a trusting handshake has not heard.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Asker<'a> {
    user_id: Option<&'a Id>,
    roles: Roles,
    claims: &'a RawValue,
}

impl<'a> EventQuestion<'a> {
    pub(super) fn of(event: &'a ForeignEvent, identity: Option<&'a Identity>) -> Self {
        let connection: &Connection = &event.connection;
        Self {
            kind: "event",
            event: &event.event,
            args: &event.arguments,
            asker: Asker::of(identity),
            namespace: connection.namespace().path(),
            socket_id: connection.id(),
            rooms: connection.rooms(),
        }
    }
}

impl<'a> JoinQuestion<'a> {
    pub(super) fn of(identity: &'a Identity, room: &'a Room) -> Self {
        Self { kind: "join", room, asker: Asker::of(Some(identity)) }
    }
}

impl<'a> Asker<'a> {
    fn of(identity: Option<&'a Identity>) -> Self {
        let claims = identity.and_then(Identity::claims).unwrap_or("{}");
        Self {
            user_id: identity.map(|identity| &identity.user_id),
            roles: identity.map_or(Roles::NONE, |identity| identity.roles),
            claims: serde_json::from_str(claims).unwrap_or(RawValue::NULL),
        }
    }
}
