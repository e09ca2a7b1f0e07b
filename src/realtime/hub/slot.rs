//! One connection in its shard: what it hears of what is said, written at once or gathered for the
//! end of the batch.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use bytes::Bytes;
use tokio::{sync::oneshot, time::Instant};

use super::{
    bundle::{Bundle, Delivered, Hearer, Picks},
    catch_up::CatchUp,
    frame_batch::{BatchIndex, FrameBatch},
    item::{
        Audience, Broadcast, Except, Kept, Message, Registration, Replay, Replayed, Restoration,
        Told,
    },
    outlet::{Outbound, Outlet},
};
use crate::{
    event::{ByNamespace, Namespace},
    id::Id,
    metrics,
    realtime::{frame::Outgoing, lane::Run, seats::Member, watch::Watch},
    room::Room,
};

/// Missed events that are written together.
const REPLAYED_AT_ONCE: usize = 64;

/// One connection in the shard.
pub(super) struct Slot {
    pub(super) member: Member,
    namespace: Namespace,
    /// It was told that the server stops.
    pub(super) said_goodbye: bool,
    /// It is told the offsets of kept events.
    recovers: bool,
    user: Option<Id>,
    /// A hash of the user, so that most comparisons end here.
    user_hash: u64,
    /// When it came in.
    since: Instant,
    pub(super) outlet: Outlet,
    pub(super) catch_up: CatchUp,
    /// What waits for the restoration of a connection that came back.
    held: Option<Box<Held>>,
    /// The last broadcast that this slot got, or was left out of.
    pub(super) seen: u64,
    /// Which portion of the batch is its.
    batch_index: BatchIndex,
}

/// Kept events, with their positions.
#[derive(Default)]
struct Held {
    events: Vec<(i64, Arc<Outgoing>)>,
    bytes: usize,
    /// There were more than may wait.
    is_too_much: bool,
}

impl Held {
    fn hold(&mut self, position: i64, event: &Arc<Outgoing>, most: usize) {
        self.bytes += event.event().len() + event.data().get().len();
        if self.bytes > most {
            self.is_too_much = true;
            self.events = Vec::new();
        } else {
            self.events.push((position, event.clone()));
        }
    }
}

/// A broadcast on its way to the slots of a shard.
pub(super) struct Delivery<'a> {
    broadcast: &'a Broadcast,
    /// The user who does not hear it, after their hash.
    except: Option<(u64, &'a Id)>,
    /// Its number among the shard's broadcasts.
    number: u64,
    /// Bytes of it and others that may wait for a replay.
    replay_bytes: usize,
    /// Where its frames are in the batch, once they are: without an offset, and with it.
    frames: [ByNamespace<Option<usize>>; 2],
    /// What is picked of a bundle for whoever comes next; none hears all of it.
    picks: Option<&'a Picks>,
    /// What was delivered of a bundle.
    delivered: Delivered,
    /// Sockets that are behind, for which it was dropped.
    dropped: usize,
    /// Who looks at what is delivered, if anybody does.
    look: Option<&'a Look>,
}

/// Who may look at what a shard delivers.
#[derive(Default)]
pub(super) struct Look {
    pub(super) shard: usize,
    pub(super) watch: Watch,
}

impl Look {
    /// A socket is sent an event.
    pub(super) fn at(&self, slot: &Slot, event: &Arc<Outgoing>) {
        if slot.namespace == Namespace::Admin {
            return;
        }
        self.watch.sent((self.shard, slot.member), slot.namespace, event);
    }
}

impl<'a> Delivery<'a> {
    pub(super) fn new(
        broadcast: &'a Broadcast,
        number: u64,
        replay_bytes: usize,
        look: &'a Look,
    ) -> Self {
        let except = match &broadcast.except {
            Except::User(user) => Some((hash(user), user)),
            Except::Nobody | Except::Rooms(_) => None,
        };
        let (frames, delivered) = (<[_; 2]>::default(), Delivered::new());
        let look = look.watch.notes().then_some(look);
        let (picks, dropped) = (None, 0);
        Self { broadcast, except, number, replay_bytes, frames, picks, delivered, dropped, look }
    }

    /// From now on only this is heard of the bundle.
    pub(super) fn pick(&mut self, picks: &'a Picks) {
        self.picks = Some(picks);
    }

    /// Counts what was delivered, to as many sockets, by event; for how many it was dropped.
    pub(super) fn count(self, sockets: usize) -> usize {
        match &self.broadcast.message {
            Message::One(_) if sockets == 0 => {}
            Message::One(event) => metrics::events_out(event.label()).increment(sockets as u64),
            Message::Bundle(_) => {
                for (label, events) in self.delivered {
                    metrics::events_out(label).increment(events);
                }
            }
        }
        self.dropped
    }

    /// Where an event's frame is in the batch.
    fn frame(
        &mut self,
        event: &Outgoing,
        namespace: Namespace,
        recovers: bool,
        frame_batch: &mut FrameBatch,
    ) -> usize {
        *self.frames[usize::from(recovers)][namespace]
            .get_or_insert_with(|| frame_batch.add(event.frame_for(namespace, recovers)))
    }
}

impl Slot {
    pub(super) fn new(member: Member, registration: Registration) -> Self {
        let Registration { namespace, user, since, outlet, recovers, comes_back } = registration;
        Self {
            member,
            namespace,
            said_goodbye: false,
            recovers,
            user_hash: user.as_ref().map_or(0, hash),
            user,
            since,
            outlet,
            catch_up: CatchUp::default(),
            held: comes_back.then(Box::default),
            seen: 0,
            batch_index: None,
        }
    }

    /// Its owner has become known, or newly known.
    pub(super) fn identify(&mut self, user: Option<Id>) {
        self.user_hash = user.as_ref().map_or(0, hash);
        self.user = user;
    }

    fn hearer(&self) -> Hearer<'_> {
        Hearer { namespace: self.namespace, user: self.user.as_ref(), since: self.since }
    }

    /// Where it is in its shard.
    fn at(&self) -> usize {
        self.member.seat() as usize
    }

    /// The CONNECT is answered: by the engine, or with this.
    pub(super) fn open(&mut self, answer: Option<&Bytes>) {
        self.outlet.open(self.namespace, answer);
    }

    /// Says why, then closes the transport under it.
    pub(super) fn close(&mut self, farewell: Option<&Arc<Outgoing>>) {
        self.outlet.close(self.namespace, farewell);
    }

    /// Who owns the connection, when that is known.
    pub(super) fn user(&self) -> Option<&Id> {
        self.user.as_ref()
    }

    /// Whether a room is that of the connection's owner.
    pub(super) fn owns(&self, room: &Room) -> bool {
        matches!((room, &self.user), (Room::User(id), Some(user)) if id == user)
    }

    /// Delivers a broadcast; whether the connection is one of those that hear it: also when it
    /// waits for a replay, or was among it; not when it was dropped, or comes after the last words.
    pub(super) fn deliver(
        &mut self,
        delivery: &mut Delivery,
        frame_batch: &mut FrameBatch,
    ) -> bool {
        let hears = self.deliver_unseen(delivery, frame_batch);
        if let (Some(look), Message::One(event)) = (delivery.look, &delivery.broadcast.message)
            && hears
        {
            look.at(self, event);
        }
        hears
    }

    fn deliver_unseen(&mut self, delivery: &mut Delivery, frame_batch: &mut FrameBatch) -> bool {
        let broadcast = delivery.broadcast;
        if !broadcast.namespaces.contains(self.namespace) || self.seen == delivery.number {
            return false;
        }
        if let Some((hash, user)) = delivery.except
            && self.user_hash == hash
            && self.user.as_ref() == Some(user)
        {
            return false;
        }
        self.seen = delivery.number;
        if !self.outlet.takes() {
            return false;
        }
        if let Some(kept) = &broadcast.kept
            && self.waits_or_was_replayed(broadcast, kept, delivery.replay_bytes)
        {
            return true;
        }
        let by_poll = matches!(self.outlet, Outlet::Polls(_));
        // A bundle is large, and not the same for all; and one poll takes all that was gathered.
        if broadcast.message.is_bundle() || (broadcast.volatile && by_poll) {
            self.write(frame_batch);
        }
        if let (Message::Bundle(bundle), Some(picks)) = (&broadcast.message, delivery.picks) {
            return self.deliver_picked(bundle, picks, &mut delivery.delivered);
        }
        match &broadcast.message {
            Message::One(event) if broadcast.volatile => {
                let frame = event.frame_for(self.namespace, self.recovers);
                let sent = self.batch_index.is_none() && self.outlet.send_volatile(frame);
                if !sent {
                    metrics::volatile_dropped().increment(1);
                    delivery.dropped += 1;
                }
                return sent;
            }
            Message::One(event) if frame_batch.gathers() => {
                let frame = delivery.frame(event, self.namespace, self.recovers, frame_batch);
                frame_batch.give(frame, self.at(), &mut self.batch_index);
            }
            Message::One(event) => {
                self.outlet.send(event.frame_for(self.namespace, self.recovers).into());
            }
            Message::Bundle(bundle) if by_poll => {
                let mut frames = Vec::new();
                for event in bundle.events(&self.hearer()) {
                    *delivery.delivered.entry(event.label()).or_default() += 1;
                    frames.push(event.frame(self.namespace).clone());
                }
                for frame in &frames {
                    self.outlet.send(frame.into());
                }
            }
            Message::Bundle(bundle) => {
                let runs = bundle.frames(&self.hearer(), &mut delivery.delivered);
                for run in &runs {
                    self.outlet.send(run.into());
                }
            }
        }
        true
    }

    /// Sends what is picked of a bundle, and counts it; false when there is nothing to send.
    fn deliver_picked(
        &mut self,
        bundle: &Bundle,
        picks: &Picks,
        delivered: &mut Delivered,
    ) -> bool {
        let mut frames = Vec::new();
        for event in bundle.picked(picks, &self.hearer()) {
            *delivered.entry(event.label()).or_default() += 1;
            frames.push(event.frame(self.namespace).clone());
        }
        if frames.is_empty() {
            return false;
        }
        let run = Run { frames: &frames, bytes: &frames.concat() };
        self.outlet.send(run);
        true
    }

    /// Sends what was missed, and with the last of it what came meanwhile and was not among it.
    /// Goes on when no more than `few` bytes wait.
    pub(super) fn replay(
        &mut self,
        room: &Room,
        replay: Replay,
        frame_batch: &mut FrameBatch,
        few: usize,
        sent: Option<Arc<Kept>>,
    ) {
        let Replay { events, then, answer } = replay;
        let (events, caught_up) = self.catch_up.replay(room, events, then, self.user.as_ref());
        let is_empty = events.is_empty();
        // It may be much, and is for this connection alone: nothing to gather.
        self.write(frame_batch);
        self.send_all(&events);
        let (taken, when_taken) = oneshot::channel();
        if is_empty && caught_up {
            // Whoever asked may have gone, here and below.
            let _ = taken.send(());
        } else {
            let few = if caught_up { few } else { 0 };
            self.outlet.watch(taken, few);
        }
        let told = Told { caught_up, is_nothing: is_empty, sent };
        let _ = answer.send(Replayed { told, when_taken });
    }

    fn send_all(&mut self, events: &[Arc<Outgoing>]) {
        for some in events.chunks(REPLAYED_AT_ONCE) {
            let frame =
                |event: &Arc<Outgoing>| event.frame_for(self.namespace, self.recovers).clone();
            let frames: Vec<_> = some.iter().map(frame).collect();
            let run = Run { frames: &frames, bytes: &frames.concat() };
            self.outlet.send(run);
        }
    }

    /// Who came back is sent what was missed, then what has waited for that and was not among it.
    pub(super) fn restore(&mut self, restoration: Restoration, frame_batch: &mut FrameBatch) {
        let Restoration { events, until, heard_from, answer } = restoration;
        let held = self.held.take().unwrap_or_default();
        // Whoever asked may have gone.
        let _ = answer.send(!held.is_too_much);
        if held.is_too_much {
            return;
        }
        self.write(frame_batch);
        self.catch_up.restore(heard_from, self.user.as_ref());
        let waited = held.events.into_iter().filter(|(position, _)| !until.has(*position));
        let all: Vec<_> = events.into_iter().chain(waited.map(|(_, event)| event)).collect();
        self.send_all(&all);
    }

    /// The connection has left a room.
    pub(super) fn leave(&mut self, room: &Room) {
        self.catch_up.leave(room, self.user.as_ref());
    }

    /// Whether a kept event waits for a restoration or a replay, or was among that.
    fn waits_or_was_replayed(&mut self, broadcast: &Broadcast, kept: &Kept, most: usize) -> bool {
        let Message::One(event) = &broadcast.message else { return false };
        if let Some(held) = &mut self.held {
            held.hold(kept.position, event, most);
            return true;
        }
        let rooms = match &broadcast.to {
            Audience::Rooms(rooms) => rooms.as_slice(),
            Audience::Everyone { kept_for } => kept_for,
            // Nothing that is kept.
            Audience::Each(_) => &[],
        };
        self.catch_up.buffer_or_skip(rooms, &kept.numbers, event, self.user.as_ref(), most)
    }

    /// Sends what is for this connection alone.
    pub(super) fn send(&mut self, outbound: &Outbound, frame_batch: &mut FrameBatch) {
        let frame = outbound.frame(self.namespace, self.recovers);
        if frame_batch.gathers() {
            let frame = frame_batch.add(&frame);
            frame_batch.give(frame, self.at(), &mut self.batch_index);
        } else {
            self.outlet.send((&frame).into());
        }
    }

    /// Writes its portion of the batch.
    pub(super) fn write(&mut self, frame_batch: &mut FrameBatch) {
        if let Some(portion) = self.batch_index.take()
            && let Some(run) = frame_batch.take(portion)
        {
            self.outlet.send(run);
        }
    }
}

fn hash(user: &Id) -> u64 {
    let mut hasher = DefaultHasher::new();
    user.hash(&mut hasher);
    hasher.finish()
}
