//! Who is shut out while they come in, while many others are, or while what they asked for waits.

use std::{sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::{SinkExt, StreamExt, future::join_all};
use rand::Rng;
use serde_json::json;
use sqlx::{Connection as _, Executor as _, PgConnection};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
};
use tokio_tungstenite::{connect_async, tungstenite::Message};

use super::{A_SECOND, REVOKED, expect_end, revoke};
use crate::support::{
    ConnectError, Options, TestApp, app::sign, chance, eventually, poll::Poll, postgres::Postgres,
    raw, within, within_time,
};

/// The key of tokens whose JWK set comes late.
const LATE_SECRET: &str = "a secret that the server has to ask for first";

/// Answers requests for a JWK set once it may; says when it is asked.
async fn late_keys(asked: Arc<Notify>, may_answer: Arc<Notify>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let source = format!("http://{}/jwks.json", listener.local_addr().expect("its address"));
    let key = URL_SAFE_NO_PAD.encode(LATE_SECRET);
    let keys = json!({ "keys": [{ "kty": "oct", "kid": "late", "alg": "HS256", "k": key }] });
    let keys = keys.to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 2048];
            let _ = stream.read(&mut request).await;
            asked.notify_one();
            may_answer.notified().await;
            may_answer.notify_one();
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close";
            let answer = format!("{head}\r\nContent-Length: {}\r\n\r\n{keys}", keys.len());
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    source
}

#[tokio::test]
async fn a_token_that_is_revoked_in_the_middle_of_its_handshake_is_refused() {
    for options in [Options::websocket(), Options::polling(), Options::websocket().protocol(3)] {
        let (asked, may_answer) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let source = late_keys(asked.clone(), may_answer.clone()).await;
        let app = TestApp::with(|config| config.auth.jwt_jwks = Some(source)).await;
        let now = stoa::clock::Clock::system().now().seconds();
        let token = |user: &str| {
            sign(&json!({ "userId": user, "iat": now - 1, "exp": now + 600 }), LATE_SECRET)
        };
        let bearer = |user: &str| format!("Bearer {}", token(user));
        let connect =
            |user: &str| app.connect(options.clone().header("authorization", &bearer(user)));
        let (alice, bob, ()) = tokio::join!(connect("alice"), connect("bob"), async {
            within_time(A_SECOND * 5, "the keys to be asked for", asked.notified()).await;
            revoke(&app, json!({ "userId": "alice" })).await;
            may_answer.notify_one();
        });
        match alice {
            Err(ConnectError::Refused { message }) => assert_eq!(message, REVOKED),
            other => panic!("{:?}", other.err()),
        }
        assert!(bob.is_ok(), "{:?}", bob.err());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_comes_in_while_they_are_shut_out_is_refused_or_closed() {
    let app = TestApp::with(|config| config.limits.enabled = false).await;
    let mut chance = chance();
    for round in 0..25 {
        let moment = Duration::from_micros(chance.random_range(0..8000));
        let user = format!("u{round}");
        let person = app.person(&user);
        let ways = [Options::websocket(), Options::polling(), Options::polling()];
        let ways = ways.iter().cycle().take(12).enumerate().map(|(n, way)| {
            let connecting = person.try_connect(way.clone());
            async move {
                let mut connected = connecting.await;
                if let Ok(tab) = connected.as_mut()
                    && n % 3 == 2
                {
                    // It goes on to a websocket, or does not come to that.
                    drop(tab.start_upgrade());
                }
                connected
            }
        });
        let shut_out = async {
            // Nothing is waited for: the moment is what is tried.
            tokio::time::sleep(moment).await;
            if round % 2 == 0 {
                revoke(&app, json!({ "userId": user })).await;
            } else {
                let answer = app.post(&format!("/api/users/{user}/block"), json!({})).await;
                assert_eq!(answer.status, 204);
            }
        };
        let (ways, ()) = tokio::join!(join_all(ways), shut_out);
        for connected in ways {
            match connected {
                // One that was connecting may be cut before it is told.
                Ok(mut tab) => drop(tab.closed_within(A_SECOND * 2).await),
                Err(ConnectError::Refused { message }) => assert_eq!(message, REVOKED),
                Err(ConnectError::Closed(_) | ConnectError::Http { status: 400 | 401, .. }) => {}
                Err(other) => panic!("{other}"),
            }
        }
        app.until_offline(&user, Duration::from_secs(10)).await;
    }
}

#[tokio::test]
async fn who_is_changing_over_is_out_too() {
    let app = TestApp::start().await;
    for protocol in [3, 4] {
        let user = format!("u{protocol}");
        let session = Poll::connected(app.address(), protocol, &app.token(&user, &[])).await;
        let url = session.url.replace("http://", "ws://").replace("=polling", "=websocket");
        let (mut websocket, _) = connect_async(url).await.expect("a websocket");
        websocket.send(Message::text("2probe")).await.expect("a probe");
        let answer = websocket.next().await.expect("an answer").expect("a frame");
        assert_eq!(answer.to_text().expect("a text"), "3probe");
        assert_eq!(app.post(&format!("/api/users/{user}/block"), json!({})).await.status, 204);
        // It may be cut by now.
        let _ = websocket.send(Message::text("5")).await;
        let _ = websocket.send(Message::text(r#"42["user-online","u"]"#)).await;
        let ended = async {
            while let Some(Ok(frame)) = websocket.next().await {
                assert!(!frame.to_string().contains("success"), "{frame}");
            }
            while session.get().await.0 == 200 {}
        };
        within_time(A_SECOND * 2, "the end", ended).await;
        app.until_offline(&user, Duration::from_secs(10)).await;
    }
}

#[tokio::test]
async fn who_is_changing_over_is_told_why_and_out_at_once() {
    let app = TestApp::start().await;
    for (n, changed) in [false, true].into_iter().enumerate() {
        let user = format!("u{n}");
        let session = Poll::connected(app.address(), 4, &app.token(&user, &[])).await;
        let url = session.url.replace("http://", "ws://").replace("=polling", "=websocket");
        let (mut websocket, _) = connect_async(url).await.expect("a websocket");
        websocket.send(Message::text("2probe")).await.expect("a probe");
        let answer = websocket.next().await.expect("an answer").expect("a frame");
        assert_eq!(answer.to_text().expect("a text"), "3probe");
        if changed {
            websocket.send(Message::text("5")).await.expect("the change");
        }
        revoke(&app, json!({ "userId": user })).await;
        if !changed {
            websocket.send(Message::text("5")).await.expect("the change");
        }
        let heard = async {
            let mut heard = Vec::new();
            while let Some(Ok(frame)) = websocket.next().await {
                heard.push(frame.to_string());
            }
            heard
        };
        // Less than the last words of who does not listen take.
        let heard = within_time(Duration::from_millis(500), "the end", heard).await;
        let told = heard.iter().any(|frame| frame.contains(r#""reason":"revoked""#));
        assert!(told, "changed: {changed}: {heard:?}");
    }
}

#[tokio::test]
async fn many_tokens_that_are_revoked_at_once_are_all_out() {
    const MANY: usize = 100;
    let app = TestApp::with(|config| config.limits.enabled = false).await;
    let mut bob = app.user("bob").await;
    let jti = |n: usize| format!("token-{n}");
    let mut tabs = Vec::new();
    for n in 0..MANY {
        let user = format!("u{}", n % 10);
        tabs.push(app.person_with(&user, json!({ "jti": jti(n) })).connect().await);
    }
    join_all((0..MANY).map(|n| revoke(&app, json!({ "jti": jti(n) })))).await;
    for tab in &mut tabs {
        expect_end(tab, "revoked").await;
    }
    bob.expect_nothing().await;
}

/// A row that another holds keeps the first message waiting, and the second one behind it.
#[tokio::test]
async fn what_waits_behind_something_else_is_not_done_for_who_is_shut_out() {
    let url = Postgres::shared().database().await;
    let app = TestApp::with(|config| config.database.url = Some(url.clone().into())).await;
    let bob = app.person("bob");
    let id = bob.talk_to("alice").await;
    let mut alice = app.user("alice").await;
    let mut holder = PgConnection::connect(&url).await.unwrap();
    holder.execute("BEGIN; SELECT * FROM conversations FOR UPDATE").await.unwrap();
    for content in ["begun", "not begun"] {
        alice.emit("message:send", json!({ "conversationId": id, "content": content }));
    }
    // Answered after them by the reader, and out of their queue.
    let waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    let begun = async || holder.fetch_optional(waiting).await.unwrap().map(drop);
    within("the first message to wait", eventually(begun)).await;
    assert_eq!(app.post("/api/users/alice/block", json!({})).await.status, 204);
    expect_end(&mut alice, "revoked").await;
    holder.execute("COMMIT").await.unwrap();
    holder.close().await.unwrap();
    let path = format!("/api/conversations/{id}/messages");
    let written = async || {
        let messages = bob.get(&path).await.ok();
        let messages = messages["items"].as_array().expect("items");
        messages.iter().map(|message| message["content"].clone()).collect::<Vec<_>>()
    };
    let begun = async || Some(written().await).filter(|contents| !contents.is_empty());
    within("the first message", eventually(begun)).await;
    // The other would come right after it.
    for _ in 0..30 {
        assert_eq!(written().await, ["begun"]);
    }
}

/// The server says that it reads a body once it knows whose it is.
#[tokio::test]
async fn whose_body_is_on_its_way_while_they_are_shut_out_is_not_heard() {
    let app = TestApp::start().await;
    let bob = app.person("bob");
    let id = bob.group(&["alice", "carol"]).await;
    let path = format!("/api/conversations/{id}/messages");
    let body = r#"{"content":"too late"}"#;
    let answers = async |user: &str, key: &str| {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Authorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             {key}Expect: 100-continue\r\n\r\n",
            app.token(user, &[]),
            body.len(),
        );
        let mut stream = TcpStream::connect(app.address()).await.expect("a connection");
        stream.write_all(head.as_bytes()).await.expect("a head");
        raw::until(&mut stream, "100 Continue").await;
        stream
    };
    let mut begun = Vec::new();
    for user in ["alice", "carol"] {
        for key in ["", "Idempotency-Key: k1\r\n"] {
            begun.push((user, answers(user, key).await));
        }
    }
    assert_eq!(app.post("/api/users/alice/block", json!({})).await.status, 204);
    revoke(&app, json!({ "userId": "carol" })).await;
    for (user, mut stream) in begun {
        stream.write_all(body.as_bytes()).await.expect("a body");
        let answer = raw::rest(&mut stream, A_SECOND * 5).await;
        let refused = if user == "alice" { "user_blocked" } else { "token_revoked" };
        assert!(answer.contains(refused), "{answer}");
    }
    let written = bob.get(&path).await.ok();
    assert_eq!(written["items"], json!([]));
}
