//! Requests: what is kept of them, what is refused, and how they are listed.

use reqwest::Method;
use serde_json::{Value, json};

use super::{PRICE, Sale, ids, is_time, text};
use crate::support::{Person, TestApp, http_client, market::a_lamp};

#[tokio::test]
async fn a_request_is_kept_as_it_was_given() {
    let app = TestApp::start().await;
    let bea = app.buyer("bea");
    let given = json!({
        "title": "é".repeat(200), "description": "d".repeat(8000),
        "budget": { "amount": "19.990", "currency": "ETH-USDT" },
        "category": "c".repeat(100), "metadata": { "b": [1, null], "a": 0.1 },
    });
    let answer = bea.post("/api/marketplace/requests", given.clone()).await;
    assert_eq!(answer.status, 201);
    let made = answer.body;
    let expected = json!({
        "id": made["id"], "_id": made["id"], "buyerId": "bea", "title": given["title"],
        "description": given["description"],
        "budget": { "amount": 19.99, "currency": "ETH-USDT" },
        "category": given["category"], "metadata": given["metadata"], "status": "open",
        "acceptedOfferId": null, "sellerId": null, "paymentId": null, "cancelReason": null,
        "delivery": null, "createdAt": made["createdAt"], "updatedAt": made["createdAt"],
    });
    assert_eq!(made, expected);
    assert!(is_time(&made["createdAt"]), "{made}");
    let path = format!("/api/marketplace/requests/{}", text(&made["id"]));
    assert_eq!(bea.get(&path).await.ok(), made);
    for nothing in ["category", "metadata"] {
        assert_eq!(
            bea.post("/api/marketplace/requests", a_lamp()).await.ok()[nothing],
            Value::Null
        );
    }

    let sam = app.seller("sam");
    let body = json!({
        "amount": 20, "currency": "USD", "message": "m".repeat(4000), "deliveryDays": 3650,
    });
    let answer = sam.post(&format!("{path}/offers"), body).await;
    assert_eq!(answer.status, 201);
    let offer = answer.body;
    let expected = json!({
        "id": offer["id"], "_id": offer["id"], "requestId": made["id"], "sellerId": "sam",
        "amount": 20, "currency": "USD", "message": "m".repeat(4000), "deliveryDays": 3650,
        "status": "pending", "isSelected": false, "createdAt": offer["createdAt"],
        "updatedAt": offer["createdAt"],
    });
    assert_eq!(offer, expected);
    assert_eq!(bea.get(&format!("{path}/offers")).await.ok()["items"], json!([offer]));

    let (offer, mut expected) = (text(&offer["id"]), made);
    let accepted = bea.accept(&offer).await;
    for (name, value) in
        [("status", "accepted"), ("acceptedOfferId", offer.as_str()), ("sellerId", "sam")]
    {
        expected[name] = json!(value);
    }
    expected["updatedAt"] = accepted["updatedAt"].clone();
    assert_eq!(accepted, expected);
    assert_eq!(sam.get(&path).await.ok(), accepted);
    let offers = sam.get(&format!("{path}/offers")).await.ok();
    assert_eq!(offers["items"][0]["status"], "accepted");
    assert_eq!(offers["items"][0]["isSelected"], true);
}

#[tokio::test]
async fn a_request_that_keeps_no_rule_is_refused() {
    let app = TestApp::start().await;
    let bea = app.buyer("bea");
    let request = format!("/api/marketplace/requests/{}", bea.request().await);
    let budget = |currency: &str| json!({ "amount": 1, "currency": currency });
    for (field, value) in [
        ("/title", json!("")),
        ("/title", json!("x".repeat(201))),
        ("/title", json!(5)),
        ("/description", json!("")),
        ("/description", json!("x".repeat(8001))),
        ("/category", json!("")),
        ("/category", json!("x".repeat(101))),
        ("/colour", json!("red")),
        ("/status", json!("paid")),
        ("/buyerId", json!("eve")),
        ("/budget", json!(5)),
        ("/budget/currency", budget("usd")),
        ("/budget/currency", budget("U")),
        ("/budget/currency", budget("")),
        ("/budget/currency", budget(&"X".repeat(17))),
        ("/budget/currency", json!({ "amount": 1 })),
        ("/budget/amount", json!({ "currency": "USD" })),
        ("/budget/tip", json!({ "amount": 1, "currency": "USD", "tip": 1 })),
    ] {
        let mut body = a_lamp();
        let name = field.split('/').nth(1).unwrap();
        body[name] = value.clone();
        bea.post("/api/marketplace/requests", body).await.invalid(field);
        bea.patch(&request, json!({ name: value })).await.invalid(field);
    }
    for missing in ["title", "description", "budget"] {
        let mut body = a_lamp();
        body.as_object_mut().unwrap().remove(missing);
        bea.post("/api/marketplace/requests", body).await.invalid(&format!("/{missing}"));
    }
    let mut nul = a_lamp();
    nul["title"] = json!("a\0b");
    assert_eq!(bea.post("/api/marketplace/requests", nul).await.problem(422), "invalid_payload");
    assert_eq!(
        bea.post("/api/marketplace/requests", json!([])).await.problem(422),
        "invalid_payload"
    );
    assert_eq!(
        bea.post_nothing("/api/marketplace/requests").await.problem(415),
        "unsupported_media_type"
    );
    assert_eq!(
        ids(&bea.get("/api/marketplace/requests").await.ok()).len(),
        1,
        "a refused request was kept"
    );
    for bad in ["a%20b", &"x".repeat(257)] {
        bea.get(&format!("/api/marketplace/requests/{bad}")).await.invalid("/id");
    }
}

#[tokio::test]
async fn a_reason_to_cancel_has_some_text() {
    let app = TestApp::start().await;
    let bea = app.buyer("bea");
    let request = bea.request().await;
    let cancel = format!("/api/marketplace/requests/{request}/cancel");
    for (body, pointer) in [
        (json!({}), "/reason"),
        (json!({ "reason": "" }), "/reason"),
        (json!({ "reason": "x".repeat(1001) }), "/reason"),
        (json!({ "reason": null }), "/reason"),
        (json!({ "reason": "x", "colour": 1 }), "/colour"),
    ] {
        bea.post(&cancel, body).await.invalid(pointer);
    }
    let kept = bea.get(&format!("/api/marketplace/requests/{request}")).await.ok();
    assert_eq!((&kept["status"], &kept["cancelReason"]), (&json!("open"), &Value::Null));
    let cancelled = bea.post(&cancel, json!({ "reason": "x".repeat(1000) })).await.ok();
    assert_eq!(cancelled["status"], "cancelled");
    assert_eq!(cancelled["cancelReason"], "x".repeat(1000));
}

#[tokio::test]
async fn what_is_not_given_stays_and_what_is_given_changes() {
    let app = TestApp::start().await;
    let bea = app.buyer("bea");
    let mut expected = bea.post("/api/marketplace/requests", a_lamp()).await.ok();
    let path = format!("/api/marketplace/requests/{}", text(&expected["id"]));
    for (name, value) in [
        ("title", json!("A stool")),
        ("description", json!("Of pine.")),
        ("budget", json!({ "amount": 7.5, "currency": "EUR" })),
        ("category", json!("seats")),
        ("metadata", json!({ "legs": 3 })),
    ] {
        let changed = bea.patch(&path, json!({ name: value })).await.ok();
        expected[name] = value;
        expected["updatedAt"] = changed["updatedAt"].clone();
        assert_eq!(changed, expected);
        assert_eq!(bea.get(&path).await.ok(), expected);
    }
}

#[tokio::test]
async fn sellers_see_what_is_open_or_theirs_and_buyers_their_own() {
    let app = TestApp::start().await;
    let (bea, bob) = (app.buyer("bea"), app.buyer("bob"));
    let (sam, sue) = (app.seller("sam"), app.seller("sue"));
    let (open, sold, bobs) = (bea.request().await, bea.request().await, bob.request().await);
    let lost = sue.offer(&sold, PRICE).await;
    bea.accept(&sam.offer(&sold, PRICE).await).await;
    let gone = bob.request().await;
    bob.cancel(&gone).await;

    let all = [&gone, &bobs, &sold, &open].map(String::as_str);
    let [admin, service] = [app.admin(), app.person_as("backend", &["service"])];
    let both = app.person_as("bob", &["buyer", "seller"]);
    let (plain, eve) = (app.person_as("eve", &[]), app.person_as("eve", &["user"]));
    let see = async |who: &Person, query: &str, expected: &[&str]| {
        let listed = ids(&who.get(&format!("/api/marketplace/requests{query}")).await.ok());
        assert_eq!(listed, expected, "{} {query}", who.id);
    };
    for who in [&admin, &service] {
        see(who, "", &all).await;
        see(who, "?status=cancelled", &[&gone]).await;
        see(who, "?buyerId=bea", &[&sold, &open]).await;
        see(who, "?buyerId=bea&status=open", &[&open]).await;
        see(who, "?buyerId=nobody", &[]).await;
    }
    see(&bea, "", &[&sold, &open]).await;
    see(&bea, "?buyerId=bob", &[]).await;
    see(&bea, "?status=accepted", &[&sold]).await;
    see(&bob, "", &[&gone, &bobs]).await;
    see(&sam, "", &[&bobs, &sold, &open]).await;
    see(&sam, "?status=accepted", &[&sold]).await;
    see(&sam, "?status=open&buyerId=bob", &[&bobs]).await;
    see(&sue, "", &[&bobs, &open]).await;
    see(&both, "", &[&gone, &bobs, &open]).await;
    see(&plain, "", &[&bobs, &open]).await;
    see(&eve, "", &[]).await;

    for (who, may) in [(&sam, true), (&sue, false), (&both, false), (&eve, false)] {
        let status = who.get(&format!("/api/marketplace/requests/{sold}")).await.status;
        assert_eq!(status, if may { 200 } else { 404 }, "{}", who.id);
    }
    assert_eq!(
        sue.delete(&format!("/api/marketplace/offers/{lost}")).await.problem(409),
        "conflict"
    );
    bea.get("/api/marketplace/requests?status=lost").await.invalid("/status");
    bea.get("/api/marketplace/requests?buyerId=a%20b").await.invalid("/buyerId");
    bea.get("/api/marketplace/requests?limit=0").await.invalid("/limit");
}

#[tokio::test]
async fn pages_lead_through_a_list_without_a_hole() {
    let app = TestApp::start().await;
    let (bea, sam) = (app.buyer("bea"), app.seller("sam"));
    let (mut requests, mut offers) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        requests.insert(0, bea.request().await);
    }
    let offered = format!("/api/marketplace/requests/{}/offers", requests[0]);
    for id in ["s1", "s2", "s3", "s4", "s5"] {
        offers.insert(0, app.seller(id).offer(&requests[0], PRICE).await);
    }
    assert_eq!(ids(&bea.get("/api/marketplace/requests").await.ok()), requests);
    assert_eq!(ids(&bea.get(&offered).await.ok()), offers);
    for (who, path) in
        [(&bea, "/api/marketplace/requests"), (&sam, "/api/marketplace/requests"), (&bea, &offered)]
    {
        let expected = ids(&who.get(path).await.ok());
        let (mut seen, mut pages, mut next) = (Vec::new(), 0, format!("{path}?limit=2"));
        loop {
            let page = who.get(&next).await.ok();
            seen.extend(ids(&page));
            pages += 1;
            let Some(cursor) = page["nextCursor"].as_str() else { break };
            assert_eq!(ids(&page).len(), 2);
            next = format!("{path}?limit=2&cursor={cursor}");
            // What comes meanwhile moves nothing.
            bea.request().await;
        }
        assert_eq!((&seen, pages), (&expected, expected.len().div_ceil(2)), "{path}");
        who.get(&format!("{path}?cursor=AAAA")).await.invalid("/cursor");
    }
}

#[tokio::test]
async fn a_post_that_is_sent_again_is_answered_again_and_told_once() {
    let app = TestApp::start().await;
    let (bea, sam) = (app.buyer("bea"), app.seller("sam"));
    let (mut sams, mut beas) = (sam.connect_as_seller().await, bea.connect_as_buyer().await);
    let first = bea.post_keyed("/api/marketplace/requests", "k1", &a_lamp()).await;
    let again = bea.post_keyed("/api/marketplace/requests", "k1", &a_lamp()).await;
    assert_eq!((first.status.as_u16(), again.status.as_u16()), (201, 201));
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_eq!(again.body, first.body);
    assert_eq!(sams.expect("new-purchase-request").await, first.body);
    assert_eq!(ids(&bea.get("/api/marketplace/requests").await.ok()).len(), 1);

    let offers = format!("/api/marketplace/requests/{}/offers", text(&first.body["id"]));
    let body = json!({ "amount": 1, "currency": "USD" });
    let first = sam.post_keyed(&offers, "k1", &body).await;
    assert_eq!(sam.post_keyed(&offers, "k1", &body).await.body, first.body);
    assert_eq!(sam.post_keyed(&offers, "k2", &body).await.problem(409), "conflict");
    assert_eq!(beas.expect("new-offer").await["offer"], first.body);

    // A body that may be missing, with a key.
    let reject = format!("/api/marketplace/offers/{}/reject", text(&first.body["id"]));
    let http = http_client();
    let mut answers = Vec::new();
    for _ in 0..2 {
        let request = http.request(Method::POST, format!("http://{}{reject}", app.address()));
        let request = request.bearer_auth(&bea.token).header("idempotency-key", "k3");
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answers.push(answer.text().await.unwrap());
    }
    assert_eq!(answers[0], answers[1]);
    sams.expect("seller-offer-update").await;
    for user in [&mut sams, &mut beas] {
        user.expect_nothing().await;
    }
}

#[tokio::test]
async fn a_changed_request_is_told_as_it_is_under_the_key_that_made_it() {
    let app = TestApp::start().await;
    let bea = app.buyer("bea");
    let token = format!("Bearer {}", bea.token);
    let headers = [("authorization", token.as_str()), ("idempotency-key", "k1")];
    let made = app.post_with("/api/marketplace/requests", &headers, &a_lamp()).await.ok();
    let path = format!("/api/marketplace/requests/{}", text(&made["id"]));
    let change = json!({ "title": "A table", "description": "Call nobody." });
    let changed = bea.patch(&path, change).await.ok();
    let again = app.post_with("/api/marketplace/requests", &headers, &a_lamp()).await;
    assert_eq!((again.status.as_u16(), &again.body), (201, &changed));
    assert_eq!(again.headers["idempotency-replayed"], "true");
}

#[tokio::test]
async fn requests_offers_and_checkouts_survive_a_restart() {
    let app = TestApp::start().await;
    let sale = Sale::accepted(&app).await;
    let checkout = sale.bea.check_out(&[&sale.request]).await;
    let (request, checkout) = (
        format!("/api/marketplace/requests/{}", sale.request),
        format!("/api/marketplace/template-checkouts/{checkout}"),
    );
    let paths = [
        request.clone(),
        format!("{request}/offers"),
        checkout,
        "/api/marketplace/requests".to_owned(),
    ];
    let mut before = Vec::new();
    for path in &paths {
        before.push(sale.bea.get(path).await.ok());
    }
    let app = app.restart().await;
    let bea = app.buyer("bea");
    for (path, before) in paths.iter().zip(before) {
        assert_eq!(bea.get(path).await.ok(), before, "{path}");
    }
}

#[tokio::test]
async fn the_description_shows_how_a_request_moves() {
    let app = TestApp::start().await;
    let document = app.get("/api/openapi.json").await.ok();
    let tags = document["tags"].as_array().unwrap();
    let tag = tags.iter().find(|tag| tag["name"] == "Marketplace").expect("the tag");
    let description = tag["description"].as_str().unwrap();
    assert!(description.contains(&stoa::marketplace::moves::table()), "{description}");
    let paths = document["paths"].as_object().unwrap();
    let ours: Vec<_> =
        paths.iter().filter(|(path, _)| path.starts_with("/api/marketplace/")).collect();
    assert_eq!(ours.len(), 16, "{ours:?}");
    for (path, calls) in ours {
        for (method, call) in calls.as_object().unwrap() {
            assert_eq!(call["tags"], json!(["Marketplace"]), "{method} {path}");
        }
    }
}

/// Every seller is sent it.
#[tokio::test]
async fn metadata_is_not_larger_than_sellers_can_be_sent() {
    let app = TestApp::start().await;
    let bea = app.buyer("bea");
    let mut chair = a_lamp();
    chair["metadata"] = json!("m".repeat(16 * 1024 - 2));
    let request = bea.post("/api/marketplace/requests", chair.clone()).await.ok();
    chair["metadata"] = json!("m".repeat(16 * 1024 - 1));
    let path = format!("/api/marketplace/requests/{}", text(&request["id"]));
    let change = json!({ "metadata": chair["metadata"] });
    for answer in
        [bea.post("/api/marketplace/requests", chair).await, bea.patch(&path, change).await]
    {
        assert_eq!(answer.problem(422), "invalid_payload");
        assert_eq!(answer.body["errors"][0]["pointer"], "/metadata");
    }
}

#[tokio::test]
async fn what_is_kept_for_sellers_tells_a_changed_request_as_it_is() {
    let app = TestApp::start().await;
    let (bea, sam) = (app.buyer("bea"), app.seller("sam"));
    let mut secret = a_lamp();
    secret["description"] = json!("Call 555-1234.");
    let path = format!(
        "/api/marketplace/requests/{}",
        text(&bea.post("/api/marketplace/requests", secret).await.ok()["id"])
    );
    bea.post("/api/marketplace/requests", a_lamp()).await.ok();
    // Something else about it is kept as it was.
    let offer = sam.offer(path.trim_start_matches("/api/marketplace/requests/"), PRICE).await;
    bea.post(&format!("/api/marketplace/offers/{offer}/reject"), json!({ "reason": "Too blue" }))
        .await
        .ok();
    let kept = async |text: &str| {
        app.count(&format!("SELECT COUNT(*) FROM events WHERE wire LIKE '%{text}%'")).await
    };
    assert_eq!(kept("555-1234").await, 1);
    bea.patch(&path, json!({ "description": "Of pine." })).await.ok();
    assert_eq!((kept("555-1234").await, kept("Of pine.").await), (0, 1));
    assert_eq!((kept("new-purchase-request").await, kept("Too blue").await), (2, 1));
}
