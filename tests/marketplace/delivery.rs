//! Delivery, from the payment to the end.

use serde_json::{Value, json};

use super::{PRICE, Sale, ids, is_time, pay, text, update};
use crate::support::{TestApp, app::API_KEY};

/// A code that is not this one.
fn other(code: &str) -> String {
    let first = if code.starts_with('2') { "3" } else { "2" };
    format!("{first}{}", &code[1..])
}

#[tokio::test]
async fn only_the_moves_of_the_table_are_made() {
    let app = TestApp::start().await;
    let sale = Sale::accepted(&app).await;
    let open = sale.bea.request().await;
    let pending = sale.sam.offer(&open, PRICE).await;
    let cancelled = sale.bea.request().await;
    let waits = sale.sam.offer(&cancelled, PRICE).await;
    sale.bea.cancel(&cancelled).await;
    // Everything that moves a request or belongs to one status, tried where it is not allowed.
    let refused = async |request: &str, offer: &str, allowed: &[&str]| {
        let path = format!("/api/marketplace/requests/{request}");
        let shipped = json!({ "status": "shipped" });
        let (bea, sam) = (&sale.bea, &sale.sam);
        for what in ["accept", "cancel", "change", "code", "ship", "enter", "confirm", "complete"] {
            if allowed.contains(&what) {
                continue;
            }
            let answer = match what {
                "accept" => {
                    bea.post_nothing(&format!("/api/marketplace/offers/{offer}/accept")).await
                }
                "cancel" => bea.post(&format!("{path}/cancel"), json!({ "reason": "x" })).await,
                "change" => bea.patch(&path, json!({ "title": "x" })).await,
                "code" => sam.post_nothing(&format!("{path}/delivery/code")).await,
                "ship" => sam.patch(&format!("{path}/delivery"), shipped.clone()).await,
                "enter" => {
                    bea.post(&format!("{path}/delivery/confirm"), json!({ "code": "22222222" }))
                        .await
                }
                "confirm" => bea.post_nothing(&format!("{path}/delivery/buyer-confirm")).await,
                _ => bea.post_nothing(&format!("{path}/complete")).await,
            };
            assert_eq!(answer.problem(409), "conflict", "{what}: {answer:?}");
        }
    };
    // Of an open request nobody is the seller yet.
    refused(&open, &pending, &["accept", "cancel", "change", "code", "ship"]).await;
    refused(&cancelled, &waits, &["code", "ship"]).await;
    refused(&sale.request, &sale.offer, &["cancel"]).await;
    pay(&app, &sale.request).await;
    refused(&sale.request, &sale.offer, &["code", "ship"]).await;
    sale.ship().await;
    refused(&sale.request, &sale.offer, &["code", "ship", "enter", "confirm"]).await;
    let code = sale.code().await;
    assert_eq!(sale.confirm(&code).await.ok()["status"], "delivered");
    refused(&sale.request, &sale.offer, &["confirm", "complete"]).await;
    let completed = sale.bea.post_nothing(&sale.path("/complete")).await.ok();
    assert_eq!(completed["status"], "completed");
    refused(&sale.request, &sale.offer, &[]).await;
    let seen = sale.bea.get("/api/marketplace/requests?status=completed").await.ok();
    assert_eq!(ids(&seen), [sale.request.as_str()]);
}

#[tokio::test]
async fn a_code_can_be_read_out_and_is_told_in_the_requests_room() {
    let app = TestApp::start().await;
    let sale = Sale::paid(&app).await;
    let mut bea = sale.bea.connect_to(&sale.request).await;
    let mut sam = sale.sam.connect_to(&sale.request).await;
    let mut outside = sale.bea.connect().await;
    let code = sale.code().await;
    assert_eq!(code.len(), 8);
    assert!(code.bytes().all(|b| b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ".contains(&b)), "{code}");
    let told = json!({ "requestId": sale.request, "deliveryCode": code });
    for user in [&mut bea, &mut sam] {
        assert_eq!(user.expect("delivery-code-generated").await, told);
    }
    let delivery = sale.bea.get(&sale.path("")).await.ok()["delivery"].clone();
    let expected = json!({
        "status": null, "carrier": null, "trackingNumber": null, "hasCode": true,
        "deliveredAt": null, "buyerConfirmedAt": null,
    });
    assert_eq!(delivery, expected);
    for user in [&mut bea, &mut sam, &mut outside] {
        user.expect_nothing().await;
    }
}

#[tokio::test]
async fn the_code_is_not_kept_in_plain_beside_the_request() {
    let app = TestApp::on_sqlite(|_| {}).await;
    let sale = Sale::shipped(&app).await;
    let code = sale.code().await;
    let database = app.database();
    let mut row = database.prepare("SELECT * FROM purchase_requests WHERE id = ?1").unwrap();
    let count = row.column_count();
    let values = |row: &rusqlite::Row<'_>| (0..count).map(|at| row.get(at)).collect();
    let values: Vec<rusqlite::types::Value> = row.query_row([&sale.request], values).unwrap();
    let seen = format!("{values:?}");
    assert!(seen.contains("Blob(["), "{seen}");
    let bytes = format!("{:?}", code.as_bytes());
    let bytes = bytes.trim_matches(['[', ']']);
    assert!(!seen.contains(&code) && !seen.contains(bytes), "{seen}");
}

#[tokio::test]
async fn where_the_goods_are_is_told_and_only_shipped_moves_the_request_on() {
    let app = TestApp::start().await;
    let sale = Sale::paid(&app).await;
    let mut page = sale.bea.connect_to(&sale.request).await;
    let mut outside = sale.bea.connect_as_buyer().await;
    for (change, status, told) in [
        (
            json!({ "status": "packed", "carrier": "DHL" }),
            "paid",
            json!({ "status": "packed", "carrier": "DHL" }),
        ),
        (json!({ "status": "Shipped" }), "paid", json!({ "status": "Shipped", "carrier": "DHL" })),
        (
            json!({ "status": "shipped", "trackingNumber": "T1" }),
            "shipped",
            json!({ "status": "shipped", "carrier": "DHL", "trackingNumber": "T1" }),
        ),
        (
            json!({ "status": "delivered", "carrier": "UPS" }),
            "shipped",
            json!({ "status": "delivered", "carrier": "UPS", "trackingNumber": "T1" }),
        ),
    ] {
        let answer = sale.sam.patch(&sale.path("/delivery"), change.clone()).await.ok();
        assert_eq!(answer["status"], status, "{change}");
        for (name, value) in told.as_object().unwrap() {
            assert_eq!(answer["delivery"][name], *value, "{change}");
        }
        let mut expected = told;
        expected["requestId"] = json!(sale.request);
        assert_eq!(page.expect("delivery-update").await, expected);
        let expected = update("delivery_changed", &sale.request, status);
        assert_eq!(page.expect("purchase-request-update").await, expected);
        assert_eq!(sale.bea.get(&sale.path("")).await.ok(), answer);
        // The same again is no news.
        assert_eq!(sale.sam.patch(&sale.path("/delivery"), change).await.ok(), answer);
    }
    for user in [&mut page, &mut outside] {
        user.expect_nothing().await;
    }
}

#[tokio::test]
async fn delivery_that_keeps_no_rule_is_refused() {
    let app = TestApp::start().await;
    let sale = Sale::shipped(&app).await;
    for (field, value) in [
        ("status", json!("")),
        ("status", json!("x".repeat(65))),
        ("status", Value::Null),
        ("carrier", json!("")),
        ("carrier", json!("x".repeat(101))),
        ("trackingNumber", json!("")),
        ("trackingNumber", json!("x".repeat(101))),
        ("code", json!("x")),
    ] {
        let mut body = json!({ "status": "on its way" });
        body[field] = value;
        let answer = sale.sam.patch(&sale.path("/delivery"), body).await;
        answer.invalid(&format!("/{field}"));
    }
    sale.code().await;
    for (body, pointer) in [
        (json!({}), "/code"),
        (json!({ "code": "" }), "/code"),
        (json!({ "code": 22_222_222 }), "/code"),
        (json!({ "code": "2".repeat(33) }), "/code"),
        (json!({ "code": "22222222", "force": true }), "/force"),
    ] {
        sale.bea.post(&sale.path("/delivery/confirm"), body).await.invalid(pointer);
    }
    let kept = sale.bea.get(&sale.path("")).await.ok();
    assert_eq!(kept["delivery"]["status"], "shipped");
}

#[tokio::test]
async fn the_right_code_however_it_is_written_delivers() {
    let app = TestApp::start().await;
    let written: [fn(&str) -> String; 4] = [
        str::to_owned,
        str::to_lowercase,
        |code| format!(" {}-{} ", &code[..4], &code[4..].to_lowercase()),
        |code| code.chars().flat_map(|letter| [letter, ' ']).collect(),
    ];
    for write in written {
        let sale = Sale::shipped(&app).await;
        let code = sale.code().await;
        let mut page = sale.bea.connect_to(&sale.request).await;
        let delivered = sale.confirm(&write(&code)).await.ok();
        assert_eq!(delivered["status"], "delivered");
        let delivery = &delivered["delivery"];
        assert!(is_time(&delivery["deliveredAt"]), "{delivery}");
        let mut expected = json!({
            "status": "shipped", "carrier": null, "trackingNumber": null, "hasCode": true,
            "buyerConfirmedAt": null,
        });
        expected["deliveredAt"] = delivery["deliveredAt"].clone();
        assert_eq!(*delivery, expected);
        let told = json!({ "requestId": sale.request });
        assert_eq!(page.expect("delivery-confirmed").await, told);
        let told = update("status_changed", &sale.request, "delivered");
        assert_eq!(page.expect("purchase-request-update").await, told);
        assert_eq!(sale.confirm(&code).await.problem(409), "conflict");
        page.expect_nothing().await;
        assert_eq!(sale.bea.get(&sale.path("")).await.ok(), delivered);
    }
}

#[tokio::test]
async fn a_code_may_be_tried_five_times() {
    let app = TestApp::start().await;
    let sale = Sale::shipped(&app).await;
    assert_eq!(sale.confirm("22222222").await.problem(409), "conflict");
    let first = sale.code().await;
    let mut page = sale.bea.connect_to(&sale.request).await;
    for left in (0..5).rev() {
        let answer = sale.confirm(&other(&first)).await;
        answer.invalid("/code");
        let detail = text(&answer.body["errors"][0]["detail"]);
        assert!(detail.contains(&format!("{left} tries left")), "{detail}");
    }
    for code in [&first, &other(&first)] {
        assert_eq!(sale.confirm(code).await.problem(409), "delivery_code_used_up");
    }
    page.expect_nothing().await;

    let second = sale.code().await;
    page.expect("delivery-code-generated").await;
    sale.confirm(&first).await.invalid("/code");
    assert_eq!(sale.confirm(&second).await.ok()["status"], "delivered");
}

#[tokio::test]
async fn a_new_code_ends_the_one_before() {
    let app = TestApp::start().await;
    let sale = Sale::paid(&app).await;
    let first = sale.code().await;
    sale.ship().await;
    let second = sale.code().await;
    assert_ne!(first, second);
    sale.confirm(&first).await.invalid("/code");
    sale.confirm(&second).await.ok();
}

#[tokio::test]
async fn a_code_of_another_request_is_a_wrong_one() {
    let app = TestApp::start().await;
    let (one, other) = (Sale::shipped(&app).await, Sale::shipped(&app).await);
    let (_, others) = (one.code().await, other.code().await);
    one.confirm(&others).await.invalid("/code");
    other.confirm(&others).await.ok();
}

#[tokio::test]
async fn the_buyers_word_is_told_to_the_seller_once() {
    let app = TestApp::start().await;
    let sale = Sale::shipped(&app).await;
    let mut sam = sale.sam.connect().await;
    let mut page = sale.bea.connect_to(&sale.request).await;
    let path = sale.path("/delivery/buyer-confirm");
    let first = sale.bea.post_nothing(&path).await.ok();
    assert!(is_time(&first["delivery"]["buyerConfirmedAt"]), "{first}");
    assert_eq!(first["status"], "shipped");
    assert_eq!(sale.bea.post_nothing(&path).await.ok(), first);
    let told = json!({ "requestId": sale.request, "buyerId": "bea" });
    assert_eq!(sam.expect("buyer-confirmed-delivery").await, told);
    for user in [&mut sam, &mut page] {
        user.expect_nothing().await;
    }
    let code = sale.code().await;
    let delivered = sale.confirm(&code).await.ok();
    let confirmed = &first["delivery"]["buyerConfirmedAt"];
    assert_eq!(delivered["delivery"]["buyerConfirmedAt"], *confirmed);
    assert_eq!(sale.bea.post_nothing(&path).await.ok(), delivered);
    assert_eq!(sam.queued("buyer-confirmed-delivery"), [Value::Null; 0]);
}

#[tokio::test]
async fn a_completed_transaction_is_told_to_both_with_what_was_paid() {
    let app = TestApp::start().await;
    for by_service in [false, true] {
        let sale = Sale::shipped(&app).await;
        let code = sale.code().await;
        sale.confirm(&code).await.ok();
        let (mut bea, mut sam) = (sale.bea.connect().await, sale.sam.connect().await);
        let mut page = sale.bea.connect_to(&sale.request).await;
        let mut sue = app.seller("sue").connect_as_seller().await;
        let payment = sale.bea.get(&sale.path("")).await.ok()["paymentId"].clone();
        let path = sale.path("/complete");
        if by_service {
            let answer = app.request(reqwest::Method::POST, &path, Some(API_KEY), None).await;
            assert_eq!(answer.ok()["status"], "completed");
        } else {
            assert_eq!(sale.bea.post_nothing(&path).await.ok()["status"], "completed");
        }
        // The page is in the buyer's room, too.
        for user in [&mut bea, &mut sam, &mut page] {
            let told = user.expect("transaction-completed").await;
            assert_eq!(told["requestId"], json!(sale.request));
            assert_eq!(told["paymentId"], payment);
            assert_eq!(told["currency"], "USD");
            assert_eq!(told.as_object().unwrap().len(), 4, "{told}");
        }
        let told = update("status_changed", &sale.request, "completed");
        assert_eq!(page.expect("purchase-request-update").await, told);
        for user in [&mut bea, &mut sam, &mut page, &mut sue] {
            user.expect_nothing().await;
        }
    }
}

#[tokio::test]
async fn what_was_paid_is_told_with_every_digit() {
    let app = TestApp::start().await;
    let sale = Sale::shipped(&app).await;
    let code = sale.code().await;
    sale.confirm(&code).await.ok();
    let mut sam = sale.sam.connect().await;
    sam.join("join-seller-room", "sam").await;
    sale.bea.post_nothing(&sale.path("/complete")).await.ok();
    let packet = loop {
        let packet = sam.next_raw().await;
        if packet.contains("transaction-completed") {
            break packet;
        }
    };
    assert!(packet.contains(&format!(r#""amount":{PRICE},"#)), "{packet}");
}

/// How many kept events have a text.
async fn kept_with(app: &TestApp, text: &str) -> i64 {
    let having = |table| format!("(SELECT COUNT(*) FROM {table} WHERE wire LIKE '%{text}%')");
    app.count(&format!("SELECT {} + {}", having("events"), having("shared_events"))).await
}

#[tokio::test]
async fn a_code_that_does_not_serve_any_more_is_kept_nowhere() {
    use stoa::config::EventAudience::{Documented, Participants};

    for audience in [Documented, Participants] {
        let app = TestApp::with(|config| config.realtime.event_audience = audience).await;
        let sale = Sale::shipped(&app).await;
        let path = sale.path("/delivery/code");
        let code = async |key: &str| sale.sam.post_keyed(&path, key, &json!({})).await;
        let serves = async |key: &str| {
            let made = code(key).await;
            assert_eq!(made.status, 201, "{made:?}");
            assert_eq!(code(key).await.body, made.body, "while it serves");
            let made = text(&made.body["deliveryCode"]);
            assert_eq!(kept_with(&app, &made).await, 1);
            made
        };
        let is_forgotten = async |key: &str, made: &str| {
            let again = code(key).await;
            assert_eq!(again.problem(409), "conflict", "{again:?}");
            assert_eq!(kept_with(&app, made).await, 0);
        };
        let first = serves("k1").await;
        let second = serves("k2").await;
        is_forgotten("k1", &first).await;
        for _ in 0..4 {
            sale.confirm(&other(&second)).await.invalid("/code");
        }
        assert_eq!(code("k2").await.status, 201, "one try is left");
        sale.confirm(&other(&second)).await.invalid("/code");
        is_forgotten("k2", &second).await;
        let third = serves("k3").await;
        assert_eq!(sale.confirm(&third).await.ok()["status"], "delivered");
        is_forgotten("k3", &third).await;
    }
}
