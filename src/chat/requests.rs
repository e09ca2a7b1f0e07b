//! What callers ask of chat, and the rules of its fields (docs/contract/rest.md#chat).

use garde::Validate;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::documents::{Attachment, Conversation, ConversationKind, Message};
use crate::{
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
}

impl Draft {
    /// Bytes of what it carries.
    pub(super) fn bytes(&self) -> usize {
        let attached = |file: &Attachment| {
            let texts = [Some(&file.url), file.name.as_ref(), file.mime_type.as_ref()];
            let texts = texts.into_iter().flatten().map(String::len).sum::<usize>();
            texts + file.further.bytes()
        };
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
