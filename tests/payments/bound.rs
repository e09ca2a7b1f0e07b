//! A payout of a payment goes to its seller, in its currency, and is no more than what came.

use serde_json::{Value, json};

use super::{confirm, escrow};
use crate::support::{TestApp, market::id_of};

fn payout(payment: &str, amount: &str, currency: &str) -> Value {
    json!({ "sellerId": "sam", "paymentId": payment, "amount": amount, "currency": currency,
        "destination": "0x1", "provider": "decentralized" })
}

/// A payment of ann's to sam for 35.50 USD that is confirmed.
async fn confirmed(app: &TestApp, tx_hash: &str) -> String {
    let (ann, sam) = (app.buyer("ann"), app.seller("sam"));
    let payment = ann.pay(&ann.buys_from(&sam).await).await;
    confirm(app, &payment, tx_hash).await.ok();
    payment
}

/// Asserts that an order is refused for one of its fields, and that nothing is kept of it.
async fn assert_refused(app: &TestApp, order: Value, pointer: &str) {
    let refused = app.post("/api/payouts", order.clone()).await;
    assert_eq!(refused.problem(422), "invalid_payload", "{order}");
    assert_eq!(refused.body["errors"][0]["pointer"], pointer, "{order}");
}

#[tokio::test]
async fn a_payout_is_no_more_than_its_payment() {
    let app = TestApp::start().await;
    let payment = confirmed(&app, "0xabc").await;
    for over in ["35.500000000000000001", "36", "1000000000000000"] {
        for currency in ["USD", "USDT", "ETH-USDT", "TRX-USDC"] {
            assert_refused(&app, payout(&payment, over, currency), "/amount").await;
        }
    }
    // All of it is as good as a part, and what was refused is not in the way.
    app.post("/api/payouts", payout(&payment, "35.5", "ETH-USDT")).await.ok();
}

#[tokio::test]
async fn a_payout_is_in_its_payment_s_currency_or_a_coin_of_the_same_worth() {
    let app = TestApp::start().await;
    let payment = confirmed(&app, "0xabc").await;
    for other in [
        "EUR",
        "BTC",
        "ETH",
        "USDX",
        "USDT-ETH",
        "EURC",
        "FAKE-USD",
        "ETH-USD",
        "EVIL-USDT",
        "EVIL-ETH-USDT",
        "ETH-EVIL-USDT",
        "-USDT",
        "ETH--USDT",
        "ETH-EURC",
    ] {
        assert_refused(&app, payout(&payment, "1", other), "/currency").await;
    }
    app.post("/api/payouts", payout(&payment, "30", "USD")).await.ok();
}

#[tokio::test]
async fn which_coins_are_of_the_same_worth_is_configured() {
    let app = TestApp::with(|config| config.payments.pegged = vec!["BAM=USD".to_owned()]).await;
    let payment = confirmed(&app, "0xabc").await;
    assert_refused(&app, payout(&payment, "30", "USDT"), "/currency").await;
    app.post("/api/payouts", payout(&payment, "30", "BAM")).await.ok();
}

#[tokio::test]
async fn a_payout_of_a_payment_is_for_its_seller_while_the_money_is_here() {
    let app = TestApp::start().await;
    let (ann, sam) = (app.buyer("ann"), app.seller("sam"));
    let payment = ann.pay(&ann.buys_from(&sam).await).await;
    let order = payout(&payment, "30", "USDT");
    assert_eq!(app.post("/api/payouts", order.clone()).await.problem(409), "conflict");
    confirm(&app, &payment, "0xabc").await.ok();
    for other in ["eve", "ann", "SAM"] {
        let mut order = order.clone();
        order["sellerId"] = json!(other);
        assert_refused(&app, order, "/sellerId").await;
    }
    let mut nothing = order.clone();
    nothing["paymentId"] = json!("nothing");
    assert_refused(&app, nothing, "/paymentId").await;
    escrow(&app, &payment, "refunded").await.ok();
    assert_eq!(app.post("/api/payouts", order).await.problem(409), "conflict");
}

#[tokio::test]
async fn a_payout_that_was_refused_does_not_spend_its_key() {
    let app = TestApp::start().await;
    let payment = confirmed(&app, "0xabc").await;
    let key = ("idempotency-key", "one-payout");
    let headers = [("x-api-key", crate::support::app::API_KEY), key];
    let over = payout(&payment, "36", "USDT");
    assert_eq!(
        app.post_with("/api/payouts", &headers, &over).await.problem(422),
        "invalid_payload"
    );
    let headers = [headers[0], ("idempotency-key", "another")];
    let made = app.post_with("/api/payouts", &headers, &payout(&payment, "30", "USDT")).await;
    assert_eq!(id_of(&made.ok()).len(), 36);
}
