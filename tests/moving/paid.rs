//! Payments that are taken in: what paid them pays nothing else.

use serde_json::{Value, json};

use super::verb;
use crate::support::{TestApp, app::API_KEY};

fn edited(line: &str) -> Value {
    let mut line: Value = serde_json::from_str(line).expect("a line");
    if line["type"] == "payment" {
        let fields = line.as_object_mut().expect("an object");
        fields.remove("transactions");
        if fields["status"] == "confirmed" {
            fields.insert("txHash".to_owned(), "0xABC1".into());
            fields.insert("coins".to_owned(), json!([{ "crypto": "ETH" }, { "crypto": "BTC" }]));
            let callback = |key: &str| {
                json!({
                    "key": key, "provider": "shkeeper", "headers": "{}", "body": "7b7d",
                    "receivedAt": "2020-05-01T10:00:00Z",
                })
            };
            fields.insert("callbacks".to_owned(), json!([callback("k2"), callback("k1")]));
        }
    }
    line
}

#[tokio::test]
async fn a_transaction_that_a_line_names_pays_no_second_payment_however_it_is_written() {
    let app = TestApp::start().await;
    let url = app.database_url();
    let (ann, sam) = (app.buyer("ann"), app.seller("sam"));
    let mut payments = Vec::new();
    for _ in 0..2 {
        let request = ann.buys_from(&sam).await;
        payments.push(ann.pay(&request).await);
    }
    let confirm = async |app: &TestApp, payment: &str, hash: &str| {
        let path = format!("/api/payments/{payment}/confirm");
        app.request(reqwest::Method::POST, &path, Some(API_KEY), Some(json!({ "txHash": hash })))
            .await
    };
    confirm(&app, &payments[0], "0xabc1").await.ok();
    let mut lines = Vec::new();
    let app = app
        .restart_after(|data| {
            let told = verb::exported(data, url.as_deref());
            lines = told.iter().map(|line| edited(line)).collect();
        })
        .await;
    drop(app);
    let app = TestApp::start().await;
    let url = app.database_url();
    let count = lines.len();
    let app = app
        .restart_after(|data| {
            let said = verb::import(data, url.as_deref(), &lines).ok();
            assert_eq!(
                verb::in_all(&said),
                format!("{count} lines: {count} written, 0 were there already.")
            );
            let again = verb::import(data, url.as_deref(), &lines).ok();
            assert_eq!(
                verb::in_all(&again),
                format!("{count} lines: 0 written, {count} were there already.")
            );
        })
        .await;
    let paid = app.person("ann").get(&format!("/api/payments/{}", payments[0])).await.ok();
    assert_eq!(paid["txHash"], "0xabc1");
    assert_eq!(confirm(&app, &payments[1], "ABC1").await.status, 409);
    confirm(&app, &payments[1], "0xabc2").await.ok();
}
