//! Each hears of what happened since they came in: how it was before, they ask.

use std::{collections::HashMap, sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::{sync::Barrier, task::JoinSet};

use super::{hears, with};
use crate::support::{Client, Options, TestApp, within};

/// All that a test does here, but for its end, lies in one.
const WINDOW: Duration = Duration::from_secs(2);

/// Comes when all the others are there.
const LAST: &str = "last";

const ONLINE: &str = "user:online";
const CHANGE: &str = "user-status-change";

/// What is said of others before somebody hears of their own coming.
async fn before_oneself(client: &mut Client, user: &str) -> Vec<String> {
    hears(client, CHANGE, user).await
}

#[tokio::test]
async fn who_comes_hears_of_those_who_come_after_and_not_of_those_before() {
    for options in [Options::websocket, Options::polling, Options::upgrade] {
        let app = with(Duration::ZERO, WINDOW).await;
        let mut first = app.user_with("first", &[], options()).await;
        let mut second = app.user_with("second", &[], options()).await;
        let mut third = app.user_with("third", &[], options()).await;
        assert_eq!(before_oneself(&mut first, "first").await, [""; 0]);
        assert_eq!(before_oneself(&mut second, "second").await, [""; 0]);
        assert_eq!(before_oneself(&mut third, "third").await, [""; 0]);
        assert_eq!(hears(&mut first, CHANGE, "third").await, ["second"]);
        assert_eq!(hears(&mut first, ONLINE, "third").await, ["second"]);
        assert_eq!(hears(&mut second, ONLINE, "third").await, [""; 0]);
        assert!(third.queued(ONLINE).is_empty(), "of who was there before");
    }
}

#[tokio::test]
async fn who_comes_after_somebody_left_does_not_hear_of_that() {
    let app = with(WINDOW, Duration::from_millis(1)).await;
    let mut eve = app.user("eve").await;
    let alice = app.user("alice").await;
    hears(&mut eve, ONLINE, "alice").await;
    alice.close().await;
    app.until_offline("alice", WINDOW).await;
    let mut late = app.user("late").await;
    hears(&mut eve, "user:offline", "alice").await;
    let _bob = app.user("bob").await;
    hears(&mut late, ONLINE, "bob").await;
    assert!(late.queued("user:offline").is_empty());
}

#[tokio::test]
async fn who_asks_to_be_announced_is_to_those_who_came_meanwhile() {
    let app = with(Duration::ZERO, WINDOW).await;
    let mut alice = app.user("alice").await;
    let mut bob = app.user("bob").await;
    alice.emit_ack("user-online", "alice").await;
    hears(&mut bob, CHANGE, "alice").await;
}

/// What one of many knows of the others.
struct Known {
    found: Vec<String>,
    heard: HashMap<String, usize>,
}

impl Known {
    fn has(&self, user: &str) -> bool {
        self.found.iter().any(|found| found == user) || self.heard.contains_key(user)
    }
}

/// Comes in, asks who is here, and then only hears, until it knows of all.
async fn get_to_know(app: &TestApp, own: &str, all: &[String], everyone: &Barrier) -> Known {
    let mut one = app.user(own).await;
    let asked = one.post("/api/presence/query", json!({ "userIds": all })).await.ok();
    let here = asked["items"].as_array().expect("items").iter();
    let here = here.filter(|item| item["status"] == "online");
    let id = |item: &Value| item["userId"].as_str().expect("a userId").to_owned();
    let mut known = Known { found: here.map(id).collect(), heard: HashMap::new() };
    while !all.iter().all(|user| known.has(user)) {
        *known.heard.entry(id(&one.expect(ONLINE).await)).or_default() += 1;
    }
    // Nobody goes before all know all. What was on its way comes before the last one.
    everyone.wait().await;
    for user in hears(&mut one, ONLINE, LAST).await {
        *known.heard.entry(user).or_default() += 1;
    }
    known
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_come_at_once_and_ask_who_is_here_know_of_all_and_hear_of_each_once() {
    const USERS: usize = 100;
    for window in [1, 20, 200] {
        let app = TestApp::with(|config| {
            config.limits.enabled = false;
            config.presence.window = Duration::from_millis(window);
        });
        let app = Arc::new(app.await);
        let all: Arc<[String]> = (0..USERS).map(|n| format!("user-{n}")).collect();
        let everyone = Arc::new(Barrier::new(USERS + 1));
        let mut tasks = JoinSet::new();
        for n in 0..USERS {
            let (app, all, everyone) = (app.clone(), all.clone(), everyone.clone());
            tasks.spawn(async move {
                let known = get_to_know(&app, &all[n], &all, &everyone).await;
                (n, known)
            });
        }
        within("all to know all", everyone.wait()).await;
        let _last = app.user(LAST).await;
        let mut known = within("the last one to be heard of", tasks.join_all()).await;
        known.sort_by_key(|(n, _)| *n);
        for (n, one) in &known {
            for (user, times) in &one.heard {
                assert_eq!(*times, 1, "{n} heard of {user} {times} times");
            }
            for (other, its) in &known[..*n] {
                let heard =
                    its.heard.contains_key(&all[*n]) || one.heard.contains_key(&all[*other]);
                assert!(heard, "one of {n} and {other} came after the other");
            }
        }
    }
}
