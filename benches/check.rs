//! Checks of the load generator: what it counts is right, and what goes wrong ends the run.

#![expect(clippy::cast_precision_loss, reason = "what a run counts is far below 2^52")]
#![expect(clippy::unwrap_used, reason = "a check panics when it fails")]
#![expect(dead_code, reason = "the benchmarks use the rest")]

mod load;
mod peers {
    pub mod ceiling;
    pub mod plain;
}

use std::{
    net::{SocketAddr, TcpListener},
    thread,
    time::Duration,
};

use load::{
    client::{Role, Seat},
    frame,
    histogram::Histogram,
    swarm::Swarm,
};
use peers::{ceiling::Ceiling, plain};

const LIMIT: Duration = Duration::from_secs(20);
const WARM: Duration = Duration::from_millis(50);
const MEASURE: Duration = Duration::from_millis(200);

#[test]
fn frames_are_found_only_once_they_are_whole() {
    for length in [0, 1, 125, 126, 65_535, 65_536] {
        let payload: Vec<u8> = (0..=255).cycle().take(length).collect();
        for push in [frame::push_plain, frame::push_masked] {
            let mut bytes = Vec::new();
            push(&mut bytes, frame::TEXT, &payload);
            let whole = bytes.len();
            bytes.push(0x81);
            for cut in (0..whole.min(20)).chain([whole - 1]) {
                assert!(frame::first(&bytes[..cut]).unwrap().is_none(), "{length} cut at {cut}");
            }
            let found = frame::first(&bytes).unwrap().unwrap();
            assert_eq!((found.opcode, found.payload.end), (frame::TEXT, whole));
            let mut received = bytes[found.payload].to_vec();
            frame::apply(found.mask.unwrap_or_default(), &mut received);
            assert!(received == payload, "the payload of {length} bytes changed on its way");
        }
    }
}

#[test]
fn news_are_counted_while_they_are_whole_and_nothing_else_comes() {
    let mut bytes = Vec::new();
    let mut ends = vec![0];
    for packet in [r#"42["user:online",{"userId":"a"}]"#, r#"42["user-status-change",{}]"#] {
        frame::push_plain(&mut bytes, frame::TEXT, packet.as_bytes());
        ends.push(bytes.len());
    }
    for cut in 0..bytes.len() {
        let whole = ends.iter().rposition(|end| *end <= cut).unwrap();
        assert_eq!(frame::news(&bytes[..cut]), (whole as u64, ends[whole]), "cut at {cut}");
    }
    frame::push_plain(&mut bytes, frame::TEXT, b"42[\"usual\"]");
    assert_eq!(frame::news(&bytes), (2, ends[2]));
}

#[test]
fn percentiles_are_those_of_what_was_recorded() {
    let mut histogram = Histogram::new();
    (1..=100).for_each(|n| histogram.record(Duration::from_micros(n * 1000 - 5)));
    assert!((histogram.percentile_ms(50) - 50.0).abs() < 1e-9);
    assert!((histogram.percentile_ms(99) - 99.0).abs() < 1e-9);
    histogram.record(Duration::from_secs(9));
    assert!((histogram.percentile_ms(100) - 2000.0).abs() < 1e-9);
}

#[test]
fn each_publication_reaches_each_member_once() {
    for (rooms, members, window) in [(1, 20, 1), (1, 20, 16), (10, 5, 1), (3, 4, 7)] {
        for (server, keeps_order) in [(ceiling(false, |_| 1), true), (plain(), window == 1)] {
            let mut swarm = Swarm::new(server).unwrap();
            swarm.fill_rooms(rooms, (members, Role::Member), LIMIT).unwrap();
            let run = swarm.fan_out(window, WARM, MEASURE, || Ok(())).unwrap();
            assert!(run.deliveries > 0 && run.p50_ms <= run.p99_ms);
            let sent: u32 = swarm.tally.rooms.iter().map(|room| room.sent).sum();
            assert_eq!(swarm.tally.deliveries, u64::from(sent) * u64::from(members));
            assert_eq!(swarm.tally.others, 0);
            // socketioxide runs each event as its own task, so they overtake each other.
            assert!(run.disordered == 0 || !keeps_order, "{} out of order", run.disordered);
        }
    }
}

#[test]
fn a_delivery_that_is_lost_ends_the_run() {
    for window in [1, 16] {
        let said = failure(window, |n| usize::from(n != 5_000));
        assert!(said.contains(" deliveries were lost"), "{said}");
    }
}

#[test]
fn a_delivery_that_comes_twice_ends_the_run() {
    for window in [1, 16] {
        let said = failure(window, |n| 1 + usize::from(n == 5_000));
        assert!(said.ends_with(" reached a member twice"), "{said}");
    }
}

#[test]
fn observers_hear_of_each_user_once() {
    for server in [ceiling(true, |_| 1), plain_with_presence()] {
        let mut swarm = Swarm::new(server).unwrap();
        swarm.tally.observe(2, 50);
        let seat = |role, user| Seat { role, user };
        let observers = [seat(Role::Observer(0), 50), seat(Role::Observer(1), 51)];
        swarm.connect(&observers, 1, LIMIT).unwrap();
        let users: Vec<_> = (0..50).map(|user| seat(Role::Idle, user)).collect();
        swarm.connect(&users, 10, LIMIT).unwrap();
        assert!(swarm.await_news(0, LIMIT).unwrap());
        let again: Vec<_> = (0..50).map(|user| seat(Role::Idle, user)).collect();
        swarm.connect(&again, 10, LIMIT).unwrap();
        swarm.settle(LIMIT).unwrap();
        assert_eq!((swarm.tally.untold, swarm.tally.stale_news), (0, 0));
    }
}

#[test]
fn clients_that_lose_their_connection_connect_again() {
    let users: Vec<_> = (0..20).map(|user| Seat { role: Role::Idle, user }).collect();
    let mut swarm = Swarm::new(closes_the_first_three()).unwrap();
    assert!(swarm.connect(&users, 20, LIMIT).is_err());
    let mut swarm = Swarm::new(closes_the_first_three()).unwrap();
    let connected = swarm.connect_stubbornly(&users, 20, LIMIT).unwrap();
    assert_eq!((connected.clients, swarm.drops.0), (20, 3));
}

/// Why a run against a server with such a fault failed.
fn failure(window: u32, copies: fn(u64) -> usize) -> String {
    let mut swarm = Swarm::new(ceiling(false, copies)).unwrap();
    swarm.patience = Duration::from_secs(1);
    swarm.fill_rooms(1, (10, Role::Member), LIMIT).unwrap();
    swarm.fan_out(window, WARM, LIMIT, || Ok(())).map(drop).unwrap_err().to_string()
}

fn ceiling(presence: bool, copies: fn(u64) -> usize) -> SocketAddr {
    start(move |listener| Ceiling::new(listener, presence, copies)?.run())
}

fn closes_the_first_three() -> SocketAddr {
    start(|listener| {
        for _ in 0..3 {
            listener.accept()?;
        }
        Ceiling::new(listener, true, |_| 1)?.run()
    })
}

fn plain() -> SocketAddr {
    start(|listener| plain::run(listener, false))
}

fn plain_with_presence() -> SocketAddr {
    start(|listener| plain::run(listener, true))
}

fn start(serve: impl FnOnce(TcpListener) -> anyhow::Result<()> + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || serve(listener).unwrap());
    address
}
