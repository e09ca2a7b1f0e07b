//! What a websocket makes of what clients send: in pieces, too much, too late, or nonsense.

use std::time::Duration;

use super::{
    PAUSE, Seen, Server, Violation,
    client::{Client, Packet, masked, question},
    polling::Polling,
    within,
};
use crate::event::Namespace;

const ROOT: Namespace = Namespace::Root;

/// An event with a callback, as a frame.
fn asked(ack: u64) -> Vec<u8> {
    masked(0x81, question(ROOT, ack, PAUSE, &ack).as_bytes())
}

fn answered(ack: u64) -> Packet {
    Packet::Acknowledged(ROOT, ack, format!("[{ack}]"))
}

/// An answer that says why an event was refused.
async fn expect_refused(client: &mut Client, ack: u64, why: &str) -> Seen<()> {
    match client.next().await? {
        Packet::Acknowledged(ROOT, number, answer) if number == ack && answer.contains(why) => {
            Ok(())
        }
        other => Err(Violation::Order(format!("{other:?} for {ack}"))),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_are_heard_however_their_bytes_come() -> Seen<()> {
    let server = Server::start();
    let cut = |frame: Vec<u8>, head: u8| {
        let payload = frame[6..].to_vec();
        let (first, second) = payload.split_at(payload.len() / 2);
        // A ping stands between the two.
        let ping = masked(0x89, b"between");
        [masked(head & 0x0f, first), ping, masked(0x80, second)].concat()
    };
    for piece in [1, 2, 3, 7, 64, 100_000] {
        let mut client = Client::connected(server.address).await?;
        let mut stream = [asked(0), asked(1), masked(0x8a, b""), asked(2)].concat();
        stream.extend(cut(asked(3), 0x81));
        stream.extend(asked(4));
        for bytes in stream.chunks(piece) {
            client.writer.frames(bytes).await?;
            tokio::task::yield_now().await;
        }
        let mut pongs = 0;
        for ack in 0..5 {
            loop {
                match client.next().await? {
                    // It does not wait behind what is asked.
                    Packet::Pong(payload) if payload == b"between" => pongs += 1,
                    packet if packet == answered(ack) => break,
                    other => return Err(Violation::Order(format!("{other:?} for {ack}"))),
                }
            }
        }
        if pongs == 0 {
            client.expect(&Packet::Pong(b"between".into())).await?;
        }
        client.writer.frames(&masked(0x88, &[0x0f, 0xa0])).await?;
        client.expect(&Packet::Closed(4000)).await?;
        client.expect(&Packet::End).await?;
    }
    within("the end of all", server.realtime.empty()).await
}

/// More is sent at once than a queue holds, and than is read at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_is_heard_in_its_order() -> Seen<()> {
    const EVENTS: u64 = 5_000;
    let server = Server::start();
    let mut client = Client::connected(server.address).await?;
    let flood: Vec<u8> = (0..EVENTS).flat_map(asked).collect();
    let mut writer = client.writer;
    let sent = tokio::spawn(async move { writer.frames(&flood).await.map(|()| writer) });
    for ack in 0..EVENTS {
        let next = within("an answer", client.reader.next()).await??;
        assert_eq!(next, answered(ack));
    }
    sent.await.expect("no panic").map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn binary_events_are_refused_when_they_are_whole() -> Seen<()> {
    let server = Server::with(|config| {
        config.server.max_payload_bytes = 1000;
        config.realtime.connect_timeout = Duration::from_millis(300);
    });
    let event = r#"451-7["check:pause",{"_placeholder":true,"num":0}]"#;
    let mut client = Client::connected(server.address).await?;
    client.send(event).await?;
    client.writer.frames(&masked(0x82, &[0xff; 900])).await?;
    expect_refused(&mut client, 7, "no event takes binary data").await?;
    // Version 4 may send them as base64, too; what answers nothing is passed over.
    client.send(&event.replace("451-7", "452-8")).await?;
    client.send("bAP8=").await?;
    client.send("bAP8=").await?;
    expect_refused(&mut client, 8, "no event takes binary data").await?;
    client.send("461-3[{\"_placeholder\":true,\"num\":0}]").await?;
    client.writer.frames(&masked(0x82, &[1])).await?;
    client.writer.frames(&asked(9)).await?;
    client.expect(&answered(9)).await?;
    // Whoever is whole lives on after the time for that.
    tokio::time::sleep(Duration::from_millis(400)).await;
    client.writer.frames(&asked(10)).await?;
    client.expect(&answered(10)).await?;
    let [none, many] = [event.replace("451-", "45-"), event.replace("451-", "4511-")];
    for (first, then) in [
        // Something else comes before its attachments, or nothing.
        (event, Some(asked(9))),
        (event, None),
        // Too many, none of them announced, together too large.
        (&many, None),
        (&none, None),
        (&event.replace("451-", "452-"), Some(masked(0x82, &[0; 600]).repeat(2))),
    ] {
        let mut client = Client::connected(server.address).await?;
        client.send(first).await?;
        if let Some(then) = then {
            client.writer.frames(&then).await?;
        }
        client.expect(&Packet::Closed(1001)).await?;
    }
    // One that belongs to nothing.
    let mut client = Client::connected(server.address).await?;
    client.writer.frames(&masked(0x82, &[1])).await?;
    client.expect(&Packet::Closed(1001)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nonsense_closes_the_websocket() -> Seen<()> {
    let server = Server::start();
    let long = format!("40/{},", "x".repeat(200));
    for nonsense in [
        "",
        "7",
        "x",
        "4",
        "49",
        "45x-[]",
        "42",
        "42{}",
        "4299999999999999999999[]",
        "1",
        "b!",
        "42[null]",
        &long,
    ] {
        let mut client = Client::connected(server.address).await?;
        client.send(nonsense).await?;
        loop {
            match client.next().await? {
                // The word that goes before.
                Packet::Event(ROOT, event) if event.contains("protocol_error") => {}
                Packet::Closed(1001) => break,
                other => return Err(Violation::Order(format!("{other:?} after {nonsense:?}"))),
            }
        }
    }
    // What is for nobody is passed over.
    let mut client = Client::connected(server.address).await?;
    for nothing in ["0", "2", "3", "5", "6", "437[]", r#"42/chat,["x"]"#, "41/chat,", "41/none,"] {
        client.send(nothing).await?;
    }
    client.writer.frames(&asked(0)).await?;
    client.expect(&answered(0)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_connects_nowhere_is_closed() -> Seen<()> {
    let server = Server::with(|config| {
        config.realtime.connect_timeout = Duration::from_millis(300);
    });
    let mut idle = Client::open(server.address).await?;
    let mut refused = Client::open(server.address).await?;
    refused.send(r#"40/chat,{"token":"none"}"#).await?;
    let mut left = Client::connected(server.address).await?;
    left.send("41").await?;
    let mut stays = Client::connected(server.address).await?;
    idle.expect(&Packet::Closed(1001)).await?;
    assert!(refused.next().await.is_err(), "a refusal is none of the packets that these know");
    refused.expect(&Packet::Closed(1001)).await?;
    left.expect(&Packet::Closed(1001)).await?;
    stays.writer.frames(&asked(0)).await?;
    stays.expect(&answered(0)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_connected_keeps_little_waiting() -> Seen<()> {
    let server = Server::start();
    // The beginning of a text of 80,000 bytes.
    let large = [&[0x81, 0xff][..], &80_000_u64.to_be_bytes(), &[0; 4]].concat();
    let mut stranger = Client::open(server.address).await?;
    stranger.writer.frames(&large).await?;
    stranger.expect(&Packet::Closed(1009)).await?;
    let mut client = Client::connected(server.address).await?;
    client.writer.frames(&large).await?;
    client.writer.frames(&vec![b'x'; 80_000]).await?;
    client.expect(&Packet::Closed(1001)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_connect_to_a_namespace_takes_the_place_of_the_first() -> Seen<()> {
    let server = Server::start();
    let mut client = Client::connected(server.address).await?;
    client.connect(ROOT).await?;
    client.writer.frames(&asked(0)).await?;
    client.expect(&answered(0)).await?;
    assert_eq!(server.realtime.sockets().all().await.len(), 1);
    drop(client);
    within("the end of all", server.realtime.empty()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_answers_no_ping_is_closed_and_others_are_not() -> Seen<()> {
    let server = Server::with(|config| {
        config.realtime.ping_interval = Duration::from_millis(100);
        config.realtime.ping_timeout = Duration::from_millis(200);
    });
    let mut answers = Client::connected(server.address).await?;
    let mut silent = Client::connected(server.address).await?;
    // Version 3 pings by itself.
    let mut pings = Client::upgrade(server.address, "EIO=3", None).await?;
    pings.expect(&Packet::Open).await?;
    let mut mute = Client::upgrade(server.address, "EIO=3", None).await?;
    mute.expect(&Packet::Open).await?;
    let is_closed = async {
        // An answer to nothing is none.
        for _ in 0..100 {
            silent.send("3").await?;
        }
        assert_eq!(within("a ping", silent.reader.next()).await??, Packet::Ping);
        assert_eq!(within("the end", silent.reader.next()).await??, Packet::Closed(1001));
        Ok(())
    };
    let lives = async {
        for _ in 0..8 {
            assert_eq!(within("a ping", answers.reader.next()).await??, Packet::Ping);
            answers.send("3").await?;
        }
        Ok(())
    };
    let lives_too = async {
        for _ in 0..20 {
            pings.send("2").await?;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    };
    let is_closed_too = async {
        // `40` without an id is none of the packets that these know.
        while within("the end", mute.reader.next()).await? != Ok(Packet::Closed(1001)) {}
        Ok(())
    };
    tokio::try_join!(is_closed, lives, lives_too, is_closed_too)?;
    assert_eq!(server.realtime.sockets().all().await.len(), 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_transport_that_fails_leaves_the_session_with_its_polls() -> Seen<()> {
    let server = Server::with(|config| {
        config.realtime.upgrade_timeout = Duration::from_millis(300);
    });
    for v3 in [false, true] {
        let mut polling = Polling::connected(server.address, v3).await?;
        for what in ["1", "2", "5", "40", "2probe", ""] {
            let mut websocket = Client::upgrade(server.address, polling.query(), None).await?;
            if what.is_empty() {
                drop(websocket);
                continue;
            }
            websocket.send(what).await?;
            if what == "2probe" {
                websocket.expect(&Packet::Probed).await?;
                // Another one may not come between.
                let mut other = Client::upgrade(server.address, polling.query(), None).await?;
                other.send("2probe").await?;
                other.expect(&Packet::Closed(1001)).await?;
            }
            websocket.expect(&Packet::Closed(1001)).await?;
        }
        let ack = polling.ask(ROOT, PAUSE, &0).await?;
        polling.expect(&Packet::Acknowledged(ROOT, ack, "[0]".into())).await?;
        let mut websocket = polling.upgrade().await?;
        websocket.asked(ROOT, PAUSE, &1).await?;
        // Nothing is left that a poll could be for.
        assert!(!polling.poll_status().await?.is_success());
        assert!(!polling.post_status("41").await?.is_success());
        websocket.asked(ROOT, PAUSE, &2).await?;
    }
    Ok(())
}
