//! Everything that is kept of a user, as lines.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};

use super::life::{Life, TRACE, configure};
use crate::support::{TestApp, app::API_KEY, http_client};

/// The objects of an export, by their types.
pub(super) async fn export(app: &TestApp, user: &str) -> BTreeMap<String, Vec<Value>> {
    let answer = app.get(&format!("/api/users/{user}/export")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.headers["content-type"], "application/x-ndjson");
    let text = match &answer.body {
        Value::Null => String::new(),
        Value::String(lines) => lines.clone(),
        one => one.to_string(),
    };
    read(&text)
}

/// Reads an export that is whole.
fn read(text: &str) -> BTreeMap<String, Vec<Value>> {
    let mut lines = BTreeMap::<String, Vec<Value>>::new();
    for line in text.lines() {
        let object: Value = serde_json::from_str(line).expect("an object");
        let kind = object["type"].as_str().expect("a type").to_owned();
        lines.entry(kind).or_default().push(object);
    }
    let end = lines.remove("end").expect("an end");
    let count = text.lines().count() - 1;
    assert_eq!(end, [json!({ "type": "end", "lines": count })]);
    assert!(text.lines().last().is_some_and(|last| last.contains("\"end\"")), "{text}");
    lines
}

#[tokio::test]
async fn an_export_has_everything_that_somebody_left() {
    let app = TestApp::with(configure).await;
    let life = Life::live(&app).await;
    let lines = export(&app, &life.person.id).await;
    let counts: Vec<_> = lines.iter().map(|(kind, lines)| (kind.as_str(), lines.len())).collect();
    assert_eq!(
        counts,
        [
            ("account", 1),
            ("conversation", 2),
            ("grant", 1),
            ("message", 4),
            ("notification", 7),
            ("offer", 1),
            ("payment", 1),
            ("points", 1),
            ("reaction", 1),
            ("referral", 1),
            ("request", 3),
            ("told", 5),
            ("user", 1),
        ]
    );
    assert_eq!(lines["account"][0]["email"], format!("{TRACE}@example.org"));
    assert!(!lines["account"][0].to_string().contains("argon2"));
    assert_eq!(lines["user"][0]["id"], life.person.id);
    let again = format!("{TRACE} says hello again");
    let edited = lines["message"].iter().find(|message| message["content"] == again);
    let edited = edited.expect("what was edited");
    assert_eq!(edited["metadata"]["mood"], format!("{TRACE} says hello"));
    assert_eq!(edited["attachments"][0]["url"], format!("https://a/{TRACE}"));
    assert_eq!(lines["reaction"][0]["messageId"], life.bobs);
    assert_eq!(lines["request"][0]["budget"]["amount"], 40.5);
    assert_eq!(lines["payment"][0]["id"], life.payment);
    assert_eq!(lines["offer"][0]["id"], life.offer);
    assert_eq!(lines["grant"][0]["room"], "backstage");
    assert_eq!(lines["points"][0]["points"], 50);
    assert_eq!(lines["referral"][0]["referrerId"], "bob");
    let told = |kind: &str| lines["told"].iter().find(|told| told["kind"] == kind).expect(kind);
    assert_eq!(told("offer-rejected")["data"]["reason"], format!("{TRACE} wants a lamp"));
    assert_eq!(told("message-received")["body"], format!("{TRACE}-first {TRACE}-last"));
}

#[tokio::test]
async fn an_export_of_many_rows_has_each_of_them_once() {
    let app = TestApp::with(configure).await;
    let life = Life::live(&app).await;
    let mut written = life.messages.clone();
    for number in 0..120 {
        written.push(life.person.say(&life.conversations[number % 2], "x").await);
    }
    let lines = export(&app, &life.person.id).await;
    let mut told: Vec<_> = lines["message"]
        .iter()
        .map(|line| line["id"].as_str().expect("an id").to_owned())
        .collect();
    told.sort();
    written.sort();
    assert_eq!(told, written);
}

#[tokio::test]
async fn an_export_is_for_oneself_and_for_operators() {
    let app = TestApp::start().await;
    let path = "/api/users/ann/export";
    assert_eq!(app.person("ann").get(path).await.status, 200);
    assert_eq!(app.admin().get(path).await.status, 200);
    assert_eq!(app.seller("bob").get(path).await.problem(403), "forbidden");
    let nobody = app.request(Method::GET, path, None, None).await;
    assert_eq!(nobody.problem(401), "token_missing");
    assert!(export(&app, "ann").await.is_empty(), "nothing is known of her");
}

#[tokio::test]
async fn a_seller_is_told_what_they_said_of_the_goods() {
    let app = TestApp::with(configure).await;
    let (ann, bob) = (app.buyer("ann"), app.seller("bob"));
    let request = super::erasure::ship(&app, &ann, &bob, "DHL").await;
    let lines = export(&app, "bob").await;
    let [delivery] = &lines["delivery"][..] else { panic!("one delivery") };
    assert_eq!(delivery["requestId"], json!(request));
    let said = ["status", "carrier", "trackingNumber"].map(|part| delivery[part].clone());
    assert_eq!(said, ["shipped", "DHL", "DHL-7"].map(|word| json!(word)));
    assert_eq!(lines["told"][0]["data"]["trackingNumber"], "DHL-7");
    assert!(!export(&app, "ann").await.contains_key("delivery"));
}

#[tokio::test]
async fn what_cannot_be_read_to_its_end_does_not_end_as_if_it_were_whole() {
    let app = TestApp::with(configure).await;
    let life = Life::live(&app).await;
    let get = async || {
        let url = format!("http://{}/api/users/{}/export", app.address(), life.person.id);
        let answer = http_client().get(url).header("x-api-key", API_KEY).send().await;
        answer.expect("an answer")
    };
    app.execute("ALTER TABLE points_ledger RENAME TO points_gone").await;
    let answer = get().await;
    assert_eq!(answer.status(), 200);
    assert!(answer.text().await.is_err(), "it has no end");
    app.execute("ALTER TABLE accounts RENAME TO accounts_gone").await;
    assert_eq!(get().await.status(), 500, "nothing is promised");
}

#[tokio::test]
async fn there_is_no_export_of_who_is_being_erased() {
    let app = TestApp::with(configure).await;
    let life = Life::live(&app).await;
    // They will not be erased before that can be read.
    app.execute("UPDATE events SET wire = '?' WHERE wire <> ''").await;
    let path = format!("/api/users/{}", life.person.id);
    assert_eq!(app.request(Method::DELETE, &path, Some(API_KEY), None).await.status, 202);
    assert_eq!(app.get(&format!("{path}/export")).await.problem(409), "conflict");
}
