//! How much of SHKeeper one user may have.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{payment, start};
use crate::support::{
    TestApp,
    market::id_of,
    shkeeper::{Endpoint, Fake, Fault},
};

const COINS: [&str; 4] = ["ETH", "ETH-USDT", "BTC", "LTC"];

fn pay(request: &str, crypto: &str) -> Value {
    json!({ "requestId": request, "provider": "shkeeper", "crypto": crypto })
}

fn asked(fake: &Fake, payment: &str) -> usize {
    fake.invoice(payment).expect("an invoice").asked
}

/// How many payments there are of a request, as a backend sees it.
async fn payments(app: &TestApp, request: &str) -> usize {
    let list = app.get(&format!("/api/payments?requestId={request}")).await.ok();
    list["items"].as_array().expect("items").len()
}

#[tokio::test]
async fn the_coin_of_a_payment_is_changed_so_often_and_no_more() {
    let fake = Fake::start().await;
    let app = start(&fake, |config| config.limits.enabled = false).await;
    let (ann, sam) = (app.buyer("ann"), app.seller("sam"));
    let request = ann.buys_from(&sam).await;
    let mut last = Value::Null;
    let mut refused = 0;
    for index in 0..300 {
        let answer = ann.post("/api/payments", pay(&request, COINS[index % 4])).await;
        if answer.status.is_success() {
            last = answer.body;
        } else {
            assert_eq!(answer.problem(409), "coin_changes");
            refused += 1;
        }
    }
    let id = id_of(&last);
    // The first, and ten changes; some of the others ask for the coin that it has.
    assert_eq!(asked(&fake, &id), 11);
    assert!(refused > 200, "{refused}");
    assert_eq!(payment(&app, &id).await["invoice"], last["invoice"], "it can still be paid");
    assert_eq!(payments(&app, &request).await, 1);
    // Nor by way of a backend, or after a restart.
    let app = app.restart().await;
    assert_eq!(app.post("/api/payments", pay(&request, "ETH")).await.problem(409), "coin_changes");
    assert_eq!(asked(&fake, &id), 11);
}

#[tokio::test]
async fn a_buyer_has_so_many_invoices_a_minute_over_all_their_requests() {
    let fake = Fake::start().await;
    let app = start(&fake, |config| config.limits.invoices.burst = 3).await;
    let (ann, bob, sam) = (app.buyer("ann"), app.buyer("bob"), app.seller("sam"));
    let mut requests = Vec::new();
    for _ in 0..5 {
        requests.push(ann.buys_from(&sam).await);
    }
    for (index, request) in requests.iter().enumerate() {
        let answer = ann.post("/api/payments", pay(request, "ETH")).await;
        if index < 3 {
            assert_eq!(answer.status, 201);
            continue;
        }
        assert_eq!(answer.problem(429), "rate_limited");
        let wait: u64 = answer.headers["retry-after"].to_str().expect("text").parse().expect("s");
        assert!((1..=60).contains(&wait), "{wait}");
        // A backend that asks for her asks in her name, and nothing is begun that is not asked for.
        assert_eq!(
            app.post("/api/payments", pay(request, "ETH")).await.problem(429),
            "rate_limited"
        );
        assert_eq!(payments(&app, request).await, 0);
    }
    assert_eq!(fake.invoices(), 3);
    // What needs no call is answered, and another buyer has a share of their own.
    assert_eq!(ann.post("/api/payments", pay(&requests[0], "ETH")).await.status, 200);
    let other = bob.buys_from(&sam).await;
    assert_eq!(bob.post("/api/payments", pay(&other, "ETH")).await.status, 201);
}

#[tokio::test]
async fn fifty_calls_at_once_for_a_payment_are_one_for_the_provider() {
    let fake = Fake::start().await;
    let app = start(&fake, |_| {}).await;
    let (ann, sam) = (app.buyer("ann"), app.seller("sam"));
    let request = ann.buys_from(&sam).await;
    let calls = (0..50).map(|_| ann.post("/api/payments", pay(&request, "ETH")));
    let answers = join_all(calls).await;
    let statuses = |wanted| answers.iter().filter(|answer| answer.status == wanted).count();
    assert_eq!((statuses(201), statuses(200)), (1, 49));
    let id = id_of(&answers[0].body);
    assert!(answers.iter().all(|answer| answer.body["invoice"]["crypto"] == "ETH"));
    assert_eq!((fake.invoices(), asked(&fake, &id)), (1, 1));
}

#[tokio::test]
async fn fifty_coins_at_once_are_asked_for_one_after_the_other_and_not_all() {
    let fake = Fake::start().await;
    let app = start(&fake, |_| {}).await;
    let (ann, sam) = (app.buyer("ann"), app.seller("sam"));
    let request = ann.buys_from(&sam).await;
    let id = id_of(&ann.post("/api/payments", pay(&request, "ETH")).await.ok());
    let calls = (1..51).map(|index| ann.post("/api/payments", pay(&request, COINS[index % 4])));
    for answer in join_all(calls).await {
        assert!([200, 409, 429].contains(&answer.status.as_u16()), "{answer:?}");
    }
    assert!(asked(&fake, &id) <= 11, "{}", asked(&fake, &id));
    let shown = payment(&app, &id).await;
    assert_eq!(shown["invoice"]["crypto"], fake.invoice(&id).expect("an invoice").crypto);
}

#[tokio::test]
async fn a_provider_that_hangs_holds_up_a_buyer_and_nobody_else() {
    let fake = Fake::start().await;
    let app = start(&fake, |config| config.shkeeper.timeout = Duration::from_secs(2)).await;
    let (ann, bob, sam) = (app.buyer("ann"), app.buyer("bob"), app.seller("sam"));
    let (one, other) = (ann.buys_from(&sam).await, bob.buys_from(&sam).await);
    fake.fail_next(Endpoint::PaymentRequest, Fault::Hang { done: false });
    let hangs = ann.post("/api/payments", pay(&one, "ETH"));
    let goes_on = async {
        fake.until_hanging().await;
        bob.post("/api/payments", pay(&other, "ETH")).await
    };
    let (hung, went_on) = tokio::join!(hangs, goes_on);
    assert_eq!(hung.problem(503), "unavailable");
    assert_eq!(went_on.status, 201);
}

#[tokio::test]
async fn what_a_stranger_asks_takes_nothing_of_the_buyer_s_share() {
    let fake = Fake::start().await;
    let app = start(&fake, |config| config.limits.invoices.burst = 1).await;
    let (ann, bob, sam) = (app.buyer("ann"), app.buyer("bob"), app.seller("sam"));
    let request = ann.buys_from(&sam).await;
    for who in [&bob, &sam] {
        assert_eq!(who.post("/api/payments", pay(&request, "ETH")).await.problem(404), "not_found");
    }
    let cheaper = json!({ "requestId": request, "provider": "shkeeper", "amount": 1 });
    assert_eq!(ann.post("/api/payments", cheaper).await.problem(409), "conflict");
    assert_eq!(ann.post("/api/payments", pay(&request, "ETH")).await.status, 201);
}

#[tokio::test]
async fn a_caller_begins_so_many_payouts_a_minute() {
    let fake = Fake::start().await;
    let app = start(&fake, |config| config.limits.payouts.burst = 3).await;
    let order = json!({ "sellerId": "sam", "amount": "1", "currency": "ETH-USDT",
        "destination": "0x6f2F", "provider": "shkeeper" });
    let answers = join_all((0..50).map(|_| app.post("/api/payouts", order.clone()))).await;
    let statuses = |wanted| answers.iter().filter(|answer| answer.status == wanted).count();
    assert_eq!((statuses(201), statuses(429)), (3, 47));
    assert!(
        answers
            .iter()
            .all(|answer| { answer.status == 201 || answer.headers.contains_key("retry-after") })
    );
    assert_eq!(fake.payouts().len(), 3);
    // Another has a share of their own, and what needs no provider is counted all the same.
    let post = async |order: &Value| app.admin().post("/api/payouts", order.clone()).await;
    assert_eq!(post(&order).await.status, 201);
    let mut by_hand = order.clone();
    by_hand["provider"] = json!("decentralized");
    assert_eq!(app.post("/api/payouts", by_hand.clone()).await.problem(429), "rate_limited");
}

#[tokio::test]
async fn where_limits_are_off_there_is_no_rate() {
    let fake = Fake::start().await;
    let app = start(&fake, |config| {
        config.limits.enabled = false;
        config.limits.payouts.burst = 1;
    })
    .await;
    let order = json!({ "sellerId": "sam", "amount": "1", "currency": "ETH-USDT",
        "destination": "0x6f2F", "provider": "shkeeper" });
    for _ in 0..3 {
        assert_eq!(app.post("/api/payouts", order.clone()).await.status, 201);
    }
}

#[tokio::test]
async fn payouts_under_way_are_asked_for_in_turns() {
    let fake = Fake::start().await;
    let app = start(&fake, |config| config.shkeeper.poll_batch = 1).await;
    let order = json!({ "sellerId": "sam", "amount": "1", "currency": "ETH-USDT",
        "destination": "0x6f2F", "provider": "shkeeper" });
    let mut payouts = Vec::new();
    for _ in 0..3 {
        payouts.push(id_of(&app.post("/api/payouts", order.clone()).await.ok()));
    }
    for payout in payouts.iter().rev() {
        fake.finish_payout(payout, crate::support::shkeeper::Outcome::Fail);
        let path = format!("/api/payouts/{payout}");
        let failed = |answer: &crate::support::app::Answer| answer.body["status"] == "failed";
        app.until(&path, crate::support::DEADLINE, "a payout that failed", failed).await;
    }
}
