//! Conversations, messages and people as clients see them, in events and over REST.

use std::borrow::Cow;

use garde::Validate;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, schema::Schema},
};

use crate::{
    clock::Timestamp,
    id::{GivenId, Id},
    rest::fields::{Fields, WithFurther},
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

/// A file that hangs on a message; it lies elsewhere. Whatever else its sender says of it is told
/// back.
#[derive(Clone, Debug, PartialEq, Serialize, Validate)]
pub struct Attachment {
    /// Where the file is.
    #[garde(length(chars, min = 1, max = 2048), custom(text::line))]
    pub url: String,
    /// What else its sender says of it, in whatever form: up to 16 KiB of JSON in all attachments of a
    /// message.
    #[garde(skip)]
    #[serde(flatten)]
    pub further: Fields,
}

/// A file that hangs on a message; it lies elsewhere. Whatever else its sender says of it is told
/// back.
#[derive(ToSchema)]
#[schema(as = Attachment)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "for its schema")]
struct DescribedAttachment {
    /// Where the file is.
    #[schema(min_length = 1, max_length = 2048)]
    url: String,
    /// The file's name.
    #[schema(required = false)]
    name: Value,
    /// The file's media type. Without it, a `type` that is a text is told as it.
    #[schema(required = false)]
    mime_type: Value,
    /// The file's size.
    #[schema(required = false)]
    size: Value,
    /// What else its sender says of it: up to 16 KiB of JSON in all attachments of a message.
    #[serde(flatten)]
    #[schema(value_type = HashMap<String, Value>)]
    further: Fields,
}

impl PartialSchema for Attachment {
    fn schema() -> RefOr<Schema> {
        DescribedAttachment::schema()
    }
}

impl ToSchema for Attachment {
    fn name() -> Cow<'static, str> {
        "Attachment".into()
    }
}

impl<'de> Deserialize<'de> for Attachment {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Known {
            url: String,
        }

        let WithFurther { known: Known { url }, further } =
            WithFurther::<Known>::deserialize(from)?;
        let mut further = further.without_null(&["name", "mimeType", "size"]);
        // Browsers say "" of a file whose type they do not know.
        let told = further.text("type").filter(|kind| !kind.is_empty());
        if let Some(kind) = told.filter(|_| !further.has("mimeType")) {
            further = further.and_text("mimeType", &kind);
        }
        Ok(Self { url, further })
    }
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
    /// What else its sender gave with it.
    #[schema(value_type = Object)]
    pub metadata: Fields,
    /// When its text was last changed.
    #[schema(required = true)]
    pub edited_at: Option<Timestamp>,
    /// When it was deleted.
    #[schema(required = true)]
    pub deleted_at: Option<Timestamp>,
    /// Who reacted with what.
    pub reactions: Vec<Reaction>,
}

/// A message.
#[derive(Serialize, ToSchema)]
pub(super) struct MessageAnswer {
    pub(super) message: Message,
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
