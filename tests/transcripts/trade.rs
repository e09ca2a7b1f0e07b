//! The marketplace: a request, an offer, a payment.

use super::{Options, Person, TestApp, json};

/// Somebody connected in the marketplace dialect, with nothing left to be heard.
async fn trader(person: &Person, join: &str) -> Person {
    let mut person = person.connect_by(Options::websocket().namespace("/marketplace")).await;
    let id = person.id.clone();
    person.join(join, &id).await;
    person.transcript().await;
    person
}

#[tokio::test]
async fn an_offer_is_made_and_taken() {
    let app = TestApp::start().await;
    let mut ann = trader(&app.buyer("ann"), "join-buyer-room").await;
    let mut sam = trader(&app.seller("sam"), "join-seller-room").await;
    let request = ann.request().await;
    sam.expect("new-purchase-request").await;
    let offer = sam.offer(&request, "35.50").await;
    ann.expect("new-offer").await;
    ann.accept(&offer).await;
    sam.expect("seller-offer-update").await;
    insta::assert_snapshot!(ann.transcript().await, @r#"
    > POST /api/marketplace/requests {"title":"A lamp","description":"Green",
        "budget":{"amount":40,"currency":"USD"}}
    < 201 {"id":"[1]","_id":"[1]","buyerId":"ann","title":"A lamp","description":"Green",
        "budget":{"amount":40,"currency":"USD"},"category":null,"metadata":null,"status":"open",
        "acceptedOfferId":null,"sellerId":null,"paymentId":null,"cancelReason":null,
        "delivery":null,"createdAt":"[time]","updatedAt":"[time]"}
    < 42/marketplace,["new-offer",{"requestId":"[1]","offer":{"id":"[2]","_id":"[2]",
        "requestId":"[1]","sellerId":"sam","amount":35.5,"currency":"USD","message":null,
        "deliveryDays":null,"status":"pending","isSelected":false,"createdAt":"[time]",
        "updatedAt":"[time]"},"sellerId":"sam"}]
    > POST /api/marketplace/offers/[2]/accept
    < 200 {"id":"[1]","_id":"[1]","buyerId":"ann","title":"A lamp","description":"Green",
        "budget":{"amount":40,"currency":"USD"},"category":null,"metadata":null,
        "status":"accepted","acceptedOfferId":"[2]","sellerId":"sam","paymentId":null,
        "cancelReason":null,"delivery":null,"createdAt":"[time]","updatedAt":"[time]"}
    "#);
    insta::assert_snapshot!(sam.transcript().await, @r#"
    < 42/marketplace,["new-purchase-request",{"id":"[1]","_id":"[1]","buyerId":"ann",
        "title":"A lamp","description":"Green","budget":{"amount":40,"currency":"USD"},
        "category":null,"metadata":null,"status":"open","acceptedOfferId":null,"sellerId":null,
        "paymentId":null,"cancelReason":null,"delivery":null,"createdAt":"[time]",
        "updatedAt":"[time]"}]
    > POST /api/marketplace/requests/[1]/offers {"amount":"35.50","currency":"USD"}
    < 201 {"id":"[2]","_id":"[2]","requestId":"[1]","sellerId":"sam","amount":35.5,
        "currency":"USD","message":null,"deliveryDays":null,"status":"pending",
        "isSelected":false,"createdAt":"[time]","updatedAt":"[time]"}
    < 42/marketplace,["seller-offer-update",{"sellerId":"sam","requestId":"[1]",
        "eventType":"offer-accepted","data":{"offerId":"[2]","isSelected":true}}]
    "#);
}

#[tokio::test]
async fn a_payment_is_begun_confirmed_and_told_to_both() {
    let app = TestApp::start().await;
    let request = app.buyer("ann").buys_from(&app.seller("sam")).await;
    let mut ann = trader(&app.buyer("ann"), "join-buyer-room").await;
    let mut sam = trader(&app.seller("sam"), "join-seller-room").await;
    let payment = ann.pay(&request).await;
    sam.expect("payment-created").await;
    let path = format!("/api/payments/{payment}/confirm");
    app.post(&path, json!({ "txHash": "0xabc" })).await.ok();
    sam.expect("payment-received").await;
    insta::assert_snapshot!(ann.transcript().await, @r#"
    > POST /api/payments {"requestId":"[1]","provider":"decentralized"}
    < 201 {"id":"[2]","_id":"[2]","requestId":"[1]","buyerId":"ann","sellerId":"sam",
        "provider":"decentralized","amount":35.5,"currency":"USD","status":"pending",
        "escrowState":null,"txHash":null,"receivedAmount":0,"invoice":null,"createdAt":"[time]",
        "updatedAt":"[time]"}
    < 42/marketplace,["payment-created",{"paymentId":"[2]","provider":"decentralized",
        "requestId":"[1]","buyerId":"ann","sellerId":"sam","amount":35.5,"currency":"USD"}]
    < 42/marketplace,["payment-update",{"paymentId":"[2]","status":"confirmed",
        "txHash":"0xabc"}]
    < 42/marketplace,["seller-offer-update",{"sellerId":"sam","requestId":"[1]",
        "eventType":"payment-completed","data":{"offerId":"[3]","isSelected":true,
        "paymentId":"[2]","transactionHash":"0xabc"}}]
    "#);
    insta::assert_snapshot!(sam.transcript().await, @r#"
    < 42/marketplace,["payment-created",{"paymentId":"[1]","provider":"decentralized",
        "requestId":"[2]","buyerId":"ann","sellerId":"sam","amount":35.5,"currency":"USD"}]
    < 42/marketplace,["payment-update",{"paymentId":"[1]","status":"confirmed",
        "txHash":"0xabc"}]
    < 42/marketplace,["seller-offer-update",{"sellerId":"sam","requestId":"[2]",
        "eventType":"payment-completed","data":{"offerId":"[3]","isSelected":true,
        "paymentId":"[1]","transactionHash":"0xabc"}}]
    < 42/marketplace,["payment-received",{"purchaseRequestId":"[2]","amount":35.5,
        "currency":"USD","buyerId":"ann"}]
    "#);
}
