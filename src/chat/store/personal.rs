//! What one user wrote, in whatever conversation.

use std::{
    fmt::{self, Display, Formatter},
    num::ParseIntError,
    str::FromStr,
};

use super::{MessageRow, message_row};
use crate::{clock::Timestamp, db::Tx, error::Result, id::Id, params};

/// A reaction that a user gave.
pub(in crate::chat) struct Given {
    pub(in crate::chat) message_id: Id,
    pub(in crate::chat) emoji: String,
    pub(in crate::chat) created_at: Timestamp,
}

/// Where a walk through what a user wrote stands, conversation by conversation: before the message
/// `next` of a time that they took part in one, which began with their message `first`; behind that
/// time when there is none.
#[derive(Default)]
pub(in crate::chat) struct Written {
    first: i64,
    next: i64,
    conversation: String,
}

impl FromStr for Written {
    type Err = ParseIntError;

    fn from_str(cursor: &str) -> std::result::Result<Self, Self::Err> {
        let mut parts = cursor.splitn(3, ' ');
        let mut part = || parts.next().unwrap_or_default();
        let (first, next) = (part().parse()?, part().parse()?);
        Ok(Self { first, next, conversation: part().to_owned() })
    }
}

impl Display for Written {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.first, self.next, self.conversation)
    }
}

/// The next messages that a user wrote, and where to go on; nowhere behind the last.
pub(in crate::chat) async fn messages_of(
    tx: &mut Tx<'_>,
    user: &Id,
    mut from: Written,
    limit: i64,
) -> Result<(Vec<MessageRow>, Option<Written>)> {
    const TIME: &str = "
        SELECT a.conversation_id, a.first_message, COALESCE(a.last_message, p.last_sent) AS last
        FROM authorships a LEFT JOIN participants p
            ON p.conversation_id = a.conversation_id AND p.user_id = a.user_id
        WHERE a.user_id = $1 AND (a.conversation_id, a.first_message) > ($2, $3)
        ORDER BY a.conversation_id, a.first_message LIMIT 1";
    const BACK: &str = "
        WITH RECURSIVE own AS (
            SELECT m.*, 1 AS count FROM messages m WHERE m.conversation_id = $1 AND m.ordinal = $2
            UNION ALL
            SELECT m.*, own.count + 1
            FROM own JOIN messages m ON m.conversation_id = $1 AND m.ordinal = own.sender_previous
            WHERE own.count < $3)
        SELECT * FROM own";
    let (mut messages, mut left) = (Vec::new(), limit);
    while left > 0 {
        if from.next == 0 {
            let after = params![user, &from.conversation, from.first];
            let Some(time) = tx.optional(TIME, &after).await? else { return Ok((messages, None)) };
            from = Written {
                first: time.get("first_message")?,
                next: time.get("last")?,
                conversation: time.get("conversation_id")?,
            };
        }
        let rows = tx.all(BACK, &params![&from.conversation, from.next, left]).await?;
        from.next = rows.last().map_or(Ok(0), |row| row.get("sender_previous"))?;
        for row in &rows {
            messages.push(message_row(row)?);
            left -= 1;
        }
    }
    Ok((messages, Some(from)))
}

/// Takes a message's content away, with its reactions, and the names of who wrote it.
pub(in crate::chat) async fn erase_message(tx: &mut Tx<'_>, id: &Id) -> Result<()> {
    const ERASE: &str = "
        UPDATE messages SET content = NULL, attachments = '[]', metadata = NULL, first_name = NULL,
            last_name = NULL, client_message_id = NULL, deleted_at = COALESCE(deleted_at, $2)
        WHERE id = $1";
    const REACTIONS: &str = "DELETE FROM reactions WHERE message_id = $1";
    let now = tx.now();
    tx.execute(ERASE, &params![id, now]).await?;
    tx.execute(REACTIONS, &params![id]).await?;
    Ok(())
}

/// The reactions that a user gave, by message and emoji.
pub(in crate::chat) async fn reactions_of(
    tx: &mut Tx<'_>,
    user: &Id,
    (message, emoji): (&str, &str),
    limit: i64,
) -> Result<Vec<Given>> {
    const OF_USER: &str = "
        SELECT message_id, emoji, created_at FROM reactions
        WHERE user_id = $1 AND (message_id, emoji) > ($2, $3)
        ORDER BY message_id, emoji LIMIT $4";
    let rows = tx.all(OF_USER, &params![user, message, emoji, limit]).await?;
    let given = rows.iter().map(|row| {
        Ok(Given {
            message_id: row.get("message_id")?,
            emoji: row.get("emoji")?,
            created_at: row.get("created_at")?,
        })
    });
    given.collect()
}

/// Takes some of them back; how many.
pub(in crate::chat) async fn erase_reactions(
    tx: &mut Tx<'_>,
    user: &Id,
    limit: i64,
) -> Result<u64> {
    const ERASE: &str = "
        DELETE FROM reactions WHERE (message_id, user_id, emoji) IN (
            SELECT message_id, user_id, emoji FROM reactions WHERE user_id = $1
            ORDER BY message_id, emoji LIMIT $2)";
    Ok(tx.execute(ERASE, &params![user, limit]).await?)
}

/// Forgets what of a conversation that is locked a user has read: all of it counts as read.
pub(in crate::chat) async fn forget_read(
    tx: &mut Tx<'_>,
    conversation: &Id,
    user: &Id,
    messages: i64,
) -> Result<()> {
    const FORGET: &str = "
        UPDATE participants SET last_read = $3, last_read_message_id = NULL, read_sent = sent
        WHERE conversation_id = $1 AND user_id = $2";
    tx.execute(FORGET, &params![conversation, user, messages]).await?;
    Ok(())
}

/// The conversations that a user began, in the order of their ids.
pub(in crate::chat) async fn begun_by(
    tx: &mut Tx<'_>,
    user: &Id,
    after: &str,
    limit: i64,
) -> Result<Vec<Id>> {
    const BEGUN: &str = "
        SELECT id FROM conversations WHERE created_by = $1 AND id > $2 ORDER BY id LIMIT $3";
    let rows = tx.all(BEGUN, &params![user, after, limit]).await?;
    rows.iter().map(|row| Ok(row.get("id")?)).collect()
}

/// Takes away what its creator said of a conversation.
pub(in crate::chat) async fn erase_details(tx: &mut Tx<'_>, conversation: &Id) -> Result<()> {
    const ERASE: &str = "UPDATE conversations SET title = NULL, metadata = 'null' WHERE id = $1";
    tx.execute(ERASE, &params![conversation]).await?;
    Ok(())
}
