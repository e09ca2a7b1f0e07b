//! The conversation dialect of chat: colon names, to `conversation:<id>`.

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::marketplace;
use crate::{
    chat::documents::{Attachment, Conversation, Message, Participant, Person},
    clock::Timestamp,
    event::Success,
    events,
    id::{GivenId, Id},
    realtime::events::{Done, Position},
    rest::{
        fields::{Fields, WithFurther},
        json,
    },
    room::Room,
    text::PersonName,
};

events! {
    server(Conversation) {
        /// Someone wrote a message.
        MESSAGE_NEW: "message:new", MessageNew, kept, to "conversation:<id>, except the sender's sockets", twin marketplace::NewMessage;
        /// The author changed a message's text.
        MESSAGE_EDITED: "message:edited", MessageEdited, kept, to "conversation:<id>", twin marketplace::ChatMessageEdited;
        /// The author or an admin deleted a message.
        MESSAGE_DELETED: "message:deleted", MessageDeleted, kept, to "conversation:<id>", twin marketplace::ChatMessageDeleted;
        /// Someone reacted to a message, or took that back.
        MESSAGE_REACTION: "message:reaction", MessageReaction, kept, to "conversation:<id>", alone;
        /// Someone has read the conversation up to a message.
        MESSAGE_READ: "message:read", MessageRead, kept, to "conversation:<id>", twin marketplace::MessagesRead;
        /// A conversation began, with the user in it.
        CONVERSATION_CREATED: "conversation:created", ConversationCreated, kept, to "user-<id> of every participant", alone;
        /// The user was added to a conversation.
        CONVERSATION_ADDED: "conversation:added", ConversationAdded, kept, to "user-<id> of the one added", alone;
        /// A conversation was archived.
        CONVERSATION_ARCHIVED: "conversation:archived", ConversationArchived, kept, to "conversation:<id> and user-<id> of every participant", alone;
        /// Someone was added to the conversation.
        PARTICIPANT_ADDED: "conversation:participant:added", ConversationParticipantAdded, kept, to "conversation:<id>", twin marketplace::ParticipantsAdded;
        /// Someone was removed from the conversation, or left it; their sockets leave the room
        /// after this.
        PARTICIPANT_REMOVED: "conversation:participant:removed", ConversationParticipantRemoved, kept, to "conversation:<id>, the one removed included", twin marketplace::ParticipantRemoved;
        /// Someone is typing.
        TYPING_START: "typing:start", TypingStart, ephemeral, to "conversation:<id>, except the sender", twin marketplace::UserTyping;
        /// Someone stopped typing, or left, or was quiet for 10 seconds.
        TYPING_STOP: "typing:stop", TypingStop, ephemeral, to "conversation:<id>, except the sender", twin marketplace::UserTyping;
    }
    client(Conversation) {
        /// Enters `conversation:<id>`; with `since`, the missed events come first.
        JOIN_CONVERSATION: "conversation:join", JoinConversation => ConversationJoined, rate Join, twin marketplace::JOIN_CHAT_ROOM;
        /// Leaves `conversation:<id>`.
        LEAVE_CONVERSATION: "conversation:leave", GivenId => ConversationLeft, rate Join, twin marketplace::LEAVE_CHAT_ROOM;
        /// Writes a message. Further fields are kept with it as its `metadata`.
        SEND_MESSAGE: "message:send", WithFurther<SendMessage> => MessageSent, rate Message, alone;
        /// Tells the conversation that the user is typing.
        START_TYPING: "typing:start", StartTyping => Done, rate Typing, twin marketplace::START_TYPING;
        /// Tells the conversation that the user stopped typing.
        STOP_TYPING: "typing:stop", StopTyping => Done, rate Typing, twin marketplace::STOP_TYPING;
    }
}

/// Someone wrote a message.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MessageNew {
    /// The message.
    pub message_id: Id,
    /// Where it was written.
    pub conversation_id: Id,
    /// The text.
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
    /// The sender's own id for it.
    #[schema(required = true)]
    pub client_message_id: Option<GivenId>,
    /// What else its sender gave with it.
    #[schema(value_type = Object)]
    pub metadata: Fields,
    /// The event's number in the conversation's stream.
    pub seq: i64,
    /// The fields of `metadata` once more, but for those whose names say something else of a
    /// message.
    #[serde(flatten)]
    #[schema(value_type = HashMap<String, Value>)]
    pub spread: Fields,
}

/// A message's text changed.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MessageEdited {
    /// The message.
    pub message_id: Id,
    /// Where it was written.
    pub conversation_id: Id,
    /// The new text.
    pub content: String,
    /// When it was changed.
    pub edited_at: Timestamp,
    /// The event's number in the conversation's stream.
    pub seq: i64,
}

/// A message is gone.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MessageDeleted {
    /// The message.
    pub message_id: Id,
    /// Where it was written.
    pub conversation_id: Id,
    /// When it was deleted.
    pub deleted_at: Timestamp,
    /// The event's number in the conversation's stream.
    pub seq: i64,
}

/// Someone reacted to a message, or took that back.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MessageReaction {
    /// The message.
    pub message_id: Id,
    /// Where it was written.
    pub conversation_id: Id,
    /// Who did what.
    pub reaction: ReactionChange,
    /// The event's number in the conversation's stream.
    pub seq: i64,
}

/// A reaction that came or went.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReactionChange {
    /// With what.
    pub emoji: String,
    /// Who.
    pub user_id: Id,
    /// Whether it came or went.
    pub action: ReactionAction,
}

/// What happened to a reaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReactionAction {
    /// It came.
    Added,
    /// It went.
    Removed,
}

/// Someone has read up to a message.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MessageRead {
    /// Where.
    pub conversation_id: Id,
    /// Who.
    pub user_id: Id,
    /// The last message they have read.
    pub message_id: Id,
    /// The event's number in the conversation's stream.
    pub seq: i64,
}

/// A conversation began.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConversationCreated {
    /// The conversation.
    pub conversation: Conversation,
}

/// The user was added to a conversation.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConversationAdded {
    /// The conversation.
    pub conversation_id: Id,
    /// Who added them.
    pub added_by: Person,
}

/// A conversation was archived.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConversationArchived {
    /// The conversation.
    pub conversation_id: Id,
}

/// Someone was added to the conversation.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConversationParticipantAdded {
    /// The conversation.
    pub conversation_id: Id,
    /// Who was added.
    pub participant: Participant,
}

/// Someone is no longer in the conversation.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConversationParticipantRemoved {
    /// The conversation.
    pub conversation_id: Id,
    /// Who was removed.
    pub user_id: Id,
}

/// Someone is typing.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TypingStart {
    /// Who.
    pub user_id: Id,
    /// Their name, as their token or else their client tells it.
    pub user_name: String,
    /// Where.
    pub conversation_id: Id,
}

/// Someone stopped typing.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TypingStop {
    /// Who.
    pub user_id: Id,
    /// Where.
    pub conversation_id: Id,
}

/// A conversation's id, or that and where to take up its stream.
#[derive(Clone, Debug, PartialEq, Deserialize, ToSchema)]
#[serde(untagged, expecting = "a conversation id or {conversationId, since}")]
pub enum JoinConversation {
    /// The conversation's id alone.
    Id(GivenId),
    /// The conversation, and the last event that the client has seen.
    Since(JoinConversationSince),
}

/// Enters a conversation and has the missed events sent again.
#[derive(Clone, Debug, PartialEq, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct JoinConversationSince {
    /// The conversation.
    pub conversation_id: GivenId,
    /// The `seq` of the last event that the client has seen.
    pub since: Option<i64>,
}

impl JoinConversation {
    /// The conversation, and the `seq` after which to send again.
    #[must_use]
    pub fn into_parts(self) -> (GivenId, Option<i64>) {
        match self {
            Self::Id(conversation_id) => (conversation_id, None),
            Self::Since(join) => (join.conversation_id, join.since),
        }
    }
}

/// A message to write.
#[derive(Clone, Debug, PartialEq, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SendMessage {
    /// Where to write it.
    pub conversation_id: Id,
    /// The text; it may be missing where there are attachments.
    #[serde(default, deserialize_with = "json::or_default")]
    #[schema(max_length = 8000)]
    pub content: String,
    /// The files that come with it.
    #[serde(default, deserialize_with = "json::or_default")]
    #[schema(max_items = 10)]
    pub attachments: Vec<Attachment>,
    /// The message that it answers.
    pub reply_to: Option<Id>,
    /// The client's own id for it: the same one again gives the first message.
    #[serde(default, deserialize_with = "GivenId::any")]
    pub client_message_id: Option<GivenId>,
    /// Anything for the clients. Its fields and the further ones are kept together, up to 16 KiB of
    /// JSON; of a name in both, the one in here counts. What is no object is a further field.
    #[serde(default, deserialize_with = "metadata_or_one")]
    #[schema(value_type = Object)]
    pub metadata: Fields,
}

fn metadata_or_one<'de, D: Deserializer<'de>>(from: D) -> Result<Fields, D::Error> {
    Fields::or_one("metadata", from)
}

/// The user is typing.
#[derive(Clone, Debug, PartialEq, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StartTyping {
    /// Where.
    pub conversation_id: Id,
    /// The user's name, for when their token does not tell it.
    pub user_name: Option<PersonName>,
}

/// The user stopped typing.
#[derive(Clone, Debug, PartialEq, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StopTyping {
    /// Where.
    pub conversation_id: Id,
}

/// The conversation was entered.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConversationJoined {
    /// Always true.
    pub success: Success,
    /// The conversation.
    pub conversation_id: GivenId,
    /// Its room.
    #[schema(value_type = String)]
    pub room: Room,
    /// Where its stream stands.
    #[serde(flatten)]
    pub position: Position,
}

/// The conversation was left.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConversationLeft {
    /// Always true.
    pub success: Success,
    /// The conversation.
    pub conversation_id: GivenId,
}

/// The message was stored.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MessageSent {
    /// Always true.
    pub success: Success,
    /// The message.
    pub message: Message,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn id(text: &str) -> Id {
        Id::new(text).unwrap()
    }

    #[test]
    fn a_new_message_reads_as_the_contract_prints_it() {
        let event = MessageNew {
            message_id: id("m1"),
            conversation_id: id("c1"),
            content: "Hello".into(),
            sender: Person { id: id("u1"), first_name: Some("Ada".into()), last_name: None },
            created_at: Timestamp::from_millis(1_764_000_000_000),
            attachments: vec![],
            reply_to: None,
            client_message_id: Some(id("x1").into()),
            metadata: serde_json::from_value(json!({ "seq": 1, "colour": "red" })).unwrap(),
            seq: 7,
            spread: serde_json::from_value(json!({ "colour": "red" })).unwrap(),
        };
        assert_eq!(
            serde_json::to_value(event).unwrap(),
            json!({
                "messageId": "m1",
                "conversationId": "c1",
                "content": "Hello",
                "sender": {"id": "u1", "firstName": "Ada", "lastName": null},
                "createdAt": "2025-11-24T16:00:00.000Z",
                "attachments": [],
                "replyTo": null,
                "clientMessageId": "x1",
                "metadata": {"seq": 1, "colour": "red"},
                "seq": 7,
                "colour": "red",
            })
        );
    }

    #[test]
    fn a_join_names_the_conversation_alone_or_with_since() {
        let parts = |join: JoinConversation| {
            let (given, since) = join.into_parts();
            (given.id().clone(), since)
        };
        let read = |value| serde_json::from_value(value).map(parts);
        assert_eq!(read(json!("c1")).unwrap(), (id("c1"), None));
        assert_eq!(read(json!(42)).unwrap(), (id("42"), None));
        assert_eq!(read(json!({"conversationId": "c1"})).unwrap(), (id("c1"), None));
        let since = json!({"conversationId": "c1", "since": 12});
        assert_eq!(read(since).unwrap(), (id("c1"), Some(12)));
        // As with the Node servers, what is not known is not looked at.
        let more = json!({"conversationId": "c1", "more": 1});
        assert_eq!(read(more).unwrap(), (id("c1"), None));
        for bad in [json!(null), json!(""), json!({}), json!({"conversationId": true})] {
            let error = read(bad).unwrap_err().to_string();
            assert_eq!(error, "a conversation id or {conversationId, since}");
        }
    }

    #[test]
    fn the_answer_to_a_join_is_flat_and_leaves_out_what_it_does_not_know() {
        let mut joined = ConversationJoined {
            success: Success,
            conversation_id: id("c1").into(),
            room: Room::Conversation(id("c1")),
            position: Position::default(),
        };
        let mut expected =
            json!({"success": true, "conversationId": "c1", "room": "conversation:c1"});
        assert_eq!(serde_json::to_value(&joined).unwrap(), expected);

        joined.position = Position {
            seq: Some(9),
            epoch: Some(id("e1")),
            recovered: Some(true),
            replayed: Some(2),
        };
        for (key, value) in [
            ("seq", json!(9)),
            ("epoch", json!("e1")),
            ("recovered", json!(true)),
            ("replayed", json!(2)),
        ] {
            expected[key] = value;
        }
        assert_eq!(serde_json::to_value(&joined).unwrap(), expected);
    }
}
