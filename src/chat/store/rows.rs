//! Rows as they are read: conversations, who takes part in them, and their messages.

use serde::de::DeserializeOwned;

use crate::{
    chat::documents::{Attachment, Conversation, ConversationKind, Message, Participant, Person},
    clock::Timestamp,
    db::Row,
    error::{Error, Result},
    id::Id,
    users::KnownNames,
};

/// A conversation without its participants.
pub(in crate::chat) struct ConversationRow {
    pub(in crate::chat) document: Conversation,
    /// Messages ever written in it.
    pub(in crate::chat) messages: i64,
    /// How many of them were given up for their age: the first.
    pub(in crate::chat) gone: i64,
    pub(in crate::chat) last_activity_at: Timestamp,
    /// What orders it in lists; never before the activity.
    pub(in crate::chat) listed_at: Timestamp,
}

/// Someone who takes part.
pub(in crate::chat) struct Member {
    pub(in crate::chat) document: Participant,
    /// What they are called.
    pub(in crate::chat) names: Option<KnownNames>,
    /// The number of the last message that they have read.
    pub(in crate::chat) last_read: i64,
    /// The number of the conversation's last event before they came in.
    pub(in crate::chat) joined_seq: i64,
    /// How many they wrote since they came.
    pub(in crate::chat) sent: i64,
    /// The number of the last of these.
    pub(super) last_sent: i64,
    /// How many of these they have read.
    pub(in crate::chat) read_sent: i64,
}

/// A message without its reactions.
pub(in crate::chat) struct MessageRow {
    pub(in crate::chat) document: Message,
    pub(in crate::chat) ordinal: i64,
    /// Its number among those of its sender since they came.
    pub(super) sender_ordinal: i64,
}

/// A stretch of a conversation's messages, by their numbers, both ends left out.
#[derive(Clone, Copy)]
pub(in crate::chat) struct Between {
    pub(in crate::chat) after: i64,
    pub(in crate::chat) before: i64,
}

/// In which order, and from which end, messages are read.
#[derive(Clone, Copy)]
pub(in crate::chat) enum Order {
    NewestFirst,
    OldestFirst,
}

pub(super) fn conversation_row(row: &Row) -> Result<ConversationRow> {
    let id: Id = row.get("id")?;
    let kind = match row.get::<String>("kind")?.as_str() {
        "direct" => ConversationKind::Direct,
        _ => ConversationKind::Group,
    };
    let document = Conversation {
        underscore_id: id.clone(),
        id,
        kind,
        title: row.get("title")?,
        participants: Vec::new(),
        participant_count: row.get("participants")?,
        metadata: read_json(row, "metadata")?,
        created_by: row.get("created_by")?,
        created_at: row.get("created_at")?,
        archived_at: row.get("archived_at")?,
    };
    Ok(ConversationRow {
        document,
        messages: row.get("messages")?,
        gone: row.get("gone")?,
        last_activity_at: row.get("last_activity_at")?,
        listed_at: row.get("listed_at")?,
    })
}

pub(super) fn member_row(row: &Row) -> Result<Member> {
    let id: Id = row.get("user_id")?;
    let names = KnownNames::from_row(row)?;
    let shown = names.as_ref().map(|known| known.names.clone()).unwrap_or_default();
    let document = Participant {
        underscore_id: id.clone(),
        user_id: id.clone(),
        id,
        first_name: shown.first_name,
        last_name: shown.last_name,
        joined_at: row.get("joined_at")?,
        last_read_message_id: row.get("last_read_message_id")?,
    };
    Ok(Member {
        document,
        names,
        last_read: row.get("last_read")?,
        joined_seq: row.get("joined_seq")?,
        sent: row.get("sent")?,
        last_sent: row.get("last_sent")?,
        read_sent: row.get("read_sent")?,
    })
}

pub(super) fn message_row(row: &Row) -> Result<MessageRow> {
    let id: Id = row.get("id")?;
    let metadata: Option<String> = row.get("metadata")?;
    let document = Message {
        underscore_id: id.clone(),
        id,
        conversation_id: row.get("conversation_id")?,
        content: row.get::<Option<String>>("content")?.unwrap_or_default(),
        sender: Person {
            id: row.get("sender_id")?,
            first_name: row.get("first_name")?,
            last_name: row.get("last_name")?,
        },
        created_at: row.get("created_at")?,
        attachments: read_json::<Vec<Attachment>>(row, "attachments")?,
        reply_to: row.get("reply_to")?,
        client_message_id: row.get("client_message_id")?,
        metadata: metadata.as_deref().map(parse_json).transpose()?.unwrap_or_default(),
        edited_at: row.get("edited_at")?,
        deleted_at: row.get("deleted_at")?,
        reactions: Vec::new(),
    };
    let sender_ordinal = row.get("sender_ordinal")?;
    Ok(MessageRow { document, ordinal: row.get("ordinal")?, sender_ordinal })
}

fn read_json<T: DeserializeOwned>(row: &Row, column: &str) -> Result<T> {
    parse_json(&row.get::<String>(column)?)
}

fn parse_json<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(Error::internal)
}
