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
mod timeline;

use serde_json::{Value, json};

use crate::support::{Person, TestApp, app::Answer, market::id_of};

/// What an offer costs unless said otherwise: more digits than a float has.
const PRICE: &str = "19.990000000000000001";

impl Person {
    /// Connects a socket that is in `seller-<id>` and `sellers`.
    async fn connect_as_seller(&self) -> Person {
        let mut user = self.connect().await;
        user.join("join-seller-room", &self.id).await;
        user
    }

    /// Connects a socket that is in `buyer-<id>` and `buyers`.
    async fn connect_as_buyer(&self) -> Person {
        let mut user = self.connect().await;
        user.join("join-buyer-room", &self.id).await;
        user
    }

    /// Connects a socket that is in `request-<id>`.
    async fn connect_to(&self, request: &str) -> Person {
        let mut user = self.connect().await;
        user.join("join-request-room", request).await;
        user
    }

    async fn reject(&self, offer: &str) {
        self.post_nothing(&format!("/api/marketplace/offers/{offer}/reject")).await.ok();
    }

    async fn withdraw(&self, offer: &str) {
        assert_eq!(self.delete(&format!("/api/marketplace/offers/{offer}")).await.status, 204);
    }

    async fn cancel(&self, request: &str) {
        let path = format!("/api/marketplace/requests/{request}/cancel");
        self.post(&path, json!({ "reason": "Found one" })).await.ok();
    }

    /// Makes a checkout; its id.
    async fn check_out(&self, requests: &[&str]) -> String {
        let body = json!({ "requestIds": requests });
        id_of(&self.post("/api/marketplace/template-checkouts", body).await.created())
    }
}

/// A request of Bea's on which she accepted an offer of Sam's.
struct Sale {
    bea: Person,
    sam: Person,
    request: String,
    offer: String,
}

impl Sale {
    async fn accepted(app: &TestApp) -> Self {
        let (bea, sam) = (app.buyer("bea"), app.seller("sam"));
        let request = bea.request().await;
        let offer = sam.offer(&request, PRICE).await;
        bea.accept(&offer).await;
        Self { bea, sam, request, offer }
    }

    async fn paid(app: &TestApp) -> Self {
        let this = Self::accepted(app).await;
        pay(app, &this.request).await;
        this
    }

    async fn shipped(app: &TestApp) -> Self {
        let this = Self::paid(app).await;
        this.ship().await;
        this
    }

    async fn ship(&self) {
        self.sam.patch(&self.path("/delivery"), json!({ "status": "shipped" })).await.ok();
    }

    /// Has a delivery code made.
    async fn code(&self) -> String {
        let path = self.path("/delivery/code");
        text(&self.sam.post_nothing(&path).await.created()["deliveryCode"])
    }

    /// Enters a delivery code.
    async fn confirm(&self, code: &str) -> Answer {
        self.bea.post(&self.path("/delivery/confirm"), json!({ "code": code })).await
    }

    /// A path below the request's.
    fn path(&self, rest: &str) -> String {
        format!("/api/marketplace/requests/{}{rest}", self.request)
    }
}

/// Pays the price of the accepted offer.
async fn pay(app: &TestApp, request: &str) {
    let payment = json!({ "requestId": request, "provider": "decentralized" });
    let payment = text(&app.post("/api/payments", payment).await.ok()["id"]);
    let transaction = json!({ "txHash": format!("0x{payment}") });
    app.post(&format!("/api/payments/{payment}/confirm"), transaction).await.ok();
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

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

/// The ids of a list's items.
fn ids(list: &Value) -> Vec<String> {
    list["items"].as_array().expect("a list").iter().map(|item| text(&item["id"])).collect()
}

/// A time as the wire has it: ISO 8601 in UTC, with milliseconds.
fn is_time(value: &Value) -> bool {
    value.as_str().is_some_and(|time| time.len() == 24 && time.ends_with('Z'))
}
