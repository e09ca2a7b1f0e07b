//! Backends that are away, slow, redirect, or answer without end.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Receiver, tick, until_health};
use crate::{
    proxy::backend::{PART_BYTES, Reply},
    support::TestApp,
};

/// What the system may have taken of an answer beyond what was read: the buffers of both sockets.
const KERNEL_BYTES: usize = 8 * 1024 * 1024;

#[tokio::test]
async fn a_backend_that_was_away_is_told_everything_when_it_is_back() {
    let receiver = Receiver::start().await;
    let app = receiver.server(&["*"]).await;
    receiver.backend.die();
    for room in 0..30 {
        tick(&app, &format!("room{room}"), 1..=3).await;
    }
    let failing = until_health(&app, "it to fail", |health| health["state"] == "failing").await;
    let error = failing["lastError"].as_str().expect("a reason");
    assert!(error.starts_with("It can't be reached: "), "{error}");
    let retried = failing["retrying"].as_u64().expect("a number");
    assert!(retried < 30, "not every stream is tried meanwhile: {retried}");
    receiver.backend.revive().await;
    for room in 0..30 {
        receiver.until_numbers(&format!("other/room{room}"), &[1, 2, 3]).await;
    }
    until_health(&app, "it to do well", |health| health["state"] == "ok").await;
}

#[tokio::test]
async fn what_is_no_success_is_tried_again() {
    let receiver = Receiver::start().await;
    let app = receiver.server(&["*"]).await;
    for (n, reply, error) in [
        (1, Reply::Redirect, "It answered with 307."),
        (2, Reply::Status(404), "It answered with 404."),
        (3, Reply::Status(304), "It answered with 304."),
        (4, Reply::Dropped, "It can't be reached"),
    ] {
        let asked = receiver.backend.asked().len();
        receiver.answer(move |_| reply.clone());
        tick(&app, "red", n..=n).await;
        let says = |health: &Value| {
            health["lastError"].as_str().is_some_and(|last| last.starts_with(error))
        };
        until_health(&app, error, says).await;
        let calls = receiver.backend.asked();
        assert!(calls[asked..].iter().all(|call| call.json()["data"]["n"] == n), "{error}");
        receiver.answer(|_| Reply::Status(200));
        receiver.until_numbers("other/red", &(1..=n).collect::<Vec<_>>()).await;
    }
}

#[tokio::test]
async fn one_that_hangs_holds_up_no_other_stream() {
    let receiver = Receiver::start().await;
    let app = TestApp::with(|config| {
        receiver.configure(config, &["*"]);
        config.webhooks.timeout = Duration::from_millis(500);
    })
    .await;
    receiver.answer(|body| match body["stream"].as_str() {
        Some("other/red") => Reply::Never,
        _ => Reply::Status(200),
    });
    tick(&app, "red", 1..=2).await;
    tick(&app, "blue", 1..=20).await;
    receiver.until_numbers("other/blue", &(1..=20).collect::<Vec<_>>()).await;
    let late = |health: &Value| health["lastError"] == "It did not answer in time.";
    until_health(&app, "it to be late", late).await;
    receiver.answer(|_| Reply::Status(200));
    receiver.until_numbers("other/red", &[1, 2]).await;
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_to_its_end() {
    let receiver = Receiver::start().await;
    let app = receiver.server(&["*"]).await;
    for told in [true, false] {
        receiver.answer(move |_| Reply::Endless { told });
        tick(&app, "red", [i64::from(told)]).await;
    }
    receiver.until_numbers("other/red", &[1, 0]).await;
    let taken = receiver.backend.taken_bytes();
    assert!(taken <= 2 * (KERNEL_BYTES + PART_BYTES), "{taken}");
}

#[tokio::test]
async fn no_more_calls_are_under_way_than_may_be() {
    let receiver = Receiver::start().await;
    let app = TestApp::with(|config| {
        receiver.configure(config, &["*"]);
        config.webhooks.max_calls = 3;
    })
    .await;
    receiver.backend.answer(|_| Reply::Gated(Box::new(Reply::Status(200))));
    for room in 0..10 {
        tick(&app, &format!("room{room}"), 1..=1).await;
    }
    receiver.backend.until_asked(3).await;
    receiver.backend.let_go(10);
    receiver.backend.until_asked(10).await;
    assert_eq!(receiver.backend.most_under_way(), 3);
    let health = until_health(&app, "all of it", |health| health["behindBy"] == 0).await;
    assert_eq!(health["state"], json!("ok"));
}
