//! Long-polling, and the change from there to a websocket under way: nothing is lost, nothing
//! comes twice, nothing overtakes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::StatusCode;
use tokio::{
    io::AsyncReadExt,
    sync::{Barrier, Semaphore},
};

use super::{
    DEADLINE, JOIN, PAUSE, SAY, Say, Seen, Server, Violation,
    client::{Client, Packet},
    polling::Polling,
    room, within,
};
use crate::event::{ByNamespace, Namespace};

/// A numbered stream that goes no faster than all who hear it: what is on the way to a polling
/// client never fills the engine's queue.
struct Stream {
    left: Vec<AtomicUsize>,
    window: Semaphore,
}

impl Stream {
    fn new(length: usize, hearers: usize) -> Arc<Self> {
        let left = (0..length).map(|_| AtomicUsize::new(hearers)).collect();
        Arc::new(Self { left, window: Semaphore::new(64) })
    }

    async fn send(&self, server: &Server) {
        for number in 0..self.left.len() {
            self.window.acquire().await.expect("open").forget();
            // A change of transport is to fall between any two.
            server.tell(&room(1), number as u64, "x");
        }
    }

    /// Checks that this is the next of what was heard.
    fn hear(&self, packet: &Packet, heard: &mut ByNamespace<usize>) -> Seen<()> {
        let Packet::Event(namespace, event) = packet else {
            return Err(Violation::Order(format!("{packet:?} after {heard:?}")));
        };
        let next = &mut heard[*namespace];
        if *event != format!(r#"["check:told",{{"number":{next},"padding":"x"}}]"#) {
            return Err(Violation::Order(format!("{event} instead of {next}")));
        }
        if self.left[*next].fetch_sub(1, Ordering::Relaxed) == 1 {
            self.window.add_permits(1);
        }
        *next += 1;
        Ok(())
    }
}

/// Polls, changes over after `change_at` events, and hears all of the stream.
async fn change(
    server: Arc<Server>,
    v3: bool,
    chat: bool,
    change_at: usize,
    (stream, ready): (Arc<Stream>, Arc<Barrier>),
) -> Seen<()> {
    let mut polling = Polling::connected(server.address, v3).await?;
    let ack = polling.ask(Namespace::Root, JOIN, &room(1)).await?;
    polling.expect(&Packet::Acknowledged(Namespace::Root, ack, done())).await?;
    if chat {
        polling.post("40/chat,").await?;
        polling.expect(&Packet::Connected(Namespace::Chat)).await?;
        let ack = polling.ask(Namespace::Chat, JOIN, &room(1)).await?;
        polling.expect(&Packet::Acknowledged(Namespace::Chat, ack, done())).await?;
    }
    ready.wait().await;
    let mut heard = ByNamespace::default();
    while heard[Namespace::Root] < change_at {
        let packet = polling.next().await?;
        stream.hear(&packet, &mut heard)?;
    }
    let mut websocket = polling.upgrade().await?;
    for packet in polling.rest() {
        stream.hear(&packet, &mut heard)?;
    }
    let all = stream.left.len();
    while heard[Namespace::Root] < all || (chat && heard[Namespace::Chat] < all) {
        stream.hear(&websocket.next().await?, &mut heard)?;
    }
    let (more, _) = websocket.asked(Namespace::Root, PAUSE, &0).await?;
    if more.is_empty() { Ok(()) } else { Err(Violation::Order(format!("{more:?} came twice"))) }
}

fn done() -> String {
    r#"[{"success":true}]"#.into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_change_their_transport_under_a_stream_hear_all_of_it_once() -> Seen<()> {
    const CLIENTS: usize = 48;
    const EVENTS: usize = 400;
    let server = Arc::new(Server::start());
    let chats = (0..CLIENTS).filter(|client| client % 3 == 0 && client % 2 == 0).count();
    let stream = Stream::new(EVENTS, CLIENTS + chats);
    let ready = Arc::new(Barrier::new(CLIENTS + 1));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (v3, chat) = (client % 2 == 1, client % 3 == 0 && client % 2 == 0);
            let shared = (stream.clone(), ready.clone());
            let change_at = client * EVENTS / CLIENTS;
            tokio::spawn(change(server.clone(), v3, chat, change_at, shared))
        })
        .collect();
    within("everyone", ready.wait()).await?;
    let clients = futures_util::future::try_join_all(clients);
    let (heard, ()) =
        tokio::time::timeout(4 * DEADLINE, async { tokio::join!(clients, stream.send(&server)) })
            .await
            .map_err(|_| Violation::Lost("waited for the stream".into()))?;
    heard.expect("no panic").into_iter().collect()
}

/// More waits than one poll is given, and each of it is larger than what a client may send.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_poll_left_waiting_comes_over_the_websocket() -> Seen<()> {
    const EVENTS: usize = 300;
    let server = Server::with(|config| config.server.max_payload_bytes = 10_000);
    for v3 in [false, true] {
        let mut polling = Polling::connected(server.address, v3).await?;
        let ack = polling.ask(Namespace::Root, JOIN, &room(1)).await?;
        polling.expect(&Packet::Acknowledged(Namespace::Root, ack, done())).await?;
        let padding = "x".repeat(1_000);
        for number in 0..EVENTS {
            server.tell(&room(1), number as u64, &padding);
        }
        let mut heard = vec![polling.next().await?];
        let mut websocket = polling.upgrade().await?;
        heard.extend(polling.rest());
        while heard.len() < EVENTS {
            heard.push(websocket.next().await?);
        }
        for (number, packet) in heard.into_iter().enumerate() {
            let told = format!(r#"["check:told",{{"number":{number},"padding":"{padding}"}}]"#);
            assert_eq!(packet, Packet::Event(Namespace::Root, told));
        }
    }
    Ok(())
}

/// The official clients begin to change over while their CONNECT is still on its way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connect_during_the_change_of_transport_is_told_and_closed_over_the_websocket() -> Seen<()>
{
    async fn change(server: Arc<Server>) -> Seen<Client> {
        let mut polling = Polling::open(server.address, false).await?;
        let connect = tokio::spawn(polling.request_connect());
        let connect = async { connect.await.expect("no panic") };
        let mut websocket = polling.upgrade_after(connect).await?;
        match polling.rest().next() {
            Some(Packet::Connected(Namespace::Root)) => {}
            None => websocket.expect_connected(Namespace::Root).await?,
            other => return Err(Violation::Order(format!("{other:?} before CONNECT"))),
        }
        websocket.asked(Namespace::Root, JOIN, &room(1)).await?;
        Ok(websocket)
    }
    const CLIENTS: usize = 150;
    let server = Arc::new(Server::start());
    let changes = (0..CLIENTS).map(|_| tokio::spawn(change(server.clone())));
    let mut clients = Vec::new();
    for change in changes.collect::<Vec<_>>() {
        clients.push(change.await.expect("no panic")?);
    }
    server.tell(&room(1), 7, "x");
    for client in &mut clients {
        let told = r#"["check:told",{"number":7,"padding":"x"}]"#;
        client.expect(&Packet::Event(Namespace::Root, told.into())).await?;
    }
    server.realtime.drain(Duration::from_millis(50)).await;
    for client in &mut clients {
        match client.next().await? {
            Packet::Event(Namespace::Root, event) if event.contains("draining") => {}
            other => return Err(Violation::Order(format!("{other:?} at the end"))),
        }
        client.expect(&Packet::Closed(1001)).await?;
    }
    within("the end of all", server.realtime.empty()).await
}

/// The first ping comes after an interval, as Node's server sends it, and not with the change.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_before_the_first_poll_brings_no_early_ping() -> Seen<()> {
    let server = Server::with(|config| {
        config.realtime.ping_interval = Duration::from_millis(400);
        config.realtime.ping_timeout = Duration::from_secs(1);
    });
    let polling = Polling::open(server.address, false).await?;
    let mut websocket = Client::upgrade(server.address, polling.query(), None).await?;
    websocket.send("2probe").await?;
    websocket.expect(&Packet::Probed).await?;
    websocket.send("5").await?;
    websocket.send("40").await?;
    // With its answers it lives on.
    for packet in [Packet::Connected(Namespace::Root), Packet::Ping, Packet::Ping, Packet::Ping] {
        let next = within("a packet", websocket.reader.next()).await??;
        assert_eq!(next, packet);
        if packet == Packet::Ping {
            websocket.send("3").await?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn characters_beyond_the_basic_plane_pass_both_ways_in_version_3() -> Seen<()> {
    let server = Server::start();
    let mut polling = Polling::connected(server.address, true).await?;
    let ack = polling.ask(Namespace::Root, JOIN, &room(1)).await?;
    polling.expect(&Packet::Acknowledged(Namespace::Root, ack, done())).await?;
    for number in 0..3 {
        // "44" makes the answer look like one that may hold a refusal.
        let say = Say { room: room(1), number, padding: "44 👋🌍".into() };
        let ack = polling.ask(Namespace::Root, SAY, &say).await?;
        let told = format!(r#"["check:told",{{"number":{number},"padding":"44 👋🌍"}}]"#);
        polling.expect(&Packet::Event(Namespace::Root, told)).await?;
        let acknowledged = Packet::Acknowledged(Namespace::Root, ack, format!("[{number}]"));
        polling.expect(&acknowledged).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_polls_at_once_end_the_session() -> Seen<()> {
    let server = Server::start();
    let polling = Polling::connected(server.address, false).await?;
    let (one, other) = tokio::join!(polling.poll_status(), polling.poll_status());
    assert!([one?, other?].contains(&StatusCode::BAD_REQUEST));
    within("the end of the session", server.realtime.empty()).await?;
    assert_eq!(polling.post_status("42[\"x\"]").await?, StatusCode::BAD_REQUEST);
    assert_eq!(polling.poll_status().await?, StatusCode::BAD_REQUEST);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_read_an_answer_gets_no_other() -> Seen<()> {
    const BIG: usize = 900_000;
    let server = Server::start();
    let mut polling = Polling::connected(server.address, false).await?;
    let ack = polling.ask(Namespace::Root, JOIN, &room(1)).await?;
    polling.expect(&Packet::Acknowledged(Namespace::Root, ack, done())).await?;
    let mut polls = vec![polling.poll_unread().await?];
    server.tell(&room(1), 0, &"x".repeat(BIG));
    // The answer is on its way when its first byte is here.
    within("an answer", polls[0].readable()).await?.expect("a connection");
    polls.push(polling.poll_unread().await?);
    for number in 1..3 {
        server.tell(&room(1), number, &"x".repeat(BIG));
    }
    within("the end of the session", server.realtime.empty()).await?;
    let mut read = Vec::new();
    for poll in &mut polls {
        let mut answer = Vec::new();
        // However it ends.
        let _ = within("an answer", poll.read_to_end(&mut answer)).await?;
        read.push(answer.len());
    }
    assert!(read[0] > BIG && read[1] < 1000, "{read:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_upgrade_of_a_session_neither_disturbs_it_nor_frees_its_place() -> Seen<()> {
    let server = Server::with(|config| {
        config.limits.enabled = true;
        config.limits.connections_per_address = 1;
    });
    let mut polling = Polling::connected(server.address, false).await?;
    let mut websocket = polling.upgrade().await?;
    // With the answer, the first change is complete.
    websocket.asked(Namespace::Root, PAUSE, &0).await?;
    let mut second = Client::upgrade(server.address, polling.query(), None).await?;
    second.expect(&Packet::Closed(1001)).await?;
    websocket.asked(Namespace::Root, PAUSE, &0).await?;
    assert!(Client::open(server.address).await.is_err(), "the address has its share");
    Ok(())
}
