//! The marketplace: who may do what, who hears of it, and what is kept.

mod checkouts;
mod delivery;
mod events;
mod missed;
mod money;
mod offers;
mod races;
mod requests;
mod rights;
mod rooms;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Options, TestApp, User, app::Answer};

/// What an offer costs unless said otherwise: more digits than a float has.
const PRICE: &str = "19.990000000000000001";

/// Someone who calls REST, and connects.
struct Person<'a> {
    app: &'a TestApp,
    id: &'a str,
    token: String,
}

impl<'a> Person<'a> {
    fn new(app: &'a TestApp, id: &'a str, roles: &[&str]) -> Self {
        Self { app, id, token: app.token(id, roles) }
    }

    fn buyer(app: &'a TestApp, id: &'a str) -> Self {
        Self::new(app, id, &["buyer"])
    }

    fn seller(app: &'a TestApp, id: &'a str) -> Self {
        Self::new(app, id, &["seller"])
    }

    fn admin(app: &'a TestApp) -> Self {
        Self::new(app, "root", &["admin"])
    }

    fn service(app: &'a TestApp) -> Self {
        Self::new(app, "backend", &["service"])
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        self.app.request_as(&self.token, method, &format!("/api/marketplace{path}"), body).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, None).await
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, Some(body)).await
    }

    /// `POST` without a body.
    async fn post_nothing(&self, path: &str) -> Answer {
        self.call(Method::POST, path, None).await
    }

    async fn patch(&self, path: &str, body: Value) -> Answer {
        self.call(Method::PATCH, path, Some(body)).await
    }

    async fn delete(&self, path: &str) -> Answer {
        self.call(Method::DELETE, path, None).await
    }

    /// Connects a socket.
    async fn connect(&self) -> User {
        let client = self.app.connect(Options::websocket().token(&self.token)).await;
        self.app.own(self.id, client.unwrap_or_else(|error| panic!("{}: {error}", self.id)))
    }

    /// Connects a socket that is in `seller-<id>` and `sellers`.
    async fn connect_as_seller(&self) -> User {
        let mut user = self.connect().await;
        join(&mut user, "join-seller-room", self.id).await;
        user
    }

    /// Connects a socket that is in `buyer-<id>` and `buyers`.
    async fn connect_as_buyer(&self) -> User {
        let mut user = self.connect().await;
        join(&mut user, "join-buyer-room", self.id).await;
        user
    }

    /// Connects a socket that is in `request-<id>`.
    async fn connect_to(&self, request: &str) -> User {
        let mut user = self.connect().await;
        join(&mut user, "join-request-room", request).await;
        user
    }

    /// Makes a request; its id.
    async fn request(&self) -> String {
        let answer = self.post("/requests", a_chair()).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        text(&answer.body["id"])
    }

    /// Makes an offer; its id.
    async fn offer(&self, request: &str) -> String {
        let body = json!({ "amount": PRICE, "currency": "USD" });
        let answer = self.post(&format!("/requests/{request}/offers"), body).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        text(&answer.body["id"])
    }

    /// Accepts an offer; the request.
    async fn accept(&self, offer: &str) -> Value {
        self.post_nothing(&format!("/offers/{offer}/accept")).await.ok()
    }

    async fn reject(&self, offer: &str) {
        self.post_nothing(&format!("/offers/{offer}/reject")).await.ok();
    }

    async fn withdraw(&self, offer: &str) {
        assert_eq!(self.delete(&format!("/offers/{offer}")).await.status, 204);
    }

    async fn cancel(&self, request: &str) {
        let path = format!("/requests/{request}/cancel");
        self.post(&path, json!({ "reason": "Found one" })).await.ok();
    }

    /// Makes a checkout; its id.
    async fn check_out(&self, requests: &[&str]) -> String {
        let answer = self.post("/template-checkouts", json!({ "requestIds": requests })).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        text(&answer.body["id"])
    }
}

/// A request of Bea's on which she accepted an offer of Sam's.
struct Sale<'a> {
    bea: Person<'a>,
    sam: Person<'a>,
    request: String,
    offer: String,
}

impl<'a> Sale<'a> {
    async fn accepted(app: &'a TestApp) -> Self {
        let (bea, sam) = (Person::buyer(app, "bea"), Person::seller(app, "sam"));
        let request = bea.request().await;
        let offer = sam.offer(&request).await;
        bea.accept(&offer).await;
        Self { bea, sam, request, offer }
    }

    async fn paid(app: &'a TestApp) -> Self {
        let this = Self::accepted(app).await;
        pay(app, &this.request).await;
        this
    }

    async fn shipped(app: &'a TestApp) -> Self {
        let this = Self::paid(app).await;
        this.ship().await;
        this
    }

    async fn ship(&self) {
        self.sam.patch(&self.path("/delivery"), json!({ "status": "shipped" })).await.ok();
    }

    /// Has a delivery code made.
    async fn code(&self) -> String {
        let answer = self.sam.post_nothing(&self.path("/delivery/code")).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        text(&answer.body["deliveryCode"])
    }

    /// Enters a delivery code.
    async fn confirm(&self, code: &str) -> Answer {
        self.bea.post(&self.path("/delivery/confirm"), json!({ "code": code })).await
    }

    /// A path below the request's.
    fn path(&self, rest: &str) -> String {
        format!("/requests/{}{rest}", self.request)
    }
}

/// Pays the price of the accepted offer.
async fn pay(app: &TestApp, request: &str) {
    let payment = json!({ "requestId": request, "provider": "decentralized" });
    let payment = text(&app.post("/api/payments", payment).await.ok()["id"]);
    let transaction = json!({ "txHash": format!("0x{payment}") });
    app.post(&format!("/api/payments/{payment}/confirm"), transaction).await.ok();
}

fn a_chair() -> Value {
    json!({
        "title": "A chair", "description": "Of oak.",
        "budget": { "amount": 25, "currency": "USD" },
    })
}

/// `purchase-request-update`
fn update(kind: &str, request: &str, status: &str) -> Value {
    json!({ "type": kind, "requestId": request, "status": status })
}

/// `seller-offer-update` of an offer that was accepted.
fn accepted(seller: &str, request: &str, offer: &str) -> Value {
    json!({
        "sellerId": seller, "requestId": request, "eventType": "offer-accepted",
        "data": { "offerId": offer, "isSelected": true },
    })
}

/// `seller-offer-update` of an offer that was rejected.
fn rejected(seller: &str, request: &str, offer: &str, reason: Option<&str>) -> Value {
    let mut data = json!({ "offerId": offer, "isSelected": false });
    if let Some(reason) = reason {
        data["reason"] = json!(reason);
    }
    json!({
        "sellerId": seller, "requestId": request, "eventType": "offer-rejected", "data": data,
    })
}

/// Enters a room, or fails.
async fn join(user: &mut User, event: &str, id: &str) {
    assert!(may_join(user, event, id).await, "{} may not {event} {id}", user.id);
}

/// Whether someone gets into a room.
async fn may_join(user: &mut User, event: &str, id: &str) -> bool {
    let ack = user.emit_ack(event, id).await;
    assert!(ack["success"] == true || ack["code"] == "forbidden", "{ack}");
    ack["success"] == true
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

/// The ids of a list's items.
fn ids(list: &Value) -> Vec<String> {
    list["items"].as_array().expect("a list").iter().map(|item| text(&item["id"])).collect()
}

/// A 422 that points to this field.
fn invalid(answer: &Answer, pointer: &str) {
    assert_eq!(answer.problem(422), "invalid_payload");
    assert_eq!(answer.body["errors"][0]["pointer"], pointer, "{answer:?}");
}

/// A time as the wire has it: ISO 8601 in UTC, with milliseconds.
fn is_time(value: &Value) -> bool {
    value.as_str().is_some_and(|time| time.len() == 24 && time.ends_with('Z'))
}
