//! Conversations, messages and people as clients see them, in events and over REST.

use garde::Validate;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    clock::Timestamp,
    id::{GivenId, Id},
    text,
};

/// A user, as others see them.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Person {
    /// The user.
    pub id: Id,
    /// Null when neither a token of theirs nor a backend has told.
    #[schema(required = true)]
    pub first_name: Option<String>,
    /// Null when neither a token of theirs nor a backend has told.
    #[schema(required = true)]
    pub last_name: Option<String>,
}

/// A file that hangs on a message; it lies elsewhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Attachment {
    /// Where the file is.
    #[garde(length(chars, min = 1, max = 2048), custom(text::line))]
    #[schema(min_length = 1, max_length = 2048)]
    pub url: String,
    /// The file's name.
    #[garde(length(chars, min = 1, max = 255), custom(text::line))]
    #[schema(min_length = 1, max_length = 255)]
    pub name: String,
    /// The file's media type.
    #[garde(length(chars, min = 1, max = 255), custom(text::line))]
    #[schema(min_length = 1, max_length = 255)]
    pub mime_type: String,
    /// The file's size, in bytes.
    #[garde(skip)]
    pub size: u64,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// The message.
    pub id: Id,
    /// The same as `id`, as marketplace clients read it.
    #[serde(rename = "_id")]
    pub underscore_id: Id,
    /// Where it was written.
    pub conversation_id: Id,
    /// The text; empty once the message is deleted.
    pub content: String,
    /// Who wrote it.
    pub sender: Person,
    /// When it was written.
    pub created_at: Timestamp,
    /// The files that came with it.
    pub attachments: Vec<Attachment>,
    /// The message that it answers.
    #[schema(required = true)]
    pub reply_to: Option<Id>,
    /// The sender's own id for it, which makes sending it again harmless.
    #[schema(required = true)]
    pub client_message_id: Option<GivenId>,
    /// When its text was last changed.
    #[schema(required = true)]
    pub edited_at: Option<Timestamp>,
    /// When it was deleted.
    #[schema(required = true)]
    pub deleted_at: Option<Timestamp>,
    /// Who reacted with what.
    pub reactions: Vec<Reaction>,
}

/// One user's reaction to a message.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Reaction {
    /// With what.
    pub emoji: String,
    /// Who.
    pub user_id: Id,
}

/// A conversation.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Conversation {
    /// The conversation.
    pub id: Id,
    /// The same as `id`, as marketplace clients read it.
    #[serde(rename = "_id")]
    pub underscore_id: Id,
    /// Between two people, or of a group.
    #[serde(rename = "type")]
    pub kind: ConversationKind,
    /// What the group is called.
    #[schema(required = true)]
    pub title: Option<String>,
    /// Who takes part, the first 20 of them.
    #[schema(max_items = 20)]
    pub participants: Vec<Participant>,
    /// How many take part.
    pub participant_count: u64,
    /// What its creator added for the clients; null when nothing.
    pub metadata: Value,
    /// Who began it.
    pub created_by: Id,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was archived.
    #[schema(required = true)]
    pub archived_at: Option<Timestamp>,
}

/// What sort of conversation it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ConversationKind {
    /// Between two people; there is one for any two.
    Direct,
    /// Of any number.
    Group,
}

/// A user in a conversation.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Participant {
    /// The user.
    pub id: Id,
    /// The same as `id`, as marketplace clients read it.
    #[serde(rename = "_id")]
    pub underscore_id: Id,
    /// The same as `id`.
    pub user_id: Id,
    /// Null when neither a token of theirs nor a backend has told.
    #[schema(required = true)]
    pub first_name: Option<String>,
    /// Null when neither a token of theirs nor a backend has told.
    #[schema(required = true)]
    pub last_name: Option<String>,
    /// When they came in.
    pub joined_at: Timestamp,
    /// The last message that they have read.
    #[schema(required = true)]
    pub last_read_message_id: Option<Id>,
}
