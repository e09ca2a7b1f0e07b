//! Several connections over one websocket: each namespace begins, ends and begins again by itself.

use std::sync::Arc;

use tokio::sync::Notify;

use super::{
    DEADLINE, JOIN, PAUSE, Seen, Server, TOLD, Told, Violation, WAIT,
    client::{Client, Packet, masked},
    room, within,
};
use crate::{
    event::{ByNamespace, EventName, Namespace},
    realtime::{ExternalEvent, Target, events::ClosingReason},
};

/// Waits until the engine has done with its last CONNECT: it ignores another one until then, though
/// it has sent the answer. `others` are the tasks there were before the websocket.
async fn settle(others: usize) -> Seen<()> {
    // The engine's reader, writer and heartbeat.
    const OF_A_WEBSOCKET: usize = 3;
    let settled = async {
        while tasks() > others + OF_A_WEBSOCKET {
            tokio::task::yield_now().await;
        }
    };
    within("the engine", settled).await
}

fn tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

/// What an official client sends for `socket.disconnect().connect()` while another namespace keeps
/// the transport open.
async fn reconnect(client: &mut Client) -> Seen<()> {
    let both = [masked(0x81, b"41/chat,"), masked(0x81, b"40/chat,")].concat();
    client.writer.frames(&both).await?;
    loop {
        match client.next().await? {
            Packet::Connected(Namespace::Chat) => return Ok(()),
            // It was on its way to the earlier connection.
            Packet::Event(Namespace::Chat, _) => {}
            other => return Err(Violation::Order(format!("{other:?} before CONNECT"))),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_that_is_left_and_entered_again_at_once_is_connected() -> Seen<()> {
    let server = Server::start();
    let others = tasks();
    let mut client = Client::connected(server.address).await?;
    client.connect(Namespace::Chat).await?;
    for _ in 0..300 {
        settle(others).await?;
        reconnect(&mut client).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_an_earlier_connection_reaches_the_next_one() -> Seen<()> {
    let server = Arc::new(Server::start());
    let begin = Arc::new(Notify::new());
    let telling = tokio::spawn({
        let (server, begin) = (server.clone(), begin.clone());
        async move {
            loop {
                begin.notified().await;
                for number in 0..100 {
                    server.tell(&room(1), number, "");
                }
            }
        }
    });
    let others = tasks();
    let mut client = Client::connected(server.address).await?;
    client.connect(Namespace::Chat).await?;
    for _ in 0..300 {
        client.asked(Namespace::Chat, JOIN, &room(1)).await?;
        settle(others).await?;
        begin.notify_one();
        reconnect(&mut client).await?;
        let (before, _) = client.asked(Namespace::Chat, PAUSE, &0).await?;
        if !before.is_empty() {
            return Err(Violation::Order(format!("{before:?} after a new CONNECT")));
        }
    }
    telling.abort();
    Ok(())
}

/// As a websocket's server says it (RFC 6455, section 7.4.1).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_close_frame_says_what_a_client_did_wrong() -> Seen<()> {
    let server = Server::with(|config| config.server.max_payload_bytes = 1000);
    let large = "x".repeat(1001);
    let frames = [
        (1002, vec![0x81, 1, b'2']),
        (1002, masked(0xc1, b"2")),
        (1002, masked(0x83, b"2")),
        (1002, masked(0x80, b"2")),
        (1007, masked(0x81, b"42[\"\xff\"]")),
        (1009, masked(0x81, large.as_bytes())),
        (1009, masked(0x82, large.as_bytes())),
    ];
    for (status, frame) in frames {
        let mut client = Client::connected(server.address).await?;
        client.writer.frames(&frame).await?;
        client.expect(&Packet::Closed(status)).await?;
        client.expect(&Packet::End).await?;
    }
    within("the end of all", server.realtime.empty()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ping_of_the_websocket_is_answered_whatever_it_carries() -> Seen<()> {
    let server = Server::start();
    for query in ["EIO=4", "EIO=3"] {
        let mut client = Client::upgrade(server.address, query, None).await?;
        client.expect(&Packet::Open).await?;
        if query == "EIO=3" {
            client.expect_connected(Namespace::Root).await?;
        }
        for text in ["", "2", "40", "3probe", r#"42["\u0001",null]"#, r#"44{"message":"x"}"#] {
            client.writer.frames(&masked(0x89, text.as_bytes())).await?;
            client.expect(&Packet::Pong(text.into())).await?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_namespace_that_keeps_up_does_not_let_another_overflow() -> Seen<()> {
    const ASKED: usize = 400;
    let server = Server::start();
    let mut client = Client::connected(server.address).await?;
    client.connect(Namespace::Chat).await?;
    for number in 0..ASKED {
        client.ask(Namespace::Root, WAIT, &number).await?;
        client.ask(Namespace::Chat, WAIT, &number).await?;
    }
    let mut answered = ByNamespace::<usize>::default();
    let both = |of: &ByNamespace<usize>| [of[Namespace::Root], of[Namespace::Chat]];
    server.open_gate(Namespace::Chat, ASKED);
    while both(&answered) != [ASKED, ASKED] {
        match client.next().await? {
            Packet::Acknowledged(namespace, _, answer) => {
                let next = &mut answered[namespace];
                if answer != format!("[{next}]") {
                    return Err(Violation::Order(format!("{answer} instead of {next}")));
                }
                *next += 1;
                // By now `/` holds up the reading of both.
                if both(&answered) == [0, 10] {
                    server.open_gate(Namespace::Root, ASKED);
                }
            }
            other => return Err(Violation::Order(format!("{other:?} after {answered:?}"))),
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_connects_while_the_server_drains_is_let_go() -> Seen<()> {
    let server = Server::start();
    let mut late = Client::open(server.address).await?;
    server.realtime.drain(std::time::Duration::from_millis(100)).await;
    late.send("40").await?;
    let mut connected = false;
    loop {
        match late.next().await? {
            Packet::Connected(Namespace::Root) => connected = true,
            Packet::Event(_, event) if connected && event.contains("draining") => {}
            Packet::Closed(1001) => break,
            other => return Err(Violation::Order(format!("{other:?}"))),
        }
    }
    within("the last connection's end", server.realtime.empty()).await
}

/// A room that some events reach together with another room, and others alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_has_one_order_also_when_events_go_to_several_rooms() -> Seen<()> {
    const EACH: usize = 3000;
    let server = Server::start();
    let mut members = Vec::new();
    for _ in 0..6 {
        let mut member = Client::connected(server.address).await?;
        member.asked(Namespace::Root, JOIN, &room(2)).await?;
        members.push(member);
    }
    let publish = |rooms: Vec<u64>, first: usize| {
        let emitter = server.realtime.emitter().clone();
        tokio::spawn(async move {
            for number in first..first + EACH {
                let data = format!("{{\"number\":{number},\"padding\":\"\"}}");
                let emit = ExternalEvent {
                    id: crate::id::Ids.next(),
                    to: Target::Rooms {
                        rooms: rooms.iter().copied().map(room).collect(),
                        except: Vec::new(),
                    },
                    event: EventName::new(TOLD.name).expect("a name"),
                    several: false,
                    data: serde_json::value::RawValue::from_string(data).expect("json"),
                    namespace: None,
                    volatile: false,
                };
                emitter.emit(emit).await;
            }
        })
    };
    let publishers =
        [publish(vec![1, 2], 0), publish(vec![3, 2], 10_000), publish(vec![2], 20_000)];
    let readers = members.into_iter().map(|mut member| {
        tokio::spawn(async move {
            let mut heard = Vec::new();
            while heard.len() < 3 * EACH {
                match member.next().await? {
                    Packet::Event(_, event) => heard.push(event),
                    other => return Err(Violation::Order(format!("{other:?}"))),
                }
            }
            Ok(heard)
        })
    });
    let readers = futures_util::future::join_all(readers.collect::<Vec<_>>());
    let heard = tokio::time::timeout(2 * DEADLINE, readers).await;
    let heard = heard.map_err(|_| Violation::Lost("waited for the room".into()))?;
    let heard: Vec<Vec<String>> =
        heard.into_iter().map(|reader| reader.expect("no panic")).collect::<Seen<_>>()?;
    for publisher in publishers {
        publisher.await.expect("no panic");
    }
    if heard.iter().any(|other| *other != heard[0]) {
        return Err(Violation::Order("members heard a room in different orders".into()));
    }
    Ok(())
}

/// In one thread all that is asked here is one batch of the shard.
#[tokio::test]
async fn what_was_said_in_one_namespace_arrives_before_another_closes_the_websocket() -> Seen<()> {
    let server = Server::start();
    let mut client = Client::connected(server.address).await?;
    client.connect(Namespace::Chat).await?;
    client.asked(Namespace::Root, JOIN, &room(1)).await?;
    client.asked(Namespace::Chat, JOIN, &room(2)).await?;
    let in_chat = server.realtime.sockets().in_room(&room(2)).await;
    for number in 0..2 {
        server.tell(&room(1), number, "");
    }
    in_chat[0].close(ClosingReason::Revoked);
    for number in 0..2 {
        let told = Told { number, padding: String::new() };
        let event = serde_json::to_string(&(TOLD.name, told)).expect("json");
        client.expect(&Packet::Event(Namespace::Root, event)).await?;
    }
    match client.next().await? {
        Packet::Event(Namespace::Chat, event) if event.contains("revoked") => {}
        other => return Err(Violation::Order(format!("{other:?} before the end"))),
    }
    client.expect(&Packet::Closed(1001)).await
}
