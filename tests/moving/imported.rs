//! What was taken in is as if it had always been here.

use rand::Rng;
use serde_json::{Value, json};
use stoa::config::RoomPolicy;

use super::verb::{self, conversation, message};
use crate::support::{Options, TestApp, chance, eventually, postgres::Postgres, within};

/// Conversations with the ids of another server, as they come out of it: the newest first.
fn old_chat() -> Vec<Value> {
    let mut direct = conversation("5f0c1a2b3c4d5e6f70818283", &["ann", "bob"]);
    direct["participants"][0]["lastReadMessageId"] = "m2".into();
    let mut lines = vec![
        json!({ "type": "user", "id": "bob", "profile": { "firstName": "Bob" } }),
        message("m4", "5f0c1a2b3c4d5e6f70818283", "bob", 40),
        message("m3", "5f0c1a2b3c4d5e6f70818283", "ann", 30),
        message("m2", "5f0c1a2b3c4d5e6f70818283", "bob", 20),
        direct,
        message("m1", "5f0c1a2b3c4d5e6f70818283", "bob", 10),
        conversation("other/1", &["ann", "carol", "dan"]),
        message("x1", "other/1", "carol", 5),
    ];
    // The second is one that older stores have.
    let reactions = ["👍", "really?"].map(|emoji| json!({ "emoji": emoji, "userId": "ann" }));
    lines[1]["reactions"] = json!(reactions);
    lines[1]["replyTo"] = "m1".into();
    lines
}

fn contents(history: &Value) -> Vec<&str> {
    let items = history["items"].as_array().expect("items").iter();
    items.map(|message| message["content"].as_str().expect("a text")).collect()
}

async fn with_old_chat() -> TestApp {
    let app = TestApp::start().await;
    let url = app.database_url();
    let taken_in = |data: &std::path::Path| {
        let said = verb::import(data, url.as_deref(), &old_chat()).ok();
        assert_eq!(verb::in_all(&said), "8 lines: 8 written, 0 were there already.");
    };
    app.restart_after(taken_in).await
}

#[tokio::test]
async fn clients_of_both_dialects_go_on_in_an_old_conversation_by_its_old_id() {
    let app = with_old_chat().await;
    let old = "5f0c1a2b3c4d5e6f70818283";
    let mut ann = app.user("ann").await;
    let marketplace = Options::websocket().namespace("/marketplace");
    let mut bob = app.user_with("bob", &[], marketplace).await;
    ann.join("conversation:join", old).await;
    bob.join("join-chat-room", old).await;

    let history = ann.get(&format!("/api/conversations/{old}/messages")).await.ok();
    let newest_first = ["m4 says hello", "m3 says hello", "m2 says hello", "m1 says hello"];
    assert_eq!(contents(&history), newest_first);
    assert_eq!(history["items"][0]["createdAt"], "2020-05-01T10:00:40.000Z");
    assert_eq!(history["items"][0]["reactions"][0]["userId"], "ann");
    let reactions = history["items"][0]["reactions"].as_array().expect("reactions");
    assert!(reactions.iter().any(|one| one["emoji"] == "really?"), "{history}");
    assert_eq!(history["items"][0]["replyTo"], "m1");

    let sent = json!({ "conversationId": old, "content": "and so on" });
    let sent = ann.emit_ack("message:send", sent).await;
    assert_eq!(sent["success"], true, "{sent}");
    let heard = bob.expect("new-message").await;
    assert_eq!(heard["message"]["content"], "and so on");
    let after = ann.get(&format!("/api/conversations/{old}/messages?after=m4")).await.ok();
    assert_eq!(contents(&after), ["and so on"]);
    let deleted = ann.delete("/api/messages/m3").await;
    assert_eq!(deleted.status, 204);
    bob.expect("message-deleted").await;
}

#[tokio::test]
async fn what_was_read_stays_read_and_the_rest_is_unread() {
    let app = with_old_chat().await;
    let old = "/api/conversations/5f0c1a2b3c4d5e6f70818283";
    let (ann, bob) = (app.person("ann"), app.person("bob"));
    // Of bob's three she has read two; he has read nothing, and one of the four is hers.
    assert_eq!(ann.get(old).await.ok()["unreadCount"], 1);
    assert_eq!(bob.get(old).await.ok()["unreadCount"], 1);
    let listed = ann.get("/api/conversations").await.ok();
    let ids: Vec<_> = listed["items"].as_array().expect("items").iter().map(|c| &c["id"]).collect();
    assert_eq!(ids, ["5f0c1a2b3c4d5e6f70818283", "other/1"]);
    assert_eq!(listed["items"][0]["participants"][1]["firstName"], "Bob");
    let read = ann.post(&format!("{old}/read"), json!({ "messageId": "m4" })).await.ok();
    assert_eq!(read, json!({ "modifiedCount": 1, "unreadCount": 0 }));
}

#[tokio::test]
async fn the_direct_conversation_of_two_is_found_and_not_begun_anew() {
    let app = with_old_chat().await;
    let body = json!({ "participantIds": ["bob"] });
    let found = app.person("ann").post("/api/conversations", body).await;
    assert_eq!(found.status, 200);
    assert_eq!(found.body["conversation"]["id"], "5f0c1a2b3c4d5e6f70818283");
}

#[tokio::test]
async fn somebody_who_left_is_the_sender_of_what_they_wrote_and_counts_from_anew_when_they_come_back()
 {
    let app = TestApp::start().await;
    let url = app.database_url();
    let lines = [
        conversation("c1", &["ann", "bob", "carol"]),
        message("d1", "c1", "dan", 1),
        message("a1", "c1", "ann", 2),
        message("d2", "c1", "dan", 3),
    ];
    let app = app.restart_after(|data| drop(verb::import(data, url.as_deref(), &lines).ok())).await;
    let (ann, dan) = (app.person("ann"), app.person("dan"));
    assert_eq!(dan.get("/api/conversations/c1").await.status, 404);
    ann.post("/api/conversations/c1/participants", json!({ "userId": "dan" })).await.ok();
    dan.post("/api/conversations/c1/messages", json!({ "content": "back" })).await.created();
    assert_eq!(dan.get("/api/conversations/c1").await.ok()["unreadCount"], 0);
    assert_eq!(ann.get("/api/conversations/c1").await.ok()["unreadCount"], 3);
    // All that he wrote is found, of both times.
    let told = dan.get("/api/users/dan/export").await.ok();
    let told = told.as_str().expect("lines");
    let own = told.lines().filter(|line| line.contains(r#""type":"message""#)).count();
    assert_eq!(own, 3, "{told}");
}

#[tokio::test]
async fn a_second_time_changes_nothing_and_later_lines_go_on_behind_what_was_written_since() {
    let app = with_old_chat().await;
    let old = "5f0c1a2b3c4d5e6f70818283";
    let url = app.database_url();
    let ann = app.person("ann");
    let sent = json!({ "content": "live" });
    ann.post(&format!("/api/conversations/{old}/messages"), sent).await.created();
    let more = {
        let mut lines = old_chat();
        lines.push(message("m5", old, "bob", 50));
        lines
    };
    let app = app
        .restart_after(|data| {
            let said = verb::import(data, url.as_deref(), &more).ok();
            assert_eq!(verb::in_all(&said), "9 lines: 1 written, 8 were there already.");
        })
        .await;
    let ann = ann.at(&app);
    let history = ann.get(&format!("/api/conversations/{old}/messages?limit=3")).await.ok();
    assert_eq!(contents(&history), ["m5 says hello", "live", "m4 says hello"]);
    assert_eq!(ann.get(&format!("/api/conversations/{old}")).await.ok()["unreadCount"], 2);
}

#[tokio::test]
async fn what_is_there_with_other_content_stays_and_is_told() {
    let app = with_old_chat().await;
    let url = app.database_url();
    app.person("bob").patch("/api/messages/m1", json!({ "content": "changed" })).await.ok();
    let app = app
        .restart_after(|data| {
            let done = verb::import(data, url.as_deref(), &old_chat());
            assert_eq!(verb::in_all(&done.said), "8 lines: 0 written, 7 were there already.");
            let complained = done.failed();
            let told =
                "lines.jsonl:6: message m1: is there with other content, in /content, /editedAt\n";
            assert!(complained.contains(told), "{complained}");
            assert!(complained.contains("1 lines were not taken in"), "{complained}");
        })
        .await;
    let ann = app.person("ann");
    let path = "/api/conversations/5f0c1a2b3c4d5e6f70818283/messages?before=m2";
    assert_eq!(contents(&ann.get(path).await.ok()), ["changed"]);
}

/// Conversations of many messages, so that taking them in takes a while.
fn much() -> Vec<Value> {
    let mut lines = Vec::new();
    for number in 0..40 {
        let id = format!("c{number}");
        lines.push(conversation(&id, &["ann", "bob", "carol"]));
        for second in 0..250 {
            let sender = ["ann", "bob", "dan"][(second % 3) as usize];
            lines.push(message(&format!("{id}-{second}"), &id, sender, second));
        }
    }
    lines
}

#[tokio::test]
async fn cut_off_at_any_moment_it_goes_on_where_it_was() {
    let app = TestApp::start().await;
    let url = app.database_url();
    let lines = much();
    let total = lines.len();
    let folder = tempfile::TempDir::new().expect("a folder");
    let file = folder.path().join("much.jsonl");
    verb::write(&file, &lines);
    let file = file.to_str().expect("a name").to_owned();
    let count = "SELECT COUNT(*) FROM messages";
    let after = chance().random_range(1..=9_000);
    let app = app
        .restart_after(|data| {
            let mut importing = verb::begin_import(data, url.as_deref(), &file);
            while verb::count(data, url.as_deref(), count).is_none_or(|written| written < after) {
                std::thread::yield_now();
            }
            importing.kill().expect("a process");
            importing.wait().expect("its end");
            let said = verb::run(data, url.as_deref(), &["import", &file]).ok();
            assert!(said.starts_with("10,040 lines: "), "{said}");
            let again = verb::run(data, url.as_deref(), &["import", &file]).ok();
            assert_eq!(verb::in_all(&again), "10,040 lines: 0 written, 10,040 were there already.");
        })
        .await;
    assert_eq!(app.count(count).await, i64::try_from(total).expect("a number") - 40);
    let ann = app.person("ann");
    let whole = ann.get("/api/conversations/c7/messages?limit=100").await.ok();
    let newest: Vec<String> =
        (150..250).rev().map(|second| format!("c7-{second} says hello")).collect();
    assert_eq!(contents(&whole), newest);
    // 84 of the 250 are hers.
    assert_eq!(ann.get("/api/conversations/c7").await.ok()["unreadCount"], 166);
}

/// The conversations of [`much`] that somebody sees, each of which has to be whole; how many.
async fn seen_whole(app: &TestApp) -> usize {
    let ann = app.person("ann");
    let mut seen = 0;
    for number in 0..40 {
        let path = format!("/api/conversations/c{number}/messages?limit=1");
        let history = ann.get(&path).await;
        if history.status == 404 {
            let path = format!("/api/conversations/c{number}/messages");
            assert_eq!(ann.post(&path, json!({ "content": "early" })).await.status, 404);
            continue;
        }
        assert_eq!(contents(&history.ok()), [format!("c{number}-249 says hello")]);
        seen += 1;
    }
    let listed = ann.get("/api/conversations?limit=100").await.ok();
    assert_eq!(listed["items"].as_array().expect("items").len(), seen);
    seen
}

#[tokio::test]
async fn a_conversation_is_there_with_all_of_its_messages_or_not_at_all() {
    let app = TestApp::start().await;
    let url = app.database_url();
    let folder = tempfile::TempDir::new().expect("a folder");
    let file = folder.path().join("much.jsonl");
    verb::write(&file, &much());
    let file = file.to_str().expect("a name").to_owned();
    let whole = "SELECT COUNT(*) FROM conversations WHERE participants > 0";
    let halves = "SELECT COUNT(*) FROM conversations WHERE participants > 0 AND messages < 250";
    let enough = chance().random_range(1..=15);
    let app = app
        .restart_after(|data| {
            let url = url.as_deref();
            let mut importing = verb::begin_import(data, url, &file);
            while verb::count(data, url, whole).is_none_or(|there| there < enough) {
                assert_eq!(verb::count(data, url, halves).unwrap_or(0), 0);
            }
            importing.kill().expect("a process");
            importing.wait().expect("its end");
            assert_eq!(verb::count(data, url, halves), Some(0));
        })
        .await;
    let seen = seen_whole(&app).await;
    assert!(seen >= usize::try_from(enough).expect("a number"), "{seen} of {enough}");
    // What was begun is nobody's yet.
    let begun = app.count("SELECT COUNT(*) FROM conversation_imports").await;
    assert!(begun <= 1, "{begun} are begun");
    let app = app
        .restart_after(|data| drop(verb::run(data, url.as_deref(), &["import", &file]).ok()))
        .await;
    assert_eq!(seen_whole(&app).await, 40);
}

#[tokio::test]
async fn half_a_direct_conversation_is_nobody_s_and_waits_where_its_two_people_begin_another() {
    let app = TestApp::start().await;
    let url = app.database_url();
    let mut lines = vec![conversation("old", &["ann", "bob"])];
    lines.extend((0..9_000).map(|second| {
        let second_of_hour = second % 3_600;
        let mut line = message(&format!("m{second}"), "old", "ann", second_of_hour);
        line["number"] = (second + 1).into();
        line
    }));
    let folder = tempfile::TempDir::new().expect("a folder");
    let file = folder.path().join("direct.jsonl");
    verb::write(&file, &lines);
    let file = file.to_str().expect("a name").to_owned();
    let app = app
        .restart_after(|data| {
            let mut importing = verb::begin_import(data, url.as_deref(), &file);
            let count = "SELECT COUNT(*) FROM messages";
            while verb::count(data, url.as_deref(), count).is_none_or(|written| written < 1) {
                std::thread::yield_now();
            }
            importing.kill().expect("a process");
            importing.wait().expect("its end");
        })
        .await;
    assert_eq!(app.count("SELECT COUNT(*) FROM conversation_imports").await, 1);
    let asked = json!({ "participantIds": ["bob"] });
    let begun = app.person("ann").post("/api/conversations", asked).await.created();
    let new = begun["conversation"]["id"].as_str().expect("an id").to_owned();
    assert_ne!(new, "old");
    let app = app
        .restart_after(|data| {
            let complained = verb::run(data, url.as_deref(), &["import", &file]).failed();
            assert!(complained.contains("began another direct conversation"), "{complained}");
            assert!(complained.contains("1 lines were not taken in"), "{complained}");
        })
        .await;
    let ann = app.person("ann");
    assert_eq!(ann.get("/api/conversations/old").await.status, 404);
    ann.post_nothing(&format!("/api/conversations/{new}/archive")).await;
    let app = app
        .restart_after(|data| drop(verb::run(data, url.as_deref(), &["import", &file]).ok()))
        .await;
    let bob = app.person("bob");
    let found = bob.post("/api/conversations", json!({ "participantIds": ["ann"] })).await.ok();
    assert_eq!(found["conversation"]["id"], "old");
    let newest = bob.get("/api/conversations/old/messages?limit=1").await.ok();
    assert_eq!(contents(&newest), ["m8999 says hello"]);
}

#[tokio::test]
async fn on_postgres_it_is_taken_in_while_the_server_runs() {
    let url = Postgres::shared().database().await;
    let app = TestApp::with(|config| config.database.url = Some(url.clone().into())).await;
    let folder = tempfile::TempDir::new().expect("a folder");
    let file = folder.path().join("much.jsonl");
    verb::write(&file, &much());
    let (data, name) = (folder.path().to_owned(), file.to_str().expect("a name").to_owned());
    let mut ann = app.user("ann").await;
    let mut importing = verb::begin_import(&data, Some(&url), &name);
    let ask = async || importing.try_wait().expect("a process");
    let ended = within("the end of the import", eventually(ask)).await;
    assert!(ended.success());
    ann.expect_nothing().await;
    ann.join("conversation:join", "c7").await;
    let sent =
        ann.emit_ack("message:send", json!({ "conversationId": "c7", "content": "hi" })).await;
    assert_eq!(sent["message"]["conversationId"], "c7", "{sent}");
    let shown = ann.get("/api/conversations/c7/messages?limit=2").await.ok();
    assert_eq!(contents(&shown), ["hi", "c7-249 says hello"]);
}

#[tokio::test]
async fn who_was_let_in_while_there_was_no_record_is_taken_out_when_one_is_taken_in() {
    let url = Postgres::shared().database().await;
    let app = TestApp::with(|config| {
        config.database.url = Some(url.clone().into());
        config.rooms.policy = RoomPolicy::Open;
    });
    let app = app.await;
    let folder = tempfile::TempDir::new().expect("a folder");
    let request = json!({
        "type": "request", "id": "q1", "buyerId": "ann", "title": "A lamp", "description": "Green",
        "budget": { "amount": "40", "currency": "USD" }, "status": "open",
        "createdAt": "2020-05-01T10:00:00Z", "updatedAt": "2020-05-01T10:00:00Z",
    });
    let checkout = json!({
        "type": "checkout", "id": "k1", "buyerId": "ann", "requestIds": ["q1"],
        "status": "open", "createdAt": "2020-05-01T10:00:00Z",
        "updatedAt": "2020-05-01T10:00:00Z",
    });
    let lines =
        [conversation("c1", &["ann", "bob"]), message("m1", "c1", "ann", 1), request, checkout];
    let marketplace = || Options::websocket().namespace("/marketplace");
    let (mut ann, mut eve) = (app.user("ann").await, app.user("eve").await);
    let mut ann_there = app.user_with("ann", &["buyer"], marketplace()).await;
    let mut eve_there = app.user_with("eve", &["buyer"], marketplace()).await;
    let rooms = ["chat-c1", "request-q1", "template-checkout-k1"];
    for user in [&mut ann, &mut eve] {
        user.join("conversation:join", "c1").await;
    }
    for user in [&mut ann_there, &mut eve_there] {
        for (event, id) in
            [("join-chat-room", "c1"), ("join-request-room", "q1"), ("join-checkout-room", "k1")]
        {
            user.join(event, id).await;
        }
    }
    for room in ["conversation:c1", rooms[0], rooms[1], rooms[2]] {
        assert_eq!(app.emit_to_room(room, "news", json!(1)).await, 2, "{room}");
    }
    // A check lets nobody know.
    verb::write(&folder.path().join("lines.jsonl"), &lines);
    let (data, elsewhere) = (folder.path().to_owned(), url.clone());
    let verbs = move || {
        verb::run(&data, Some(&elsewhere), &["import", "--check", "lines.jsonl"]).ok();
        verb::run(&data, Some(&elsewhere), &["import", "lines.jsonl"]).ok()
    };
    tokio::task::spawn_blocking(verbs).await.expect("the verbs");
    for room in ["conversation:c1", rooms[0], rooms[1], rooms[2]] {
        let alone = async || (app.emit_to_room(room, "news", json!(2)).await == 1).then_some(());
        within(room, eventually(alone)).await;
    }
    // Who belongs there has stayed.
    app.emit_to_room("conversation:c1", "last", json!(3)).await;
    ann.expect("last").await;
    assert!(!eve.may_join("conversation:join", "c1").await);
}
