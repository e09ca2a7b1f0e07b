//! The sessions in the store.

pub(super) mod past;

use std::{collections::HashMap, num::NonZeroU32};

use uuid::Uuid;

use super::{
    entry::{Entry, Leaving},
    pid::{Key, Session},
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

/// Somebody who comes back.
#[derive(Clone)]
pub(super) struct Comer {
    pub(super) key: Key,
    pub(super) user: Id,
    pub(super) namespace: Namespace,
    /// The offset that they show.
    pub(super) heard: Option<Reach>,
    /// How far events had been sent when they came.
    pub(super) after: Reach,
}

/// Writes sessions that have begun.
pub(super) async fn begin(tx: &mut Tx<'_>, rows: &[[Value; 7]]) -> Result<()> {
    const BEGIN: &str = "
        INSERT INTO sessions (pid, socket, user_id, namespace, began, began_at, node)
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
    tx.for_each(BEGIN, rows).await.map(drop)
}

/// The row of a session that has begun.
pub(super) fn begun(now: Timestamp, node: Option<Uuid>, entry: &Entry) -> Option<[Value; 7]> {
    let Entry::Began { key, socket, user, namespace, began } = entry else { return None };
    let (socket, began) = (socket.to_string(), began.to_string());
    let node = node.map(|node| node.to_string());
    Some(params![*key, socket, user, namespace.path(), began, now, node])
}

/// The row of one that was restored.
pub(super) fn restored(entry: &Entry) -> Option<[Value; 3]> {
    let Entry::Restored { key, generation, restored } = entry else { return None };
    Some(params![*key, i64::from(generation.get()), restored.to_string()])
}

/// The session is in a room, unless it was taken since.
pub(super) async fn join(
    tx: &mut Tx<'_>,
    (key, generation): (Key, NonZeroU32),
    room: &Room,
    (entered, joined): (&Reach, &Reach),
    caught_up: bool,
) -> Result<()> {
    // Where its beginning was not written, or it has ended, there is none.
    const JOIN: &str = "
        INSERT INTO session_rooms (pid, room, joined, caught_up, entered, entered_at)
        SELECT pid, CAST($2 AS TEXT), CAST($3 AS TEXT), CAST($4 AS BIGINT), CAST($5 AS TEXT),
            CAST($6 AS BIGINT)
        FROM sessions WHERE pid = $1 AND generation = $7
        ON CONFLICT (pid, room) DO UPDATE SET joined = excluded.joined, caught_up = excluded.caught_up";
    let (room, joined, now) = (room.to_string(), joined.to_string(), tx.now());
    let (entered, generation) = (entered.to_string(), i64::from(generation.get()));
    let row = params![key, room, joined, caught_up, entered, now, generation];
    tx.execute(JOIN, &row).await.map(drop)
}

/// It is not any more, unless it was taken since.
pub(super) async fn leave(
    tx: &mut Tx<'_>,
    (key, generation): (Key, NonZeroU32),
    room: &Room,
) -> Result<()> {
    const LEAVE: &str = "
        DELETE FROM session_rooms WHERE pid = $1 AND room = $2
            AND EXISTS (SELECT 1 FROM sessions WHERE pid = $1 AND generation = $3)";
    let row = params![key, room.to_string(), i64::from(generation.get())];
    tx.execute(LEAVE, &row).await.map(drop)
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

/// Those of these generations were sent what was missed up to here.
pub(super) async fn restore(tx: &mut Tx<'_>, rows: &[[Value; 3]]) -> Result<()> {
    const RESTORED: &str = "
        WITH asked (pid, generation, restored) AS (VALUES ($1, $2, $3))
        UPDATE sessions SET restored = asked.restored
        FROM asked WHERE sessions.pid = asked.pid AND sessions.generation = asked.generation";
    tx.for_each(RESTORED, rows).await.map(drop)
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

/// Takes the session of each for the next generation; none of who has no such session. Each session stands
/// here once.
pub(super) async fn take(
    tx: &mut Tx<'_>,
    node: Option<Uuid>,
    comers: &[Comer],
) -> Result<Vec<Option<Taken>>> {
    const TAKE: &str = "
        WITH asked (pid, user_id, namespace, expires_at, node) AS (VALUES ($1, $2, $3, $4, $5))
        UPDATE sessions SET generation = generation + 1, expires_at = NULL, node = asked.node
        FROM asked
        WHERE sessions.pid = asked.pid AND sessions.user_id = asked.user_id
            AND sessions.namespace = asked.namespace
            AND (sessions.expires_at IS NULL OR sessions.expires_at > asked.expires_at)
            AND began_at > (SELECT sessions_after FROM positions)
        RETURNING sessions.pid, socket, generation, began";
    const CAME: &str = "
        WITH asked (pid, heard, came_at) AS (VALUES ($1, $2, $3))
        UPDATE sessions SET heard = asked.heard, came_at = asked.came_at, restored = NULL,
            ended = NULL, ended_at = NULL, reason = NULL
        FROM asked WHERE sessions.pid = asked.pid";
    const ROOMS: &str = "
        WITH asked (pid) AS (VALUES ($1))
        SELECT r.pid, r.room, r.joined, r.caught_up
        FROM asked JOIN session_rooms r ON r.pid = asked.pid";
    let (now, node) = (tx.now(), node.map(|node| node.to_string()));
    // In one order everywhere, so that two servers that are asked for the same wait in no circle.
    let mut ordered: Vec<&Comer> = comers.iter().collect();
    ordered.sort_by_key(|comer| comer.key);
    let row = |Comer { key, user, namespace, .. }: &Comer| {
        params![*key, user, namespace.path(), now, node.clone()]
    };
    let rows: Vec<_> = ordered.iter().map(|comer| row(comer)).collect();
    let mut taken = HashMap::new();
    for row in tx.for_each(TAKE, &rows).await? {
        let (key, socket): (_, String) = (key(&row)?, row.get("socket")?);
        let (Ok(socket), Some(generation), Some(began)) =
            (socket.parse(), generation(&row), reach(&row, "began"))
        else {
            continue;
        };
        taken.insert(key, Taken { socket, generation, began, rooms: Vec::new() });
    }
    ordered.retain(|comer| taken.contains_key(&comer.key));
    past::taken(tx, ordered.iter().map(|comer| (comer.key, &comer.after))).await?;
    let came = |Comer { key, heard, .. }: &Comer| {
        params![*key, heard.as_ref().map(ToString::to_string), now]
    };
    let rows: Vec<_> = ordered.iter().map(|comer| came(comer)).collect();
    tx.for_each(CAME, &rows).await?;
    let rows: Vec<_> = ordered.iter().map(|comer| params![comer.key]).collect();
    for row in tx.for_each(ROOMS, &rows).await? {
        let key = key(&row)?;
        match (taken.get_mut(&key), room(&row)) {
            (Some(session), Some(room)) => session.rooms.push(room),
            // What it was in can't be told.
            _ => drop(taken.remove(&key)),
        }
    }
    for comer in &ordered {
        if let Some(Taken { socket, generation, .. }) = taken.get(&comer.key) {
            tx.instruct(Control::Displace { socket: *socket, generation: *generation });
        }
    }
    Ok(comers.iter().map(|comer| taken.remove(&comer.key)).collect())
}

/// Of which generation these sessions are; nothing of those that are over.
pub(super) async fn generations(
    tx: &mut Tx<'_>,
    sessions: &[Session],
) -> Result<HashMap<Key, NonZeroU32>> {
    const GENERATIONS: &str = "
        WITH asked (pid) AS (VALUES ($1))
        SELECT s.pid, s.generation FROM asked JOIN sessions s ON s.pid = asked.pid";
    let rows: Vec<_> = sessions.iter().map(|session| params![session.pid.key()]).collect();
    let found = tx.for_each(GENERATIONS, &rows).await?;
    let read = |row: &Row| Some((key(row).ok()?, generation(row)?));
    Ok(found.iter().filter_map(read).collect())
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
