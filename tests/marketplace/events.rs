//! Who hears of requests and offers, what exactly, and that nobody else does.

use serde_json::json;

use super::{PRICE, Sale, accepted, rejected, text, update};
use crate::support::{Options, Person, TestApp, market::a_lamp};

async fn expect_nothing(users: &mut [&mut Person]) {
    for user in users {
        user.expect_nothing().await;
    }
}

#[tokio::test]
async fn a_new_request_is_told_to_all_sellers() {
    let app = TestApp::start().await;
    let bea = app.buyer("bea");
    let mut sam = app.seller("sam").connect_as_seller().await;
    let market = Options::websocket().namespace("/marketplace");
    let mut sue = app.user_with("sue", &["seller"], market).await;
    sue.join("join-seller-room", "sue").await;
    let mut outside = app.seller("sid").connect().await;
    let mut beas = bea.connect_as_buyer().await;
    let mut root = app.admin().connect().await;
    let made = bea.post("/api/marketplace/requests", a_lamp()).await.ok();
    for seller in [&mut sam, &mut sue] {
        assert_eq!(seller.expect("new-purchase-request").await, made);
    }
    expect_nothing(&mut [&mut sam, &mut sue, &mut outside, &mut beas, &mut root]).await;
}

#[tokio::test]
async fn an_offer_is_told_to_the_buyer_and_in_the_requests_room() {
    let app = TestApp::start().await;
    let bea = app.buyer("bea");
    let request = bea.request().await;
    let mut beas = bea.connect_as_buyer().await;
    let mut beas_page = bea.connect_to(&request).await;
    let mut bob = app.buyer("bob").connect_as_buyer().await;
    let mut sams = app.seller("sam").connect_as_seller().await;
    let mut sue = app.seller("sue").connect_to(&request).await;
    let body = json!({ "amount": "0.1", "currency": "USD", "message": "Mine", "deliveryDays": 2 });
    let path = format!("/api/marketplace/requests/{request}/offers");
    let offer = app.seller("sam").post(&path, body).await.ok();
    let told = json!({ "requestId": request, "offer": offer, "sellerId": "sam" });
    assert_eq!(beas.expect("new-offer").await, told);
    for inside in [&mut beas_page, &mut sue] {
        let told = update("offer_created", &request, "open");
        assert_eq!(inside.expect("purchase-request-update").await, told);
    }
    expect_nothing(&mut [&mut beas, &mut beas_page, &mut bob, &mut sams, &mut sue]).await;
}

#[tokio::test]
async fn a_change_is_told_in_the_requests_room_and_no_change_to_nobody() {
    let app = TestApp::start().await;
    let bea = app.buyer("bea");
    let given = json!({
        "title": "A chair", "description": "Of oak.", "category": "seats",
        "budget": { "amount": 25, "currency": "USD" }, "metadata": { "a": 1, "b": 2 },
    });
    let made = bea.post("/api/marketplace/requests", given.clone()).await.ok();
    let request = text(&made["id"]);
    let path = format!("/api/marketplace/requests/{request}");
    let mut sam = app.seller("sam").connect_to(&request).await;
    let mut sue = app.seller("sue").connect_as_seller().await;
    let mut same = given;
    same["budget"]["amount"] = json!("25.00");
    same["metadata"] = json!({ "b": 2, "a": 1 });
    for nothing in [json!({}), same] {
        assert_eq!(bea.patch(&path, nothing).await.ok(), made);
    }
    sam.expect_nothing().await;
    bea.patch(&path, json!({ "title": "A stool" })).await.ok();
    let told = update("details_changed", &request, "open");
    assert_eq!(sam.expect("purchase-request-update").await, told);
    expect_nothing(&mut [&mut sam, &mut sue]).await;
}

#[tokio::test]
async fn an_accepted_offer_is_told_to_its_seller_and_the_losing_ones() {
    let app = TestApp::start().await;
    let bea = app.buyer("bea");
    let [sam, sue, sid, sol] = ["sam", "sue", "sid", "sol"].map(|id| app.seller(id));
    let request = bea.request().await;
    let (sams, sues) = (sam.offer(&request, PRICE).await, sue.offer(&request, PRICE).await);
    // Their offers are decided already.
    bea.reject(&sid.offer(&request, PRICE).await).await;
    sol.withdraw(&sol.offer(&request, PRICE).await).await;
    let mut beas = bea.connect_as_buyer().await;
    let mut page = bea.connect_to(&request).await;
    let (mut sam, mut sue) = (sam.connect_as_seller().await, sue.connect_as_seller().await);
    let (mut sid, mut sol) = (sid.connect_as_seller().await, sol.connect_as_seller().await);
    bea.accept(&sams).await;
    assert_eq!(sam.expect("seller-offer-update").await, accepted("sam", &request, &sams));
    let reason = Some("The buyer accepted another offer.");
    assert_eq!(sue.expect("seller-offer-update").await, rejected("sue", &request, &sues, reason));
    let told = update("offer_accepted", &request, "accepted");
    assert_eq!(page.expect("purchase-request-update").await, told);
    expect_nothing(&mut [&mut beas, &mut page, &mut sam, &mut sue, &mut sid, &mut sol]).await;
}

#[tokio::test]
async fn a_rejected_offer_is_told_to_its_seller_with_the_reason_and_a_withdrawn_one_in_the_room() {
    let app = TestApp::start().await;
    let (bea, sam) = (app.buyer("bea"), app.seller("sam"));
    let request = bea.request().await;
    let mut sams = sam.connect_as_seller().await;
    let mut page = bea.connect_to(&request).await;
    let mut sue = app.seller("sue").connect_as_seller().await;
    for reason in [None, Some("Too much")] {
        let offer = sam.offer(&request, PRICE).await;
        assert_eq!(page.expect("purchase-request-update").await["type"], "offer_created");
        let body = reason.map(|reason| json!({ "reason": reason }));
        let path = format!("/api/marketplace/offers/{offer}/reject");
        bea.call(reqwest::Method::POST, &path, body).await.ok();
        let told = rejected("sam", &request, &offer, reason);
        assert_eq!(sams.expect("seller-offer-update").await, told);
        let told = update("offer_rejected", &request, "open");
        assert_eq!(page.expect("purchase-request-update").await, told);
    }
    let offer = sam.offer(&request, PRICE).await;
    assert_eq!(page.expect("purchase-request-update").await["type"], "offer_created");
    sam.withdraw(&offer).await;
    let told = update("offer_withdrawn", &request, "open");
    assert_eq!(page.expect("purchase-request-update").await, told);
    expect_nothing(&mut [&mut sams, &mut page, &mut sue]).await;
}

#[tokio::test]
async fn a_cancelled_request_is_told_to_its_buyer_and_to_sellers_with_an_offer() {
    for by_admin in [false, true] {
        let app = TestApp::start().await;
        let (bea, root) = (app.buyer("bea"), app.admin());
        let [sam, sue, sid, sol] = ["sam", "sue", "sid", "sol"].map(|id| app.seller(id));
        let request = bea.request().await;
        sam.offer(&request, PRICE).await;
        bea.reject(&sue.offer(&request, PRICE).await).await;
        sid.withdraw(&sid.offer(&request, PRICE).await).await;
        let (mut beas, mut sams) = (bea.connect().await, sam.connect().await);
        let (mut sue, mut sid) = (sue.connect().await, sid.connect().await);
        let mut onlooker = sol.connect_to(&request).await;
        let path = format!("/api/marketplace/requests/{request}/cancel");
        let who = if by_admin { &root } else { &bea };
        let cancelled = who.post(&path, json!({ "reason": "Found one" })).await.ok();
        assert_eq!(cancelled["status"], "cancelled");
        let told = json!({ "requestId": request, "reason": "Found one" });
        for user in [&mut beas, &mut sams] {
            assert_eq!(user.expect("request-cancelled").await, told);
        }
        let told = update("status_changed", &request, "cancelled");
        assert_eq!(onlooker.expect("purchase-request-update").await, told);
        let again = who.post(&path, json!({ "reason": "Again" })).await;
        assert_eq!(again.problem(409), "conflict");
        expect_nothing(&mut [&mut beas, &mut sams, &mut sue, &mut sid, &mut onlooker]).await;
    }
}

#[tokio::test]
async fn an_accepted_request_can_be_cancelled_and_its_seller_hears_of_it() {
    let app = TestApp::start().await;
    let sale = Sale::accepted(&app).await;
    let mut sam = sale.sam.connect_to(&sale.request).await;
    sale.bea.cancel(&sale.request).await;
    let told = json!({ "requestId": sale.request, "reason": "Found one" });
    assert_eq!(sam.expect("request-cancelled").await, told);
    let told = update("status_changed", &sale.request, "cancelled");
    assert_eq!(sam.expect("purchase-request-update").await, told);
    sam.expect_nothing().await;
}

#[tokio::test]
async fn what_is_refused_is_told_to_nobody() {
    let app = TestApp::start().await;
    let (bea, sam) = (app.buyer("bea"), app.seller("sam"));
    let request = bea.request().await;
    let offer = sam.offer(&request, PRICE).await;
    let mut beas = bea.connect_as_buyer().await;
    beas.join("join-request-room", &request).await;
    let mut sams = sam.connect_as_seller().await;
    let path = format!("/api/marketplace/requests/{request}");
    let refused = [
        bea.post("/api/marketplace/requests", json!({ "title": "" })).await,
        bea.patch(&path, json!({ "title": "" })).await,
        bea.post(&format!("{path}/cancel"), json!({})).await,
        sam.post(&format!("{path}/offers"), json!({ "amount": 1, "currency": "USD" })).await,
        sam.post_nothing(&format!("/api/marketplace/offers/{offer}/accept")).await,
        sam.post_nothing(&format!("/api/marketplace/offers/{offer}/reject")).await,
        bea.delete(&format!("/api/marketplace/offers/{offer}")).await,
        bea.post_nothing(&format!("{path}/delivery/code")).await,
        bea.post_nothing(&format!("{path}/complete")).await,
    ];
    for answer in refused {
        assert!(answer.status.is_client_error(), "{answer:?}");
    }
    expect_nothing(&mut [&mut beas, &mut sams]).await;
}
