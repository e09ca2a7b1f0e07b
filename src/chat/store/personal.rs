//! What one user wrote, in whatever conversation, found by its index.

use super::{MessageRow, message_row};
use crate::{clock::Timestamp, db::Tx, error::Result, id::Id, params};

/// A reaction that a user gave.
pub(in crate::chat) struct Given {
    pub(in crate::chat) message_id: Id,
    pub(in crate::chat) emoji: String,
    pub(in crate::chat) created_at: Timestamp,
}

/// The messages that a user wrote, in the order of their ids.
pub(in crate::chat) async fn messages_of(
    tx: &mut Tx<'_>,
    user: &Id,
    after: &str,
    limit: i64,
) -> Result<Vec<MessageRow>> {
    const OF_SENDER: &str = "
        SELECT * FROM messages WHERE sender_id = $1 AND id > $2 ORDER BY id LIMIT $3";
    tx.all(OF_SENDER, &params![user, after, limit]).await?.iter().map(message_row).collect()
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

/// Forgets what of a conversation that is held a user has read: all of it counts as read.
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
