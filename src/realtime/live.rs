//! Events as they are sent to sockets, and what became of them there, for operators who listen. Nothing is
//! noted while nobody does; who does is told of some a second at most, and of how many were left out.

use std::{
    collections::{HashSet, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};
use utoipa::ToSchema;

use super::{
    frame::Outgoing,
    hub::{Audience, Broadcast, Except, Message, Outcome, Picks, Tally},
};
use crate::{
    clock::{Clock, Timestamp},
    error::{Code, Error, Result},
    event::Namespaces,
    id::Id,
    room::Room,
    stream::Stream,
};

/// How many may listen at once (docs/limits.md).
const MOST_LISTENERS: usize = 16;

/// Events that may wait for one of them (docs/limits.md).
const MOST_WAITING: usize = 500;

/// Events of which one is told in a second (docs/limits.md).
const EVENTS_A_SECOND: usize = 200;

/// Rooms that an event is told with.
const MOST_ROOMS: usize = 20;

/// Events as they are sent here. Cheap to clone.
#[derive(Clone)]
pub struct Live(Arc<Inner>);

struct Inner {
    clock: Clock,
    /// Somebody listens.
    is_heard: AtomicBool,
    heard: Mutex<Heard>,
}

#[derive(Default)]
struct Heard {
    by: Vec<Listener>,
    next: u64,
    /// The server stops.
    is_over: bool,
}

struct Listener {
    number: u64,
    filter: LiveFilter,
    /// The rooms of the user whom it asks for.
    rooms: HashSet<Room>,
    waiting: VecDeque<LiveNews>,
    /// Events of the second that began then.
    second: Option<(Instant, usize)>,
    /// Events that it was not told since it was told how many.
    left_out: usize,
    filled: Arc<Notify>,
}

/// Which events; each narrows it.
#[derive(Clone, Debug, Default)]
pub struct LiveFilter {
    /// Of this name, or of one that begins so where it ends with `*`.
    pub event: Option<String>,
    /// For this room.
    pub room: Option<Room>,
    /// For this user: their own room, one that they are in, or everyone.
    pub user: Option<Id>,
    /// Of which this became.
    pub outcome: Option<LiveOutcome>,
}

/// What became of an event at the sockets of the node that tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LiveOutcome {
    /// It was written to at least one socket, and dropped for none.
    Written,
    /// No socket was there to hear it.
    Nobody,
    /// It is volatile, and was dropped for at least one socket, which was behind.
    Dropped,
}

/// An event that was sent.
#[derive(Debug)]
pub struct LiveEvent {
    /// When.
    pub at: Timestamp,
    /// Its name and its data.
    pub event: Arc<Outgoing>,
    /// The rooms that it is for, 20 at most; none where it is for everyone.
    pub rooms: Option<Vec<Room>>,
    /// Rooms whose members do not hear it.
    pub except: Vec<Room>,
    /// Where it is heard.
    pub namespaces: Namespaces,
    /// Its numbers, where it is kept.
    pub streams: Vec<(Stream, i64)>,
    /// Its position, where it is kept.
    pub position: Option<i64>,
    /// To how many sockets of this node it was written. None of what is sent many at once, to each what is
    /// for them, as presence is.
    pub sockets: Option<usize>,
    /// What became of it there, where that is known.
    pub outcome: Option<LiveOutcome>,
}

/// What one who listens is told.
pub enum LiveNews {
    /// An event.
    Event(Arc<LiveEvent>),
    /// So many were left out there.
    LeftOut(usize),
}

/// An event on its way, as filters see it.
struct Passing<'a> {
    event: &'a Arc<Outgoing>,
    namespaces: Namespaces,
    to: &'a Audience,
    /// Its number in a bundle.
    part: usize,
    except_user: Option<&'a Id>,
    except: &'a [Room],
    /// What became of it, where that is known.
    tally: Option<Tally>,
}

impl Live {
    pub(super) fn new(clock: Clock) -> Self {
        let (is_heard, heard) = (AtomicBool::new(false), Mutex::default());
        Self(Arc::new(Inner { clock, is_heard, heard }))
    }

    /// Listens from now on.
    ///
    /// # Errors
    /// [`Code::Unavailable`] when as many listen as may, or the server stops.
    pub(super) fn listen(&self, filter: LiveFilter) -> Result<Listening> {
        let mut heard = self.0.heard.lock();
        if heard.is_over {
            return Err(Error::new(Code::Unavailable, "The server stops."));
        }
        if heard.by.len() >= MOST_LISTENERS {
            let sentence = "As many listen to events as may.";
            return Err(Error::new(Code::Unavailable, sentence).with_reason("too_many_listeners"));
        }
        heard.next += 1;
        let (number, filled) = (heard.next, Arc::<Notify>::default());
        heard.by.push(Listener {
            number,
            filter,
            rooms: HashSet::new(),
            waiting: VecDeque::new(),
            second: None,
            left_out: 0,
            filled: filled.clone(),
        });
        self.0.is_heard.store(true, Ordering::Release);
        Ok(Listening { live: self.clone(), number, filled })
    }

    /// Nobody listens any more: who does is told what waits, and that it ends.
    pub(super) fn end(&self) {
        let mut heard = self.0.heard.lock();
        heard.is_over = true;
        self.0.is_heard.store(false, Ordering::Release);
        heard.by.iter().for_each(|listener| listener.filled.notify_one());
    }

    /// An event is about to be sent to the sockets of this node: who listens is told of it when it was.
    #[inline]
    pub(super) fn sees(&self, broadcast: &mut Broadcast) {
        if self.0.is_heard.load(Ordering::Relaxed) {
            self.waits_for(broadcast);
        }
    }

    #[cold]
    fn waits_for(&self, broadcast: &mut Broadcast) {
        let live = self.clone();
        let tell = move |broadcast: &Broadcast, tally| live.note(broadcast, tally);
        broadcast.outcome = Some(Box::new(Outcome::new(tell)));
    }

    fn note(&self, broadcast: &Broadcast, tally: Tally) {
        let (except_user, except) = match &broadcast.except {
            Except::Nobody => (None, &[][..]),
            Except::User(user) => (Some(user), &[][..]),
            Except::Rooms(rooms) => (None, &rooms[..]),
        };
        let to = &broadcast.to;
        match &broadcast.message {
            Message::One(event) => {
                let (namespaces, tally) = (broadcast.namespaces, Some(tally));
                self.pass(
                    &Passing { event, namespaces, to, part: 0, except_user, except, tally },
                    broadcast,
                );
            }
            Message::Bundle(bundle) => {
                for (part, (event, namespaces, except_user)) in bundle.parts().enumerate() {
                    let tally = None;
                    self.pass(
                        &Passing { event, namespaces, to, part, except_user, except, tally },
                        broadcast,
                    );
                }
            }
        }
    }

    fn pass(&self, passing: &Passing<'_>, broadcast: &Broadcast) {
        let (now, mut event) = (Instant::now(), None);
        for listener in &mut self.0.heard.lock().by {
            if !passing.is_for(&listener.filter, &listener.rooms) {
                continue;
            }
            if listener.takes_one(now) {
                let left_out = listener.tell_left_out();
                listener.waiting.extend(left_out);
                let told = || Arc::new(passing.told(&self.0.clock, broadcast));
                listener.waiting.push_back(LiveNews::Event(event.get_or_insert_with(told).clone()));
            } else {
                listener.left_out += 1;
                if listener.left_out > 1 {
                    continue;
                }
            }
            listener.filled.notify_one();
        }
    }
}

impl Listener {
    /// Whether it is told of one more.
    fn takes_one(&mut self, now: Instant) -> bool {
        let (since, events) = self.second.get_or_insert((now, 0));
        if now.duration_since(*since).as_secs() > 0 {
            (*since, *events) = (now, 0);
        }
        *events += 1;
        *events <= EVENTS_A_SECOND && self.waiting.len() < MOST_WAITING
    }

    /// How many were left out, if any were.
    fn tell_left_out(&mut self) -> Option<LiveNews> {
        let events = std::mem::take(&mut self.left_out);
        (events > 0).then_some(LiveNews::LeftOut(events))
    }

    /// When that is told, if no event is before: once a second, so that it costs nothing to leave many out.
    fn tells_left_out_at(&self) -> Option<Instant> {
        let (since, _) = self.second.filter(|_| self.left_out > 0)?;
        Some(since + Duration::from_secs(1))
    }
}

impl Passing<'_> {
    fn is_for(&self, filter: &LiveFilter, rooms: &HashSet<Room>) -> bool {
        let is_named = filter.event.as_deref().is_none_or(|name| {
            let event = self.event.event();
            name.strip_suffix('*').map_or(event == name, |begins| event.starts_with(begins))
        });
        is_named
            && filter.room.as_ref().is_none_or(|room| self.is_to(room))
            && filter.user.as_ref().is_none_or(|user| self.is_to_user(user, rooms))
            && filter.outcome.is_none_or(|outcome| self.outcome() == Some(outcome))
    }

    fn outcome(&self) -> Option<LiveOutcome> {
        Some(match self.tally? {
            Tally { dropped: 1.., .. } => LiveOutcome::Dropped,
            Tally { sockets: 0, .. } => LiveOutcome::Nobody,
            Tally { .. } => LiveOutcome::Written,
        })
    }

    /// Whether it is sent to a room, or kept for it.
    fn is_to(&self, room: &Room) -> bool {
        match self.to {
            Audience::Everyone { kept_for } => kept_for.contains(room),
            Audience::Rooms(rooms) => rooms.contains(room),
            Audience::Each(each) => {
                let mut of = each.iter().filter(|(it, _)| it == room);
                of.any(|(_, picks)| self.is_among(picks))
            }
        }
    }

    fn is_to_user(&self, user: &Id, rooms: &HashSet<Room>) -> bool {
        let own = Room::User(user.clone());
        let is_left_out = self.except_user == Some(user)
            || self.except.iter().any(|room| *room == own || rooms.contains(room));
        let is_meant = match self.to {
            Audience::Everyone { .. } => true,
            Audience::Rooms(of) => of.iter().any(|room| *room == own || rooms.contains(room)),
            Audience::Each(_) => rooms.contains(&Room::Admins) || self.is_to(&own),
        };
        is_meant && !is_left_out
    }

    fn is_among(&self, picks: &Picks) -> bool {
        picks.iter().any(|part| part == self.part)
    }

    fn told(&self, clock: &Clock, broadcast: &Broadcast) -> LiveEvent {
        let rooms = match self.to {
            Audience::Everyone { .. } => None,
            Audience::Rooms(rooms) => Some(rooms.iter().take(MOST_ROOMS).cloned().collect()),
            Audience::Each(each) => {
                let picked = each.iter().filter(|(_, picks)| self.is_among(picks));
                Some(picked.take(MOST_ROOMS).map(|(room, _)| room.clone()).collect())
            }
        };
        let except_user = self.except_user.map(|user| Room::User(user.clone()));
        let kept = broadcast.kept.as_ref();
        LiveEvent {
            at: clock.now(),
            event: self.event.clone(),
            rooms,
            except: self.except.iter().cloned().chain(except_user).take(MOST_ROOMS).collect(),
            namespaces: self.namespaces,
            streams: kept.map_or_else(Vec::new, |kept| kept.numbers.to_vec()),
            position: kept.map(|kept| kept.position),
            sockets: self.tally.map(|tally| tally.sockets),
            outcome: self.outcome(),
        }
    }
}

/// One who listens, until it is dropped.
pub struct Listening {
    live: Live,
    number: u64,
    filled: Arc<Notify>,
}

impl Listening {
    /// What was sent since; none when the server stops.
    pub async fn next(&self) -> Option<LiveNews> {
        loop {
            let left_out_at = {
                let mut heard = self.live.0.heard.lock();
                let is_over = heard.is_over;
                let listener = heard.by.iter_mut().find(|it| it.number == self.number)?;
                let waits = listener.waiting.pop_front();
                if waits.is_some() {
                    return waits;
                }
                let at = listener.tells_left_out_at();
                if is_over || at.is_some_and(|at| at <= Instant::now()) {
                    return listener.tell_left_out();
                }
                at
            };
            match left_out_at {
                Some(at) => drop(timeout_at(at, self.filled.notified()).await),
                None => self.filled.notified().await,
            }
        }
    }

    /// The user is in these rooms.
    pub(super) fn is_in(&self, rooms: HashSet<Room>) {
        let mut heard = self.live.0.heard.lock();
        if let Some(listener) = heard.by.iter_mut().find(|it| it.number == self.number) {
            listener.rooms = rooms;
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let mut heard = self.live.0.heard.lock();
        heard.by.retain(|listener| listener.number != self.number);
        let is_heard = !heard.by.is_empty() && !heard.is_over;
        self.live.0.is_heard.store(is_heard, Ordering::Release);
    }
}
