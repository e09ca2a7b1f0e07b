//! Notifications in the store. A unit that changes somebody's notifications locks their inbox
//! first, of several users in the order of their ids, and then what the notifications say.

pub(super) mod moved;

use std::collections::BTreeSet;

use super::{events::Notification, requests::Notice};
use crate::{
    clock::Timestamp,
    db::{Row, Tx, Value},
    error::{Error, Result},
    id::Id,
    params,
};

/// How far a user is.
pub(super) struct Inbox {
    /// The number of their last notification.
    pub(super) last_ordinal: i64,
    /// How many they have not read.
    pub(super) unread: u64,
    /// Up to which number they have read all.
    pub(super) read_upto: i64,
}

/// A notification among those of a user.
pub(super) struct InboxEntry {
    pub(super) ordinal: i64,
    read_at: Option<Timestamp>,
}

impl InboxEntry {
    /// Whether the user of that inbox has not read it.
    pub(super) fn is_unread(&self, inbox: &Inbox) -> bool {
        self.read_at.is_none() && self.ordinal > inbox.read_upto
    }
}

/// How many unread notifications a user has; none who never got one.
pub(super) async fn inbox(tx: &mut Tx<'_>, user: &Id) -> Result<Option<Inbox>> {
    tx.optional(INBOX, &params![user]).await?.as_ref().map(read_inbox).transpose()
}

/// The same, locked until the end of the unit.
pub(super) async fn inbox_for_update(tx: &mut Tx<'_>, user: &Id) -> Result<Option<Inbox>> {
    tx.lock_row(INBOX, &params![user]).await?.as_ref().map(read_inbox).transpose()
}

/// Locks the inboxes of these users, in their order, until the end of the unit.
pub(super) async fn lock_inboxes(tx: &mut Tx<'_>, users: &BTreeSet<&Id>) -> Result<()> {
    const LOCK: &str = "
        INSERT INTO notification_inboxes (user_id, last_ordinal, unread, read_upto)
        VALUES ($1, $2, $2, $2)
        ON CONFLICT (user_id) DO UPDATE SET unread = notification_inboxes.unread";
    let inboxes: Vec<_> = users.iter().map(|user| params![*user, 0_i64]).collect();
    tx.for_each(LOCK, &inboxes).await?;
    Ok(())
}

const INBOX: &str = "
    SELECT last_ordinal, unread, read_upto FROM notification_inboxes WHERE user_id = $1";

fn read_inbox(row: &Row) -> Result<Inbox> {
    Ok(Inbox {
        last_ordinal: row.get("last_ordinal")?,
        unread: row.get("unread")?,
        read_upto: row.get("read_upto")?,
    })
}

/// Adds what a notification says, for so many users, of whom none has been told.
pub(super) async fn insert_content(
    tx: &mut Tx<'_>,
    notification: &Notification,
    users: usize,
    request_key: Option<Vec<u8>>,
    [words_of, also_words_of]: [Option<&Id>; 2],
) -> Result<()> {
    const INSERT: &str = "
        INSERT INTO notification_contents
            (id, kind, title, body, data, created_at, told, kept, request_key, words_of,
             also_words_of)
        VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $8, $9, $10)";
    let row = params![
        &notification.id,
        &notification.kind,
        &notification.title,
        &notification.body,
        notification.data.to_string(),
        notification.created_at,
        number(users),
        request_key,
        words_of,
        also_words_of,
    ];
    tx.execute(INSERT, &row).await?;
    Ok(())
}

/// The notification of a request that began not before `since`, and how many have been told. An older
/// one gives its name up.
pub(super) async fn of_request(
    tx: &mut Tx<'_>,
    request_key: &[u8],
    since: Timestamp,
) -> Result<Option<(Notification, usize)>> {
    const FORGET: &str = "
        UPDATE notification_contents SET request_key = NULL
        WHERE request_key = $1 AND created_at < $2";
    const FIND: &str = "
        SELECT id, kind, title, body, data, created_at, NULL AS read_at, told
        FROM notification_contents WHERE request_key = $1";
    tx.execute(FORGET, &params![request_key, since]).await?;
    let Some(row) = tx.optional(FIND, &params![request_key]).await? else { return Ok(None) };
    let told = usize::try_from(row.get::<u64>("told")?).map_err(Error::internal)?;
    Ok(Some((read(&row)?, told)))
}

/// Those of these users who have an unread notification about a topic.
pub(super) async fn with_unread_about(
    tx: &mut Tx<'_>,
    users: &BTreeSet<Id>,
    topic: &str,
) -> Result<Vec<Id>> {
    const FIND: &str = "
        SELECT asked.key AS id FROM json_each(json(CAST($1 AS TEXT))) AS asked
        WHERE EXISTS (
            SELECT 1 FROM notifications
            WHERE user_id = asked.key AND topic = $2 AND read_at IS NULL AND ordinal > (
                SELECT read_upto FROM notification_inboxes WHERE user_id = asked.key))";
    let rows = tx.all(FIND, &params![Value::keys(users), topic]).await?;
    rows.iter().map(|row| Ok(row.get("id")?)).collect()
}

/// A user's unread notification about a topic.
pub(super) async fn unread_about(tx: &mut Tx<'_>, user: &Id, topic: &str) -> Result<Option<Id>> {
    const FIND: &str = "
        SELECT id FROM notifications
        WHERE user_id = $1 AND topic = $2 AND read_at IS NULL AND ordinal > (
            SELECT read_upto FROM notification_inboxes WHERE user_id = $1)
        ORDER BY ordinal DESC LIMIT 1";
    let found = tx.optional(FIND, &params![user, topic]).await?;
    Ok(found.map(|row| row.get("id")).transpose()?)
}

/// Notes that more users have been told; false when another has told them.
pub(super) async fn set_told(
    tx: &mut Tx<'_>,
    id: &Id,
    before: usize,
    after: usize,
) -> Result<bool> {
    const TOLD: &str = "UPDATE notification_contents SET told = $3 WHERE id = $1 AND told = $2";
    Ok(tx.execute(TOLD, &params![id, number(before), number(after)]).await? == 1)
}

/// Gives each of these users a notification, which they have not read; how many they have then that
/// are unread.
pub(super) async fn add(
    tx: &mut Tx<'_>,
    notification: &Notification,
    topic: Option<&str>,
    users: &[Id],
) -> Result<Vec<(Id, u64)>> {
    const NEXT: &str = "
        INSERT INTO notification_inboxes (user_id, last_ordinal, unread, read_upto)
        VALUES ($1, $2, $2, $3)
        ON CONFLICT (user_id) DO UPDATE SET
            last_ordinal = notification_inboxes.last_ordinal + 1,
            unread = notification_inboxes.unread + 1
        RETURNING user_id, last_ordinal, unread";
    const ADD: &str = "
        INSERT INTO notifications (user_id, ordinal, id, created_at, topic)
        VALUES ($1, $2, $3, $4, $5)";
    let inboxes: Vec<_> = users.iter().map(|user| params![user, 1_i64, 0_i64]).collect();
    let mut counts = Vec::with_capacity(users.len());
    let mut rows = Vec::with_capacity(users.len());
    for inbox in tx.for_each(NEXT, &inboxes).await? {
        let (user, ordinal): (Id, i64) = (inbox.get("user_id")?, inbox.get("last_ordinal")?);
        rows.push(params![&user, ordinal, &notification.id, notification.created_at, topic]);
        counts.push((user, inbox.get("unread")?));
    }
    tx.for_each(ADD, &rows).await?;
    Ok(counts)
}

/// A notification with when it was read: by itself, else with all others of its user up to there.
macro_rules! listed {
    ($which:literal) => {
        concat!(
            "SELECT n.ordinal, n.id, c.kind, c.title, c.body, c.data, n.created_at,
                COALESCE(n.read_at, (
                    SELECT r.read_at FROM notification_reads r
                    WHERE r.user_id = n.user_id AND r.upto >= n.ordinal
                    ORDER BY r.upto LIMIT 1)) AS read_at
            FROM notifications n JOIN notification_contents c ON c.id = n.id
            WHERE n.user_id = $1 AND n.ordinal < $2",
            $which,
            " ORDER BY n.ordinal DESC LIMIT $3"
        )
    };
}

/// The notifications of a user before a number, each with its own, the newest first.
pub(super) async fn list(
    tx: &mut Tx<'_>,
    user: &Id,
    unread: bool,
    before: i64,
    limit: i64,
) -> Result<Vec<(i64, Notification)>> {
    const ALL: &str = listed!("");
    const UNREAD: &str = listed!(
        " AND n.read_at IS NULL AND n.ordinal > (
            SELECT read_upto FROM notification_inboxes WHERE user_id = $1)"
    );
    let sql = if unread { UNREAD } else { ALL };
    let rows = tx.all(sql, &params![user, before, limit]).await?;
    rows.iter().map(|row| Ok((row.get("ordinal")?, read(row)?))).collect()
}

/// Where a notification is among those of a user; none that is not theirs.
pub(super) async fn find(tx: &mut Tx<'_>, user: &Id, id: &Id) -> Result<Option<InboxEntry>> {
    const FIND: &str = "
        SELECT ordinal, read_at FROM notifications WHERE id = $1 AND user_id = $2";
    tx.optional(FIND, &params![id, user]).await?.as_ref().map(entry).transpose()
}

/// Notes that a user has read a notification.
pub(super) async fn set_read(tx: &mut Tx<'_>, user: &Id, ordinal: i64) -> Result<()> {
    const READ: &str = "
        UPDATE notifications SET read_at = $3 WHERE user_id = $1 AND ordinal = $2";
    tx.execute(READ, &params![user, ordinal, tx.now()]).await?;
    Ok(())
}

/// Notes that a user has read all that they have.
pub(super) async fn set_all_read(tx: &mut Tx<'_>, user: &Id, inbox: &Inbox) -> Result<()> {
    const NOTE: &str = "
        INSERT INTO notification_reads (user_id, upto, read_at) VALUES ($1, $2, $3)";
    const READ: &str = "
        UPDATE notification_inboxes SET unread = 0, read_upto = last_ordinal WHERE user_id = $1";
    tx.execute(NOTE, &params![user, inbox.last_ordinal, tx.now()]).await?;
    tx.execute(READ, &params![user]).await?;
    Ok(())
}

/// Notes how many notifications a user has not read.
pub(super) async fn set_unread(tx: &mut Tx<'_>, user: &Id, unread: u64) -> Result<()> {
    const UNREAD: &str = "UPDATE notification_inboxes SET unread = $2 WHERE user_id = $1";
    let unread = i64::try_from(unread).map_err(Error::internal)?;
    tx.execute(UNREAD, &params![user, unread]).await?;
    Ok(())
}

/// Takes a notification from a user, and with the last of its users what it says; its entry, when
/// it was theirs, and whether that is forgotten.
pub(super) async fn remove(
    tx: &mut Tx<'_>,
    user: &Id,
    id: &Id,
) -> Result<Option<(InboxEntry, bool)>> {
    const REMOVE: &str = "
        DELETE FROM notifications WHERE id = $1 AND user_id = $2 RETURNING ordinal, read_at";
    let Some(row) = tx.optional(REMOVE, &params![id, user]).await? else { return Ok(None) };
    let forgotten = leave(tx, id).await?;
    Ok(Some((entry(&row)?, forgotten)))
}

/// Takes some notifications from a user, the oldest first, and some of when they read all; what was said
/// by those that nobody has any more, and how many rows there were of either at the most. With the last
/// of both is noted with the inbox, in the same unit: whatever they are told meanwhile is told
/// before it and goes too, or begins anew.
pub(super) async fn erase_some(tx: &mut Tx<'_>, user: &Id, limit: i64) -> Result<(Vec<Id>, u64)> {
    const REMOVE: &str = "
        DELETE FROM notifications WHERE (user_id, ordinal) IN (
            SELECT user_id, ordinal FROM notifications WHERE user_id = $1
            ORDER BY ordinal LIMIT $2)
        RETURNING id";
    const READS: &str = "
        DELETE FROM notification_reads WHERE (user_id, upto) IN (
            SELECT user_id, upto FROM notification_reads WHERE user_id = $1
            ORDER BY upto LIMIT $2)";
    const STANDS: &str = "DELETE FROM notification_inboxes WHERE user_id = $1";
    if inbox_for_update(tx, user).await?.is_none() {
        return Ok((Vec::new(), 0));
    }
    let removed = tx.all(REMOVE, &params![user, limit]).await?;
    let removed: Result<BTreeSet<Id>> = removed.iter().map(|row| Ok(row.get("id")?)).collect();
    let removed = removed?;
    let mut forgotten = Vec::new();
    // In their order, since others may leave the same.
    for id in &removed {
        if leave(tx, id).await? {
            forgotten.push(id.clone());
        }
    }
    let reads = tx.execute(READS, &params![user, limit]).await?;
    let rows = reads.max(removed.len() as u64);
    if rows < limit.unsigned_abs() {
        tx.execute(STANDS, &params![user]).await?;
    }
    Ok((forgotten, rows))
}

/// Notes that one user less has a notification; whether it was the last.
async fn leave(tx: &mut Tx<'_>, id: &Id) -> Result<bool> {
    const LEAVE: &str = "UPDATE notification_contents SET kept = kept - 1 WHERE id = $1";
    const FORGET: &str = "DELETE FROM notification_contents WHERE id = $1 AND kept <= 0";
    tx.execute(LEAVE, &params![id]).await?;
    Ok(tx.execute(FORGET, &params![id]).await? > 0)
}

/// What others are told by a user's name or in their words, in the order of their ids.
pub(super) async fn told_by(
    tx: &mut Tx<'_>,
    user: &Id,
    after: &str,
    limit: i64,
) -> Result<Vec<Notification>> {
    const TOLD: &str = "
        SELECT id, kind, title, body, data, created_at, NULL AS read_at
        FROM notification_contents WHERE words_of = $1 AND id > $2 ORDER BY id LIMIT $3";
    let rows = tx.all(TOLD, &params![user, after, limit]).await?;
    rows.iter().map(read).collect()
}

/// What some notifications say by a user's name or in their words, alone or among others.
pub(super) async fn with_words_of(tx: &mut Tx<'_>, user: &Id, limit: i64) -> Result<Vec<Id>> {
    const FIRST: &str = "
        SELECT id FROM notification_contents WHERE words_of = $1 ORDER BY id LIMIT $2";
    const OTHER: &str = "
        SELECT id FROM notification_contents WHERE also_words_of = $1 ORDER BY id LIMIT $2";
    let mut rows = tx.all(FIRST, &params![user, limit]).await?;
    if rows.is_empty() {
        rows = tx.all(OTHER, &params![user, limit]).await?;
    }
    rows.iter().map(|row| Ok(row.get("id")?)).collect()
}

/// Who has a notification, each with its number among theirs.
pub(super) async fn holders(tx: &mut Tx<'_>, id: &Id, limit: i64) -> Result<Vec<(Id, i64)>> {
    const HOLDERS: &str = "
        SELECT user_id, ordinal FROM notifications WHERE id = $1 ORDER BY user_id LIMIT $2";
    let rows = tx.all(HOLDERS, &params![id, limit]).await?;
    rows.iter().map(|row| Ok((row.get("user_id")?, row.get("ordinal")?))).collect()
}

/// Forgets what a notification says, which no user has any more.
pub(super) async fn forget(tx: &mut Tx<'_>, id: &Id) -> Result<()> {
    const FORGET: &str = "DELETE FROM notification_contents WHERE id = $1";
    tx.execute(FORGET, &params![id]).await?;
    Ok(())
}

/// The oldest notifications of all users, as far as they are from before a time: each as its user and
/// its number.
pub(super) async fn oldest(
    tx: &mut Tx<'_>,
    before: Timestamp,
    limit: i64,
) -> Result<Vec<(Id, i64)>> {
    const OLDEST: &str = "
        SELECT user_id, ordinal FROM notifications WHERE created_at < $1
        ORDER BY created_at LIMIT $2";
    let rows = tx.all(OLDEST, &params![before, limit]).await?;
    rows.iter().map(|row| Ok((row.get("user_id")?, row.get("ordinal")?))).collect()
}

/// Gives an old notification of a user up; its entry, when it was still there.
pub(super) async fn give_up(
    tx: &mut Tx<'_>,
    user: &Id,
    ordinal: i64,
) -> Result<Option<InboxEntry>> {
    const REMOVE: &str = "
        DELETE FROM notifications WHERE user_id = $1 AND ordinal = $2 RETURNING ordinal, read_at";
    tx.optional(REMOVE, &params![user, ordinal]).await?.as_ref().map(entry).transpose()
}

/// Gives up what old notifications said, which no user has any more; which those were.
pub(super) async fn prune_contents(
    tx: &mut Tx<'_>,
    before: Timestamp,
    limit: i64,
) -> Result<Vec<Id>> {
    const PRUNE: &str = "
        DELETE FROM notification_contents WHERE id IN (
            SELECT id FROM notification_contents WHERE created_at < $1
            ORDER BY created_at LIMIT $2)
        RETURNING id";
    let rows = tx.all(PRUNE, &params![before, limit]).await?;
    rows.iter().map(|row| Ok(row.get("id")?)).collect()
}

/// Gives up when all was read of which nothing is left; how many.
pub(super) async fn prune_reads(tx: &mut Tx<'_>, before: Timestamp, limit: i64) -> Result<u64> {
    const PRUNE: &str = "
        DELETE FROM notification_reads WHERE (user_id, upto) IN (
            SELECT user_id, upto FROM notification_reads WHERE read_at < $1
            ORDER BY read_at LIMIT $2)";
    Ok(tx.execute(PRUNE, &params![before, limit]).await?)
}

/// A new notification.
pub(super) fn notification(id: Id, notice: Notice, created_at: Timestamp) -> Notification {
    let Notice { kind, title, body, data } = notice;
    Notification {
        underscore_id: id.clone(),
        id,
        kind,
        title,
        body,
        data,
        created_at,
        read_at: None,
    }
}

fn read(row: &Row) -> Result<Notification> {
    let data: String = row.get("data")?;
    let notice = Notice {
        kind: row.get("kind")?,
        title: row.get("title")?,
        body: row.get("body")?,
        data: serde_json::from_str(&data).map_err(Error::internal)?,
    };
    let notification = notification(row.get("id")?, notice, row.get("created_at")?);
    Ok(Notification { read_at: row.get("read_at")?, ..notification })
}

fn entry(row: &Row) -> Result<InboxEntry> {
    Ok(InboxEntry { ordinal: row.get("ordinal")?, read_at: row.get("read_at")? })
}

fn number(users: usize) -> i64 {
    i64::try_from(users).unwrap_or(i64::MAX)
}
