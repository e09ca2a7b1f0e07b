//! What a buyer or a seller missed comes again with their room, in order and once
//! (docs/contract/events.md#missed-events).

use reqwest::Method;
use serde_json::{Value, json};

use super::{PRICE, Sale, accepted, rejected, text};
use crate::support::{Person, TestApp, app::API_KEY};

/// Enters a user's room; the acknowledgement.
async fn come_back(user: &mut Person, owner: &str, since: i64) -> Value {
    let ack = user.emit_ack("join-user-room", json!({ "userId": owner, "since": since })).await;
    assert_eq!((&ack["success"], &ack["recovered"]), (&json!(true), &json!(true)), "{ack}");
    ack
}

#[tokio::test]
async fn a_seller_who_was_away_hears_what_became_of_their_offers() {
    let app = TestApp::start().await;
    let bea = app.buyer("bea");
    let [sam, sue] = ["sam", "sue"].map(|id| app.seller(id));
    let mut sams = sam.connect_as_seller().await;
    let since = come_back(&mut sams, "sam", 0).await["seq"].as_i64().unwrap();
    sams.close().await;

    let request = bea.request().await;
    let first = sam.offer(&request, PRICE).await;
    bea.reject(&first).await;
    let second = sam.offer(&request, PRICE).await;
    let sues = sue.offer(&request, PRICE).await;
    bea.accept(&second).await;
    let expected = [rejected("sam", &request, &first, None), accepted("sam", &request, &second)];
    let app = app.restart().await;
    let [sam, sue] = ["sam", "sue"].map(|id| app.seller(id));
    let mut sams = sam.connect().await;
    let ack = come_back(&mut sams, "sam", since).await;
    assert_eq!(sams.queued("seller-offer-update"), expected);
    assert_eq!((&ack["replayed"], &ack["seq"]), (&json!(2), &json!(since + 2)));
    sams.expect_nothing().await;
    let reason = Some("The buyer accepted another offer.");
    let mut user = sue.connect().await;
    come_back(&mut user, "sue", 0).await;
    assert_eq!(user.queued("seller-offer-update"), [rejected("sue", &request, &sues, reason)]);
    user.expect_nothing().await;
}

#[tokio::test]
async fn a_buyer_who_was_away_hears_of_offers_and_of_the_end() {
    let app = TestApp::start().await;
    let (bea, sam) = (app.buyer("bea"), app.seller("sam"));
    let request = bea.request().await;
    let offer = sam.offer(&request, PRICE).await;
    bea.cancel(&request).await;
    let mut beas = bea.connect().await;
    assert_eq!(come_back(&mut beas, "bea", 0).await["replayed"], 2);
    let offers = beas.queued("new-offer");
    assert_eq!(offers.len(), 1);
    assert_eq!(text(&offers[0]["offer"]["id"]), offer);
    let told = json!({ "requestId": request, "reason": "Found one" });
    assert_eq!(beas.queued("request-cancelled"), [told]);
    beas.expect_nothing().await;
}

#[tokio::test]
async fn what_was_heard_in_the_sellers_room_does_not_come_again() {
    let app = TestApp::start().await;
    let sale = Sale::accepted(&app).await;
    let mut sams = sale.sam.connect_as_seller().await;
    app.emit(json!({ "user": "sam" }), "news", json!(1)).await;
    let request = sale.bea.request().await;
    let offer = sale.sam.offer(&request, PRICE).await;
    sale.bea.reject(&offer).await;
    sams.expect("news").await;
    sams.expect("new-purchase-request").await;
    let live = sams.expect("seller-offer-update").await;
    assert_eq!(live, rejected("sam", &request, &offer, None));
    come_back(&mut sams, "sam", 0).await;
    let missed = accepted("sam", &sale.request, &sale.offer);
    assert_eq!(sams.queued("seller-offer-update"), [missed]);
    // And the next one comes as ever.
    let offer = sale.sam.offer(&request, PRICE).await;
    sale.bea.reject(&offer).await;
    sams.expect("seller-offer-update").await;
    sams.expect_nothing().await;
}

#[tokio::test]
async fn what_came_before_a_seller_entered_their_room_is_missed_too() {
    let app = TestApp::start().await;
    let (bea, sam) = (app.buyer("bea"), app.seller("sam"));
    let request = bea.request().await;
    let mut sams = sam.connect().await;
    app.emit(json!({ "user": "sam" }), "news", json!(1)).await;
    let mut expected = Vec::new();
    for enter in [false, true, false] {
        if enter {
            sams.join("join-seller-room", "sam").await;
        } else {
            sams.emit_ack("leave-seller-room", "sam").await;
        }
        let offer = sam.offer(&request, PRICE).await;
        bea.reject(&offer).await;
        let told = rejected("sam", &request, &offer, None);
        if enter {
            assert_eq!(sams.expect("seller-offer-update").await, told);
        } else {
            expected.push(told);
        }
    }
    sams.join("join-seller-room", "sam").await;
    sams.expect("news").await;
    come_back(&mut sams, "sam", 0).await;
    let again = sams.queued("seller-offer-update");
    assert!(expected.iter().all(|told| again.contains(told)), "{again:?} without {expected:?}");
    assert_eq!(sams.queued("news"), [Value::Null; 0]);
}

#[tokio::test]
async fn who_may_not_enter_the_sellers_room_does_not_hear_what_it_missed() {
    let app = TestApp::start().await;
    let sale = Sale::accepted(&app).await;
    let told = accepted("sam", &sale.request, &sale.offer);
    let room = "/api/rooms/user-sam/members/gus";
    assert_eq!(app.request(Method::PUT, room, Some(API_KEY), None).await.status, 204);
    for (who, hears) in [
        (app.person_as("gus", &["seller"]), false),
        (app.buyer("sam"), false),
        (app.person_as("sam", &[]), true),
        (app.admin(), true),
    ] {
        let mut user = who.connect().await;
        come_back(&mut user, "sam", 0).await;
        let expected = if hears { vec![told.clone()] } else { Vec::new() };
        assert_eq!(user.queued("seller-offer-update"), expected, "{}", who.id);
        user.expect_nothing().await;
    }
}

#[tokio::test]
async fn what_came_to_ones_own_room_hides_nothing_of_anothers() {
    let app = TestApp::start().await;
    let mut root = app.admin().connect().await;
    for user in ["root", "sam", "sam"] {
        app.emit(json!({ "user": user }), "news", json!(user)).await;
    }
    assert_eq!(root.expect("news").await, "root");
    assert_eq!(come_back(&mut root, "sam", 0).await["replayed"], 2);
    assert_eq!(root.queued("news"), [json!("sam"), json!("sam")]);
}

#[tokio::test]
async fn of_a_checkouts_payment_who_takes_part_hears_again() {
    let app = TestApp::start().await;
    let sale = Sale::accepted(&app).await;
    let checkout = sale.bea.check_out(&[&sale.request]).await;
    let path = format!("/api/marketplace/template-checkouts/{checkout}/payment");
    app.person_as("backend", &["service"]).post(&path, json!({ "status": "pending" })).await.ok();
    for (who, hears) in [(&sale.bea, true), (&sale.sam, true), (&app.buyer("bob"), false)] {
        let mut user = who.connect().await;
        come_back(&mut user, &who.id, 0).await;
        let again = user.queued("template-checkout-payment-pending");
        assert_eq!(again.len(), usize::from(hears), "{}", who.id);
    }
}

/// In its request's room it is heard by whoever is there, or by the seller alone; it comes again to
/// whom it came.
#[tokio::test]
async fn a_missed_delivery_code_comes_again_to_the_seller_where_it_is_theirs_alone() {
    use stoa::config::EventAudience::{Documented, Participants};

    for (audience, again) in [(Documented, 0), (Participants, 1)] {
        let app = TestApp::with(|config| config.realtime.event_audience = audience).await;
        let sale = Sale::paid(&app).await;
        let mut away = sale.sam.connect().await;
        let since = come_back(&mut away, "sam", 0).await["seq"].as_i64().unwrap();
        away.close().await;
        let code = sale.sam.post_nothing(&sale.path("/delivery/code")).await.ok();
        let mut sams = sale.sam.connect().await;
        come_back(&mut sams, "sam", since).await;
        let told = sams.queued("delivery-code-generated");
        assert_eq!(told.len(), again, "{audience:?}");
        assert!(told.iter().all(|told| told["deliveryCode"] == code["deliveryCode"]));
        sams.expect_nothing().await;
    }
}
