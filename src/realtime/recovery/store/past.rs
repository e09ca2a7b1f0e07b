//! What is over of sessions, moved to where it is kept as long as events are: who was connected when, and
//! in which rooms.

use std::num::NonZeroU32;

use crate::{
    clock::Timestamp,
    db::{Reach, Result, Tx},
    id::Id,
    params,
    realtime::recovery::{entry::Leaving, pid::Key},
    room::Room,
};

/// A session has ended of that generation, and nobody comes back to it: as was noted, else after this and
/// for this reason. Of one whose server was killed it is not known how far it had heard.
pub(in crate::realtime::recovery) async fn ended(
    tx: &mut Tx<'_>,
    key: Key,
    generation: NonZeroU32,
    after: Option<&Reach>,
    reason: &str,
) -> Result<()> {
    const CONNECTION: &str = "
        INSERT INTO past_connections (pid, generation, socket, user_id, namespace, began, began_at,
            heard, restored, ended, ended_at, reason)
        SELECT pid, generation, socket, user_id, namespace, began, COALESCE(came_at, began_at), heard,
            restored, CASE WHEN ended_at IS NULL THEN CAST($3 AS TEXT) ELSE ended END,
            COALESCE(ended_at, CAST($4 AS BIGINT)), COALESCE(reason, CAST($5 AS TEXT))
        FROM sessions WHERE pid = $1 AND generation = $2
        ON CONFLICT (pid, generation) DO NOTHING";
    const ROOMS: &str = "
        INSERT INTO past_rooms (pid, room, entered, entered_at, left_after, left_at, reason)
        SELECT r.pid, r.room, COALESCE(r.entered, r.joined), COALESCE(r.entered_at, s.began_at),
            CASE WHEN s.ended_at IS NULL THEN CAST($3 AS TEXT) ELSE s.ended END,
            COALESCE(s.ended_at, CAST($4 AS BIGINT)), 'end'
        FROM session_rooms r JOIN sessions s ON s.pid = r.pid WHERE s.pid = $1 AND s.generation = $2
        ON CONFLICT (pid, entered_at, room) DO NOTHING";
    let (generation, now) = (i64::from(generation.get()), tx.now());
    let after = after.map(ToString::to_string);
    let row = params![key, generation, after.clone(), now, reason];
    tx.execute(CONNECTION, &row).await?;
    tx.execute(ROOMS, &params![key, generation, after, now]).await.map(drop)
}

/// These sessions have just been taken: who was connected before is not any more, to whom events had been sent up to
/// there.
pub(super) async fn taken(
    tx: &mut Tx<'_>,
    sessions: impl Iterator<Item = (Key, &Reach)>,
) -> Result<()> {
    const CONNECTION: &str = "
        WITH asked (pid, ended, ended_at) AS (VALUES ($1, $2, $3))
        INSERT INTO past_connections (pid, generation, socket, user_id, namespace, began, began_at,
            heard, restored, ended, ended_at, reason)
        SELECT s.pid, s.generation - 1, s.socket, s.user_id, s.namespace, s.began,
            COALESCE(s.came_at, s.began_at), s.heard, s.restored,
            CASE WHEN s.ended_at IS NULL THEN asked.ended ELSE s.ended END,
            COALESCE(s.ended_at, asked.ended_at), COALESCE(s.reason, 'came back')
        FROM asked JOIN sessions s ON s.pid = asked.pid
        WHERE TRUE
        ON CONFLICT (pid, generation) DO NOTHING";
    let now = tx.now();
    let row = |(key, after): (Key, &Reach)| params![key, after.to_string(), now];
    let rows: Vec<_> = sessions.map(row).collect();
    tx.for_each(CONNECTION, &rows).await.map(drop)
}

/// A session is not in a room any more, unless it was taken since.
pub(in crate::realtime::recovery) async fn left(
    tx: &mut Tx<'_>,
    (key, generation): (Key, NonZeroU32),
    room: &Room,
    Leaving { after, reason }: &Leaving,
) -> Result<()> {
    const LEFT: &str = "
        INSERT INTO past_rooms (pid, room, entered, entered_at, left_after, left_at, reason)
        SELECT pid, room, COALESCE(entered, joined), COALESCE(entered_at, CAST($4 AS BIGINT)),
            CAST($3 AS TEXT), CAST($4 AS BIGINT), CAST($5 AS TEXT)
        FROM session_rooms WHERE pid = $1 AND room = $2
            AND EXISTS (SELECT 1 FROM sessions WHERE pid = $1 AND generation = $6)
        ON CONFLICT (pid, entered_at, room) DO UPDATE SET
            left_after = excluded.left_after, left_at = excluded.left_at";
    let now = tx.now();
    let generation = i64::from(generation.get());
    let row = params![key, room.to_string(), after.to_string(), now, *reason, generation];
    tx.execute(LEFT, &row).await.map(drop)
}

/// A session was sent what came to a room after a number up to another.
pub(in crate::realtime::recovery) async fn replayed(
    tx: &mut Tx<'_>,
    key: Key,
    room: &Room,
    since: i64,
    upto: i64,
) -> Result<()> {
    const REPLAYED: &str = "
        INSERT INTO past_replays (pid, room, since, upto, replayed_at) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (pid, replayed_at, room) DO UPDATE SET upto = excluded.upto";
    let now = tx.now();
    tx.execute(REPLAYED, &params![key, room.to_string(), since, upto, now]).await.map(drop)
}

/// Removes some of what was over before then; whether there may be more.
pub(in crate::realtime::recovery) async fn prune(
    tx: &mut Tx<'_>,
    before: Timestamp,
) -> Result<bool> {
    const CONNECTIONS: &str = "
        DELETE FROM past_connections WHERE (pid, generation) IN (
            SELECT pid, generation FROM past_connections WHERE ended_at <= $1
            ORDER BY ended_at LIMIT $2)";
    const ROOMS: &str = "
        DELETE FROM past_rooms WHERE (pid, entered_at, room) IN (
            SELECT pid, entered_at, room FROM past_rooms WHERE left_at <= $1
            ORDER BY left_at LIMIT $2)";
    const REPLAYS: &str = "
        DELETE FROM past_replays WHERE (pid, replayed_at, room) IN (
            SELECT pid, replayed_at, room FROM past_replays WHERE replayed_at <= $1
            ORDER BY replayed_at LIMIT $2)";
    const AT_ONCE: i64 = 100;
    let mut is_more = false;
    for remove in [CONNECTIONS, ROOMS, REPLAYS] {
        let removed = tx.execute(remove, &params![before, AT_ONCE]).await?;
        is_more |= removed.cast_signed() == AT_ONCE;
    }
    Ok(is_more)
}

/// Erases some of what is noted of a user, and the sessions that they might have come back to; how many
/// connections.
pub(in crate::realtime::recovery) async fn erase(
    tx: &mut Tx<'_>,
    user: &Id,
    rows: i64,
) -> Result<u64> {
    const OVER: &str = "
        SELECT pid FROM past_connections WHERE user_id = $1 ORDER BY ended_at LIMIT $2";
    const OPEN: &str = "SELECT pid FROM sessions WHERE user_id = $1 ORDER BY began_at LIMIT $2";
    const CONNECTIONS: &str = "DELETE FROM past_connections WHERE pid = $1";
    const ROOMS: &str = "DELETE FROM past_rooms WHERE pid = $1";
    const REPLAYS: &str = "DELETE FROM past_replays WHERE pid = $1";
    const SESSION: &str = "DELETE FROM sessions WHERE pid = $1";
    const SESSION_ROOMS: &str = "DELETE FROM session_rooms WHERE pid = $1";
    let mut found = tx.all(OVER, &params![user, rows]).await?;
    found.extend(tx.all(OPEN, &params![user, rows]).await?);
    let mut erased = 0;
    for row in found {
        let pid: Vec<u8> = row.get("pid")?;
        for erase in [CONNECTIONS, ROOMS, REPLAYS, SESSION_ROOMS, SESSION] {
            tx.execute(erase, &params![pid.clone()]).await?;
        }
        erased += 1;
    }
    Ok(erased)
}
