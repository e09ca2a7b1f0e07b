//! The sessions in the store.

pub(super) mod past;

use std::num::NonZeroU32;

use uuid::Uuid;

use super::{
    entry::{Entry, Leaving},
    pid::Key,
};
use crate::{
    clock::Timestamp,
    control::Control,
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

/// How somebody comes back: to which node, with which offset, and how far events had been sent there.
pub(super) struct Came {
    pub(super) node: Option<Uuid>,
    pub(super) heard: Option<Reach>,
    pub(super) after: Reach,
}

/// Writes sessions that have begun.
pub(super) async fn begin(tx: &mut Tx<'_>, rows: &[[Value; 7]]) -> Result<()> {
    const BEGIN: &str = "
        INSERT INTO sessions (pid, socket, user_id, namespace, began, began_at, node)
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
    tx.for_each(BEGIN, rows).await.map(drop)
}

/// What of an entry is written.
pub(super) fn row(now: Timestamp, node: Option<Uuid>, entry: &Entry) -> Option<[Value; 7]> {
    let Entry::Began { key, socket, user, namespace, began } = entry else { return None };
    let (socket, began) = (socket.to_string(), began.to_string());
    let node = node.map(|node| node.to_string());
    Some(params![*key, socket, user, namespace.path(), began, now, node])
}

/// The session is in a room.
pub(super) async fn join(
    tx: &mut Tx<'_>,
    key: Key,
    room: &Room,
    (entered, joined): (&Reach, &Reach),
    caught_up: bool,
) -> Result<()> {
    // Where its beginning was not written, or it has ended, there is none.
    const JOIN: &str = "
        INSERT INTO session_rooms (pid, room, joined, caught_up, entered, entered_at)
        SELECT pid, CAST($2 AS TEXT), CAST($3 AS TEXT), CAST($4 AS BIGINT), CAST($5 AS TEXT),
            CAST($6 AS BIGINT)
        FROM sessions WHERE pid = $1
        ON CONFLICT (pid, room) DO UPDATE SET joined = excluded.joined, caught_up = excluded.caught_up";
    let (room, joined, now) = (room.to_string(), joined.to_string(), tx.now());
    let row = params![key, room, joined, caught_up, entered.to_string(), now];
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
    Leaving { after, reason }: &Leaving,
) -> Result<()> {
    const END: &str = "
        UPDATE sessions SET expires_at = $3, ended = $4, ended_at = $5, reason = $6
        WHERE pid = $1 AND generation = $2";
    let (generation, now) = (i64::from(generation.get()), tx.now());
    let row = params![key, generation, expires_at, after.to_string(), now, *reason];
    tx.execute(END, &row).await.map(drop)
}

/// Somebody of that generation was sent what was missed up to here.
pub(super) async fn restore(
    tx: &mut Tx<'_>,
    key: Key,
    generation: NonZeroU32,
    restored: &Reach,
) -> Result<()> {
    const RESTORED: &str = "UPDATE sessions SET restored = $3 WHERE pid = $1 AND generation = $2";
    let generation = i64::from(generation.get());
    tx.execute(RESTORED, &params![key, generation, restored.to_string()]).await.map(drop)
}

/// There is no such session any more, unless it was taken since.
pub(super) async fn forget(
    tx: &mut Tx<'_>,
    key: Key,
    generation: NonZeroU32,
    leaving: &Leaving,
) -> Result<()> {
    let Leaving { after, reason } = leaving;
    past::ended(tx, key, generation, Some(after), reason).await?;
    remove(tx, key, generation).await
}

async fn remove(tx: &mut Tx<'_>, key: Key, generation: NonZeroU32) -> Result<()> {
    const SESSION: &str = "DELETE FROM sessions WHERE pid = $1 AND generation = $2";
    const ROOMS: &str = "DELETE FROM session_rooms WHERE pid = $1";
    let generation = i64::from(generation.get());
    if tx.execute(SESSION, &params![key, generation]).await? == 1 {
        tx.execute(ROOMS, &params![key]).await?;
    }
    Ok(())
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
    reach: &Reach,
) -> Result<Option<Key>> {
    const NEXT: &str = "SELECT pid FROM sessions WHERE pid > $1 ORDER BY pid LIMIT $2";
    const ORPHANED: &str = "
        UPDATE sessions SET expires_at = $3, ended = $4, ended_at = $5, reason = 'killed'
        WHERE pid > $1 AND pid <= $2 AND expires_at IS NULL";
    const AT_ONCE: i64 = 1000;
    let after = Value::Blob(after.map_or_else(Vec::new, |Key(key)| key.to_vec()));
    let next = tx.all(NEXT, &params![after.clone(), AT_ONCE]).await?;
    let Some(last) = next.last().map(key).transpose()? else { return Ok(None) };
    let now = tx.now();
    tx.execute(ORPHANED, &params![after, last, expires_at, reach.to_string(), now]).await?;
    Ok(Some(last))
}

/// Notes that a node is there.
pub(super) async fn seen(tx: &mut Tx<'_>, node: Uuid) -> Result<()> {
    const SEEN: &str = "
        INSERT INTO nodes (id, seen_at) VALUES ($1, $2)
        ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at";
    let now = tx.now();
    tx.execute(SEEN, &params![node.to_string(), now]).await.map(drop)
}

/// Has some sessions be over to which a node is connected that nobody has seen since then; whether there
/// may be more.
pub(super) async fn lost(tx: &mut Tx<'_>, seen_before: Timestamp) -> Result<bool> {
    const LOST: &str = "SELECT id, seen_at FROM nodes WHERE seen_at <= $1 LIMIT 1";
    const OVER: &str = "
        UPDATE sessions SET expires_at = $2, ended_at = $4, reason = 'killed' WHERE pid IN (
            SELECT pid FROM sessions WHERE node = $1 AND expires_at IS NULL LIMIT $3)";
    const FORGET: &str = "DELETE FROM nodes WHERE id = $1";
    const AT_ONCE: i64 = 1000;
    let Some(node) = tx.optional(LOST, &params![seen_before]).await? else { return Ok(false) };
    let (node, seen_at): (String, Timestamp) = (node.get("id")?, node.get("seen_at")?);
    let now = tx.now();
    if tx.execute(OVER, &params![node.as_str(), now, AT_ONCE, seen_at]).await?.cast_signed()
        < AT_ONCE
    {
        tx.execute(FORGET, &params![node]).await?;
    }
    Ok(true)
}

/// Removes some of what is over; whether there may be more.
pub(super) async fn prune(tx: &mut Tx<'_>) -> Result<bool> {
    const OVER: &str = "
        SELECT pid, generation FROM sessions WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2";
    const AT_ONCE: i64 = 100;
    let now = tx.now();
    let over = tx.all(OVER, &params![now, AT_ONCE]).await?;
    for row in &over {
        if let Some(generation) = generation(row) {
            let key = key(row)?;
            past::ended(tx, key, generation, None, "killed").await?;
            remove(tx, key, generation).await?;
        }
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
    Came { node, heard, after }: &Came,
) -> Result<Option<Taken>> {
    const TAKE: &str = "
        UPDATE sessions SET generation = generation + 1, expires_at = NULL, node = $5
        WHERE pid = $1 AND user_id = $2 AND namespace = $3
            AND (expires_at IS NULL OR expires_at > $4)
            AND began_at > (SELECT sessions_after FROM positions)
        RETURNING socket, generation, began";
    const CAME: &str = "
        UPDATE sessions SET heard = $2, came_at = $3, restored = NULL, ended = NULL,
            ended_at = NULL, reason = NULL
        WHERE pid = $1";
    const ROOMS: &str = "SELECT room, joined, caught_up FROM session_rooms WHERE pid = $1";
    let (now, node) = (tx.now(), node.map(|node| node.to_string()));
    let row = params![key, user, namespace.path(), now, node];
    let Some(row) = tx.optional(TAKE, &row).await? else {
        return Ok(None);
    };
    let rooms = tx.all(ROOMS, &params![key]).await?;
    let taken = (|| {
        let socket: String = row.get("socket").ok()?;
        Some(Taken {
            socket: socket.parse().ok()?,
            generation: generation(&row)?,
            began: reach(&row, "began")?,
            rooms: rooms.iter().map(room).collect::<Option<_>>()?,
        })
    })();
    if let Some(Taken { socket, generation, .. }) = &taken {
        past::taken(tx, key, *generation, after).await?;
        let heard = heard.as_ref().map(ToString::to_string);
        tx.execute(CAME, &params![key, heard, now]).await?;
        tx.instruct(Control::Displace { socket: *socket, generation: *generation });
    }
    Ok(taken)
}

fn generation(row: &Row) -> Option<NonZeroU32> {
    u32::try_from(row.get::<i64>("generation").ok()?).ok()?.try_into().ok()
}

fn room(row: &Row) -> Option<SessionRoom> {
    let room: String = row.get("room").ok()?;
    let (joined, caught_up) = (reach(row, "joined")?, row.get("caught_up").ok()?);
    Some(SessionRoom { room: room.parse().ok()?, joined, caught_up })
}

fn reach(row: &Row, column: &'static str) -> Option<Reach> {
    row.get::<String>(column).ok()?.parse().ok()
}
