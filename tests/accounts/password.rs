//! A new password: by the old one, or by a token for that.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use stoa::{
    clock::{Clock, Timestamp},
    config::RatePerMinute,
};

use super::{
    PASSWORD, SignedIn, expect_revoked, login, post, register, start, try_login, try_refresh, with,
    with_clock,
};
use crate::support::{Options, TestApp, app::Answer};

const NEW: &str = "a staple of a horse";

async fn change(app: &TestApp, by: &SignedIn, old: &str) -> Answer {
    let body = json!({ "oldPassword": old, "newPassword": NEW });
    by.post(app, "/api/auth/password", body).await
}

async fn ask_reset(app: &TestApp, email: &str) -> Answer {
    app.post("/api/auth/password-resets", json!({ "email": email })).await
}

async fn token_for(app: &TestApp, email: &str) -> String {
    let answer = ask_reset(app, email).await;
    assert_eq!(
        (answer.status.as_u16(), answer.headers["cache-control"].as_bytes()),
        (201, &b"no-store"[..])
    );
    answer.body["resetToken"].as_str().expect("a token").to_owned()
}

async fn reset(app: &TestApp, token: &str) -> Answer {
    let body = json!({ "resetToken": token, "newPassword": NEW });
    post(app, "/api/auth/password", &body).await
}

#[tokio::test]
async fn a_new_password_ends_every_other_sign_in_and_closes_its_sockets() {
    let app = start().await;
    let ada = register(&app, "ada@example.org").await;
    let other = login(&app, "ada@example.org").await;
    let bob = register(&app, "bob@example.org").await;
    let unused = token_for(&app, "ada@example.org").await;
    let mut own = ada.socket(&app, Options::websocket()).await;
    let mut others = [
        other.socket(&app, Options::websocket()).await,
        other.socket(&app, Options::polling()).await,
    ];
    // Of a token that a backend made for her.
    let made = app.token(ada.id(), &[]);
    let mut foreign = app.connect(Options::websocket().token(&made)).await.unwrap();

    let changed = change(&app, &ada, PASSWORD).await;
    assert_eq!(changed.status, 204, "{changed:?}");
    for socket in &mut others {
        expect_revoked(socket).await;
    }
    foreign.expect("session:closing").await;
    foreign.closed().await;
    assert!(!other.is_in(&app).await && bob.is_in(&app).await);
    assert_eq!(try_refresh(&app, other.refresh()).await.problem(401), "refresh_token_invalid");
    // Hers goes on.
    assert_eq!(own.emit_ack("join-user-room", ada.id()).await["success"], true);
    assert!(ada.is_in(&app).await);
    let next = SignedIn::of(try_refresh(&app, ada.refresh()).await);
    assert!(next.is_in(&app).await);

    assert_eq!(
        try_login(&app, "ada@example.org", PASSWORD).await.problem(401),
        "credentials_invalid"
    );
    assert!(SignedIn::of(try_login(&app, "ada@example.org", NEW).await).is_in(&app).await);
    assert_eq!(reset(&app, &unused).await.problem(422), "reset_token_invalid");
}

#[tokio::test]
async fn the_old_password_is_asked_for_and_may_not_be_guessed_without_end() {
    let app = with(|config| {
        config.limits.enabled = true;
        config.limits.logins = RatePerMinute { per_minute: 1, burst: 3 };
    })
    .await;
    let ada = register(&app, "ada@example.org").await;
    for _ in 0..3 {
        let wrong = change(&app, &ada, "wrong horse battery").await;
        assert_eq!(wrong.problem(422), "password_wrong");
        assert_eq!(wrong.body["errors"][0]["pointer"], "/oldPassword");
    }
    assert_eq!(change(&app, &ada, PASSWORD).await.problem(429), "rate_limited");
    assert!(ada.is_in(&app).await);
}

#[tokio::test]
async fn of_two_changes_at_once_one_is_made() {
    let app = start().await;
    let ada = register(&app, "ada@example.org").await;
    let answers = join_all((0..5).map(|_| change(&app, &ada, PASSWORD))).await;
    let done = answers.iter().filter(|answer| answer.status == 204).count();
    assert_eq!(done, 1, "{answers:?}");
    for refused in answers.iter().filter(|answer| answer.status != 204) {
        assert!([409, 422].contains(&refused.status.as_u16()), "{refused:?}");
    }
}

#[tokio::test]
async fn who_may_not_change_a_password_is_told_why() {
    let app = start().await;
    let ada = register(&app, "ada@example.org").await;
    let both = json!({ "oldPassword": PASSWORD, "resetToken": "x", "newPassword": NEW });
    for body in [both, json!({ "newPassword": NEW })] {
        let answer = ada.post(&app, "/api/auth/password", body).await;
        assert_eq!(answer.problem(422), "invalid_payload");
        assert_eq!(answer.body["errors"].as_array().map(Vec::len), Some(2));
    }
    let short = json!({ "oldPassword": PASSWORD, "newPassword": "7 chars" });
    let answer = ada.post(&app, "/api/auth/password", short).await;
    assert_eq!(answer.body["errors"][0]["pointer"], "/newPassword", "{answer:?}");
    let body = json!({ "oldPassword": PASSWORD, "newPassword": NEW });
    let nobody = post(&app, "/api/auth/password", &body).await;
    assert_eq!(nobody.problem(401), "token_missing");
    let answer = app.person("ann").post("/api/auth/password", body).await;
    assert_eq!(answer.problem(409), "no_account");
    for by in [ada.person(&app), app.person_as("ann", &["admin"])] {
        let ask = json!({ "email": "ada@example.org" });
        let answer = by.post("/api/auth/password-resets", ask).await;
        assert_eq!(answer.status, 403, "{answer:?}");
    }
    let ask = json!({ "email": "ada@example.org" });
    assert_eq!(post(&app, "/api/auth/password-resets", &ask).await.problem(401), "token_missing");
    assert_eq!(ask_reset(&app, "ada").await.problem(422), "invalid_payload");
    // Neither is another's, in letters that look or compare alike.
    for email in ["ada@e\u{445}ample.org", "a\u{200b}da@example.org", "\u{ff41}da@example.org"] {
        assert_eq!(ask_reset(&app, email).await.problem(422), "invalid_payload", "{email}");
    }
    assert!(login(&app, "ada@example.org").await.is_in(&app).await);
}

#[tokio::test]
async fn a_reset_is_for_the_address_that_was_written_and_no_other_that_becomes_it() {
    let app = start().await;
    register(&app, "mike@example.org").await;
    let kelvin = "mi\u{212a}e@example.org";
    let answer = ask_reset(&app, kelvin).await;
    assert_eq!(answer.problem(422), "invalid_payload");
    assert_eq!(answer.body["errors"][0]["pointer"], "/email");
    assert_eq!(try_login(&app, kelvin, PASSWORD).await.problem(422), "invalid_payload");
}

#[tokio::test]
async fn a_reset_token_sets_a_new_password_once_and_ends_every_sign_in() {
    let app = start().await;
    let ada = register(&app, "ada@example.org").await;
    let socket = ada.socket(&app, Options::websocket()).await;
    let (token, second) =
        (token_for(&app, "ADA@example.org").await, token_for(&app, "ada@example.org").await);
    let app = {
        socket.close().await;
        app.restart().await
    };
    let mut socket = ada.socket(&app, Options::websocket()).await;
    let answers = join_all((0..5).map(|_| reset(&app, &token))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 204).count(), 1, "{answers:?}");
    for refused in answers.iter().filter(|answer| answer.status != 204) {
        assert_eq!(refused.problem(422), "reset_token_invalid");
        assert_eq!(refused.body["errors"][0]["pointer"], "/resetToken");
    }
    assert_eq!(reset(&app, &second).await.problem(422), "reset_token_invalid");
    expect_revoked(&mut socket).await;
    assert!(!ada.is_in(&app).await);
    assert_eq!(try_refresh(&app, ada.refresh()).await.problem(401), "refresh_token_invalid");
    assert_eq!(try_login(&app, "ada@example.org", PASSWORD).await.status, 401);
    let ada = SignedIn::of(try_login(&app, "ada@example.org", NEW).await);
    assert!(ada.is_in(&app).await, "a token of after the change");
}

#[tokio::test]
async fn a_reset_token_ends_after_half_an_hour() {
    let clock = Clock::manual(Timestamp::from_millis(1_764_000_000_000));
    let app = with_clock(clock.clone(), |_| {}).await;
    register(&app, "ada@example.org").await;
    let answer = ask_reset(&app, "ada@example.org").await.ok();
    assert_eq!(answer["expiresAt"], "2025-11-24T16:30:00.000Z");
    let late = answer["resetToken"].as_str().expect("a token");
    clock.advance(Duration::from_mins(1));
    let token = token_for(&app, "ada@example.org").await;
    clock.advance(Duration::from_mins(29));
    assert_eq!(reset(&app, late).await.problem(422), "reset_token_invalid");
    assert_eq!(reset(&app, &token).await.status, 204);
}

#[tokio::test]
async fn a_reset_is_answered_alike_for_an_address_that_nobody_has_and_is_of_no_use() {
    let app = with(|config| {
        config.limits.enabled = true;
        config.limits.password_resets = RatePerMinute { per_minute: 1, burst: 3 };
    })
    .await;
    register(&app, "ada@example.org").await;
    let mut shapes: Vec<Vec<(u16, Vec<String>, usize)>> = Vec::new();
    for email in ["ada@example.org", "nobody@example.org"] {
        let mut shape = Vec::new();
        for _ in 0..4 {
            let answer = ask_reset(&app, email).await;
            let fields = answer.body.as_object().expect("an object").keys().cloned().collect();
            let length = answer.body["resetToken"].as_str().map_or(0, str::len);
            shape.push((answer.status.as_u16(), fields, length));
        }
        assert_eq!((shape[2].0, shape[3].0), (201, 429), "{shape:?}");
        shapes.push(shape);
    }
    assert_eq!(shapes[0], shapes[1]);
    let answer = ask_reset(&app, "other@example.org").await.ok();
    let token = answer["resetToken"].as_str().expect("a token");
    assert_eq!(reset(&app, token).await.problem(422), "reset_token_invalid");
    let none: [Value; 2] = [json!("x"), json!("x".repeat(43))];
    for none in none {
        let body = json!({ "resetToken": none, "newPassword": NEW });
        let answer = post(&app, "/api/auth/password", &body).await;
        assert_eq!(answer.problem(422), "reset_token_invalid");
    }
}
