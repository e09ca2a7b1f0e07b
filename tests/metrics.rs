//! What operators see in `/metrics`, and that what reads it (config/alerts.yml, config/grafana.json,
//! docs/metrics.md) names what is there.

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json};

use crate::support::{DEADLINE, TestApp};

/// Metrics that Prometheus makes itself, or that are there for one of several nodes.
const NOT_ALWAYS: [&str; 1] = ["stoa_node_info"];

fn file(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What Prometheus' own tool says of something.
fn promtool(arguments: &[&str], input: &str) -> Output {
    let mut tool = Command::new("promtool");
    tool.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR"));
    tool.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut tool = tool.spawn().expect("promtool; `make setup` installs it");
    let mut pipe = tool.stdin.take().expect("its input");
    pipe.write_all(input.as_bytes()).expect("a tool that reads");
    drop(pipe);
    tool.wait_with_output().expect("its end")
}

/// It finds nothing to say.
fn assert_clean(arguments: &[&str], input: &str) {
    let output = promtool(arguments, input);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.trim().is_empty(), "{arguments:?}: {said}\n{output:?}");
}

async fn scrape(app: &TestApp) -> String {
    app.get("/metrics").await.ok().as_str().expect("a text").to_owned()
}

/// The value of one series, written as `/metrics` does.
fn value(text: &str, series: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

/// The metrics that a text names, without what is added to those of a histogram.
fn named(text: &str) -> BTreeSet<&str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_metric = |name: &&str| name.starts_with("stoa_") || name.starts_with("process_");
    let whole = |name: &'_ str| -> usize {
        let ending = ["_bucket", "_count", "_sum"].into_iter().find(|end| name.ends_with(end));
        name.len() - ending.map_or(0, str::len)
    };
    text.split(|c| !is_part(c)).filter(is_metric).map(|name| &name[..whole(name)]).collect()
}

#[tokio::test]
async fn every_metric_is_there_from_the_start_and_promtool_likes_each() {
    let app = TestApp::start().await;
    let text = scrape(&app).await;
    for name in stoa::metrics::NAMES {
        assert!(text.contains(&format!("# HELP {name} ")) || NOT_ALWAYS.contains(name), "{name}");
        let is_sample = |line: &str| {
            let rest = line.strip_prefix(name).unwrap_or_default();
            ["{", " ", "_bucket{", "_count "].iter().any(|begins| rest.starts_with(begins))
        };
        assert!(text.lines().any(is_sample) || NOT_ALWAYS.contains(name), "{name} is not there");
    }
    assert_clean(&["check", "metrics"], &text);
    // The check can fail.
    assert!(!promtool(&["check", "metrics"], "stoa_things_total{} x\n").status.success());
}

#[tokio::test]
async fn the_store_the_rooms_and_the_broadcasts_are_measured() {
    let app = TestApp::start().await;
    let before = scrape(&app).await;
    let mut alice = app.user("alice").await;
    app.emit_to_room("user-alice", "measured", json!(1)).await;
    alice.expect("measured").await;
    let rooms = r#"stoa_rooms{kind="user"}"#;
    let held = format!("{rooms} ");
    app.until("/metrics", DEADLINE, "a room and what was sent", |answer| {
        let text = answer.body.as_str().unwrap_or_default();
        let more = |series: &str| value(text, series) > value(&before, series);
        text.contains(&held)
            && more(rooms)
            && more(r#"stoa_store_unit_duration_seconds_count{work="write"}"#)
            && more(r#"stoa_store_wait_duration_seconds_count{work="write"}"#)
            && more("stoa_store_commit_duration_seconds_count")
            && more("stoa_tail_lag_seconds_count")
            && more(r#"stoa_broadcast_duration_seconds_count{event="other"}"#)
            && value(text, r#"stoa_store_size_bytes{part="database"}"#) > Some(4096.0)
            && value(text, "stoa_store_available") == Some(1.0)
    })
    .await;
    let held = value(&scrape(&app).await, rooms);
    alice.close().await;
    app.until("/metrics", DEADLINE, "the end of a room", |answer| {
        value(answer.body.as_str().unwrap_or_default(), rooms) < held
    })
    .await;
}

#[tokio::test]
async fn what_reads_the_metrics_names_those_that_are_there() {
    let app = TestApp::start().await;
    let text = scrape(&app).await;
    let there = named(&text);
    let (alerts, dashboard) = (file("config/alerts.yml"), file("config/grafana.json"));
    let parsed: Value = serde_json::from_str(&dashboard).expect("a dashboard");
    let panels = parsed["panels"].as_array().expect("panels");
    assert!(panels.iter().all(|panel| panel["title"].is_string()), "{panels:?}");
    let ids: BTreeSet<_> = panels.iter().filter_map(|panel| panel["id"].as_u64()).collect();
    assert_eq!(ids.len(), panels.len(), "each has a number of its own");
    for (where_, text) in [("config/alerts.yml", &alerts), ("config/grafana.json", &dashboard)] {
        let named = named(text);
        assert!(named.len() > 10, "{where_}: {named:?}");
        let unknown: Vec<_> = named.difference(&there).collect();
        assert!(unknown.is_empty(), "{where_} names what is not there: {unknown:?}");
    }
    let page = file("docs/metrics.md");
    let told = named(&page);
    for name in stoa::metrics::NAMES {
        assert!(told.contains(name), "docs/metrics.md does not have {name}");
    }
    let unknown: Vec<_> = told
        .difference(&there)
        .filter(|name| !NOT_ALWAYS.contains(*name) && !stoa::metrics::NAMES.contains(*name))
        .collect();
    assert!(unknown.is_empty(), "docs/metrics.md has what is not there: {unknown:?}");
}

#[test]
fn the_alerts_are_rules_and_fire_when_they_should() {
    assert_clean(&["check", "rules", "config/alerts.yml"], "");
    assert_clean(&["test", "rules", "tests/alerts.yml"], "");
}
