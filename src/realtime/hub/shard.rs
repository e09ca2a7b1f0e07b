//! One shard: a task with one queue, which alone owns its rooms' member lists. What waits in the
//! queue together is gathered for each socket and written once.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use tokio::{sync::mpsc, task};

use super::{
    frame_batch::FrameBatch,
    item::{
        Audience, Broadcast, Except, Item, Kept, Registration, Replay, RoomsQuestion, Tally,
        UnderWay,
    },
    members::Members,
    outlet::Outbound,
    room_count::RoomCount,
    slot::{Delivery, Look, Slot},
};
use crate::{
    id::Id,
    realtime::{frame::Outgoing, seats::Member, watch::Watch},
    room::Room,
    tasks::Tasks,
};

/// Items taken from the queue at once.
const BATCH: usize = 256;

/// Writes before other tasks get the thread.
const WRITES_AT_ONCE: usize = 256;

/// Frames that are gathered in the time of one write.
const GATHERED_A_WRITE: usize = 16;

#[derive(Default)]
struct Shard {
    /// By their seats.
    slots: Vec<Option<Slot>>,
    rooms: HashMap<Room, Members>,
    count: Arc<RoomCount>,
    frame_batch: FrameBatch,
    pace: Pace,
    broadcasts: u64,
    look: Look,
    /// Broadcasts whose frames were gathered and are not written yet.
    gathered: Vec<Arc<UnderWay>>,
    replay_bytes: usize,
    /// The kept event that was sent last.
    sent: Option<Arc<Kept>>,
    /// What whoever opens now is told before it is closed: the server is stopping.
    farewell: Option<Arc<Outgoing>>,
}

/// Starts a shard; it ends when every sender of its queue is gone.
pub(super) fn start(
    shard: usize,
    (replay_bytes, count): (usize, Arc<RoomCount>),
    watch: Watch,
    tasks: &Tasks,
) -> mpsc::UnboundedSender<Item> {
    let (queue, mut items) = mpsc::unbounded_channel();
    tasks.spawn_until_stopped("hub", async move {
        let look = Look { shard, watch };
        let mut shard = Shard { count, look, replay_bytes, ..Shard::default() };
        let mut batch = Vec::with_capacity(BATCH);
        while items.recv_many(&mut batch, BATCH).await > 0 {
            let reaching = batch.iter().filter(|item| shard.may_reach(item));
            let gathers = reaching.take(2).count() > 1;
            shard.frame_batch.gather(gathers);
            for item in batch.drain(..) {
                shard.handle(item).await;
                if shard.frame_batch.is_full() {
                    shard.flush().await;
                }
            }
            shard.flush().await;
        }
    });
    queue
}

impl Shard {
    async fn handle(&mut self, item: Item) {
        match item {
            Item::Broadcast(broadcast) => {
                self.broadcast(&broadcast).await;
                if self.frame_batch.gathers() {
                    self.gathered.push(broadcast);
                }
            }
            Item::Send(member, event) => self.send(member, &Outbound::Event(event)),
            Item::Tell(member, event, taken) => {
                self.send(member, &Outbound::Event(event));
                if let Some(slot) = slot(&mut self.slots, member) {
                    slot.write(&mut self.frame_batch);
                    slot.outlet.watch(taken, 0);
                }
            }
            Item::Acknowledge(member, id, data) => self.send(member, &Outbound::Ack(id, data)),
            Item::Join(member, room) => self.join(member, room),
            Item::JoinBuffered(member, room, siblings) => {
                if let Some(slot) = self.slot(member) {
                    slot.catch_up.buffer_room(room.clone(), siblings);
                }
                self.join(member, room);
            }
            Item::Replay(member, room, replay) => self.replay(member, &room, replay),
            Item::LastKept(member, answer) => {
                if self.slot(member).is_some() {
                    // Whoever asked may have gone.
                    let _ = answer.send(self.sent.clone());
                }
            }
            Item::Restore(member, restoration) => {
                if let Some(slot) = slot(&mut self.slots, member) {
                    slot.restore(restoration, &mut self.frame_batch);
                }
            }
            Item::Leave(member, room) => self.leave(member, &room),
            Item::Register(member, registration) => self.register(member, registration),
            Item::Opened(member, answer) => {
                let farewell = self.farewell.clone();
                if farewell.is_some() {
                    self.flush().await;
                }
                if let Some(slot) = self.slot(member) {
                    slot.open(answer.as_ref());
                    // Who had come in by then has been told with the others.
                    if farewell.is_some() && !slot.said_goodbye {
                        slot.close(farewell.as_ref());
                    }
                }
            }
            Item::Identify(member, user) => {
                if let Some(slot) = self.slot(member) {
                    slot.identify(user);
                }
            }
            Item::ChangeOver(member, lane) => {
                if let Some(slot) = self.slot(member) {
                    slot.outlet.change_over(lane);
                }
            }
            Item::Gone(member, rooms) => self.gone(member, &rooms),
            Item::Close(member, farewell) => {
                // Its websocket may be that of other namespaces, too.
                self.flush().await;
                if let Some(slot) = self.slot(member) {
                    slot.close(farewell.as_ref());
                }
            }
            Item::CloseAll(farewell, answer) => {
                // Whoever asked may have given up.
                let _ = answer.send(self.say_goodbye(&farewell));
            }
            Item::Rooms(question) => self.answer_rooms(question),
            Item::Sizes(with_users, answer) => {
                let sizes = self.rooms.iter().filter(|(room, _)| with_users || !is_users(room));
                let sizes = sizes.map(|(room, members)| (room.clone(), members.len()));
                let _ = answer.send(sizes.collect());
            }
            Item::All(answer) => {
                let _ = answer.send(self.everyone());
            }
            Item::Members(room, answer) => {
                let _ = answer.send(self.in_room(&room).map(|slot| slot.member).collect());
            }
            Item::Users(room, answer) => {
                let _ = answer.send(self.in_room(&room).map(|slot| slot.user().cloned()).collect());
            }
        }
    }

    fn slot(&mut self, member: Member) -> Option<&mut Slot> {
        slot(&mut self.slots, member)
    }

    fn in_room(&self, room: &Room) -> impl Iterator<Item = &Slot> {
        self.of(self.rooms.get(room).into_iter().flat_map(Members::iter))
    }

    fn of(&self, seats: impl Iterator<Item = u32>) -> impl Iterator<Item = &Slot> {
        seats.filter_map(|seat| self.slots.get(seat as usize)?.as_ref())
    }

    fn register(&mut self, member: Member, registration: Registration) {
        let at = member.seat() as usize;
        if at >= self.slots.len() {
            self.slots.resize_with(at + 1, || None);
        }
        self.slots[at] = Some(Slot::new(member, registration));
    }

    fn join(&mut self, member: Member, room: Room) {
        if let Some(slot) = self.slot(member) {
            slot.catch_up.join(&room);
            let members = match self.rooms.entry(room) {
                Entry::Occupied(members) => members.into_mut(),
                Entry::Vacant(none) => {
                    self.count.begin(none.key());
                    none.insert(Members::default())
                }
            };
            members.insert(member.seat());
        }
    }

    fn replay(&mut self, member: Member, room: &Room, replay: Replay) {
        if let Some(slot) = slot(&mut self.slots, member) {
            let sent = self.sent.clone();
            slot.replay(room, replay, &mut self.frame_batch, self.replay_bytes, sent);
        }
    }

    fn leave(&mut self, member: Member, room: &Room) {
        let Some(slot) = self.slot(member) else { return };
        slot.leave(room);
        if let Some(members) = self.rooms.get_mut(room) {
            members.remove(member.seat());
            if members.len() == 0 {
                self.rooms.remove(room);
                self.count.end(room);
            }
        }
    }

    fn gone(&mut self, member: Member, rooms: &[Room]) {
        for room in rooms {
            self.leave(member, room);
        }
        if let Some(slot) = slot(&mut self.slots, member) {
            // What was gathered for it goes before its end.
            slot.write(&mut self.frame_batch);
            self.slots[member.seat() as usize] = None;
        }
    }

    fn everyone(&self) -> Vec<Member> {
        self.slots.iter().flatten().map(|slot| slot.member).collect()
    }

    /// Tells everyone; closing the transports is the caller's, in its own time.
    fn say_goodbye(&mut self, farewell: &Arc<Outgoing>) -> Vec<Member> {
        let outbound = Outbound::Event(farewell.clone());
        for slot in self.slots.iter_mut().flatten() {
            slot.send(&outbound, &mut self.frame_batch);
            slot.said_goodbye = true;
        }
        self.farewell = Some(farewell.clone());
        self.everyone()
    }

    fn users(&self, members: &Members) -> Vec<Option<Id>> {
        self.of(members.iter()).map(|slot| slot.user().cloned()).collect()
    }

    fn answer_rooms(&self, question: RoomsQuestion) {
        let mut rooms: Vec<(String, &Members)> = self
            .rooms
            .iter()
            .filter(|(room, _)| question.with_users || !is_users(room))
            .map(|(room, members)| (room.to_string(), members))
            .filter(|(room, _)| room.starts_with(&*question.prefix))
            .filter(|(room, _)| question.after.as_deref().is_none_or(|after| room.as_str() > after))
            .collect();
        rooms.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        rooms.truncate(question.limit);
        let sized = rooms.into_iter().map(|(room, members)| (room, self.users(members)));
        // Whoever asked may have gone.
        let _ = question.answer.send(sized.collect());
    }

    /// Whether an item may well write to a socket, which a broadcast to empty rooms does not.
    fn may_reach(&self, item: &Item) -> bool {
        match item {
            Item::Broadcast(broadcast) => match &broadcast.to {
                Audience::Everyone { .. } | Audience::Each(_) => true,
                Audience::Rooms(rooms) => rooms.iter().any(|room| self.rooms.contains_key(room)),
            },
            _ => true,
        }
    }

    fn send(&mut self, member: Member, outbound: &Outbound) {
        if let Some(slot) = slot(&mut self.slots, member) {
            slot.send(outbound, &mut self.frame_batch);
            if let Outbound::Event(event) = outbound {
                self.look.at(slot, event);
            }
        }
    }

    async fn broadcast(&mut self, broadcast: &Broadcast) {
        self.broadcasts += 1;
        if let Some(kept) = &broadcast.kept {
            self.sent = Some(kept.clone());
        }
        let Self {
            slots, rooms, frame_batch, pace, broadcasts: number, replay_bytes, look, ..
        } = self;
        if let Except::Rooms(except) = &broadcast.except {
            for at in members(rooms, except) {
                if let Some(slot) = on(slots, at) {
                    slot.seen = *number;
                }
            }
        }
        let mut delivery = Delivery::new(broadcast, *number, *replay_bytes, look);
        let mut sockets = 0;
        let writes = !frame_batch.gathers() || broadcast.volatile || broadcast.message.is_bundle();
        let effort = if writes { GATHERED_A_WRITE } else { 1 };
        match &broadcast.to {
            Audience::Everyone { .. } => {
                // Whoever has not said yet whose socket it is, is not one of them.
                for slot in slots.iter_mut().flatten().filter(|slot| slot.user().is_some()) {
                    sockets += usize::from(slot.deliver(&mut delivery, frame_batch));
                    pace.keep(effort).await;
                }
            }
            Audience::Rooms(to) => {
                for at in members(rooms, to) {
                    if let Some(slot) = on(slots, at) {
                        sockets += usize::from(slot.deliver(&mut delivery, frame_batch));
                    }
                    pace.keep(effort).await;
                }
            }
            Audience::Each(heard) => {
                for at in members(rooms, &[Room::Admins]) {
                    if let Some(slot) = on(slots, at) {
                        sockets += usize::from(slot.deliver(&mut delivery, frame_batch));
                    }
                    pace.keep(effort).await;
                }
                for (room, picks) in heard {
                    delivery.pick(picks);
                    for at in members(rooms, std::slice::from_ref(room)) {
                        // Whoever else is let in there is not the one who may know.
                        if let Some(slot) = on(slots, at).filter(|slot| slot.owns(room)) {
                            slot.deliver(&mut delivery, frame_batch);
                        }
                        pace.keep(effort).await;
                    }
                    pace.keep(1).await;
                }
            }
        }
        let dropped = delivery.count(sockets);
        if let Some(receipt) = &broadcast.receipt {
            receipt.add(sockets);
        }
        if let Some(outcome) = &broadcast.outcome {
            outcome.add(Tally { sockets, dropped });
        }
    }

    /// Writes all that was gathered.
    async fn flush(&mut self) {
        for portion in 0..self.frame_batch.len() {
            if let Some(slot) = on(&mut self.slots, self.frame_batch.slot(portion)) {
                slot.write(&mut self.frame_batch);
            }
            self.pace.keep(GATHERED_A_WRITE).await;
        }
        self.frame_batch.end();
        self.gathered.clear();
    }
}

/// The slot on a seat, if somebody has that.
fn on(slots: &mut [Option<Slot>], seat: usize) -> Option<&mut Slot> {
    slots.get_mut(seat)?.as_mut()
}

/// Whether a room is a user's own.
fn is_users(room: &Room) -> bool {
    matches!(room, Room::User(_))
}

/// The slot of a member who has not gone.
fn slot(slots: &mut [Option<Slot>], member: Member) -> Option<&mut Slot> {
    on(slots, member.seat() as usize).filter(|slot| slot.member == member)
}

/// The seats that are in any of `of`, room by room.
fn members(rooms: &HashMap<Room, Members>, of: &[Room]) -> impl Iterator<Item = usize> {
    of.iter().filter_map(|room| rooms.get(room)).flat_map(Members::iter).map(|at| at as usize)
}

/// Lets other tasks have the thread from time to time.
#[derive(Default)]
struct Pace {
    /// What was done since.
    done: usize,
}

impl Pace {
    async fn keep(&mut self, effort: usize) {
        self.done += effort;
        if self.done >= WRITES_AT_ONCE * GATHERED_A_WRITE {
            self.done = 0;
            task::yield_now().await;
        }
    }
}
