//! The hub with members whose frames come out at the other end of a socket, or wait for a poll: no
//! engine, no tokens, no configuration.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use serde_json::value::to_raw_value;
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpStream},
    time::Instant,
};

use super::*;
use crate::{
    event::{EventName, Namespace, Namespaces},
    realtime::{
        frame,
        lane::{Lane, Tolerance},
        polls::{Polls, Wish},
    },
};

/// Bytes that may wait for one who polls.
const MOST: usize = 1000;

/// The one shard of these hubs.
const SHARD: usize = 0;

fn hub() -> Hub {
    Hub::start(&Tasks::default(), 1, 10, MOST, &Watch::default())
}

fn room() -> Room {
    "tests.1".parse().unwrap()
}

fn event(number: u64) -> Arc<Outgoing> {
    let name = EventName::new("told").unwrap();
    Outgoing::named(&name, to_raw_value(&number).unwrap(), false, "other")
}

/// What an event is on the wire.
fn text(number: u64) -> String {
    format!(r#"42["told",{number}]"#)
}

/// A member over a websocket, and the other end of that.
async fn register(hub: &Hub, member: Member, user: Option<&str>) -> (Arc<Lane>, TcpStream) {
    let (lane, peer) = websocket().await;
    come_in(hub, member, user, Outlet::coming(lane.clone()));
    (lane, peer)
}

/// A websocket, and its other end.
async fn websocket() -> (Arc<Lane>, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (stream, _) = listener.accept().await.unwrap();
    (Lane::new(stream, Arc::new(Tolerance::for_tests())), peer)
}

fn come_in(hub: &Hub, member: Member, user: Option<&str>, outlet: Outlet) {
    let user = user.map(|user| user.parse().unwrap());
    let (namespace, since, recovers, comes_back) = (Namespace::Root, Instant::now(), false, false);
    let registration = Registration { namespace, user, since, outlet, recovers, comes_back };
    hub.push(SHARD, Item::Register(member, registration));
    hub.push(SHARD, Item::Opened(member, Some(frame::text(&["40"]))));
}

/// A member by polling, and how often it was wished that its session is told and ended.
fn enter_polling(hub: &Hub, member: Member) -> (Arc<Polls>, Arc<AtomicUsize>) {
    let wishes = Arc::new(AtomicUsize::new(0));
    let counted = wishes.clone();
    let polls = Arc::new(Polls::new(Tasks::default(), move |wish| {
        counted.fetch_add(usize::from(wish == Wish::TooMuch), Ordering::SeqCst);
    }));
    let polled = Polled::new(polls.clone(), Namespace::Root, MOST);
    come_in(hub, member, None, Outlet::Polls(Box::new(polled)));
    (polls, wishes)
}

fn say(hub: &Hub, to: Audience, except: Except, number: u64) {
    hub.broadcast(Broadcast {
        to,
        except,
        namespaces: Namespaces::ALL,
        message: Message::One(event(number)),
        volatile: false,
        kept: None,
        receipt: None,
        outcome: None,
    });
}

fn to_room() -> Audience {
    Audience::Rooms(SmallVec::from_buf([room()]))
}

/// Waits until what was asked for is done.
async fn settled(hub: &Hub) {
    // What is asked for together is answered first, and then written.
    for _ in 0..2 {
        hub.all().await;
    }
}

/// The next texts that come out.
async fn hears(peer: &mut TcpStream, texts: &[&str]) {
    let expected = texts.iter().map(|text| frame::text(&[text])).collect::<Vec<_>>().concat();
    let mut heard = vec![0; expected.len()];
    let read = tokio::time::timeout(Duration::from_secs(5), peer.read_exact(&mut heard));
    read.await.expect("all of it").unwrap();
    assert_eq!(String::from_utf8_lossy(&heard), String::from_utf8_lossy(&expected));
}

#[tokio::test]
async fn a_room_hears_all_that_is_said_there_in_its_order_and_nobody_else_does() {
    let hub = hub();
    let members = [0, 1, 2].map(|seat| Member::on(seat, 0));
    let (_one, mut peer) = register(&hub, members[0], Some("a")).await;
    let (_other, mut author) = register(&hub, members[1], Some("b")).await;
    let (_third, mut outside) = register(&hub, members[2], Some("c")).await;
    for member in &members[..2] {
        hub.push(SHARD, Item::Join(*member, room()));
    }
    say(&hub, to_room(), Except::Nobody, 1);
    say(&hub, to_room(), Except::User("b".parse().unwrap()), 2);
    hub.push(SHARD, Item::Acknowledge(members[1], 7, "2".into()));
    say(&hub, Audience::Everyone { kept_for: Vec::new() }, Except::Nobody, 3);
    hears(&mut peer, &["40", &text(1), &text(2), &text(3)]).await;
    hears(&mut author, &["40", &text(1), "437[2]", &text(3)]).await;
    hears(&mut outside, &["40", &text(3)]).await;
    assert_eq!(hub.members_of(&room()).await, [&members[..2]]);
    let users: Vec<_> = hub.members(&room()).await;
    assert_eq!(users.iter().map(|member| member.user_id.as_str()).collect::<Vec<_>>(), ["a", "b"]);
}

#[tokio::test]
async fn who_has_a_seat_next_gets_nothing_of_who_had_it_before() {
    let hub = hub();
    let (before, after) = (Member::on(0, 0), Member::on(0, 1));
    let (_lane, mut peer) = register(&hub, before, None).await;
    hub.push(SHARD, Item::Join(before, room()));
    hub.push(SHARD, Item::Send(before, event(1)));
    hub.push(SHARD, Item::Gone(before, vec![room()]));
    hears(&mut peer, &["40", &text(1)]).await;
    let (_next, mut peer) = register(&hub, after, None).await;
    // Said too late: whoever it was for has gone.
    hub.push(SHARD, Item::Send(before, event(2)));
    hub.push(SHARD, Item::Acknowledge(before, 7, "2".into()));
    hub.push(SHARD, Item::Join(before, room()));
    hub.push(SHARD, Item::Close(before, None));
    hub.push(SHARD, Item::Gone(before, vec![room()]));
    say(&hub, to_room(), Except::Nobody, 3);
    hub.push(SHARD, Item::Send(after, event(4)));
    hears(&mut peer, &["40", &text(4)]).await;
    assert_eq!(hub.all().await, [[after]]);
}

#[tokio::test]
async fn one_who_polls_and_for_whom_too_much_waits_is_given_up() {
    let hub = hub();
    let member = Member::on(3, 0);
    let (polls, wishes) = enter_polling(&hub, member);
    hub.push(SHARD, Item::Send(member, event(1)));
    hub.push(SHARD, Item::Send(member, event(2)));
    settled(&hub).await;
    assert_eq!(polls.answer(), [1, 2].map(|number| frame::text(&[&text(number)])));
    hub.push(SHARD, Item::Send(member, too_much()));
    settled(&hub).await;
    assert_eq!(wishes.load(Ordering::SeqCst), 1);
    assert!(polls.answer().is_empty(), "it is not kept");
    // There is space for it, and a client that hears it goes on from there.
    hub.push(SHARD, Item::Send(member, event(3)));
    settled(&hub).await;
    assert!(polls.answer().is_empty(), "something before it is missing");
    hub.push(SHARD, Item::Close(member, Some(event(4))));
    hub.push(SHARD, Item::Send(member, event(5)));
    settled(&hub).await;
    assert_eq!(polls.answer(), [frame::text(&[&text(4)])]);
}

/// More than may wait.
fn too_much() -> Arc<Outgoing> {
    let data = to_raw_value(&"x".repeat(MOST)).unwrap();
    Outgoing::named(&EventName::new("told").unwrap(), data, false, "other")
}

/// What is heard after something that was not would have a client go on from there.
#[tokio::test]
async fn who_was_told_the_end_by_polling_hears_nothing_more_over_a_websocket() {
    let hub = hub();
    for (seat, too_much_waits) in [(0, false), (1, true)] {
        let member = Member::on(seat, 0);
        let (_polls, _) = enter_polling(&hub, member);
        let (lane, mut peer) = websocket().await;
        hub.push(SHARD, Item::Send(member, event(1)));
        if too_much_waits {
            hub.push(SHARD, Item::Send(member, too_much()));
        } else {
            hub.push(SHARD, Item::Close(member, Some(event(2))));
            hub.push(SHARD, Item::Send(member, event(3)));
        }
        settled(&hub).await;
        hub.push(SHARD, Item::ChangeOver(member, lane.clone()));
        hub.push(SHARD, Item::Send(member, event(4)));
        settled(&hub).await;
        lane.close(None);
        let mut heard = Vec::new();
        let end = tokio::time::timeout(Duration::from_secs(5), peer.read_to_end(&mut heard)).await;
        end.expect("an end").unwrap();
        let texts = if too_much_waits { vec![] } else { vec![text(1), text(2)] };
        let told: Vec<_> = texts.iter().map(|text| frame::text(&[text])).collect();
        let expected = [told.concat(), frame::GOING_AWAY.to_vec()].concat();
        assert_eq!(String::from_utf8_lossy(&heard), String::from_utf8_lossy(&expected));
    }
}

#[tokio::test]
async fn who_comes_in_when_everyone_was_told_the_end_is_told_it_and_closed() {
    let hub = hub();
    let members = [0, 1].map(|seat| Member::on(seat, 0));
    let (_lane, mut peer) = register(&hub, members[0], None).await;
    assert_eq!(hub.close_all(&event(1)).await, [[members[0]]]);
    hears(&mut peer, &["40", &text(1)]).await;
    let (_later, mut peer) = register(&hub, members[1], None).await;
    let mut heard = Vec::new();
    let end = tokio::time::timeout(Duration::from_secs(5), peer.read_to_end(&mut heard)).await;
    end.expect("an end").unwrap();
    assert!(heard.ends_with(&frame::GOING_AWAY), "{heard:?}");
}

/// One that was taken before may register after it.
#[tokio::test]
async fn a_socket_is_where_the_latest_of_its_session_is() {
    let (hub, id) = (hub(), Uuid::from_u128(1));
    let [earlier, later, latest] = [0, 1, 2].map(|seat| Member::on(seat, 0));
    hub.note_socket(id, SHARD, later, 3);
    hub.note_socket(id, SHARD, earlier, 2);
    assert_eq!(hub.socket(id), Some((SHARD, later)));
    hub.forget_socket(id, SHARD, earlier);
    assert_eq!(hub.socket(id), Some((SHARD, later)));
    hub.note_socket(id, SHARD, latest, 4);
    assert_eq!(hub.socket(id), Some((SHARD, latest)));
    hub.forget_socket(id, SHARD, latest);
    assert_eq!(hub.socket(id), None);
}
