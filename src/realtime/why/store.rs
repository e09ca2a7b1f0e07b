//! A kept event by its name, and where somebody was around its time.

use std::{collections::BTreeMap, str::FromStr, time::Duration};

use uuid::Uuid;

use super::verdict::{Connected, Mark, Past, Replayed, Session, Stay};
use crate::{
    clock::Timestamp,
    db::{self, Portion, Reach, Result, Row, Tx},
    event::Namespace,
    id::Id,
    params,
    room::Room,
    stream::{CommittedEvent, Stream},
};

/// Connections of somebody that are looked at, and rooms and replays of each (docs/limits.md).
const MOST: i64 = 500;

/// How far from the time in an event's id it is looked for: units wait for the store, and clocks differ.
const BEFORE: Duration = Duration::from_secs(5);
const AFTER: Duration = Duration::from_mins(1);

/// Events that are looked through for an id, at once and in all (docs/limits.md).
const PORTION: Portion = Portion { events: 500, bytes: 1 << 20 };
const PORTIONS: usize = 200;

/// A node that was not seen for as long is not there any more.
const UNSEEN: Duration = Duration::from_mins(3);

/// How an event is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum EventRef {
    /// By the id that `POST /api/emit` answered, or that it has in several streams.
    Id(Uuid),
    /// By its number in a stream: `conversation/c1:42`.
    Numbered(Stream, i64),
    /// By its position.
    At(i64),
}

/// Why a string names no event.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error(
    "an event is the id of an emit, a stream and a number such as conversation/c1:42, or a position"
)]
pub(super) struct InvalidEvent;

impl FromStr for EventRef {
    type Err = InvalidEvent;

    fn from_str(text: &str) -> std::result::Result<Self, InvalidEvent> {
        if let Ok(position) = text.parse() {
            return Ok(Self::At(position));
        }
        if let Ok(id) = text.parse() {
            return Ok(Self::Id(id));
        }
        let (stream, number) = text.rsplit_once(':').ok_or(InvalidEvent)?;
        let stream: Stream = stream.parse().map_err(|_| InvalidEvent)?;
        Ok(Self::Numbered(stream, number.parse().map_err(|_| InvalidEvent)?))
    }
}

/// The event, if it is kept and was for sockets.
pub(super) async fn find(tx: &mut Tx<'_>, event: &EventRef) -> Result<Option<CommittedEvent>> {
    const NUMBERED: &str = "SELECT position FROM events WHERE stream = $1 AND seq = $2";
    let position = match event {
        EventRef::Id(id) => return of_id(tx, *id).await,
        EventRef::At(position) => *position,
        EventRef::Numbered(stream, seq) => {
            let row = tx.optional(NUMBERED, &params![stream, *seq]).await?;
            let Some(row) = row else { return Ok(None) };
            row.get("position")?
        }
    };
    let Some(before) = position.checked_sub(1) else { return Ok(None) };
    let found = db::committed_after(tx, before, position, PORTION).await?;
    Ok(found.into_iter().next().filter(|event| !event.is_control()))
}

/// The id of an event has the time at which it was made, around which the event is.
async fn of_id(tx: &mut Tx<'_>, id: Uuid) -> Result<Option<CommittedEvent>> {
    let Some(made) = id.get_timestamp().map(|made| made.to_unix()) else { return Ok(None) };
    let millis = made.0.saturating_mul(1000) + u64::from(made.1 / 1_000_000);
    let made = Timestamp::from_millis(i64::try_from(millis).unwrap_or(i64::MAX / 2));
    let Some(mut after) = db::position_before(tx, made - BEFORE).await? else { return Ok(None) };
    for _ in 0..PORTIONS {
        let some = db::committed_after(tx, after, i64::MAX, PORTION).await?;
        let Some(last) = some.last() else { return Ok(None) };
        let is_past = last.created_at > made + AFTER;
        after = last.position;
        let is_it = |event: &CommittedEvent| event.wire_events.iter().any(|it| it.id == Some(id));
        if let Some(found) = some.into_iter().find(is_it) {
            return Ok(Some(found));
        }
        if is_past {
            return Ok(None);
        }
    }
    Ok(None)
}

/// Where somebody was when an event was announced, and since.
pub(super) async fn past(tx: &mut Tx<'_>, user: &Id, at: Timestamp) -> Result<Past> {
    const NOTED: &str = "SELECT sessions_after, past_after FROM positions";
    const OPEN: &str = "
        SELECT s.pid, s.generation, s.socket, s.namespace, s.began,
            COALESCE(s.came_at, s.began_at) AS began_at, s.heard, s.restored, s.ended, s.ended_at,
            s.reason, s.expires_at, n.seen_at
        FROM sessions s LEFT JOIN nodes n ON n.id = s.node
        WHERE s.user_id = $1 ORDER BY s.began_at DESC LIMIT $2";
    const OVER: &str = "
        SELECT pid, generation, socket, namespace, began, began_at, heard, restored, ended, ended_at,
            reason
        FROM past_connections WHERE user_id = $1 AND ended_at >= $2 ORDER BY ended_at LIMIT $3";
    const BEFORE_IT: &str = "
        SELECT pid, generation, socket, namespace, began, began_at, heard, restored, ended, ended_at,
            reason
        FROM past_connections WHERE user_id = $1 AND ended_at < $2 ORDER BY ended_at DESC LIMIT 1";
    let noted = tx.one(NOTED, &[]).await?;
    let open = tx.all(OPEN, &params![user, MOST]).await?;
    let over = tx.all(OVER, &params![user, at, MOST]).await?;
    let before = tx.optional(BEFORE_IT, &params![user, at]).await?;
    let is_too_much = [&open, &over].iter().any(|rows| i64::try_from(rows.len()) == Ok(MOST));
    let now = tx.now();
    let mut sessions: BTreeMap<Vec<u8>, Session> = BTreeMap::new();
    for row in over.iter().chain(&before) {
        add(&mut sessions, row, connected(row)?)?;
    }
    for row in &open {
        let mut it = connected(row)?;
        let seen: Option<Timestamp> = row.get("seen_at")?;
        // Its server has gone without a word.
        if let Some(seen) = seen.filter(|seen| it.ended.is_none() && *seen + UNSEEN < now) {
            it.ended = Some(Mark { reach: None, at: seen });
            it.reason = Some("killed".to_owned());
        }
        let waits: Option<Timestamp> = row.get("expires_at")?;
        it.waits_until = waits.filter(|until| *until > now);
        add(&mut sessions, row, it)?;
    }
    for (pid, session) in &mut sessions {
        session.connections.sort_by_key(|it| it.generation);
        read_rooms(tx, pid, session, at).await?;
    }
    Ok(Past {
        sessions: sessions.into_values().collect(),
        noted_since: noted.get("sessions_after")?,
        noted_after: noted.get("past_after")?,
        is_too_much,
    })
}

fn add(sessions: &mut BTreeMap<Vec<u8>, Session>, row: &Row, connected: Connected) -> Result<()> {
    let (socket, namespace): (String, String) = (row.get("socket")?, row.get("namespace")?);
    let began = row.get::<String>("began")?.parse().ok();
    let session = sessions.entry(row.get("pid")?).or_insert_with(|| Session {
        socket,
        namespace: Namespace::from_path(&namespace),
        began: Mark { reach: began, at: connected.began_at },
        connections: Vec::new(),
        stays: Vec::new(),
        replays: Vec::new(),
    });
    session.began.at = session.began.at.min(connected.began_at);
    session.connections.push(connected);
    Ok(())
}

fn connected(row: &Row) -> Result<Connected> {
    let ended_at: Option<Timestamp> = row.get("ended_at")?;
    let ended = reach(row, "ended")?;
    Ok(Connected {
        generation: row.get("generation")?,
        began_at: row.get("began_at")?,
        heard: reach(row, "heard")?,
        restored: reach(row, "restored")?,
        ended: ended_at.map(|at| Mark { reach: ended, at }),
        reason: row.get("reason")?,
        waits_until: None,
    })
}

async fn read_rooms(
    tx: &mut Tx<'_>,
    pid: &[u8],
    session: &mut Session,
    at: Timestamp,
) -> Result<()> {
    const OPEN: &str = "
        SELECT room, COALESCE(entered, joined) AS entered, entered_at FROM session_rooms
        WHERE pid = $1 LIMIT $2";
    const OVER: &str = "
        SELECT room, entered, entered_at, left_after, left_at, reason FROM past_rooms
        WHERE pid = $1 ORDER BY entered_at DESC LIMIT $2";
    const REPLAYS: &str = "
        SELECT room, since, upto, replayed_at FROM past_replays
        WHERE pid = $1 AND replayed_at >= $2 ORDER BY replayed_at LIMIT $3";
    for row in tx.all(OPEN, &params![pid, MOST]).await? {
        let entered_at: Option<Timestamp> = row.get("entered_at")?;
        let at = entered_at.unwrap_or(session.began.at);
        let entered = Mark { reach: reach(&row, "entered")?, at };
        session.stays.extend(room(&row)?.map(|room| Stay { room, entered, left: None }));
    }
    for row in tx.all(OVER, &params![pid, MOST]).await? {
        let entered = Mark { reach: reach(&row, "entered")?, at: row.get("entered_at")? };
        let left = Mark { reach: reach(&row, "left_after")?, at: row.get("left_at")? };
        let left = Some((left, row.get::<String>("reason")?));
        session.stays.extend(room(&row)?.map(|room| Stay { room, entered, left }));
    }
    for row in tx.all(REPLAYS, &params![pid, at, MOST]).await? {
        let (since, upto, at) = (row.get("since")?, row.get("upto")?, row.get("replayed_at")?);
        session.replays.extend(room(&row)?.map(|room| Replayed { room, since, upto, at }));
    }
    Ok(())
}

fn room(row: &Row) -> Result<Option<Room>> {
    Ok(row.get::<String>("room")?.parse().ok())
}

/// An offset; none where there is none, or it names too many positions.
fn reach(row: &Row, column: &'static str) -> Result<Option<Reach>> {
    Ok(row.get::<Option<String>>(column)?.and_then(|text| text.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_named_in_three_ways() {
        let id = "0193a5b2-7c4d-7e1f-8a2b-3c4d5e6f7a8b";
        assert_eq!(id.parse::<EventRef>().unwrap(), EventRef::Id(id.parse().unwrap()));
        assert_eq!("42".parse::<EventRef>().unwrap(), EventRef::At(42));
        let stream = "conversation/a:b".parse().unwrap();
        assert_eq!(
            "conversation/a:b:42".parse::<EventRef>().unwrap(),
            EventRef::Numbered(stream, 42)
        );
        for bad in ["", "x", "conversation/c1", "conversation/c1:", "nowhere/c1:1", "user/u1:x"] {
            assert!(bad.parse::<EventRef>().is_err(), "{bad}");
        }
    }
}
