//! Who comes back finds what they missed: of the rooms that they were in and may still enter, each
//! event as it would have been heard, once and in its order
//! (docs/contract/events.md#missed-events).

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use super::{
    connection::Connection,
    emitter::{at_home, heard_by},
    frame::Outgoing,
    recovery::{Recovery, Session, SessionRoom, Taken},
};
use crate::{
    db::{Absence, Portion, Reach},
    error::Result,
    room::Room,
    stream::{Stream, Target, WireEvent},
};

/// Events that are restored; who missed more fetches the history.
const MOST_EVENTS: u32 = 1000;

/// What somebody who came back was in, and how far they have heard.
pub(super) struct Past {
    /// The rooms, each with how far its events were sent when it was entered.
    rooms: Vec<(Room, Reach)>,
    /// When the session began.
    began: Reach,
    /// What was heard of all; nothing, where nothing was.
    offset: Option<Reach>,
}

/// What somebody missed.
pub(super) struct Restored {
    pub(super) events: Vec<Arc<Outgoing>>,
    /// From which number on all of a room was heard.
    pub(super) heard_from: Vec<(Room, i64)>,
}

impl Past {
    /// That of a session; none when it is not known how far the client came in one of its rooms.
    pub(super) fn of(taken: &Taken, offset: Option<Reach>) -> Option<Self> {
        let knows = |room: &SessionRoom| {
            !room.caught_up || offset.as_ref().is_some_and(|it| it.top() > room.joined.top())
        };
        if !taken.rooms.iter().all(knows) {
            return None;
        }
        let rooms = taken.rooms.iter().map(|it| (it.room.clone(), it.joined.clone())).collect();
        Some(Self { rooms, began: taken.began.clone(), offset })
    }

    /// The rooms that have to be entered again by right.
    pub(super) fn rooms(&self) -> impl Iterator<Item = &Room> {
        self.rooms.iter().map(|(room, _)| room)
    }

    /// Into some of them there is no right any more.
    pub(super) fn keep(&mut self, is_kept: impl Fn(&Room) -> bool) {
        self.rooms.retain(|(room, _)| is_kept(room));
    }

    /// How far a room that the connection is in had been heard when it was entered.
    fn joined(&self, room: &Room) -> &Reach {
        self.rooms.iter().find(|(one, _)| one == room).map_or(&self.began, |(_, joined)| joined)
    }

    /// Whether an event has been heard, or came before what it was sent to was entered.
    fn has(&self, joined: &Reach, position: i64) -> bool {
        self.offset.as_ref().is_some_and(|offset| offset.has(position)) || joined.has(position)
    }

    /// Up to where nothing in a room was missed.
    fn settled(&self, joined: &Reach) -> i64 {
        let offset = self.offset.as_ref().map_or(i64::MIN, Reach::settled);
        offset.max(joined.settled())
    }
}

/// A wire event that was missed, where it stands.
struct Heard {
    position: i64,
    wire_event: WireEvent,
}

/// What a connection that is back in its rooms missed up to `until`; none when that is too much, or not
/// all of it is kept any more, or another has taken its session since.
pub(super) async fn missed(
    (recovery, session): (&Recovery, Session),
    connection: &Arc<Connection>,
    past: &Past,
    until: &Reach,
) -> Result<Option<Restored>> {
    let mut rooms = connection.rooms();
    rooms.push(connection.own_room());
    // Of each stream what was missed in any of its rooms.
    let mut streams: BTreeMap<Stream, i64> = BTreeMap::new();
    let everyone = (Stream::Global, past.settled(&past.began));
    let of_rooms = rooms.iter().map(|room| (Stream::from(room), past.settled(past.joined(room))));
    for (stream, after) in of_rooms.chain([everyone]) {
        let least = streams.entry(stream).or_insert(after);
        *least = after.min(*least);
    }
    let most = Portion { events: MOST_EVENTS, bytes: connection.replay_bytes() };
    let absence = Absence { streams: streams.into_iter().collect(), most };
    let Some(streams) = recovery.missed(session, absence).await? else { return Ok(None) };
    let mut heard_from = Vec::with_capacity(rooms.len());
    for room in &rooms {
        let of_stream = streams.iter().find(|(stream, _)| *stream == Stream::from(room));
        let next = of_stream.map_or(0, |(_, missed)| missed.next);
        heard_from.push((room.clone(), next.max(1)));
    }
    let mut known = HashSet::new();
    let mut heard: Vec<Heard> = Vec::new();
    for event in streams.iter().flat_map(|(_, missed)| &missed.events) {
        for wire_event in &event.wire_events {
            let position = event.position;
            if until.has(position)
                && hears(connection, past, &rooms, wire_event, position)
                // In several streams it is the same.
                && wire_event.id.is_none_or(|id| known.insert((position, id)))
            {
                heard.push(Heard { position, wire_event: wire_event.clone() });
            }
        }
    }
    heard.sort_by_key(|heard| heard.position);
    if u32::try_from(heard.len()).is_ok_and(|many| many <= MOST_EVENTS) {
        let events = with_offsets(heard, past.offset.as_ref(), until);
        return Ok(Some(Restored { events, heard_from }));
    }
    Ok(None)
}

/// Whether a connection hears a wire event of the past, as if it came now.
fn hears(
    connection: &Connection,
    past: &Past,
    in_rooms: &[Room],
    wire_event: &WireEvent,
    position: i64,
) -> bool {
    let context = connection.context();
    let WireEvent { to, event, participants, except_user, namespace, .. } = wire_event;
    if except_user.is_some() && *except_user == connection.user_id() {
        return false;
    }
    let to = heard_by(context.audience, to.clone(), participants);
    let (namespaces, _) = at_home(&context.catalogue, &to, event, *namespace);
    if !namespaces.contains(connection.namespace()) {
        return false;
    }
    let is_in_one_of = |except: &[Room]| except.iter().any(|room| in_rooms.contains(room));
    match to {
        Target::Everyone => !past.has(&past.began, position),
        Target::EveryoneBut { except } => {
            !is_in_one_of(&except) && !past.has(&past.began, position)
        }
        Target::Rooms { rooms, except } => {
            !is_in_one_of(&except)
                && rooms
                    .iter()
                    .any(|room| in_rooms.contains(room) && !past.has(past.joined(room), position))
        }
    }
}

/// Each with how far the client has come when it has heard it, though it should be cut off then.
fn with_offsets(heard: Vec<Heard>, offset: Option<&Reach>, until: &Reach) -> Vec<Arc<Outgoing>> {
    let positions: Vec<i64> = heard.iter().map(|heard| heard.position).collect();
    let with = |(at, heard): (usize, Heard)| {
        let offset = Reach::replayed(&positions, at, offset, until);
        let WireEvent { event, data, several, .. } = heard.wire_event;
        Outgoing::kept(&event, data, several, "restored", &offset)
    };
    heard.into_iter().enumerate().map(with).collect()
}
