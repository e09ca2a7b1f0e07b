//! What a backend is told: each event once, signed, with who is not here to hear of it.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use stoa::{
    clock::{Clock, Timestamp},
    config::{Config, WebhookConfig},
    signature::SigningKeys,
};

use super::{Receiver, tick, until_health};
use crate::{
    proxy::backend::{Reply, SECRET},
    support::{TestApp, app::API_KEY, eventually, within},
};

#[tokio::test]
async fn a_message_is_told_once_with_who_has_no_connection() {
    let receiver = Receiver::start().await;
    let app = receiver.server(&["message:*", "new-message"]).await;
    let ann = app.user("ann").await;
    let bob = app.user("bob").await;
    let group = ann.group(&["bob", "eve"]).await;
    let message = ann.say(&group, "hello").await;
    bob.say(&group, "hi").await;
    let told = receiver.until_taken(2).await;
    assert_eq!(told.len(), 2, "{told:?}");
    let first = &told[0];
    assert_eq!(first["type"], "message:new");
    assert_eq!(first["data"]["messageId"], message.as_str());
    assert_eq!(first["data"]["content"], "hello");
    assert_eq!(first["stream"], format!("conversation/{group}"));
    assert_eq!(first["rooms"], json!([format!("conversation:{group}")]));
    assert_eq!(first["offlineUserIds"], json!(["eve"]), "not its sender, nor who is here");
    assert_eq!(first["seq"].as_i64().expect("a number") + 1, told[1]["seq"], "in its order");
    assert!(first["timestamp"].as_str().expect("a time").ends_with('Z'), "{first}");
    let fields: Vec<_> = first.as_object().expect("an object").keys().collect();
    let expected = ["type", "timestamp", "data", "stream", "seq", "rooms", "offlineUserIds"];
    assert_eq!(fields, expected);
}

#[tokio::test]
async fn a_call_is_signed_with_each_secret_and_has_an_id_of_its_own() {
    let receiver = Receiver::start().await;
    let next = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let app = TestApp::with(|config| {
        receiver.configure(config, &["*"]);
        config.webhooks.secret = Some(format!("{next},{SECRET}").into());
    })
    .await;
    tick(&app, "lobby", 1..=2).await;
    receiver.until_taken(2).await;
    let asked = receiver.backend.asked();
    let header =
        |at: usize, name: &str| asked[at].headers[name].to_str().expect("a text").to_owned();
    assert_ne!(header(0, "webhook-id"), header(1, "webhook-id"));
    assert_eq!(header(0, "content-type"), "application/json");
    let (id, time) = (header(0, "webhook-id"), header(0, "webhook-timestamp"));
    let signatures = header(0, "webhook-signature");
    for (secret, signature) in [next, SECRET].iter().zip(signatures.split(' ')) {
        let keys = SigningKeys::read(&(*secret).into()).expect("a secret");
        assert_eq!(keys.sign(&id, &time, &asked[0].body), signature);
    }
}

#[tokio::test]
async fn each_webhook_is_told_what_its_patterns_take() {
    let [all, some] = [Receiver::start().await, Receiver::start().await];
    let app = TestApp::with(|config| {
        all.configure(config, &["*"]);
        config.webhooks.endpoints = vec![WebhookConfig {
            name: "some".to_owned(),
            url: some.backend.url(),
            secret: Some(SECRET.into()),
            events: vec!["cart:*".to_owned()],
            private: false,
        }];
    })
    .await;
    for event in ["tick", "cart:add", "cart:pay"] {
        app.emit_to_room("lobby", event, json!({ "n": 1 })).await;
    }
    all.until_taken(3).await;
    let told = some.until_taken(2).await;
    assert_eq!(
        told.iter().map(|body| body["type"].clone()).collect::<Vec<_>>(),
        ["cart:add", "cart:pay"]
    );
    assert_eq!(all.taken().len(), 3);
}

#[tokio::test]
async fn an_event_of_one_dialect_and_what_goes_to_everyone_are_told_too() {
    let receiver = Receiver::start().await;
    let app = receiver.server(&["*"]).await;
    app.emit(json!("everyone"), "new-message", json!({ "n": 1 })).await;
    app.emit(json!({ "users": ["ann", "bob"] }), "tick", json!({ "n": 2 })).await;
    let told = receiver.until_taken(2).await;
    let of = |n: i64| told.iter().find(|body| body["data"]["n"] == n).expect("it").clone();
    let (everyone, users) = (of(1), of(2));
    assert_eq!(everyone["type"], "new-message", "a backend sent it alone");
    let to = |body: &Value| (body["stream"].clone(), body["rooms"].clone());
    assert_eq!(to(&everyone), (json!("global"), json!([])));
    assert_eq!(to(&users), (json!("user/ann"), json!(["user-ann", "user-bob"])));
    assert_eq!(users["offlineUserIds"], json!(["ann", "bob"]));
}

#[tokio::test]
async fn a_new_webhook_is_told_from_now_on_and_a_restart_loses_nothing() {
    let receiver = Receiver::start().await;
    let app = TestApp::start().await;
    tick(&app, "lobby", 1..=2).await;
    let on = |config: &mut Config| receiver.configure(config, &["tick"]);
    let app = Box::pin(app.restart_with(on)).await;
    tick(&app, "lobby", 3..=4).await;
    receiver.until_numbers("other/lobby", &[3, 4]).await;
    let app = app.restart().await;
    tick(&app, "lobby", 5..=5).await;
    receiver.until_numbers("other/lobby", &[3, 4, 5]).await;
    // One that is taken out of the configuration is forgotten.
    let off = |config: &mut Config| (config.webhooks.url, config.webhooks.secret) = (None, None);
    let app = Box::pin(app.restart_with(off)).await;
    tick(&app, "lobby", 6..=6).await;
    let app = Box::pin(app.restart_with(on)).await;
    tick(&app, "lobby", 7..=7).await;
    receiver.until_numbers("other/lobby", &[3, 4, 5, 7]).await;
}

#[tokio::test]
async fn what_was_taken_back_while_it_waited_is_told_without_its_words() {
    let (receiver, clock) =
        (Receiver::start().await, Clock::manual(Timestamp::from_millis(1_764_000_000_000)));
    let configure = |config: &mut Config| receiver.configure(config, &["message:new"]);
    let app = TestApp::with_clock(clock.clone(), configure).await;
    let ann = app.user("ann").await;
    let group = ann.group(&["bob"]).await;
    receiver.answer(|_| Reply::Gated(Box::new(Reply::Status(200))));
    let first = ann.say(&group, "no slip").await;
    let second = ann.say(&group, "a slip").await;
    let waits = |health: &Value| health["behindBy"].as_u64() >= Some(2);
    until_health(&app, "both in hand", waits).await;
    assert_eq!(ann.delete(&format!("/api/messages/{second}")).await.status, 204);
    clock.advance(Duration::from_secs(2));
    receiver.answer(|_| Reply::Status(200));
    receiver.backend.let_go(1);
    let asked = async || Some(receiver.backend.asked()).filter(|asked| asked.len() >= 2);
    let asked = within("both calls", eventually(asked)).await;
    let told: Vec<_> = asked.iter().map(|asked| asked.json()["data"].clone()).collect();
    assert_eq!((&told[0]["messageId"], &told[0]["content"]), (&json!(first), &json!("no slip")));
    assert_eq!((&told[1]["messageId"], &told[1]["content"]), (&json!(second), &json!("")));
}

#[tokio::test]
async fn what_was_taken_back_before_it_was_told_is_told_without_its_words() {
    let receiver = Receiver::start().await;
    let app = receiver.server(&["message:new"]).await;
    let ann = app.user("ann").await;
    let group = ann.group(&["bob"]).await;
    receiver.backend.die();
    let message = ann.say(&group, "a slip").await;
    ann.say(&group, "no slip").await;
    until_health(&app, "a failure", |health| health["retrying"] == 1).await;
    let deleted = ann.delete(&format!("/api/messages/{message}")).await;
    assert_eq!(deleted.status, 204);
    receiver.backend.revive().await;
    let told = receiver.until_taken(2).await;
    assert_eq!(
        (&told[0]["data"]["messageId"], &told[0]["data"]["content"]),
        (&json!(message), &json!(""))
    );
    assert_eq!(told[1]["data"]["content"], "no slip");
    assert!(!format!("{told:?}").contains("a slip"), "{told:?}");
}

#[tokio::test]
async fn who_comes_goes_and_is_erased_is_told() {
    let receiver = Receiver::start().await;
    let app = TestApp::with(|config| {
        receiver.configure(config, &["user.*"]);
        config.presence.grace = Duration::from_millis(1);
    })
    .await;
    let ann = app.user("ann").await;
    let told = receiver.until_taken(1).await;
    assert_eq!(
        (&told[0]["type"], &told[0]["data"]),
        (&json!("user.online"), &json!({ "userId": "ann" }))
    );
    assert_eq!(told[0]["stream"], "about/ann");
    ann.close().await;
    let told = receiver.until_taken(2).await;
    assert_eq!(told[1]["type"], "user.offline");
    assert_eq!(told[1]["data"]["userId"], "ann");
    assert!(told[1]["data"]["lastSeen"].is_string(), "{told:?}");
    let erased = app.request(Method::DELETE, "/api/users/ann", Some(API_KEY), None).await;
    assert_eq!(erased.status, 202);
    let told = receiver.until_taken(3).await;
    assert_eq!(
        (&told[2]["type"], &told[2]["data"]),
        (&json!("user.erased"), &json!({ "userId": "ann" }))
    );
    let seqs: Vec<_> = told.iter().map(|body| body["seq"].as_i64().expect("a number")).collect();
    assert_eq!(seqs, [1, 2, 3]);
}

#[tokio::test]
async fn who_was_here_before_a_restart_and_does_not_come_back_has_gone() {
    let receiver = Receiver::start().await;
    let app = TestApp::with(|config| {
        receiver.configure(config, &["user.*"]);
        config.presence.grace = Duration::from_secs(1);
    })
    .await;
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    receiver.until_taken(2).await;
    let app = app.restart().await;
    let ann = ann.at(&app).connect().await;
    // Ten seconds are theirs to come back.
    let more = crate::support::DEADLINE * 2;
    let told = crate::support::within_time(more, "it to be told", async {
        crate::support::eventually(async || Some(receiver.taken()).filter(|all| all.len() > 2))
            .await
    });
    let told = told.await;
    assert_eq!(
        (&told[2]["type"], &told[2]["data"]["userId"]),
        (&json!("user.offline"), &json!("bob"))
    );
    assert_eq!(told.len(), 3, "ann is back: {told:?}");
    within("its end", ann.close()).await;
    drop(bob);
}
