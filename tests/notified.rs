//! What happens in conversations, in the marketplace and to money, as those to whom it happens are
//! notified of it.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    Person, TestApp,
    app::{API_KEY, notifying},
    market::id_of,
};

/// What a user has been notified of, the newest first: type, title, body and data.
async fn told(app: &TestApp, user: &str) -> Vec<[Value; 4]> {
    let answer = app.person(user).get("/api/notifications").await.ok();
    let notifications = answer["items"].as_array().expect("a list");
    let part = |notification: &Value, name: &str| notification[name].clone();
    notifications
        .iter()
        .map(|it| [part(it, "type"), part(it, "title"), part(it, "body"), part(it, "data")])
        .collect()
}

/// The types of the same.
async fn kinds(app: &TestApp, user: &str) -> Vec<String> {
    let told = told(app, user).await;
    told.iter().map(|[kind, ..]| kind.as_str().expect("a type").to_owned()).collect()
}

async fn service(app: &TestApp, method: Method, path: &str, body: Value) -> Value {
    app.request(method, path, Some(API_KEY), Some(body)).await.ok()
}

/// Ann, who has a name.
fn lee(app: &TestApp) -> Person {
    app.person_with("ann", json!({ "firstName": "Ann", "lastName": "Lee" }))
}

#[tokio::test]
async fn whoever_buys_and_sells_is_notified_of_each_step_of_the_other() {
    let app = TestApp::with(notifying).await;
    let (ann, bob, cat) = (app.buyer("ann"), app.seller("bob"), app.seller("cat"));
    let request = ann.request().await;
    let offer = bob.offer(&request, "35.50").await;
    let lost = cat.offer(&request, "39").await;
    let [newest, oldest] = &told(&app, "ann").await[..] else { panic!("two offers") };
    assert_eq!(newest[2], "39.00 USD for A lamp");
    let data = json!({ "requestId": request, "offerId": offer, "sellerId": "bob" });
    assert_eq!(
        *oldest,
        [json!("offer-received"), json!("New offer"), json!("35.50 USD for A lamp"), data]
    );
    let mut tab = app.user_with("bob", &["seller"], crate::support::Options::websocket()).await;
    ann.accept(&offer).await;
    let heard = tab.expect("new-notification").await;
    assert_eq!(heard["notification"]["type"], "offer-accepted");
    assert_eq!(tab.expect("unread-count-update").await, json!({ "unreadCount": 1 }));
    let [[kind, .., data]] = &told(&app, "cat").await[..] else { panic!("one rejection") };
    assert_eq!(kind, "offer-rejected");
    assert_eq!(data["requestId"], json!(request), "{lost}");

    let payment = ann.pay(&request).await;
    let path = format!("/api/payments/{payment}/confirm");
    let confirmed = json!({ "txHash": "0xabc" });
    service(&app, Method::POST, &path, confirmed.clone()).await;
    service(&app, Method::POST, &path, confirmed).await;
    let path = format!("/api/marketplace/requests/{request}/delivery");
    for status in ["shipped", "at the door"] {
        let delivery = json!({ "status": status, "carrier": "DHL", "trackingNumber": "7" });
        bob.patch(&path, delivery).await.ok();
    }
    let [shipped, ..] = &told(&app, "ann").await[..] else { panic!("it is on its way") };
    let data = json!({ "requestId": request, "carrier": "DHL", "trackingNumber": "7" });
    assert_eq!((&shipped[0], &shipped[3]), (&json!("delivery-shipped"), &data));
    let code = bob.post_nothing(&format!("{path}/code")).await.ok()["deliveryCode"].clone();
    let confirm = format!("{path}/confirm");
    ann.post(&confirm, json!({ "code": "22222222" })).await.problem(422);
    ann.post(&confirm, json!({ "code": code })).await.ok();

    let payout = json!({ "sellerId": "bob", "paymentId": payment, "amount": "35.50",
        "currency": "USD", "destination": "0x1", "provider": "decentralized" });
    let payout = id_of(&service(&app, Method::POST, "/api/payouts", payout).await);
    let path = format!("/api/payouts/{payout}");
    let through = json!({ "status": "completed", "txHash": "0xdef" });
    service(&app, Method::PATCH, &path, through.clone()).await;
    service(&app, Method::PATCH, &path, through).await;
    let kinds_of_bob =
        ["payout-completed", "delivery-confirmed", "payment-received", "offer-accepted"];
    assert_eq!(kinds(&app, "bob").await, kinds_of_bob);
    assert_eq!(kinds(&app, "ann").await, ["delivery-shipped", "offer-received", "offer-received"]);
    assert_eq!(kinds(&app, "cat").await, ["offer-rejected"]);
}

#[tokio::test]
async fn a_request_that_is_called_off_is_told_to_all_but_who_did_it() {
    let app = TestApp::with(notifying).await;
    let (ann, bob) = (app.buyer("ann"), app.seller("bob"));
    let cancelled = json!({ "reason": "Found one" });
    let request = ann.request().await;
    let offer = bob.offer(&request, "39").await;
    bob.post(&format!("/api/marketplace/offers/{offer}/reject"), json!({})).await.problem(403);
    ann.post(&format!("/api/marketplace/offers/{offer}/reject"), json!({ "reason": "Blue" }))
        .await
        .ok();
    assert_eq!(told(&app, "bob").await[0][3], json!({ "requestId": request, "reason": "Blue" }));
    ann.post(&format!("/api/marketplace/requests/{request}/cancel"), cancelled.clone()).await.ok();
    let request = ann.request().await;
    bob.offer(&request, "39").await;
    let path = format!("/api/marketplace/requests/{request}/cancel");
    app.admin().post(&path, cancelled).await.ok();
    let [newest, ..] = &told(&app, "ann").await[..] else { panic!("it was called off") };
    assert_eq!(
        (&newest[0], &newest[2]),
        (&json!("request-cancelled"), &json!("A lamp: Found one"))
    );
    assert_eq!(kinds(&app, "ann").await.len(), 3, "two offers, and what an admin did");
    let kinds_of_bob = kinds(&app, "bob").await;
    assert_eq!(kinds_of_bob, ["request-cancelled", "offer-rejected"], "his offer was gone by then");
}

#[tokio::test]
async fn who_is_away_is_told_once_of_the_messages_of_a_conversation_until_they_have_read_it() {
    let app = TestApp::with(notifying).await;
    let conversation = app.person("ann").group(&["bob", "cat"]).await;
    let other = app.person("ann").talk_to("bob").await;
    let _cat = app.user("cat").await;
    let message = lee(&app).say(&conversation, "A secret").await;
    lee(&app).say(&conversation, "A secret").await;
    app.person("cat").say(&conversation, "A secret").await;
    lee(&app).say(&other, "A secret").await;
    let [of_other, first] = &told(&app, "bob").await[..] else { panic!("one a conversation") };
    let data = json!({ "conversationId": conversation, "messageId": message });
    assert_eq!(*first, [json!("message-received"), json!("New message"), json!("Ann Lee"), data]);
    assert_eq!(of_other[3]["conversationId"], json!(other));
    assert_eq!(kinds(&app, "cat").await, [""; 0], "she is here");
    assert_eq!(kinds(&app, "ann").await, ["message-received"], "of what cat wrote");

    let bob = app.person("bob");
    bob.post_nothing("/api/notifications/read-all").await.ok();
    lee(&app).say(&conversation, "A secret").await;
    lee(&app).say(&conversation, "A secret").await;
    assert_eq!(kinds(&app, "bob").await.len(), 3);
    let newest = bob.get("/api/notifications?unread=true").await.ok();
    let path = format!("/api/notifications/{}", newest["items"][0]["id"].as_str().expect("an id"));
    bob.post_nothing(&format!("{path}/read")).await.ok();
    lee(&app).say(&conversation, "A secret").await;
    assert_eq!(kinds(&app, "bob").await.len(), 4, "the last one was read by itself");
    bob.delete(&path).await.ok();
    lee(&app).say(&conversation, "A secret").await;
    assert_eq!(kinds(&app, "bob").await.len(), 3, "one is unread still");
}

#[tokio::test]
async fn who_has_read_a_conversation_has_read_that_there_was_something() {
    let app = TestApp::with(notifying).await;
    let conversation = app.person("ann").talk_to("bob").await;
    let other = app.person("cat").talk_to("bob").await;
    let bob = app.person("bob");
    let unread = async || {
        let path = "/api/notifications/unread-count";
        bob.get(path).await.ok()["unreadCount"].clone()
    };
    let read = async |message: &str| {
        let path = format!("/api/conversations/{conversation}/read");
        bob.post(&path, json!({ "messageId": message })).await.ok()
    };
    app.person("cat").say(&other, "A secret").await;
    let first = lee(&app).say(&conversation, "A secret").await;
    let second = lee(&app).say(&conversation, "A secret").await;
    assert_eq!(unread().await, 2);
    assert_eq!(read(&first).await["unreadCount"], 1);
    assert_eq!(unread().await, 2, "there is something still");
    let mut tab = app.user("bob").await;
    read(&second).await;
    assert_eq!(tab.expect("unread-count-update").await, json!({ "unreadCount": 1 }));
    read(&second).await;
    tab.expect_nothing().await;
    tab.close().await;
    app.until_offline("bob", std::time::Duration::from_secs(10)).await;
    // What comes now is news.
    let third = lee(&app).say(&conversation, "A secret").await;
    assert_eq!(unread().await, 2);
    bob.post_nothing("/api/notifications/read-all").await.ok();
    read(&third).await;
    assert_eq!(unread().await, 0);
}

#[tokio::test]
async fn who_has_a_full_name_alone_is_called_by_it() {
    let app = TestApp::with(notifying).await;
    let by_token = app.person("ann").talk_to("bob").await;
    app.person_with("ann", json!({ "name": "Ann of the Lake" })).say(&by_token, "Hello").await;
    let by_profile = app.person("cat").talk_to("bob").await;
    service(&app, Method::PUT, "/api/users/cat", json!({ "name": "The Cat" })).await;
    app.person("cat").say(&by_profile, "Hello").await;
    let nobody = app.person("dan").talk_to("bob").await;
    app.person("dan").say(&nobody, "Hello").await;
    let bodies: Vec<_> = told(&app, "bob").await.into_iter().map(|[_, _, body, _]| body).collect();
    assert_eq!(bodies, ["dan", "The Cat", "Ann of the Lake"]);
    let said =
        app.person("bob").get(&format!("/api/conversations/{by_profile}/messages")).await.ok();
    let sender = json!({ "id": "cat", "firstName": null, "lastName": null });
    assert_eq!(said["items"][0]["sender"], sender);
}

#[tokio::test]
async fn nobody_is_notified_of_messages_to_very_many() {
    let app = TestApp::with(notifying).await;
    let many: Vec<_> = (0..100).map(|n| format!("member-{n}")).collect();
    let crowd = app.person("ann").group(&many).await;
    let group = app.person("ann").group(&many[1..]).await;
    lee(&app).say(&crowd, "A secret").await;
    lee(&app).say(&group, "A secret").await;
    assert_eq!(kinds(&app, "member-0").await, [""; 0]);
    assert_eq!(kinds(&app, "member-99").await, ["message-received"]);
}

#[tokio::test]
async fn an_operator_says_of_what_users_are_notified_and_how() {
    let app = TestApp::with(|config| {
        notifying(config);
        let causes = &mut config.notifications.causes;
        causes.message_received.enabled = false;
        causes.offer_received.r#type = "deal".to_owned();
        causes.offer_received.title = "{title}".to_owned();
        causes.offer_received.body = "{amount}".to_owned();
    })
    .await;
    let request = app.buyer("ann").request().await;
    app.seller("bob").offer(&request, "12.30").await;
    let conversation = app.person("bob").talk_to("ann").await;
    app.person("bob").say(&conversation, "A secret").await;
    let [[kind, title, body, _]] = &told(&app, "ann").await[..] else { panic!("the offer alone") };
    assert_eq!([kind, title, body], ["deal", "A lamp", "12.30"]);
}
