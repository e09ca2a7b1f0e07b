//! What is known of somebody and an event, as a verdict in words.

use std::{fmt::Write, time::Duration};

use super::documents::{EventFacts, Numbered, Outcome, SentTo, SocketFacts, Why};
use crate::{
    clock::Timestamp,
    db::Reach,
    event::{Namespace, Namespaces},
    id::Id,
    room::Room,
    stream::{CommittedEvent, Stream, Target},
};

/// What was written that long before a connection broke may not have arrived.
const DOUBT: Duration = Duration::from_mins(1);

/// How far events had been sent, and when.
pub(super) struct Mark {
    pub(super) reach: Option<Reach>,
    pub(super) at: Timestamp,
}

impl Mark {
    /// Whether an event had been sent by then; by its time, where it is not known how far.
    fn has(&self, event: &CommittedEvent) -> bool {
        self.reach.as_ref().map_or(event.created_at <= self.at, |reach| reach.has(event.position))
    }
}

/// Who a wire event is for.
pub(super) struct Addressed {
    pub(super) event: String,
    pub(super) to: Target,
    pub(super) namespaces: Namespaces,
    pub(super) except_user: Option<Id>,
}

/// A session of somebody: one socket, though it may have been away.
pub(super) struct Session {
    pub(super) socket: String,
    pub(super) namespace: Option<Namespace>,
    pub(super) began: Mark,
    /// In the order of their generations.
    pub(super) connections: Vec<Connected>,
    pub(super) stays: Vec<Stay>,
    pub(super) replays: Vec<Replayed>,
}

/// A connection of a session.
pub(super) struct Connected {
    pub(super) generation: i64,
    pub(super) began_at: Timestamp,
    /// What the client had heard when it came back, as it said.
    pub(super) heard: Option<Reach>,
    /// Up to where it was sent then what it had missed.
    pub(super) restored: Option<Reach>,
    pub(super) ended: Option<Mark>,
    pub(super) reason: Option<String>,
    /// It has ended, and its client may come back until then.
    pub(super) waits_until: Option<Timestamp>,
}

/// A stay in a room.
pub(super) struct Stay {
    pub(super) room: Room,
    pub(super) entered: Mark,
    pub(super) left: Option<(Mark, String)>,
}

/// A replay of a room by its numbers.
pub(super) struct Replayed {
    pub(super) room: Room,
    pub(super) since: i64,
    pub(super) upto: i64,
    pub(super) at: Timestamp,
}

/// Where somebody was.
pub(super) struct Past {
    pub(super) sessions: Vec<Session>,
    /// All that is later was noted whole.
    pub(super) noted_since: Timestamp,
    pub(super) noted_after: i64,
    /// There were more connections than are looked at.
    pub(super) is_too_much: bool,
}

impl Past {
    /// The end of the last connection before an event. What was noted of it may have been written after that.
    fn ended_before(&self, event: &CommittedEvent) -> Option<(Timestamp, &str)> {
        let connections = self.sessions.iter().flat_map(|session| &session.connections);
        let ends = connections.filter_map(|it| {
            let ended = it.ended.as_ref().filter(|ended| !ended.has(event))?;
            Some((ended.at, it.reason.as_deref().unwrap_or_default()))
        });
        ends.max_by_key(|(at, _)| *at)
    }

    /// Whether all that there was around an event was noted.
    fn is_complete(&self, event: &CommittedEvent) -> bool {
        event.position > self.noted_after && event.created_at > self.noted_since
    }
}

/// Sockets that are told of.
const MOST_TOLD: usize = 100;

impl Session {
    fn has_begun(&self, event: &CommittedEvent) -> bool {
        !self.began.has(event)
    }

    /// Whether it was in a room when the event went out.
    fn is_in(&self, user: &Id, room: &Room, event: &CommittedEvent) -> bool {
        let own = match room {
            Room::User(id) => id == user,
            Room::Other(id) => id.as_str() == self.socket,
            _ => false,
        };
        (own && self.has_begun(event))
            || self.stays.iter().any(|stay| {
                let is_left = stay.left.as_ref().is_some_and(|(left, _)| !left.has(event));
                stay.room == *room && !stay.entered.has(event) && !is_left
            })
    }

    /// The connection over which the event went out, if there was one.
    fn live(&self, event: &CommittedEvent) -> Option<&Connected> {
        self.connections.iter().find(|it| {
            let has_begun = match &it.restored {
                Some(restored) => !restored.has(event.position),
                None => it.generation == 1 && self.has_begun(event),
            };
            has_begun && it.ended.as_ref().is_none_or(|ended| ended.has(event))
        })
    }

    /// What one wire event became for this socket, and when or why, in words.
    fn judge(
        &self,
        user: &Id,
        it: &Addressed,
        event: &CommittedEvent,
        now: Timestamp,
    ) -> (Outcome, String) {
        let live = self.live(event);
        if !self.namespace.is_some_and(|own| it.namespaces.contains(own)) {
            let outcome = if live.is_some() { Outcome::Elsewhere } else { Outcome::Offline };
            return (outcome, "it is of a namespace in which this event is not heard".to_owned());
        }
        let in_room = |room: &Room| self.is_in(user, room, event);
        let (is_meant, except) = match &it.to {
            Target::Everyone => (self.has_begun(event), &[][..]),
            Target::EveryoneBut { except } => (self.has_begun(event), &except[..]),
            Target::Rooms { rooms, except } => (rooms.iter().any(in_room), &except[..]),
        };
        if it.except_user.as_ref() == Some(user) {
            return (Outcome::Excluded, "the event leaves this user out".to_owned());
        }
        if let Some(room) = except.iter().find(|room| in_room(room)).filter(|_| is_meant) {
            return (Outcome::Excluded, format!("it was in {room}, which the event leaves out"));
        }
        if let Some(replayed) = self.replayed(it, event) {
            let Replayed { room, since, at, .. } = replayed;
            let words = format!("fetched at {at} by joining {room} with since {since}");
            return (Outcome::Replayed, words);
        }
        if is_meant {
            return self.became(event, live, now);
        }
        if live.is_none() {
            return (Outcome::Offline, self.away(event));
        }
        self.outside(it, event)
    }

    /// What an event became that was for this socket.
    fn became(
        &self,
        event: &CommittedEvent,
        live: Option<&Connected>,
        now: Timestamp,
    ) -> (Outcome, String) {
        let (position, mut later) = (event.position, self.connections.iter());
        let heard = |it: &&Connected| it.heard.as_ref().is_some_and(|it| it.has(position));
        if let Some(it) = later.clone().find(heard) {
            let words =
                format!("its client showed that it had it when it came back at {}", it.began_at);
            return (Outcome::Heard, words);
        }
        let restored = |it: &&Connected| it.restored.as_ref().is_some_and(|it| it.has(position));
        if let Some(it) = later.find(restored) {
            return (Outcome::Recovered, format!("sent when it came back at {}", it.began_at));
        }
        let Some(live) = live else {
            let last = self.connections.last().and_then(|it| it.waits_until);
            return match last.filter(|until| *until > now) {
                Some(until) => {
                    (Outcome::Waits, format!("away then; it is sent when it comes back by {until}"))
                }
                None => (Outcome::Offline, self.away(event)),
            };
        };
        let (Some(ended), reason) = (&live.ended, live.reason.as_deref().unwrap_or_default())
        else {
            return (Outcome::Written, "written to it; it is still connected".to_owned());
        };
        let soon = ended.at < event.created_at + DOUBT;
        let after = event.created_at.until(ended.at).as_millis();
        match reason {
            "slow" if soon => {
                let words = "written for it, but it took too little and was closed";
                (Outcome::Slow, format!("{words} {after} ms later: what waited was dropped"))
            }
            "transport close" | "killed" | "slow" if soon => {
                let words = format!("written to it; it ended {after} ms later ({reason}), so that");
                (Outcome::Written, format!("{words} it may not have arrived"))
            }
            _ => (Outcome::Written, format!("written to it; it ended at {} ({reason})", ended.at)),
        }
    }

    fn replayed(&self, it: &Addressed, event: &CommittedEvent) -> Option<&Replayed> {
        let Target::Rooms { rooms, .. } = &it.to else { return None };
        self.replays.iter().find(|replay| {
            let stream = Stream::from(&replay.room);
            // With the user's room come those of them as a seller and as a buyer.
            let has_it = |room: &Room| {
                *room == replay.room
                    || (matches!(replay.room, Room::User(_)) && Stream::from(room) == stream)
            };
            let is_in = |(of, seq): &(Stream, i64)| {
                *of == stream && replay.since < *seq && *seq <= replay.upto
            };
            rooms.iter().any(has_it) && event.numbers.iter().any(is_in)
        })
    }

    /// It was connected, and in none of the rooms.
    fn outside(&self, it: &Addressed, event: &CommittedEvent) -> (Outcome, String) {
        let Target::Rooms { rooms, .. } = &it.to else {
            return (Outcome::Offline, self.away(event));
        };
        let left = self.stays.iter().filter_map(|stay| {
            let (left, reason) = stay.left.as_ref()?;
            (rooms.contains(&stay.room) && !left.has(event))
                .then_some((left.at, reason, &stay.room))
        });
        match left.max_by_key(|(at, ..)| *at) {
            Some((at, reason, room)) if reason == "evicted" => {
                (Outcome::Evicted, format!("was taken out of {room} at {at}"))
            }
            Some((at, _, room)) => (Outcome::Left, format!("had left {room} at {at}")),
            None => match self.stays.iter().find(|stay| rooms.contains(&stay.room)) {
                Some(Stay { room, entered, .. }) => {
                    (Outcome::Outside, format!("entered {room} later, at {}", entered.at))
                }
                None => (Outcome::Outside, "was connected, and in none of its rooms".to_owned()),
            },
        }
    }

    fn away(&self, event: &CommittedEvent) -> String {
        let before = self.connections.iter().rev().find_map(|it| {
            let ended = it.ended.as_ref().filter(|ended| !ended.has(event))?;
            Some((ended.at, it.reason.as_deref().unwrap_or_default()))
        });
        match before {
            Some((at, reason)) => format!("was not connected then: ended at {at} ({reason})"),
            None => format!("connected later, at {}", self.began.at),
        }
    }

    fn facts(&self, (outcome, says): (Outcome, String)) -> SocketFacts {
        let last = self.connections.last();
        let came_back = last.filter(|it| it.generation > 1);
        SocketFacts {
            id: self.socket.clone(),
            namespace: self.namespace.map_or("", Namespace::path),
            outcome,
            connected_at: self.began.at,
            came_back_at: came_back.map(|it| it.began_at),
            ended_at: last.and_then(|it| Some(it.ended.as_ref()?.at)),
            ended_because: last.and_then(|it| it.reason.clone()),
            says,
        }
    }
}

/// The verdict.
pub(super) fn of(
    user_id: Id,
    event: &CommittedEvent,
    sent: &[Addressed],
    past: &Past,
    now: Timestamp,
) -> Why {
    let mut sockets = Vec::with_capacity(past.sessions.len());
    for session in &past.sessions {
        let each = sent.iter().map(|it| session.judge(&user_id, it, event, now));
        if let Some(best) = each.min_by_key(|(outcome, _)| *outcome) {
            sockets.push(session.facts(best));
        }
    }
    sockets.sort_by_key(|socket| socket.outcome);
    let complete = past.is_complete(event) && !past.is_too_much;
    let ended = past.ended_before(event);
    let (verdict, says) = verdict(&user_id, sent, &sockets, ended, complete);
    sockets.truncate(MOST_TOLD);
    let streams = event.numbers.iter();
    let streams = streams.map(|(stream, seq)| Numbered { stream: stream.to_string(), seq: *seq });
    let event = EventFacts {
        position: event.position,
        created_at: event.created_at,
        streams: streams.collect(),
        sent: sent.iter().map(sent_to).collect(),
    };
    Why { user_id, verdict, says, complete, may_enter: None, event, sockets }
}

fn verdict(
    user: &Id,
    sent: &[Addressed],
    sockets: &[SocketFacts],
    ended: Option<(Timestamp, &str)>,
    complete: bool,
) -> (Outcome, String) {
    if sent.is_empty() {
        let words = "The event shows nothing any more: what it showed was taken back.";
        return (Outcome::TakenBack, words.to_owned());
    }
    if sent.iter().all(|it| it.except_user.as_ref() == Some(user)) {
        let words = "Not heard: the event leaves this user out.";
        return (Outcome::Excluded, words.to_owned());
    }
    let best = sockets.first().map_or(Outcome::Offline, |socket| socket.outcome);
    if best >= Outcome::Evicted && !complete {
        let words = "Not known: not everything of that time was noted.";
        return (Outcome::Unknown, words.to_owned());
    }
    let many = sockets.iter().filter(|socket| socket.outcome == best).count();
    let first = sockets.first().map_or("", |socket| socket.says.as_str());
    if best == Outcome::Offline {
        return offline(sockets, ended);
    }
    let head = match best {
        Outcome::Heard => "Heard",
        Outcome::Recovered => "Heard after an absence",
        Outcome::Replayed => "Sent by a replay",
        Outcome::Written => "Was online and meant",
        Outcome::Slow => "Not heard, as far as is known: its socket was slow",
        Outcome::Waits => "Not heard yet",
        Outcome::Excluded => "Not heard",
        Outcome::Evicted => "Not heard: was not in the room any more",
        Outcome::Left | Outcome::Outside => "Not heard: was not in the room then",
        _ => "Not heard: was in another namespace",
    };
    let mut says = format!("{head}; {first}");
    if many > 1 {
        // It is a string that is written to.
        let _ = write!(says, ", and so are {} more sockets", many - 1);
    }
    says.push('.');
    (best, says)
}

fn offline(sockets: &[SocketFacts], ended: Option<(Timestamp, &str)>) -> (Outcome, String) {
    let later = sockets.iter().map(|socket| socket.connected_at);
    let Some((at, reason)) = ended else {
        let words = match later.min() {
            Some(at) => format!("connected later, at {at}, and did not fetch it"),
            None => "no connection is known".to_owned(),
        };
        return (Outcome::Offline, format!("Not heard: was offline then; {words}."));
    };
    if reason == "revoked" {
        let words = "its token was revoked, or the user blocked,";
        return (Outcome::ShutOut, format!("Not heard: {words} at {at}, which ended its sockets."));
    }
    let words = format!("the last connection before ended at {at} ({reason})");
    (
        Outcome::Offline,
        format!("Not heard: was offline then; {words}, and it was not fetched since."),
    )
}

fn sent_to(it: &Addressed) -> SentTo {
    let (rooms, except) = match &it.to {
        Target::Everyone => (None, Vec::new()),
        Target::EveryoneBut { except } => (None, except.clone()),
        Target::Rooms { rooms, except } => (Some(rooms.clone()), except.clone()),
    };
    SentTo {
        event: it.event.clone(),
        rooms,
        except,
        except_user: it.except_user.clone(),
        namespaces: it.namespaces.iter().map(Namespace::path).collect(),
    }
}
