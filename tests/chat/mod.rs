//! Conversations and messages over REST: the rules, and each refusal.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Person, TestApp};

mod bytes;
mod carried;
mod reactions;
mod repeated;
mod retention;

/// Somebody with a name.
fn named(app: &TestApp, id: &str) -> Person {
    app.person_with(id, json!({ "firstName": id, "lastName": "Doe" }))
}

impl Person {
    /// `[modifiedCount, unreadCount]`
    async fn read(&self, conversation: &str, message: &str) -> [u64; 2] {
        let path = format!("/api/conversations/{conversation}/read");
        let read = self.post(&path, json!({ "messageId": message })).await.ok();
        ["modifiedCount", "unreadCount"].map(|name| read[name].as_u64().expect("a count"))
    }

    async fn unread_in(&self, conversation: &str) -> u64 {
        let found = self.get(&format!("/api/conversations/{conversation}")).await.ok();
        found["unreadCount"].as_u64().expect("a count")
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

fn texts(list: &Value, field: &str) -> Vec<String> {
    list["items"].as_array().expect("a list").iter().map(|item| text(&item[field])).collect()
}

#[tokio::test]
async fn a_conversation_has_its_creator_and_is_known_to_its_people_only() {
    let app = TestApp::start().await;
    let [ann, bob, eve] = ["ann", "bob", "eve"].map(|id| named(&app, id));
    let body = json!({
        "participantIds": ["bob", "cat"], "title": "Trip", "metadata": { "colour": "red" },
    });
    let answer = ann.post("/api/conversations", body).await;
    assert_eq!(answer.status, 201);
    let made = &answer.body["conversation"];
    let id = text(&made["id"]);
    assert_eq!(
        (&made["_id"], &made["type"], &made["title"]),
        (&made["id"], &json!("group"), &json!("Trip"))
    );
    assert_eq!(made["metadata"], json!({ "colour": "red" }));
    let people: Vec<_> = made["participants"].as_array().unwrap().iter().collect();
    assert_eq!(people.len(), 3);
    assert_eq!((&people[0]["id"], &people[0]["firstName"]), (&json!("ann"), &json!("ann")));

    let path = format!("/api/conversations/{id}");
    assert_eq!(bob.get(&path).await.ok()["id"], json!(id));
    assert_eq!(app.admin().get(&path).await.ok()["unreadCount"], 0);
    assert_eq!(eve.get(&path).await.problem(404), "not_found");
    assert_eq!(eve.get("/api/conversations/nowhere").await.problem(404), "not_found");
    assert_eq!(texts(&eve.get("/api/conversations").await.ok(), "id"), [""; 0]);
    let anonymous = app.request(Method::GET, "/api/conversations", None, None).await;
    assert_eq!(anonymous.status, 401);
}

#[tokio::test]
async fn a_direct_conversation_is_not_doubled_until_it_is_archived() {
    let app = TestApp::start().await;
    let [ann, bob] = ["ann", "bob"].map(|id| named(&app, id));
    let first = ann.post("/api/conversations", json!({ "participantIds": ["bob"] })).await;
    assert_eq!(first.status, 201);
    let first = &first.body["conversation"];
    assert_eq!(first["type"], "direct");
    let both = json!({ "participantIds": ["ann", "bob"], "type": "direct" });
    let again = bob.post("/api/conversations", both.clone()).await;
    assert_eq!(again.status, 200);
    assert_eq!(again.body["conversation"], *first);

    let id = text(&first["id"]);
    let participants = format!("/api/conversations/{id}/participants");
    let more = ann.post(&participants, json!({ "userId": "cat" })).await;
    assert_eq!(more.problem(409), "conflict");
    let leave = bob.delete(&format!("/api/conversations/{id}/participants/bob")).await;
    assert_eq!(leave.problem(409), "conflict");

    ann.post(&format!("/api/conversations/{id}/archive"), json!({})).await.ok();
    let anew = bob.post("/api/conversations", both).await;
    assert_eq!(anew.status, 201);
    assert_ne!(anew.body["conversation"]["id"], json!(id));
}

#[tokio::test]
async fn a_conversation_that_keeps_no_rule_is_refused() {
    let app = TestApp::start().await;
    let ann = named(&app, "ann");
    let many: Vec<String> = (0..1000).map(|n| format!("u{n}")).collect();
    for (body, pointer) in [
        (json!({ "participantIds": [] }), "/participantIds"),
        (json!({ "participantIds": ["ann"] }), "/participantIds"),
        (json!({ "participantIds": many }), "/participantIds"),
        (json!({ "participantIds": ["bob", "cat"], "type": "direct" }), "/participantIds"),
        (json!({ "participantIds": ["bob", "a b"] }), "/participantIds/1"),
        (json!({ "participantIds": ["bob"], "type": "crowd" }), "/type"),
        (json!({ "participantIds": ["bob"], "title": "" }), "/title"),
        (json!({ "participantIds": ["bob"], "colour": 1 }), "/colour"),
        (json!({}), "/participantIds"),
    ] {
        ann.post("/api/conversations", body).await.invalid(pointer);
    }
    let id = ann.group(&["bob"]).await;
    let add = format!("/api/conversations/{id}/participants");
    for (body, pointer) in [
        (json!({}), ""),
        (json!({ "userId": "cat", "userIds": ["cat"] }), ""),
        (json!({ "userIds": [] }), "/userIds"),
    ] {
        ann.post(&add, body).await.invalid(pointer);
    }
    let full = ann.post(&add, json!({ "userIds": many })).await;
    assert_eq!(full.problem(409), "conflict");
    let kept = ann.get(&format!("/api/conversations/{id}")).await.ok();
    assert_eq!(kept["participants"].as_array().unwrap().len(), 2, "some of too many stayed");
}

#[tokio::test]
async fn conversations_are_listed_by_their_newest_activity() {
    let app = TestApp::start().await;
    let [ann, bob] = ["ann", "bob"].map(|id| named(&app, id));
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(ann.group(&["bob"]).await);
    }
    bob.say(&ids[0], "Hello").await;
    bob.say(&ids[0], "Anyone?").await;
    let first = ann.get("/api/conversations?limit=2").await.ok();
    assert_eq!(texts(&first, "id"), [&*ids[0], &ids[2]]);
    assert_eq!(first["items"][0]["lastMessage"]["content"], "Anyone?");
    assert_eq!(first["items"][0]["unreadCount"], 2);
    assert_eq!(first["items"][1]["lastMessage"], Value::Null);
    let rest = format!("/api/conversations?limit=2&cursor={}", text(&first["nextCursor"]));
    let rest = ann.get(&rest).await.ok();
    assert_eq!((texts(&rest, "id"), &rest["nextCursor"]), (vec![ids[1].clone()], &Value::Null));
    ann.get("/api/conversations?cursor=AAAA").await.invalid("/cursor");
}

#[tokio::test]
async fn people_come_and_go_as_the_rules_allow() {
    let app = TestApp::start().await;
    let [ann, bob, cat, dan] = ["ann", "bob", "cat", "dan"].map(|id| named(&app, id));
    let id = ann.group(&["bob"]).await;
    ann.say(&id, "Before").await;
    let people = format!("/api/conversations/{id}/participants");
    assert_eq!(cat.post(&people, json!({ "userId": "cat" })).await.problem(404), "not_found");
    let added = bob.post(&people, json!({ "userIds": ["cat", "dan", "ann"] })).await.ok();
    assert_eq!(added["conversation"]["participants"].as_array().unwrap().len(), 4);
    assert_eq!(cat.unread_in(&id).await, 0, "what was said before they came");

    let of = |user: &str| format!("{people}/{user}");
    assert_eq!(bob.delete(&of("cat")).await.problem(403), "forbidden");
    assert_eq!(ann.delete(&of("eve")).await.problem(404), "not_found");
    assert_eq!(dan.delete(&of("dan")).await.status, 204);
    assert_eq!(dan.get(&format!("/api/conversations/{id}")).await.problem(404), "not_found");
    assert_eq!(ann.delete(&of("bob")).await.status, 204);
    assert_eq!(app.admin().delete(&of("cat")).await.status, 204);
}

#[tokio::test]
async fn an_archived_conversation_takes_no_more() {
    let app = TestApp::start().await;
    let [ann, bob, eve] = ["ann", "bob", "eve"].map(|id| named(&app, id));
    let id = ann.group(&["bob"]).await;
    let message = ann.say(&id, "Bye").await;
    let archive = format!("/api/conversations/{id}/archive");
    assert_eq!(eve.post(&archive, json!({})).await.problem(404), "not_found");
    assert_eq!(app.admin().post(&archive, json!({})).await.problem(403), "forbidden");
    assert_eq!(bob.post(&archive, json!({})).await.status, 204);
    let at = ann.get(&format!("/api/conversations/{id}")).await.ok()["archivedAt"].clone();
    assert!(at.is_string());
    assert_eq!(ann.post(&archive, json!({})).await.status, 204);
    assert_eq!(ann.get(&format!("/api/conversations/{id}")).await.ok()["archivedAt"], at);

    let messages = format!("/api/conversations/{id}/messages");
    let refused = [
        ann.post(&messages, json!({ "content": "Hm" })).await,
        ann.post(&format!("/api/conversations/{id}/participants"), json!({ "userId": "cat" }))
            .await,
        ann.patch(&format!("/api/messages/{message}"), json!({ "content": "Hm" })).await,
        ann.put(&format!("/api/messages/{message}/reactions/%F0%9F%8E%89")).await,
    ];
    for answer in refused {
        assert_eq!(answer.problem(409), "conflict");
    }
    assert_eq!(bob.read(&id, &message).await, [1, 0]);
}

#[tokio::test]
async fn a_message_is_kept_whole_and_once() {
    let app = TestApp::start().await;
    let [ann, bob] = ["ann", "bob"].map(|id| named(&app, id));
    let id = ann.group(&["bob"]).await;
    let first = ann.say(&id, "é".repeat(8000).as_str()).await;
    let path = format!("/api/conversations/{id}/messages");
    let file = json!({ "url": "https://a/b", "name": "b", "mimeType": "text/plain", "size": 3 });
    let body = json!({
        "content": " Hello ", "attachments": vec![file; 10], "replyTo": first,
        "clientMessageId": "x1",
    });
    let sent = bob.post(&path, body.clone()).await;
    assert_eq!(sent.status, 201);
    let message = &sent.body["message"];
    assert_eq!(message["content"], " Hello ");
    assert_eq!(message["sender"], json!({ "id": "bob", "firstName": "bob", "lastName": "Doe" }));
    assert_eq!((&message["replyTo"], &message["_id"]), (&json!(first), &message["id"]));
    assert_eq!(message["attachments"].as_array().unwrap().len(), 10);
    assert!(message.get("seq").is_none());

    let again = bob.post(&path, body.clone()).await;
    assert_eq!((again.status.as_u16(), &again.body["message"]), (200, message));
    assert_eq!(ann.post(&path, body).await.status, 201, "another sender's id is another");
    assert_eq!(ann.get(&path).await.ok()["items"].as_array().unwrap().len(), 3);
    let known = ann.get(&format!("/api/conversations/{id}")).await.ok();
    let bob = known["participants"].as_array().unwrap().iter().find(|who| who["id"] == "bob");
    assert_eq!(bob.unwrap()["firstName"], "bob", "known since they wrote");
}

#[tokio::test]
async fn a_message_that_keeps_no_rule_is_refused() {
    let app = TestApp::start().await;
    let [ann, eve] = ["ann", "eve"].map(|id| named(&app, id));
    let id = ann.group(&["bob"]).await;
    let elsewhere = ann.say(&ann.group(&["bob"]).await, "Elsewhere").await;
    let path = format!("/api/conversations/{id}/messages");
    let file = json!({ "url": "https://a/b", "name": "b", "mimeType": "text/plain", "size": 3 });
    for (body, pointer) in [
        (json!({ "content": "" }), "/content"),
        (json!({ "content": "x".repeat(8001) }), "/content"),
        (json!({ "attachments": [] }), "/content"),
        (json!({ "content": "x", "attachments": vec![file; 11] }), "/attachments"),
        (json!({ "content": "x", "replyTo": elsewhere }), "/replyTo"),
        (json!({ "content": "x", "replyTo": "nothing" }), "/replyTo"),
        (json!({ "content": "x", "clientMessageId": "a b" }), "/clientMessageId"),
        (json!({ "content": "x", "colour": 1 }), "/colour"),
    ] {
        ann.post(&path, body).await.invalid(pointer);
    }
    let hello = json!({ "content": "Hello" });
    assert_eq!(eve.post(&path, hello.clone()).await.problem(404), "not_found");
    assert_eq!(app.admin().post(&path, hello).await.problem(403), "forbidden");
    assert_eq!(texts(&ann.get(&path).await.ok(), "id"), [""; 0], "a refused message was kept");
}

#[tokio::test]
async fn history_is_read_in_both_directions_without_a_hole() {
    let app = TestApp::start().await;
    let [ann, eve] = ["ann", "eve"].map(|id| named(&app, id));
    let id = ann.group(&["bob"]).await;
    let mut ids = Vec::new();
    for n in 0..7 {
        ids.push(ann.say(&id, &n.to_string()).await);
    }
    let path = format!("/api/conversations/{id}/messages");
    for more in ["cursor", "before"] {
        let (mut seen, mut next) = (Vec::new(), format!("{path}?limit=3"));
        loop {
            let page = ann.get(&next).await.ok();
            seen.extend(texts(&page, "content"));
            let Some(cursor) = page["nextCursor"].as_str() else { break };
            next = format!("{path}?limit=3&{more}={cursor}");
        }
        assert_eq!(seen, ["6", "5", "4", "3", "2", "1", "0"], "{more}");
    }
    let between = format!("{path}?after={}&before={}", ids[1], ids[5]);
    assert_eq!(texts(&ann.get(&between).await.ok(), "content"), ["2", "3", "4"]);
    let newer = ann.get(&format!("{path}?after={}&limit=2", ids[3])).await.ok();
    assert_eq!(texts(&newer, "content"), ["4", "5"]);
    let rest = format!("{path}?after={}&cursor={}", ids[3], text(&newer["nextCursor"]));
    assert_eq!(texts(&ann.get(&rest).await.ok(), "content"), ["6"]);

    let elsewhere = ann.say(&ann.group(&["bob"]).await, "Elsewhere").await;
    ann.get(&format!("{path}?cursor=AAAA")).await.invalid("/cursor");
    ann.get(&format!("{path}?before={elsewhere}")).await.invalid("/before");
    ann.get(&format!("{path}?after=a%20b")).await.invalid("/after");
    ann.get(&format!("{path}?limit=101")).await.invalid("/limit");
    assert_eq!(eve.get(&path).await.problem(404), "not_found");
}

#[tokio::test]
async fn messages_written_at_once_are_each_kept_once_and_in_one_order() {
    const EACH: usize = 10;
    let app = TestApp::start().await;
    let people = ["ann", "bob", "cat"].map(|id| named(&app, id));
    let id = people[0].group(&["bob", "cat"]).await;
    let id = id.as_str();
    let writing = people.iter().flat_map(|person| (0..EACH).map(move |_| person.say(id, "Hi")));
    let mut written = futures_util::future::join_all(writing).await;
    let history = format!("/api/conversations/{id}/messages?limit=100");
    let listed = texts(&people[0].get(&history).await.ok(), "id");
    assert_eq!(people[1].unread_in(id).await, 2 * EACH as u64);
    assert_eq!(texts(&people[2].get(&history).await.ok(), "id"), listed);
    let mut kept = listed;
    kept.sort_unstable();
    written.sort_unstable();
    assert_eq!(kept, written);
}

#[tokio::test]
async fn only_its_author_edits_a_message_and_an_admin_may_delete_it() {
    let app = TestApp::start().await;
    let [ann, bob, eve] = ["ann", "bob", "eve"].map(|id| named(&app, id));
    let id = ann.group(&["bob"]).await;
    let path = format!("/api/messages/{}", ann.say(&id, "Helo").await);
    let better = || json!({ "content": "Hello" });
    assert_eq!(eve.patch(&path, better()).await.problem(404), "not_found");
    assert_eq!(eve.patch("/api/messages/nothing", better()).await.problem(404), "not_found");
    assert_eq!(bob.patch(&path, better()).await.problem(403), "forbidden");
    assert_eq!(app.admin().patch(&path, better()).await.problem(403), "forbidden");
    ann.patch(&path, json!({ "content": "x".repeat(8001) })).await.invalid("/content");
    ann.patch(&path, json!({ "content": "x", "seq": 1 })).await.invalid("/seq");
    let edited = ann.patch(&path, better()).await.ok();
    assert_eq!(edited["message"]["content"], "Hello");
    assert!(edited["message"]["editedAt"].is_string());

    assert_eq!(bob.put(&format!("{path}/reactions/%F0%9F%8E%89")).await.status, 204);
    assert_eq!(eve.delete(&path).await.problem(404), "not_found");
    assert_eq!(bob.delete(&path).await.problem(403), "forbidden");
    assert_eq!(app.admin().delete(&path).await.status, 204);
    assert_eq!(ann.delete(&path).await.status, 204);
    assert_eq!(ann.patch(&path, better()).await.problem(409), "conflict");
    assert_eq!(ann.put(&format!("{path}/reactions/%F0%9F%8E%89")).await.problem(409), "conflict");
    let left = ann.get(&format!("/api/conversations/{id}/messages")).await.ok();
    let left = &left["items"][0];
    assert_eq!((&left["content"], &left["reactions"]), (&json!(""), &json!([])));
    assert!(left["deletedAt"].is_string());
    assert_eq!(bob.unread_in(&id).await, 0, "a deleted message waits for nobody");
}

#[tokio::test]
async fn reading_counts_the_messages_of_others_and_never_goes_back() {
    let app = TestApp::start().await;
    let [ann, bob, eve] = ["ann", "bob", "eve"].map(|id| named(&app, id));
    let id = ann.group(&["bob"]).await;
    let mut ids = Vec::new();
    for content in ["1", "2", "3"] {
        ids.push(ann.say(&id, content).await);
    }
    ids.push(bob.say(&id, "4").await);
    assert_eq!((ann.unread_in(&id).await, bob.unread_in(&id).await), (1, 3));
    assert_eq!(bob.read(&id, &ids[1]).await, [2, 1]);
    assert_eq!(bob.read(&id, &ids[0]).await, [0, 1]);
    assert_eq!(bob.unread_in(&id).await, 1);
    let known = ann.get(&format!("/api/conversations/{id}")).await.ok();
    let participants = known["participants"].as_array().unwrap();
    let at = participants.iter().find(|who| who["id"] == "bob").unwrap();
    assert_eq!(at["lastReadMessageId"], json!(ids[1]));
    assert_eq!(bob.read(&id, &ids[3]).await, [1, 0]);
    assert_eq!(bob.read(&id, &ids[3]).await, [0, 0]);

    let path = format!("/api/conversations/{id}/read");
    let elsewhere = ann.say(&ann.group(&["bob"]).await, "Elsewhere").await;
    bob.post(&path, json!({ "messageId": elsewhere })).await.invalid("/messageId");
    bob.post(&path, json!({})).await.invalid("/messageId");
    let last = json!({ "messageId": ids[3] });
    assert_eq!(eve.post(&path, last.clone()).await.problem(404), "not_found");
    assert_eq!(app.admin().post(&path, last).await.problem(403), "forbidden");
}

#[tokio::test]
async fn a_message_sent_by_event_is_the_same_as_one_sent_over_rest() {
    let app = TestApp::start().await;
    let ann = named(&app, "ann");
    let id = ann.group(&["bob"]).await;
    let mut bob = app.user("bob").await;
    let body = json!({ "conversationId": id, "content": "Hello", "clientMessageId": "x1" });
    let ack = bob.emit_ack("message:send", body).await;
    assert_eq!((&ack["success"], &ack["message"]["content"]), (&json!(true), &json!("Hello")));
    let kept = ann.get(&format!("/api/conversations/{id}/messages")).await.ok();
    assert_eq!(kept["items"][0], ack["message"]);
    let long = json!({ "conversationId": id, "content": "x".repeat(8001) });
    assert_eq!(bob.emit_ack("message:send", long).await["code"], "invalid_payload");
    let mut eve = app.user("eve").await;
    let foreign = json!({ "conversationId": id, "content": "Hello" });
    assert_eq!(eve.emit_ack("message:send", foreign).await["code"], "not_found");
}

#[tokio::test]
async fn a_text_with_a_nul_in_it_is_refused_on_either_engine() {
    let app = TestApp::start().await;
    let ann = named(&app, "ann");
    let id = ann.group(&["bob"]).await;
    let nul = json!({ "content": "a\u{0}b" });
    let refused = ann.post(&format!("/api/conversations/{id}/messages"), nul).await;
    assert_eq!(refused.problem(422), "invalid_payload");
}
