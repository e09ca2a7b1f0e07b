//! Refresh tokens: each serves once, and one that is shown again ends its sign-in.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use stoa::clock::{Clock, Timestamp};

use super::{
    SignedIn, expect_revoked, login, post, register, start, try_refresh, with, with_clock,
};
use crate::support::{Options, TestApp, within_time};

async fn refreshed(app: &TestApp, before: &SignedIn) -> SignedIn {
    let answer = try_refresh(app, before.refresh()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    SignedIn::of(answer)
}

#[tokio::test]
async fn each_refresh_token_gives_the_next_tokens() {
    let app = start().await;
    let first = register(&app, "ada@example.org").await;
    let mut last = refreshed(&app, &first).await;
    for _ in 0..3 {
        let next = refreshed(&app, &last).await;
        assert_eq!(next.body["user"], first.body["user"]);
        assert_ne!(next.refresh(), last.refresh());
        assert_ne!(next.access(), last.access());
        last = next;
    }
    assert!(first.is_in(&app).await && last.is_in(&app).await, "until they end by themselves");
}

#[tokio::test]
async fn a_refresh_token_that_is_shown_again_ends_its_sign_in_and_closes_its_sockets() {
    let app = start().await;
    let first = register(&app, "ada@example.org").await;
    let other = login(&app, "ada@example.org").await;
    let bob = register(&app, "bob@example.org").await;
    let second = refreshed(&app, &first).await;
    let mut sockets = Vec::new();
    for signed_in in [&first, &second] {
        for options in [Options::websocket(), Options::polling(), Options::upgrade()] {
            sockets.push(signed_in.socket(&app, options).await);
        }
    }
    let mut stays = other.socket(&app, Options::websocket()).await;

    let reused = try_refresh(&app, first.refresh()).await;
    assert_eq!(reused.problem(401), "refresh_token_reused");
    within_time(Duration::from_secs(1), "the sockets of it to close", async {
        for socket in &mut sockets {
            expect_revoked(socket).await;
        }
    })
    .await;
    assert!(!first.is_in(&app).await && !second.is_in(&app).await);
    for gone in [first.refresh(), second.refresh()] {
        assert_eq!(try_refresh(&app, gone).await.problem(401), "refresh_token_invalid");
    }
    assert_eq!(stays.emit_ack("join-user-room", other.id()).await["success"], true);
    assert!(other.is_in(&app).await && bob.is_in(&app).await);
    let other = refreshed(&app, &other).await;
    let app = app.restart().await;
    assert!(!second.is_in(&app).await && other.is_in(&app).await, "after a restart, too");
    refreshed(&app, &other).await;
}

#[tokio::test]
async fn of_many_that_refresh_with_one_token_at_once_one_is_answered_and_all_of_it_ends() {
    let app = start().await;
    let first = register(&app, "ada@example.org").await;
    let answers = join_all((0..20).map(|_| try_refresh(&app, first.refresh()))).await;
    let served: Vec<_> = answers.into_iter().filter(|answer| answer.status == 200).collect();
    assert_eq!(served.len(), 1, "{served:?}");
    let next = SignedIn::of(served.into_iter().next().expect("one"));
    assert!(!next.is_in(&app).await && !first.is_in(&app).await);
    assert_eq!(try_refresh(&app, next.refresh()).await.problem(401), "refresh_token_invalid");
    assert!(login(&app, "ada@example.org").await.is_in(&app).await);
}

#[tokio::test]
async fn what_is_no_refresh_token_is_refused_and_ends_nothing() {
    let app = start().await;
    let ada = register(&app, "ada@example.org").await;
    let (key, turn) = ada.refresh().split_once('.').expect("two parts");
    for none in ["", "x", ada.access(), key, &format!("{turn}.{key}"), &format!("{key}.{turn}x")] {
        let answer = try_refresh(&app, &none[..none.len().min(200)]).await;
        assert_eq!(answer.problem(401), "refresh_token_invalid", "{none}");
    }
    let long = try_refresh(&app, &"x".repeat(201)).await;
    assert_eq!(long.problem(422), "invalid_payload");
    let other = post(&app, "/api/auth/refresh", &json!({ "token": ada.refresh() })).await;
    assert_eq!(other.problem(422), "invalid_payload");
    refreshed(&app, &ada).await;
}

#[tokio::test]
async fn tokens_end_by_themselves() {
    let clock = Clock::manual(Timestamp::from_millis(1_764_000_000_000));
    let app = with_clock(clock.clone(), |config| {
        config.accounts.access_ttl = Duration::from_mins(1);
        config.accounts.refresh_ttl = Duration::from_mins(10);
    })
    .await;
    let ada = register(&app, "ada@example.org").await;
    assert_eq!(ada.text("expiresAt"), "2025-11-24T16:01:00.000Z");
    clock.advance(Duration::from_secs(66));
    let late = ada.get(&app, "/api/auth/me").await;
    assert_eq!(late.problem(401), "token_expired");
    clock.advance(Duration::from_mins(8));
    let ada = refreshed(&app, &ada).await;
    assert!(ada.is_in(&app).await);
    clock.advance(Duration::from_mins(9));
    let ada = refreshed(&app, &ada).await;
    clock.advance(Duration::from_mins(10));
    assert_eq!(try_refresh(&app, ada.refresh()).await.problem(401), "refresh_token_invalid");
    assert_eq!(try_refresh(&app, ada.refresh()).await.problem(401), "refresh_token_invalid");
}

#[tokio::test]
async fn of_too_many_sign_ins_the_one_ends_that_was_idle_the_longest() {
    let clock = Clock::manual(Timestamp::from_millis(1_764_000_000_000));
    let app = with_clock(clock.clone(), |config| config.accounts.sign_ins = 2).await;
    let first = register(&app, "ada@example.org").await;
    clock.advance(Duration::from_secs(1));
    let second = login(&app, "ada@example.org").await;
    clock.advance(Duration::from_secs(1));
    let first = refreshed(&app, &first).await;
    clock.advance(Duration::from_secs(1));
    let third = login(&app, "ada@example.org").await;
    assert_eq!(try_refresh(&app, second.refresh()).await.problem(401), "refresh_token_invalid");
    for stays in [first, third] {
        refreshed(&app, &stays).await;
    }
}

#[tokio::test]
async fn what_ends_for_another_sign_in_ends_with_its_access_token_and_its_sockets() {
    let app = with(|config| config.accounts.sign_ins = 1).await;
    let first = register(&app, "ada@example.org").await;
    let mut socket = first.socket(&app, Options::websocket()).await;
    let second = login(&app, "ada@example.org").await;
    super::expect_revoked(&mut socket).await;
    assert!(!first.is_in(&app).await && second.is_in(&app).await);
    let app = app.restart().await;
    assert!(!first.is_in(&app).await && second.is_in(&app).await);
}

#[tokio::test]
async fn what_is_kept_of_tokens_and_passwords_shows_none_of_them() {
    // The file itself is looked into.
    let app = with(|config| config.database.url = None).await;
    let ada = register(&app, "ada@example.org").await;
    let reset = app.post("/api/auth/password-resets", json!({ "email": "ada@example.org" })).await;
    let reset = reset.ok()["resetToken"].as_str().expect("a token").to_owned();
    let database = app.database();
    database.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").expect("one file");
    let path = database.path().expect("a path").to_owned();
    let file = std::fs::read(path).expect("the file");
    let holds = |text: &str| file.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("ada@example.org") && holds("$argon2id$v=19$m=64,t=1,p=1$"));
    let (key, turn) = ada.refresh().split_once('.').expect("two parts");
    let jwt = ada.access().rsplit('.').next().expect("a signature");
    for secret in [super::PASSWORD, key, turn, jwt, &reset] {
        assert!(!holds(secret), "{secret}");
    }
}

#[tokio::test]
async fn a_sign_in_of_before_what_was_revoked_is_out_however_often_it_was_refreshed_since() {
    let clock = Clock::manual(Timestamp::from_millis(1_764_000_000_000));
    let app = with_clock(clock.clone(), |_| {}).await;
    let ada = register(&app, "ada@example.org").await;
    let stolen = login(&app, "ada@example.org").await;
    clock.advance(Duration::from_mins(10));
    let moment = clock.now();
    let newer = login(&app, "ada@example.org").await;
    clock.advance(Duration::from_mins(10));
    let refreshed_since = [refreshed(&app, &ada).await, refreshed(&app, &stolen).await];
    let mut socket = refreshed_since[1].socket(&app, Options::websocket()).await;
    let newer = refreshed(&app, &newer).await;
    let revoke = json!({ "userId": ada.id(), "issuedBefore": moment.to_string() });
    assert_eq!(app.post("/api/auth/revocations", revoke).await.status, 204);
    expect_revoked(&mut socket).await;
    for out in &refreshed_since {
        assert!(!out.is_in(&app).await);
        assert_eq!(try_refresh(&app, out.refresh()).await.problem(401), "token_revoked");
    }
    assert!(newer.is_in(&app).await);
    refreshed(&app, &newer).await;
}
