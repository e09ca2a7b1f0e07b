//! Who loses a right, or is shut out, on one node is out on the other before what comes later.

use reqwest::Method;
use serde_json::json;

use super::two_nodes;
use crate::support::{Options, Person, TestApp, app::API_KEY, eventually, within};

/// An event that was committed on one node before another is heard before it: with this no more comes of
/// what was before.
async fn hears_nothing_but_this(person: &mut Person, from: &TestApp, user: &str) {
    from.emit(json!({ "user": user }), "last", json!(null)).await;
    person.expect("last").await;
    assert_eq!(person.queued("news"), [] as [serde_json::Value; 0]);
}

#[tokio::test]
async fn whose_grant_is_taken_back_hears_nothing_of_what_comes_later_on_either() {
    let [one, other] = two_nodes(|_| {}).await;
    let path = "/api/rooms/conversation:x1/members/alice";
    assert_eq!(one.request(Method::PUT, path, Some(API_KEY), None).await.status, 204);
    let mut tabs = [one.user("alice").await, other.user("alice").await];
    for tab in &mut tabs {
        assert!(tab.may_join("conversation:join", "x1").await);
    }
    one.emit_to_room("conversation:x1", "news", json!(1)).await;
    for tab in &mut tabs {
        assert_eq!(tab.expect("news").await, 1);
    }
    for n in 2..12 {
        assert_eq!(one.request(Method::PUT, path, Some(API_KEY), None).await.status, 204);
        for tab in &mut tabs {
            assert!(tab.may_join("conversation:join", "x1").await);
        }
        assert_eq!(one.request(Method::DELETE, path, Some(API_KEY), None).await.status, 204);
        one.emit_to_room("conversation:x1", "news", json!(n)).await;
        // Both hear of both.
        for _ in &tabs {
            one.emit(json!({ "user": "alice" }), "last", json!(n)).await;
        }
        for (at, tab) in tabs.iter_mut().enumerate() {
            while tab.expect("last").await != n {}
            assert_eq!(tab.queued("news"), [] as [serde_json::Value; 0], "{at}");
        }
    }
}

#[tokio::test]
async fn who_is_removed_from_a_group_hears_of_it_and_no_more() {
    let [one, other] = two_nodes(|_| {}).await;
    let alice = one.person("alice");
    let group = alice.group(&["alice", "bob", "carl"]).await;
    let mut bob = other.user("bob").await;
    bob.join("conversation:join", &group).await;
    let removed = alice.delete(&format!("/api/conversations/{group}/participants/bob")).await;
    assert_eq!(removed.status, 204, "{removed:?}");
    alice.say(&group, "without bob").await;
    bob.expect("conversation:participant:removed").await;
    one.emit(json!({ "user": "bob" }), "last", json!(null)).await;
    bob.expect("last").await;
    assert!(bob.queued("message:new").is_empty());
    assert!(!bob.may_join("conversation:join", &group).await);
}

#[tokio::test]
async fn who_was_let_in_while_there_was_no_record_is_taken_out_on_both() {
    let [one, other] =
        two_nodes(|config| config.rooms.policy = stoa::config::RoomPolicy::Open).await;
    let mut eve = other.user("eve").await;
    eve.join("conversation:join", "given").await;
    let body = json!({ "id": "given", "participantIds": ["alice", "bob"] });
    let begun = one.acted_for("alice", &[]).post("/api/conversations", body).await;
    assert_eq!(begun.status, 201, "{begun:?}");
    one.emit_to_room("conversation:given", "news", json!(1)).await;
    hears_nothing_but_this(&mut eve, &one, "eve").await;
}

#[tokio::test]
async fn who_is_shut_out_on_one_node_is_on_the_other() {
    let [one, other] = two_nodes(|_| {}).await;
    for (user, path, body) in [
        ("ann", "/api/users/ann/block", json!({})),
        ("bob", "/api/auth/revocations", json!({ "userId": "bob" })),
    ] {
        let mut tab = other.user(user).await;
        let person = other.person(user);
        assert_eq!(one.post(path, body).await.status, 204);
        tab.closed().await;
        assert!(person.try_connect(Options::websocket()).await.is_err(), "{user} comes back");
        assert_eq!(person.get("/api/conversations").await.status.as_u16() / 100, 4);
    }
    // Blocks end everywhere, too.
    assert_eq!(
        one.request(Method::DELETE, "/api/users/ann/block", Some(API_KEY), None).await.status,
        204
    );
    let back = async || other.person("ann").try_connect(Options::websocket()).await.ok();
    Box::pin(within("ann to be let in", eventually(back))).await;

    let mut tab = other.user("cat").await;
    let answer = one.post("/api/users/cat/disconnect", json!({})).await.ok();
    assert_eq!(answer["disconnected"], 0, "of those on this node");
    tab.closed().await;
    other.user("cat").await;
}
