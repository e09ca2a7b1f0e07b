//! Conversations and messages that are taken in from a file, or written into one. A conversation gets
//! those who take part with its last message: until then nobody writes into it, so that its messages are
//! numbered in their order. Meanwhile who wrote is told by `authorships` alone.

use std::collections::{BTreeSet, HashMap};

use super::{ConversationRow, MessageRow, conversation_row, lists, message_row, read, write_json};
use crate::{
    chat::documents::{Conversation, Message},
    clock::Timestamp,
    db::{self, Tx, Value},
    error::Result,
    id::Id,
    params,
};

/// A reaction, with all that is kept of it.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::chat) struct ReactionRow {
    pub(in crate::chat) emoji: String,
    pub(in crate::chat) user_id: Id,
    pub(in crate::chat) created_at: Timestamp,
}

/// Someone who takes part, with how far they have read.
#[derive(Clone, Debug)]
pub(in crate::chat) struct Reader {
    pub(in crate::chat) user_id: Id,
    pub(in crate::chat) joined_at: Timestamp,
    /// The number of the last message that they have read; none where only its id is known.
    pub(in crate::chat) last_read: Option<i64>,
    pub(in crate::chat) last_read_message_id: Option<Id>,
}

/// Begins to take a conversation in, with those who will take part as a text. It is not the direct one of
/// its two people yet. False when there is another of this id.
pub(in crate::chat) async fn begin(
    tx: &mut Tx<'_>,
    conversation: &Conversation,
    participants: &str,
) -> Result<bool> {
    const BEGIN_IMPORT: &str = "
        INSERT INTO conversation_imports (conversation_id, participants) VALUES ($1, $2)";
    if !super::insert(tx, conversation, None, conversation.created_at).await? {
        return Ok(false);
    }
    tx.execute(BEGIN_IMPORT, &params![&conversation.id, participants]).await?;
    Ok(true)
}

/// Who will take part in a conversation that is being taken in, as it was written down.
pub(in crate::chat) async fn expected(
    tx: &mut Tx<'_>,
    conversation: &Id,
) -> Result<Option<String>> {
    const EXPECTED: &str = "
        SELECT participants FROM conversation_imports WHERE conversation_id = $1";
    let row = tx.optional(EXPECTED, &params![conversation]).await?;
    Ok(row.map(|row| row.get("participants")).transpose()?)
}

/// Lets those in who take part, now that all messages are there. Nothing that is kept of the stream is from
/// before they came. False when the two of a direct one have begun another meanwhile: then nobody is let in.
pub(in crate::chat) async fn end(
    tx: &mut Tx<'_>,
    conversation: &Id,
    direct_key: Option<String>,
    readers: &[Reader],
) -> Result<bool> {
    const END: &str = "DELETE FROM conversation_imports WHERE conversation_id = $1";
    const PAIR: &str = "
        UPDATE conversations SET direct_key = $2
        WHERE id = $1 AND NOT EXISTS (
            SELECT 1 FROM conversations another
            WHERE another.direct_key = $2 AND another.id <> $1)";
    const COUNT: &str = "UPDATE conversations SET participants = $2 WHERE id = $1";
    const ADD: &str = "
        INSERT INTO participants
            (conversation_id, user_id, joined_at, last_read, last_read_message_id, listed_at, place,
             sent, last_sent, read_sent)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    const STAYS: &str = "
        UPDATE authorships SET last_message = NULL
        WHERE user_id = $1 AND conversation_id = $2 AND first_message = $3";
    let Some(row) = super::find(tx, conversation).await? else { return Ok(true) };
    if let Some(key) = direct_key
        && tx.execute(PAIR, &params![conversation, key]).await? == 0
    {
        return Ok(false);
    }
    let users: BTreeSet<&Id> = readers.iter().map(|reader| &reader.user_id).collect();
    let wrote = authors(tx, conversation, users).await?;
    let read = readers.iter().filter_map(|reader| reader.last_read_message_id.as_ref());
    let numbers = ordinals(tx, conversation, read).await?;
    let mut rows = Vec::with_capacity(readers.len());
    for (reader, place) in readers.iter().zip(1_i64..) {
        let Reader { user_id, joined_at, last_read, last_read_message_id } = reader;
        let named = last_read_message_id.as_ref().and_then(|id| numbers.get(id).copied());
        let last_read = last_read.or(named).unwrap_or(0).clamp(0, row.messages);
        let own = wrote.get(user_id).copied().unwrap_or_default();
        if own.sent > 0 {
            tx.execute(STAYS, &params![user_id, conversation, own.first]).await?;
        }
        let read_sent = if last_read < own.first {
            0
        } else {
            let sent = (own.sent, own.last_sent);
            read::own_up_to(tx, conversation, user_id, sent, last_read).await?
        };
        rows.push(params![
            conversation,
            user_id,
            *joined_at,
            last_read,
            last_read_message_id.as_ref(),
            row.listed_at,
            place,
            own.sent,
            own.last_sent,
            read_sent,
        ]);
    }
    tx.for_each(ADD, &rows).await?;
    tx.execute(COUNT, &params![conversation, i64::try_from(rows.len()).unwrap_or(0)]).await?;
    tx.execute(END, &params![conversation]).await?;
    Ok(true)
}

/// What someone has written somewhere, the last time that they took part.
#[derive(Clone, Copy, Debug, Default)]
struct Wrote {
    /// The number of the first message of that time.
    first: i64,
    sent: i64,
    last_sent: i64,
    /// Whether they take part now.
    is_in: bool,
    /// Whether there is a row of it in `authorships`.
    is_noted: bool,
}

/// Adds messages to a conversation that is locked, in this order.
pub(in crate::chat) async fn append(
    tx: &mut Tx<'_>,
    conversation: &ConversationRow,
    messages: &[(Message, Vec<ReactionRow>)],
) -> Result<()> {
    const INSERT: &str = "
        INSERT INTO messages
            (id, conversation_id, ordinal, sender_id, first_name, last_name, content, attachments,
             reply_to, client_message_id, metadata, created_at, edited_at, deleted_at,
             sender_ordinal, sender_previous)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)";
    const REACT: &str = "
        INSERT INTO reactions (message_id, user_id, emoji, created_at) VALUES ($1, $2, $3, $4)
        ON CONFLICT (message_id, user_id, emoji) DO NOTHING";
    let Some((last, _)) = messages.last() else { return Ok(()) };
    let id = &conversation.document.id;
    let senders: BTreeSet<&Id> = messages.iter().map(|(message, _)| &message.sender.id).collect();
    let mut wrote = writers(tx, id, senders).await?;
    let (mut rows, mut reactions) = (Vec::with_capacity(messages.len()), Vec::new());
    if conversation.messages == conversation.gone
        && let Some((first, _)) = messages.first()
    {
        super::begins(tx, id, first.created_at).await?;
    }
    let mut ordinal = conversation.messages;
    for (message, given) in messages {
        ordinal += 1;
        let own = wrote.entry(message.sender.id.clone()).or_default();
        let previous = own.last_sent;
        if own.sent == 0 {
            own.first = ordinal;
        }
        (own.sent, own.last_sent) = (own.sent + 1, ordinal);
        let is_deleted = message.deleted_at.is_some();
        rows.push(params![
            &message.id,
            id,
            ordinal,
            &message.sender.id,
            message.sender.first_name.as_ref(),
            message.sender.last_name.as_ref(),
            Some(&message.content).filter(|_| !is_deleted),
            write_json(&message.attachments)?,
            message.reply_to.as_ref(),
            message.client_message_id.as_ref(),
            Some(&message.metadata).filter(|own| !own.is_empty()).map(write_json).transpose()?,
            message.created_at,
            message.edited_at,
            message.deleted_at,
            own.sent,
            previous,
        ]);
        reactions.extend(
            given.iter().map(|one| params![&message.id, &one.user_id, &one.emoji, one.created_at]),
        );
    }
    tx.for_each(INSERT, &rows).await?;
    tx.for_each(REACT, &reactions).await?;
    note_writers(tx, id, &wrote).await?;
    let active = messages.iter().map(|(message, _)| message.created_at).max();
    let active = active.unwrap_or(last.created_at).max(conversation.last_activity_at);
    note_activity(tx, conversation, ordinal, active).await
}

/// Notes how many messages there are, and when the last of them was.
async fn note_activity(
    tx: &mut Tx<'_>,
    conversation: &ConversationRow,
    messages: i64,
    active: Timestamp,
) -> Result<()> {
    const COUNT: &str = "
        UPDATE conversations SET messages = $2, last_activity_at = $3, listed_at = $4
        WHERE id = $1";
    const LIST: &str = "UPDATE participants SET listed_at = $2 WHERE conversation_id = $1";
    let (id, participants) = (&conversation.document.id, conversation.document.participant_count);
    let covered = active <= conversation.listed_at;
    let listed_at = match (covered, participants) {
        (true, _) => conversation.listed_at,
        (false, 0) => active,
        (false, several) => lists::listed_from(active, several),
    };
    tx.execute(COUNT, &params![id, messages, active, listed_at]).await?;
    if !covered && participants > 0 {
        tx.execute(LIST, &params![id, listed_at]).await?;
    }
    Ok(())
}

/// What those have written who are to write: since they came, where they take part.
async fn writers(
    tx: &mut Tx<'_>,
    conversation: &Id,
    senders: BTreeSet<&Id>,
) -> Result<HashMap<Id, Wrote>> {
    const MEMBERS: &str = "
        SELECT p.user_id, p.sent, p.last_sent
        FROM json_each(json(CAST($2 AS TEXT))) AS asked JOIN participants p
            ON p.conversation_id = $1 AND p.user_id = asked.key";
    let asked = Value::keys(senders.iter().copied());
    let mut wrote = HashMap::new();
    for row in tx.all(MEMBERS, &params![conversation, asked]).await? {
        let (sent, last_sent) = (row.get("sent")?, row.get("last_sent")?);
        let own = Wrote { first: 0, sent, last_sent, is_in: true, is_noted: last_sent > 0 };
        wrote.insert(row.get("user_id")?, own);
    }
    let others = senders.into_iter().filter(|sender| !wrote.contains_key(*sender)).collect();
    wrote.extend(authors(tx, conversation, others).await?);
    Ok(wrote)
}

/// What those have written who do not take part, the last time that they did.
async fn authors(
    tx: &mut Tx<'_>,
    conversation: &Id,
    senders: BTreeSet<&Id>,
) -> Result<HashMap<Id, Wrote>> {
    const AUTHORS: &str = "
        SELECT a.user_id, a.first_message, a.last_message, m.sender_ordinal
        FROM json_each(json(CAST($2 AS TEXT))) AS asked
            JOIN authorships a ON a.user_id = asked.key AND a.conversation_id = $1
            JOIN messages m ON m.conversation_id = $1 AND m.ordinal = a.last_message";
    if senders.is_empty() {
        return Ok(HashMap::new());
    }
    let mut wrote: HashMap<Id, Wrote> = HashMap::new();
    for row in tx.all(AUTHORS, &params![conversation, Value::keys(senders)]).await? {
        let own = Wrote {
            first: row.get("first_message")?,
            sent: row.get("sender_ordinal")?,
            last_sent: row.get("last_message")?,
            is_in: false,
            is_noted: true,
        };
        let latest = wrote.entry(row.get("user_id")?).or_default();
        if own.last_sent > latest.last_sent {
            *latest = own;
        }
    }
    Ok(wrote)
}

/// Keeps what they have written by now.
async fn note_writers(
    tx: &mut Tx<'_>,
    conversation: &Id,
    wrote: &HashMap<Id, Wrote>,
) -> Result<()> {
    const SENT: &str = "
        UPDATE participants SET sent = $3, last_sent = $4
        WHERE conversation_id = $1 AND user_id = $2";
    const WRITES: &str = "
        INSERT INTO authorships (user_id, conversation_id, first_message, last_message)
        VALUES ($1, $2, $3, $4)
        ON CONFLICT (user_id, conversation_id, first_message)
            DO UPDATE SET last_message = excluded.last_message";
    // In one order everywhere.
    let mut users: Vec<_> = wrote.iter().collect();
    users.sort_unstable_by_key(|(user, _)| *user);
    let mut times = Vec::new();
    for (user, own) in users {
        if own.is_in {
            tx.execute(SENT, &params![conversation, user, own.sent, own.last_sent]).await?;
        }
        if !own.is_in || !own.is_noted {
            let last = Some(own.last_sent).filter(|_| !own.is_in);
            times.push(params![user, conversation, own.first, last]);
        }
    }
    tx.for_each(WRITES, &times).await?;
    Ok(())
}

/// The numbers of messages of a conversation.
async fn ordinals<'a>(
    tx: &mut Tx<'_>,
    conversation: &Id,
    messages: impl Iterator<Item = &'a Id>,
) -> Result<HashMap<Id, i64>> {
    const ORDINALS: &str = "
        SELECT m.id, m.ordinal FROM json_each(json(CAST($2 AS TEXT))) AS asked
            JOIN messages m ON m.id = asked.key
        WHERE m.conversation_id = $1";
    let asked: BTreeSet<&Id> = messages.collect();
    if asked.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = tx.all(ORDINALS, &params![conversation, Value::keys(asked)]).await?;
    rows.iter().map(|row| Ok((row.get("id")?, row.get("ordinal")?))).collect()
}

/// Of these messages those that are there.
pub(in crate::chat) async fn messages_among<'a>(
    tx: &mut Tx<'_>,
    ids: impl Iterator<Item = &'a Id>,
) -> Result<Vec<MessageRow>> {
    const AMONG: &str = "
        SELECT m.* FROM json_each(json(CAST($1 AS TEXT))) AS asked
            JOIN messages m ON m.id = asked.key";
    let rows = tx.all(AMONG, &params![Value::keys(ids)]).await?;
    rows.iter().map(message_row).collect()
}

/// Of these conversations those that are there.
pub(in crate::chat) async fn conversations_among<'a>(
    tx: &mut Tx<'_>,
    ids: impl Iterator<Item = &'a Id>,
) -> Result<BTreeSet<Id>> {
    const AMONG: &str = "
        SELECT c.id FROM json_each(json(CAST($1 AS TEXT))) AS asked
            JOIN conversations c ON c.id = asked.key";
    let rows = tx.all(AMONG, &params![Value::keys(ids)]).await?;
    rows.iter().map(|row| Ok(row.get("id")?)).collect()
}

/// The reactions to messages, each message's in the order in which they came.
pub(in crate::chat) async fn reactions_to<'a>(
    tx: &mut Tx<'_>,
    messages: impl Iterator<Item = &'a Id>,
) -> Result<HashMap<Id, Vec<ReactionRow>>> {
    const REACTIONS: &str = "
        SELECT r.message_id, r.emoji, r.user_id, r.created_at
        FROM json_each(json(CAST($1 AS TEXT))) AS asked
            JOIN reactions r ON r.message_id = asked.key";
    let mut reactions: HashMap<Id, Vec<ReactionRow>> = HashMap::new();
    for row in tx.all(REACTIONS, &params![Value::keys(messages)]).await? {
        reactions.entry(row.get("message_id")?).or_default().push(ReactionRow {
            emoji: row.get("emoji")?,
            user_id: row.get("user_id")?,
            created_at: row.get("created_at")?,
        });
    }
    for given in reactions.values_mut() {
        sort(given);
    }
    Ok(reactions)
}

/// Puts reactions into the order in which they are told.
pub(in crate::chat) fn sort(reactions: &mut [ReactionRow]) {
    reactions.sort_by(|one, other| {
        let key = |of: &ReactionRow| (of.created_at, of.user_id.clone(), of.emoji.clone());
        key(one).cmp(&key(other))
    });
}

/// Those who take part, the first of them first. What was given up does not count.
pub(in crate::chat) async fn readers(tx: &mut Tx<'_>, conversation: &Id) -> Result<Vec<Reader>> {
    const READERS: &str = "
        SELECT p.user_id, p.joined_at, p.last_read - c.gone AS last_read, p.last_read_message_id
        FROM participants p JOIN conversations c ON c.id = p.conversation_id
        WHERE p.conversation_id = $1 ORDER BY p.place";
    let rows = tx.all(READERS, &params![conversation]).await?;
    let reader = |row: &db::Row| {
        Ok(Reader {
            user_id: row.get("user_id")?,
            joined_at: row.get("joined_at")?,
            last_read: row.get("last_read")?,
            last_read_message_id: row.get("last_read_message_id")?,
        })
    };
    rows.iter().map(reader).collect()
}

/// The next conversations, in the order of their ids.
pub(in crate::chat) async fn next_conversation(
    tx: &mut Tx<'_>,
    after: &str,
) -> Result<Option<ConversationRow>> {
    const NEXT: &str = "SELECT * FROM conversations WHERE id > $1 ORDER BY id LIMIT 1";
    tx.optional(NEXT, &params![after]).await?.as_ref().map(conversation_row).transpose()
}

/// The messages of a conversation that come next after a number.
pub(in crate::chat) async fn messages_after(
    tx: &mut Tx<'_>,
    conversation: &str,
    after: i64,
    limit: i64,
) -> Result<Vec<MessageRow>> {
    const AFTER: &str = "
        SELECT * FROM messages WHERE conversation_id = $1 AND ordinal > $2
        ORDER BY ordinal LIMIT $3";
    let rows = tx.all(AFTER, &params![conversation, after, limit]).await?;
    rows.iter().map(message_row).collect()
}
