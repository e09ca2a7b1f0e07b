//! Who comes back together with others.

use futures_util::future::join_all;
use tempfile::TempDir;

use super::*;
use crate::config::Config;

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
            assert!([4, 240].contains(&n), "whose client does not come back, or comes again: {n}");
            continue;
        };
        assert_eq!(taken.socket, Uuid::from_u128(n as u128));
        assert_eq!(taken.rooms.iter().map(|it| &it.room).collect::<Vec<_>>(), [&room(n)]);
        assert_eq!(taken.rooms[0].joined, Reach::upto(7));
        assert!(n == 240 || taken.generation.get() == 2);
    }
    assert!(again[0].is_none() && again[1].is_none());
    let of_one = [&taken[240], &again[2]].into_iter().flatten();
    let mut generations: Vec<_> = of_one.map(|taken| taken.generation.get()).collect();
    generations.sort_unstable();
    assert!([&[2][..], &[2, 3]].contains(&&*generations), "one has it, or one after the other");
}
