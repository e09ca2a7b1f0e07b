//! One shard: a task with one queue, which alone owns its rooms' member lists. What waits in the
//! queue together is gathered for each socket and written once.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use slab::Slab;
use tokio::{sync::mpsc, task};

use super::{
    Audience, Broadcast, Except, Item, Message, Replay, RoomsQuestion,
    catch_up::CatchUp,
    members::Members,
    sink::{Share, Sink},
};
use crate::{
    event::Namespace,
    id::Id,
    realtime::{connection::Connection, frame::Outgoing, lane::Lane},
    room::Room,
};

/// Items taken from the queue at once.
const BATCH: usize = 256;

/// Sockets written to before other tasks get their turn.
const WRITES_A_TURN: usize = 256;

/// One connection in the shard.
struct Slot {
    connection: Arc<Connection>,
    namespace: Namespace,
    user: Option<Id>,
    sink: Sink,
    /// Frames gathered in this turn.
    gathered: Vec<Bytes>,
    catch_up: CatchUp,
    /// The last broadcast that this slot got, or was left out of.
    seen: u64,
}

#[derive(Default)]
struct Shard {
    slots: Slab<Slot>,
    rooms: HashMap<Room, Members>,
    /// Slots with gathered frames.
    dirty: Vec<usize>,
    /// More than one item is at hand: gather.
    gathering: bool,
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
            shard.gathering = batch.len() > 1;
            for item in batch.drain(..) {
                shard.handle(item).await;
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
            Item::Send(connection, event) => self.send(&connection, Share::Event(event)),
            Item::Acknowledge(connection, id, data) => {
                self.send(&connection, Share::Ack(id, data));
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
                if let Some(slot) = self.slot(&connection) {
                    slot.sink.open(&connection);
                    if farewell.is_some() {
                        slot.sink.close(&connection, farewell.as_ref());
                    }
                }
            }
            Item::Pump(connection) => {
                if let Some(slot) = self.slot(&connection) {
                    slot.sink.pump(&connection);
                }
            }
            Item::Identify(connection) => {
                if let Some(slot) = self.slot(&connection) {
                    slot.user = connection.user_id();
                }
            }
            Item::ChangeOver(connection, lane) => {
                if let Some(slot) = self.slot(&connection) {
                    slot.sink.change_over(&connection, lane);
                }
            }
            Item::Gone(connection, rooms) => self.gone(&connection, &rooms),
            Item::Close(connection, farewell) => {
                self.flush_one(&connection);
                if let Some(slot) = self.slot(&connection) {
                    slot.sink.close(&connection, farewell.as_ref());
                }
            }
            Item::Evict(user, room) => self.evict(&user, &room),
            Item::CloseAll(farewell, answer) => {
                // Whoever asked may have given up.
                let _ = answer.send(self.say_goodbye(&farewell));
            }
            Item::Rooms(question) => self.answer_rooms(question),
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
        connection.set_slot(Some(entry.key()));
        entry.insert(Slot {
            namespace: connection.namespace(),
            user: connection.user_id(),
            sink: Sink::new(lane),
            gathered: Vec::new(),
            catch_up: CatchUp::default(),
            seen: 0,
            connection,
        });
    }

    fn join(&mut self, connection: &Arc<Connection>, room: Room) {
        if let Some(slot) = self.slot(connection) {
            slot.catch_up.join(&room);
        }
        if let Some(slot) = connection.slot().and_then(|slot| u32::try_from(slot).ok()) {
            self.rooms.entry(room).or_default().insert(slot);
        }
    }

    /// Sends what was missed, then what came meanwhile and was not among it.
    fn replay(&mut self, connection: &Arc<Connection>, room: &Room, replay: Replay) {
        let Some(slot) = self.slot(connection) else { return };
        for event in slot.catch_up.replay(room, replay, slot.user.as_ref()) {
            self.send(connection, Share::Event(event));
        }
    }

    fn leave(&mut self, connection: &Arc<Connection>, room: &Room) {
        if let Some(slot) = self.slot(connection) {
            slot.catch_up.leave(room, slot.user.as_ref());
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

    fn evict(&mut self, user: &Id, room: &Room) {
        let Some(sockets) = self.rooms.get(&Room::User(user.clone())) else { return };
        for slot in sockets.iter().filter_map(|slot| self.slots.get(slot as usize)) {
            // By way of the connection, so that its own list and its later joins keep their order.
            slot.connection.leave(room);
        }
    }

    /// Tells everyone; closing the transports is the caller's, in its own time.
    fn say_goodbye(&mut self, farewell: &Arc<Outgoing>) -> Vec<Arc<Connection>> {
        let connections: Vec<_> =
            self.slots.iter().map(|(_, slot)| slot.connection.clone()).collect();
        for connection in &connections {
            self.send(connection, Share::Event(farewell.clone()));
        }
        self.farewell = Some(farewell.clone());
        connections
    }

    fn users(&self, members: &Members) -> Vec<Option<Id>> {
        let slots = members.iter().filter_map(|slot| self.slots.get(slot as usize));
        slots.map(|slot| slot.user.clone()).collect()
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

    fn send(&mut self, connection: &Arc<Connection>, share: Share) {
        let (Some(at), gathering) = (connection.slot(), self.gathering) else { return };
        let Some(slot) = self.slots.get_mut(at) else { return };
        if let Sink::Lane(lane) = &slot.sink {
            let frame = share.frame(slot.namespace);
            if gathering {
                if slot.gathered.is_empty() {
                    self.dirty.push(at);
                }
                slot.gathered.push(frame);
            } else {
                lane.send(slot.namespace, &[frame]);
            }
        } else {
            slot.sink.send_through_engine(connection, share);
        }
    }

    async fn broadcast(&mut self, broadcast: &Broadcast) {
        self.broadcasts += 1;
        if let Except::Rooms(rooms) = &broadcast.except {
            for room in rooms {
                for slot in self.rooms.get(room).into_iter().flat_map(Members::iter) {
                    if let Some(slot) = self.slots.get_mut(slot as usize) {
                        slot.seen = self.broadcasts;
                    }
                }
            }
        }
        let mut sockets = 0;
        let mut turn = 0;
        match &broadcast.to {
            Audience::Everyone { .. } => {
                for at in 0..self.slots.capacity() {
                    sockets += usize::from(self.deliver(at, broadcast));
                    rest(&mut turn).await;
                }
            }
            Audience::Rooms(rooms) => {
                for room in rooms {
                    let length = self.rooms.get(room).map_or(0, Members::len);
                    for index in 0..length {
                        let at = self.rooms.get(room).and_then(|members| members.get(index));
                        sockets +=
                            usize::from(at.is_some_and(|at| self.deliver(at as usize, broadcast)));
                        rest(&mut turn).await;
                    }
                }
            }
        }
        if sockets > 0 {
            broadcast.message.count(sockets);
        }
        if let Some(receipt) = &broadcast.receipt {
            receipt.add(sockets);
        }
    }

    /// Whether the slot's connection is one of those that hear it.
    fn deliver(&mut self, at: usize, broadcast: &Broadcast) -> bool {
        let Some(slot) = self.slots.get_mut(at) else { return false };
        if !broadcast.namespaces.contains(slot.namespace) || slot.seen == self.broadcasts {
            return false;
        }
        if let Except::User(user) = &broadcast.except
            && slot.user.as_ref() == Some(user)
        {
            return false;
        }
        slot.seen = self.broadcasts;
        if !broadcast.numbers.is_empty() && slot.holds(broadcast) {
            return true;
        }
        let Sink::Lane(lane) = &slot.sink else {
            return deliver_through_engine(slot, &broadcast.message);
        };
        match &broadcast.message {
            Message::One(event) => {
                let frame = event.frame(slot.namespace);
                if broadcast.volatile {
                    if slot.gathered.is_empty() {
                        lane.send_volatile(slot.namespace, &frame);
                    }
                } else if self.gathering {
                    if slot.gathered.is_empty() {
                        self.dirty.push(at);
                    }
                    slot.gathered.push(frame);
                } else {
                    lane.send(slot.namespace, &[frame]);
                }
            }
            Message::Bundle(bundle) => {
                let frames = bundle.frames(slot.namespace, slot.user.as_ref());
                if frames.is_empty() {
                    return false;
                }
                if slot.gathered.is_empty() {
                    lane.send(slot.namespace, &frames);
                } else {
                    slot.gathered.extend(frames);
                }
            }
        }
        true
    }

    /// Writes what was gathered for one connection, before something that ends it.
    fn flush_one(&mut self, connection: &Arc<Connection>) {
        if let Some(slot) = self.slot(connection) {
            slot.write_gathered();
        }
    }

    /// Writes all that was gathered.
    async fn flush(&mut self) {
        let mut turn = 0;
        let mut dirty = std::mem::take(&mut self.dirty);
        for at in dirty.drain(..) {
            if let Some(slot) = self.slots.get_mut(at) {
                slot.write_gathered();
            }
            rest(&mut turn).await;
        }
        self.dirty = dirty;
    }
}

impl Slot {
    /// Whether a kept event waits for a replay, or was among it.
    fn holds(&mut self, broadcast: &Broadcast) -> bool {
        let Message::One(event) = &broadcast.message else { return false };
        let rooms = match &broadcast.to {
            Audience::Rooms(rooms) => rooms.as_slice(),
            Audience::Everyone { kept_for } => kept_for,
        };
        self.catch_up.holds(rooms, &broadcast.numbers, event, self.user.as_ref())
    }

    fn write_gathered(&mut self) {
        let gathered = std::mem::take(&mut self.gathered);
        if let Sink::Lane(lane) = &self.sink
            && !gathered.is_empty()
        {
            lane.send(self.namespace, &gathered);
        }
    }
}

fn deliver_through_engine(slot: &mut Slot, message: &Message) -> bool {
    if matches!(slot.sink, Sink::Closed) {
        return false;
    }
    match message {
        Message::One(event) => {
            slot.sink.send_through_engine(&slot.connection, Share::Event(event.clone()));
        }
        Message::Bundle(bundle) => {
            for event in bundle.events(slot.namespace, slot.user.as_ref()) {
                slot.sink.send_through_engine(&slot.connection, Share::Event(event.clone()));
            }
        }
    }
    true
}

/// Lets other tasks have their turn after every so many writes.
async fn rest(turn: &mut usize) {
    *turn += 1;
    if turn.is_multiple_of(WRITES_A_TURN) {
        task::yield_now().await;
    }
}
