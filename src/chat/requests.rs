//! What callers ask of chat, and the rules of its fields (docs/contract/rest.md#chat).

use std::time::Duration;

use garde::Validate;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::documents::{Attachment, Conversation, ConversationKind, Message};
use crate::{
    clock::Timestamp,
    error::{Error, Result},
    id::{GivenId, Id},
    rest::{
        fields::Fields,
        json::{self, small_metadata},
    },
    text,
};

/// The most people in a conversation.
pub(super) const MAX_PARTICIPANTS: usize = 1000;

/// The most bytes that the ids of those who begin a conversation have together: a thousand of usual
/// length. Each is kept in several places, so that longer ones would make one call cost megabytes.
const MAX_IDS_BYTES: usize = 40_000;

/// The same of those who come later: each is told of in an event of its own besides.
pub(super) const MAX_ADDED_IDS_BYTES: usize = 20_000;

/// Checks that ids have no more than so many bytes together.
pub(super) fn short_together(ids: &[Id], most: usize) -> garde::Result {
    if ids.iter().map(|id| id.as_str().len()).sum::<usize>() <= most {
        return Ok(());
    }
    let rule =
        format!("has ids of more than {most} bytes together; add the others by another call");
    Err(garde::Error::new(rule))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "garde gives references")]
fn short_to_begin(ids: &[Id], (): &()) -> garde::Result {
    short_together(ids, MAX_IDS_BYTES)
}

/// How many of them its document shows.
pub(super) const SHOWN_PARTICIPANTS: usize = 20;

/// A conversation to create.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(super) struct CreateConversation {
    /// Who takes part: 2–1,000 with the caller, who is added when missing. Their ids have up to
    /// 40,000 bytes together.
    #[garde(length(min = 1, max = MAX_PARTICIPANTS), custom(short_to_begin))]
    #[schema(min_items = 1, max_items = 1000)]
    pub(super) participant_ids: Vec<Id>,
    /// What a group is called.
    #[garde(inner(length(chars, min = 1, max = 200), custom(text::line)))]
    #[schema(min_length = 1, max_length = 200)]
    pub(super) title: Option<String>,
    /// Without it: direct for two people and no title, else a group.
    #[serde(rename = "type")]
    pub(super) kind: Option<ConversationKind>,
    /// Anything for the clients, up to 16 KiB of JSON.
    #[serde(default)]
    #[garde(custom(small_metadata))]
    pub(super) metadata: Value,
    /// Its id, from a service that acts for its creator; a new one without it.
    pub(super) id: Option<Id>,
    /// When it began, from a service that acts for its creator; now without it.
    pub(super) created_at: Option<Timestamp>,
}

/// The participants to add: either one or several.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct AddParticipants {
    /// One user.
    pub(super) user_id: Option<Id>,
    /// 1–1,000 users, whose ids have up to 20,000 bytes together.
    #[schema(min_items = 1, max_items = 1000)]
    pub(super) user_ids: Option<Vec<Id>>,
}

/// A message to send.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(super) struct Draft {
    /// The text; it may be missing where there are attachments.
    #[serde(default, deserialize_with = "json::or_default")]
    #[garde(length(chars, max = 8000), custom(text::prose), custom(said_or(&self.attachments)))]
    #[schema(max_length = 8000)]
    pub(super) content: String,
    /// The files that come with it.
    #[serde(default, deserialize_with = "json::or_default")]
    #[garde(length(max = 10), dive, custom(small_further))]
    #[schema(max_items = 10)]
    pub(super) attachments: Vec<Attachment>,
    /// The message of this conversation that it answers.
    pub(super) reply_to: Option<Id>,
    /// The caller's own id for it: the same one again gives the first message.
    #[serde(default, deserialize_with = "GivenId::any")]
    pub(super) client_message_id: Option<GivenId>,
    /// Anything for the clients, up to 16 KiB of JSON.
    #[serde(default, deserialize_with = "json::or_default")]
    #[garde(custom(|own: &Fields, (): &()| json::small(own.bytes())))]
    #[schema(value_type = Object)]
    pub(super) metadata: Fields,
    /// Its id, from a service that acts for its sender; a new one without it.
    pub(super) id: Option<Id>,
    /// When it was written, as it is shown, from a service that acts for its sender; now without it.
    /// The message comes after those that are there whatever this says.
    pub(super) created_at: Option<Timestamp>,
    /// Who sends it, from a service: what `X-Act-As` says elsewhere.
    pub(super) sender_id: Option<Id>,
}

/// How far another's clock may be ahead of ours.
const CLOCK_SKEW: Duration = Duration::from_secs(5);

/// What only a service says of what it does for a user.
#[derive(Clone, Debug, Default)]
pub(super) struct Given {
    /// The id of what is made.
    pub(super) id: Option<Id>,
    /// When it was made.
    pub(super) created_at: Option<Timestamp>,
}

impl Given {
    /// Refuses it of everyone but a service.
    ///
    /// # Errors
    /// [`Code::Forbidden`](crate::error::Code::Forbidden)
    pub(super) fn ensure_by_service(&self, by_service: bool) -> Result<()> {
        if by_service || self.id.is_none() && self.created_at.is_none() {
            return Ok(());
        }
        Err(Error::needs("a service that acts for the user, to give id or createdAt"))
    }

    /// When what is made was made; it is not to come yet.
    ///
    /// # Errors
    /// [`Code::InvalidPayload`](crate::error::Code::InvalidPayload)
    pub(super) fn created_at(&self, now: Timestamp) -> Result<Timestamp> {
        let created_at = self.created_at.unwrap_or(now);
        if created_at > now + CLOCK_SKEW {
            return Err(Error::invalid("/createdAt", "is not to come yet"));
        }
        Ok(created_at)
    }
}

impl Draft {
    /// Bytes of what it carries.
    pub(super) fn bytes(&self) -> usize {
        let attached = |file: &Attachment| file.url.len() + file.further.bytes();
        let attached = self.attachments.iter().map(attached).sum::<usize>();
        self.content.len() + attached + self.metadata.bytes()
    }
}

/// Refuses a message without a text and without a file.
fn said_or(attachments: &[Attachment]) -> impl FnOnce(&str, &()) -> garde::Result {
    let without = attachments.is_empty();
    move |content, ()| {
        if without && content.is_empty() {
            return Err(garde::Error::new("is required where there are no attachments"));
        }
        Ok(())
    }
}

/// Refuses files of which too much is said together.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "garde gives references")]
pub(super) fn small_further(attachments: &[Attachment], (): &()) -> garde::Result {
    json::small(attachments.iter().map(|file| file.further.bytes()).sum())
}

/// A message's new text.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EditMessage {
    /// The text.
    #[garde(length(chars, min = 1, max = 8000), custom(text::prose))]
    #[schema(min_length = 1, max_length = 8000)]
    pub(super) content: String,
}

/// Up to where the caller has read.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct MarkRead {
    /// A message of the conversation.
    pub(super) message_id: Id,
}

/// Which stretch of a conversation.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Stretch {
    /// Only messages older than this one: a message's id, or a cursor.
    pub(super) before: Option<String>,
    /// The messages that come next after this one, oldest first: a message's id, or a cursor.
    pub(super) after: Option<String>,
}

/// A conversation as one of its participants sees it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConversationView {
    #[serde(flatten)]
    pub(super) conversation: Conversation,
    /// The last message written; null in a conversation without.
    #[schema(required = true)]
    pub(super) last_message: Option<Message>,
    /// Messages of others that the caller has not read.
    pub(super) unread_count: u64,
}

/// What a caller has read.
#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReadResult {
    /// Messages of others that had not been read before.
    pub(super) modified_count: u64,
    /// Messages of others that still are not.
    pub(super) unread_count: u64,
}
