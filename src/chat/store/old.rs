//! The oldest messages of a conversation, which are given up with all that hangs on them. Who has not
//! read them has nothing unread there any more.

use std::collections::BTreeMap;

use crate::{clock::Timestamp, db::Tx, error::Result, id::Id, params};

/// The first messages of a conversation that are there.
struct First {
    id: Id,
    ordinal: i64,
    sender: Id,
    is_reacted_to: bool,
}

/// The conversation that has the oldest first message, where that was written before.
pub(in crate::chat) async fn conversation(
    tx: &mut Tx<'_>,
    before: Timestamp,
) -> Result<Option<Id>> {
    const OLDEST: &str = "
        SELECT id FROM conversations WHERE oldest_at <= $1 ORDER BY oldest_at LIMIT 1";
    let row = tx.optional(OLDEST, &params![before]).await?;
    Ok(row.map(|row| row.get("id")).transpose()?)
}

/// Gives up the first messages of a conversation as far as they were written before, with at most so many
/// rows, about; how many messages.
pub(in crate::chat) async fn give_up(
    tx: &mut Tx<'_>,
    conversation: &Id,
    before: Timestamp,
    limit: i64,
) -> Result<u64> {
    const FIRST: &str = "
        SELECT m.id, m.ordinal, m.sender_id, m.created_at, CASE WHEN EXISTS (
            SELECT 1 FROM reactions r WHERE r.message_id = m.id) THEN 1 ELSE 0 END AS reacted
        FROM messages m WHERE m.conversation_id = $1 AND m.ordinal > $2
        ORDER BY m.ordinal LIMIT $3";
    const REMOVE: &str = "DELETE FROM messages WHERE conversation_id = $1 AND ordinal <= $2";
    const NOTE: &str = "UPDATE conversations SET gone = $2, oldest_at = $3 WHERE id = $1";
    let Some(row) = super::find_for_update(tx, conversation).await? else { return Ok(0) };
    let mut old = Vec::new();
    let mut oldest_at = None;
    // And the one behind them.
    for row in tx.all(FIRST, &params![conversation, row.gone, limit + 1]).await? {
        let created_at: Timestamp = row.get("created_at")?;
        oldest_at = Some(created_at);
        if created_at > before || old.len() as u64 == limit.unsigned_abs() {
            break;
        }
        old.push(First {
            id: row.get("id")?,
            ordinal: row.get("ordinal")?,
            sender: row.get("sender_id")?,
            is_reacted_to: row.get("reacted")?,
        });
        oldest_at = None;
    }
    let (mut left, mut reached) = (limit, old.len());
    for (first, place) in old.iter().zip(0..) {
        if first.is_reacted_to && !remove_reactions(tx, &first.id, &mut left).await? {
            // Of one with very many the rest goes next time, and the message with them.
            (reached, oldest_at) = (place, Some(before));
            break;
        }
    }
    old.truncate(reached);
    let gone = old.last().map_or(row.gone, |last| last.ordinal);
    if !old.is_empty() {
        forget_unread(tx, conversation, &old, gone).await?;
        tx.execute(REMOVE, &params![conversation, gone]).await?;
        tx.take_back();
    }
    tx.execute(NOTE, &params![conversation, gone, oldest_at]).await?;
    Ok(old.len() as u64)
}

/// Removes the reactions to a message, as many as are left to remove; whether these were all.
async fn remove_reactions(tx: &mut Tx<'_>, message: &Id, left: &mut i64) -> Result<bool> {
    const REMOVE: &str = "
        DELETE FROM reactions WHERE (message_id, user_id, emoji) IN (
            SELECT message_id, user_id, emoji FROM reactions WHERE message_id = $1
            ORDER BY user_id, emoji LIMIT $2)";
    let removed = tx.execute(REMOVE, &params![message, *left]).await?;
    *left -= i64::try_from(removed).unwrap_or(*left);
    Ok(*left > 0)
}

/// Has nobody anything unread among these messages, the last of which has this number. Who wrote them has
/// read as many more of their own.
async fn forget_unread(tx: &mut Tx<'_>, conversation: &Id, old: &[First], last: i64) -> Result<()> {
    const READ: &str = "
        SELECT last_read FROM participants WHERE conversation_id = $1 AND user_id = $2";
    const OWN: &str = "
        UPDATE participants SET read_sent = read_sent + $3
        WHERE conversation_id = $1 AND user_id = $2";
    const WROTE: &str = "
        DELETE FROM authorships
        WHERE user_id = $1 AND conversation_id = $2 AND last_message <= $3";
    const ALL: &str = "
        UPDATE participants SET last_read = $2, last_read_message_id = NULL
        WHERE conversation_id = $1 AND last_read <= $2";
    let mut of_sender: BTreeMap<&Id, Vec<i64>> = BTreeMap::new();
    for first in old {
        of_sender.entry(&first.sender).or_default().push(first.ordinal);
    }
    for (sender, ordinals) in of_sender {
        if let Some(row) = tx.optional(READ, &params![conversation, sender]).await? {
            let last_read: i64 = row.get("last_read")?;
            let own = ordinals.iter().filter(|ordinal| **ordinal > last_read).count();
            let own = i64::try_from(own).unwrap_or(0);
            if own > 0 {
                tx.execute(OWN, &params![conversation, sender, own]).await?;
            }
        }
        tx.execute(WROTE, &params![sender, conversation, last]).await?;
    }
    tx.execute(ALL, &params![conversation, last]).await?;
    Ok(())
}
