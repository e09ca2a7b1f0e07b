//! Many notifications at once, and one for many users.

use super::*;

#[tokio::test]
async fn two_hundred_at_once_are_counted_one_by_one_and_heard_in_that_order() {
    let app = TestApp::with(|config| config.limits.enabled = false).await;
    let mut tabs = [app.user("ann").await.into_client(), app.user("ann").await.into_client()];
    let sent = join_all((0..200).map(|n| {
        let app = &app;
        async move { id_of(&send(app, "ann", &n.to_string()).await) }
    }))
    .await;
    let mut orders = Vec::new();
    for tab in &mut tabs {
        let mut ids = Vec::new();
        for count in 1..=200 {
            let (name, told) = next_event(tab).await;
            assert_eq!(name, "new-notification", "before {count}");
            ids.push(told["notification"]["id"].as_str().expect("an id").to_owned());
            let (name, counted) = next_event(tab).await;
            assert_eq!(
                (name.as_str(), &counted["unreadCount"]),
                ("unread-count-update", &json!(count))
            );
        }
        orders.push(ids);
    }
    assert_eq!(orders[0], orders[1]);
    assert_eq!(
        orders[0].iter().collect::<BTreeSet<_>>(),
        sent.iter().collect::<BTreeSet<_>>(),
        "each once"
    );
    let ann = app.person("ann");
    assert_eq!(ann.unread().await, 200);
    // The list has the same order.
    let newest = ann.inbox("?limit=100").await;
    let listed = newest["items"].as_array().expect("a list").iter();
    let listed: Vec<_> = listed.map(|item| item["id"].as_str().expect("an id")).collect();
    assert_eq!(listed, orders[0].iter().rev().take(100).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_is_sent_read_and_deleted_at_once_is_counted_right() {
    let app = TestApp::with(|config| config.limits.enabled = false).await;
    let mut ids = Vec::new();
    for n in 0..60 {
        ids.push(id_of(&send(&app, json!(["ann", "bob"]), &n.to_string()).await));
    }
    let mut tab = app.user("ann").await.into_client();
    let ann = app.person("ann");
    let sends = join_all((0..40).map(|_| send(&app, json!(["bob", "ann"]), "new")));
    // Each twice: once is no change.
    let reads =
        join_all(
            ids[..40].iter().chain(&ids[..20]).map(|id| {
                let ann = &ann;
                async move {
                    ann.reads(&format!("/{id}/read")).await["modifiedCount"].as_u64().expect("n")
                }
            }),
        );
    let deletes = join_all(ids[30..50].iter().map(|id| {
        let ann = &ann;
        async move { ann.delete(&format!("{API}/{id}")).await.status }
    }));
    let (_, reads, deletes) = tokio::join!(sends, reads, deletes);
    assert!(deletes.iter().all(|status| *status == 204));
    let read: u64 = reads.iter().sum();
    let mut heard = Vec::new();
    let changes = 40 + usize::try_from(read).expect("a number") + 20;
    while heard.len() < changes {
        let (name, told) = next_event(&mut tab).await;
        if name == "unread-count-update" {
            heard.push(told["unreadCount"].as_u64().expect("a count"));
        }
    }
    let steps = std::iter::once(60).chain(heard.iter().copied()).zip(&heard);
    for (before, after) in steps {
        assert!(before.abs_diff(*after) <= 1, "{before} then {after}");
    }
    let unread = ann.inbox("?unread=true&limit=100").await;
    assert_eq!(titles(&unread).len() as u64, ann.unread().await);
    assert_eq!(heard.last(), Some(&ann.unread().await));
    assert_eq!(app.person("bob").unread().await, 100);
}

#[tokio::test]
async fn one_call_tells_thousands_and_each_of_them_once() {
    let app = TestApp::start().await;
    let mut first = app.user("p00000").await;
    let mut last = app.user("p01049").await;
    let mut other = app.user("p01050").await;
    send(&app, "p01049", "Before").await;
    last.expect("new-notification").await;
    last.expect("unread-count-update").await;
    let mut users = people(1050);
    // Twice, and in no order.
    users.extend(people(10));
    users.reverse();
    let mut body = to(json!(users), "For all");
    body["data"] = json!("x".repeat(16_000));
    let sent = app.post(API, body).await;
    assert_eq!(sent.status, 201, "{sent:?}");
    let sent = sent.body;
    assert_eq!(sent["recipients"], 1050);
    for (tab, count) in [(&mut first, 1), (&mut last, 2)] {
        assert_eq!(tab.expect("new-notification").await["notification"], sent["notification"]);
        assert_eq!(tab.expect("unread-count-update").await["unreadCount"], count);
        tab.expect_nothing().await;
    }
    other.expect_nothing().await;
    let id = id_of(&sent);
    for user in ["p00000", "p00007", "p00199", "p00200", "p01048"] {
        let user = app.person(user);
        assert_eq!(user.inbox("").await["items"], json!([sent["notification"]]));
        user.reads(&format!("/{id}/read")).await;
        assert_eq!(user.unread().await, 0);
    }
    assert_eq!(app.person("p00001").unread().await, 1);
}

/// Sends with a key, and a body.
async fn send_with_key(app: &TestApp, key: &str, body: &Value) -> Answer {
    app.post_with(API, &[("x-api-key", API_KEY), ("idempotency-key", key)], body).await
}

#[tokio::test]
async fn a_call_that_was_cut_goes_on_where_it_ended_when_it_comes_again() {
    let app = TestApp::start().await;
    let body = to(json!(people(450)), "For all");
    let sent = send_with_key(&app, "k1", &body).await;
    assert_eq!(sent.status, 201, "{sent:?}");
    // As a server leaves it that was killed after the first of three units.
    for statement in [
        "DELETE FROM idempotency_keys",
        "UPDATE notification_contents SET told = 200",
        "DELETE FROM notifications WHERE user_id >= 'p00200'",
        "DELETE FROM notification_inboxes WHERE user_id >= 'p00200'",
    ] {
        app.execute(statement).await;
    }
    let mut early = app.user("p00199").await;
    let mut late = app.user("p00200").await;
    let again = send_with_key(&app, "k1", &body).await;
    assert_eq!((again.status, &again.body), (sent.status, &sent.body));
    assert_eq!(late.expect("new-notification").await["notification"], sent.body["notification"]);
    assert_eq!(late.expect("unread-count-update").await["unreadCount"], 1);
    for user in ["p00000", "p00199", "p00200", "p00449"] {
        assert_eq!(app.person(user).unread().await, 1, "{user}");
    }
    // It is done now, and its answer kept.
    let kept = send_with_key(&app, "k1", &body).await;
    assert_eq!((kept.status, &kept.body), (sent.status, &sent.body));
    assert_eq!(kept.headers["idempotency-replayed"], "true");
    early.expect_nothing().await;
    late.expect_nothing().await;

    // Another key is another notification, and so is none.
    let other = send_with_key(&app, "k2", &body).await;
    assert_ne!(other.body["notification"]["id"], sent.body["notification"]["id"]);
    app.post(API, body).await.ok();
    assert_eq!(app.person("p00449").unread().await, 3);
}

/// Who is erased is told something between any two steps of that.
#[tokio::test]
async fn what_comes_while_somebody_is_erased_leaves_them_where_they_begin() {
    for store in [Store::sqlite(Clock::system()).await, Store::postgres(Clock::system()).await] {
        let notifications =
            NotificationService::new(store.db.clone(), Ids, &Config::for_tests().notifications);
        let ann = Id::new("ann").expect("an id");
        let tell = async || {
            let (notifications, ann) = (notifications.clone(), BTreeSet::from([ann.clone()]));
            let unit = async move |tx: &mut Tx<'_>| {
                let notice = Notice {
                    kind: "note".to_owned(),
                    title: "A note".to_owned(),
                    body: String::new(),
                    data: Value::Null,
                };
                notifications.notify(tx, &ann, notice).await
            };
            store.db.write(unit).await.expect("a notification");
        };
        for _ in 0..5 {
            tell().await;
        }
        let mut cursor = Some(Cursor::default());
        let mut steps = 0;
        while let Some(from) = cursor {
            let ann = ann.clone();
            let unit = async move |tx: &mut Tx<'_>| Personal.erase(tx, &ann, &from).await;
            cursor = store.db.write(unit).await.expect("a step");
            tell().await;
            steps += 1;
        }
        // As many as came before, so that each number would come again.
        for _ in 0..5 {
            tell().await;
        }
        let told = store.number("SELECT COUNT(*) FROM notifications").await;
        assert_eq!(told, steps + 5);
        assert_eq!(store.number("SELECT unread FROM notification_inboxes").await, told);
        assert_eq!(store.number("SELECT MAX(ordinal) FROM notifications").await, told);
    }
}
