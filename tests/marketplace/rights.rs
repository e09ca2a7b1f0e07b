//! Who may do what: everyone else is refused, and who may not know of something is told the same
//! as of nothing.

use reqwest::Method;
use serde_json::{Value, json};

use super::{PRICE, Sale};
use crate::support::{Person, TestApp, market::a_lamp};

type Call = (Method, String, Option<Value>);

/// Every call about a request, an offer and a checkout.
fn calls(request: &str, offer: &str, checkout: &str) -> Vec<Call> {
    let (request, offer) = (
        format!("/api/marketplace/requests/{request}"),
        format!("/api/marketplace/offers/{offer}"),
    );
    let price = json!({ "amount": 1, "currency": "USD" });
    let call = |method: Method, path: String, body: Value| {
        (method, path, Some(body).filter(|body| !body.is_null()))
    };
    vec![
        call(Method::GET, request.clone(), Value::Null),
        call(Method::PATCH, request.clone(), json!({ "title": "A stool" })),
        call(Method::POST, format!("{request}/cancel"), json!({ "reason": "Found one" })),
        call(Method::POST, format!("{request}/complete"), Value::Null),
        call(Method::POST, format!("{request}/offers"), price),
        call(Method::GET, format!("{request}/offers"), Value::Null),
        call(Method::POST, format!("{request}/delivery/code"), Value::Null),
        call(Method::PATCH, format!("{request}/delivery"), json!({ "status": "shipped" })),
        call(Method::POST, format!("{request}/delivery/confirm"), json!({ "code": "ABCDEFGH" })),
        call(Method::POST, format!("{request}/delivery/buyer-confirm"), Value::Null),
        call(Method::POST, format!("{offer}/accept"), Value::Null),
        call(Method::POST, format!("{offer}/reject"), Value::Null),
        call(Method::DELETE, offer, Value::Null),
        call(Method::GET, format!("/api/marketplace/template-checkouts/{checkout}"), Value::Null),
    ]
}

/// The body of a problem without what is of this request only.
async fn problem(who: &Person, (method, path, body): Call, status: u16) -> Value {
    let answer = who.call(method, &path, body).await;
    answer.problem(status);
    let mut body = answer.body;
    body.as_object_mut().expect("an object").remove("requestId");
    body
}

#[tokio::test]
async fn what_is_anothers_and_what_is_not_there_are_not_found_in_the_same_words() {
    let app = TestApp::start().await;
    let sale = Sale::accepted(&app).await;
    let checkout = sale.bea.check_out(&[&sale.request]).await;
    let eve = app.person_as("eve", &["buyer", "seller"]);
    let plain = app.person_as("eve", &[]);
    let theirs = calls(&sale.request, &sale.offer, &checkout);
    let nobodys = calls("nowhere", "nothing", "never");
    for (theirs, nobodys) in theirs.into_iter().zip(nobodys) {
        for who in [&eve, &plain] {
            let one = problem(who, theirs.clone(), 404).await;
            let other = problem(who, nobodys.clone(), 404).await;
            assert_eq!(one, other, "{theirs:?}");
        }
    }
    let pay = (
        Method::POST,
        "/api/marketplace/template-checkouts/never/payment".to_owned(),
        Some(json!({ "status": "pending" })),
    );
    problem(&app.person_as("backend", &["service"]), pay, 404).await;
}

#[tokio::test]
async fn without_a_token_nothing_is_answered() {
    let app = TestApp::start().await;
    for (method, path, body) in calls("r1", "o1", "c1") {
        let answer = app.request(method, &path, None, body).await;
        assert_eq!(answer.problem(401), "token_missing", "{path}");
    }
}

#[tokio::test]
async fn requests_and_checkouts_are_for_buyers_and_offers_for_sellers() {
    let app = TestApp::start().await;
    let bea = app.buyer("bea");
    let request = bea.request().await;
    let offers = format!("/api/marketplace/requests/{request}/offers");
    // A service does none of it in its own name.
    let refused = |roles: &[&str]| match roles {
        ["service"] => (422, "person_missing"),
        _ => (403, "forbidden"),
    };
    for roles in [&["seller"][..], &["user"], &["admin"], &["service"]] {
        let who = app.person_as("eve", roles);
        let (status, code) = refused(roles);
        let made = who.post("/api/marketplace/requests", a_lamp()).await;
        assert_eq!(made.problem(status), code, "{roles:?}");
        let check_out = who
            .post("/api/marketplace/template-checkouts", json!({ "requestIds": [request] }))
            .await;
        assert_eq!(check_out.problem(status), code, "{roles:?}");
    }
    let price = json!({ "amount": 1, "currency": "USD" });
    for roles in [&["buyer"][..], &["user"], &["admin"], &["service"]] {
        let who = app.person_as("eve", roles);
        let offered = who.post(&offers, price.clone()).await;
        let (status, code) = refused(roles);
        assert_eq!(offered.problem(status), code, "{roles:?}");
    }
    for roles in [&[][..], &["user", "buyer", "seller"]] {
        let who = app.person_as("both", roles);
        let made = who.request().await;
        who.check_out(&[&made]).await;
        let offer = who.offer(&request, PRICE).await;
        who.withdraw(&offer).await;
    }
}

#[tokio::test]
async fn who_takes_part_and_is_not_the_one_is_refused() {
    let app = TestApp::start().await;
    let sale = Sale::shipped(&app).await;
    let open = sale.bea.request().await;
    let pending = sale.sam.offer(&open, PRICE).await;
    let checkout = sale.bea.check_out(&[&open]).await;
    let (admin, service) = (app.admin(), app.person_as("backend", &["service"]));
    let (bea, sam) = (&sale.bea, &sale.sam);
    let of = |path: &str| {
        let mut all = calls(&open, &pending, &checkout);
        all.extend(calls(&sale.request, &sale.offer, &checkout));
        let of: Vec<_> = all.into_iter().filter(|(_, at, _)| at.ends_with(path)).collect();
        assert!(!of.is_empty(), "{path}");
        of
    };
    let change = |(method, _, _): &Call| *method == Method::PATCH;
    let withdraw = |(method, _, _): &Call| *method == Method::DELETE;
    let mut refused: Vec<(&Person, Call)> = Vec::new();
    for (path, people) in [
        ("/cancel", &[sam, &service][..]),
        ("/complete", &[sam, &admin]),
        ("/accept", &[sam, &admin, &service]),
        ("/reject", &[sam, &admin, &service]),
        ("/delivery/code", &[bea, &admin, &service]),
        ("/delivery", &[bea, &admin, &service]),
        ("/delivery/confirm", &[sam, &admin, &service]),
        ("/delivery/buyer-confirm", &[sam, &admin, &service]),
    ] {
        refused.extend(
            of(path)
                .into_iter()
                .flat_map(|call| people.iter().map(move |who| (*who, call.clone()))),
        );
    }
    for who in [sam, &admin, &service] {
        refused.extend(of(&open).into_iter().filter(change).map(|call| (who, call)));
    }
    for who in [bea, &admin, &service] {
        refused.extend(of(&pending).into_iter().filter(withdraw).map(|call| (who, call)));
    }
    for (who, call) in refused {
        let said = problem(who, call.clone(), 403).await;
        assert_eq!(said["code"], "forbidden", "{} {call:?}", who.id);
    }
    let pay = format!("/api/marketplace/template-checkouts/{checkout}/payment");
    for who in [bea, sam, &admin] {
        let answer = who.post(&pay, json!({ "status": "pending" })).await;
        assert_eq!(answer.problem(403), "forbidden", "{}", who.id);
    }
}
