//! A peer for which bytes wait: what waits still arrives whole when either side closes, and what is
//! volatile does not wait.

use std::{
    panic,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use tokio::time::MissedTickBehavior;

use super::{
    JOIN, LEAVE, Seen, Server, TOLD, Told, Violation,
    client::{Client, Packet, masked},
    polling::Polling,
    room, within,
};
use crate::{
    event::{EventName, Namespace},
    id::Ids,
    realtime::{ExternalEvent, Target},
};

const PADDING: usize = 50_000;

/// Less than what may wait for a peer, more than kernel buffers take.
const EVENTS: u64 = 12;

/// A member that does not read while events are told to it.
async fn blocked(server: &Server) -> Seen<Client> {
    let mut client = Client::upgrade(server.address, "EIO=4", Some(8 * 1024)).await?;
    client.expect(&Packet::Open).await?;
    client.connect(Namespace::Root).await?;
    client.asked(Namespace::Root, JOIN, &room(1)).await?;
    for number in 0..EVENTS {
        server.tell(&room(1), number, &"x".repeat(PADDING));
    }
    // The shards have come to it when they answer, and have written it when they answer again.
    for _ in 0..2 {
        server.realtime.hub().members(&room(1)).await;
    }
    Ok(client)
}

fn told(number: u64, padding: usize) -> Packet {
    let data = Told { number, padding: "x".repeat(padding) };
    Packet::Event(Namespace::Root, serde_json::to_string(&(TOLD.name, data)).expect("json"))
}

async fn hear_all(client: &mut Client) -> Seen<()> {
    for number in 0..EVENTS {
        client.expect(&told(number, PADDING)).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_arrives_before_the_servers_last_words() -> Seen<()> {
    let server = Server::start();
    let mut client = blocked(&server).await?;
    server.realtime.drain(Duration::from_millis(10)).await;
    hear_all(&mut client).await?;
    match client.next().await? {
        Packet::Event(Namespace::Root, event) if event.contains("draining") => {}
        other => return Err(Violation::Order(format!("{other:?} at the end"))),
    }
    client.expect(&Packet::Closed(1001)).await?;
    client.expect(&Packet::End).await?;
    within("the end", server.realtime.empty()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_arrives_before_the_answer_to_a_close_frame() -> Seen<()> {
    let server = Server::start();
    let mut client = blocked(&server).await?;
    client.writer.frames(&masked(0x88, &1000_u16.to_be_bytes())).await?;
    within("the end", server.realtime.empty()).await?;
    hear_all(&mut client).await?;
    client.expect(&Packet::Closed(1000)).await?;
    client.expect(&Packet::End).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_volatile_is_dropped_for_whom_bytes_wait() -> Seen<()> {
    let server = Server::start();
    let mut client = blocked(&server).await?;
    let mut idle = Client::connected(server.address).await?;
    idle.asked(Namespace::Root, JOIN, &room(1)).await?;
    assert_eq!(server.realtime.emitter().emit(volatile(77)).await, 1, "who hears it");
    server.tell(&room(1), 88, "");
    idle.expect(&told(77, 0)).await?;
    idle.expect(&told(88, 0)).await?;
    hear_all(&mut client).await?;
    client.expect(&told(88, 0)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_volatile_is_dropped_where_something_waits_for_a_poll() -> Seen<()> {
    let server = Server::start();
    let emitter = server.realtime.emitter();
    for v3 in [false, true] {
        let mut polling = Polling::connected(server.address, v3).await?;
        let ack = polling.ask(Namespace::Root, JOIN, &room(1)).await?;
        let joined = r#"[{"success":true}]"#.into();
        polling.expect(&Packet::Acknowledged(Namespace::Root, ack, joined)).await?;
        server.tell(&room(1), 88, "");
        assert_eq!(emitter.emit(volatile(77)).await, 0, "something waits");
        polling.expect(&told(88, 0)).await?;
        assert_eq!(emitter.emit(volatile(78)).await, 1, "nothing waits");
        polling.expect(&told(78, 0)).await?;
        let ack = polling.ask(Namespace::Root, LEAVE, &room(1)).await?;
        let left = r#"[{"success":true}]"#.into();
        polling.expect(&Packet::Acknowledged(Namespace::Root, ack, left)).await?;
    }
    Ok(())
}

/// Tells the room, and does not wait.
fn volatile(number: u64) -> ExternalEvent {
    let data = format!(r#"{{"number":{number},"padding":""}}"#);
    ExternalEvent {
        id: Ids.next(),
        to: Target::Rooms { rooms: vec![room(1)], except: Vec::new() },
        event: EventName::new(TOLD.name).expect("a name"),
        several: false,
        data: serde_json::value::RawValue::from_string(data).expect("json"),
        namespace: None,
        volatile: true,
    }
}

/// The engine lets go of a session while bytes wait for a peer that reads just enough not to stall.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_trickles_after_the_end_is_let_go() -> Seen<()> {
    let server = Server::with(|config| {
        config.realtime.stall_timeout = Duration::from_millis(400);
    });
    let mut client = blocked(&server).await?;
    client.writer.frames(&masked(0x88, &1000_u16.to_be_bytes())).await?;
    let mut every = tokio::time::interval(Duration::from_millis(100));
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut taken = 0;
    loop {
        every.tick().await;
        match client.reader.some(8_000).await? {
            0 => break,
            some => taken += some,
        }
    }
    // All of it would have taken it eight seconds.
    assert!(taken < PADDING * usize::try_from(EVENTS).expect("a number"), "{taken}");
    Ok(())
}

/// The name of the threads of the runtimes that end.
const THREAD: &str = "ends under open websockets";

/// Counts what panics from now on in this thread, and in those of that name.
fn count_panics() -> Arc<AtomicUsize> {
    let (count, own) = (Arc::<AtomicUsize>::default(), thread::current().id());
    let (counted, before) = (count.clone(), panic::take_hook());
    panic::set_hook(Box::new(move |panicked| {
        let here = thread::current();
        if here.id() == own || here.name() == Some(THREAD) {
            counted.fetch_add(1, Ordering::SeqCst);
        }
        before(panicked);
    }));
    count
}

/// Nothing panics when a runtime ends under open websockets. What panics in a task is caught where it
/// ends, and seen by the hook alone.
#[test]
fn a_runtime_may_end_under_open_websockets() {
    let panics = count_panics();
    for threads in [0, 2] {
        let mut builder = match threads {
            0 => tokio::runtime::Builder::new_current_thread(),
            _ => tokio::runtime::Builder::new_multi_thread(),
        };
        builder.worker_threads(threads.max(1)).thread_name(THREAD);
        let runtime = builder.enable_all().build().unwrap();
        let open = runtime.block_on(async {
            let server = Server::start();
            let client = blocked(&server).await?;
            let idle = Client::connected(server.address).await?;
            Seen::Ok((server, client, idle))
        });
        drop(runtime);
        assert!(open.is_ok());
        assert_eq!(panics.load(Ordering::SeqCst), 0);
    }
}
