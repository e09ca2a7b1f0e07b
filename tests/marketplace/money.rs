//! Money is exact: what goes in comes out with every digit, in answers and in events.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::text;
use crate::support::{Person, TestApp, http_client, market::a_lamp, within};

/// As it is sent, and as it is written.
const AMOUNTS: [(&str, &str); 8] = [
    ("0.1", "0.1"),
    ("\"0.1\"", "0.1"),
    ("\"19.990\"", "19.99"),
    ("\"123456789.123456789012345678\"", "123456789.123456789012345678"),
    ("123456789.123456789012345678", "123456789.123456789012345678"),
    ("900719925474099.3", "900719925474099.3"),
    ("1e2", "100"),
    ("1000000000000000", "1000000000000000"),
];

const NO_AMOUNTS: [&str; 18] = [
    "0",
    "\"0\"",
    "0.000",
    "-1",
    "\"-1\"",
    "0.1234567890123456789",
    "\"99999999999.123456789012345678\"",
    "1000000000000000.1",
    "1e16",
    "1e-19",
    "\"1e2\"",
    "\"ten\"",
    "\"\"",
    "\" 1\"",
    "null",
    "true",
    "{}",
    "[1]",
];

/// A request with a body that keeps its digits; the answer with them.
async fn call(who: &Person, method: Method, path: &str, body: String) -> (StatusCode, String) {
    let request = http_client().request(method, who.url(path)).bearer_auth(&who.token);
    let request = request.header("content-type", "application/json").body(body);
    let answer = within(path, request.send()).await.expect("an answer");
    (answer.status(), answer.text().await.expect("a body"))
}

/// The next such event, as it came over the wire.
async fn heard(user: &mut Person, event: &str) -> String {
    loop {
        let packet = user.next_raw().await;
        if packet.contains(event) {
            return packet;
        }
    }
}

fn has_amount(json: &str, amount: &str) {
    assert!(json.contains(&format!(r#""amount":{amount},"#)), "{amount} is not in {json}");
}

fn id(json: &str) -> String {
    text(&serde_json::from_str::<Value>(json).expect("JSON")["id"])
}

#[tokio::test]
async fn an_amount_comes_back_with_every_digit() {
    let app = TestApp::start().await;
    let (bea, sam) = (app.buyer("bea"), app.seller("sam"));
    let (mut sams, mut beas) = (sam.connect_as_seller().await, bea.connect_as_buyer().await);
    for (sent, written) in AMOUNTS {
        let budget = format!(r#""budget":{{"amount":{sent},"currency":"USD"}}"#);
        let body = format!(r#"{{"title":"A chair","description":"Of oak.",{budget}}}"#);
        let (status, made) = call(&bea, Method::POST, "/api/marketplace/requests", body).await;
        assert_eq!(status, 201, "{sent}: {made}");
        has_amount(&made, written);
        has_amount(&heard(&mut sams, "new-purchase-request").await, written);
        let path = format!("/api/marketplace/requests/{}", id(&made));
        let (_, changed) = call(&bea, Method::PATCH, &path, format!("{{{budget}}}")).await;
        assert_eq!(changed, made, "the same amount changed something");
        let (_, read) = call(&bea, Method::GET, &path, String::new()).await;
        assert_eq!(read, made);

        let body = format!(r#"{{"amount":{sent},"currency":"USD"}}"#);
        let offers = format!("{path}/offers");
        let (status, offer) = call(&sam, Method::POST, &offers, body).await;
        assert_eq!(status, 201, "{sent}: {offer}");
        has_amount(&offer, written);
        has_amount(&heard(&mut beas, "new-offer").await, written);
        let (_, listed) = call(&bea, Method::GET, &offers, String::new()).await;
        assert!(listed.contains(&offer), "{listed}");
    }
}

#[tokio::test]
async fn what_is_no_amount_or_no_price_is_refused() {
    let app = TestApp::start().await;
    let (bea, sam) = (app.buyer("bea"), app.seller("sam"));
    let request = format!("/api/marketplace/requests/{}", bea.request().await);
    let offers = format!("{request}/offers");
    for amount in NO_AMOUNTS {
        let price = format!(r#"{{"amount":{amount},"currency":"USD"}}"#);
        let change = format!(r#"{{"budget":{price}}}"#);
        let make = format!(r#"{{"title":"A chair","description":"Of oak.","budget":{price}}}"#);
        for (who, method, path, body, pointer) in [
            (&bea, Method::POST, "/api/marketplace/requests", make, "/budget/amount"),
            (&bea, Method::PATCH, &request, change, "/budget/amount"),
            (&sam, Method::POST, &offers, price, "/amount"),
        ] {
            let (status, answer) = call(who, method, path, body).await;
            assert_eq!(status, 422, "{amount} at {path}: {answer}");
            let answer: Value = serde_json::from_str(&answer).unwrap();
            assert_eq!(answer["errors"][0]["pointer"], pointer, "{amount} at {path}: {answer}");
        }
    }
    let kept = bea.get(&request).await.ok();
    assert_eq!(kept["budget"], a_lamp()["budget"]);
    assert_eq!(bea.get(&offers).await.ok()["items"], json!([]));
}
