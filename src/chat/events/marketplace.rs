//! The marketplace dialect of chat: hyphen names, to `chat-<id>`. A chat is a conversation.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    chat::documents::Attachment,
    clock::Timestamp,
    events,
    id::Id,
    realtime::events::{Done, RoomChanged},
    rest::fields::Fields,
    text::PersonName,
};

events! {
    server(Marketplace) {
        /// Someone wrote a message.
        NEW_MESSAGE: "new-message", NewMessage, kept, to "chat-<id>", twin;
        /// Someone has read the chat up to a message.
        MESSAGES_READ: "messages-read", MessagesRead, kept, to "chat-<id>", twin;
        /// The author changed a message's text.
        MESSAGE_EDITED: "message-edited", ChatMessageEdited, kept, to "chat-<id>", twin;
        /// The author or an admin deleted a message.
        MESSAGE_DELETED: "message-deleted", ChatMessageDeleted, kept, to "chat-<id>", twin;
        /// Someone was added to the chat.
        PARTICIPANTS_ADDED: "participants-added", ParticipantsAdded, kept, to "chat-<id>", twin;
        /// Someone was removed from the chat, or left it.
        PARTICIPANT_REMOVED: "participant-removed", ParticipantRemoved, kept, to "chat-<id>", twin;
        /// Someone is typing, or stopped.
        USER_TYPING: "user-typing", UserTyping, ephemeral, to "chat-<id>, except the sender", twin;
    }
    client(Marketplace) {
        /// Enters `chat-<id>`; with `since`, the missed events come first.
        JOIN_CHAT_ROOM: "join-chat-room", JoinChatRoom => RoomChanged, rate Join, twin;
        /// Leaves `chat-<id>`.
        LEAVE_CHAT_ROOM: "leave-chat-room", Id => RoomChanged, rate Join, twin;
        /// Tells the chat that the user is typing.
        START_TYPING: "typing-start", StartChatTyping => Done, rate Typing, twin;
        /// Tells the chat that the user stopped typing.
        STOP_TYPING: "typing-stop", StopChatTyping => Done, rate Typing, twin;
    }
}

/// Someone wrote a message.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NewMessage {
    /// The chat.
    pub chat_id: Id,
    /// The message.
    pub message: ChatMessage,
    /// Who wrote it.
    pub sender_id: Id,
    /// The event's number in the conversation's stream.
    pub seq: i64,
}

/// A message in a chat.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChatMessage {
    /// The message.
    pub id: Id,
    /// The same as `id`, as marketplace clients read it.
    #[serde(rename = "_id")]
    pub underscore_id: Id,
    /// The text.
    pub content: String,
    /// Who wrote it.
    pub sender_id: Id,
    /// When it was written.
    pub created_at: Timestamp,
    /// The files that came with it; left out when there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// What else its sender gave with it; left out when there is nothing.
    #[serde(skip_serializing_if = "Fields::is_empty")]
    #[schema(value_type = Object)]
    pub metadata: Fields,
}

/// Someone has read up to a message.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MessagesRead {
    /// The chat.
    pub chat_id: Id,
    /// Who.
    pub user_id: Id,
    /// The last message they have read.
    pub up_to_message_id: Id,
    /// How many messages they had not read before.
    pub modified_count: u64,
}

/// A message's text changed.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChatMessageEdited {
    /// The chat.
    pub chat_id: Id,
    /// The message.
    pub message_id: Id,
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
pub struct ChatMessageDeleted {
    /// The chat.
    pub chat_id: Id,
    /// The message.
    pub message_id: Id,
    /// When it was deleted.
    pub deleted_at: Timestamp,
    /// The event's number in the conversation's stream.
    pub seq: i64,
}

/// People were added to the chat.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ParticipantsAdded {
    /// The chat.
    pub chat_id: Id,
    /// Who was added.
    pub added_user_ids: Vec<Id>,
}

/// Someone is no longer in the chat.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ParticipantRemoved {
    /// The chat.
    pub chat_id: Id,
    /// Who was removed.
    pub removed_user_id: Id,
}

/// Someone is typing, or stopped.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserTyping {
    /// The chat.
    pub chat_id: Id,
    /// Who.
    pub user_id: Id,
    /// Their name, when they start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_name: Option<String>,
    /// Whether they type now.
    pub is_typing: bool,
}

/// A chat's id, or that and where to take up its stream.
#[derive(Clone, Debug, PartialEq, Deserialize, ToSchema)]
#[serde(untagged, expecting = "a chat id or {chatId, since}")]
pub enum JoinChatRoom {
    /// The chat's id alone.
    Id(Id),
    /// The chat, and the last event that the client has seen.
    Since(JoinChatRoomSince),
}

/// Enters a chat and has the missed events sent again.
#[derive(Clone, Debug, PartialEq, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct JoinChatRoomSince {
    /// The chat.
    pub chat_id: Id,
    /// The `seq` of the last event that the client has seen.
    pub since: Option<i64>,
}

impl JoinChatRoom {
    /// The chat, and the `seq` after which to send again.
    #[must_use]
    pub fn into_parts(self) -> (Id, Option<i64>) {
        match self {
            Self::Id(chat_id) => (chat_id, None),
            Self::Since(join) => (join.chat_id, join.since),
        }
    }
}

/// The user is typing.
#[derive(Clone, Debug, PartialEq, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StartChatTyping {
    /// The chat.
    pub chat_id: Id,
    /// The user; checked against the token.
    pub user_id: Id,
    /// The user's name, for when their token does not tell it.
    pub user_name: Option<PersonName>,
}

/// The user stopped typing.
#[derive(Clone, Debug, PartialEq, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StopChatTyping {
    /// The chat.
    pub chat_id: Id,
    /// The user; checked against the token.
    pub user_id: Id,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_new_message_carries_id_twice_and_no_empty_attachments() {
        let id = |text: &str| Id::new(text).unwrap();
        let mut event = NewMessage {
            chat_id: id("c1"),
            message: ChatMessage {
                id: id("m1"),
                underscore_id: id("m1"),
                content: "Hello".into(),
                sender_id: id("u1"),
                created_at: Timestamp::from_millis(1_764_000_000_000),
                attachments: vec![],
                metadata: Fields::default(),
            },
            sender_id: id("u1"),
            seq: 7,
        };
        let mut expected = json!({
            "chatId": "c1",
            "message": {
                "id": "m1",
                "_id": "m1",
                "content": "Hello",
                "senderId": "u1",
                "createdAt": "2025-11-24T16:00:00.000Z",
            },
            "senderId": "u1",
            "seq": 7,
        });
        assert_eq!(serde_json::to_value(&event).unwrap(), expected);

        let file = json!({"url": "https://a/b", "name": "b", "mimeType": "text/plain", "size": 3});
        event.message.attachments = vec![serde_json::from_value(file.clone()).unwrap()];
        event.message.metadata = serde_json::from_value(json!({ "colour": "red" })).unwrap();
        expected["message"]["attachments"] = json!([file]);
        expected["message"]["metadata"] = json!({ "colour": "red" });
        assert_eq!(serde_json::to_value(&event).unwrap(), expected);
    }

    #[test]
    fn a_join_names_the_chat_alone_or_with_since() {
        let read = |value| serde_json::from_value(value).map(JoinChatRoom::into_parts);
        assert_eq!(read(json!("c1")).unwrap(), (Id::new("c1").unwrap(), None));
        let since = json!({"chatId": "c1", "since": 12});
        assert_eq!(read(since).unwrap(), (Id::new("c1").unwrap(), Some(12)));
        assert!(read(json!({"conversationId": "c1"})).is_err());
    }
}
