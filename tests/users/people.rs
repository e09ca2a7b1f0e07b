//! What is known of people, and the names that they are shown by.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::clock;
use crate::support::{
    Options, Person, TestApp,
    app::{API_KEY, SECRET, sign},
};

async fn put(app: &TestApp, user: &str, told: Value) -> Value {
    let key = Some(API_KEY);
    app.request(Method::PUT, &format!("/api/users/{user}"), key, Some(told)).await.ok()
}

/// Somebody of these names.
fn named(app: &TestApp, user: &str, first: &str, last: &str) -> Person {
    app.person_with(user, json!({ "firstName": first, "lastName": last }))
}

/// The names of those who take part in a conversation, as its list and its own page show them.
async fn names(person: &Person, id: &str) -> Vec<String> {
    let names = |participants: &Value| -> Vec<String> {
        let all = participants.as_array().expect("participants").iter();
        all.map(|one| format!("{} {}", one["firstName"], one["lastName"]).replace('"', ""))
            .collect()
    };
    let get = async |path: String| person.get(&path).await.ok();
    let list = get("/api/conversations".to_owned()).await;
    let items = list["items"].as_array().expect("items");
    let listed = items.iter().find(|item| item["id"] == id).expect("the conversation");
    let one = get(format!("/api/conversations/{id}")).await;
    let page = get(format!("/api/conversations/{id}/participants")).await;
    let names_in = names(&page["items"]);
    assert_eq!(names(&one["participants"]), names_in);
    assert_eq!(names(&listed["participants"]), names_in);
    names_in
}

async fn begin(person: &Person, others: &[&str]) -> Value {
    let body = json!({ "participantIds": others, "type": "group" });
    person.post("/api/conversations", body).await.created()["conversation"].clone()
}

/// The first name under which they write.
async fn name_of_writer(person: &Person, conversation: &str) -> Value {
    let path = format!("/api/conversations/{conversation}/messages");
    let sent = person.post(&path, json!({ "content": "x" })).await.created();
    sent["message"]["sender"]["firstName"].clone()
}

#[tokio::test]
async fn people_are_shown_by_what_a_backend_told_of_them_from_the_start() {
    let app = TestApp::start().await;
    put(&app, "bob", json!({ "firstName": "Bob", "lastName": "Ross" })).await;
    put(&app, "carol", json!({ "firstName": "Carol" })).await;
    let mut bob = app.user("bob").await;
    let alice = named(&app, "alice", "Alice", "Liddell");
    let conversation = begin(&alice, &["bob", "dave"]).await;
    let id = conversation["id"].as_str().unwrap();
    assert_eq!(conversation["participants"][1]["firstName"], "Bob");
    let created = bob.expect("conversation:created").await;
    assert_eq!(created["conversation"]["participants"][0]["firstName"], "Alice");
    assert_eq!(created["conversation"]["participants"][1]["lastName"], "Ross");
    assert_eq!(names(&alice, id).await, ["Alice Liddell", "Bob Ross", "null null"]);
    // Who comes later too, and who let them in: by a token without names.
    bob.emit_ack("conversation:join", id).await;
    let mut carol = app.user("carol").await;
    let path = format!("/api/conversations/{id}/participants");
    let added = bob.post(&path, json!({ "userId": "carol" })).await;
    assert_eq!(added.ok()["conversation"]["participants"][3]["firstName"], "Carol");
    let added = bob.expect("conversation:participant:added").await;
    assert_eq!(added["participant"]["firstName"], "Carol");
    let added = carol.expect("conversation:added").await;
    assert_eq!(added["addedBy"], json!({ "id": "bob", "firstName": "Bob", "lastName": "Ross" }));
    // What is told afterwards is shown in what has begun before.
    put(&app, "dave", json!({ "firstName": "Dave" })).await;
    assert_eq!(names(&alice, id).await, ["Alice Liddell", "Bob Ross", "Dave null", "Carol null"]);
}

#[tokio::test]
async fn the_newest_names_win_when_someone_acts() {
    let clock = clock();
    let app = TestApp::with_clock(clock.clone(), |_| {}).await;
    let old = named(&app, "bob", "Old", "Bob");
    let alice = named(&app, "alice", "Alice", "Liddell");
    let conversation = begin(&alice, &["bob"]).await;
    let id = conversation["id"].as_str().unwrap();
    let other = begin(&alice, &["bob"]).await;
    clock.advance(Duration::from_secs(10));
    put(&app, "bob", json!({ "firstName": "Told", "lastName": "Bob", "email": "bob@example.org" }))
        .await;
    let write = async |bob: &Person| name_of_writer(bob, id).await;
    assert_eq!(write(&old).await, "Told", "a token from before");
    assert_eq!(write(&app.person("bob")).await, "Told", "a token without names");
    clock.advance(Duration::from_secs(10));
    let new = named(&app, "bob", "New", "Bob");
    assert_eq!(names(&alice, id).await[1], "Told Bob", "it has not acted");
    assert_eq!(write(&new).await, "New");
    assert_eq!(write(&old).await, "New");
    // Everywhere, and nothing else has changed.
    assert_eq!(names(&alice, other["id"].as_str().unwrap()).await[1], "New Bob");
    let known = app.get("/api/users/bob").await.ok();
    assert_eq!((&known["firstName"], &known["email"]), (&json!("New"), &json!("bob@example.org")));
    clock.advance(Duration::from_secs(10));
    put(&app, "bob", json!({ "firstName": "Again" })).await;
    assert_eq!(write(&new).await, "Again");
    assert_eq!(names(&alice, id).await[1], "Again null");
}

#[tokio::test]
async fn names_of_a_token_whose_makers_clock_is_ahead_are_not_newer_than_what_is_told_after_it() {
    let clock = clock();
    let app = TestApp::with_clock(clock.clone(), |_| {}).await;
    let claims = json!({ "firstName": "Old", "iat": clock.now().seconds() + 4 });
    let ahead = app.person_with("bob", claims);
    let conversation = app.person("alice").group(&["bob"]).await;
    put(&app, "bob", json!({ "firstName": "Told" })).await;
    clock.advance(Duration::from_secs(10));
    assert_eq!(name_of_writer(&ahead, &conversation).await, "Told");
}

#[tokio::test]
async fn names_of_tokens_that_do_not_say_when_they_were_issued_change_as_they_come() {
    let app = TestApp::with_clock(clock(), |_| {}).await;
    let undated = |name: &str| {
        let claims = json!({ "userId": "bob", "firstName": name });
        app.bearer("bob", &sign(&claims, SECRET))
    };
    let conversation = app.person("alice").group(&["bob"]).await;
    let write = async |bob: Person| name_of_writer(&bob, &conversation).await;
    assert_eq!(write(undated("One")).await, "One");
    assert_eq!(write(undated("Two")).await, "Two");
    put(&app, "bob", json!({ "firstName": "Told" })).await;
    assert_eq!(write(undated("Three")).await, "Told");
}

#[tokio::test]
async fn a_profile_is_everybodys_but_for_the_address() {
    let app = TestApp::start().await;
    let told = json!({
        "firstName": "Bob", "lastName": "Ross", "name": "Bob R.", "avatarUrl": "https://img.example/b.png",
        "email": "bob@example.org", "roles": ["seller"],
    });
    let kept = put(&app, "bob", told.clone()).await;
    for (field, value) in told.as_object().unwrap() {
        assert_eq!(kept[field], *value, "{field}");
    }
    assert_eq!((&kept["id"], &kept["_id"]), (&json!("bob"), &json!("bob")));
    for (person, sees) in [
        (app.person("bob"), true),
        (app.person_as("olga", &["admin"]), true),
        (app.person_as("s", &["service"]), true),
        (app.person_as("alice", &["seller", "buyer"]), false),
    ] {
        let seen = person.look("bob").await.ok();
        assert_eq!(seen["name"], "Bob R.");
        assert_eq!(seen.get("email").is_some(), sees, "{seen}");
    }
    assert_eq!(app.person("alice").look("nobody").await.problem(404), "not_found");
    let me = named(&app, "ann", "Ann", "Lee").look("ann").await.ok();
    assert_eq!((&me["firstName"], &me["updatedAt"]), (&json!("Ann"), &Value::Null));
    // What is not told again is not known any more. Neither is a right given by what is.
    let kept = put(&app, "bob", json!({ "roles": ["admin"] })).await;
    assert_eq!((&kept["firstName"], &kept.get("email")), (&Value::Null, &None));
    let mut bob = app.user_with("bob", &["user"], Options::websocket()).await;
    assert_eq!(bob.emit_ack("join-user-room", "alice").await["code"], "forbidden");
}

#[tokio::test]
async fn what_is_no_profile_is_told_and_only_services_tell() {
    let app = TestApp::start().await;
    let key = Some(API_KEY);
    for (told, pointer) in [
        (json!({ "firstName": "" }), "/firstName"),
        (json!({ "lastName": "x".repeat(101) }), "/lastName"),
        (json!({ "name": "a\u{7}b" }), "/name"),
        (json!({ "avatarUrl": "javascript:alert(1)" }), "/avatarUrl"),
        (json!({ "avatarUrl": "/b.png" }), "/avatarUrl"),
        (json!({ "avatarUrl": format!("https://x.example/{}", "a".repeat(2048)) }), "/avatarUrl"),
        (json!({ "email": "a b@c" }), "/email"),
        (json!({ "email": "mi\u{212a}e@example.org" }), "/email"),
        (json!({ "roles": ["king"] }), "/roles/0"),
        (json!({ "userId": "x" }), "/userId"),
    ] {
        let answer = app.request(Method::PUT, "/api/users/bob", key, Some(told.clone())).await;
        assert_eq!(answer.problem(422), "invalid_payload", "{told}");
        assert_eq!(answer.body["errors"][0]["pointer"], pointer, "{told}");
    }
    for roles in [&["user"][..], &["admin"], &[]] {
        let told = Some(json!({ "firstName": "Bob" }));
        let answer = app.person_as("bob", roles).call(Method::PUT, "/api/users/bob", told).await;
        assert_eq!(answer.problem(403), "forbidden");
    }
    assert_eq!(
        app.request(Method::GET, "/api/users/bob", None, None).await.problem(401),
        "token_missing"
    );
}
