//! Payouts by SHKeeper: asked for once, whatever becomes of the answer, and followed to their end.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{invoiced, seller, start};
use crate::support::{
    DEADLINE, TestApp,
    app::{API_KEY, Answer},
    market::id_of,
    shkeeper::{Endpoint, Fake, Fault, Outcome},
};

fn payout() -> Value {
    json!({ "sellerId": "sam", "amount": "34.10", "currency": "ETH-USDT", "destination": "0x6f2F",
        "provider": "shkeeper" })
}

async fn until(app: &TestApp, id: &str, status: &str) -> Value {
    let path = format!("/api/payouts/{id}");
    let wanted = |answer: &Answer| answer.body["status"] == status;
    app.until(&path, DEADLINE, &format!("a payout that is {status}"), wanted).await.body
}

#[tokio::test]
async fn a_payout_is_through_when_its_callback_says_so() {
    let fake = Fake::start().await;
    let app = start(&fake, |_| {}).await;
    let mut seller = seller(&app).await;
    let begun = app.post("/api/payouts", payout()).await.ok();
    assert_eq!(begun["status"], "processing");
    let (payout, task) = (id_of(&begun), begun["taskId"].clone());
    assert!(task.is_string());
    let created = json!({ "payoutId": payout, "taskId": task, "sellerId": "sam", "amount": 34.1,
        "currency": "ETH-USDT" });
    assert_eq!(seller.expect("payout-created").await, created);

    let told = fake.finish_payout(&payout, Outcome::Success).expect("a callback");
    let hash = told.json()["tx_hash"].clone();
    assert_eq!(join_all((0..5).map(|_| fake.deliver(&told))).await, [202; 5]);
    let updated = json!({ "payoutId": payout, "status": "completed" });
    assert_eq!(seller.expect("payout-updated").await, updated);
    let completed = json!({ "payoutId": payout, "taskId": task, "txHash": hash });
    assert_eq!(seller.expect("payout-completed").await, completed);
    seller.expect_nothing().await;
    assert_eq!(until(&app, &payout, "completed").await["txHash"], hash);
}

#[tokio::test]
async fn a_payout_that_fails_is_found_by_asking() {
    for outcome in [Outcome::Fail, Outcome::NotDelivered] {
        let fake = Fake::start().await;
        let app = start(&fake, |_| {}).await;
        let mut seller = seller(&app).await;
        let payout = id_of(&app.post("/api/payouts", payout()).await.ok());
        seller.expect("payout-created").await;
        assert!(fake.finish_payout(&payout, outcome).is_none(), "nobody is told");
        until(&app, &payout, "failed").await;
        let updated = json!({ "payoutId": payout, "status": "failed" });
        assert_eq!(seller.expect("payout-updated").await, updated);
        seller.expect_nothing().await;
    }
}

#[tokio::test]
async fn a_payout_whose_callback_never_comes_is_found_by_asking() {
    let fake = Fake::start().await;
    let app = start(&fake, |_| {}).await;
    let payout = id_of(&app.post("/api/payouts", payout()).await.ok());
    // Sent, and not confirmed: its transaction is known, and it is not through.
    fake.finish_payout(&payout, Outcome::Sent);
    let path = format!("/api/payouts/{payout}");
    let known = |answer: &Answer| answer.body["txHash"].is_string();
    let sent = app.until(&path, DEADLINE, "the transaction", known).await.body;
    assert_eq!(sent["status"], "processing");
    fake.finish_payout(&payout, Outcome::Success);
    until(&app, &payout, "completed").await;
}

#[tokio::test]
async fn a_payout_whose_answer_was_lost_is_not_paid_twice() {
    for fault in [
        Fault::Drop { done: true },
        Fault::Hang { done: true },
        Fault::Answer500 { done: true },
        Fault::Page,
    ] {
        let fake = Fake::start().await;
        let app = start(&fake, |config| config.shkeeper.timeout = Duration::from_millis(300)).await;
        let (payment, _) = invoiced(&app).await;
        fake.deliver(&fake.pay(&payment, "35.5", "0x1")).await;
        let mut seller = seller(&app).await;
        fake.fail_next(Endpoint::Payout, fault);
        let mut order = payout();
        order["paymentId"] = json!(payment);
        let lost = app.post("/api/payouts", order.clone()).await;
        assert_eq!(lost.status, 201, "{fault:?}: {lost:?}");
        assert_eq!((&lost.body["status"], &lost.body["taskId"]), (&json!("pending"), &Value::Null));
        assert!(lost.body["reason"].is_string());
        assert_eq!(seller.expect("payout-created").await["taskId"], Value::Null);
        // Whoever tries again is told, and SHKeeper is not asked again.
        assert_eq!(app.post("/api/payouts", order).await.problem(409), "conflict");
        assert_eq!(fake.payouts().len(), 1, "{fault:?}");
        if matches!(fault, Fault::Page) {
            continue;
        }
        // What became of it is found by asking.
        let payout = id_of(&lost.body);
        until(&app, &payout, "processing").await;
        fake.finish_payout(&payout, Outcome::Success);
        until(&app, &payout, "completed").await;
        assert_eq!(fake.payouts().len(), 1, "{fault:?}");
    }
}

#[tokio::test]
async fn a_payout_that_was_surely_not_made_may_be_made_again() {
    let fake = Fake::start().await;
    let app = start(&fake, |_| {}).await;
    let (payment, _) = invoiced(&app).await;
    fake.deliver(&fake.pay(&payment, "35.5", "0x1")).await;
    let mut seller = seller(&app).await;
    let mut order = payout();
    order["paymentId"] = json!(payment);
    fake.fail_next(Endpoint::Payout, Fault::Error);
    assert_eq!(app.post("/api/payouts", order.clone()).await.problem(409), "provider_refused");
    seller.expect_nothing().await;
    assert_eq!(app.post("/api/payouts", order).await.ok()["status"], "processing");
    seller.expect("payout-created").await;
}

#[tokio::test]
async fn a_repeated_call_with_a_key_pays_once() {
    let fake = Fake::start().await;
    let app = start(&fake, |_| {}).await;
    let headers = [("x-api-key", API_KEY), ("idempotency-key", "payout-of-november")];
    let order = payout();
    let first = app.post_with("/api/payouts", &headers, &order).await;
    let second = app.post_with("/api/payouts", &headers, &order).await;
    assert_eq!((first.status.as_u16(), second.status.as_u16()), (201, 201));
    assert_eq!(first.body, second.body);
    assert_eq!(fake.payouts().len(), 1);
}

/// A server that fails after it asked has kept no answer; that the request was done is known from the
/// payout itself.
#[tokio::test]
async fn a_repeated_call_with_a_key_pays_once_though_no_answer_was_kept() {
    let fake = Fake::start().await;
    let app = start(&fake, |config| config.database.url = None).await;
    let headers = [("x-api-key", API_KEY), ("idempotency-key", "payout-of-november")];
    let first = app.post_with("/api/payouts", &headers, &payout()).await.ok();
    app.database().execute("DELETE FROM idempotency_keys", []).expect("no answers");
    let second = app.post_with("/api/payouts", &headers, &payout()).await.ok();
    assert_eq!(first["id"], second["id"]);
    assert_eq!(fake.payouts().len(), 1);
    app.database().execute("DELETE FROM idempotency_keys", []).expect("no answers");
    let mut other = payout();
    other["amount"] = json!(35);
    let refused = app.post_with("/api/payouts", &headers, &other).await;
    assert_eq!(refused.problem(422), "invalid_payload");
    assert_eq!(fake.payouts().len(), 1);
}

#[tokio::test]
async fn a_key_is_good_again_after_a_payout_that_was_surely_not_made() {
    let fake = Fake::start().await;
    let app = start(&fake, |config| config.database.url = None).await;
    let headers = [("x-api-key", API_KEY), ("idempotency-key", "payout-of-november")];
    fake.fail_next(Endpoint::Payout, Fault::Error);
    let refused = app.post_with("/api/payouts", &headers, &payout()).await;
    assert_eq!(refused.problem(409), "provider_refused");
    // As after an outage, whose answers are not kept.
    app.database().execute("DELETE FROM idempotency_keys", []).expect("no answers");
    let made = app.post_with("/api/payouts", &headers, &payout()).await.ok();
    assert_eq!(made["status"], "processing");
    assert_eq!(fake.payouts().len(), 2);
}

#[tokio::test]
async fn a_payout_that_was_held_to_have_failed_may_turn_out_to_be_through() {
    let fake = Fake::start().await;
    let app = start(&fake, |config| config.shkeeper.poll_interval = Duration::from_hours(1)).await;
    let (payment, _) = invoiced(&app).await;
    fake.deliver(&fake.pay(&payment, "35.5", "0x1")).await;
    let mut order = payout();
    order["paymentId"] = json!(payment);
    let first = id_of(&app.post("/api/payouts", order.clone()).await.ok());
    let failed = Some(json!({ "status": "failed" }));
    let path = format!("/api/payouts/{first}");
    app.request(reqwest::Method::PATCH, &path, Some(API_KEY), failed).await.ok();
    let second = id_of(&app.post("/api/payouts", order.clone()).await.ok());

    let told = fake.finish_payout(&first, Outcome::Success).expect("a callback");
    assert_eq!(fake.deliver(&told).await, 202);
    assert_eq!(app.get(&path).await.ok()["status"], "completed");
    let other = app.get(&format!("/api/payouts/{second}")).await.ok();
    assert_eq!(other["status"], "processing");
    assert_eq!(app.post("/api/payouts", order).await.problem(409), "conflict");
}

#[tokio::test]
async fn without_a_user_nothing_is_paid_out() {
    let fake = Fake::start().await;
    let app = start(&fake, |config| {
        config.shkeeper.user = None;
        config.shkeeper.password = None;
    })
    .await;
    assert_eq!(app.post("/api/payouts", payout()).await.problem(409), "provider_off");
    assert!(fake.payouts().is_empty());
}
