//! How far people have read, and what that leaves unread: counted by numbers that are kept, however
//! many messages there are.

use super::{Between, Member, MessageRow};
use crate::{db::Tx, error::Result, id::Id, params};

/// Notes up to where a user has read, and how many of their own are among that.
pub(in crate::chat) async fn set_read(
    tx: &mut Tx<'_>,
    conversation: &Id,
    user: &Id,
    message: &MessageRow,
    read_sent: i64,
) -> Result<()> {
    const READ: &str = "
        UPDATE participants SET last_read = $3, last_read_message_id = $4, read_sent = $5
        WHERE conversation_id = $1 AND user_id = $2";
    let row = params![conversation, user, message.ordinal, &message.document.id, read_sent];
    tx.execute(READ, &row).await?;
    Ok(())
}

/// How many messages someone wrote since they came, up to a message that came after them.
pub(in crate::chat) async fn sent_up_to(
    tx: &mut Tx<'_>,
    conversation: &Id,
    member: &Member,
    message: &MessageRow,
) -> Result<i64> {
    let user = &member.document.id;
    if message.document.sender.id == *user && message.ordinal < member.last_sent {
        return Ok(message.sender_ordinal);
    }
    own_up_to(tx, conversation, user, (member.sent, member.last_sent), message.ordinal).await
}

/// The same by what is known of them, and by the message's number. Back from the next one of theirs that
/// the index has, there are less than 64 to look at.
pub(super) async fn own_up_to(
    tx: &mut Tx<'_>,
    conversation: &Id,
    user: &Id,
    (sent, last_sent): (i64, i64),
    ordinal: i64,
) -> Result<i64> {
    const AFTER: &str = "
        WITH RECURSIVE own AS (
            SELECT sender_ordinal, sender_previous FROM messages
            WHERE conversation_id = $1 AND ordinal = COALESCE((
                SELECT ordinal FROM messages
                WHERE conversation_id = $1 AND sender_id = $2 AND ordinal > $3
                    AND sender_ordinal % 64 = 0
                ORDER BY ordinal LIMIT 1), $4)
            UNION ALL
            SELECT m.sender_ordinal, m.sender_previous
            FROM own JOIN messages m ON m.conversation_id = $1 AND m.ordinal = own.sender_previous
            WHERE own.sender_previous > $3)
        SELECT MIN(sender_ordinal) AS first FROM own";
    if ordinal >= last_sent {
        return Ok(sent);
    }
    let after = params![conversation, user, ordinal, last_sent];
    Ok(tx.one(AFTER, &after).await?.get::<i64>("first")? - 1)
}

/// How many messages of others are deleted in a stretch.
pub(in crate::chat) async fn deleted_of_others(
    tx: &mut Tx<'_>,
    conversation: &Id,
    user: &Id,
    between: Between,
) -> Result<i64> {
    const DELETED: &str = "
        SELECT COUNT(*) AS messages FROM messages
        WHERE conversation_id = $1 AND ordinal > $2 AND ordinal < $3
            AND sender_id <> $4 AND deleted_at IS NOT NULL";
    let row = tx.one(DELETED, &params![conversation, between.after, between.before, user]).await?;
    Ok(row.get("messages")?)
}
