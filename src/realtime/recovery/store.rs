//! The sessions in the store.

use std::num::NonZeroU32;

use uuid::Uuid;

use super::{entry::Entry, pid::Key};
use crate::{
    clock::Timestamp,
    db::{Reach, Result, Row, Tx, Value},
    event::Namespace,
    id::Id,
    params,
    room::Room,
};

/// A session that was taken.
pub(in crate::realtime) struct Taken {
    /// The socket's id, which it keeps.
    pub(in crate::realtime) socket: Uuid,
    pub(in crate::realtime) generation: NonZeroU32,
    pub(in crate::realtime) began: Reach,
    pub(in crate::realtime) rooms: Vec<SessionRoom>,
}

/// A room that it is in.
pub(in crate::realtime) struct SessionRoom {
    pub(in crate::realtime) room: Room,
    pub(in crate::realtime) joined: Reach,
    pub(in crate::realtime) caught_up: bool,
}

impl From<Key> for Value {
    fn from(Key(key): Key) -> Self {
        Self::Blob(key.to_vec())
    }
}

/// Writes sessions that have begun.
pub(super) async fn begin(tx: &mut Tx<'_>, rows: &[[Value; 6]]) -> Result<()> {
    const BEGIN: &str = "
        INSERT INTO sessions (pid, socket, user_id, namespace, began, began_at)
        VALUES ($1, $2, $3, $4, $5, $6)";
    tx.insert_all(BEGIN, rows).await.map(drop)
}

/// What of an entry is written.
pub(super) fn row(now: Timestamp, entry: &Entry) -> Option<[Value; 6]> {
    let Entry::Began { key, socket, user, namespace, began } = entry else { return None };
    let (socket, began) = (socket.to_string(), began.to_string());
    Some(params![*key, socket, user, namespace.path(), began, now])
}

/// The session is in a room.
pub(super) async fn join(
    tx: &mut Tx<'_>,
    key: Key,
    room: &Room,
    joined: &Reach,
    caught_up: bool,
) -> Result<()> {
    const JOIN: &str = "
        INSERT INTO session_rooms (pid, room, joined, caught_up) VALUES ($1, $2, $3, $4)
        ON CONFLICT (pid, room) DO UPDATE SET joined = excluded.joined, caught_up = excluded.caught_up";
    let row = params![key, room.to_string(), joined.to_string(), caught_up];
    tx.execute(JOIN, &row).await.map(drop)
}

/// It is not any more.
pub(super) async fn leave(tx: &mut Tx<'_>, key: Key, room: &Room) -> Result<()> {
    const LEAVE: &str = "DELETE FROM session_rooms WHERE pid = $1 AND room = $2";
    tx.execute(LEAVE, &params![key, room.to_string()]).await.map(drop)
}

/// Nobody of that generation is connected any more.
pub(super) async fn end(
    tx: &mut Tx<'_>,
    key: Key,
    generation: NonZeroU32,
    expires_at: Timestamp,
) -> Result<()> {
    const END: &str = "UPDATE sessions SET expires_at = $3 WHERE pid = $1 AND generation = $2";
    let generation = i64::from(generation.get());
    tx.execute(END, &params![key, generation, expires_at]).await.map(drop)
}

/// There is no such session any more.
pub(super) async fn forget(tx: &mut Tx<'_>, key: Key) -> Result<()> {
    const SESSION: &str = "DELETE FROM sessions WHERE pid = $1";
    const ROOMS: &str = "DELETE FROM session_rooms WHERE pid = $1";
    tx.execute(SESSION, &params![key]).await?;
    tx.execute(ROOMS, &params![key]).await.map(drop)
}

/// What has begun by now is over.
pub(super) async fn forget_all(tx: &mut Tx<'_>) -> Result<()> {
    const OVER: &str = "UPDATE positions SET sessions_after = $1";
    let now = tx.now();
    tx.execute(OVER, &params![now]).await.map(drop)
}

/// Notes of some sessions after a key when they are over that nobody saw the end of, since their server has
/// ended; the last that was looked at, none where there are no more.
pub(super) async fn orphaned(
    tx: &mut Tx<'_>,
    after: Option<Key>,
    expires_at: Timestamp,
) -> Result<Option<Key>> {
    const NEXT: &str = "SELECT pid FROM sessions WHERE pid > $1 ORDER BY pid LIMIT $2";
    const ORPHANED: &str = "
        UPDATE sessions SET expires_at = $3 WHERE pid > $1 AND pid <= $2 AND expires_at IS NULL";
    const AT_ONCE: i64 = 1000;
    let after = Value::Blob(after.map_or_else(Vec::new, |Key(key)| key.to_vec()));
    let next = tx.all(NEXT, &params![after.clone(), AT_ONCE]).await?;
    let Some(last) = next.last().map(key).transpose()? else { return Ok(None) };
    tx.execute(ORPHANED, &params![after, last, expires_at]).await?;
    Ok(Some(last))
}

/// Removes some of what is over; whether there may be more.
pub(super) async fn prune(tx: &mut Tx<'_>) -> Result<bool> {
    const OVER: &str = "
        SELECT pid FROM sessions WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2";
    const AT_ONCE: i64 = 100;
    let now = tx.now();
    let over = tx.all(OVER, &params![now, AT_ONCE]).await?;
    for row in &over {
        forget(tx, key(row)?).await?;
    }
    Ok(i64::try_from(over.len()).is_ok_and(|removed| removed == AT_ONCE))
}

fn key(row: &Row) -> Result<Key> {
    let bytes: Vec<u8> = row.get("pid")?;
    let mut key = [0; 16];
    key.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
    Ok(Key(key))
}

/// Takes a session for the next generation.
pub(super) async fn take(
    tx: &mut Tx<'_>,
    key: Key,
    user: &Id,
    namespace: Namespace,
) -> Result<Option<Taken>> {
    const TAKE: &str = "
        UPDATE sessions SET generation = generation + 1, expires_at = NULL
        WHERE pid = $1 AND user_id = $2 AND namespace = $3
            AND (expires_at IS NULL OR expires_at > $4)
            AND began_at > (SELECT sessions_after FROM positions)
        RETURNING socket, generation, began";
    const ROOMS: &str = "SELECT room, joined, caught_up FROM session_rooms WHERE pid = $1";
    let now = tx.now();
    let Some(row) = tx.optional(TAKE, &params![key, user, namespace.path(), now]).await? else {
        return Ok(None);
    };
    let rooms = tx.all(ROOMS, &params![key]).await?;
    let taken = (|| {
        let socket: String = row.get("socket").ok()?;
        Some(Taken {
            socket: socket.parse().ok()?,
            generation: u32::try_from(row.get::<i64>("generation").ok()?).ok()?.try_into().ok()?,
            began: reach(&row, "began")?,
            rooms: rooms.iter().map(room).collect::<Option<_>>()?,
        })
    })();
    Ok(taken)
}

fn room(row: &Row) -> Option<SessionRoom> {
    let room: String = row.get("room").ok()?;
    let (joined, caught_up) = (reach(row, "joined")?, row.get("caught_up").ok()?);
    Some(SessionRoom { room: room.parse().ok()?, joined, caught_up })
}

fn reach(row: &Row, column: &'static str) -> Option<Reach> {
    row.get::<String>(column).ok()?.parse().ok()
}
