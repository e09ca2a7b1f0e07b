//! Notifications: who hears of them and in which order, what is read and what is left, and what many
//! cost.

mod at_once;

use std::{collections::BTreeSet, time::Duration};

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use stoa::{
    clock::{Clock, Timestamp},
    config::Config,
    db::Tx,
    error::{Code, Error},
    id::{Id, Ids},
    notifications::{Notice, NotificationService, Personal},
    personal::{Cursor, PersonalData},
};

use crate::{
    store::engine::Store,
    support::{
        Client, Options, Person, TestApp,
        app::{API_KEY, Answer},
        eventually, within,
    },
};

const API: &str = "/api/notifications";

impl Person {
    /// Their notifications.
    async fn inbox(&self, query: &str) -> Value {
        self.get(&format!("{API}{query}")).await.ok()
    }

    /// Marks them as read: all, or one.
    async fn reads(&self, path: &str) -> Value {
        self.post_nothing(&format!("{API}{path}")).await.ok()
    }

    async fn unread(&self) -> u64 {
        self.inbox("/unread-count").await["unreadCount"].as_u64().expect("a count")
    }

    async fn titles(&self, query: &str) -> Vec<String> {
        titles(&self.inbox(query).await)
    }
}

fn titles(page: &Value) -> Vec<String> {
    let items = page["items"].as_array().expect("a list").iter();
    items.map(|item| item["title"].as_str().expect("a title").to_owned()).collect()
}

fn notice(title: &str) -> Value {
    json!({ "type": "offer", "title": title, "body": "35.50 USD", "data": { "offer": "o1" } })
}

fn to(users: Value, title: &str) -> Value {
    let mut body = notice(title);
    let field = if users.is_array() { "userIds" } else { "userId" };
    body[field] = users;
    body
}

async fn send(app: &TestApp, users: impl Into<Value>, title: &str) -> Value {
    let answer = app.post(API, to(users.into(), title)).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.body
}

fn id_of(sent: &Value) -> String {
    sent["notification"]["id"].as_str().expect("an id").to_owned()
}

fn people(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("p{n:05}")).collect()
}

/// The next kept event of this socket, presence aside.
async fn next_event(client: &mut Client) -> (String, Value) {
    loop {
        let packet = client.next_raw().await;
        let Some(event) = packet.strip_prefix("42") else { continue };
        let event: Value = serde_json::from_str(event).expect("an event");
        let name = event[0].as_str().expect("a name");
        if !name.starts_with("user") {
            return (name.to_owned(), event[1].clone());
        }
    }
}

#[tokio::test]
async fn a_notification_is_heard_in_all_tabs_of_its_user_and_by_nobody_else() {
    let app = TestApp::start().await;
    let mut tabs: Vec<Person> = Vec::new();
    for options in [
        Options::websocket(),
        Options::polling(),
        Options::upgrade(),
        Options::websocket().namespace("/marketplace"),
    ] {
        tabs.push(app.user_with("ann", &[], options).await);
    }
    let mut others = [
        app.user("bob").await,
        app.user_with("root", &["admin"], Options::websocket()).await,
        app.user_with("ann", &[], Options::websocket().namespace("/chat")).await,
    ];
    let sent = send(&app, "ann", "An offer").await;
    assert_eq!(sent["recipients"], 1);
    let notification = &sent["notification"];
    assert_eq!(notification["id"], notification["_id"]);
    assert_eq!(notification["data"], json!({ "offer": "o1" }));
    assert_eq!(notification["readAt"], Value::Null);
    for tab in &mut tabs {
        assert_eq!(tab.expect("new-notification").await, json!({ "notification": notification }));
        assert_eq!(tab.expect("unread-count-update").await, json!({ "unreadCount": 1 }));
        tab.expect_nothing().await;
    }
    for other in &mut others {
        other.expect_nothing().await;
    }
    let ann = app.person("ann");
    assert_eq!(ann.inbox("").await, json!({ "items": [notification], "nextCursor": null }));
    assert_eq!(ann.unread().await, 1);
}

#[tokio::test]
async fn each_change_tells_the_count_after_it_and_what_changes_nothing_tells_nothing() {
    let app = TestApp::start().await;
    let mut tab = app.user("ann").await;
    let ann = app.person("ann");
    let mut ids = Vec::new();
    for (title, count) in [("one", 1), ("two", 2), ("three", 3), ("four", 4)] {
        ids.push(id_of(&send(&app, "ann", title).await));
        tab.expect("new-notification").await;
        assert_eq!(tab.expect("unread-count-update").await["unreadCount"], count);
    }
    let read =
        |modified: u64, unread: u64| json!({ "modifiedCount": modified, "unreadCount": unread });

    assert_eq!(ann.reads(&format!("/{}/read", ids[1])).await, read(1, 3));
    assert_eq!(tab.expect("unread-count-update").await["unreadCount"], 3);
    assert_eq!(ann.reads(&format!("/{}/read", ids[1])).await, read(0, 3));
    tab.expect_nothing().await;

    // One that is read, then one that is not.
    for (id, count) in [(&ids[1], 3), (&ids[3], 2)] {
        let gone = ann.delete(&format!("{API}/{id}")).await;
        assert_eq!(gone.status, 204);
        assert_eq!(tab.expect("unread-count-update").await["unreadCount"], count);
        let again = ann.delete(&format!("{API}/{id}")).await;
        assert_eq!(again.problem(404), "not_found");
    }
    tab.expect_nothing().await;

    assert_eq!(ann.reads("/read-all").await, read(2, 0));
    assert_eq!(tab.expect("unread-count-update").await["unreadCount"], 0);
    assert_eq!(ann.reads("/read-all").await, read(0, 0));
    assert_eq!(ann.reads(&format!("/{}/read", ids[0])).await, read(0, 0));
    tab.expect_nothing().await;
    assert_eq!(ann.titles("").await, ["three", "one"]);
    assert_eq!(ann.unread().await, 0);
    send(&app, "ann", "five").await;
    tab.expect("new-notification").await;
    assert_eq!(tab.expect("unread-count-update").await["unreadCount"], 1);
}

#[tokio::test]
async fn a_list_has_the_newest_first_and_says_when_each_was_read() {
    let clock = Clock::manual(Timestamp::from_millis(1_764_000_000_000));
    let app = TestApp::with_clock(clock.clone(), |_| {}).await;
    let ann = app.person("ann");
    let mut ids = Vec::new();
    for n in 0..9 {
        ids.push(id_of(&send(&app, json!(["ann", "bob"]), &n.to_string()).await));
        if n == 2 || n == 5 {
            clock.advance(Duration::from_mins(1));
            ann.reads("/read-all").await;
        }
    }
    clock.advance(Duration::from_mins(1));
    ann.reads(&format!("/{}/read", ids[7])).await;
    assert_eq!(ann.titles("?unread=true").await, ["8", "6"]);
    assert_eq!(ann.unread().await, 2);
    let all = ann.inbox("?limit=100").await;
    assert_eq!(titles(&all), ["8", "7", "6", "5", "4", "3", "2", "1", "0"]);
    let read_at: Vec<&Value> =
        all["items"].as_array().expect("a list").iter().map(|item| &item["readAt"]).collect();
    let at = |minute: &str| json!(format!("2025-11-24T16:0{minute}:00.000Z"));
    let (none, first, second, third) = (Value::Null, at("1"), at("2"), at("3"));
    assert_eq!(read_at, [&none, &third, &none, &second, &second, &second, &first, &first, &first]);
    for (query, expected) in
        [("", 9), ("unread=true&", 2), ("unread=false&", 9)].map(|(query, n)| (query, n))
    {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = ann.inbox(&format!("?{query}limit=2&cursor={cursor}")).await;
            seen.extend(titles(&page));
            let Some(next) = page["nextCursor"].as_str() else { break };
            next.clone_into(&mut cursor);
        }
        assert_eq!(seen.len(), expected, "{seen:?}");
    }
    // What one reads is unread to the other.
    assert_eq!(app.person("bob").unread().await, 9);
    for bad in ["?unread=maybe", "?limit=101", "?cursor=AAAA"] {
        assert_eq!(ann.get(&format!("{API}{bad}")).await.problem(422), "invalid_payload", "{bad}");
    }
    assert_eq!(app.person("stranger").inbox("").await["items"], json!([]));
    assert_eq!(app.person("stranger").unread().await, 0);
}

#[tokio::test]
async fn pages_of_large_notifications_have_fewer_of_them() {
    let app = TestApp::start().await;
    for n in 0..5 {
        let mut body = to(json!("ann"), &n.to_string());
        body["body"] = json!("x".repeat(4000));
        body["data"] = json!("y".repeat(16_000));
        app.post(API, body).await.ok();
    }
    let ann = app.person("ann");
    let page = ann.inbox("").await;
    assert!(page.to_string().len() <= 60_000);
    assert_eq!(titles(&page), ["4", "3"]);
    let cursor = page["nextCursor"].as_str().expect("a cursor");
    assert_eq!(ann.titles(&format!("?cursor={cursor}")).await, ["2", "1"]);
}

#[tokio::test]
async fn who_asks_for_anothers_notification_is_told_that_there_is_none() {
    let app = TestApp::start().await;
    let id = id_of(&send(&app, "ann", "Hers").await);
    send(&app, "bob", "His").await;
    let mut tab = app.user("ann").await;
    for user in ["bob", "nobody"] {
        let bob = app.person(user);
        for (method, path) in [
            (Method::POST, format!("/{id}/read")),
            (Method::DELETE, format!("/{id}")),
            (Method::POST, "/no-such-id/read".to_owned()),
            (Method::DELETE, "/no-such-id".to_owned()),
        ] {
            let refused = bob.call(method, &format!("{API}{path}"), None).await;
            assert_eq!(refused.problem(404), "not_found", "{path}");
            assert_eq!(refused.body["detail"], "There is no such notification.");
        }
    }
    tab.expect_nothing().await;
    assert_eq!(app.person("ann").unread().await, 1);
}

#[tokio::test]
async fn only_backends_and_admins_send_and_every_field_has_its_bound() {
    let app = TestApp::start().await;
    let mut tab = app.user("ann").await;
    for roles in [&[][..], &["user"], &["buyer", "seller"]] {
        let refused = app.person_as("eve", roles).post(API, to(json!("ann"), "No")).await;
        assert_eq!(refused.problem(403), "forbidden");
    }
    let anyone = app.request(Method::POST, API, None, Some(to(json!("ann"), "No"))).await;
    assert_eq!(anyone.status, 401);
    let (long, many) = ("x".repeat(300), people(10_001));
    for (field, value, pointer) in [
        ("type", json!(""), "/type"),
        ("type", json!("é".repeat(65)), "/type"),
        ("type", json!("a\nb"), "/type"),
        ("title", json!(""), "/title"),
        ("title", json!("é".repeat(201)), "/title"),
        ("title", json!("a\nb"), "/title"),
        ("body", json!("é".repeat(4001)), "/body"),
        ("body", json!("a\u{0}b"), "/body"),
        ("data", json!("x".repeat(16 * 1024 - 1)), "/data"),
        ("userId", json!(""), "/userId"),
        ("userId", json!("a b"), "/userId"),
        ("userId", json!(long), "/userId"),
        ("userId", Value::Null, ""),
        ("userIds", json!(["bob"]), ""),
        ("userIds", json!([]), "/userIds"),
        ("userIds", json!(["a b"]), "/userIds/0"),
        ("userIds", json!(many), "/userIds"),
        ("other", json!(1), "/other"),
    ] {
        let mut body = to(json!("ann"), "A title");
        if field == "userIds" && value != json!(["bob"]) {
            body.as_object_mut().expect("an object").remove("userId");
        }
        body[field] = value;
        let refused = app.post(API, body).await;
        assert_eq!(refused.problem(422), "invalid_payload", "{field}");
        assert_eq!(refused.body["errors"][0]["pointer"], pointer, "{field}: {}", refused.body);
    }
    tab.expect_nothing().await;
    assert_eq!(app.person("ann").unread().await, 0);

    // At their bounds, and what may be left out.
    let body = json!({ "userId": "ann", "type": "é".repeat(64), "title": "é".repeat(200),
        "body": "é".repeat(4000), "data": "x".repeat(16 * 1024 - 2) });
    assert_eq!(app.post(API, body).await.status, 201);
    let body = json!({ "userId": 7, "type": "x", "title": "y" });
    let sent = app.admin().post(API, body).await.ok();
    assert_eq!(
        (&sent["notification"]["body"], &sent["notification"]["data"]),
        (&json!(""), &Value::Null)
    );
    assert_eq!(app.person("7").unread().await, 1);
}

#[tokio::test]
async fn what_is_old_goes_and_is_not_unread_any_more() {
    let clock = Clock::manual(Timestamp::from_millis(1_764_000_000_000));
    let app = TestApp::with_clock(clock.clone(), |_| {}).await;
    for n in 0..60 {
        send(&app, json!(["ann", "bob"]), &n.to_string()).await;
    }
    let ann = app.person("ann");
    let read = ann.inbox("?limit=1").await["items"][0]["id"].as_str().expect("an id").to_owned();
    ann.reads(&format!("/{read}/read")).await;
    app.person("bob").reads("/read-all").await;
    clock.advance(Duration::from_hours(89 * 24));
    send(&app, json!(["ann", "bob"]), "kept").await;
    clock.advance(Duration::from_hours(2 * 24));
    let mut tab = app.user("ann").await;
    let join = json!({ "userId": "ann", "since": 0 });
    let seq = tab.emit_ack("join-user-room", join).await["seq"].clone();
    drop(tab);

    let app = app.restart().await;
    let ann = app.person("ann");
    let gone = async || (ann.titles("").await == ["kept"]).then_some(());
    within("old ones to go", eventually(gone)).await;
    assert_eq!(ann.unread().await, 1);
    assert_eq!(ann.titles("?unread=true").await, ["kept"]);
    assert_eq!(app.person("bob").unread().await, 1);
    let mut tab = app.user("ann").await;
    let join = json!({ "userId": "ann", "since": seq });
    assert_eq!(tab.emit_ack("join-user-room", join).await["recovered"], true);
    let told = tab.queued("unread-count-update");
    assert_eq!(told.last(), Some(&json!({ "unreadCount": 1 })));
    assert!(told.len() < 10, "a few at a time: {told:?}");
    send(&app, "ann", "new").await;
    assert_eq!(tab.expect("unread-count-update").await["unreadCount"], 2);
}

#[tokio::test]
async fn counts_and_lists_stay_over_a_restart() {
    let app = TestApp::start().await;
    for n in 0..3 {
        send(&app, "ann", &n.to_string()).await;
    }
    let before = app.person("ann").inbox("").await;
    let app = app.restart().await;
    let ann = app.person("ann");
    assert_eq!(ann.inbox("").await, before);
    assert_eq!(ann.unread().await, 3);
    let mut tab = app.user("ann").await;
    let join = json!({ "userId": "ann", "since": 0 });
    assert_eq!(tab.emit_ack("join-user-room", join).await["recovered"], true);
    assert_eq!(tab.queued("new-notification").len(), 3);
    let counts: Vec<_> = tab.queued("unread-count-update");
    assert_eq!(counts, [1, 2, 3].map(|n| json!({ "unreadCount": n })));
}

#[tokio::test]
async fn another_rooms_unit_tells_users_with_its_own_rows_or_not_at_all() {
    for store in [Store::sqlite(Clock::system()).await, Store::postgres(Clock::system()).await] {
        let notifications =
            NotificationService::new(store.db.clone(), Ids, &Config::for_tests().notifications);
        let users: BTreeSet<Id> = ["ann", "bob"].map(|id| Id::new(id).expect("an id")).into();
        let notice = || Notice {
            kind: "offer".to_owned(),
            title: "An offer".to_owned(),
            body: String::new(),
            data: Value::Null,
        };
        let unit = |keep: bool| {
            let (notifications, users, notice) = (notifications.clone(), users.clone(), notice());
            async move |tx: &mut Tx<'_>| {
                let told = notifications.notify(tx, &users, notice).await?;
                if keep { Ok(told) } else { Err(Error::new(Code::Conflict, "Not now.")) }
            }
        };
        assert!(store.db.write(unit(false)).await.is_err());
        store.db.write(unit(true)).await.expect("a unit");
        let inboxes = store.db.read(async |tx: &mut Tx<'_>| {
            Ok(tx.all("SELECT unread FROM notification_inboxes ORDER BY user_id", &[]).await?)
        });
        let unread: Vec<i64> =
            inboxes.await.expect("rows").iter().map(|row| row.get(0).expect("n")).collect();
        assert_eq!(unread, [1, 1]);
        let sent: Vec<_> = store.sent().into_iter().map(|(.., data)| data).collect();
        assert_eq!(sent.len(), 2, "one for both users: {sent:?}");
        assert!(sent[0].contains("An offer"), "{sent:?}");
        assert_eq!(sent[1], r#"{"unreadCount":1}"#);
    }
}
