//! Entering a room with what was missed of it: between the kept events that are read and those that
//! arrive meanwhile there is no gap, and nothing comes twice (contract/events.md, "Missed events").

use std::sync::Arc;

use super::{
    connection::Connection,
    emitter::{at_home, heard_by},
    events::Position,
    frame::Outgoing,
    hub::Replay,
};
use crate::{
    db::{self, Db, StoredEvent},
    error::Result,
    id::Id,
    room::Room,
    stream::{Rendering, Stream, Target},
};

/// Events replayed at once; who missed more fetches the history.
const MOST_EVENTS: u32 = 1000;

/// A room, and the last event that the client has seen of it.
#[derive(Clone, Debug)]
pub struct Entrance {
    /// The room.
    pub room: Room,
    /// The `seq` of that event; none for who comes for the first time.
    pub since: Option<i64>,
}

/// Joins a room that the connection may enter. With `since`, what came after it is sent first, also
/// what went to the rooms `beside` it, whose events the same stream keeps.
///
/// # Errors
/// What [`Connection::join`] says, or the store; then the connection is not in the room, unless it
/// was before.
pub async fn enter(
    db: &Db,
    connection: &Arc<Connection>,
    Entrance { room, since }: Entrance,
    beside: Vec<Room>,
) -> Result<Position> {
    let Some(since) = since else {
        let was_in = connection.is_in(&room);
        connection.join(room.clone())?;
        let stands = read(db, &room, None).await;
        let stands = stands.inspect_err(|_| {
            if !was_in {
                connection.leave(&room);
            }
        })?;
        return Ok(Position { seq: Some(stands.seq), epoch: stands.epoch, ..Position::default() });
    };
    // From here on what is committed waits; what was committed before is read.
    let is_new = connection.join_held(room.clone(), beside.clone())?;
    let stands = match read(db, &room, Some(since)).await {
        Ok(stands) => stands,
        Err(error) if is_new => {
            connection.leave(&room);
            return Err(error);
        }
        Err(error) => {
            // It stays, and hears what has waited: its own room is where it is found.
            connection.replay(room, Replay { events: Vec::new(), upto: i64::MIN });
            return Err(error);
        }
    };
    let whole = stands.events.is_some();
    let user = connection.user_id();
    let sessions = connection.sessions();
    let heard = |event: StoredEvent| {
        let seq = event.seq;
        let mine = event
            .renderings
            .into_iter()
            .filter(|rendering| rendering.except_user.is_none() || rendering.except_user != user);
        mine.filter_map(|rendering| {
            let to = heard_by(sessions.audience, rendering.to.clone(), &rendering.participants);
            let Rendering { event, namespace, .. } = &rendering;
            let (namespaces, _) = at_home(&sessions.catalogue, &to, event, *namespace);
            if !namespaces.contains(connection.namespace()) {
                return None;
            }
            let to = heard_in(&to, &room, &beside)?;
            Some((seq, to, Outgoing::named(&rendering.event, rendering.data, "replayed")))
        })
        .collect::<Vec<_>>()
    };
    let events: Vec<_> = stands.events.into_iter().flatten().flat_map(heard).collect();
    let replayed = events.len() as u64;
    // What could not be read is not held to be seen either: then everything that waited comes.
    let upto = if whole { stands.seq } else { i64::MIN };
    connection.replay(room, Replay { events, upto });
    Ok(Position {
        seq: Some(stands.seq),
        epoch: stands.epoch,
        recovered: Some(whole),
        replayed: whole.then_some(replayed),
    })
}

/// Where a stream stands, and what came after a number, if that is still known.
struct Stands {
    seq: i64,
    epoch: Option<Id>,
    events: Option<Vec<StoredEvent>>,
}

async fn read(db: &Db, room: &Room, since: Option<i64>) -> Result<Stands> {
    let stream = Stream::from(room);
    db.read(async move |tx| {
        let Some(position) = db::position(tx, &stream).await? else {
            // Nothing was ever announced here, so nothing was missed, except by who claims more.
            let events = (since == Some(0)).then(Vec::new);
            return Ok(Stands { seq: 0, epoch: None, events });
        };
        let known = |since: &i64| *since <= position.seq && *since >= position.oldest - 1;
        let events = match since.filter(known) {
            None => None,
            Some(since) => {
                let events = db::events_after(tx, &stream, since, MOST_EVENTS + 1).await?;
                (events.len() <= MOST_EVENTS as usize).then_some(events)
            }
        };
        Ok(Stands { seq: position.seq, epoch: Some(position.epoch), events })
    })
    .await
}

/// In which of these rooms a wire event of the past was heard.
fn heard_in(to: &Target, room: &Room, beside: &[Room]) -> Option<Room> {
    match to {
        Target::Everyone => None,
        Target::Rooms { rooms, .. } => {
            std::iter::once(room).chain(beside).find(|room| rooms.contains(room)).cloned()
        }
    }
}
