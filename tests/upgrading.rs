//! The change from polling to a websocket while events come: nothing overtakes, nothing is lost.

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use futures_util::{SinkExt, StreamExt, future::join_all};
use serde_json::json;
use tokio_tungstenite::{connect_async, tungstenite::Message};

use crate::support::{TestApp, poll::Poll, within_time};

/// Clients, half of each version of Engine.IO.
const CLIENTS: usize = 99;

/// What happens between a client and its server takes up to so long.
const LATENCY: Duration = Duration::from_millis(12);

async fn a_moment() {
    tokio::time::sleep(rand::random_range(Duration::ZERO..=LATENCY)).await;
}

/// Emits to a user's own room; the first until somebody hears it.
async fn emit(app: &TestApp, user: &str, numbers: RangeInclusive<u32>) {
    for number in numbers {
        while app.emit(json!({ "user": user }), "told", json!(number)).await == 0 {
            assert_eq!(number, 1, "{user} was there");
        }
    }
}

/// Opens a polling session, connects, and changes over without a poll in between, while events come;
/// what is heard over the websocket.
async fn change_over(app: &TestApp, protocol: u8, user: &str) -> Vec<String> {
    let session = Poll::open(app.address(), protocol, &app.token(user, &[])).await;
    if protocol == 4 {
        assert_eq!(session.post(&session.connect("/")).await, 200);
    }
    emit(app, user, 1..=3).await;
    a_moment().await;
    let url = session.url.replace("http://", "ws://").replace("=polling", "=websocket");
    let (mut websocket, _) = connect_async(url).await.expect("a websocket");
    websocket.send(Message::text("2probe")).await.expect("a probe");
    let answer = websocket.next().await.expect("an answer").expect("a frame");
    assert_eq!(answer.to_text().expect("a text"), "3probe");
    emit(app, user, 4..=5).await;
    a_moment().await;
    websocket.send(Message::text("5")).await.expect("the change");
    let hear = async {
        let mut heard = Vec::new();
        // And the CONNECT.
        while heard.len() < 11 {
            let frame = websocket.next().await.expect("a frame").expect("a frame");
            let frame = frame.to_text().expect("a text");
            // News of who else is there comes, too.
            if frame.starts_with("40") || frame.starts_with("42[\"told\"") {
                heard.push(frame.to_owned());
            }
        }
        heard
    };
    tokio::join!(hear, emit(app, user, 6..=10)).0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_emitted_to_users_who_change_over_comes_in_its_order() {
    let app = Arc::new(TestApp::with(|config| config.limits.enabled = false).await);
    let clients = (0..CLIENTS).map(|client| {
        let app = app.clone();
        tokio::spawn(async move {
            let (protocol, user) = (if client % 2 == 0 { 4 } else { 3 }, format!("u{client}"));
            (protocol, change_over(&app, protocol, &user).await)
        })
    });
    let all = within_time(Duration::from_mins(1), "all clients", join_all(clients)).await;
    for client in all {
        let (protocol, mut heard) = client.expect("no panic");
        assert!(heard.remove(0).starts_with("40"), "version {protocol}: {heard:?}");
        let events: Vec<_> = (1..=10).map(|n| format!(r#"42["told",{n}]"#)).collect();
        assert_eq!(heard, events, "version {protocol}");
    }
}
