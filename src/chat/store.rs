//! Conversations and messages in the store.

mod contacts;
mod lists;
pub(super) mod moved;
pub(super) mod old;
pub(super) mod personal;
mod reactions;
mod read;
mod rows;

use std::collections::{BTreeSet, HashMap};

use serde::Serialize;

pub(super) use contacts::{Participation, members, participations, participations_after, shared};
pub(super) use lists::{Listed, list, participants as participants_after};
pub(super) use reactions::{ReactionCounts, add_reaction, count_reactions, remove_reaction};
pub(super) use read::{deleted_of_others, sent_up_to, set_read};
pub(super) use rows::{Between, ConversationRow, Member, MessageRow, Order};

use self::rows::{conversation_row, member_row, message_row};
use super::{
    documents::{Conversation, ConversationKind, Message, Participant},
    requests::SHOWN_PARTICIPANTS,
};
use crate::{
    clock::Timestamp,
    db::{Row, Tx},
    error::{Error, Result},
    id::{GivenId, Id},
    params,
};

const FIND: &str = "SELECT * FROM conversations WHERE id = $1";

/// What was there when people came in, and is not theirs.
#[derive(Clone, Copy)]
pub(super) struct Came {
    /// The number of the last message.
    pub(super) after_message: i64,
    /// The number of the last event of the conversation's stream.
    pub(super) after_event: i64,
    /// When the conversation was last seen to be active, which is its position in their lists.
    pub(super) listed_at: Timestamp,
}

/// The pair of a direct conversation: neither id has a space in it.
pub(super) fn direct_key(one: &Id, other: &Id) -> String {
    let (first, second) = if one < other { (one, other) } else { (other, one) };
    format!("{first} {second}")
}

/// Adds a conversation, without those who take part; false when the two of a direct one have theirs
/// already, or there is one of this id. It was active then.
pub(super) async fn insert(
    tx: &mut Tx<'_>,
    conversation: &Conversation,
    direct_key: Option<String>,
    active: Timestamp,
) -> Result<bool> {
    const INSERT: &str = "
        INSERT INTO conversations
            (id, kind, title, metadata, direct_key, created_by, created_at, archived_at, messages,
             last_activity_at, listed_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, $9, $9)
        ON CONFLICT DO NOTHING";
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
        conversation.archived_at,
        active,
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

/// A conversation, locked until the end of the unit: what is read after this stays true.
pub(super) async fn find_for_update(tx: &mut Tx<'_>, id: &Id) -> Result<Option<ConversationRow>> {
    tx.lock_row(FIND, &params![id]).await?.as_ref().map(conversation_row).transpose()
}

/// Archives a conversation; its pair may begin another.
pub(super) async fn archive(tx: &mut Tx<'_>, id: &Id) -> Result<()> {
    const ARCHIVE: &str = "
        UPDATE conversations SET archived_at = $2, direct_key = NULL WHERE id = $1";
    tx.execute(ARCHIVE, &params![id, tx.now()]).await?;
    Ok(())
}

/// Lets people in, the first of them first; those who were not in already.
pub(super) async fn add_participants(
    tx: &mut Tx<'_>,
    conversation: &Id,
    users: &[Id],
    came: Came,
) -> Result<Vec<Participant>> {
    const LAST: &str = "
        SELECT place FROM participants WHERE conversation_id = $1 ORDER BY place DESC LIMIT 1";
    const ADD: &str = "
        INSERT INTO participants
            (conversation_id, user_id, joined_at, last_read, joined_seq, listed_at, place)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        ON CONFLICT (conversation_id, user_id) DO NOTHING
        RETURNING user_id";
    let last = tx.optional(LAST, &params![conversation]).await?;
    let last: i64 = last.map_or(Ok(0), |row| row.get("place"))?;
    let now = tx.now();
    let Came { after_message, after_event, listed_at } = came;
    let row = |(user, number)| {
        params![conversation, user, now, after_message, after_event, listed_at, number]
    };
    let rows: Vec<_> = users.iter().zip(last + 1..).map(row).collect();
    let added = tx.for_each(ADD, &rows).await?.len();
    let added = i64::try_from(added).unwrap_or(i64::MAX);
    count_participants(tx, conversation, added).await?;
    // As they are known.
    let added = participants_after(tx, conversation, last, added).await?;
    Ok(added.into_iter().map(|(_, participant)| participant).collect())
}

/// Takes someone out; whether they were in.
pub(super) async fn remove_participant(
    tx: &mut Tx<'_>,
    conversation: &Id,
    user: &Id,
) -> Result<bool> {
    const REMOVE: &str = "
        DELETE FROM participants WHERE conversation_id = $1 AND user_id = $2 RETURNING last_sent";
    const WROTE: &str = "
        UPDATE authorships SET last_message = $3
        WHERE conversation_id = $1 AND user_id = $2 AND last_message IS NULL";
    let Some(row) = tx.optional(REMOVE, &params![conversation, user]).await? else {
        return Ok(false);
    };
    let last_sent: i64 = row.get("last_sent")?;
    if last_sent > 0 {
        tx.execute(WROTE, &params![conversation, user, last_sent]).await?;
    }
    count_participants(tx, conversation, -1).await?;
    Ok(true)
}

/// Notes how many more take part.
async fn count_participants(tx: &mut Tx<'_>, conversation: &Id, more: i64) -> Result<()> {
    const COUNT: &str = "UPDATE conversations SET participants = participants + $2 WHERE id = $1";
    tx.execute(COUNT, &params![conversation, more]).await?;
    Ok(())
}

/// The first who take part, as many as a conversation's document shows.
pub(super) async fn first_participants(
    tx: &mut Tx<'_>,
    conversation: &Id,
) -> Result<Vec<Participant>> {
    let shown = i64::try_from(SHOWN_PARTICIPANTS).unwrap_or(i64::MAX);
    let first = participants_after(tx, conversation, 0, shown).await?;
    Ok(first.into_iter().map(|(_, participant)| participant).collect())
}

/// The ids of all who take part.
pub(super) async fn people(tx: &mut Tx<'_>, conversation: &Id) -> Result<BTreeSet<Id>> {
    const PEOPLE: &str = "SELECT user_id FROM participants WHERE conversation_id = $1";
    let rows = tx.all(PEOPLE, &params![conversation]).await?;
    rows.iter().map(|row| Ok(row.get("user_id")?)).collect()
}

/// Which of these users take part in which of these conversations; nothing of those that are not there.
pub(super) async fn take_part(
    tx: &mut Tx<'_>,
    asked: &[(&Id, &Id)],
) -> Result<HashMap<(Id, Id), bool>> {
    const TAKE_PART: &str = "
        WITH asked (conversation_id, user_id) AS (VALUES ($1, $2))
        SELECT asked.conversation_id, asked.user_id, p.user_id IS NOT NULL AS takes_part
        FROM asked JOIN conversations c ON c.id = asked.conversation_id
        LEFT JOIN participants p
            ON p.conversation_id = asked.conversation_id AND p.user_id = asked.user_id";
    let rows: Vec<_> = asked.iter().map(|(id, user)| params![*id, *user]).collect();
    let found = tx.for_each(TAKE_PART, &rows).await?;
    let read = |row: &Row| {
        let asked = (row.get("conversation_id")?, row.get("user_id")?);
        Ok((asked, row.get("takes_part")?))
    };
    found.iter().map(read).collect()
}

/// A user as one who takes part.
pub(super) async fn member(
    tx: &mut Tx<'_>,
    conversation: &Id,
    user: &Id,
) -> Result<Option<Member>> {
    const MEMBER: &str = "
        SELECT p.*, f.first_name, f.last_name, f.name, f.named_at
        FROM participants p LEFT JOIN profiles f ON f.user_id = p.user_id
        WHERE p.conversation_id = $1 AND p.user_id = $2";
    let row = tx.optional(MEMBER, &params![conversation, user]).await?;
    row.as_ref().map(member_row).transpose()
}

/// Adds a message of someone who takes part, the next one of a conversation that is locked, which is
/// active now; false when they have written one under the same id of their own, or there is one of this
/// id.
pub(super) async fn insert_message(
    tx: &mut Tx<'_>,
    message: &Message,
    conversation: &ConversationRow,
    sender: &Member,
) -> Result<bool> {
    const COUNT: &str = "
        UPDATE conversations SET messages = $2, last_activity_at = $3, listed_at = $4
        WHERE id = $1";
    const SENT: &str = "
        UPDATE participants SET sent = $3, last_sent = $4
        WHERE conversation_id = $1 AND user_id = $2";
    const WRITES: &str = "
        INSERT INTO authorships (user_id, conversation_id, first_message) VALUES ($1, $2, $3)";
    const LIST: &str = "UPDATE participants SET listed_at = $2 WHERE conversation_id = $1";
    const INSERT: &str = "
        INSERT INTO messages
            (id, conversation_id, ordinal, sender_id, first_name, last_name, content, attachments,
             reply_to, client_message_id, metadata, created_at, sender_ordinal,
             sender_previous)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
        ON CONFLICT DO NOTHING";
    let ordinal = conversation.messages + 1;
    let row = params![
        &message.id,
        &message.conversation_id,
        ordinal,
        &message.sender.id,
        message.sender.first_name.clone(),
        message.sender.last_name.clone(),
        &message.content,
        write_json(&message.attachments)?,
        message.reply_to.clone(),
        message.client_message_id.clone(),
        Some(&message.metadata).filter(|own| !own.is_empty()).map(write_json).transpose()?,
        message.created_at,
        sender.sent + 1,
        sender.last_sent,
    ];
    if tx.execute(INSERT, &row).await? == 0 {
        return Ok(false);
    }
    let (id, user) = (&message.conversation_id, &message.sender.id);
    tx.execute(SENT, &params![id, user, sender.sent + 1, ordinal]).await?;
    if sender.last_sent == 0 {
        tx.execute(WRITES, &params![user, id, ordinal]).await?;
    }
    if conversation.messages == conversation.gone {
        begins(tx, id, message.created_at).await?;
    }
    let now = tx.now();
    let covered = now <= conversation.listed_at;
    let listed_at = if covered {
        conversation.listed_at
    } else {
        lists::listed_from(now, conversation.document.participant_count)
    };
    let count = params![id, ordinal, now, listed_at];
    tx.execute(COUNT, &count).await?;
    if !covered {
        tx.execute(LIST, &params![id, listed_at]).await?;
    }
    Ok(true)
}

/// Notes when the first message was written of those that are there.
async fn begins(tx: &mut Tx<'_>, conversation: &Id, at: Timestamp) -> Result<()> {
    const BEGINS: &str = "UPDATE conversations SET oldest_at = $2 WHERE id = $1";
    tx.execute(BEGINS, &params![conversation, at]).await?;
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

/// The last messages of a stretch, newest first, or the first ones, oldest first, with their
/// reactions; and how many of them fit into a page.
pub(super) async fn history(
    tx: &mut Tx<'_>,
    conversation: &Id,
    between: Between,
    order: Order,
    limit: i64,
) -> Result<(Vec<MessageRow>, usize)> {
    const NEWEST_FIRST: &str = "
        SELECT * FROM messages WHERE conversation_id = $1 AND ordinal > $2 AND ordinal < $3
        ORDER BY ordinal DESC LIMIT $4";
    const OLDEST_FIRST: &str = "
        SELECT * FROM messages WHERE conversation_id = $1 AND ordinal > $2 AND ordinal < $3
        ORDER BY ordinal LIMIT $4";
    let history = match order {
        Order::NewestFirst => NEWEST_FIRST,
        Order::OldestFirst => OLDEST_FIRST,
    };
    let stretch = params![conversation, between.after, between.before, limit];
    let rows = tx.all(history, &stretch).await?;
    let mut messages = rows.iter().map(message_row).collect::<Result<Vec<_>>>()?;
    let fit = reactions::add(tx, conversation, &mut messages, order).await?;
    Ok((messages, fit))
}

/// Changes a message's text.
pub(super) async fn set_content(tx: &mut Tx<'_>, id: &Id, content: &str) -> Result<()> {
    const EDIT: &str = "UPDATE messages SET content = $2, edited_at = $3 WHERE id = $1";
    tx.execute(EDIT, &params![id, content, tx.now()]).await?;
    tx.take_back();
    Ok(())
}

/// Takes a message's content away, with its files, its metadata and its reactions.
pub(super) async fn delete_message(tx: &mut Tx<'_>, id: &Id) -> Result<()> {
    const DELETE: &str = "
        UPDATE messages
        SET content = NULL, attachments = '[]', metadata = NULL, deleted_at = $2 WHERE id = $1";
    const REACTIONS: &str = "DELETE FROM reactions WHERE message_id = $1";
    tx.execute(DELETE, &params![id, tx.now()]).await?;
    tx.execute(REACTIONS, &params![id]).await?;
    tx.take_back();
    Ok(())
}

fn write_json<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(Error::internal)
}
