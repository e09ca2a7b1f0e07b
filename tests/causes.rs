//! Each event of the tables of the marketplace, payments, notifications and points has a cause: a
//! REST call that changed what is stored, played here from the first request to the last reward.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::json;
use stoa::event::{Direction, EventType};

use crate::support::{Options, Person, TestApp, app::API_KEY, market::id_of};

/// The names that the server says.
fn declared(events: &[EventType]) -> impl Iterator<Item = &'static str> + use<'_> {
    let said = events.iter().filter(|event| event.direction == Direction::ServerToClient);
    said.map(|event| event.name)
}

/// Plays every cause once; an admin goes into the request's room.
async fn play(app: &TestApp, admin: &mut Person) {
    let (ann, sam, eve) = (app.buyer("ann"), app.seller("sam"), app.seller("eve"));
    let api = "/api/marketplace";
    let called_off = ann.request().await;
    eve.offer(&called_off, "9").await;
    let cancel = format!("{api}/requests/{called_off}/cancel");
    ann.post(&cancel, json!({ "reason": "Found one" })).await.ok();

    let request = ann.request().await;
    assert_eq!(admin.emit_ack("join-request-room", request.as_str()).await["success"], true);
    eve.offer(&request, "50").await;
    let offer = sam.offer(&request, "35.50").await;
    ann.accept(&offer).await;
    let checkout = json!({ "requestIds": [request] });
    let checkout = id_of(&ann.post(&format!("{api}/template-checkouts"), checkout).await.ok());
    for status in ["pending", "failed", "confirmed"] {
        let path = format!("{api}/template-checkouts/{checkout}/payment");
        app.post(&path, json!({ "status": status })).await.ok();
    }
    let payment = ann.pay(&request).await;
    let confirm = format!("/api/payments/{payment}/confirm");
    app.post(&confirm, json!({ "txHash": "0xabc" })).await.ok();
    let path = format!("{api}/requests/{request}");
    let code = sam.post_nothing(&format!("{path}/delivery/code")).await.ok();
    sam.patch(&format!("{path}/delivery"), json!({ "status": "shipped" })).await.ok();
    let code = json!({ "code": code["deliveryCode"] });
    ann.post(&format!("{path}/delivery/confirm"), code).await.ok();
    ann.post_nothing(&format!("{path}/delivery/buyer-confirm")).await.ok();
    ann.post_nothing(&format!("{path}/complete")).await.ok();
    let payout = json!({ "sellerId": "sam", "paymentId": payment, "amount": 30, "currency": "USDT",
        "destination": "0x1", "provider": "decentralized" });
    let payout = format!("/api/payouts/{}", id_of(&app.post("/api/payouts", payout).await.ok()));
    let through = Some(json!({ "status": "completed" }));
    app.request(Method::PATCH, &payout, Some(API_KEY), through).await.ok();
}

/// Tells Ann something, and has her refer somebody and earn by it.
async fn play_with_points(app: &TestApp) {
    let notice = json!({ "userId": "ann", "type": "news", "title": "News" });
    app.post("/api/notifications", notice).await.ok();
    let referral = json!({ "referrerId": "ann", "referredUserId": "zoe", "name": "Zoe" });
    app.post("/api/points/referrals", referral).await.ok();
    let reward = json!({ "referredUserId": "zoe", "points": 1_000_000 });
    app.post("/api/points/referrals/reward", reward).await.ok();
}

#[tokio::test]
async fn every_event_of_the_tables_is_heard_for_its_cause() {
    let app = TestApp::start().await;
    let mut people: Vec<Person> = Vec::new();
    for (user, role, rooms) in
        [("ann", "buyer", "join-buyer-room"), ("sam", "seller", "join-seller-room")]
    {
        let mut user = app.user_with(user, &[role], Options::websocket()).await;
        let id = user.id.clone();
        assert_eq!(user.emit_ack(rooms, id).await["success"], true);
        people.push(user);
    }
    let mut admin = app.user_with("root", &["admin"], Options::websocket()).await;
    play(&app, &mut admin).await;
    play_with_points(&app).await;
    people.push(admin);

    let mut heard = BTreeSet::new();
    for person in &mut people {
        heard.extend(person.heard().await);
    }
    let tables = [
        stoa::marketplace::events::EVENTS,
        stoa::payments::events::EVENTS,
        stoa::notifications::events::EVENTS,
        stoa::points::events::EVENTS,
    ];
    let silent: Vec<_> =
        tables.into_iter().flat_map(declared).filter(|name| !heard.contains(*name)).collect();
    assert!(silent.is_empty(), "no cause was played for {silent:?}");
}
