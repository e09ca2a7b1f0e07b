//! What clients and callers send and others are shown: each field has its bound.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};
use stoa::config::{Config, RoomPolicy};

use crate::support::{Options, TestApp};

const TRANSPORTS: [fn() -> Options; 3] = [Options::websocket, Options::polling, Options::upgrade];

fn open(config: &mut Config) {
    config.rooms.policy = RoomPolicy::Open;
}

/// Both ways to say that one is typing, with the field of a name.
fn typing(user: &str, name: &Value) -> [(&'static str, Value); 2] {
    [
        ("typing:start", json!({ "conversationId": "c1", "userName": name })),
        ("typing-start", json!({ "chatId": "c1", "userId": user, "userName": name })),
    ]
}

#[tokio::test]
async fn who_types_is_told_by_a_name_of_1_to_100_characters() {
    let app = TestApp::with(|config| {
        open(config);
        config.limits.enabled = false;
    })
    .await;
    let mut bob = app.user("bob").await;
    let market = Options::websocket().namespace("/marketplace");
    let mut cat = app.user_with("cat", &[], market).await;
    bob.emit_ack("conversation:join", "c1").await;
    cat.emit_ack("join-chat-room", "c1").await;
    for options in TRANSPORTS {
        let mut alice = app.user_with("alice", &[], options()).await;
        alice.emit_ack("conversation:join", "c1").await;
        let long = "x".repeat(900_000);
        for name in ["", "a\nb", "\u{0}", "\u{9b}", &"é".repeat(101), &long, &long, &long] {
            for (event, argument) in typing("alice", &json!(name)) {
                let ack = alice.emit_ack(event, argument).await;
                assert_eq!(ack["code"], "invalid_payload", "{event} {} bytes", name.len());
                assert!(ack.to_string().len() < 1000, "{event}: the answer repeats the name");
            }
        }
        bob.expect_nothing().await;
        cat.expect_nothing().await;
        for name in ["A", "Ada Lovelace", &"😀".repeat(100)] {
            for (event, argument) in typing("alice", &json!(name)) {
                assert_eq!(alice.emit_ack(event, argument).await["success"], true, "{event}");
                assert_eq!(bob.expect("typing:start").await["userName"], name, "{event}");
                assert_eq!(cat.expect("user-typing").await["userName"], name, "{event}");
            }
        }
        for (event, argument) in typing("alice", &Value::Null) {
            assert_eq!(alice.emit_ack(event, argument).await["success"], true, "{event}");
            assert_eq!(bob.expect("typing:start").await["userName"], "alice", "{event}");
            assert_eq!(cat.expect("user-typing").await.get("userName"), None, "{event}");
        }
        alice.close().await;
        assert_eq!(bob.expect("typing:stop").await["userId"], "alice");
        assert_eq!(cat.expect("user-typing").await["isTyping"], false);
    }
}

#[tokio::test]
async fn the_name_in_a_token_goes_before_one_that_is_claimed() {
    let app = TestApp::with(open).await;
    let mut bob = app.user("bob").await;
    bob.emit_ack("conversation:join", "c1").await;
    for (claims, shown) in [
        (json!({ "name": "Ada" }), "Ada".to_owned()),
        (json!({ "firstName": "Ada", "lastName": "L." }), "Ada L.".to_owned()),
        (json!({ "name": "é".repeat(1500) }), "é".repeat(100)),
        (json!({ "firstName": "x".repeat(99), "lastName": "yz" }), format!("{} ", "x".repeat(99))),
        (json!({ "name": "A\nd\u{0}a" }), "Ada".to_owned()),
        (json!({ "name": "\u{1}" }), "Eve".to_owned()),
        (json!({ "name": { "first": "Ada" } }), "Eve".to_owned()),
    ] {
        let mut alice = app.person_with("alice", claims.clone()).connect().await;
        alice.emit_ack("conversation:join", "c1").await;
        for (event, argument) in typing("alice", &json!("Eve")) {
            assert_eq!(alice.emit_ack(event, argument).await["success"], true, "{claims}");
            assert_eq!(bob.expect("typing:start").await["userName"], shown.as_str(), "{claims}");
        }
    }
}

#[tokio::test]
async fn a_name_in_a_token_is_shown_as_far_as_a_name_goes() {
    let app = TestApp::start().await;
    let names = json!({ "firstName": "é".repeat(1500), "lastName": "Love\u{0}lace" });
    let body = json!({ "participantIds": ["bob"], "type": "group" });
    let made = app.person_with("alice", names).post("/api/conversations", body).await.created();
    let people = made["conversation"]["participants"].as_array().unwrap();
    let alice = people.iter().find(|person| person["id"] == "alice").unwrap();
    assert_eq!(alice["firstName"], "é".repeat(100));
    assert_eq!(alice["lastName"], "Lovelace");
}

/// Where a text goes, and what it may be there.
struct Field {
    path: String,
    pointer: &'static str,
    most: usize,
    /// Whether it is one line.
    line: bool,
    body: fn(&str) -> Value,
}

fn field(path: &str, pointer: &'static str, most: usize, body: fn(&str) -> Value) -> Field {
    // Long texts have several lines, and so have those that say why.
    let line = most < 4000 && pointer != "/reason";
    Field { path: path.to_owned(), pointer, most, line, body }
}

/// A message with a file of which this is different.
fn with_file(name: &str, text: &str) -> Value {
    let mut file = json!({ "url": "a:b", "name": "a", "mimeType": "a/b", "size": 1 });
    file[name] = json!(text);
    json!({ "content": "x", "attachments": [file] })
}

/// A purchase request of which this is different.
fn with_lamp(name: &str, text: &str) -> Value {
    let budget = json!({ "amount": 40, "currency": "USD" });
    let mut lamp = json!({ "title": "A lamp", "description": "Green", "budget": budget });
    lamp[name] = json!(text);
    lamp
}

fn chat_fields(conversation: &str) -> [Field; 3] {
    let messages = &format!("/api/conversations/{conversation}/messages");
    let group: fn(&str) -> Value =
        |text| json!({ "participantIds": ["sam"], "type": "group", "title": text });
    [
        field("/api/conversations", "/title", 200, group),
        field(messages, "/content", 8000, |text| json!({ "content": text })),
        field(messages, "/attachments/0/url", 2048, |text| with_file("url", text)),
    ]
}

fn buyers_fields(request: &str, offer: &str) -> [Field; 5] {
    let requests = "/api/marketplace/requests";
    let cancel = &format!("{requests}/{request}/cancel");
    let reject = &format!("/api/marketplace/offers/{offer}/reject");
    [
        field(requests, "/title", 200, |text| with_lamp("title", text)),
        field(requests, "/description", 8000, |text| with_lamp("description", text)),
        field(requests, "/category", 100, |text| with_lamp("category", text)),
        field(cancel, "/reason", 1000, |text| json!({ "reason": text })),
        field(reject, "/reason", 1000, |text| json!({ "reason": text })),
    ]
}

fn sellers_fields(request: &str, sold: &str) -> [Field; 4] {
    let offers = &format!("/api/marketplace/requests/{request}/offers");
    let delivery = &format!("/api/marketplace/requests/{sold}/delivery");
    let offer: fn(&str) -> Value =
        |text| json!({ "amount": 1, "currency": "USD", "message": text });
    let number: fn(&str) -> Value = |text| json!({ "status": "packed", "trackingNumber": text });
    [
        field(offers, "/message", 4000, offer),
        field(delivery, "/status", 64, |text| json!({ "status": text })),
        field(delivery, "/carrier", 100, |text| json!({ "status": "packed", "carrier": text })),
        field(delivery, "/trackingNumber", 100, number),
    ]
}

#[tokio::test]
async fn each_text_has_its_bound_and_none_holds_what_can_not_be_kept() {
    let app = TestApp::start().await;
    let (bea, sam) = (app.buyer("bea"), app.seller("sam"));
    let conversation = bea.group(&["sam"]).await;
    let request = bea.request().await;
    let offer = sam.offer(&request, "30").await;
    let sold = bea.buys_from(&sam).await;
    let of_buyer = chat_fields(&conversation).into_iter().chain(buyers_fields(&request, &offer));
    let of_seller = sellers_fields(&request, &sold).into_iter();
    let all = of_buyer.map(|field| (&bea, field)).chain(of_seller.map(|field| (&sam, field)));
    for (person, field) in all {
        let method = if field.path.ends_with("/delivery") { Method::PATCH } else { Method::POST };
        let mut bad = vec![String::new(), "é".repeat(field.most + 1), "a\u{0}b".to_owned()];
        if field.line {
            bad.extend(["a\nb", "\u{1b}[1m", "\u{7f}"].map(str::to_owned));
        }
        for text in bad {
            let body = Some((field.body)(&text));
            let answer = person.call(method.clone(), &field.path, body).await;
            let what = format!("{} {} of {} bytes", field.path, field.pointer, text.len());
            answer.invalid(field.pointer);
            assert!(answer.body.to_string().len() < 2000, "{what}: {}", answer.body);
        }
    }
}

#[tokio::test]
async fn what_is_wrong_is_not_told_by_all_that_was_sent() {
    let app = TestApp::start().await;
    let mut alice = app.user("alice").await;
    let long = "x".repeat(500_000);
    for body in [
        json!({ "participantIds": long }),
        json!({ "participantIds": ["bob"], "type": long }),
        json!({ "participantIds": ["bob"], (long.as_str()): 1 }),
    ] {
        let answer = alice.post("/api/conversations", body).await;
        assert_eq!(answer.problem(422), "invalid_payload");
        assert!(answer.body.to_string().len() < 2000, "{} bytes", answer.body.to_string().len());
    }
    for (event, argument) in [
        ("join-user-room", json!([long])),
        ("message:send", json!({ "conversationId": "c1", "content": "x", "attachments": long })),
        (long.as_str(), json!(1)),
    ] {
        assert!(alice.emit_ack(event, argument.clone()).await.to_string().len() < 1000);
        alice.emit(event, argument);
        assert!(alice.expect("error").await.to_string().len() < 1000);
    }
}

/// Names of fields that hold anything, within the payload's size or one of their own.
const FREE: [&str; 2] = ["data", "metadata"];

/// Every string and list in a schema that has no bound.
fn unbounded(document: &Value, schema: &Value, at: &str, found: &mut BTreeSet<String>) {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document.pointer(reference.trim_start_matches('#'));
        return unbounded(document, target.expect("a schema"), at, found);
    }
    for key in ["oneOf", "anyOf", "allOf"] {
        for one in schema[key].as_array().into_iter().flatten() {
            unbounded(document, one, at, found);
        }
    }
    let kinds = &schema["type"];
    let is = |kind: &str| {
        *kinds == kind || kinds.as_array().is_some_and(|kinds| kinds.contains(&json!(kind)))
    };
    // `^…{1,16}$`
    let counted = schema["pattern"].as_str().is_some_and(|pattern| pattern.ends_with("}$"));
    let bounded = schema["maxLength"].is_u64() || counted || schema["enum"].is_array();
    if is("string") && !bounded {
        found.insert(at.to_owned());
    }
    if is("array") {
        if !schema["maxItems"].is_u64() {
            found.insert(format!("{at}[]"));
        }
        unbounded(document, &schema["items"], &format!("{at}/0"), found);
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        if !FREE.contains(&name.as_str()) {
            unbounded(document, property, &format!("{at}/{name}"), found);
        }
    }
}

#[tokio::test]
async fn the_documents_tell_the_bound_of_every_field_that_is_sent() {
    let app = TestApp::start().await;
    let mut found = BTreeSet::new();
    let openapi = app.get("/api/openapi.json").await.ok();
    let mut bodies = 0;
    for (path, operations) in openapi["paths"].as_object().expect("paths") {
        for (method, operation) in operations.as_object().expect("operations") {
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            if schema.is_object() {
                bodies += 1;
                unbounded(&openapi, schema, &format!("{method} {path} "), &mut found);
            }
        }
    }
    let asyncapi = app.get("/api/asyncapi.json").await.ok();
    let mut events = 0;
    let catalogue = serde_json::to_value(stoa::app::events()).expect("JSON");
    for event in catalogue["events"].as_array().expect("events") {
        if event["direction"] == "clientToServer" {
            events += 1;
            let name = event["payload"].as_str().expect("a payload");
            let schema = &asyncapi["components"]["schemas"][name];
            assert!(schema.is_object(), "{name}");
            unbounded(&asyncapi, schema, &format!("{} ", event["name"]), &mut found);
        }
    }
    assert!(bodies > 15 && events > 15, "{bodies} {events}");
    assert!(found.is_empty(), "no bound: {found:#?}");
}
