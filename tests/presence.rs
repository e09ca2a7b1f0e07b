//! Who is here: one announcement per change, whatever the connections do.

mod contacts;
mod since;

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Client, Options, Person, TestApp, raw};

const SHORT: Duration = Duration::from_millis(100);
const LONG: Duration = Duration::from_mins(10);

/// Users are gone as soon as their last connection is, and changes are announced at once.
async fn quick() -> TestApp {
    with(Duration::ZERO, Duration::from_millis(1)).await
}

async fn with(grace: Duration, window: Duration) -> TestApp {
    TestApp::with(|config| {
        config.presence.grace = grace;
        config.presence.window = window;
    })
    .await
}

/// Awaits that the observer hears of one user's change, and takes what it hears of others before.
async fn hears(observer: &mut Client, event: &str, user: &str) -> Vec<String> {
    let mut others = Vec::new();
    loop {
        let heard = observer.expect(event).await;
        match heard["userId"].as_str() {
            Some(id) if id == user => return others,
            id => others.push(id.expect("a userId").to_owned()),
        }
    }
}

async fn observer(app: &TestApp) -> Person {
    app.user("observer").await
}

#[tokio::test]
async fn a_user_with_many_tabs_comes_and_goes_once() {
    let app = quick().await;
    let mut eve = observer(&app).await;
    let mut tabs = Vec::new();
    for (n, namespace) in ["/", "/chat", "/marketplace", "/"].into_iter().enumerate() {
        let options = if n == 1 { Options::polling() } else { Options::websocket() };
        tabs.push(app.user_with("alice", &[], options.namespace(namespace)).await);
    }
    assert_eq!(hears(&mut eve, "user:online", "alice").await, [""; 0]);
    let here = app.presence("alice").await;
    assert_eq!((&here["status"], &here["connections"]), (&json!("online"), &json!(4)), "{here}");

    let last = tabs.pop().unwrap();
    for tab in tabs {
        tab.close().await;
    }
    let _bob = app.user("bob").await;
    assert_eq!(hears(&mut eve, "user:online", "bob").await, [""; 0], "alice came twice");
    assert!(eve.queued("user:offline").is_empty(), "alice left while one tab was open");

    last.abort().await;
    assert_eq!(hears(&mut eve, "user:offline", "alice").await, [""; 0]);
    let gone = app.presence("alice").await;
    assert_eq!((&gone["status"], &gone["connections"]), (&json!("offline"), &json!(0)), "{gone}");
    let _carol = app.user("carol").await;
    hears(&mut eve, "user:online", "carol").await;
    assert!(eve.queued("user:offline").is_empty(), "alice left twice");
}

#[tokio::test]
async fn each_dialect_hears_of_it_in_its_own_words() {
    let app = quick().await;
    let mut root = observer(&app).await;
    let mut chat = app.user_with("chat", &[], Options::websocket().namespace("/chat")).await;
    let market = Options::websocket().namespace("/marketplace");
    let mut market = app.user_with("market", &[], market).await;
    let alice = app.user("alice").await;
    for (hearer, events) in [
        (&mut root, &["user:online", "user-status-change"][..]),
        (&mut chat, &["user:online"]),
        (&mut market, &["user-status-change"]),
    ] {
        for event in events {
            hears(hearer, event, "alice").await;
        }
    }
    alice.close().await;
    hears(&mut chat, "user:offline", "alice").await;
    let mut change = market.expect("user-status-change").await;
    while change["userId"] != "alice" || change["status"] != "offline" {
        change = market.expect("user-status-change").await;
    }
    let seen = change["lastSeen"].as_str().expect("lastSeen");
    assert!(seen.ends_with('Z') && seen.len() == 24, "{seen}");
    let alice = app.presence("alice").await;
    assert_eq!(alice["lastSeen"], seen);
    assert!(chat.queued("user-status-change").is_empty());
    assert!(market.queued("user:online").is_empty());
}

#[tokio::test]
async fn a_user_does_not_hear_of_themselves() {
    let app = quick().await;
    let mut eve = observer(&app).await;
    let mut alice = app.user("alice").await;
    let _tab = app.user("alice").await;
    hears(&mut eve, "user:online", "alice").await;
    let _bob = app.user("bob").await;
    assert!(!hears(&mut alice, "user:online", "bob").await.contains(&"alice".to_owned()));
}

#[tokio::test]
async fn who_is_back_within_the_grace_was_never_away() {
    let app = with(LONG, Duration::from_millis(1)).await;
    let mut eve = observer(&app).await;
    let alice = app.user("alice").await;
    hears(&mut eve, "user:online", "alice").await;
    alice.abort().await;
    let _alice = app.user("alice").await;
    let _bob = app.user("bob").await;
    assert_eq!(hears(&mut eve, "user:online", "bob").await, [""; 0]);
    assert!(eve.queued("user:offline").is_empty());
}

#[tokio::test]
async fn who_is_gone_longer_than_the_grace_is_offline() {
    let app = with(SHORT, Duration::from_millis(1)).await;
    let mut eve = observer(&app).await;
    let alice = app.user("alice").await;
    hears(&mut eve, "user:online", "alice").await;
    alice.abort().await;
    hears(&mut eve, "user:offline", "alice").await;
    let _back = app.user("alice").await;
    hears(&mut eve, "user:online", "alice").await;
}

#[tokio::test]
async fn nothing_is_said_of_a_user_whose_state_ended_where_it_began() {
    let app = with(Duration::ZERO, Duration::from_secs(2)).await;
    let mut eve = observer(&app).await;
    // The window that holds eve's own arrival ends with this.
    let _first = app.user("first").await;
    hears(&mut eve, "user:online", "first").await;
    for _ in 0..5 {
        app.user("flicker").await.abort().await;
    }
    let _bob = app.user("bob").await;
    assert_eq!(hears(&mut eve, "user:online", "bob").await, [""; 0]);
    assert!(eve.queued("user:offline").is_empty());
}

#[tokio::test]
async fn user_online_is_announced_again_to_the_marketplace_each_time() {
    let app = quick().await;
    let market = || Options::websocket().namespace("/marketplace");
    let mut bob = app.user_with("bob", &[], market()).await;
    let mut alice = app.user_with("alice", &[], market()).await;
    hears(&mut bob, "user-status-change", "alice").await;
    for _ in 0..2 {
        let ack = alice.emit_ack("user-online", "alice").await;
        assert_eq!(ack, json!({ "success": true, "room": "user-alice" }));
        hears(&mut bob, "user-status-change", "alice").await;
    }
    assert_eq!(alice.emit_ack("user-online", "bob").await["code"], "forbidden");
}

#[tokio::test]
async fn many_users_are_asked_for_at_once() {
    let app = quick().await;
    let _alice = app.user("alice").await;
    let ask =
        async |ids: Vec<String>| app.post("/api/presence/query", json!({ "userIds": ids })).await;
    let items = ask(vec!["alice".into(), "nobody".into()]).await.ok()["items"].clone();
    let status = |id: &str| {
        let items = items.as_array().expect("items");
        items.iter().find(|item| item["userId"] == id).expect(id)["status"].clone()
    };
    assert_eq!(items.as_array().map(Vec::len), Some(2));
    assert_eq!((status("alice"), status("nobody")), (json!("online"), json!("offline")));
    let many = |count| (0..count).map(|n| format!("u{n}")).collect();
    assert_eq!(ask(many(500)).await.status, 200);
    assert_eq!(ask(many(501)).await.problem(422), "invalid_payload");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_thousand_connections_cut_right_after_connect_leave_nobody() {
    const CONNECTIONS: usize = 8_000;
    const AT_ONCE: usize = 100;
    let app = TestApp::with(|config| {
        config.limits.enabled = false;
        config.presence.grace = Duration::ZERO;
    })
    .await;
    let tokens: Vec<_> = (0..20).map(|n| app.token(&format!("ghost{n}"), &[])).collect();
    for batch in 0..CONNECTIONS / AT_ONCE {
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..AT_ONCE {
            let (address, token) = (app.address(), tokens[n % tokens.len()].clone());
            tasks.spawn(async move {
                let mut stream = raw::raw_connect(address, &token).await.expect("a websocket");
                if (batch + n) % 3 == 0 {
                    // Some are cut a moment later, when CONNECT has been answered.
                    raw::until(&mut stream, "40{").await;
                }
                raw::cut(stream);
            });
        }
        tasks.join_all().await;
    }
    for n in 0..tokens.len() {
        let user = format!("ghost{n}");
        app.until_offline(&user, Duration::from_secs(20)).await;
        assert_eq!(app.presence(&user).await["connections"], 0);
        let sockets = app.emit(json!({ "user": user }), "anyone", Value::Null).await;
        assert_eq!(sockets, 0, "{user} is still in a room");
    }
}
