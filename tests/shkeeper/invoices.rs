//! Where the buyer is told to pay to, and what is known after SHKeeper did not tell.

use std::time::Duration;

use serde_json::{Value, json};

use super::{invoiced, payment, seller, start};
use crate::support::{
    market::id_of,
    shkeeper::{Endpoint, Fake, Fault, PUBLIC_URL},
};

#[tokio::test]
async fn the_buyer_is_told_where_to_pay_to() {
    let fake = Fake::start().await;
    let app = start(&fake, |_| {}).await;
    let mut seller = seller(&app).await;
    let (payment_id, request) = invoiced(&app).await;
    let asked = fake.invoice(&payment_id).expect("an invoice");
    assert!(asked.callback_url.starts_with(&format!("{PUBLIC_URL}/api/webhooks/shkeeper/")));
    let shown = payment(&app, &payment_id).await;
    assert_eq!(shown["status"], "pending");
    assert_eq!(shown["invoice"]["crypto"], "ETH-USDT");
    assert!(shown["invoice"]["wallet"].as_str().is_some_and(|wallet| !wallet.is_empty()));
    // The path of the callback is the provider's secret.
    let token = asked.callback_url.rsplit('/').next().expect("a token");
    assert!(token.len() >= 32 && !shown.to_string().contains(token));
    assert_eq!(seller.expect("payment-created").await["requestId"], request.as_str());
    assert_eq!(seller.queued("payment-created"), Vec::<Value>::new());

    // The same again is the same invoice.
    let pay = json!({ "requestId": request, "provider": "shkeeper" });
    let again = app.buyer("ann").post("/api/payments", pay).await;
    assert_eq!((again.status.as_u16(), &again.body["id"]), (200, &shown["id"]));
    assert_eq!(again.body["invoice"], shown["invoice"]);
    assert_eq!(fake.invoices(), 1);
    // Another coin is another address of the same payment.
    let btc = json!({ "requestId": request, "provider": "shkeeper", "crypto": "BTC" });
    let changed = app.buyer("ann").post("/api/payments", btc).await;
    assert_eq!((changed.status.as_u16(), &changed.body["id"]), (200, &shown["id"]));
    assert_eq!(changed.body["invoice"]["crypto"], "BTC");
    assert_eq!(fake.invoices(), 1);
    assert_eq!(seller.queued("payment-created"), Vec::<Value>::new());
}

#[tokio::test]
async fn an_invoice_that_is_refused_ends_its_payment_and_nobody_hears_of_it() {
    let fake = Fake::start().await;
    let app = start(&fake, |_| {}).await;
    let (ann, sam) = (app.buyer("ann"), app.seller("sam"));
    let request = ann.buys_from(&sam).await;
    let mut seller = seller(&app).await;
    fake.fail_next(Endpoint::PaymentRequest, Fault::Error);
    let pay = json!({ "requestId": request, "provider": "shkeeper" });
    let refused = ann.post("/api/payments", pay.clone()).await;
    assert_eq!(refused.problem(409), "provider_refused");
    let failed = app.get(&format!("/api/payments?requestId={request}")).await.ok();
    assert_eq!(failed["items"][0]["status"], "failed");
    seller.expect_nothing().await;

    let second = ann.post("/api/payments", pay).await;
    assert_eq!(second.status, 201);
    assert_ne!(second.body["id"], failed["items"][0]["id"]);
    seller.expect("payment-created").await;
    seller.expect_nothing().await;
}

#[tokio::test]
async fn a_payment_whose_invoice_was_lost_goes_on_when_it_is_asked_for_again() {
    for fault in [
        Fault::Answer500 { done: false },
        Fault::Drop { done: true },
        Fault::Hang { done: true },
        Fault::Page,
        Fault::Flood,
    ] {
        let fake = Fake::start().await;
        let app = start(&fake, |config| config.shkeeper.timeout = Duration::from_millis(300)).await;
        let (ann, sam) = (app.buyer("ann"), app.seller("sam"));
        let request = ann.buys_from(&sam).await;
        fake.fail_next(Endpoint::PaymentRequest, fault);
        let pay = json!({ "requestId": request, "provider": "shkeeper" });
        let lost = ann.post("/api/payments", pay.clone()).await;
        assert_eq!(lost.problem(503), "unavailable", "{fault:?}");
        assert!(lost.headers.contains_key("retry-after"));
        let known = app.get(&format!("/api/payments?requestId={request}")).await.ok();
        assert_eq!(known["items"][0]["status"], "pending");

        let mut seller = seller(&app).await;
        let again = id_of(&ann.post("/api/payments", pay).await.ok());
        assert_eq!(known["items"][0]["id"], again.as_str(), "the same payment");
        assert_eq!(fake.invoices(), 1, "and the same invoice");
        seller.expect("payment-created").await;
        seller.expect_nothing().await;
    }
}

#[tokio::test]
async fn a_provider_that_is_not_there_is_said_so() {
    let fake = Fake::start().await;
    let app = start(&fake, |config| {
        config.shkeeper.url = Some("http://127.0.0.1:1".to_owned());
    })
    .await;
    let (ann, sam) = (app.buyer("ann"), app.seller("sam"));
    let request = ann.buys_from(&sam).await;
    let pay = json!({ "requestId": request, "provider": "shkeeper" });
    assert_eq!(ann.post("/api/payments", pay).await.problem(503), "unavailable");
}

#[tokio::test]
async fn the_answer_to_a_key_is_kept_with_the_invoice_or_neither_is() {
    let fake = Fake::start().await;
    let app = start(&fake, |_| {}).await;
    let (ann, sam) = (app.buyer("ann"), app.seller("sam"));
    let mut seller = seller(&app).await;
    let post = async |request: &str, key: &str| {
        let pay = json!({ "requestId": request, "provider": "shkeeper" });
        ann.post_keyed("/api/payments", key, &pay).await
    };
    let first = ann.buys_from(&sam).await;
    assert_eq!(post(&first, "first").await.status, 201);
    seller.expect("payment-created").await;
    // From here on no other answer of this kind can be kept.
    app.execute("CREATE UNIQUE INDEX one_answer ON idempotency_keys (status)").await;
    let second = ann.buys_from(&sam).await;
    assert_eq!(post(&second, "second").await.status, 500);
    seller.expect_nothing().await;
    app.execute("DROP INDEX one_answer").await;
    // It was begun, and is taken up again: the same invoice, told of once.
    let answer = post(&second, "second").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(seller.expect("payment-created").await["requestId"], second.as_str());
    let again = post(&second, "second").await;
    assert_eq!((again.status, &again.body), (answer.status, &answer.body));
    seller.expect_nothing().await;
}
