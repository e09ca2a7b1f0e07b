//! Notifications that are taken in from a file, or written into one.

use super::read;
use crate::{
    db::{Row, Tx},
    error::Result,
    id::Id,
    notifications::events::Notification,
    params,
};

/// A notification of a user, with all that is kept of it.
pub(in crate::notifications) struct Kept {
    pub(in crate::notifications) user_id: Id,
    pub(in crate::notifications) ordinal: i64,
    pub(in crate::notifications) notification: Notification,
    pub(in crate::notifications) topic: Option<String>,
    pub(in crate::notifications) words_of: Option<Id>,
    pub(in crate::notifications) also_words_of: Option<Id>,
}

/// A notification of a user, with when it was read: by itself, else with all others, and where it is not
/// known when that was, as soon as it came.
pub(in crate::notifications) async fn find(
    tx: &mut Tx<'_>,
    user: &Id,
    id: &Id,
) -> Result<Option<Kept>> {
    const FIND: &str = "
        SELECT n.user_id, n.ordinal, n.id, c.kind, c.title, c.body, c.data, n.created_at, n.topic,
            c.words_of, c.also_words_of,
            COALESCE(n.read_at, (
                SELECT r.read_at FROM notification_reads r
                WHERE r.user_id = n.user_id AND r.upto >= n.ordinal
                ORDER BY r.upto LIMIT 1), (
                SELECT n.created_at FROM notification_inboxes i
                WHERE i.user_id = n.user_id AND i.read_upto >= n.ordinal)) AS read_at
        FROM notifications n JOIN notification_contents c ON c.id = n.id
        WHERE n.id = $1 AND n.user_id = $2";
    tx.optional(FIND, &params![id, user]).await?.as_ref().map(row).transpose()
}

/// The same of those after that of a user and a number.
pub(in crate::notifications) async fn after(
    tx: &mut Tx<'_>,
    (user, ordinal): (&str, i64),
    limit: i64,
) -> Result<Vec<Kept>> {
    const AFTER: &str = "
        SELECT n.user_id, n.ordinal, n.id, c.kind, c.title, c.body, c.data, n.created_at, n.topic,
            c.words_of, c.also_words_of,
            COALESCE(n.read_at, (
                SELECT r.read_at FROM notification_reads r
                WHERE r.user_id = n.user_id AND r.upto >= n.ordinal
                ORDER BY r.upto LIMIT 1), (
                SELECT n.created_at FROM notification_inboxes i
                WHERE i.user_id = n.user_id AND i.read_upto >= n.ordinal)) AS read_at
        FROM notifications n JOIN notification_contents c ON c.id = n.id
        WHERE (n.user_id, n.ordinal) > ($1, $2)
        ORDER BY n.user_id, n.ordinal LIMIT $3";
    tx.all(AFTER, &params![user, ordinal, limit]).await?.iter().map(row).collect()
}

/// Whose words or names a notification has that is there.
pub(in crate::notifications) async fn content(
    tx: &mut Tx<'_>,
    id: &Id,
) -> Result<Option<Notification>> {
    const CONTENT: &str = "
        SELECT id, kind, title, body, data, created_at, NULL AS read_at
        FROM notification_contents WHERE id = $1";
    tx.optional(CONTENT, &params![id]).await?.as_ref().map(read).transpose()
}

/// Gives a user a notification whose content is there, as the last of theirs.
pub(in crate::notifications) async fn give(tx: &mut Tx<'_>, kept: &Kept) -> Result<()> {
    const NEXT: &str = "
        INSERT INTO notification_inboxes (user_id, last_ordinal, unread, read_upto)
        VALUES ($1, 1, $2, 0)
        ON CONFLICT (user_id) DO UPDATE SET
            last_ordinal = notification_inboxes.last_ordinal + 1,
            unread = notification_inboxes.unread + $2
        RETURNING last_ordinal";
    const ADD: &str = "
        INSERT INTO notifications (user_id, ordinal, id, created_at, read_at, topic)
        VALUES ($1, $2, $3, $4, $5, $6)";
    const TOLD: &str = "
        UPDATE notification_contents SET told = told + 1, kept = kept + 1 WHERE id = $1";
    let Kept { user_id, notification, topic, .. } = kept;
    let unread = notification.read_at.is_none();
    let ordinal: i64 = tx.one(NEXT, &params![user_id, unread]).await?.get("last_ordinal")?;
    let row = params![
        user_id,
        ordinal,
        &notification.id,
        notification.created_at,
        notification.read_at,
        topic.as_ref(),
    ];
    tx.execute(ADD, &row).await?;
    tx.execute(TOLD, &params![&notification.id]).await?;
    Ok(())
}

fn row(row: &Row) -> Result<Kept> {
    Ok(Kept {
        user_id: row.get("user_id")?,
        ordinal: row.get("ordinal")?,
        notification: read(row)?,
        topic: row.get("topic")?,
        words_of: row.get("words_of")?,
        also_words_of: row.get("also_words_of")?,
    })
}
