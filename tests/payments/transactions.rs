//! One transaction under several names.

use serde_json::json;

use super::confirm;
use crate::support::{
    TestApp,
    app::{API_KEY, Answer},
    market::id_of,
};

/// A transaction's name as SHKeeper and watchers of a chain write it.
const HASH: &str = "5c504ed432cb51138bcf09aa5e8a410dd4a1e204ef84bfed1be16dfba1b22060";

/// The ways to write it.
fn names() -> [String; 4] {
    let upper = HASH.to_uppercase();
    [HASH.to_owned(), upper.clone(), format!("0x{HASH}"), format!("0X{upper}")]
}

#[tokio::test]
async fn a_transaction_pays_once_however_it_is_written() {
    let app = TestApp::start().await;
    let (ann, sam) = (app.buyer("ann"), app.seller("sam"));
    for (index, written) in names().iter().enumerate() {
        // A transaction of its own for each way to write it first.
        let written = written.replace("5c504e", &format!("{index}c504e"));
        let written = written.replace("5C504E", &format!("{index}C504E"));
        let (one, other) = (ann.buys_from(&sam).await, ann.buys_from(&sam).await);
        let (one, other) = (ann.pay(&one).await, ann.pay(&other).await);
        confirm(&app, &one, &written).await.ok();
        for again in names() {
            let again = again.replace("5c504e", &format!("{index}c504e"));
            let again = again.replace("5C504E", &format!("{index}C504E"));
            assert_eq!(confirm(&app, &one, &again).await.ok()["status"], "confirmed");
            let twice = confirm(&app, &other, &again).await;
            assert_eq!(twice.problem(409), "conflict", "{again} after {written}");
        }
    }
}

#[tokio::test]
async fn two_payments_by_two_names_of_a_transaction_at_once_are_one() {
    let app = TestApp::start().await;
    let (ann, sam) = (app.buyer("ann"), app.seller("sam"));
    let (one, other) = (ann.buys_from(&sam).await, ann.buys_from(&sam).await);
    let (one, other) = (ann.pay(&one).await, ann.pay(&other).await);
    let marked = format!("0x{HASH}");
    let both = [confirm(&app, &one, HASH), confirm(&app, &other, &marked)];
    let mut statuses: Vec<u16> = Vec::new();
    for answer in futures_util::future::join_all(both).await {
        statuses.push(answer.status.as_u16());
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
}

#[tokio::test]
async fn where_case_counts_two_transactions_are_two() {
    let app = TestApp::start().await;
    let (ann, sam) = (app.buyer("ann"), app.seller("sam"));
    let (one, other) = (ann.buys_from(&sam).await, ann.buys_from(&sam).await);
    let (one, other) = (ann.pay(&one).await, ann.pay(&other).await);
    let solana = "5VERv8NMvzbJMEkV8xnrLkEaWRtSz9CosKDYjCJjBRnb";
    assert_eq!(confirm(&app, &one, solana).await.ok()["txHash"], solana);
    confirm(&app, &other, &solana.replace("5VER", "5vER")).await.ok();
}

#[tokio::test]
async fn a_payout_s_transaction_is_the_same_however_it_is_written() {
    let app = TestApp::start().await;
    let order = json!({ "sellerId": "sam", "amount": 30, "currency": "USDT", "destination": "0x1",
        "provider": "decentralized" });
    let payout = id_of(&app.post("/api/payouts", order).await.ok());
    let path = format!("/api/payouts/{payout}");
    let complete = async |hash: &str| {
        let change = json!({ "status": "completed", "txHash": hash });
        app.request(reqwest::Method::PATCH, &path, Some(API_KEY), Some(change)).await
    };
    let shown = complete(&format!("0x{}", HASH.to_uppercase())).await.ok()["txHash"].clone();
    assert_eq!(shown, format!("0x{HASH}"));
    for again in names() {
        assert_eq!(complete(&again).await.ok()["txHash"], shown, "{again}");
    }
    assert_eq!(complete(&HASH.replace("5c", "5d")).await.problem(409), "conflict");
}

/// A payout of its own to sam.
async fn payout(app: &TestApp) -> String {
    let order = json!({ "sellerId": "sam", "amount": 30, "currency": "USDT", "destination": "0x1",
        "provider": "decentralized" });
    id_of(&app.post("/api/payouts", order).await.ok())
}

async fn change(app: &TestApp, payout: &str, status: &str, hash: &str) -> Answer {
    let change = json!({ "status": status, "txHash": hash });
    let path = format!("/api/payouts/{payout}");
    app.request(reqwest::Method::PATCH, &path, Some(API_KEY), Some(change)).await
}

#[tokio::test]
async fn a_transaction_completes_one_payout_however_it_is_written() {
    let app = TestApp::start().await;
    let (one, other) = (payout(&app).await, payout(&app).await);
    change(&app, &one, "completed", "0xaa11").await.ok();
    for (status, again) in [("completed", "AA11"), ("processing", "aa11"), ("pending", "0XAA11")] {
        let twice = change(&app, &other, status, again).await;
        assert_eq!(twice.problem(409), "conflict", "{status} {again}");
    }
    let known = app.get(&format!("/api/payouts/{other}")).await.ok();
    assert_eq!((&known["status"], &known["txHash"]), (&json!("pending"), &json!(null)));
    change(&app, &other, "completed", "0xaa12").await.ok();
    change(&app, &one, "completed", "AA11").await.ok();
}

#[tokio::test]
async fn two_payouts_by_a_transaction_at_once_are_one() {
    let app = TestApp::start().await;
    let (one, other) = (payout(&app).await, payout(&app).await);
    let both =
        [change(&app, &one, "completed", "0xaa11"), change(&app, &other, "completed", "AA11")];
    let answers = futures_util::future::join_all(both).await;
    let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
}
