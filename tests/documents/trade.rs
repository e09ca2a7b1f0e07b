//! Chapters about people who trade: the marketplace, payments and payouts.

use serde_json::{Value, json};

use super::{
    chapter::{As, Chapter},
    description::text,
};
use crate::support::shkeeper::{Delivery, Endpoint, Fake, Fault, Outcome, PUBLIC_URL};

const SERVICE: As<'_> = As::Service;

fn lamp() -> Value {
    json!({
        "title": "A green lamp",
        "description": "For a desk, with a switch at the foot.",
        "budget": { "amount": "40.00", "currency": "USD" },
        "category": "furniture",
    })
}

fn offer() -> Value {
    json!({ "amount": "35.50", "currency": "USD", "message": "As good as new.", "deliveryDays": 3 })
}

/// A request, made by somebody.
async fn request(story: &mut Chapter, buyer: As<'_>) -> String {
    text(&story.does(buyer, "create_request", &[], lamp()).await["id"])
}

/// An offer on it.
async fn offered(story: &mut Chapter, seller: As<'_>, request: &str) -> String {
    text(&story.does(seller, "create_offer", &[request], offer()).await["id"])
}

/// A request with an accepted offer.
async fn accepted(story: &mut Chapter, buyer: As<'_>, seller: As<'_>) -> String {
    let request = request(story, buyer).await;
    let offer = offered(story, seller, &request).await;
    story.does(buyer, "accept_offer", &[&offer], None).await;
    request
}

/// A payment for a request, with one's own wallet.
fn payment(request: &str) -> Value {
    json!({ "requestId": request, "provider": "decentralized" })
}

/// Pays for a request.
async fn pay(story: &mut Chapter, buyer: As<'_>, request: &str, tx: &str) -> String {
    let payment = text(&story.does(buyer, "create_payment", &[], payment(request)).await["id"]);
    story.does(SERVICE, "confirm_payment", &[&payment], json!({ "txHash": tx })).await;
    payment
}

#[tokio::test]
async fn the_examples_of_the_marketplace_are_what_the_server_says() {
    let mut story = Chapter::begin("marketplace", |_| {}).await;
    let bea = story.token("bea", ["Bea", "Hart"], &["buyer"]);
    let sam = story.token("sam", ["Sam", "Cole"], &["seller"]);
    let tom = story.token("tom", ["Tom", "Reed"], &["seller"]);
    let (bea, sam, tom) = (As::User(&bea), As::User(&sam), As::User(&tom));

    let id = request(&mut story, bea).await;
    let change = json!({ "budget": { "amount": "45.00", "currency": "USD" } });
    story.does(bea, "change_request", &[&id], change.clone()).await;
    let first = offered(&mut story, sam, &id).await;
    story.does(sam, "withdraw_offer", &[&first], None).await;
    let reason = json!({ "reason": "It is too late then." });
    for (who, operation, body) in [
        (bea, "accept_offer", None),
        (bea, "reject_offer", Some(reason.clone())),
        (sam, "withdraw_offer", None),
    ] {
        story.is_refused(who, operation, &[&first], body, "conflict").await;
    }
    let second = offered(&mut story, tom, &id).await;
    story.does(bea, "reject_offer", &[&second], reason).await;
    let third = offered(&mut story, sam, &id).await;
    story.does(bea, "list_offers", &[&id], None).await;
    story.does(sam, "list_requests", &[], None).await;
    story.does(bea, "accept_offer", &[&third], None).await;
    let checkout = json!({ "requestIds": [id] });
    let checkout = text(&story.does(bea, "create_checkout", &[], checkout).await["id"]);
    let id = id.as_str();
    story.is_refused(sam, "make_code", &[id], None, "conflict").await;
    let shipped = json!({ "status": "shipped", "carrier": "DHL", "trackingNumber": "00340434161" });
    story.is_refused(sam, "change_delivery", &[id], shipped.clone(), "conflict").await;
    let paid = pay(&mut story, bea, id, "0x5d1c3f").await;
    let confirmed = json!({ "status": "confirmed", "paymentId": paid });
    story.does(SERVICE, "pay_checkout", &[&checkout], confirmed.clone()).await;
    story.does(bea, "get_checkout", &[&checkout], None).await;

    let code = story.does(sam, "make_code", &[id], None).await;
    let code = json!({ "code": code["deliveryCode"] });
    story.is_refused(bea, "confirm_delivery", &[id], code.clone(), "conflict").await;
    story.is_refused(bea, "confirm_by_buyer", &[id], None, "conflict").await;
    story.does(sam, "change_delivery", &[id], shipped.clone()).await;
    story.is_refused(bea, "complete_request", &[id], None, "conflict").await;
    let wrong = json!({ "code": "AAAA" });
    for _ in 0..5 {
        let answer = story.ask(bea, "confirm_delivery", &[id], Some(&wrong)).await;
        assert_eq!(answer.problem(422), "invalid_payload");
    }
    story.is_refused(bea, "confirm_delivery", &[id], code, "delivery_code_used_up").await;
    let code = story.does(sam, "make_code", &[id], None).await;
    let code = json!({ "code": code["deliveryCode"] });
    story.does(bea, "confirm_delivery", &[id], code.clone()).await;
    story.does(bea, "confirm_by_buyer", &[id], None).await;
    story.does(bea, "complete_request", &[id], None).await;
    story.does(bea, "get_request", &[id], None).await;
    story.does(SERVICE, "get_timeline", &[id], None).await;
    story.is_refused(SERVICE, "get_timeline", &["r-1"], None, "not_found").await;

    story.is_refused(bea, "change_request", &[id], change.clone(), "conflict").await;
    for (operation, path, body) in [
        ("create_request", vec![], lamp()),
        ("create_offer", vec![id], offer()),
        ("create_checkout", vec![], json!({ "requestIds": [id] })),
    ] {
        story.is_refused(As::Service, operation, &path, body, "person_missing").await;
    }
    story.is_refused(sam, "create_offer", &[id], offer(), "conflict").await;
    let failed = json!({ "status": "failed", "reason": "The wallet is empty." });
    story.is_refused(SERVICE, "pay_checkout", &[&checkout], failed.clone(), "conflict").await;
    let called_off = request(&mut story, bea).await;
    let reason = json!({ "reason": "I have found one." });
    story.does(bea, "cancel_request", &[&called_off], reason.clone()).await;
    story.is_refused(bea, "cancel_request", &[&called_off], reason.clone(), "conflict").await;

    for operation in
        ["get_request", "complete_request", "list_offers", "make_code", "confirm_by_buyer"]
    {
        story.is_refused(bea, operation, &["r-1"], None, "not_found").await;
    }
    for (operation, body) in [
        ("change_request", change),
        ("cancel_request", reason),
        ("change_delivery", shipped),
        ("confirm_delivery", code),
    ] {
        story.is_refused(bea, operation, &["r-1"], body, "not_found").await;
    }
    story.is_refused(sam, "create_offer", &["r-1"], offer(), "not_found").await;
    for operation in ["accept_offer", "reject_offer", "withdraw_offer"] {
        story.is_refused(bea, operation, &["o-1"], None, "not_found").await;
    }
    story.is_refused(bea, "get_checkout", &["c-1"], None, "not_found").await;
    story.is_refused(SERVICE, "pay_checkout", &["c-1"], failed, "not_found").await;
    story.end("Marketplace");
}

/// A payment of a request that was called off, and a payout that failed.
async fn unsettled(story: &mut Chapter, bea: As<'_>, sam: As<'_>) {
    let id = accepted(story, bea, sam).await;
    let late = text(&story.does(bea, "create_payment", &[], payment(&id)).await["id"]);
    story.does(bea, "cancel_request", &[&id], json!({ "reason": "Found one" })).await;
    story.does(SERVICE, "confirm_payment", &[&late], json!({ "txHash": "0x8e02b1" })).await;
    story.does(SERVICE, "list_unsettled_payments", &[], None).await;
    story.does(SERVICE, "list_unsettled_payouts", &[], None).await;
}

#[tokio::test]
async fn the_examples_of_payments_are_what_the_server_says() {
    let mut story = Chapter::begin("payments", |_| {}).await;
    let fake = Fake::with_clock(story.clock.clone()).await;
    let bea = story.token("bea", ["Bea", "Hart"], &["buyer"]);
    let sam = story.token("sam", ["Sam", "Cole"], &["seller"]);
    let (bea, sam) = (As::User(&bea), As::User(&sam));

    let open = request(&mut story, bea).await;
    story.is_refused(bea, "create_payment", &[], payment(&open), "conflict").await;
    story.is_refused(bea, "create_payment", &[], payment("r-1"), "not_found").await;
    let id = accepted(&mut story, bea, sam).await;
    let begun = text(&story.does(bea, "create_payment", &[], payment(&id)).await["id"]);
    story.does(bea, "create_payment", &[], payment(&id)).await;
    let held = json!({ "escrowState": "held" });
    story.is_refused(SERVICE, "set_escrow", &[&begun], held.clone(), "conflict").await;
    let transaction = json!({ "txHash": "0x5d1c3f" });
    story.does(SERVICE, "confirm_payment", &[&begun], transaction.clone()).await;
    let other = json!({ "txHash": "0x77aa02" });
    story.is_refused(SERVICE, "confirm_payment", &[&begun], other, "conflict").await;
    story.does(SERVICE, "set_escrow", &[&begun], held.clone()).await;
    story.does(bea, "get_payment", &[&begun], None).await;
    story.does(bea, "list_payments", &[], None).await;
    story.is_refused(SERVICE, "confirm_payment", &["p-1"], transaction, "not_found").await;
    story.is_refused(SERVICE, "set_escrow", &["p-1"], held, "not_found").await;
    story.is_refused(bea, "get_payment", &["p-1"], None, "not_found").await;

    let payout = json!({
        "sellerId": "sam",
        "paymentId": begun,
        "amount": "35.50",
        "currency": "USD",
        "destination": "0x52908400098527886E0F7030069857D2E4169EE7",
        "provider": "decentralized",
    });
    let paid_out = text(&story.does(SERVICE, "create_payout", &[], payout.clone()).await["id"]);
    story.is_refused(SERVICE, "create_payout", &[], payout.clone(), "conflict").await;
    let completed = json!({ "status": "completed", "txHash": "0x91be44" });
    story.does(SERVICE, "change_payout", &[&paid_out], completed.clone()).await;
    let failed = json!({ "status": "failed" });
    story.is_refused(SERVICE, "change_payout", &[&paid_out], failed, "conflict").await;
    story.does(SERVICE, "get_payout", &[&paid_out], None).await;
    story.is_refused(SERVICE, "get_payout", &["p-1"], None, "not_found").await;
    story.is_refused(SERVICE, "change_payout", &["p-1"], completed, "not_found").await;

    let coin = |crypto: &str| json!({ "requestId": id, "provider": "shkeeper", "crypto": crypto });
    story.is_refused(bea, "create_payment", &[], coin("ETH"), "provider_off").await;
    let order = json!({
        "sellerId": "sam",
        "amount": "35.50",
        "currency": "ETH-USDT",
        "destination": "0x52908400098527886E0F7030069857D2E4169EE7",
        "provider": "shkeeper",
    });
    story.is_refused(SERVICE, "create_payout", &[], order.clone(), "provider_off").await;

    story
        .elsewhere(|config| {
            fake.configure(config);
            config.limits.enabled = false;
        })
        .await;
    fake.resolve(PUBLIC_URL, story.app.address());
    by_shkeeper(&mut story, &fake, [bea, sam], &order).await;
    unsettled(&mut story, bea, sam).await;
    story.end("Payments");
}

/// What there is to see with SHKeeper as the provider.
async fn by_shkeeper(story: &mut Chapter, fake: &Fake, [bea, sam]: [As<'_>; 2], order: &Value) {
    let id = accepted(story, bea, sam).await;
    let coin = |crypto: &str| json!({ "requestId": id, "provider": "shkeeper", "crypto": crypto });
    fake.fail_next(Endpoint::PaymentRequest, Fault::Error);
    story.is_refused(bea, "create_payment", &[], coin("ETH"), "provider_refused").await;
    fake.fail_next(Endpoint::Payout, Fault::Error);
    story.is_refused(SERVICE, "create_payout", &[], order.clone(), "provider_refused").await;
    let payment = text(&story.does(bea, "create_payment", &[], coin("ETH")).await["id"]);
    for change in 0..10 {
        let other = coin(if change % 2 == 0 { "BTC" } else { "ETH" });
        story.does(bea, "create_payment", &[], other).await;
    }
    story.is_refused(bea, "create_payment", &[], coin("BTC"), "coin_changes").await;

    let callback = fake.pay(&payment, "35.5", "0x1");
    let token = token_of(&fake.invoice(&payment).expect("an invoice").callback_url);
    refused_callbacks(story, "invoice", &token).await;
    tells_otherwise(story, "invoice", &callback, "fiat", "EUR").await;
    assert_eq!(fake.deliver(&callback).await, 202);
    let paid_out = text(&story.does(SERVICE, "create_payout", &[], order.clone()).await["id"]);
    let call = fake.payouts().pop().expect("a payout");
    assert_eq!(call.external_id, paid_out);
    refused_callbacks(story, "payout", &token_of(call.callback_url.trim_end_matches("/payouts")))
        .await;
    story.saw_taken("invoice", 202);
    let callback = fake.finish_payout(&paid_out, Outcome::Success).expect("a callback");
    tells_otherwise(story, "payout", &callback, "crypto", "BTC").await;
    assert_eq!(fake.deliver(&callback).await, 202);
    story.saw_taken("payout", 202);
}

fn token_of(url: &str) -> String {
    url.rsplit('/').next().expect("a token").to_owned()
}

/// What a path of callbacks answers to who is not the provider.
async fn refused_callbacks(story: &mut Chapter, operation: &str, token: &str) {
    let body = json!({ "external_id": "x" });
    story.is_refused(As::Nobody, operation, &["a-guess"], body.clone(), "not_found").await;
    story.is_refused(As::Nobody, operation, &[token], body, "invalid_signature").await;
    let large = json!({ "external_id": "x".repeat(1 << 18) });
    story.is_refused(As::Nobody, operation, &[token], large, "too_large").await;
}

/// What is answered to a callback that is signed and tells of something else.
async fn tells_otherwise(
    story: &mut Chapter,
    operation: &str,
    callback: &Delivery,
    field: &str,
    value: &str,
) {
    let mut body = callback.json();
    body[field] = json!(value);
    let bytes = body.to_string().into_bytes();
    let told = Delivery::signed(callback.url.clone(), bytes, story.clock.now()).with_key();
    let headers = told.headers.iter().filter(|(name, _)| *name != "content-type");
    let headers: Vec<_> =
        headers.map(|(name, value)| (name.as_str(), value.to_str().expect("text"))).collect();
    let path = told.url.trim_start_matches(PUBLIC_URL);
    let answer = story.app.post_with(path, &headers, &body).await;
    story.saw_refused(operation, &answer, "invalid_payload");
}
