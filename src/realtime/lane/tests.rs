//! What a lane writes, seen from the other end of its socket.

use std::time::Duration;

use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpStream},
};

use super::*;

/// A lane, and the peer.
async fn lane() -> (Arc<Lane>, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (stream, _) = listener.accept().await.unwrap();
    let tolerance = Tolerance {
        farewell: ByNamespace::new(|namespace| frame::text(&["bye ", namespace.path()])),
        ..Tolerance::for_tests()
    };
    (Lane::new(stream, Arc::new(tolerance)), peer)
}

/// The engine writes these.
fn writes(lane: &Arc<Lane>, texts: &[&str]) {
    let becomes = |_: &[u8], payload: &[u8]| match frame::marked_namespace(payload) {
        Some(namespace) => Pass::Marker(namespace),
        None => frame::connected_namespace(payload).map_or(Pass::On, Pass::Connect),
    };
    assert!(lane.pass(&frames(texts).concat(), becomes).unwrap());
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
    let (lane, peer) = lane().await;
    lane.close_gate(Namespace::Root);
    send(&lane, Namespace::Root, &frames(&["of an earlier connection"]));
    lane.register(Namespace::Root);
    send(&lane, Namespace::Root, &frames(&["a", "b"]));
    lane.send_volatile(Namespace::Root, &frames(&["volatile"])[0]);
    writes(&lane, &["40{}"]);
    send(&lane, Namespace::Root, &frames(&["c"]));
    // The shard may hear of a connection after its CONNECT has passed.
    lane.close_gate(Namespace::Chat);
    writes(&lane, &["40/chat,{}"]);
    send(&lane, Namespace::Chat, &frames(&["of an earlier connection"]));
    lane.register(Namespace::Chat);
    send(&lane, Namespace::Chat, &frames(&["d"]));
    lane.close(None);
    let expected = [frames(&["40{}", "a", "b", "c", "40/chat,{}", "d"]), vec![frame::GOING_AWAY]];
    assert_eq!(got(peer).await, expected.concat().concat());
    assert_eq!(lane.lock().pending_bytes, 0);
}

#[tokio::test]
async fn a_lane_that_closes_does_not_say_that_it_took_what_is_volatile() {
    let (lane, _peer) = lane().await;
    lane.close_gate(Namespace::Root);
    lane.register(Namespace::Root);
    writes(&lane, &["40{}"]);
    let volatile = &frames(&["volatile"])[0];
    assert!(lane.send_volatile(Namespace::Root, volatile));
    lane.close(None);
    assert!(!lane.send_volatile(Namespace::Root, volatile));
}

#[tokio::test]
async fn last_words_wait_for_connect() {
    let (lane, peer) = lane().await;
    lane.close_gate(Namespace::Root);
    lane.register(Namespace::Root);
    lane.close(Some((Namespace::Root, frames(&["bye"])[0].clone())));
    assert_eq!(got(peer).await, frame::GOING_AWAY);
}

#[tokio::test]
async fn too_much_is_told_to_the_connected_only() {
    let (lane, peer) = lane().await;
    for namespace in [Namespace::Root, Namespace::Chat] {
        lane.close_gate(namespace);
        lane.register(namespace);
    }
    writes(&lane, &["40{}"]);
    send(&lane, Namespace::Chat, &frames(&[&"x".repeat(2000)]));
    let expected = [frames(&["40{}", "bye /"]), vec![frame::GOING_AWAY]];
    assert_eq!(got(peer).await, expected.concat().concat());
}

#[tokio::test]
async fn a_change_of_transport_ends_with_the_marker() {
    let (lane, peer) = lane().await;
    lane.await_marker(Namespace::Root);
    send(&lane, Namespace::Root, &frames(&["b"]));
    let marker = r#"42["\u0001",null]"#;
    writes(&lane, &[r#"42["a"]"#, marker, r#"42["engine's"]"#]);
    lane.close(None);
    let expected = [frames(&[r#"42["a"]"#, "b", r#"42["engine's"]"#]), vec![frame::GOING_AWAY]];
    assert_eq!(got(peer).await, expected.concat().concat());
}

#[tokio::test]
async fn what_becomes_of_the_engines_frames_is_asked_as_long_as_the_lane_is_open() {
    let (lane, peer) = lane().await;
    let written = frames(&["on", "swallowed", "replaced"]).concat();
    let becomes = |_: &[u8], payload: &[u8]| match payload {
        b"swallowed" => Pass::Swallow,
        b"replaced" => Pass::Instead(frame::text(&["instead"])),
        _ => Pass::On,
    };
    assert!(lane.pass(&written, becomes).unwrap());
    lane.close(None);
    let nobody = |_: &[u8], _: &[u8]| -> Pass { unreachable!("it closes") };
    assert!(!lane.pass(&written, nobody).unwrap());
    let expected = [frames(&["on", "instead"]), vec![frame::GOING_AWAY]];
    assert_eq!(got(peer).await, expected.concat().concat());
}

#[tokio::test]
async fn the_engine_reads_while_the_lane_is_open_and_not_paused() {
    let (lane, _peer) = lane().await;
    let reader = Waker::noop();
    assert_eq!(lane.reading(reader), Reading::Open);
    lane.pause(true);
    assert_eq!(lane.reading(reader), Reading::Paused);
    lane.pause(false);
    assert_eq!(lane.reading(reader), Reading::Open);
    lane.close(None);
    assert_eq!(lane.reading(reader), Reading::Ended);
}
