//! What a lane writes, seen from the other end of its socket.

use std::{net::Ipv4Addr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use socketioxide::socket::Sid;

use super::*;
use crate::{
    config::Config,
    limits::AddressLimits,
    realtime::link::{Link, Links},
};

/// A lane with the engine's end of it, and the peer.
async fn lane() -> (Arc<Lane>, LaneIo, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (stream, _) = listener.accept().await.unwrap();
    let tolerance = Tolerance {
        max_pending_bytes: 1000,
        max_payload_bytes: 1000,
        stall_timeout: Duration::from_secs(5),
        farewell: ByNamespace::new(|namespace| frame::text(&["bye ", namespace.path()])),
        packets: None,
    };
    let lane = Lane::new(stream, Arc::new(tolerance));
    let address = Ipv4Addr::LOCALHOST.into();
    let limits = AddressLimits::new(&Config::for_tests().limits);
    let link = Link::new(address, 0, None, true, limits.admit(address).unwrap());
    let io = LaneIo::new(lane.clone(), &Bytes::new(), link, false);
    (lane, io, peer)
}

fn frames(texts: &[&str]) -> Vec<Bytes> {
    texts.iter().map(|text| frame::text(&[text])).collect()
}

fn send(lane: &Arc<Lane>, namespace: Namespace, frames: &[Bytes]) {
    lane.send(namespace, Run { frames, bytes: &frames.concat() });
}

/// Everything that the peer gets, to the end.
async fn got(mut peer: TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    let end = tokio::time::timeout(Duration::from_secs(5), peer.read_to_end(&mut all)).await;
    end.expect("an end").unwrap();
    all
}

#[tokio::test]
async fn frames_wait_for_connect_and_earlier_ones_are_not_for_the_next_connection() {
    let (lane, mut io, peer) = lane().await;
    lane.hold(Namespace::Root);
    send(&lane, Namespace::Root, &frames(&["of an earlier connection"]));
    lane.enter(Namespace::Root);
    send(&lane, Namespace::Root, &frames(&["a", "b"]));
    lane.send_volatile(Namespace::Root, &frames(&["volatile"])[0]);
    io.write_all(&frames(&["40{}"])[0]).await.unwrap();
    send(&lane, Namespace::Root, &frames(&["c"]));
    // The shard may hear of a connection after its CONNECT has passed.
    lane.hold(Namespace::Chat);
    io.write_all(&frames(&["40/chat,{}"])[0]).await.unwrap();
    send(&lane, Namespace::Chat, &frames(&["of an earlier connection"]));
    lane.enter(Namespace::Chat);
    send(&lane, Namespace::Chat, &frames(&["d"]));
    lane.close(None);
    let expected = [frames(&["40{}", "a", "b", "c", "40/chat,{}", "d"]), vec![frame::GOING_AWAY]];
    assert_eq!(got(peer).await, expected.concat().concat());
    assert_eq!(lane.lock().pending_bytes, 0);
}

#[tokio::test]
async fn a_lane_that_closes_does_not_say_that_it_took_what_is_volatile() {
    let (lane, mut io, _peer) = lane().await;
    lane.hold(Namespace::Root);
    lane.enter(Namespace::Root);
    io.write_all(&frames(&["40{}"])[0]).await.unwrap();
    let volatile = &frames(&["volatile"])[0];
    assert!(lane.send_volatile(Namespace::Root, volatile));
    lane.close(None);
    assert!(!lane.send_volatile(Namespace::Root, volatile));
}

#[tokio::test]
async fn last_words_wait_for_connect() {
    let (lane, _io, peer) = lane().await;
    lane.hold(Namespace::Root);
    lane.enter(Namespace::Root);
    lane.close(Some((Namespace::Root, frames(&["bye"])[0].clone())));
    assert_eq!(got(peer).await, frame::GOING_AWAY);
}

#[tokio::test]
async fn too_much_is_told_to_the_connected_only() {
    let (lane, mut io, peer) = lane().await;
    for namespace in [Namespace::Root, Namespace::Chat] {
        lane.hold(namespace);
        lane.enter(namespace);
    }
    io.write_all(&frames(&["40{}"])[0]).await.unwrap();
    send(&lane, Namespace::Chat, &frames(&[&"x".repeat(2000)]));
    let expected = [frames(&["40{}", "bye /"]), vec![frame::GOING_AWAY]];
    assert_eq!(got(peer).await, expected.concat().concat());
}

#[tokio::test]
async fn a_change_of_transport_ends_with_the_marker() {
    let (lane, mut io, peer) = lane().await;
    lane.await_marker(Namespace::Root);
    send(&lane, Namespace::Root, &frames(&["b"]));
    let marker = r#"42["\u0001",null]"#;
    io.write_all(&frames(&[r#"42["a"]"#, marker, r#"42["engine's"]"#]).concat()).await.unwrap();
    lane.close(None);
    let expected = [frames(&[r#"42["a"]"#, "b", r#"42["engine's"]"#]), vec![frame::GOING_AWAY]];
    assert_eq!(got(peer).await, expected.concat().concat());
}

#[tokio::test]
async fn what_is_read_ahead_comes_in_order_after_what_may_be_a_header() {
    let (_lane, mut io, mut peer) = lane().await;
    let sent: Vec<u8> = (0..10_000_u32).map(|n| n.to_le_bytes()[n as usize % 2]).collect();
    peer.write_all(&sent).await.unwrap();
    let mut read = Vec::new();
    let mut some = [0; 64];
    let first = io.read(&mut some).await.unwrap();
    assert!(first <= 14, "{first} bytes");
    read.extend_from_slice(&some[..first]);
    while read.len() < sent.len() {
        let more = io.read(&mut some).await.unwrap();
        assert_ne!(more, 0, "the end after {} bytes", read.len());
        read.extend_from_slice(&some[..more]);
    }
    assert_eq!(read, sent);
}

#[tokio::test]
async fn a_link_is_found_by_the_engines_id_while_its_websocket_lives() {
    let (_lane, io, _peer) = lane().await;
    let (links, sid) = (Arc::<Links>::default(), Sid::new());
    let mut io = io.known_by(Some(links.clone()));
    io.write_all(&frames(&[&format!(r#"0{{"sid":"{sid}"}}"#)])[0]).await.unwrap();
    assert!(links.get(&sid).is_some_and(|link| link.upgrade().is_some()));
    drop(io);
    assert!(links.is_empty());
}
