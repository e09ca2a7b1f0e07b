//! Revoked tokens.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use stoa::{clock::Timestamp, config::Handshake};

use super::{A_SECOND, REVOKED, clock, erasure::until_erased, expect_end, revoke, transports};
use crate::support::{
    Options, TestApp,
    app::{API_KEY, SECRET, sign},
    poll::Poll,
};

#[tokio::test]
async fn a_revoked_user_is_out_in_every_tab_and_a_newer_token_lets_them_in() {
    let clock = clock();
    let app = TestApp::with_clock(clock.clone(), |_| {}).await;
    let alice = app.person_as("alice", &["admin"]);
    let mut all = alice.tabs().await;
    let mut bob = app.user("bob").await;
    revoke(&app, json!({ "userId": "alice" })).await;
    for tab in &mut all {
        expect_end(tab, "revoked").await;
    }
    for options in transports() {
        assert_eq!(app.refusal(options.bearer(&alice.token)).await, REVOKED);
    }
    let answer = alice.look("alice").await;
    assert_eq!(answer.problem(401), "token_revoked");
    assert_eq!(answer.body["detail"], REVOKED);
    bob.expect_nothing().await;
    // Another maker's clock may be ahead: what was made within the leeway is not told from that.
    clock.advance(A_SECOND * 6);
    assert!(app.person("alice").is_let_in().await);
    assert!(!alice.is_let_in().await);
}

#[tokio::test]
async fn one_token_is_revoked_by_its_id_and_the_users_other_tabs_stay() {
    let app = TestApp::start().await;
    let long = "j".repeat(2000);
    for jti in ["one", long.as_str(), "nul \u{0} and é"] {
        let lost = app.person_with("alice", json!({ "jti": jti }));
        let other = app.person_with("alice", json!({ "jti": "another" }));
        let mut lost_tabs = lost.tabs().await;
        let mut other_tabs = other.tabs().await;
        revoke(&app, json!({ "jti": jti })).await;
        for tab in &mut lost_tabs {
            expect_end(tab, "revoked").await;
        }
        assert!(!lost.is_let_in().await);
        for tab in &mut other_tabs {
            assert_eq!(tab.emit_ack("join-user-room", "alice").await["success"], true);
            assert_eq!(tab.queued("session:closing"), Vec::<Value>::new());
        }
        assert!(other.is_let_in().await);
    }
}

#[tokio::test]
async fn a_token_whose_user_is_named_is_out_in_their_tabs_and_others_are_not_looked_at() {
    let app = TestApp::start().await;
    let alices = app.person_with("alice", json!({ "jti": "one" }));
    let bobs = app.person_with("bob", json!({ "jti": "one" }));
    let (mut alice, mut bob) = (alices.connect().await, bobs.connect().await);
    revoke(&app, json!({ "jti": "one", "userId": "alice" })).await;
    expect_end(&mut alice, "revoked").await;
    bob.expect_nothing().await;
    assert!(!alices.is_let_in().await && bobs.is_let_in().await);
    revoke(&app, json!({ "jti": "one" })).await;
    expect_end(&mut bob, "revoked").await;
    assert!(!bobs.is_let_in().await);
}

#[tokio::test]
async fn a_token_whose_makers_clock_is_ahead_is_revoked_with_the_others_and_stays_so() {
    let clock = clock();
    let app = TestApp::with_clock(clock.clone(), |_| {}).await;
    let mut refused = Vec::new();
    for (user, path, body) in [
        ("alice", "/api/auth/revocations", json!({ "userId": "alice" })),
        ("erased", "/api/users/erased", Value::Null),
    ] {
        let now = clock.now().seconds();
        let ahead = app.person_with(user, json!({ "iat": now + 5 }));
        let mut tab = ahead.connect().await;
        let answer = match body {
            Value::Null => app.request(Method::DELETE, path, Some(API_KEY), None).await,
            body => app.post(path, body).await,
        };
        assert!(answer.status.is_success(), "{answer:?}");
        assert_eq!(tab.expect_in("/", "session:closing").await["reason"], "revoked");
        // With the end of an erasure everything that was issued by then is revoked once more.
        until_erased(&app).await;
        for _ in 0..12 {
            assert!(!ahead.is_let_in().await, "{user}, at {:?}", clock.now());
            clock.advance(A_SECOND);
        }
        refused.push(ahead);
        assert!(app.person(user).is_let_in().await, "one that is issued later");
        // What this server makes is by our clock.
        if user == "alice" {
            revoke(&app, json!({ "userId": user })).await;
            let made = app.post("/api/auth/tokens", json!({ "userId": user })).await.ok();
            let made = app.bearer(user, made["token"].as_str().expect("a token"));
            assert!(made.is_let_in().await);
        }
    }
    let app = app.restart().await;
    for ahead in refused {
        assert!(!ahead.at(&app).is_let_in().await, "after a restart");
    }
}

#[tokio::test]
async fn what_is_issued_before_a_moment_is_told_by_what_a_token_says() {
    let clock = clock();
    let app = TestApp::with_clock(clock.clone(), |_| {}).await;
    let now = clock.now().seconds();
    let said = |user: &str, iat: i64| app.person_with(user, json!({ "iat": iat }));
    let before = Timestamp::from_millis(now * 1000).to_string();
    for named in
        [json!({ "userId": "alice", "issuedBefore": before }), json!({ "issuedBefore": before })]
    {
        revoke(&app, named).await;
        for (iat, good) in [(now - 1, false), (now, true), (now + 1, true)] {
            assert_eq!(said("alice", iat).is_let_in().await, good, "{iat}");
        }
    }
    assert!(!said("bob", now - 1).is_let_in().await);
}

#[tokio::test]
async fn everyones_tokens_of_before_a_moment_are_revoked_and_api_keys_go_on() {
    let clock = clock();
    let app = TestApp::with_clock(clock.clone(), |_| {}).await;
    let (alice, operator) = (app.person("alice"), app.person_as("olga", &["admin"]));
    let mut all = alice.tabs().await;
    clock.advance(Duration::from_secs(10));
    let later = app.person("bob");
    let mut bob = later.connect().await;
    let moment = clock.now() - Duration::from_secs(5);
    let named = json!({ "issuedBefore": moment.to_string() });
    let answer = operator.post("/api/auth/revocations", named).await;
    assert_eq!(answer.status, 204, "{answer:?}");
    for tab in &mut all {
        expect_end(tab, "revoked").await;
    }
    assert!(!alice.is_let_in().await);
    assert_eq!(operator.look("alice").await.problem(401), "token_revoked");
    assert!(later.is_let_in().await);
    bob.expect_nothing().await;
    assert_eq!(app.get("/api/presence/alice").await.status, 200);
}

#[tokio::test]
async fn a_token_is_as_old_as_it_says_and_older_than_any_where_it_does_not() {
    let clock = clock();
    let app = TestApp::with_clock(clock.clone(), |_| {}).await;
    let made = async |name: &str| {
        let answer = app.post("/api/auth/tokens", json!({ "userId": name })).await.ok();
        app.bearer(name, answer["token"].as_str().expect("a token"))
    };
    let before = made("alice").await;
    clock.advance(Duration::from_millis(1));
    revoke(&app, json!({ "userId": "alice" })).await;
    // In the same second.
    let after = made("alice").await;
    assert!(!before.is_let_in().await);
    assert!(after.is_let_in().await);
    let now = clock.now().seconds();
    for (claims, good) in [
        (json!({ "iat": now }), false),
        // Its maker's clock may be ahead.
        (json!({ "iat": now + 1 }), false),
        (json!({ "iat": now + 5 }), false),
        // Milliseconds, or nothing that could be read.
        (json!({ "iat": now * 1000 }), false),
        (json!({ "iat": null }), false),
        (json!({ "iat": "now" }), false),
    ] {
        assert_eq!(app.person_with("alice", claims.clone()).is_let_in().await, good, "{claims}");
    }
    let undated = |user: &str| app.bearer(user, &sign(&json!({ "userId": user }), SECRET));
    assert!(!undated("alice").is_let_in().await);
    assert!(undated("bob").is_let_in().await);
    // What was issued before an earlier moment; the later one stays.
    revoke(&app, json!({ "userId": "alice", "issuedBefore": "2025-01-01T00:00:00Z" })).await;
    assert!(!before.is_let_in().await);
}

#[tokio::test]
async fn a_revocation_outlasts_a_restart_and_ends_with_the_tokens() {
    let clock = clock();
    let life = Duration::from_hours(1);
    let app =
        TestApp::with_clock(clock.clone(), |config| config.users.revocation_life = life).await;
    let exp = clock.now().seconds() + 100_000;
    let claims = |jti: &str| json!({ "jti": jti, "exp": exp });
    let people = [
        app.person_with("alice", claims("a")),
        app.person_with("bob", claims("b")),
        app.person_with("carol", claims("c")),
    ];
    revoke(&app, json!({ "userId": "alice" })).await;
    revoke(&app, json!({ "jti": "b" })).await;
    let soon = clock.now() + Duration::from_mins(1);
    revoke(&app, json!({ "jti": "c", "expiresAt": soon.to_string() })).await;
    let mut app = app.restart().await;
    for person in &people {
        assert!(!person.at(&app).is_let_in().await);
    }
    // With the time by which a token may be off.
    for (seconds, shut_out) in
        [(64, [true, true, true]), (2, [true, true, false]), (3600, [false; 3])]
    {
        clock.advance(Duration::from_secs(seconds));
        app = app.restart().await;
        for (person, shut_out) in people.iter().zip(shut_out) {
            assert_eq!(!person.at(&app).is_let_in().await, shut_out, "{seconds}");
        }
    }
}

#[tokio::test]
async fn who_polls_is_told_by_the_poll_and_neither_heard_nor_changed_over_any_more() {
    let app = TestApp::start().await;
    let bob = app.person("bob");
    let id = bob.talk_to("alice").await;
    for protocol in [3, 4] {
        let token = app.token_with("alice", json!({ "jti": format!("t{protocol}") }));
        let session = Poll::connected(app.address(), protocol, &token).await;
        let (heard, ()) = tokio::join!(session.until("session:closing"), async {
            revoke(&app, json!({ "jti": format!("t{protocol}") })).await;
        });
        let told = heard.iter().find(|packet| packet.contains("session:closing")).unwrap();
        assert!(told.contains(r#""reason":"revoked","retryable":false"#), "{told}");
        // It may poll once more to hear of the end; nothing that it says is done.
        let message = json!(["message:send", { "conversationId": id, "content": "late" }]);
        session.post(&format!("42{message}")).await;
        let upgrade = session.url.replace("http://", "ws://").replace("=polling", "=websocket");
        let refused = tokio_tungstenite::connect_async(upgrade).await;
        assert!(refused.is_err(), "it changed over");
        let ended = async { while session.get().await.0 == 200 {} };
        crate::support::within_time(A_SECOND * 2, "the end of the session", ended).await;
        let path = format!("/api/conversations/{id}/messages");
        let messages = bob.get(&path).await.ok();
        assert_eq!(messages["items"], json!([]));
    }
}

#[tokio::test]
async fn a_namespace_that_shows_another_token_is_not_told_that_it_is_revoked() {
    let app = TestApp::start().await;
    let ways = [Options::websocket(), Options::polling(), Options::upgrade()];
    for (way, options) in ways.into_iter().enumerate() {
        let lost = format!("lost-{way}");
        let alice = |jti: &str| app.person_with("alice", json!({ "jti": jti }));
        let mut tab = alice(&lost).connect_by(options).await;
        tab.join_namespace("/chat", &json!({ "token": alice("good").token })).await.unwrap();
        tab.join_namespace("/marketplace", &json!({ "token": alice(&lost).token })).await.unwrap();
        revoke(&app, json!({ "jti": lost })).await;
        for namespace in ["/", "/marketplace"] {
            let told = tab.expect_in(namespace, "session:closing").await;
            assert_eq!(told["reason"], "revoked", "{namespace}");
        }
        tab.closed_within(A_SECOND * 2).await;
        assert!(!tab.unread_events().contains("session:closing"));
        assert!(alice("good").is_let_in().await);
    }
}

#[tokio::test]
async fn a_socket_does_not_go_on_with_a_revoked_token() {
    let app = TestApp::start().await;
    let mut alice = app.user("alice").await;
    let revoked = app.token_with("alice", json!({ "jti": "gone" }));
    revoke(&app, json!({ "jti": "gone" })).await;
    let ack = alice.emit_ack("auth:refresh", json!({ "token": revoked })).await;
    assert_eq!((&ack["code"], &ack["error"]), (&json!("forbidden"), &json!(REVOKED)));
    alice.expect_nothing().await;
    // It is as good as its token: renewed, it hears of the end of the new one.
    let next = app.token_with("alice", json!({ "jti": "next" }));
    assert_eq!(alice.emit_ack("auth:refresh", json!({ "token": next })).await["success"], true);
    revoke(&app, json!({ "jti": "next" })).await;
    expect_end(&mut alice, "revoked").await;
}

#[tokio::test]
async fn who_is_believed_without_a_token_is_out_and_may_say_again_who_they_are() {
    let clock = clock();
    let trusting = |config: &mut stoa::config::Config| config.auth.handshake = Handshake::Trusting;
    let app = TestApp::with_clock(clock.clone(), trusting).await;
    let mut tab = app.connect(Options::websocket()).await.unwrap();
    assert_eq!(tab.emit_ack("join-user-room", "alice").await["success"], true);
    clock.advance(A_SECOND);
    revoke(&app, json!({ "userId": "alice" })).await;
    let mut tab = app.person("alice").on(tab);
    expect_end(&mut tab, "revoked").await;
    let mut tab = app.connect(Options::websocket()).await.unwrap();
    assert_eq!(tab.emit_ack("join-user-room", "alice").await["success"], true);
    assert_eq!(app.post("/api/users/alice/block", json!({})).await.status, 204);
    let mut tab = app.person("alice").on(tab);
    expect_end(&mut tab, "revoked").await;
    let mut tab = app.connect(Options::websocket()).await.unwrap();
    for event in ["join-user-room", "user-online", "join-buyer-room"] {
        assert_eq!(tab.emit_ack(event, "alice").await["code"], "forbidden", "{event}");
    }
    assert_eq!(tab.emit_ack("user-online", "bob").await["success"], true);
}

#[tokio::test]
async fn what_can_not_be_revoked_is_told() {
    let app = TestApp::with_clock(clock(), |_| {}).await;
    for (named, pointer) in [
        (json!({}), ""),
        (json!({ "userId": "a", "jti": "b", "issuedBefore": "2025-01-01T00:00:00Z" }), ""),
        (json!({ "jti": "b", "issuedBefore": "2025-01-01T00:00:00Z" }), ""),
        (json!({ "userId": "a", "expiresAt": "2025-01-01T00:00:00Z" }), "/expiresAt"),
        (json!({ "userId": "a", "issuedBefore": "2026-01-01T00:00:00Z" }), "/issuedBefore"),
        (json!({ "userId": "a", "issuedBefore": "yesterday" }), "/issuedBefore"),
        (json!({ "userId": "a b" }), "/userId"),
        (json!({ "jti": "" }), "/jti"),
        (json!({ "jti": "j".repeat(16_385) }), "/jti"),
        (json!({ "user": "a" }), "/user"),
    ] {
        let answer = app.post("/api/auth/revocations", named.clone()).await;
        assert_eq!(answer.problem(422), "invalid_payload", "{named}");
        assert_eq!(answer.body["errors"][0]["pointer"], pointer, "{named}: {answer:?}");
    }
    // `null` counts as absent.
    revoke(&app, json!({ "userId": "a", "jti": null, "issuedBefore": null })).await;
}

#[tokio::test]
async fn only_services_and_admins_revoke() {
    let app = TestApp::start().await;
    let named = || json!({ "userId": "alice" });
    let path = "/api/auth/revocations";
    for roles in [&["user"][..], &["seller", "buyer"], &[]] {
        let answer = app.person_as("alice", roles).post(path, named()).await;
        assert_eq!(answer.problem(403), "forbidden");
    }
    let narrow = Some(crate::support::app::NARROW_KEY);
    assert_eq!(
        app.request(Method::POST, path, narrow, Some(named())).await.problem(403),
        "forbidden"
    );
    assert_eq!(
        app.request(Method::POST, path, None, Some(named())).await.problem(401),
        "token_missing"
    );
    for role in ["service", "admin"] {
        assert_eq!(app.person_as("olga", &[role]).post(path, named()).await.status, 204);
    }
}

#[tokio::test]
async fn no_more_are_kept_than_may_be() {
    let app = TestApp::with(|config| config.users.max_revocations = 2).await;
    revoke(&app, json!({ "userId": "alice" })).await;
    assert_eq!(app.post("/api/users/bob/block", json!({})).await.status, 204);
    for path in ["/api/auth/revocations", "/api/users/carol/block"] {
        let body = if path.ends_with("block") { json!({}) } else { json!({ "jti": "x" }) };
        let answer = app.post(path, body).await;
        assert_eq!(answer.problem(503), "unavailable");
        assert!(answer.body["detail"].as_str().unwrap().contains("users.max_revocations"));
    }
}
