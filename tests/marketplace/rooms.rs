//! The rooms of requests and checkouts: who may enter, and who is taken out again.

use reqwest::Method;
use serde_json::json;
use stoa::config::RoomPolicy;

use super::{PRICE, update};
use crate::support::{Person, TestApp, app::API_KEY};

const JOINS: [&str; 2] = ["join-request-room", "join-checkout-room"];

/// Lets someone into a room, as a backend.
async fn grant(app: &TestApp, room: &str, user: &str) {
    let path = format!("/api/rooms/{room}/members/{user}");
    assert_eq!(app.request(Method::PUT, &path, Some(API_KEY), None).await.status, 204);
}

async fn enters(who: &Person, event: &str, id: &str, may: bool) {
    let mut user = who.connect().await;
    assert_eq!(user.may_join(event, id).await, may, "{} {event}", who.token);
}

#[tokio::test]
async fn a_requests_room_is_for_its_buyer_its_sellers_and_any_seller_while_it_is_open() {
    let app = TestApp::start().await;
    let bea = app.buyer("bea");
    let [sam, sue, sid, sol] = ["sam", "sue", "sid", "sol"].map(|id| app.seller(id));
    let plain = app.person_as("pat", &[]);
    let outsiders =
        [app.buyer("bob"), app.person_as("eve", &["user"]), app.person_as("backend", &["service"])];
    let request = bea.request().await;
    let sams = sam.offer(&request, PRICE).await;
    sue.offer(&request, PRICE).await;
    sid.withdraw(&sid.offer(&request, PRICE).await).await;
    grant(&app, &format!("request-{request}"), "gus").await;
    let gus = app.person_as("gus", &["user"]);
    let event = "join-request-room";
    for who in [&bea, &sam, &sue, &sid, &sol, &plain, &gus, &app.admin()] {
        enters(who, event, &request, true).await;
    }
    for who in &outsiders {
        enters(who, event, &request, false).await;
    }
    bea.accept(&sams).await;
    for who in [&bea, &sam, &gus, &app.admin()] {
        enters(who, event, &request, true).await;
    }
    for who in [&sue, &sid, &sol, &plain].into_iter().chain(&outsiders) {
        enters(who, event, &request, false).await;
    }
    bea.cancel(&request).await;
    for who in [&bea, &sam, &gus, &app.admin()] {
        enters(who, event, &request, true).await;
    }
    for who in [&sue, &sol] {
        enters(who, event, &request, false).await;
    }
}

/// After something that ends an open request: these have heard of it; those who stay hear more, and
/// those who are out do not and can't come back.
async fn out(app: &TestApp, request: &str, told: &str, stay: &mut [Person], out: &mut [Person]) {
    let kind = if told == "accepted" { "offer_accepted" } else { "status_changed" };
    let told = update(kind, request, told);
    for user in stay.iter_mut().chain(out.iter_mut()) {
        assert_eq!(user.expect("purchase-request-update").await, told, "{}", user.id);
        user.queued("request-cancelled");
    }
    let room = format!("request-{request}");
    assert_eq!(app.emit_to_room(&room, "news", json!(1)).await, stay.len() as u64);
    for user in stay {
        assert_eq!(user.expect("news").await, 1, "{}", user.id);
        user.expect_nothing().await;
    }
    for user in out {
        user.expect_nothing().await;
        assert!(!user.may_join("join-request-room", request).await, "{} came back", user.id);
    }
}

#[tokio::test]
async fn who_loses_and_who_only_looked_on_is_taken_out_when_an_offer_is_accepted() {
    let app = TestApp::start().await;
    let bea = app.buyer("bea");
    let [sam, sue, sol] = ["sam", "sue", "sol"].map(|id| app.seller(id));
    let gus = app.person_as("gus", &["user"]);
    let request = bea.request().await;
    let sams = sam.offer(&request, PRICE).await;
    sue.offer(&request, PRICE).await;
    grant(&app, &format!("request-{request}"), "gus").await;
    let (mut stay, mut outside) = (Vec::new(), Vec::new());
    for who in [&bea, &sam, &gus, &app.admin()] {
        stay.push(who.connect_to(&request).await);
    }
    for who in [&sue, &sol, &sue] {
        outside.push(who.connect_to(&request).await);
    }
    bea.accept(&sams).await;
    out(&app, &request, "accepted", &mut stay, &mut outside).await;
}

#[tokio::test]
async fn who_only_looked_on_is_taken_out_when_a_request_is_cancelled() {
    let app = TestApp::start().await;
    let bea = app.buyer("bea");
    let [sam, sue, sol] = ["sam", "sue", "sol"].map(|id| app.seller(id));
    let gus = app.person_as("gus", &["user"]);
    let request = bea.request().await;
    sam.offer(&request, PRICE).await;
    bea.reject(&sue.offer(&request, PRICE).await).await;
    grant(&app, &format!("request-{request}"), "gus").await;
    let (mut stay, mut outside) = (Vec::new(), Vec::new());
    for who in [&bea, &sam, &gus, &app.admin()] {
        stay.push(who.connect_to(&request).await);
    }
    for who in [&sue, &sol] {
        outside.push(who.connect_to(&request).await);
    }
    bea.cancel(&request).await;
    out(&app, &request, "cancelled", &mut stay, &mut outside).await;
}

#[tokio::test]
async fn a_rejected_seller_stays_while_the_request_is_open() {
    let app = TestApp::start().await;
    let (bea, sam) = (app.buyer("bea"), app.seller("sam"));
    let request = bea.request().await;
    let offer = sam.offer(&request, PRICE).await;
    let mut sams = sam.connect_to(&request).await;
    bea.reject(&offer).await;
    let told = update("offer_rejected", &request, "open");
    assert_eq!(sams.expect("purchase-request-update").await, told);
    assert_eq!(app.emit_to_room(&format!("request-{request}"), "news", json!(1)).await, 1);
}

#[tokio::test]
async fn a_checkouts_room_is_for_its_buyer_and_the_sellers_in_it() {
    let app = TestApp::start().await;
    let bea = app.buyer("bea");
    let [sam, sue, sol] = ["sam", "sue", "sol"].map(|id| app.seller(id));
    let (sold, open) = (bea.request().await, bea.request().await);
    let sams = sam.offer(&sold, PRICE).await;
    sue.offer(&sold, PRICE).await;
    let pending = sol.offer(&open, PRICE).await;
    bea.accept(&sams).await;
    let checkout = bea.check_out(&[&sold, &open]).await;
    let (bob, admin) = (app.buyer("bob"), app.admin());
    let event = "join-checkout-room";
    for (who, may) in
        [(&bea, true), (&sam, true), (&admin, true), (&sue, false), (&sol, false), (&bob, false)]
    {
        enters(who, event, &checkout, may).await;
        let path = format!("/api/marketplace/template-checkouts/{checkout}");
        assert_eq!(who.get(&path).await.status, if may { 200 } else { 404 }, "{}", who.id);
    }
    bea.accept(&pending).await;
    enters(&sol, event, &checkout, true).await;
    grant(&app, &format!("template-checkout-{checkout}"), "bob").await;
    enters(&bob, event, &checkout, true).await;
}

#[tokio::test]
async fn a_room_that_is_anothers_and_one_of_nothing_are_refused_in_the_same_words() {
    let app = TestApp::start().await;
    let (bea, sam) = (app.buyer("bea"), app.seller("sam"));
    let request = bea.request().await;
    bea.accept(&sam.offer(&request, PRICE).await).await;
    let checkout = bea.check_out(&[&request]).await;
    let mut eve = app.seller("eve").connect().await;
    for (event, id) in JOINS.into_iter().zip([&request, &checkout]) {
        let there = eve.emit_ack(event, id.as_str()).await;
        assert_eq!(there["code"], "forbidden", "{there}");
        assert_eq!(there, eve.emit_ack(event, "nowhere").await, "{event}");
    }
    eve.expect_nothing().await;
}

#[tokio::test]
async fn under_open_policy_what_this_server_knows_stays_closed() {
    let app = TestApp::with(|config| config.rooms.policy = RoomPolicy::Open).await;
    let (bea, sam) = (app.buyer("bea"), app.seller("sam"));
    let request = bea.request().await;
    let offer = sam.offer(&request, PRICE).await;
    let checkout = bea.check_out(&[&request]).await;
    let mut onlooker = app.seller("sue").connect_to(&request).await;
    bea.accept(&offer).await;
    onlooker.expect("purchase-request-update").await;
    assert_eq!(app.emit_to_room(&format!("request-{request}"), "news", json!(1)).await, 0);
    let mut eve = app.person_as("eve", &[]).connect().await;
    for (event, id) in JOINS.into_iter().zip([&request, &checkout]) {
        assert!(!eve.may_join(event, id).await, "{event}");
        eve.join(event, "of-another-backend").await;
    }
}
