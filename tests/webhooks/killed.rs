//! The server killed again and again while a backend fails now and then: every event of every stream is
//! told, once or more, in its order.

use std::{collections::BTreeMap, time::Duration};

use rand::Rng;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::sleep;

use super::Receiver;
use crate::{
    kill::token,
    proxy::backend::{Reply, SECRET},
    support::{app::test_database, chance, eventually, http_client, process::Process, within_time},
};

/// How often it is killed; `STOA_WEBHOOK_KILLS` says otherwise.
const KILLS: usize = 3;

const STREAMS: usize = 8;

/// How long it takes at most until all is told.
const PATIENCE: Duration = Duration::from_mins(3);

/// The numbers of each stream, each the first time that it was told; they have to rise by one.
fn first_told(taken: &[Value]) -> BTreeMap<String, Vec<i64>> {
    let mut told: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for body in taken {
        let stream = body["stream"].as_str().expect("a stream").to_owned();
        let seq = body["seq"].as_i64().expect("a number");
        let seqs = told.entry(stream).or_default();
        if seqs.last().is_none_or(|last| seq > *last) {
            seqs.push(seq);
        }
    }
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_told_in_order_whatever_is_killed() {
    let kills = std::env::var("STOA_WEBHOOK_KILLS");
    let kills = kills.map_or(KILLS, |kills| kills.parse().expect("a number"));
    let mut chance = chance();
    let receiver = Receiver::start().await;
    // One call in three fails, and some take a while.
    let calls = std::sync::atomic::AtomicUsize::new(0);
    receiver.answer(move |_| {
        let call = calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Reply::Status(if call % 3 == 1 { 503 } else { 200 })
    });
    let data = TempDir::new().expect("a folder");
    let database = test_database().await;
    let url = receiver.backend.url();
    let mut variables = vec![
        ("LIMITS", "off"),
        ("WEBHOOK_URL", url.as_str()),
        ("WEBHOOK_SECRET", SECRET),
        ("WEBHOOK_EVENTS", "tick"),
    ];
    variables.extend(database.as_deref().map(|url| ("DATABASE_URL", url)));
    let service = token("backend", &["service"]);
    let mut sent = [0_i64; STREAMS];
    let mut server = Process::start(data.path(), &variables).await;
    for kill in 0..=kills {
        let until = chance.random_range(100..=400);
        let writing = async {
            loop {
                let stream = chance.random_range(0..STREAMS);
                let to = json!({ "room": format!("room{stream}") });
                let body = json!({ "to": to, "event": "tick", "data": { "n": sent[stream] } });
                let url = format!("http://{}/api/emit", server.address);
                let request = http_client().post(url).bearer_auth(&service).json(&body);
                let answer = request.send().await.expect("an answer");
                assert_eq!(answer.status(), 202);
                sent[stream] += 1;
            }
        };
        // Nothing is waited for: the moment is what is tried.
        let _ = tokio::time::timeout(Duration::from_millis(until), writing).await;
        if kill == kills / 2 {
            receiver.backend.die();
            sleep(Duration::from_millis(200)).await;
            receiver.backend.revive().await;
        }
        if kill < kills {
            server.kill().await;
            server = Process::start(data.path(), &variables).await;
        }
    }
    // What was under way when it was killed may be kept or not, and is told then, too.
    let told = async || {
        let taken = receiver.taken();
        let is_told = |stream: usize, n: i64| {
            let stream = format!("other/room{stream}");
            taken.iter().any(|body| body["stream"] == stream && body["data"]["n"] == n)
        };
        let mut all =
            sent.iter().enumerate().flat_map(|(at, upto)| (0..*upto).map(move |n| (at, n)));
        all.all(|(stream, n)| is_told(stream, n)).then(|| first_told(&taken))
    };
    let told = within_time(PATIENCE, "everything to be told", eventually(told)).await;
    for (stream, seqs) in &told {
        let expected: Vec<i64> = (1..=i64::try_from(seqs.len()).expect("a number")).collect();
        assert_eq!(*seqs, expected, "{stream}: a hole, or out of order");
    }
    let total: i64 = sent.iter().sum();
    let doubled = receiver.taken().len() - told.values().map(Vec::len).sum::<usize>();
    println!("{kills} kills, {total} events, {doubled} of them told twice");
    drop(server);
}
