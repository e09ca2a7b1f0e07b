//! Conversations and messages in the store.

use std::collections::BTreeSet;

use super::documents::{
    Attachment, Conversation, ConversationKind, Message, Participant, Person, Reaction,
};
use crate::{
    clock::Timestamp,
    db::{Row, Tx},
    error::{Error, Result},
    id::{GivenId, Id},
    params,
};

const FIND: &str = "SELECT * FROM conversations WHERE id = $1";

/// A conversation without its participants.
pub(super) struct ConversationRow {
    pub(super) document: Conversation,
    /// Messages ever written in it.
    pub(super) messages: i64,
    pub(super) last_activity_at: Timestamp,
}

/// Someone who takes part.
pub(super) struct Member {
    pub(super) document: Participant,
    /// The number of the last message that they have read.
    pub(super) last_read: i64,
    /// The number of the conversation's last event before they came in.
    pub(super) joined_seq: i64,
}

/// What was there when people came in, and is not theirs.
#[derive(Clone, Copy)]
pub(super) struct Came {
    /// The number of the last message.
    pub(super) after_message: i64,
    /// The number of the last event of the conversation's stream.
    pub(super) after_event: i64,
}

/// Reactions to a message.
#[derive(Clone, Copy)]
pub(super) struct ReactionCounts {
    /// Of one user.
    pub(super) own: u64,
    /// Different ones, of all.
    pub(super) kinds: u64,
}

/// A message without its reactions.
pub(super) struct MessageRow {
    pub(super) document: Message,
    pub(super) ordinal: i64,
}

/// A conversation in someone's list: the row, their unread messages.
pub(super) type Listed = (ConversationRow, u64);

/// A stretch of a conversation's messages, by their numbers, both ends left out.
#[derive(Clone, Copy)]
pub(super) struct Between {
    pub(super) after: i64,
    pub(super) before: i64,
}

/// The pair of a direct conversation: neither id has a space in it.
pub(super) fn direct_key(one: &Id, other: &Id) -> String {
    let (first, second) = if one < other { (one, other) } else { (other, one) };
    format!("{first} {second}")
}

/// Adds a conversation; false when the two of a direct one have theirs already.
pub(super) async fn insert(
    tx: &mut Tx<'_>,
    conversation: &Conversation,
    direct_key: Option<String>,
) -> Result<bool> {
    const INSERT: &str = "
        INSERT INTO conversations
            (id, kind, title, metadata, direct_key, created_by, created_at, messages,
             last_activity_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $7)
        ON CONFLICT (direct_key) DO NOTHING";
    let kind = match conversation.kind {
        ConversationKind::Direct => "direct",
        ConversationKind::Group => "group",
    };
    let row = params![
        &conversation.id,
        kind,
        conversation.title.clone(),
        conversation.metadata.to_string(),
        direct_key,
        &conversation.created_by,
        conversation.created_at,
    ];
    Ok(tx.execute(INSERT, &row).await? == 1)
}

/// The conversation of a pair, when it is not archived.
pub(super) async fn direct(tx: &mut Tx<'_>, direct_key: String) -> Result<Option<ConversationRow>> {
    const DIRECT: &str = "SELECT * FROM conversations WHERE direct_key = $1";
    tx.optional(DIRECT, &params![direct_key]).await?.as_ref().map(conversation_row).transpose()
}

/// A conversation.
pub(super) async fn find(tx: &mut Tx<'_>, id: &Id) -> Result<Option<ConversationRow>> {
    tx.optional(FIND, &params![id]).await?.as_ref().map(conversation_row).transpose()
}

/// A conversation, held until the end of the unit: what is read after this stays true.
pub(super) async fn hold(tx: &mut Tx<'_>, id: &Id) -> Result<Option<ConversationRow>> {
    tx.hold(FIND, &params![id]).await?.as_ref().map(conversation_row).transpose()
}

/// Archives a conversation; its pair may begin another.
pub(super) async fn archive(tx: &mut Tx<'_>, id: &Id) -> Result<()> {
    const ARCHIVE: &str = "
        UPDATE conversations SET archived_at = $2, direct_key = NULL WHERE id = $1";
    tx.execute(ARCHIVE, &params![id, tx.now()]).await?;
    Ok(())
}

/// The conversations of a user, newest activity first, from the one after `after`.
pub(super) async fn list(
    tx: &mut Tx<'_>,
    user: &Id,
    after: Option<(i64, Id)>,
    limit: i64,
) -> Result<Vec<Listed>> {
    const LIST: &str = "
        SELECT c.*, (
            SELECT COUNT(*) FROM messages m
            WHERE m.conversation_id = c.id AND m.ordinal > p.last_read
                AND m.sender_id <> p.user_id AND m.deleted_at IS NULL
        ) AS unread
        FROM participants p JOIN conversations c ON c.id = p.conversation_id
        WHERE p.user_id = $1 AND (c.last_activity_at, c.id) < ($2, $3)
        ORDER BY c.last_activity_at DESC, c.id DESC LIMIT $4";
    let (at, id) = after.map_or((i64::MAX, String::new()), |(at, id)| (at, id.to_string()));
    let rows = tx.all(LIST, &params![user, at, id, limit]).await?;
    rows.iter().map(|row| Ok((conversation_row(row)?, row.get("unread")?))).collect()
}

/// Lets people in; those who were not in already.
pub(super) async fn add_participants(
    tx: &mut Tx<'_>,
    conversation: &Id,
    participants: &[Participant],
    came: Came,
) -> Result<BTreeSet<Id>> {
    const ADD: &str = "
        INSERT INTO participants
            (conversation_id, user_id, first_name, last_name, joined_at, last_read, joined_seq)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        ON CONFLICT (conversation_id, user_id) DO NOTHING
        RETURNING user_id";
    let row = |participant: &Participant| {
        params![
            conversation,
            &participant.id,
            participant.first_name.clone(),
            participant.last_name.clone(),
            participant.joined_at,
            came.after_message,
            came.after_event,
        ]
    };
    let rows: Vec<_> = participants.iter().map(row).collect();
    let added = tx.insert_all(ADD, &rows).await?;
    added.iter().map(|row| Ok(row.get("user_id")?)).collect()
}

/// Takes someone out; whether they were in.
pub(super) async fn remove_participant(
    tx: &mut Tx<'_>,
    conversation: &Id,
    user: &Id,
) -> Result<bool> {
    const REMOVE: &str = "DELETE FROM participants WHERE conversation_id = $1 AND user_id = $2";
    Ok(tx.execute(REMOVE, &params![conversation, user]).await? == 1)
}

/// Who takes part, the first to come first, at most `limit`.
pub(super) async fn participants(
    tx: &mut Tx<'_>,
    conversation: &Id,
    limit: i64,
) -> Result<Vec<Participant>> {
    const PARTICIPANTS: &str = "
        SELECT * FROM participants WHERE conversation_id = $1 ORDER BY joined_at, user_id LIMIT $2";
    let rows = tx.all(PARTICIPANTS, &params![conversation, limit]).await?;
    rows.iter().map(|row| Ok(member_row(row)?.document)).collect()
}

/// How many take part.
pub(super) async fn participant_count(tx: &mut Tx<'_>, conversation: &Id) -> Result<u64> {
    const COUNT: &str = "
        SELECT COUNT(*) AS people FROM participants WHERE conversation_id = $1";
    Ok(tx.one(COUNT, &params![conversation]).await?.get("people")?)
}

/// The ids of all who take part.
pub(super) async fn people(tx: &mut Tx<'_>, conversation: &Id) -> Result<BTreeSet<Id>> {
    const PEOPLE: &str = "SELECT user_id FROM participants WHERE conversation_id = $1";
    let rows = tx.all(PEOPLE, &params![conversation]).await?;
    rows.iter().map(|row| Ok(row.get("user_id")?)).collect()
}

/// A user as one who takes part.
pub(super) async fn member(
    tx: &mut Tx<'_>,
    conversation: &Id,
    user: &Id,
) -> Result<Option<Member>> {
    const MEMBER: &str = "
        SELECT * FROM participants WHERE conversation_id = $1 AND user_id = $2";
    let row = tx.optional(MEMBER, &params![conversation, user]).await?;
    row.as_ref().map(member_row).transpose()
}

/// Notes a user's names.
pub(super) async fn rename(tx: &mut Tx<'_>, conversation: &Id, person: &Person) -> Result<()> {
    const RENAME: &str = "
        UPDATE participants SET first_name = $3, last_name = $4
        WHERE conversation_id = $1 AND user_id = $2";
    let (first, last) = (person.first_name.clone(), person.last_name.clone());
    tx.execute(RENAME, &params![conversation, &person.id, first, last]).await?;
    Ok(())
}

/// Notes up to where a user has read.
pub(super) async fn set_read(
    tx: &mut Tx<'_>,
    conversation: &Id,
    user: &Id,
    message: &MessageRow,
) -> Result<()> {
    const READ: &str = "
        UPDATE participants SET last_read = $3, last_read_message_id = $4
        WHERE conversation_id = $1 AND user_id = $2";
    let row = params![conversation, user, message.ordinal, &message.document.id];
    tx.execute(READ, &row).await?;
    Ok(())
}

/// How many messages of others there are in a stretch.
pub(super) async fn count_of_others(
    tx: &mut Tx<'_>,
    conversation: &Id,
    user: &Id,
    between: Between,
) -> Result<u64> {
    const COUNT: &str = "
        SELECT COUNT(*) AS unread FROM messages
        WHERE conversation_id = $1 AND ordinal > $2 AND ordinal < $3 AND sender_id <> $4
            AND deleted_at IS NULL";
    let row = tx.one(COUNT, &params![conversation, between.after, between.before, user]).await?;
    Ok(row.get("unread")?)
}

/// Adds a message, which has this number in a conversation that is held.
pub(super) async fn insert_message(tx: &mut Tx<'_>, message: &Message, ordinal: i64) -> Result<()> {
    const COUNT: &str = "
        UPDATE conversations SET messages = $2, last_activity_at = $3 WHERE id = $1";
    const INSERT: &str = "
        INSERT INTO messages
            (id, conversation_id, ordinal, sender_id, first_name, last_name, content, attachments,
             reply_to, client_message_id, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    let count = params![&message.conversation_id, ordinal, message.created_at];
    tx.execute(COUNT, &count).await?;
    let row = params![
        &message.id,
        &message.conversation_id,
        ordinal,
        &message.sender.id,
        message.sender.first_name.clone(),
        message.sender.last_name.clone(),
        &message.content,
        serde_json::to_string(&message.attachments).map_err(Error::internal)?,
        message.reply_to.clone(),
        message.client_message_id.clone(),
        message.created_at,
    ];
    tx.execute(INSERT, &row).await?;
    Ok(())
}

/// A message.
pub(super) async fn message(tx: &mut Tx<'_>, id: &Id) -> Result<Option<MessageRow>> {
    const MESSAGE: &str = "SELECT * FROM messages WHERE id = $1";
    tx.optional(MESSAGE, &params![id]).await?.as_ref().map(message_row).transpose()
}

/// The message that its sender gave an id of their own.
pub(super) async fn sent_message(
    tx: &mut Tx<'_>,
    conversation: &Id,
    sender: &Id,
    client_message_id: &GivenId,
) -> Result<Option<MessageRow>> {
    const SENT: &str = "
        SELECT * FROM messages
        WHERE conversation_id = $1 AND sender_id = $2 AND client_message_id = $3";
    let row = tx.optional(SENT, &params![conversation, sender, client_message_id]).await?;
    row.as_ref().map(message_row).transpose()
}

/// The messages of a stretch, newest first, with their reactions.
pub(super) async fn history(
    tx: &mut Tx<'_>,
    conversation: &Id,
    between: Between,
    limit: i64,
) -> Result<Vec<MessageRow>> {
    const HISTORY: &str = "
        SELECT * FROM messages WHERE conversation_id = $1 AND ordinal > $2 AND ordinal < $3
        ORDER BY ordinal DESC LIMIT $4";
    const REACTIONS: &str = "
        SELECT m.ordinal, r.emoji, r.user_id
        FROM messages m JOIN reactions r ON r.message_id = m.id
        WHERE m.conversation_id = $1 AND m.ordinal >= $2 AND m.ordinal <= $3
        ORDER BY r.created_at, r.user_id, r.emoji";
    let stretch = params![conversation, between.after, between.before, limit];
    let rows = tx.all(HISTORY, &stretch).await?;
    let mut messages = rows.iter().map(message_row).collect::<Result<Vec<_>>>()?;
    let (Some(newest), Some(oldest)) = (messages.first(), messages.last()) else {
        return Ok(messages);
    };
    let stretch = params![conversation, oldest.ordinal, newest.ordinal];
    for row in tx.all(REACTIONS, &stretch).await? {
        let ordinal: i64 = row.get("ordinal")?;
        if let Ok(at) = messages.binary_search_by(|message| ordinal.cmp(&message.ordinal)) {
            let reaction = Reaction { emoji: row.get("emoji")?, user_id: row.get("user_id")? };
            messages[at].document.reactions.push(reaction);
        }
    }
    Ok(messages)
}

/// Changes a message's text.
pub(super) async fn set_content(tx: &mut Tx<'_>, id: &Id, content: &str) -> Result<()> {
    const EDIT: &str = "UPDATE messages SET content = $2, edited_at = $3 WHERE id = $1";
    tx.execute(EDIT, &params![id, content, tx.now()]).await?;
    Ok(())
}

/// Takes a message's content away, with its files and reactions.
pub(super) async fn delete_message(tx: &mut Tx<'_>, id: &Id) -> Result<()> {
    const DELETE: &str = "
        UPDATE messages SET content = NULL, attachments = '[]', deleted_at = $2 WHERE id = $1";
    const REACTIONS: &str = "DELETE FROM reactions WHERE message_id = $1";
    tx.execute(DELETE, &params![id, tx.now()]).await?;
    tx.execute(REACTIONS, &params![id]).await?;
    Ok(())
}

/// Adds a reaction; false when it is there already.
pub(super) async fn add_reaction(
    tx: &mut Tx<'_>,
    message: &Id,
    user: &Id,
    emoji: &str,
) -> Result<bool> {
    const ADD: &str = "
        INSERT INTO reactions (message_id, user_id, emoji, created_at) VALUES ($1, $2, $3, $4)
        ON CONFLICT (message_id, user_id, emoji) DO NOTHING";
    Ok(tx.execute(ADD, &params![message, user, emoji, tx.now()]).await? == 1)
}

/// Counts the reactions to a message: one user's, and the different ones of all.
pub(super) async fn count_reactions(
    tx: &mut Tx<'_>,
    message: &Id,
    user: &Id,
) -> Result<ReactionCounts> {
    const COUNT: &str = "
        SELECT COUNT(CASE WHEN user_id = $2 THEN 1 END) AS own, COUNT(DISTINCT emoji) AS kinds
        FROM reactions WHERE message_id = $1";
    let row = tx.one(COUNT, &params![message, user]).await?;
    Ok(ReactionCounts { own: row.get("own")?, kinds: row.get("kinds")? })
}

/// Takes a reaction back; whether it was there.
pub(super) async fn remove_reaction(
    tx: &mut Tx<'_>,
    message: &Id,
    user: &Id,
    emoji: &str,
) -> Result<bool> {
    const REMOVE: &str = "
        DELETE FROM reactions WHERE message_id = $1 AND user_id = $2 AND emoji = $3";
    Ok(tx.execute(REMOVE, &params![message, user, emoji]).await? == 1)
}

fn conversation_row(row: &Row) -> Result<ConversationRow> {
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
        participant_count: 0,
        metadata: read_json(row, "metadata")?,
        created_by: row.get("created_by")?,
        created_at: row.get("created_at")?,
        archived_at: row.get("archived_at")?,
    };
    let (messages, last_activity_at) = (row.get("messages")?, row.get("last_activity_at")?);
    Ok(ConversationRow { document, messages, last_activity_at })
}

fn member_row(row: &Row) -> Result<Member> {
    let id: Id = row.get("user_id")?;
    let document = Participant {
        underscore_id: id.clone(),
        user_id: id.clone(),
        id,
        first_name: row.get("first_name")?,
        last_name: row.get("last_name")?,
        joined_at: row.get("joined_at")?,
        last_read_message_id: row.get("last_read_message_id")?,
    };
    let (last_read, joined_seq) = (row.get("last_read")?, row.get("joined_seq")?);
    Ok(Member { document, last_read, joined_seq })
}

fn message_row(row: &Row) -> Result<MessageRow> {
    let id: Id = row.get("id")?;
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
        edited_at: row.get("edited_at")?,
        deleted_at: row.get("deleted_at")?,
        reactions: Vec::new(),
    };
    Ok(MessageRow { document, ordinal: row.get("ordinal")? })
}

fn read_json<T: serde::de::DeserializeOwned>(row: &Row, column: &str) -> Result<T> {
    serde_json::from_str(&row.get::<String>(column)?).map_err(Error::internal)
}
