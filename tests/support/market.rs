//! The marketplace over REST, as its buyers, sellers and admins use it.

use serde_json::{Value, json};

use super::{Person, TestApp};

impl TestApp {
    /// A buyer, who is not connected.
    pub fn buyer(&self, id: &str) -> Person {
        self.person_as(id, &["buyer"])
    }

    /// A seller, who is not connected.
    pub fn seller(&self, id: &str) -> Person {
        self.person_as(id, &["seller"])
    }

    /// An admin, who is not connected.
    pub fn admin(&self) -> Person {
        self.person_as("root", &["admin"])
    }
}

/// A request for a lamp.
pub fn a_lamp() -> Value {
    json!({
        "title": "A lamp",
        "description": "Green",
        "budget": { "amount": 40, "currency": "USD" },
    })
}

impl Person {
    /// Makes a request for a lamp; its id.
    pub async fn request(&self) -> String {
        id_of(&self.post("/api/marketplace/requests", a_lamp()).await.created())
    }

    /// Makes an offer; its id.
    pub async fn offer(&self, request: &str, amount: &str) -> String {
        let path = format!("/api/marketplace/requests/{request}/offers");
        id_of(&self.post(&path, json!({ "amount": amount, "currency": "USD" })).await.created())
    }

    /// Takes an offer; the request.
    pub async fn accept(&self, offer: &str) -> Value {
        self.post_nothing(&format!("/api/marketplace/offers/{offer}/accept")).await.ok()
    }

    /// Begins to pay with one's own wallet; the payment's id.
    pub async fn pay(&self, request: &str) -> String {
        let payment = json!({ "requestId": request, "provider": "decentralized" });
        id_of(&self.post("/api/payments", payment).await.ok())
    }

    /// A request of this buyer on which an offer of the seller for 35.50 USD is accepted.
    pub async fn buys_from(&self, seller: &Self) -> String {
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
