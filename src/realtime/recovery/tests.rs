//! Who comes back together with others.

use std::num::NonZeroU32;

use futures_util::future::join_all;
use tempfile::TempDir;

use super::*;
use crate::{config::Config, db::Portion};

#[tokio::test]
async fn each_of_many_who_come_together_gets_their_own_session_and_nothing_else() {
    const MANY: usize = 250;
    let data = TempDir::new().unwrap();
    let clock = Clock::manual(Timestamp::from_millis(1_764_000_000_000));
    let database = Config::for_tests().database;
    let db = Db::open(&database, data.path(), clock.clone(), Duration::ZERO).await.unwrap();
    let recovery = Recovery::start(db, clock.clone(), &Tasks::default());
    let user = |n: usize| Id::new(&format!("user-{n}")).unwrap();
    let room = |n: usize| Room::Other(Id::new(&format!("room-{n}")).unwrap());
    let sessions: Vec<_> = (0..MANY).map(|_| Session::new(clock.now())).collect();
    for (n, session) in sessions.iter().enumerate() {
        recovery.began(*session, Uuid::from_u128(n as u128), user(n), Namespace::Root);
        recovery.joined(*session, room(n), Reach::upto(7));
    }
    recovery.kept().await.unwrap();
    clock.advance(Duration::from_millis(1));
    recovery.ended(sessions[3], "transport close");
    recovery.forgotten(sessions[4], "client namespace disconnect");

    let own = (0..MANY).map(|n| (n, n, Namespace::Root));
    // Of another user, in another namespace, and again.
    let others =
        [(5, 6, Namespace::Root), (7, 7, Namespace::Marketplace), (240, 240, Namespace::Root)];
    let all = own.chain(others).map(async |(n, who, namespace)| {
        let offset = Reach::upto(9);
        recovery.take(sessions[n].pid, &user(who), namespace, Some(&offset)).await.unwrap()
    });
    let mut taken = join_all(all).await;

    let again = taken.split_off(MANY);
    for (n, taken) in taken.iter().enumerate() {
        let Some(taken) = taken else {
            assert_eq!(n, 4, "whose client does not come back");
            continue;
        };
        assert_eq!(taken.socket, Uuid::from_u128(n as u128));
        assert_eq!(taken.rooms.iter().map(|it| &it.room).collect::<Vec<_>>(), [&room(n)]);
        assert_eq!(taken.rooms[0].joined, Reach::upto(7));
        assert!(n == 240 || taken.generation.get() == 2);
    }
    assert!(again[0].is_none() && again[1].is_none());
    let generation = |taken: &Option<Taken>| taken.as_ref().unwrap().generation;
    let mut of_one = [generation(&taken[240]), generation(&again[2])];
    of_one.sort_unstable();
    assert_eq!(of_one.map(NonZeroU32::get), [2, 3], "one after the other");
    let has_it = of_one.map(async |generation| {
        let session = Session { pid: sessions[240].pid, generation };
        let most = Portion { events: 10, bytes: 100 };
        let absence = Absence { streams: vec![(Stream::Global, 0)], most };
        recovery.missed(session, absence).await.unwrap().is_some()
    });
    assert_eq!(join_all(has_it).await, [false, true], "who came first has lost it");
}

/// Its server stood still, or did not hear yet that its client is elsewhere.
#[tokio::test]
async fn an_earlier_connection_changes_nothing_of_a_session_that_was_taken_since() {
    let data = TempDir::new().unwrap();
    let clock = Clock::manual(Timestamp::from_millis(1_764_000_000_000));
    let database = Config::for_tests().database;
    let db = Db::open(&database, data.path(), clock.clone(), Duration::ZERO).await.unwrap();
    let recovery = Recovery::start(db, clock.clone(), &Tasks::default());
    let user = Id::new("alice").unwrap();
    let room = |name: &str| Room::Other(Id::new(name).unwrap());
    let first = Session::new(clock.now());
    recovery.began(first, Uuid::from_u128(1), user.clone(), Namespace::Root);
    recovery.joined(first, room("one"), Reach::upto(1));
    let take = async || recovery.take(first.pid, &user, Namespace::Root, None).await.unwrap();
    let taken = take().await.unwrap();
    let second = Session { pid: first.pid, generation: taken.generation };
    recovery.joined(second, room("two"), Reach::upto(5));
    recovery.left(first, room("one"), "evicted");
    recovery.left(first, room("two"), "left");
    recovery.joined(first, room("three"), Reach::upto(1));
    recovery.caught_up(first, room("two"), None);
    recovery.ended(first, "transport close");
    recovery.forgotten(first, "evicted");
    let rooms = async || {
        let mut rooms = take().await.unwrap().rooms;
        rooms.sort_by_key(|it| it.room.to_string());
        let said = |it: SessionRoom| (it.room, it.joined, it.caught_up);
        rooms.into_iter().map(said).collect::<Vec<_>>()
    };
    let [one, two] =
        [(room("one"), 1), (room("two"), 5)].map(|(it, at)| (it, Reach::upto(at), false));
    assert_eq!(rooms().await, [one, two]);
}
