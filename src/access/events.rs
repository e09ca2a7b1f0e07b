//! How a marketplace client enters a user's room (docs/contract/events.md#client-to-server).

use serde::Deserialize;
use utoipa::ToSchema;

use crate::{events, id::Id, realtime::events::RoomChanged};

events! {
    client(Marketplace only) {
        /// Enters `user-<id>`; every socket of an authenticated user is there already.
        JOIN_USER_ROOM: "join-user-room", JoinUserRoom => RoomChanged, rate Join;
    }
}

/// A user's id, or that and where to take up the user's stream.
#[derive(Clone, Debug, PartialEq, Deserialize, ToSchema)]
#[serde(untagged, expecting = "a user id or {userId, since}")]
pub enum JoinUserRoom {
    /// The user's id alone.
    Id(Id),
    /// The user, and the last event that the client has seen.
    Since(JoinUserRoomSince),
}

/// Enters a user's room and has the missed events sent again.
#[derive(Clone, Debug, PartialEq, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct JoinUserRoomSince {
    /// The user.
    pub user_id: Id,
    /// The `seq` of the last event that the client has seen.
    pub since: Option<i64>,
}

impl JoinUserRoom {
    /// The user, and the `seq` after which to send again.
    #[must_use]
    pub fn into_parts(self) -> (Id, Option<i64>) {
        match self {
            Self::Id(user_id) => (user_id, None),
            Self::Since(join) => (join.user_id, join.since),
        }
    }
}
