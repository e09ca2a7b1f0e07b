//! What callers ask of notifications, and the rules of its fields
//! (docs/contract/rest.md#notifications).

use std::collections::BTreeSet;

use garde::Validate;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::events::Notification;
use crate::{
    error::{Error, Result},
    id::Id,
    rest::json::small_metadata,
    text,
};

/// The most users whom one request tells something.
pub(super) const MAX_USERS: usize = 10_000;

/// What users are told.
#[derive(Clone, Debug, Serialize)]
pub struct Notice {
    /// What it is about, in the sender's words, such as `offer`.
    pub kind: String,
    /// One line.
    pub title: String,
    /// The text; may be empty.
    pub body: String,
    /// Anything for the client, up to 16 KiB of JSON; null for nothing.
    pub data: Value,
}

impl Notice {
    /// Bytes of its texts.
    pub(super) fn bytes(&self) -> usize {
        self.kind.len() + self.title.len() + self.body.len() + self.data.to_string().len()
    }
}

/// A notification to send: to `userId` or to `userIds`.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(super) struct CreateNotification {
    /// One user.
    user_id: Option<Id>,
    /// 1–10,000 users. Who is named twice is told once.
    #[garde(inner(length(min = 1, max = MAX_USERS)))]
    #[schema(min_items = 1, max_items = 10_000)]
    user_ids: Option<Vec<Id>>,
    /// What it is about, in the sender's words.
    #[garde(length(chars, min = 1, max = 64), custom(text::line))]
    #[schema(min_length = 1, max_length = 64)]
    r#type: String,
    /// One line.
    #[garde(length(chars, min = 1, max = 200), custom(text::line))]
    #[schema(min_length = 1, max_length = 200)]
    title: String,
    /// The text; may be empty.
    #[serde(default)]
    #[garde(length(chars, max = 4000), custom(text::prose))]
    #[schema(max_length = 4000)]
    body: String,
    /// Anything for the client, up to 16 KiB of JSON.
    #[serde(default)]
    #[garde(custom(small_metadata))]
    data: Value,
}

impl CreateNotification {
    /// What is told, and to whom.
    ///
    /// # Errors
    /// [`Code::InvalidPayload`](crate::error::Code::InvalidPayload) unless it names one user or
    /// several.
    pub(super) fn read(self) -> Result<(Notice, BTreeSet<Id>)> {
        let users = match (self.user_id, self.user_ids) {
            (Some(user), None) => BTreeSet::from([user]),
            (None, Some(users)) => users.into_iter().collect(),
            _ => return Err(Error::invalid("", "takes either userId or userIds")),
        };
        let Self { r#type: kind, title, body, data, .. } = self;
        Ok((Notice { kind, title, body, data }, users))
    }
}

/// A notification that was sent.
#[derive(Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Sent {
    /// The notification, as each of its users has it.
    pub(super) notification: Notification,
    /// How many users it was sent to.
    pub(super) recipients: usize,
}

/// Which notifications.
#[derive(Clone, Copy, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// `true` lists only those that are unread.
    #[serde(default)]
    pub(super) unread: bool,
}

/// How many notifications are unread.
#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct UnreadCount {
    /// How many are unread.
    pub(super) unread_count: u64,
}

/// What a caller has read.
#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReadResult {
    /// Notifications that had not been read before.
    pub(super) modified_count: u64,
    /// Notifications that still are not.
    pub(super) unread_count: u64,
}
