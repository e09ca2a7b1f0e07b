//! The marketplace over REST, as its buyers, sellers and backends use it.

use reqwest::Method;
use serde_json::{Value, json};

use super::{TestApp, app::Answer};

/// Someone who trades.
pub struct Trader<'a> {
    app: &'a TestApp,
    token: String,
}

impl TestApp {
    /// A buyer, who need not be connected.
    pub fn buyer(&self, id: &str) -> Trader<'_> {
        self.trader(id, "buyer")
    }

    /// A seller, who need not be connected.
    pub fn seller(&self, id: &str) -> Trader<'_> {
        self.trader(id, "seller")
    }

    fn trader(&self, id: &str, role: &str) -> Trader<'_> {
        Trader { app: self, token: self.token(id, &[role]) }
    }
}

impl Trader<'_> {
    /// `GET` as this user.
    pub async fn get(&self, path: &str) -> Answer {
        self.app.request_as(&self.token, Method::GET, path, None).await
    }

    /// `POST` as this user.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.app.request_as(&self.token, Method::POST, path, Some(body)).await
    }

    /// `POST` without a body as this user.
    pub async fn post_nothing(&self, path: &str) -> Answer {
        self.app.request_as(&self.token, Method::POST, path, None).await
    }

    /// `PATCH` as this user.
    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.app.request_as(&self.token, Method::PATCH, path, Some(body)).await
    }

    /// Makes a request for a lamp.
    pub async fn request(&self) -> String {
        let lamp = json!({
            "title": "A lamp",
            "description": "Green",
            "budget": { "amount": 40, "currency": "USD" },
        });
        id_of(&self.post("/api/marketplace/requests", lamp).await.ok())
    }

    /// Makes an offer.
    pub async fn offer(&self, request: &str, amount: &str) -> String {
        let path = format!("/api/marketplace/requests/{request}/offers");
        id_of(&self.post(&path, json!({ "amount": amount, "currency": "USD" })).await.ok())
    }

    /// Takes an offer.
    pub async fn accept(&self, offer: &str) -> Value {
        self.post_nothing(&format!("/api/marketplace/offers/{offer}/accept")).await.ok()
    }

    /// Begins to pay with one's own wallet.
    pub async fn pay(&self, request: &str) -> String {
        let payment = json!({ "requestId": request, "provider": "decentralized" });
        id_of(&self.post("/api/payments", payment).await.ok())
    }

    /// A request of this buyer on which an offer of the seller for 35.50 USD is accepted.
    pub async fn buys_from(&self, seller: &Trader<'_>) -> String {
        let request = self.request().await;
        let offer = seller.offer(&request, "35.50").await;
        self.accept(&offer).await;
        request
    }
}

/// The id of a document.
pub fn id_of(document: &Value) -> String {
    assert_eq!(document["id"], document["_id"], "{document}");
    document["id"].as_str().expect("an id").to_owned()
}
