//! What a user hears of their notifications (docs/contract/events.md#notification).

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::{clock::Timestamp, events, id::Id};

events! {
    server(Marketplace only) {
        /// The user got a notification.
        NEW_NOTIFICATION: "new-notification", NewNotification, kept, to "user-<id>";
        /// The number of unread notifications changed.
        UNREAD_COUNT_UPDATE: "unread-count-update", UnreadCountUpdate, kept, to "user-<id>";
    }
}

/// The user got a notification.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NewNotification {
    /// The notification.
    pub notification: Notification,
}

/// The number of unread notifications changed.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UnreadCountUpdate {
    /// How many are unread now.
    pub unread_count: u64,
}

/// A notification as clients see it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Notification {
    /// The notification.
    pub id: Id,
    /// The same as `id`, as marketplace clients read it.
    #[serde(rename = "_id")]
    pub underscore_id: Id,
    /// What it is about, in the sender's words.
    #[serde(rename = "type")]
    pub kind: String,
    /// One line.
    pub title: String,
    /// The text.
    pub body: String,
    /// What the sender added for the client; null when nothing.
    pub data: Value,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was read; null while it is unread.
    #[schema(required = true)]
    pub read_at: Option<Timestamp>,
}
