//! One shard: a task with one queue, which alone owns its rooms' member lists. What waits in the
//! queue together is gathered for each socket and written once.

use std::{collections::HashMap, sync::Arc};

use slab::Slab;
use tokio::{sync::mpsc, task};

use super::{
    Audience, Broadcast, Except, Item, Replay, RoomsQuestion,
    members::Members,
    sink::Share,
    slot::{Delivery, Slot},
    turn::Turn,
};
use crate::{
    id::Id,
    realtime::{connection::Connection, frame::Outgoing, lane::Lane},
    room::Room,
};

/// Items taken from the queue at once.
const BATCH: usize = 256;

/// Writes before other tasks get their turn.
const WRITES_AT_ONCE: usize = 256;

/// Frames that are gathered in the time of one write.
const GATHERED_A_WRITE: usize = 16;

#[derive(Default)]
struct Shard {
    slots: Slab<Slot>,
    rooms: HashMap<Room, Members>,
    turn: Turn,
    pace: Pace,
    broadcasts: u64,
    /// What whoever opens now is told before it is closed: the server is stopping.
    farewell: Option<Arc<Outgoing>>,
}

/// Starts a shard; it ends when every sender of its queue is gone.
pub(super) fn start() -> mpsc::UnboundedSender<Item> {
    let (queue, mut items) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut shard = Shard::default();
        let mut batch = Vec::with_capacity(BATCH);
        while items.recv_many(&mut batch, BATCH).await > 0 {
            let reaching = batch.iter().filter(|item| shard.may_reach(item));
            let gathers = reaching.take(2).count() > 1;
            shard.turn.gather(gathers);
            for item in batch.drain(..) {
                shard.handle(item).await;
                if shard.turn.is_full() {
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
            Item::Broadcast(broadcast) => self.broadcast(&broadcast).await,
            Item::Send(connection, event) => self.send(&connection, &Share::Event(event)),
            Item::Acknowledge(connection, id, data) => {
                self.send(&connection, &Share::Ack(id, data));
            }
            Item::Join(connection, room) => self.join(&connection, room),
            Item::JoinHeld(connection, room, beside) => {
                if let Some(slot) = self.slot(&connection) {
                    slot.catch_up.hold_room(room.clone(), beside);
                }
                self.join(&connection, room);
            }
            Item::Replay(connection, room, replay) => self.replay(&connection, &room, replay),
            Item::Leave(connection, room) => self.leave(&connection, &room),
            Item::Enter(connection, lane) => self.enter(connection, lane),
            Item::Opened(connection) => {
                let farewell = self.farewell.clone();
                if farewell.is_some() {
                    self.flush().await;
                }
                if let Some(slot) = self.slot(&connection) {
                    slot.sink.open(&connection);
                    // Who had come in by then has been told with the others.
                    if farewell.is_some() && !slot.let_go {
                        slot.sink.close(&connection, farewell.as_ref());
                    }
                }
            }
            Item::GoOver(connection) => {
                if let Some(slot) = self.slot(&connection) {
                    slot.sink.go_over(&connection);
                }
            }
            Item::Identify(connection) => {
                if let Some(slot) = self.slot(&connection) {
                    slot.identify();
                }
            }
            Item::ChangeOver(connection, lane) => {
                if let Some(slot) = self.slot(&connection) {
                    slot.sink.change_over(&connection, lane);
                }
            }
            Item::Gone(connection, rooms) => self.gone(&connection, &rooms),
            Item::Close(connection, farewell) => {
                // Its websocket may be that of other namespaces, too.
                self.flush().await;
                if let Some(slot) = self.slot(&connection) {
                    slot.sink.close(&connection, farewell.as_ref());
                }
            }
            Item::CloseAll(farewell, answer) => {
                // Whoever asked may have given up.
                let _ = answer.send(self.say_goodbye(&farewell));
            }
            Item::Rooms(question) => self.answer_rooms(question),
            Item::All(answer) => {
                let _ = answer.send(self.connections());
            }
            Item::Members(room, answer) => {
                let members = self.rooms.get(&room).into_iter().flat_map(Members::iter);
                let slots = members.filter_map(|slot| self.slots.get(slot as usize));
                let _ = answer.send(slots.map(|slot| slot.connection.clone()).collect());
            }
        }
    }

    fn slot(&mut self, connection: &Arc<Connection>) -> Option<&mut Slot> {
        self.slots.get_mut(connection.slot()?)
    }

    fn enter(&mut self, connection: Arc<Connection>, lane: Option<Arc<Lane>>) {
        if let Some(lane) = &lane {
            lane.enter(connection.namespace());
        }
        let entry = self.slots.vacant_entry();
        let at = entry.key();
        connection.set_slot(Some(at));
        entry.insert(Slot::new(at, connection, lane));
    }

    fn join(&mut self, connection: &Arc<Connection>, room: Room) {
        if let Some(slot) = self.slot(connection) {
            slot.catch_up.join(&room);
        }
        if let Some(slot) = connection.slot().and_then(|slot| u32::try_from(slot).ok()) {
            self.rooms.entry(room).or_default().insert(slot);
        }
    }

    fn replay(&mut self, connection: &Arc<Connection>, room: &Room, replay: Replay) {
        if let Some(slot) = connection.slot().and_then(|at| self.slots.get_mut(at)) {
            slot.replay(room, replay, &mut self.turn);
        }
    }

    fn leave(&mut self, connection: &Arc<Connection>, room: &Room) {
        if let Some(slot) = self.slot(connection) {
            slot.leave(room);
        }
        let Some(slot) = connection.slot().and_then(|slot| u32::try_from(slot).ok()) else {
            return;
        };
        if let Some(members) = self.rooms.get_mut(room) {
            members.remove(slot);
            if members.len() == 0 {
                self.rooms.remove(room);
            }
        }
    }

    fn gone(&mut self, connection: &Arc<Connection>, rooms: &[Room]) {
        for room in rooms {
            self.leave(connection, room);
        }
        self.flush_one(connection);
        if let Some(slot) = connection.slot() {
            self.slots.try_remove(slot);
            connection.set_slot(None);
        }
    }

    fn connections(&self) -> Vec<Arc<Connection>> {
        self.slots.iter().map(|(_, slot)| slot.connection.clone()).collect()
    }

    /// Tells everyone; closing the transports is the caller's, in its own time.
    fn say_goodbye(&mut self, farewell: &Arc<Outgoing>) -> Vec<Arc<Connection>> {
        let connections = self.connections();
        for connection in &connections {
            self.send(connection, &Share::Event(farewell.clone()));
            if let Some(slot) = self.slot(connection) {
                slot.let_go = true;
            }
        }
        self.farewell = Some(farewell.clone());
        connections
    }

    fn users(&self, members: &Members) -> Vec<Option<Id>> {
        let slots = members.iter().filter_map(|slot| self.slots.get(slot as usize));
        slots.map(|slot| slot.user().cloned()).collect()
    }

    fn answer_rooms(&self, question: RoomsQuestion) {
        let mut rooms: Vec<(String, &Members)> = self
            .rooms
            .iter()
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

    fn send(&mut self, connection: &Arc<Connection>, share: &Share) {
        if let Some(slot) = connection.slot().and_then(|at| self.slots.get_mut(at)) {
            slot.send(share, &mut self.turn);
        }
    }

    async fn broadcast(&mut self, broadcast: &Broadcast) {
        self.broadcasts += 1;
        let Self { slots, rooms, turn, pace, broadcasts: number, .. } = self;
        if let Except::Rooms(except) = &broadcast.except {
            for at in members(rooms, except) {
                if let Some(slot) = slots.get_mut(at) {
                    slot.seen = *number;
                }
            }
        }
        let mut delivery = Delivery::new(broadcast, *number);
        let mut sockets = 0;
        let writes = !turn.gathers() || broadcast.volatile || broadcast.message.is_bundle();
        let effort = if writes { GATHERED_A_WRITE } else { 1 };
        match &broadcast.to {
            Audience::Everyone { .. } => {
                // Whoever has not said yet whose socket it is, is not one of them.
                for (_, slot) in slots.iter_mut().filter(|(_, slot)| slot.user().is_some()) {
                    sockets += usize::from(slot.hear(&mut delivery, turn));
                    pace.keep(effort).await;
                }
            }
            Audience::Rooms(to) => {
                for at in members(rooms, to) {
                    if let Some(slot) = slots.get_mut(at) {
                        sockets += usize::from(slot.hear(&mut delivery, turn));
                    }
                    pace.keep(effort).await;
                }
            }
            Audience::Each(heard) => {
                for at in members(rooms, &[Room::Admins]) {
                    if let Some(slot) = slots.get_mut(at) {
                        sockets += usize::from(slot.hear(&mut delivery, turn));
                    }
                    pace.keep(effort).await;
                }
                for (room, picks) in heard {
                    delivery.pick(picks);
                    for at in members(rooms, std::slice::from_ref(room)) {
                        // Whoever else is let in there is not the one who may know.
                        if let Some(slot) = slots.get_mut(at).filter(|slot| slot.owns(room)) {
                            slot.hear(&mut delivery, turn);
                        }
                        pace.keep(effort).await;
                    }
                    pace.keep(1).await;
                }
            }
        }
        if sockets > 0 {
            broadcast.message.count(sockets);
        }
        delivery.count_picked();
        if let Some(receipt) = &broadcast.receipt {
            receipt.add(sockets);
        }
    }

    /// Writes what was gathered for one connection, before something that ends it.
    fn flush_one(&mut self, connection: &Arc<Connection>) {
        if let Some(slot) = connection.slot().and_then(|at| self.slots.get_mut(at)) {
            slot.write(&mut self.turn);
        }
    }

    /// Writes all that was gathered.
    async fn flush(&mut self) {
        for portion in 0..self.turn.len() {
            if let Some(slot) = self.slots.get_mut(self.turn.slot(portion)) {
                slot.write(&mut self.turn);
            }
            self.pace.keep(GATHERED_A_WRITE).await;
        }
        self.turn.end();
    }
}

/// The slots that are in any of `of`, room by room.
fn members(rooms: &HashMap<Room, Members>, of: &[Room]) -> impl Iterator<Item = usize> {
    of.iter().filter_map(|room| rooms.get(room)).flat_map(Members::iter).map(|at| at as usize)
}

/// Lets other tasks have their turn from time to time.
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
