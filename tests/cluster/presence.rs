//! Who is here over all nodes: told once for each change on every one of them, whatever becomes of a
//! node or of Redis.

use std::{path::Path, process::Command, time::Duration};

use serde_json::json;
use stoa::config::PresenceAudience;
use tempfile::TempDir;

use super::Common;
use crate::support::{
    Client, DEADLINE, Options, Person, TestApp, eventually, process::Process, redis::Redis,
    within_time,
};

/// Longer than a node that says nothing is taken to be alive.
const LEASE: Duration = Duration::from_secs(9);
const AFTER_LEASE: Duration = Duration::from_secs(12);

/// Two nodes where who goes is gone at once.
async fn quick(common: &Common) -> [TestApp; 2] {
    let node = async || {
        let node = Box::pin(TestApp::with(|config| {
            common.set(config);
            config.presence.grace = Duration::ZERO;
        }));
        let node = node.await;
        node.joined().await;
        node
    };
    [node().await, node().await]
}

/// Awaits that somebody hears of a user's change.
async fn hears(observer: &mut Client, event: &str, user: &str) {
    hears_all(observer, event, &[user]).await;
}

/// The same of several users, in whichever order.
async fn hears_all(observer: &mut Client, event: &str, users: &[&str]) {
    let mut left = users.to_vec();
    while !left.is_empty() {
        let heard = observer.expect(event).await;
        left.retain(|user| heard["userId"] != *user);
    }
}

/// The same, where a lease has to end first.
async fn hears_late(observer: &mut Person, event: &str, user: &str) {
    let heard = eventually(async || {
        observer.heard().await;
        observer.queued(event).iter().any(|heard| heard["userId"] == user).then_some(())
    });
    within_time(AFTER_LEASE + DEADLINE, &format!("{event} of {user}"), heard).await;
}

/// Fails when somebody has heard of a user's change meanwhile.
async fn heard_nothing_of(observer: &mut Person, user: &str) {
    observer.heard().await;
    for event in ["user:online", "user:offline"] {
        let heard = observer.queued(event);
        assert!(!heard.iter().any(|heard| heard["userId"] == user), "{event} of {user}: {heard:?}");
    }
}

#[tokio::test]
async fn a_user_with_tabs_on_all_nodes_comes_and_goes_once() {
    let common = Common::new().await;
    let [here, there] = quick(&common).await;
    let (mut eve, mut sam) = (here.user("eve").await, there.user("sam").await);
    hears(&mut eve, "user:online", "sam").await;
    let mut tabs = Vec::new();
    for node in [&here, &there, &here, &there] {
        tabs.push(node.user("ann").await);
    }
    for observer in [&mut eve, &mut sam] {
        hears(observer, "user:online", "ann").await;
    }
    for node in [&here, &there] {
        let ann = node.presence("ann").await;
        assert_eq!((&ann["status"], &ann["connections"]), (&json!("online"), &json!(2)), "{ann}");
        assert!(ann.get("partial").is_none(), "{ann}");
    }
    let last = tabs.pop().expect("a tab");
    for tab in tabs {
        tab.close().await;
    }
    let _fay = here.user("fay").await;
    for observer in [&mut eve, &mut sam] {
        hears(observer, "user:online", "fay").await;
        heard_nothing_of(observer, "ann").await;
    }
    last.abort().await;
    for observer in [&mut eve, &mut sam] {
        hears(observer, "user:offline", "ann").await;
        hears(observer, "user-status-change", "ann").await;
    }
    let _gus = there.user("gus").await;
    for observer in [&mut eve, &mut sam] {
        hears(observer, "user:online", "gus").await;
        heard_nothing_of(observer, "ann").await;
    }
    let seen = [here.presence("ann").await, there.presence("ann").await];
    assert_eq!(seen[0]["status"], "offline");
    assert_eq!(seen[0]["lastSeen"], seen[1]["lastSeen"]);
}

#[tokio::test]
async fn who_goes_on_at_another_node_within_the_grace_was_never_away() {
    let common = Common::new().await;
    let node = async || {
        let node = Box::pin(TestApp::with(|config| {
            common.set(config);
            config.presence.grace = Duration::from_secs(5);
        }));
        let node = node.await;
        node.joined().await;
        node
    };
    let (here, there) = (node().await, node().await);
    let mut eve = there.user("eve").await;
    let ann = here.user("ann").await;
    hears(&mut eve, "user:online", "ann").await;
    ann.close().await;
    let ann = there.user("ann").await;
    // Its grace is over before that of who goes now.
    let fay = here.user("fay").await;
    hears(&mut eve, "user:online", "fay").await;
    fay.close().await;
    hears(&mut eve, "user:offline", "fay").await;
    heard_nothing_of(&mut eve, "ann").await;
    ann.close().await;
    hears(&mut eve, "user:offline", "ann").await;
}

/// Whoever has gone before it could be told that they came has come nowhere yet.
#[tokio::test]
async fn who_was_here_too_briefly_to_be_told_is_told_to_come_to_another_node() {
    let common = Common::new().await;
    let node = async || {
        let node = Box::pin(TestApp::with(|config| {
            common.set(config);
            config.presence.grace = Duration::from_secs(30);
        }));
        let node = node.await;
        node.joined().await;
        node
    };
    let (here, there) = (node().await, node().await);
    let mut eve = here.user("eve").await;
    common.redis.ask::<String>(&["CLIENT", "PAUSE", "1500"]);
    // This is being told while ann comes and goes.
    let _fay = here.user("fay").await;
    here.user("ann").await.close().await;
    hears(&mut eve, "user:online", "fay").await;
    let away = ["ZSCORE", "stoa:{p}:away", "ann"];
    let said = eventually(async || common.redis.ask::<Option<f64>>(&away));
    within_time(DEADLINE, "ann is known to have gone", said).await;
    let _ann = there.user("ann").await;
    hears(&mut eve, "user:online", "ann").await;
}

/// What was under way when a connection to Redis broke may come to it after what the next one says.
#[tokio::test]
async fn what_a_broken_connection_said_counts_for_nothing_though_it_comes_late() {
    const LEAVE: &str = concat!(
        include_str!("../../src/cluster/scripts/head.lua"),
        include_str!("../../src/cluster/scripts/leave.lua"),
    );
    let common = Common::new().await;
    let [here, there] = quick(&common).await;
    let mut eve = there.user("eve").await;
    let _ann = here.user("ann").await;
    hears(&mut eve, "user:online", "ann").await;
    let place_of = |user: &str| {
        let places: Vec<String> = common.redis.ask(&["ZRANGE", "stoa:{p}:byuser", "0", "-1"]);
        let of_user: Vec<_> =
            places.iter().filter_map(|it| it.strip_prefix(&format!("{user}/"))).collect();
        (of_user.len() == 1).then(|| of_user[0].to_owned())
    };
    let before = place_of("ann").expect("one place");
    common.redis.ask::<i64>(&["CLIENT", "KILL", "TYPE", "normal"]);
    let moved = eventually(async || place_of("ann").filter(|place| *place != before));
    within_time(DEADLINE, "ann is said to be here again", moved).await;
    let keys = ["nodes", "byuser", "bynode", "told", "away"].map(|key| format!("stoa:{{p}}:{key}"));
    let late = ["EVAL", LEAVE, "5"].into_iter().chain(keys.iter().map(String::as_str));
    let late: Vec<&str> = late.chain([before.as_str(), "0", "ann"]).collect();
    common.redis.ask::<String>(&late);
    // Whoever was found to have gone is told to have before this.
    let fay = here.user("fay").await;
    hears(&mut eve, "user:online", "fay").await;
    fay.close().await;
    hears(&mut eve, "user:offline", "fay").await;
    heard_nothing_of(&mut eve, "ann").await;
}

#[tokio::test]
async fn contacts_hear_of_each_other_on_every_node_and_who_says_so_is_told_again() {
    let common = Common::new().await;
    let node = async || {
        let node = Box::pin(TestApp::with(|config| {
            common.set(config);
            config.presence.audience = PresenceAudience::Contacts;
        }));
        let node = node.await;
        node.joined().await;
        node
    };
    let (here, there) = (node().await, node().await);
    let mut stranger = there.user("stranger").await;
    let mut bob = there.user("bob").await;
    here.person("ann").group(&["bob"]).await;
    let mut ann = here.user("ann").await;
    hears(&mut bob, "user:online", "ann").await;
    hears(&mut bob, "user-status-change", "ann").await;
    ann.emit_ack("user-online", "ann").await;
    hears(&mut bob, "user-status-change", "ann").await;
    heard_nothing_of(&mut stranger, "ann").await;
}

#[tokio::test]
async fn what_redis_forgot_is_said_again_and_nobody_hears_of_it() {
    let common = Common::new().await;
    let [here, there] = quick(&common).await;
    let (mut eve, ann, bob) =
        (here.user("eve").await, here.user("ann").await, there.user("bob").await);
    hears_all(&mut eve, "user:online", &["ann", "bob"]).await;
    common.redis.ask::<String>(&["FLUSHALL"]);
    let again = eventually(async || {
        let told: Vec<String> = common.redis.ask(&["HKEYS", "stoa:{p}:told"]);
        ["eve", "ann", "bob"].iter().all(|user| told.iter().any(|one| one == user)).then_some(())
    });
    within_time(DEADLINE, "what was forgotten", again).await;
    let _fay = there.user("fay").await;
    hears(&mut eve, "user:online", "fay").await;
    for user in ["ann", "bob"] {
        heard_nothing_of(&mut eve, user).await;
        assert_eq!(there.presence(user).await["status"], "online");
    }
    ann.close().await;
    hears(&mut eve, "user:offline", "ann").await;
    bob.close().await;
    hears(&mut eve, "user:offline", "bob").await;
}

#[tokio::test]
async fn while_redis_is_away_nothing_changes_and_afterwards_all_is_told_once() {
    let mut common = Common::new().await;
    let [here, there] = quick(&common).await;
    let (mut eve, ann, _bob) =
        (there.user("eve").await, here.user("ann").await, here.user("bob").await);
    hears_all(&mut eve, "user:online", &["ann", "bob"]).await;
    common.redis.stop();
    for node in [&here, &there] {
        node.parted().await;
    }
    ann.close().await;
    let _cat = here.user("cat").await;
    let ann = there.presence("ann").await;
    assert_eq!((&ann["status"], &ann["partial"]), (&json!("online"), &json!(true)), "{ann}");
    let of_bob = there.post("/api/presence/query", json!({ "userIds": ["bob"] })).await.ok();
    assert_eq!(of_bob["items"][0]["partial"], true);
    // Of its own node that much is known.
    assert_eq!(here.presence("cat").await["status"], "online");
    for user in ["ann", "bob", "cat"] {
        heard_nothing_of(&mut eve, user).await;
    }
    common.redis.resume();
    hears(&mut eve, "user:online", "cat").await;
    hears_late(&mut eve, "user:offline", "ann").await;
    for user in ["ann", "bob", "cat"] {
        heard_nothing_of(&mut eve, user).await;
    }
    assert_eq!(there.presence("ann").await["status"], "offline");
    there
        .until("/api/presence/bob", AFTER_LEASE, "all nodes", |bob| {
            bob.body["status"] == "online" && bob.body.get("partial").is_none()
        })
        .await;
}

/// Sends a signal to a process.
pub(super) fn signal(name: &str, process: u32) {
    let sent = Command::new("kill").args([format!("-{name}"), process.to_string()]).status();
    assert!(sent.expect("kill").success());
}

#[tokio::test]
async fn who_is_here_stays_when_redis_has_stood_still_for_longer_than_a_lease() {
    let common = Common::new().await;
    let [here, there] = quick(&common).await;
    let (mut eve, _ann) = (here.user("eve").await, there.user("ann").await);
    hears(&mut eve, "user:online", "ann").await;
    let info: String = common.redis.ask(&["INFO", "server"]);
    let id = info.lines().find_map(|line| line.strip_prefix("process_id:")).expect("its id");
    let id = id.parse().expect("a number");
    signal("STOP", id);
    // As long as the leases of both last, and longer.
    tokio::time::sleep(LEASE + Duration::from_secs(1)).await;
    signal("CONT", id);
    for node in [&here, &there] {
        node.joined().await;
    }
    let _fay = there.user("fay").await;
    hears(&mut eve, "user:online", "fay").await;
    heard_nothing_of(&mut eve, "ann").await;
}

/// A node as a process of its own.
async fn process(common: &Common, folder: &Path) -> Process {
    let url = common.redis.url();
    let variables =
        [("DATABASE_URL", common.database.as_str()), ("REDIS_URL", &url), ("PRESENCE_GRACE", "0s")];
    Process::start(folder, &variables).await
}

#[tokio::test]
async fn the_users_of_a_node_that_is_killed_are_offline_once() {
    let common = Common::new().await;
    let [here, there] = quick(&common).await;
    let folder = TempDir::new().expect("a folder");
    let node = process(&common, folder.path()).await;
    let (mut eve, mut sam) = (here.user("eve").await, there.user("sam").await);
    let mut clients = Vec::new();
    for user in ["ann", "bob"] {
        let token = Options::websocket().token(&here.token(user, &[]));
        clients.push(Client::connect(node.address, token).await.expect("a socket"));
        for observer in [&mut eve, &mut sam] {
            hears(observer, "user:online", user).await;
        }
    }
    // One of them is elsewhere, too.
    let _tab = there.user("bob").await;
    node.kill().await;
    for observer in [&mut eve, &mut sam] {
        hears_late(observer, "user:offline", "ann").await;
        heard_nothing_of(observer, "ann").await;
        heard_nothing_of(observer, "bob").await;
    }
    assert_eq!(here.presence("bob").await["status"], "online");
    assert_eq!(here.presence("ann").await["status"], "offline");
}

#[tokio::test]
async fn the_users_of_a_node_that_stood_still_are_offline_and_then_online() {
    let common = Common::new().await;
    let [here, there] = quick(&common).await;
    let folder = TempDir::new().expect("a folder");
    let node = process(&common, folder.path()).await;
    let mut eve = here.user("eve").await;
    drop(there);
    let token = Options::websocket().token(&here.token("ann", &[]));
    let _ann = Client::connect(node.address, token).await.expect("a socket");
    hears(&mut eve, "user:online", "ann").await;
    signal("STOP", node.id());
    hears_late(&mut eve, "user:offline", "ann").await;
    signal("CONT", node.id());
    hears(&mut eve, "user:online", "ann").await;
    heard_nothing_of(&mut eve, "ann").await;
}

#[tokio::test]
async fn a_node_that_comes_later_knows_who_is_on_the_others() {
    let common = Common::with(Redis::start()).await;
    let here = common.node().await;
    here.joined().await;
    let (mut eve, _ann) = (here.user("eve").await, here.user("ann").await);
    hears(&mut eve, "user:online", "ann").await;
    let there = common.node().await;
    there
        .until("/api/presence/ann", DEADLINE, "who is on the other node", |ann| {
            ann.body["status"] == "online"
        })
        .await;
    // Those who go with their node are gone as soon as they would be without it.
    let mut sam = there.user("sam").await;
    hears(&mut eve, "user:online", "sam").await;
    here.shutdown(DEADLINE).await;
    hears(&mut sam, "user:offline", "ann").await;
}
