//! Checkouts, and who hears of their payment under each `EVENT_AUDIENCE`.

use serde_json::{Value, json};
use stoa::config::EventAudience;

use super::{PRICE, Sale, is_time};
use crate::support::{Person, TestApp};

const EVENTS: [&str; 3] = [
    "template-checkout-payment-pending",
    "template-checkout-payment-failed",
    "template-checkout-payment-confirmed",
];

/// Those who take part in a checkout of Bea's, an admin, and an outsider.
struct Hearers {
    inside: Vec<Person>,
    outside: Vec<Person>,
}

async fn participants() -> TestApp {
    TestApp::with(|config| config.realtime.event_audience = EventAudience::Participants).await
}

async fn pay(app: &TestApp, checkout: &str, body: Value) -> crate::support::app::Answer {
    app.person_as("backend", &["service"])
        .post(&format!("/api/marketplace/template-checkouts/{checkout}/payment"), body)
        .await
}

/// A payment that goes wrong once; what is told of it, in order.
async fn pay_at_last(
    app: &TestApp,
    checkout: &str,
    requests: &[&str],
) -> Vec<(&'static str, Value)> {
    for body in [
        json!({ "status": "pending", "paymentId": "p1" }),
        json!({ "status": "failed", "reason": "No money" }),
        json!({ "status": "pending" }),
        json!({ "status": "confirmed", "paymentId": "p2" }),
    ] {
        let status = body["status"].clone();
        assert_eq!(pay(app, checkout, body).await.ok()["status"], status);
    }
    let [pending, failed, confirmed] = EVENTS;
    let paid = json!({ "checkoutId": checkout, "requestIds": requests, "paymentId": "p2" });
    vec![
        (pending, json!({ "checkoutId": checkout })),
        (failed, json!({ "checkoutId": checkout, "reason": "No money" })),
        (pending, json!({ "checkoutId": checkout })),
        (confirmed, paid),
    ]
}

async fn hearers(app: &TestApp, checkout: &str) -> Hearers {
    let sam = app.seller("sam");
    let mut room = sam.connect().await;
    room.join("join-checkout-room", checkout).await;
    Hearers {
        inside: vec![
            app.buyer("bea").connect().await,
            sam.connect().await,
            room,
            app.admin().connect().await,
        ],
        outside: vec![
            app.person_as("eve", &["user"]).connect().await,
            // An offer that waits makes nobody a seller of it.
            app.seller("sue").connect_as_seller().await,
        ],
    }
}

async fn hear(user: &mut Person, told: &[(&'static str, Value)]) {
    for (event, payload) in told {
        assert_eq!(user.expect(event).await, *payload, "{}", user.id);
    }
    user.expect_nothing().await;
}

#[tokio::test]
async fn a_checkout_is_kept_as_it_was_made() {
    let app = TestApp::start().await;
    let bea = app.buyer("bea");
    let (one, two) = (bea.request().await, bea.request().await);
    let answer =
        bea.post("/api/marketplace/template-checkouts", json!({ "requestIds": [two, one] })).await;
    assert_eq!(answer.status, 201);
    let made = answer.body;
    let expected = json!({
        "id": made["id"], "_id": made["id"], "buyerId": "bea", "requestIds": [two, one],
        "status": "open", "paymentId": null, "reason": null, "createdAt": made["createdAt"],
        "updatedAt": made["createdAt"],
    });
    assert_eq!(made, expected);
    assert!(is_time(&made["createdAt"]));
    let checkout = made["id"].as_str().unwrap();
    assert_eq!(
        bea.get(&format!("/api/marketplace/template-checkouts/{checkout}")).await.ok(),
        made
    );
    assert_eq!(
        app.person_as("backend", &["service"])
            .get(&format!("/api/marketplace/template-checkouts/{checkout}"))
            .await
            .ok(),
        made
    );

    let failed = pay(&app, checkout, json!({ "status": "failed" })).await.ok();
    assert_eq!(failed["reason"], "The payment failed.");
    let paid = pay(&app, checkout, json!({ "status": "confirmed", "paymentId": "p1" })).await.ok();
    assert_eq!((&paid["reason"], &paid["paymentId"]), (&Value::Null, &json!("p1")));
    assert_eq!(
        bea.get(&format!("/api/marketplace/template-checkouts/{checkout}")).await.ok(),
        paid
    );
}

#[tokio::test]
async fn a_checkout_is_over_requests_of_the_callers_own_each_once() {
    let app = TestApp::start().await;
    let (bea, bob) = (app.buyer("bea"), app.buyer("bob"));
    let (own, bobs, gone) = (bea.request().await, bob.request().await, bea.request().await);
    bea.cancel(&gone).await;
    let many: Vec<_> = (0..101).map(|n| format!("r{n}")).collect();
    for (requests, pointer) in [
        (json!([own, bobs]), "/requestIds/1"),
        (json!(["nowhere"]), "/requestIds/0"),
        (json!([own, gone]), "/requestIds/1"),
        (json!([own, own]), "/requestIds/1"),
        (json!([own, "a b"]), "/requestIds/1"),
        (json!([]), "/requestIds"),
        (json!(many), "/requestIds"),
        (json!(own), "/requestIds"),
        (Value::Null, "/requestIds"),
    ] {
        let body = json!({ "requestIds": requests });
        bea.post("/api/marketplace/template-checkouts", body).await.invalid(pointer);
    }
    bea.post("/api/marketplace/template-checkouts", json!({})).await.invalid("/requestIds");
    let more = json!({ "requestIds": [own], "colour": 1 });
    bea.post("/api/marketplace/template-checkouts", more).await.invalid("/colour");
    let ask = async |id: &str| {
        let mut body = bea
            .post("/api/marketplace/template-checkouts", json!({ "requestIds": [id] }))
            .await
            .body;
        body.as_object_mut().unwrap().remove("requestId");
        body
    };
    assert_eq!(ask(&bobs).await, ask("nowhere").await, "it tells what is there");
}

#[tokio::test]
async fn a_payment_that_keeps_no_rule_is_refused() {
    let app = TestApp::start().await;
    let bea = app.buyer("bea");
    let checkout = bea.check_out(&[&bea.request().await]).await;
    let mut beas = bea.connect().await;
    for (body, pointer) in [
        (json!({}), "/status"),
        (json!({ "status": "open" }), "/status"),
        (json!({ "status": "paid" }), "/status"),
        (json!({ "status": "failed", "reason": "" }), "/reason"),
        (json!({ "status": "failed", "reason": "x".repeat(1001) }), "/reason"),
        (json!({ "status": "pending", "paymentId": "a b" }), "/paymentId"),
        (json!({ "status": "pending", "colour": 1 }), "/colour"),
    ] {
        pay(&app, &checkout, body).await.invalid(pointer);
    }
    beas.expect_nothing().await;
}

#[tokio::test]
async fn the_same_status_again_is_told_to_nobody_and_confirmed_is_final() {
    let app = TestApp::start().await;
    let bea = app.buyer("bea");
    let checkout = bea.check_out(&[&bea.request().await]).await;
    let mut beas = bea.connect().await;
    for (status, event) in ["pending", "failed", "confirmed"].into_iter().zip(EVENTS) {
        let first = pay(&app, &checkout, json!({ "status": status })).await.ok();
        let body = json!({ "status": status, "paymentId": "other", "reason": "other" });
        assert_eq!(pay(&app, &checkout, body).await.ok(), first);
        beas.expect(event).await;
        beas.expect_nothing().await;
    }
    for status in ["pending", "failed"] {
        let answer = pay(&app, &checkout, json!({ "status": status })).await;
        assert_eq!(answer.problem(409), "conflict", "{status}");
    }
    beas.expect_nothing().await;
}

#[tokio::test]
async fn as_documented_everyone_hears_of_a_checkouts_payment() {
    let app = TestApp::start().await;
    let sale = Sale::accepted(&app).await;
    let checkout = sale.bea.check_out(&[&sale.request]).await;
    let Hearers { inside, outside } = hearers(&app, &checkout).await;
    let told = pay_at_last(&app, &checkout, &[&sale.request]).await;
    for mut user in inside.into_iter().chain(outside) {
        hear(&mut user, &told).await;
    }
}

#[tokio::test]
async fn where_only_participants_hear_outsiders_hear_nothing_of_a_checkouts_payment() {
    let app = participants().await;
    let sale = Sale::accepted(&app).await;
    let open = sale.bea.request().await;
    app.seller("sue").offer(&open, PRICE).await;
    let checkout = sale.bea.check_out(&[&sale.request, &open]).await;
    let Hearers { inside, outside } = hearers(&app, &checkout).await;
    let told = pay_at_last(&app, &checkout, &[&sale.request, &open]).await;
    for mut user in inside {
        hear(&mut user, &told).await;
    }
    for mut user in outside {
        user.expect_nothing().await;
    }
}

#[tokio::test]
async fn where_only_participants_hear_the_delivery_code_is_the_sellers_alone() {
    let app = participants().await;
    let sale = Sale::paid(&app).await;
    let mut outside = sale.sam.connect().await;
    let mut inside = sale.sam.connect_to(&sale.request).await;
    let mut bea = sale.bea.connect_to(&sale.request).await;
    let mut root = app.admin().connect_to(&sale.request).await;
    let code = sale.code().await;
    let told = json!({ "requestId": sale.request, "deliveryCode": code });
    for user in [&mut outside, &mut inside] {
        hear(user, &[("delivery-code-generated", told.clone())]).await;
    }
    for user in [&mut bea, &mut root] {
        user.expect_nothing().await;
    }
}
