//! Whose turn it is: streams wait for themselves alone, and what failed is tried again.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use parking_lot::Mutex;
use rand::{Rng, SeedableRng, seq::IndexedRandom};
use serde_json::{Value, json};
use stoa::clock::{Clock, Timestamp};

use super::{Receiver, health, replay, tick, until_health};
use crate::{
    proxy::backend::Reply,
    support::{DEADLINE, TestApp, chance, eventually, within, within_time},
};

/// Refuses what has this in it.
fn refuse(field: &'static str, value: &'static str) -> impl Fn(&Value) -> Reply + Send + 'static {
    move |body| Reply::Status(if body[field] == value { 500 } else { 204 })
}

#[tokio::test]
async fn a_stream_that_fails_holds_up_no_other_and_stays_in_its_order() {
    let receiver = Receiver::start().await;
    let app = receiver.server(&["*"]).await;
    receiver.answer(refuse("stream", "other/red"));
    tick(&app, "red", 1..=3).await;
    tick(&app, "blue", 1..=50).await;
    receiver.until_numbers("other/blue", &(1..=50).collect::<Vec<_>>()).await;
    tick(&app, "red", 4..=5).await;
    until_health(&app, "a failure", |health| health["retrying"] == 1).await;
    assert_eq!(receiver.numbers("other/red"), Vec::<i64>::new());
    receiver.answer(|_| Reply::Status(200));
    receiver.until_numbers("other/red", &[1, 2, 3, 4, 5]).await;
    let health = until_health(&app, "nothing to do", |health| health["behindBy"] == 0).await;
    assert_eq!((&health["state"], &health["retrying"]), (&json!("ok"), &json!(0)));
    assert_eq!(health["lastError"], "It answered with 500.");
    let tries =
        receiver.backend.asked().iter().filter(|asked| asked.json()["data"]["n"] == 2).count();
    assert_eq!(tries, 2, "what waits behind a failure is not tried: once in each stream");
    // Nothing is left of it.
    for table in ["webhook_deliveries", "webhook_streams"] {
        let rows = format!("SELECT COUNT(*) FROM {table}");
        let none = async || (app.count(&rows).await == 0).then_some(());
        within(table, eventually(none)).await;
    }
}

#[tokio::test]
async fn an_event_of_several_streams_waits_for_each_and_holds_each() {
    let receiver = Receiver::start().await;
    let app = receiver.server(&["*"]).await;
    receiver.answer(|body| {
        let fails = body["stream"] == "user/ann" && body["data"]["n"] == 1;
        Reply::Status(if fails { 500 } else { 204 })
    });
    let to = |users: &[&str]| json!({ "users": users });
    app.emit(to(&["ann"]), "tick", json!({ "n": 1 })).await;
    app.emit(to(&["ann", "bob"]), "tick", json!({ "n": 2 })).await;
    app.emit(to(&["bob"]), "tick", json!({ "n": 3 })).await;
    app.emit(to(&["eve"]), "tick", json!({ "n": 4 })).await;
    receiver.until_numbers("user/eve", &[4]).await;
    assert_eq!(receiver.taken().len(), 1, "bob hears of what comes before first");
    receiver.answer(|_| Reply::Status(200));
    let told = receiver.until_taken(4).await;
    let numbers: Vec<_> = told.iter().map(|body| body["data"]["n"].as_i64()).collect();
    assert_eq!(numbers, [Some(4), Some(1), Some(2), Some(3)]);
}

#[tokio::test]
async fn an_event_that_is_refused_each_time_holds_up_no_other_stream() {
    let receiver = Receiver::start().await;
    let clock = Clock::manual(Timestamp::from_millis(1_764_000_000_000));
    let configure = |config: &mut stoa::config::Config| receiver.configure(config, &["*"]);
    let app = TestApp::with_clock(clock.clone(), configure).await;
    receiver.answer(|body| Reply::Status(if body["stream"] == "other/red" { 422 } else { 200 }));
    tick(&app, "red", 1..=1).await;
    for tries in 1..=6 {
        let tried = async || (receiver.backend.asked().len() >= tries).then_some(());
        within("another try", eventually(tried)).await;
        until_health(&app, "it to fail", |health| health["retrying"] == 1).await;
        clock.advance(Duration::from_mins(1));
    }
    until_health(&app, "it to fail as a whole", |health| health["state"] == "failing").await;
    tick(&app, "blue", 1..=3).await;
    clock.advance(Duration::from_mins(1));
    receiver.until_numbers("other/blue", &[1, 2, 3]).await;
    until_health(&app, "it to do well", |health| health["state"] == "ok").await;
    assert_eq!(receiver.numbers("other/red"), Vec::<i64>::new());
}

#[tokio::test]
async fn what_fails_one_time_in_three_is_all_told_in_order() {
    let receiver = Receiver::start().await;
    let app = receiver.server(&["*"]).await;
    // Counted by stream: whatever comes between them, the next call of a stream is another than the last.
    let calls = Mutex::new(HashMap::<String, u32>::new());
    receiver.answer(move |body| {
        let mut calls = calls.lock();
        let call = calls.entry(body["stream"].to_string()).or_default();
        *call += 1;
        Reply::Status(if *call % 3 == 0 { 500 } else { 200 })
    });
    for n in 1..=6 {
        for room in ["red", "blue", "green", "pink"] {
            tick(&app, room, n..=n).await;
        }
    }
    for room in ["red", "blue", "green", "pink"] {
        receiver.until_numbers(&format!("other/{room}"), &[1, 2, 3, 4, 5, 6]).await;
    }
}

#[tokio::test]
async fn what_fails_for_three_days_is_put_aside_and_can_be_told_again() {
    let receiver = Receiver::start().await;
    let clock = Clock::manual(Timestamp::from_millis(1_764_000_000_000));
    let configure = |config: &mut stoa::config::Config| receiver.configure(config, &["*"]);
    let app = TestApp::with_clock(clock.clone(), configure).await;
    receiver.answer(|body| Reply::Status(if body["data"]["n"] == 1 { 418 } else { 200 }));
    tick(&app, "red", 1..=2).await;
    until_health(&app, "a failure", |health| health["retrying"] == 1).await;
    clock.advance(Duration::from_hours(71));
    within("another try", eventually(async || (receiver.backend.asked().len() == 2).then_some(())))
        .await;
    until_health(&app, "it to fail", |health| health["retrying"] == 1).await;
    assert_eq!(receiver.numbers("other/red"), Vec::<i64>::new());
    clock.advance(Duration::from_hours(2));
    receiver.until_numbers("other/red", &[2]).await;
    let health = until_health(&app, "it put aside", |health| health["failures"] == 1).await;
    assert_eq!((&health["retrying"], &health["behindBy"]), (&json!(0), &json!(0)));

    let path = "/api/webhook-endpoints/default/failures";
    let failures = super::admin(&app).get(path).await.ok();
    let failure = &failures["items"][0];
    assert_eq!(failures["items"].as_array().map(Vec::len), Some(1));
    assert_eq!((&failure["type"], &failure["stream"]), (&json!("tick"), &json!("other/red")));
    assert_eq!((&failure["attempts"], &failure["seq"]), (&json!(3), &json!(1)));
    assert_eq!(failure["lastError"], "It answered with 418.");
    let first = &receiver.backend.asked()[0];
    assert_eq!(failure["id"], first.headers["webhook-id"].to_str().expect("an id"));

    receiver.answer(|_| Reply::Status(200));
    assert_eq!(replay(&app, json!({ "ids": [failure["id"]] })).await.status, 204);
    receiver.until_numbers("other/red", &[2, 1]).await;
    until_health(&app, "none put aside", |health| health["failures"] == 0).await;
}

#[tokio::test]
async fn who_asks_to_be_left_alone_is() {
    let receiver = Receiver::start().await;
    let clock = Clock::manual(Timestamp::from_millis(1_764_000_000_000));
    let configure = |config: &mut stoa::config::Config| receiver.configure(config, &["*"]);
    let app = TestApp::with_clock(clock.clone(), configure).await;
    receiver.answer(|_| Reply::Wait(429, "3600"));
    tick(&app, "red", 1..=1).await;
    until_health(&app, "a failure", |health| health["retrying"] == 1).await;
    receiver.answer(|_| Reply::Status(200));
    tick(&app, "blue", 1..=1).await;
    clock.advance(Duration::from_mins(59));
    // It looks what is due each second, and twice is enough to see that nothing is.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(receiver.backend.asked().len(), 1, "neither that nor another");
    clock.advance(Duration::from_mins(2));
    receiver.until_taken(2).await;
    assert_eq!((receiver.numbers("other/red"), receiver.numbers("other/blue")), (vec![1], vec![1]));
}

#[tokio::test]
async fn a_410_turns_a_webhook_off_until_events_are_replayed() {
    let receiver = Receiver::start().await;
    let app = receiver.server(&["*"]).await;
    tick(&app, "red", 1..=2).await;
    receiver.until_numbers("other/red", &[1, 2]).await;
    receiver.answer(|_| Reply::Status(410));
    tick(&app, "red", 3..=4).await;
    let off = until_health(&app, "it to be off", |health| health["state"] == "off").await;
    assert!(off["offAt"].is_string(), "{off}");
    let asked = receiver.backend.asked().len();
    let app = app.restart().await;
    receiver.answer(|_| Reply::Status(200));
    tick(&app, "red", 5..=5).await;
    assert_eq!(health(&app).await["state"], "off", "after a restart, too");
    assert_eq!(receiver.backend.asked().len(), asked);
    let now = app.get("/api/status").await;
    assert_eq!(now.status, 200);
    assert_eq!(replay(&app, json!({ "since": "2999-01-01T00:00:00.000Z" })).await.status, 204);
    receiver.until_numbers("other/red", &[1, 2, 3, 4, 5]).await;
    assert_eq!(health(&app).await["state"], "ok");
}

#[tokio::test]
async fn events_since_a_moment_are_told_again_in_their_order() {
    let receiver = Receiver::start().await;
    let clock = Clock::manual(Timestamp::from_millis(1_764_000_000_000));
    let configure = |config: &mut stoa::config::Config| receiver.configure(config, &["tick"]);
    let app = TestApp::with_clock(clock.clone(), configure).await;
    for n in 1..=4 {
        tick(&app, "red", n..=n).await;
        clock.advance(Duration::from_mins(1));
    }
    receiver.until_numbers("other/red", &[1, 2, 3, 4]).await;
    receiver.answer(refuse("stream", "other/red"));
    tick(&app, "red", 5..=6).await;
    until_health(&app, "a failure", |health| health["retrying"] == 1).await;
    receiver.answer(|_| Reply::Status(200));
    let third = (clock.now() - Duration::from_mins(2)).to_string();
    assert_eq!(replay(&app, json!({ "since": third })).await.status, 204);
    receiver.until_numbers("other/red", &[1, 2, 3, 4, 3, 4, 5, 6]).await;
}

#[tokio::test]
async fn whatever_fails_no_stream_is_out_of_order() {
    const EVENTS: i64 = 60;
    const USERS: [&str; 5] = ["ann", "bob", "cleo", "dan", "eve"];
    let mut chance = chance();
    let receiver = Receiver::start().await;
    let app = receiver.server(&["*"]).await;
    let fails = Mutex::new(rand::rngs::StdRng::seed_from_u64(chance.random()));
    receiver.answer(move |_| {
        let fails = fails.lock().random_ratio(1, 4);
        Reply::Status(if fails { 500 } else { 200 })
    });
    for n in 1..=EVENTS {
        let many = chance.random_range(1..=3);
        let users: Vec<_> = USERS.choose_multiple(&mut chance, many).collect();
        app.emit(json!({ "users": users }), "tick", json!({ "n": n })).await;
    }
    let all = async || {
        let taken = receiver.taken();
        let numbers: BTreeSet<_> = taken.iter().map(|body| body["data"]["n"].as_i64()).collect();
        (numbers.len() == 60).then_some(taken)
    };
    let taken = within_time(12 * DEADLINE, "all of it", eventually(all)).await;
    assert_eq!(taken.len(), 60, "nothing went wrong but calls: each is taken once");
    for user in USERS {
        let room = format!("user-{user}");
        let own = taken
            .iter()
            .filter(|body| body["rooms"].as_array().expect("rooms").iter().any(|own| *own == room));
        let numbers: Vec<_> = own.map(|body| body["data"]["n"].as_i64().expect("n")).collect();
        assert!(numbers.is_sorted(), "{user}: {numbers:?}");
    }
}
