//! What everyone, or the user's contacts, hear of users coming and going, in both dialects, and how
//! a marketplace client says who it is (docs/contract/events.md#presence).

use serde::Serialize;
use utoipa::ToSchema;

use crate::{clock::Timestamp, id::Id};

/// The conversation dialect.
pub mod conversation {
    use super::{UserOffline, UserOnline, UserStatusChange};
    use crate::events;

    events! {
        server(Conversation) {
            /// A user came online: their first connection opened.
            USER_ONLINE: "user:online", UserOnline, ephemeral, to "everyone but the user", twin UserStatusChange;
            /// A user went offline: their last connection ended and none came back in time.
            USER_OFFLINE: "user:offline", UserOffline, ephemeral, to "everyone but the user", twin UserStatusChange;
        }
    }
}

/// The marketplace dialect.
pub mod marketplace {
    use super::UserStatusChange;
    use crate::{events, id::Id, realtime::events::RoomChanged};

    events! {
        server(Marketplace) {
            /// A user came online or went offline.
            USER_STATUS_CHANGE: "user-status-change", UserStatusChange, ephemeral, to "everyone", twin;
        }
        client(Marketplace) {
            /// Enters `user-<id>` and has the user's status announced to everyone.
            ANNOUNCE_ONLINE: "user-online", Id => RoomChanged, rate Other, alone;
        }
    }
}

/// A user came online.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserOnline {
    /// The user.
    pub user_id: Id,
}

/// A user went offline.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserOffline {
    /// The user.
    pub user_id: Id,
}

/// A user's status changed.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserStatusChange {
    /// The user.
    pub user_id: Id,
    /// What it is now.
    pub status: UserStatus,
    /// When it changed.
    pub last_seen: Timestamp,
}

/// Whether a user has a connection open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum UserStatus {
    /// At least one, in any namespace, on any node.
    Online,
    /// None.
    Offline,
}
