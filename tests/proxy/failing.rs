//! A backend that is slow, dies, answers rubbish or without end: each event is acknowledged, in its
//! order, nobody else waits, and memory stays.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{
    answer_the_first, assert_unavailable,
    backend::{Backend, PART_BYTES, Reply},
    start, start_with,
};
use crate::support::{DEADLINE, TestApp, eventually, within};

/// What the system may have taken of an answer beyond what was read: the buffers of both sockets.
const KERNEL_BYTES: usize = 8 * 1024 * 1024;

/// What `/readyz` says of the backend.
async fn told(app: &TestApp) -> Value {
    app.get("/readyz").await.ok()["details"]["proxy"].clone()
}

#[tokio::test]
async fn whatever_is_no_answer_is_unavailable_and_the_next_event_is_answered() {
    let backend = Backend::start(answer_the_first).await;
    let app = start(&backend, &["*"]).await;
    let mut ann = app.user("ann").await;
    for (what, reply) in [
        ("500", Reply::Status(500)),
        ("503", Reply::Status(503)),
        ("201", Reply::Status(201)),
        ("400", Reply::Status(400)),
        ("a redirect", Reply::Redirect),
        ("no JSON", Reply::Text("application/json", "<html>{}".to_owned())),
        ("another type", Reply::Text("text/html", "{}".to_owned())),
        ("nothing", Reply::Text("application/json", String::new())),
        ("a list", Reply::Json(json!([1]))),
        ("an unknown field", Reply::Json(json!({ "acknowledge": [1] }))),
        (
            "a code of its own",
            Reply::Json(json!({ "error": { "code": "taken", "error": "Taken." } })),
        ),
        (
            "too deep",
            Reply::Text(
                "application/json",
                format!("{{\"ack\":[{}{}]}}", "[".repeat(120), "]".repeat(120)),
            ),
        ),
        (
            "a reserved name",
            Reply::Json(
                json!({ "emit": [{ "to": "everyone", "event": "disconnect" }], "ack": [1] }),
            ),
        ),
        ("a room that is none", Reply::Json(json!({ "join": ["a room"], "ack": [1] }))),
        ("a connection that ends", Reply::Dropped),
        ("half an answer", Reply::Torn),
    ] {
        backend.answer(move |asked| {
            if asked["args"][0] == "bad" { reply.clone() } else { answer_the_first(asked) }
        });
        // Both under way at once: each has its answer, in order.
        let (bad, good) = (ann.emit_with_ack("ask", "bad"), ann.emit_with_ack("ask", "good"));
        let (first, refused) = ann.next_ack().await;
        assert_eq!(first, bad, "{what}");
        assert_unavailable(&refused);
        assert_eq!(ann.next_ack().await, (good, json!("good")), "{what}");
    }
    // No redirect was followed, and nothing was sent twice.
    assert_eq!(backend.asked().len(), 32);
    ann.emit("ask", "bad");
    assert_eq!(ann.expect("error").await["code"], "unavailable");
}

#[tokio::test]
async fn another_json_type_is_json() {
    let answer =
        Reply::Text("Application/Problem+JSON; charset=utf-8", r#"{"ack":[1]}"#.to_owned());
    let backend = Backend::start(move |_| answer.clone()).await;
    let app = start(&backend, &["*"]).await;
    assert_eq!(app.user("ann").await.emit_ack("ask", 1).await, 1);
}

#[tokio::test]
async fn an_answer_of_100_mb_is_read_no_further_than_it_may_be() {
    let backend = Backend::start(answer_the_first).await;
    let app = start(&backend, &["*"]).await;
    let mut ann = app.user("ann").await;
    for told in [true, false] {
        backend.answer(move |_| Reply::Endless { told });
        assert_unavailable(&ann.emit_ack("ask", 1).await);
    }
    let taken = backend.taken_bytes();
    assert!(taken < 1_000_000 + KERNEL_BYTES + 2 * PART_BYTES, "{taken} bytes were taken");
    backend.answer(answer_the_first);
    assert_eq!(ann.emit_ack("ask", 2).await, 2);
}

#[tokio::test]
async fn the_largest_answer_is_as_large_as_a_payload() {
    let backend = Backend::start(|asked| {
        let bytes = usize::try_from(asked["args"][0].as_u64().unwrap()).unwrap();
        Reply::Json(json!({ "ack": ["x".repeat(bytes)] }))
    })
    .await;
    let around = json!({ "ack": [""] }).to_string().len();
    let app = start_with(&backend, &["*"], |config| config.server.max_payload_bytes = 10_000).await;
    let mut ann = app.user("ann").await;
    let largest = 10_000 - around;
    let answered = ann.emit_ack("ask", largest).await;
    assert_eq!(answered.as_str().map(str::len), Some(largest));
    assert_unavailable(&ann.emit_ack("ask", largest + 1).await);
}

#[tokio::test]
async fn who_is_slow_is_given_up_after_the_time_and_order_stays() {
    let backend = Backend::start(|asked| match asked["event"].as_str() {
        Some("never") => Reply::Never,
        _ => answer_the_first(asked),
    })
    .await;
    let app = start_with(&backend, &["*"], |config| {
        config.proxy.timeout = Duration::from_millis(300);
    })
    .await;
    let mut ann = app.user("ann").await;
    let begun = Instant::now();
    let ids: Vec<_> =
        ["never", "quick", "never", "quick"].map(|event| ann.emit_with_ack(event, event)).into();
    let mut answers = Vec::new();
    for id in ids {
        let (answered, answer) = ann.next_ack().await;
        assert_eq!(answered, id);
        answers.push(answer);
    }
    assert_unavailable(&answers[0]);
    assert_unavailable(&answers[2]);
    assert_eq!((&answers[1], &answers[3]), (&json!("quick"), &json!("quick")));
    assert!(begun.elapsed() >= Duration::from_millis(600), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn so_many_are_asked_at_once_and_so_many_wait_and_nobody_beyond() {
    let backend = Backend::start(|asked| Reply::Gated(Box::new(answer_the_first(asked)))).await;
    let app = start_with(&backend, &["*"], |config| {
        (config.proxy.max_calls, config.proxy.max_waiting) = (2, 3);
        config.proxy.timeout = DEADLINE;
    })
    .await;
    let mut people = Vec::new();
    for number in 0..5 {
        let mut person = app.user(&format!("user{number}")).await;
        let id = person.emit_with_ack("ask", number);
        people.push((person, id));
        backend.until_asked((number + 1).min(2)).await;
    }
    // Those who wait have come as far as the proxy: one more is refused at once.
    let mut last = app.user("last").await;
    let refused = within(
        "a refusal",
        eventually(async || {
            let mut probe = app.user("probe").await;
            let id = probe.emit_with_ack("ask", "probe");
            let answer = tokio::time::timeout(Duration::from_millis(200), probe.ack(id)).await.ok();
            probe.close().await;
            answer
        }),
    );
    assert_unavailable(&Box::pin(refused).await);
    assert_unavailable(&last.emit_ack("ask", "last").await);
    assert_eq!(backend.asked().len(), 2);
    backend.let_go(100);
    for (number, (mut person, id)) in people.into_iter().enumerate() {
        assert_eq!(person.ack(id).await, number);
    }
    assert_eq!(backend.most_under_way(), 2);
    assert_eq!(last.emit_ack("ask", "now").await, "now");
    assert_eq!(told(&app).await, "ok", "nobody failed");
}

#[tokio::test]
async fn one_that_dies_is_asked_once_a_second_until_it_answers_again() {
    let backend = Backend::start(answer_the_first).await;
    let app = start(&backend, &["*"]).await;
    let mut ann = app.user("ann").await;
    assert_eq!(ann.emit_ack("ask", 1).await, 1);
    assert_eq!(told(&app).await, "ok");
    backend.die();
    for _ in 0..5 {
        assert_unavailable(&ann.emit_ack("ask", 2).await);
    }
    assert_eq!(told(&app).await, "failing");
    assert_eq!(app.get("/readyz").await.status, 200, "this node takes work all the same");
    backend.revive().await;
    // It is not asked for a moment; what clients ask is answered all the time.
    assert_unavailable(&ann.emit_ack("ask", 3).await);
    assert_eq!(backend.asked().len(), 1);
    let answered = eventually(async || {
        let answer = ann.emit_ack("ask", 4).await;
        if answer == 4 {
            return Some(());
        }
        assert_unavailable(&answer);
        None
    });
    within("an answer", answered).await;
    assert_eq!(backend.asked().len(), 2, "the first that was asked was answered");
    assert_eq!(told(&app).await, "ok");
    assert_eq!(ann.emit_ack("ask", 5).await, 5);
}

#[tokio::test]
async fn one_that_fails_is_not_asked_more_than_once_a_second() {
    let backend = Backend::start(|_| Reply::Status(500)).await;
    let app = start_with(&backend, &["*"], |config| config.limits.enabled = false).await;
    let mut ann = app.user("ann").await;
    let begun = Instant::now();
    for number in 0..500 {
        assert_unavailable(&ann.emit_ack("ask", number).await);
    }
    let seconds = usize::try_from(begun.elapsed().as_secs()).unwrap();
    let asked = backend.asked().len();
    assert!((5..=6 + seconds).contains(&asked), "asked {asked} times in {seconds} s");
}

#[tokio::test]
async fn a_question_that_is_at_fault_itself_speaks_for_nobody_else() {
    let backend = Backend::start(|asked| match asked["event"].as_str() {
        Some("bad") => Reply::Status(422),
        _ => answer_the_first(asked),
    })
    .await;
    let app = start(&backend, &["*"]).await;
    let (mut eve, mut ann) = (app.user("eve").await, app.user("ann").await);
    for number in 0..10 {
        assert_unavailable(&eve.emit_ack("bad", number).await);
    }
    assert_eq!(ann.emit_ack("ask", 1).await, 1);
    assert_eq!(told(&app).await, "ok");
}

#[tokio::test]
async fn who_is_shut_out_meanwhile_asks_nothing_more() {
    let backend = Backend::start(|asked| Reply::Gated(Box::new(answer_the_first(asked)))).await;
    let app = start(&backend, &["*"]).await;
    let mut eve = app.user("eve").await;
    for number in 0..5 {
        eve.emit("ask", number);
    }
    backend.until_asked(1).await;
    app.post("/api/users/eve/block", json!({})).await;
    eve.closed().await;
    backend.let_go(100);
    let mut ann = app.user("ann").await;
    assert_eq!(ann.emit_ack("ask", 1).await, 1);
    assert_eq!(backend.asked().len(), 2);
}

#[tokio::test]
async fn who_stops_the_server_has_what_was_asked_done() {
    let backend = Backend::start(|asked| {
        let answer = json!({ "emit": [{ "to": { "room": "log" }, "event": "kept", "data": asked["args"][0] }] });
        Reply::Gated(Box::new(Reply::Json(answer)))
    })
    .await;
    let app = start(&backend, &["*"]).await;
    let mut ann = app.user("ann").await;
    ann.emit("ask", 1);
    backend.until_asked(1).await;
    app.stop();
    ann.closed().await;
    backend.let_go(1);
    let app = app.restart().await;
    assert_eq!(app.count("SELECT COUNT(*) FROM events WHERE stream LIKE '%log%'").await, 1);
}

#[tokio::test]
async fn what_is_counted_has_the_names_of_patterns_and_not_of_clients() {
    let backend = Backend::start(answer_the_first).await;
    let app = start(&backend, &["counted:*"]).await;
    let mut ann = app.user("ann").await;
    for number in 0..3 {
        ann.emit_ack(&format!("counted:{number}"), number).await;
    }
    backend.answer(|_| Reply::Status(500));
    ann.emit_ack("counted:4", 4).await;
    let metrics = app.get("/api/metrics").await.ok();
    let metrics = metrics.as_str().unwrap();
    for line in [
        r#"stoa_proxy_questions_total{kind="event",event="counted:*",outcome="answered"} 3"#,
        r#"stoa_proxy_questions_total{kind="event",event="counted:*",outcome="status"} 1"#,
        r#"stoa_proxy_question_duration_seconds_count{kind="event",event="counted:*"} 4"#,
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    assert!(!metrics.contains("counted:1"), "{metrics}");
}
