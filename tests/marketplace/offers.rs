//! Offers: what is refused, and what becomes of them.

use serde_json::json;

use super::{PRICE, Sale, ids, text};
use crate::support::{Person, TestApp};

#[tokio::test]
async fn an_offer_that_keeps_no_rule_is_refused() {
    let app = TestApp::start().await;
    let (bea, sam) = (app.buyer("bea"), app.seller("sam"));
    let offers = format!("/api/marketplace/requests/{}/offers", bea.request().await);
    for (field, value) in [
        ("currency", json!("usd")),
        ("currency", json!("U")),
        ("currency", json!(null)),
        ("message", json!("")),
        ("message", json!("x".repeat(4001))),
        ("deliveryDays", json!(-1)),
        ("deliveryDays", json!(1.5)),
        ("deliveryDays", json!("3")),
        ("deliveryDays", json!(3651)),
        ("sellerId", json!("sue")),
        ("colour", json!(1)),
    ] {
        let mut body = json!({ "amount": 1, "currency": "USD" });
        body[field] = value;
        sam.post(&offers, body).await.invalid(&format!("/{field}"));
    }
    sam.post(&offers, json!({ "currency": "USD" })).await.invalid("/amount");
    sam.post(&offers, json!({ "amount": 1 })).await.invalid("/currency");
    assert_eq!(ids(&bea.get(&offers).await.ok()), [""; 0], "a refused offer was kept");
    let least = json!({ "amount": 1, "currency": "USD", "deliveryDays": 0 });
    assert_eq!(sam.post(&offers, least).await.status, 201);
}

#[tokio::test]
async fn nobody_makes_an_offer_on_their_own_request() {
    let app = TestApp::start().await;
    let bea = app.person_as("bea", &["buyer", "seller"]);
    let offers = format!("/api/marketplace/requests/{}/offers", bea.request().await);
    let body = json!({ "amount": 1, "currency": "USD" });
    assert_eq!(bea.post(&offers, body).await.problem(409), "conflict");
    assert_eq!(ids(&bea.get(&offers).await.ok()), [""; 0]);
}

#[tokio::test]
async fn a_second_offer_of_the_same_seller_is_refused_while_the_first_waits() {
    let app = TestApp::start().await;
    let (bea, sam) = (app.buyer("bea"), app.seller("sam"));
    let request = bea.request().await;
    let offers = format!("/api/marketplace/requests/{request}/offers");
    let body = json!({ "amount": 1, "currency": "USD" });
    let first = sam.offer(&request, PRICE).await;
    assert_eq!(sam.post(&offers, body.clone()).await.problem(409), "conflict");
    assert_eq!(ids(&bea.get(&offers).await.ok()), [first.as_str()]);
    sam.withdraw(&first).await;
    let second = sam.offer(&request, PRICE).await;
    bea.reject(&second).await;
    let third = sam.offer(&request, PRICE).await;
    assert_eq!(sam.post(&offers, body).await.problem(409), "conflict");
    assert_eq!(ids(&bea.get(&offers).await.ok()), [&third, &second, &first].map(String::as_str));
    let listed = bea.get(&offers).await.ok();
    let statuses: Vec<_> =
        listed["items"].as_array().unwrap().iter().map(|offer| text(&offer["status"])).collect();
    assert_eq!(statuses, ["pending", "rejected", "withdrawn"]);
}

#[tokio::test]
async fn a_request_has_no_more_offers_waiting_than_can_be_decided_at_once() {
    let app = TestApp::with(|config| config.limits.offers_per_request = 2).await;
    let (bea, sam) = (app.buyer("bea"), app.seller("sam"));
    let request = bea.request().await;
    let offers = format!("/api/marketplace/requests/{request}/offers");
    let first = sam.offer(&request, PRICE).await;
    app.seller("sue").offer(&request, PRICE).await;
    let late = app.seller("tom");
    let body = json!({ "amount": 1, "currency": "USD" });
    assert_eq!(late.post(&offers, body).await.problem(409), "conflict");
    bea.reject(&first).await;
    let third = late.offer(&request, PRICE).await;
    bea.accept(&third).await;
}

#[tokio::test]
async fn the_buyer_sees_all_offers_and_a_seller_their_own() {
    let app = TestApp::start().await;
    let (bea, eve) = (app.buyer("bea"), app.seller("eve"));
    let (sam, sue) = (app.seller("sam"), app.seller("sue"));
    let request = bea.request().await;
    let offers = format!("/api/marketplace/requests/{request}/offers");
    let (sams, sues) = (sam.offer(&request, PRICE).await, sue.offer(&request, PRICE).await);
    let both = [sues.as_str(), &sams];
    let see = async |who: &Person, expected: &[&str]| {
        assert_eq!(ids(&who.get(&offers).await.ok()), expected, "{}", who.id);
    };
    for who in [&bea, &app.admin(), &app.person_as("backend", &["service"])] {
        see(who, &both).await;
    }
    see(&sam, &[&sams]).await;
    see(&sue, &[&sues]).await;
    see(&eve, &[]).await;
    assert_eq!(app.buyer("bob").get(&offers).await.problem(404), "not_found");
    bea.accept(&sams).await;
    see(&bea, &both).await;
    see(&sam, &[&sams]).await;
    // Who lost sees what became of their own offer, and nothing of the request any more.
    see(&sue, &[&sues]).await;
    assert_eq!(
        sue.get(&format!("/api/marketplace/requests/{request}")).await.problem(404),
        "not_found"
    );
    assert_eq!(eve.get(&offers).await.problem(404), "not_found");
}

#[tokio::test]
async fn an_offer_on_a_request_that_was_called_off_is_decided_no_more() {
    let app = TestApp::start().await;
    let (bea, sam) = (app.buyer("bea"), app.seller("sam"));
    let request = bea.request().await;
    let offer = sam.offer(&request, PRICE).await;
    bea.cancel(&request).await;
    let mut seller = sam.connect_to(&request).await;
    let path = format!("/api/marketplace/offers/{offer}");
    let refused = [
        bea.post_nothing(&format!("{path}/accept")).await,
        bea.post_nothing(&format!("{path}/reject")).await,
        sam.delete(&path).await,
    ];
    for answer in refused {
        assert_eq!(answer.problem(409), "conflict");
    }
    seller.expect_nothing().await;
}

#[tokio::test]
async fn an_offer_is_decided_once() {
    let app = TestApp::start().await;
    let (bea, sam) = (app.buyer("bea"), app.seller("sam"));
    let request = bea.request().await;
    let mut decided = Vec::new();
    for decide in ["reject", "withdraw", "lose", "accept"] {
        let offer = if decide == "lose" {
            app.seller("sue").offer(&request, PRICE).await
        } else {
            sam.offer(&request, PRICE).await
        };
        match decide {
            "reject" => bea.reject(&offer).await,
            "withdraw" => sam.withdraw(&offer).await,
            "accept" => drop(bea.accept(&offer).await),
            _ => {}
        }
        // A request that is still open is no reason to take what was decided.
        if ["reject", "withdraw"].contains(&decide) {
            let accept = format!("/api/marketplace/offers/{offer}/accept");
            assert_eq!(bea.post_nothing(&accept).await.problem(409), "conflict", "{decide}");
        }
        decided.push((decide, offer));
    }
    for (decided, offer) in decided {
        let path = format!("/api/marketplace/offers/{offer}");
        let seller = if decided == "lose" { "sue" } else { "sam" };
        let refused = [
            bea.post_nothing(&format!("{path}/accept")).await,
            bea.post_nothing(&format!("{path}/reject")).await,
            app.seller(seller).delete(&path).await,
        ];
        for answer in refused {
            assert_eq!(answer.problem(409), "conflict", "{decided}");
        }
    }
}

#[tokio::test]
async fn an_offer_is_rejected_with_a_reason_or_without_a_body() {
    let app = TestApp::start().await;
    let (bea, sam) = (app.buyer("bea"), app.seller("sam"));
    let request = bea.request().await;
    for body in [None, Some(json!({})), Some(json!({ "reason": null }))] {
        let path = format!("/api/marketplace/offers/{}/reject", sam.offer(&request, PRICE).await);
        let answer = bea.call(reqwest::Method::POST, &path, body).await.ok();
        assert_eq!((&answer["status"], &answer["isSelected"]), (&json!("rejected"), &json!(false)));
    }
    let path = format!("/api/marketplace/offers/{}/reject", sam.offer(&request, PRICE).await);
    for (body, pointer) in [
        (json!({ "reason": "" }), "/reason"),
        (json!({ "reason": "x".repeat(1001) }), "/reason"),
        (json!({ "why": "x" }), "/why"),
    ] {
        bea.post(&path, body).await.invalid(pointer);
    }
    bea.post(&path, json!({ "reason": "x".repeat(1000) })).await.ok();
}

#[tokio::test]
async fn a_request_that_is_not_open_takes_no_offer_and_no_change() {
    let app = TestApp::start().await;
    let sale = Sale::accepted(&app).await;
    let cancelled = sale.bea.request().await;
    let waits = sale.sam.offer(&cancelled, PRICE).await;
    sale.bea.cancel(&cancelled).await;
    assert_eq!(
        sale.bea
            .post_nothing(&format!("/api/marketplace/offers/{waits}/accept"))
            .await
            .problem(409),
        "conflict"
    );
    for request in [&sale.request, &cancelled] {
        let path = format!("/api/marketplace/requests/{request}");
        let body = json!({ "amount": 1, "currency": "USD" });
        let offered = sale.sam.post(&format!("{path}/offers"), body).await;
        assert_eq!(offered.problem(409), "conflict");
        let changed = sale.bea.patch(&path, json!({ "title": "A stool" })).await;
        assert_eq!(changed.problem(409), "conflict");
    }
}
