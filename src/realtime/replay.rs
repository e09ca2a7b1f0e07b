//! Joining a room with what was missed of it: between the kept events that are read and those that
//! arrive meanwhile there is no gap, and nothing comes twice
//! (docs/contract/events.md#missed-events).

use std::sync::Arc;

use super::{
    connection::Connection,
    emitter::{at_home, heard_by},
    events::Position,
    frame::Outgoing,
    hub::Then,
};
use crate::{
    db::{self, Beginning, Db, Portion, StoredEvent},
    error::Result,
    id::Id,
    room::Room,
    stream::{Stream, Target, WireEvent},
};

/// Events that are replayed; who missed more fetches the history.
const MOST_EVENTS: i64 = 1000;

/// Events that are read at once. Their bytes are bounded too, by what may wait for the client.
const PORTION_EVENTS: u32 = 250;

/// A room, and the last event that the client has seen of it.
#[derive(Clone, Debug)]
pub struct JoinRequest {
    /// The room.
    pub room: Room,
    /// The `seq` of that event; none for who comes for the first time.
    pub since: Option<i64>,
}

/// Joins a room that the connection may enter. With `since`, what came after it is sent first, in
/// portions as the client takes them, also what went to the rooms of `siblings`, whose events the same
/// stream keeps.
///
/// # Errors
/// What [`Connection::join`] says, or the store; then the connection is not in the room, unless it
/// was before.
pub async fn join_with_replay(
    db: &Db,
    connection: &Arc<Connection>,
    request: JoinRequest,
    siblings: Vec<Room>,
) -> Result<Position> {
    let (room, was_in) = (request.room.clone(), connection.is_in(&request.room));
    let position = join(db, connection, request, siblings).await?;
    connection.rooms_kept().await.inspect_err(|_| {
        if !was_in {
            connection.leave(&room);
        }
    })?;
    Ok(position)
}

async fn join(
    db: &Db,
    connection: &Arc<Connection>,
    JoinRequest { room, since }: JoinRequest,
    siblings: Vec<Room>,
) -> Result<Position> {
    let Some(since) = since else {
        let was_in = connection.is_in(&room);
        connection.join(room.clone())?;
        let state = read(db, &room, None).await;
        let state = state.inspect_err(|_| {
            if !was_in {
                connection.leave(&room);
            }
        })?;
        return Ok(Position { seq: Some(state.seq), epoch: state.epoch, ..Position::default() });
    };
    // From here on what is committed waits; what was committed before is read.
    let is_new = connection.join_buffered(room.clone(), siblings.clone())?;
    let missed = Missed { connection, room, siblings };
    let mut position = Position { recovered: Some(true), ..Position::default() };
    let (mut from, mut replayed, mut is_silent) = (since, 0, true);
    let portion = Portion { events: PORTION_EVENTS, bytes: connection.replay_bytes() };
    loop {
        let state = match read(db, &missed.room, Some((from, portion))).await {
            Ok(state) => state,
            Err(error) if is_new => {
                connection.leave(&missed.room);
                return Err(error);
            }
            Err(error) => {
                // It stays, and hears what has waited: its own room is where it is found.
                connection.replay(&missed.room, Vec::new(), Then::Unread).await?;
                return Err(error);
            }
        };
        (position.seq, position.epoch) = (Some(state.seq), state.epoch);
        let Some(events) = state.events else {
            position.recovered = Some(false);
            let told = connection.replay(&missed.room, Vec::new(), Then::Unread).await?;
            connection.note_caught_up(&missed.room, !(is_silent && told.is_nothing), &told);
            return Ok(position);
        };
        from = events.last().map_or(state.seq, |event| event.seq);
        let (mut part, mut bytes) = (Vec::new(), 0);
        for heard in events.into_iter().flat_map(|event| missed.heard(event)) {
            let length = heard.2.data().get().len();
            if bytes + length > portion.bytes {
                let part = std::mem::take(&mut part);
                connection.replay(&missed.room, part, Then::More).await?;
                (bytes, is_silent) = (0, false);
            }
            (bytes, replayed) = (bytes + length, replayed + 1);
            part.push(heard);
        }
        // What is large goes alone, before what has waited for it.
        let last = from == state.seq && bytes <= portion.bytes;
        let then = if last { Then::Live { upto: from } } else { Then::More };
        let told = connection.replay(&missed.room, part, then).await?;
        is_silent &= told.is_nothing;
        if told.caught_up {
            connection.note_caught_up(&missed.room, !is_silent, &told);
            if replayed > 0 {
                connection.note_replayed(&missed.room, since, state.seq);
            }
            position.replayed = Some(replayed);
            return Ok(position);
        }
    }
}

/// A room that a connection has joined, with its siblings.
struct Missed<'a> {
    connection: &'a Arc<Connection>,
    room: Room,
    siblings: Vec<Room>,
}

impl Missed<'_> {
    /// What the connection hears of an event of the past: as if it came now.
    fn heard(&self, event: StoredEvent) -> impl Iterator<Item = (i64, Room, Arc<Outgoing>)> + '_ {
        let seq = event.seq;
        event.wire_events.into_iter().filter_map(move |wire_event| {
            let (room, event) = self.hears(wire_event)?;
            Some((seq, room, event))
        })
    }

    /// In which room a wire event is heard, if it is.
    fn hears(&self, wire_event: WireEvent) -> Option<(Room, Arc<Outgoing>)> {
        let context = self.connection.context();
        let WireEvent { to, event, data, several, participants, except_user, namespace, id: _ } =
            wire_event;
        if except_user.is_some() && except_user == self.connection.user_id() {
            return None;
        }
        let to = heard_by(context.audience, to, &participants);
        let (namespaces, _) = at_home(&context.catalogue, &to, &event, namespace);
        let Target::Rooms { rooms, except } = to else { return None };
        let own = self.connection.own_room();
        if !namespaces.contains(self.connection.namespace())
            || except.iter().any(|room| self.connection.is_in(room) || *room == own)
        {
            return None;
        }
        let mut known = std::iter::once(&self.room).chain(&self.siblings);
        let room = known.find(|room| rooms.contains(room))?.clone();
        Some((room, Outgoing::named(&event, data, several, "replayed")))
    }
}

/// How far a stream is, and a portion of what came after a number, if that is still known.
struct StreamState {
    seq: i64,
    epoch: Option<Id>,
    events: Option<Vec<StoredEvent>>,
}

async fn read(db: &Db, room: &Room, since: Option<(i64, Portion)>) -> Result<StreamState> {
    let stream = Stream::from(room);
    db.read(async move |tx| {
        let since = match since {
            // Where a stream begins, whatever number that is.
            Some((0, portion)) => Some((db::beginning(tx).await?.after, portion)),
            since => since,
        };
        let Some(position) = db::position(tx, &stream).await? else {
            // Nothing was ever announced here, so nothing was missed, except by who claims more.
            let Beginning { after, epoch } = db::beginning(tx).await?;
            let events = since.filter(|(since, _)| *since == after).map(|_| Vec::new());
            return Ok(StreamState { seq: after, epoch, events });
        };
        let known = |since: i64| {
            (position.oldest - 1..=position.seq).contains(&since)
                && position.seq - since <= MOST_EVENTS
        };
        let events = match since.filter(|(since, _)| known(*since)) {
            None => None,
            Some((since, _)) if since == position.seq => Some(Vec::new()),
            Some((since, portion)) => {
                let events = db::events_after(tx, &stream, since, portion).await?;
                // There are some; or they are being given up just now.
                (!events.is_empty()).then_some(events)
            }
        };
        Ok(StreamState { seq: position.seq, epoch: Some(position.epoch), events })
    })
    .await
}
