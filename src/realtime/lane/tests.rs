//! What a lane writes, seen from the other end of its socket.

use std::{future::poll_fn, time::Duration};

use futures_util::FutureExt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
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

fn frames(texts: &[&str]) -> Vec<Bytes> {
    texts.iter().map(|text| frame::text(&[text])).collect()
}

fn send(lane: &Arc<Lane>, frames: &[Bytes]) {
    lane.send(Run { frames, bytes: &frames.concat() });
}

/// Everything that the peer gets, to the end.
async fn got(mut peer: TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    let end = tokio::time::timeout(Duration::from_secs(5), peer.read_to_end(&mut all)).await;
    end.expect("an end").unwrap();
    all
}

#[tokio::test]
async fn what_is_sent_arrives_in_order_and_behind_it_the_end() {
    let (lane, peer) = lane().await;
    send(&lane, &frames(&["a", "b"]));
    lane.send((&frames(&["c"])[0]).into());
    lane.close(None);
    send(&lane, &frames(&["too late"]));
    let expected = [frames(&["a", "b", "c"]), vec![frame::GOING_AWAY]];
    assert_eq!(got(peer).await, expected.concat().concat());
    assert_eq!(lane.lock().pending_bytes, 0);
}

#[tokio::test]
async fn a_lane_that_closes_does_not_say_that_it_took_what_is_volatile() {
    let (lane, _peer) = lane().await;
    let volatile = &frames(&["volatile"])[0];
    assert!(lane.send_volatile(volatile));
    lane.close(None);
    assert!(!lane.send_volatile(volatile));
}

#[tokio::test]
async fn last_words_are_for_the_connected() {
    for is_connected in [false, true] {
        let (lane, peer) = lane().await;
        let bye = &frames(&["bye"])[0];
        lane.open(Namespace::Root);
        lane.begin(Namespace::Root);
        if is_connected {
            lane.open(Namespace::Root);
        }
        lane.close(Some((Namespace::Root, bye.clone())));
        let told = if is_connected {
            [&bye[..], &frame::GOING_AWAY].concat()
        } else {
            frame::GOING_AWAY.into()
        };
        assert_eq!(got(peer).await, told);
    }
}

#[tokio::test]
async fn too_much_is_told_to_the_connected_only() {
    let (lane, peer) = lane().await;
    lane.open(Namespace::Root);
    {
        // Nothing of it fits into the socket.
        let mut state = lane.lock();
        state.append(&frames(&[&"x".repeat(2000)]), 0);
        lane.check_pending(&mut state);
    }
    let expected = [frames(&["bye /"]), vec![frame::GOING_AWAY]];
    assert_eq!(got(peer).await, expected.concat().concat());
}

#[tokio::test]
async fn a_ping_is_answered_once_and_in_its_time() {
    let (lane, _peer) = lane().await;
    assert_eq!(lane.pong(), None, "nobody asked");
    assert_eq!(lane.ping(1), None, "it is not its beat");
    let asked = lane.ping(0).unwrap();
    assert!(lane.is_at(asked), "it was not answered");
    let answered = lane.pong().unwrap();
    assert!(!lane.is_at(asked));
    assert_eq!(lane.pong(), None);
    assert!(lane.ping(answered).is_some());
    lane.close(None);
    assert_eq!(lane.pong(), None);
    lane.heard(u32::MAX);
    assert_eq!(lane.silent_for(9), None);
}

#[tokio::test]
async fn silence_is_counted_over_the_end_of_numbers() {
    let (lane, _peer) = lane().await;
    lane.heard(u32::MAX);
    assert_eq!(lane.silent_for(9), Some(Duration::from_millis(10)));
}

#[tokio::test]
async fn it_is_read_while_the_lane_is_open_and_not_paused() {
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

#[tokio::test]
async fn a_socket_that_was_emptied_is_not_asked_before_more_has_come_nor_is_its_end_missed() {
    let (lane, mut peer) = lane().await;
    let mut bytes = [0; 4];
    for sent in ["abc", "abcdefgh", "z"] {
        peer.write_all(sent.as_bytes()).await.unwrap();
        let mut heard = String::new();
        while heard.len() < sent.len() {
            poll_fn(|cx| lane.poll_read_ready(cx)).await.unwrap();
            match lane.try_read_once(&mut bytes) {
                Ok(read) => heard += str::from_utf8(&bytes[..read]).unwrap(),
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
        }
        assert_eq!(heard, sent);
        let is_asked = poll_fn(|cx| lane.poll_read_ready(cx)).now_or_never().is_some();
        // A buffer that was filled says nothing of what is left.
        assert_eq!(is_asked, sent.len() % bytes.len() == 0, "{sent}");
    }
    peer.write_all(b"end").await.unwrap();
    drop(peer);
    let mut read = Vec::new();
    while read.last() != Some(&0) {
        poll_fn(|cx| lane.poll_read_ready(cx)).await.unwrap();
        read.extend(lane.try_read_once(&mut bytes).ok());
    }
    assert_eq!(read.iter().sum::<usize>(), 3);
}
