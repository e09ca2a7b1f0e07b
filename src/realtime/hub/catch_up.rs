//! One connection between what it missed of a room and what it hears live: kept events wait while a
//! replay is read, none is lost between the two, and none comes twice
//! (docs/contract/events.md#missed-events).

use std::{iter::once, num::NonZeroI64, sync::Arc};

use super::item::Then;
use crate::{id::Id, realtime::frame::Outgoing, room::Room, stream::Stream};

/// How far a connection is with the kept events of its rooms. Most connections hear a few and
/// catch up with nothing.
#[derive(Default)]
pub(super) struct CatchUp {
    /// The first kept event that came to the user's room; the socket is in there from the start, so
    /// a replay ends before it.
    first_of_user: Option<NonZeroI64>,
    rare: Option<Box<Rare>>,
}

#[derive(Default)]
struct Rare {
    /// Rooms whose kept events wait for a replay, or may come after they were among it.
    rooms: Vec<CatchingUp>,
    /// The first kept event of the seller's and the buyer's rooms that the socket is in: the user's
    /// stream keeps their events, too.
    first_of_siblings: Vec<(Room, Option<i64>)>,
}

/// A room that a connection has joined, with what it missed.
struct CatchingUp {
    room: Room,
    /// Rooms whose events the same stream keeps, and are replayed with it.
    siblings: Vec<Room>,
    buffered: Vec<Buffered>,
    buffered_bytes: usize,
    /// The first and the last of those that waited and were dropped, being too many: they are
    /// read, too.
    dropped: Option<(i64, i64)>,
    /// Up to which number there was a replay: what is committed can be read a moment before it is
    /// sent, and is not to come twice.
    replayed: Option<i64>,
}

impl CatchingUp {
    /// Buffers an event until the replay; with more bytes than these, none of them.
    fn buffer(&mut self, buffered: Buffered, most: usize) {
        self.buffered_bytes += buffered.event.event().len() + buffered.event.data().get().len();
        self.buffered.push(buffered);
        if self.buffered_bytes > most
            && let (Some(first), Some(last)) = (self.buffered.first(), self.buffered.last())
        {
            let first = self.dropped.map_or(first.seq, |(first, _)| first);
            self.dropped = Some((first, last.seq));
            self.buffered = Vec::new();
            self.buffered_bytes = 0;
        }
    }

    /// Whether an event of that number waited and was dropped.
    fn was_dropped(&self, seq: i64) -> bool {
        self.dropped.is_some_and(|(first, last)| (first..=last).contains(&seq))
    }
}

/// A kept event that waits for a replay.
struct Buffered {
    seq: i64,
    event: Arc<Outgoing>,
    /// The replay leaves it out, since what comes to its room is heard live.
    unsent: bool,
}

impl CatchUp {
    /// The connection has joined a room.
    pub(super) fn join(&mut self, room: &Room) {
        if !matches!(room, Room::Seller(_) | Room::Buyer(_)) {
            return;
        }
        let first_of_siblings = &mut self.rare.get_or_insert_default().first_of_siblings;
        if !first_of_siblings.iter().any(|(sibling, _)| sibling == room) {
            first_of_siblings.push((room.clone(), None));
        }
    }

    /// From these numbers on the connection, which came back, has heard all that came to its rooms.
    pub(super) fn restore(&mut self, heard_from: Vec<(Room, i64)>, user: Option<&Id>) {
        for (room, from) in heard_from {
            if matches!(&room, Room::User(id) if Some(id) == user) {
                self.first_of_user = NonZeroI64::new(from);
                continue;
            }
            let rooms = &mut self.rare.get_or_insert_default().first_of_siblings;
            rooms.retain(|(known, _)| *known != room);
            rooms.push((room, Some(from)));
        }
    }

    /// From now on the kept events of a room, and of its siblings, wait for a replay.
    pub(super) fn buffer_room(&mut self, room: Room, siblings: Vec<Room>) {
        let rooms = &mut self.rare.get_or_insert_default().rooms;
        rooms.retain(|catching_up| catching_up.room != room);
        rooms.push(CatchingUp {
            room,
            siblings,
            buffered: Vec::new(),
            buffered_bytes: 0,
            dropped: None,
            replayed: None,
        });
    }

    /// The connection has left a room; in its own it starts anew.
    pub(super) fn leave(&mut self, room: &Room, user: Option<&Id>) {
        if matches!(room, Room::User(id) if Some(id) == user) {
            self.first_of_user = None;
        }
        if let Some(rare) = &mut self.rare {
            rare.rooms.retain(|catching_up| catching_up.room != *room);
            rare.first_of_siblings.retain(|(sibling, _)| sibling != room);
        }
    }

    /// What is sent of a replay, and after its last portion of what came meanwhile; whether that was
    /// the last. It is not when some of what came had to be dropped, and was not among it.
    pub(super) fn replay(
        &mut self,
        room: &Room,
        events: Vec<(i64, Room, Arc<Outgoing>)>,
        then: Then,
        user: Option<&Id>,
    ) -> (Vec<Arc<Outgoing>>, bool) {
        let Some(at) = self.find(room) else { return (Vec::new(), true) };
        let missed: Vec<_> = events
            .into_iter()
            .filter(|(seq, to, _)| {
                self.heard_from(to, user).is_none_or(|from| *seq < from)
                    || self.rare.as_ref().is_some_and(|rare| rare.rooms[at].was_dropped(*seq))
            })
            .map(|(_, _, event)| event)
            .collect();
        let Some(catching_up) = self.rare.as_mut().map(|rare| &mut rare.rooms[at]) else {
            return (missed, true);
        };
        let upto = match then {
            Then::More => return (missed, false),
            Then::Live { upto } if catching_up.dropped.is_some_and(|(_, last)| last > upto) => {
                return (missed, false);
            }
            Then::Live { upto } => upto,
            // Nothing counts as seen: everything that waited comes.
            Then::Unread => i64::MIN,
        };
        catching_up.replayed = Some(upto);
        let buffered = std::mem::take(&mut catching_up.buffered);
        let later: Vec<_> = buffered
            .into_iter()
            .filter(|buffered| buffered.seq > upto || buffered.unsent)
            .collect();
        // After what could not be read, what waited is the first that is known to be heard.
        let first = later.first().map(|buffered| buffered.seq);
        let from = upto.checked_add(1).filter(|from| *from > 0).or(first);
        let sent =
            missed.into_iter().chain(later.into_iter().map(|buffered| buffered.event)).collect();
        // What comes after this is heard live, like what has waited: no later replay brings it.
        if let Some(from) = from {
            self.note_live(room, from, user);
        }
        (sent, true)
    }

    /// Where a room is among those that are caught up with.
    fn find(&self, room: &Room) -> Option<usize> {
        self.rare.as_ref()?.rooms.iter().position(|catching_up| catching_up.room == *room)
    }

    /// The socket hears all that comes to a room, and to its siblings, from this number on.
    fn note_live(&mut self, room: &Room, from: i64, user: Option<&Id>) {
        if matches!(room, Room::User(id) if Some(id) == user) {
            self.first_of_user = self.first_of_user.or_else(|| NonZeroI64::new(from));
        }
        let Some(rare) = &mut self.rare else { return };
        let Some(catching_up) = rare.rooms.iter().find(|other| other.room == *room) else { return };
        for (sibling, first) in &mut rare.first_of_siblings {
            if catching_up.siblings.contains(sibling) {
                first.get_or_insert(from);
            }
        }
    }

    /// Buffers a kept event, with its numbers, that is on its way to these rooms, for a replay, or
    /// skips it or was among it. Otherwise it is heard now. Of what waits for one room, no more
    /// bytes than
    /// `most` are buffered.
    pub(super) fn buffer_or_skip(
        &mut self,
        rooms: &[Room],
        numbers: &[(Stream, i64)],
        event: &Arc<Outgoing>,
        user: Option<&Id>,
        most: usize,
    ) -> bool {
        // Both are in their order, and may be many.
        let number = |room: &Room| {
            let stream = Stream::from(room);
            let at = numbers.binary_search_by(|(of, _)| of.cmp(&stream)).ok()?;
            Some(numbers[at].1)
        };
        let mut at = 0;
        while let Some(catching_up) = self.rare.as_ref().and_then(|rare| rare.rooms.get(at)) {
            let mut known = once(&catching_up.room).chain(&catching_up.siblings);
            let to = known.find(|room| rooms.binary_search(room).is_ok());
            let Some((to, seq)) = to.zip(number(&catching_up.room)) else {
                at += 1;
                continue;
            };
            let unsent = self.heard_from(to, user).is_some_and(|from| seq >= from);
            let replayed = catching_up.replayed;
            let Some(rare) = &mut self.rare else { break };
            match replayed {
                None => {
                    let buffered = Buffered { seq, event: event.clone(), unsent };
                    rare.rooms[at].buffer(buffered, most);
                    return true;
                }
                Some(upto) if seq <= upto && !unsent => return true,
                Some(upto) if seq <= upto => at += 1,
                // Numbers rise: from here on everything is new.
                Some(_) => drop(rare.rooms.swap_remove(at)),
            }
        }
        self.note_first(rooms, number, user);
        false
    }

    fn note_first(
        &mut self,
        rooms: &[Room],
        number: impl Fn(&Room) -> Option<i64>,
        user: Option<&Id>,
    ) {
        if self.first_of_user.is_none()
            && let Some(room) = user.cloned().map(Room::User)
            && rooms.binary_search(&room).is_ok()
        {
            self.first_of_user = number(&room).and_then(NonZeroI64::new);
        }
        for (sibling, first) in self.rare.iter_mut().flat_map(|rare| &mut rare.first_of_siblings) {
            if first.is_none() && rooms.binary_search(sibling).is_ok() {
                *first = number(sibling);
            }
        }
    }

    /// From which kept event on the socket has heard all that came to a room of a user's.
    fn heard_from(&self, room: &Room, user: Option<&Id>) -> Option<i64> {
        match room {
            Room::User(id) if Some(id) == user => self.first_of_user.map(NonZeroI64::get),
            Room::User(_) => None,
            room => {
                self.rare.as_ref()?.first_of_siblings.iter().find(|(sibling, _)| sibling == room)?.1
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::to_raw_value;

    use super::*;
    use crate::event::EventName;

    /// Bytes that may wait: four of the tests' events.
    const MOST: usize = 15;

    fn sam() -> Id {
        "sam".parse().unwrap()
    }

    fn event(seq: i64) -> Arc<Outgoing> {
        let name = EventName::new(format!("e{seq}")).unwrap();
        Outgoing::named(&name, to_raw_value(&seq).unwrap(), false, "other")
    }

    /// The event of that number arrives in a room; whether it is heard now.
    fn arrives(catch_up: &mut CatchUp, seq: i64, room: &Room) -> bool {
        let numbers = [(Stream::User(sam()), seq)];
        let rooms = std::slice::from_ref(room);
        !catch_up.buffer_or_skip(rooms, &numbers, &event(seq), Some(&sam()), MOST)
    }

    /// What is sent when a replay of these events of the user's room ends at `upto`.
    fn replays(catch_up: &mut CatchUp, seqs: &[i64], upto: i64) -> Vec<String> {
        let room = Room::User(sam());
        let events = seqs.iter().map(|seq| (*seq, room.clone(), event(*seq))).collect();
        let then = if upto == i64::MIN { Then::Unread } else { Then::Live { upto } };
        let (sent, caught_up) = catch_up.replay(&room, events, then, Some(&sam()));
        assert!(caught_up);
        sent.iter().map(|event| name(event.frame(crate::event::Namespace::Root))).collect()
    }

    fn name(frame: &[u8]) -> String {
        let text = String::from_utf8_lossy(frame).into_owned();
        text.split('"').nth(1).unwrap().to_owned()
    }

    #[test]
    fn what_waits_comes_after_the_replay_and_once() {
        let mut catch_up = CatchUp::default();
        catch_up.buffer_room(Room::User(sam()), Vec::new());
        assert!(!arrives(&mut catch_up, 2, &Room::User(sam())), "it waits");
        assert!(!arrives(&mut catch_up, 3, &Room::User(sam())), "it waits");
        assert_eq!(replays(&mut catch_up, &[1, 2], 2), ["e1", "e2", "e3"]);
        assert!(arrives(&mut catch_up, 4, &Room::User(sam())));
    }

    #[test]
    fn what_was_read_before_it_was_sent_does_not_come_twice() {
        let mut catch_up = CatchUp::default();
        catch_up.buffer_room(Room::User(sam()), Vec::new());
        assert_eq!(replays(&mut catch_up, &[1, 2], 2), ["e1", "e2"]);
        assert!(!arrives(&mut catch_up, 2, &Room::User(sam())), "it was replayed");
        assert!(arrives(&mut catch_up, 3, &Room::User(sam())));
    }

    /// The replay leaves out what a socket hears live, so what waits of that is not lost with it.
    #[test]
    fn a_socket_that_hears_live_loses_nothing_to_a_replay() {
        let room = Room::User(sam());
        // Committed and sent while the replay is read.
        let mut catch_up = CatchUp::default();
        assert!(arrives(&mut catch_up, 10, &room));
        catch_up.buffer_room(room.clone(), Vec::new());
        assert!(!arrives(&mut catch_up, 11, &room), "it waits");
        assert_eq!(replays(&mut catch_up, &[9, 10, 11], 11), ["e9", "e11"]);
        assert!(arrives(&mut catch_up, 12, &room));
        // Committed before, sent after the replay was.
        let mut catch_up = CatchUp::default();
        assert!(arrives(&mut catch_up, 10, &room));
        catch_up.buffer_room(room.clone(), Vec::new());
        assert_eq!(replays(&mut catch_up, &[10, 11], 11), [""; 0]);
        assert!(arrives(&mut catch_up, 11, &room));
        assert!(arrives(&mut catch_up, 12, &room));
    }

    #[test]
    fn what_a_seller_hears_live_is_not_lost_beside_the_users_room() {
        let (user, seller) = (Room::User(sam()), Room::Seller(sam()));
        let mut catch_up = CatchUp::default();
        catch_up.join(&seller);
        assert!(arrives(&mut catch_up, 10, &seller));
        catch_up.buffer_room(user.clone(), vec![seller.clone()]);
        assert!(!arrives(&mut catch_up, 11, &seller), "it waits");
        assert_eq!(replays(&mut catch_up, &[9], 11), ["e9", "e11"]);
    }

    /// What has waited was heard, though its number is behind the one that the client was told.
    #[test]
    fn what_waited_does_not_come_again_with_the_next_replay() {
        let room = Room::User(sam());
        let mut catch_up = CatchUp::default();
        catch_up.buffer_room(room.clone(), Vec::new());
        assert!(!arrives(&mut catch_up, 2, &room), "it waits");
        assert_eq!(replays(&mut catch_up, &[1], 1), ["e1", "e2"]);
        catch_up.buffer_room(room, Vec::new());
        assert_eq!(replays(&mut catch_up, &[2], 2), [""; 0]);
        // Who asks for what was replayed before gets that again.
        catch_up.buffer_room(Room::User(sam()), Vec::new());
        assert_eq!(replays(&mut catch_up, &[1, 2], 2), ["e1"]);
    }

    /// One room's event waits while the other's is read, and is on its way.
    #[test]
    fn rooms_of_one_stream_do_not_hear_each_others_events_twice() {
        let (user, seller) = (Room::User(sam()), Room::Seller(sam()));
        let mut catch_up = CatchUp::default();
        catch_up.join(&seller);
        assert!(arrives(&mut catch_up, 10, &user));
        catch_up.buffer_room(user.clone(), vec![seller.clone()]);
        assert!(!arrives(&mut catch_up, 11, &user), "it waits");
        let events = vec![(11, user.clone(), event(11)), (12, seller.clone(), event(12))];
        let (sent, _) = catch_up.replay(&user, events, Then::Live { upto: 12 }, Some(&sam()));
        assert_eq!(sent.len(), 2);
        assert!(!arrives(&mut catch_up, 12, &seller), "it was replayed");
        assert!(arrives(&mut catch_up, 13, &seller));
    }

    /// The names and whether more is to be read.
    fn portion(catch_up: &mut CatchUp, seqs: &[i64], then: Then) -> (Vec<String>, bool) {
        let room = Room::User(sam());
        let events = seqs.iter().map(|seq| (*seq, room.clone(), event(*seq))).collect();
        let (sent, caught_up) = catch_up.replay(&room, events, then, Some(&sam()));
        let name = |event: &Arc<Outgoing>| name(event.frame(crate::event::Namespace::Root));
        (sent.iter().map(name).collect(), !caught_up)
    }

    #[test]
    fn what_waits_waits_for_the_last_portion() {
        let mut catch_up = CatchUp::default();
        catch_up.buffer_room(Room::User(sam()), Vec::new());
        assert!(!arrives(&mut catch_up, 3, &Room::User(sam())), "it waits");
        assert_eq!(portion(&mut catch_up, &[1], Then::More), (vec!["e1".into()], true));
        assert!(!arrives(&mut catch_up, 4, &Room::User(sam())), "it waits");
        assert_eq!(replays(&mut catch_up, &[2, 3], 3), ["e2", "e3", "e4"]);
        assert!(arrives(&mut catch_up, 5, &Room::User(sam())));
    }

    /// More waits than may: the store has it, also what the socket would have heard live.
    #[test]
    fn what_is_too_much_to_wait_is_read() {
        for heard_before in [false, true] {
            let mut catch_up = CatchUp::default();
            let room = Room::User(sam());
            if heard_before {
                assert!(arrives(&mut catch_up, 1, &room));
            }
            catch_up.buffer_room(room.clone(), Vec::new());
            for seq in 2..=7 {
                assert!(!arrives(&mut catch_up, seq, &room), "it waits");
            }
            let first = if heard_before { vec![] } else { vec!["e1".to_owned()] };
            assert_eq!(portion(&mut catch_up, &[1], Then::Live { upto: 1 }), (first, true));
            assert!(!arrives(&mut catch_up, 8, &room), "it waits");
            let rest = ["e2", "e3", "e4", "e5", "e6", "e7", "e8"];
            assert_eq!(replays(&mut catch_up, &[2, 3, 4, 5, 6, 7], 7), rest);
            assert!(arrives(&mut catch_up, 9, &room));
        }
    }

    #[test]
    fn a_room_that_was_left_is_caught_up_with_anew() {
        let room = Room::User(sam());
        let mut catch_up = CatchUp::default();
        assert!(arrives(&mut catch_up, 10, &room));
        catch_up.leave(&room, Some(&sam()));
        catch_up.buffer_room(room, Vec::new());
        assert_eq!(replays(&mut catch_up, &[10, 11], 11), ["e10", "e11"]);
    }

    #[test]
    fn a_replay_that_could_not_be_read_lets_everything_through_that_waits() {
        let room = Room::User(sam());
        let mut catch_up = CatchUp::default();
        catch_up.buffer_room(room.clone(), Vec::new());
        assert!(!arrives(&mut catch_up, 7, &room), "it waits");
        assert_eq!(replays(&mut catch_up, &[], i64::MIN), ["e7"]);
        assert!(arrives(&mut catch_up, 8, &room));
    }
}
