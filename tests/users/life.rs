//! Somebody who has left something everywhere.

use reqwest::Method;
use serde_json::{Value, json};
use stoa::config::{AccountsMode, Argon2Config, Config};

use crate::support::{
    Person, TestApp,
    app::{API_KEY, notifying},
    market::id_of,
};

/// What nobody is to find afterwards: it is in every word and name of hers.
pub const TRACE: &str = "zuleika";

/// Her, what she wrote, and what has her id and stays.
pub struct Life {
    pub person: Person,
    pub refresh_token: String,
    /// A group of hers with bob, and one of bob's with her.
    pub conversations: [String; 2],
    /// What she wrote there, the first edited.
    pub messages: Vec<String>,
    /// Bob's message, to which she reacted.
    pub bobs: String,
    /// Paid for, open, and called off.
    pub requests: [String; 3],
    /// On a request of bob's, waiting.
    pub offer: String,
    pub payment: String,
}

/// What all of it needs.
pub fn configure(config: &mut Config) {
    notifying(config);
    config.accounts.mode = AccountsMode::On;
    config.accounts.argon2 = Argon2Config { memory_kib: 64, passes: 1, lanes: 1 };
    config.limits.enabled = false;
}

/// A POST with an `Idempotency-Key`, as the backend service.
async fn keyed_service(app: &TestApp, key: &str, path: &str, body: &Value) -> Value {
    let headers = [("x-api-key", API_KEY), ("idempotency-key", key)];
    app.post_with(path, &headers, body).await.ok()
}

impl Life {
    pub async fn live(app: &TestApp) -> Self {
        let bob = app.person_with("bob", json!({ "firstName": "Bob" }));
        let code = bob.get("/api/points/me").await.ok();
        let details = json!({
            "email": format!("{TRACE}@example.org"), "password": "correct horse battery",
            "firstName": format!("{TRACE}-first"), "lastName": format!("{TRACE}-last"),
            "referralCode": code["referralCode"], "role": "buyer",
        });
        let signed_in = app.post_with("/api/auth/register", &[], &details).await.ok();
        // By another app's token she buys and sells.
        let person = app.person_with(
            signed_in["user"]["id"].as_str().expect("an id"),
            json!({ "firstName": format!("{TRACE}-1"), "lastName": format!("{TRACE}-2") }),
        );
        let life = Self {
            refresh_token: signed_in["refreshToken"].as_str().expect("a token").to_owned(),
            conversations: Default::default(),
            messages: Vec::new(),
            bobs: String::new(),
            requests: Default::default(),
            offer: String::new(),
            payment: String::new(),
            person,
        };
        life.talk(app, &bob).await.trade(&bob).await
    }

    async fn talk(mut self, app: &TestApp, bob: &Person) -> Self {
        let user = self.person.id.clone();
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let words = format!("{TRACE} says hello");
        let group = json!({
            "participantIds": ["bob"], "type": "group", "title": words, "metadata": { "a": words },
        });
        let made = self.person.post_keyed("/api/conversations", "group", &group).await.ok();
        self.conversations[0] = text(&made["conversation"]["id"]);
        let group = json!({ "participantIds": ["carol"], "type": "group", "title": "Bob's" });
        let made = bob.post_keyed("/api/conversations", "bobs", &group).await.ok();
        self.conversations[1] = text(&made["conversation"]["id"]);
        let path = format!("/api/conversations/{}/participants", self.conversations[1]);
        bob.post_keyed(&path, "add", &json!({ "userId": user })).await.ok();
        let bobs = format!("/api/conversations/{}/messages", self.conversations[1]);
        let sent = bob.post_keyed(&bobs, "sent", &json!({ "content": "Welcome" })).await.ok();
        self.bobs = text(&sent["message"]["id"]);
        for (number, conversation) in (0..4).zip(self.conversations.iter().cycle()) {
            let body = json!({
                "content": words, "metadata": { "mood": words }, "clientMessageId": format!("{TRACE}{number}"),
                "attachments": [{ "url": format!("https://a/{TRACE}"), "name": words }],
            });
            let path = format!("/api/conversations/{conversation}/messages");
            let key = format!("message{number}");
            let sent = self.person.post_keyed(&path, &key, &body).await.ok();
            self.messages.push(text(&sent["message"]["id"]));
        }
        let edit = json!({ "content": format!("{words} again") });
        self.person.patch(&format!("/api/messages/{}", self.messages[0]), edit).await.ok();
        let liked = |message: &str| format!("/api/messages/{message}/reactions/👍");
        self.person.put(&liked(&self.bobs)).await.ok();
        bob.put(&liked(&self.messages[1])).await.ok();
        let path = format!("/api/conversations/{}/read", self.conversations[1]);
        self.person.post(&path, json!({ "messageId": self.bobs })).await.ok();
        let told = json!({
            "userId": user, "type": "note", "title": words, "body": words, "data": { "a": words },
        });
        keyed_service(app, "told", "/api/notifications", &told).await;
        let all = json!({ "userIds": [user, "bob"], "type": "n", "title": "To all", "body": "b" });
        keyed_service(app, "all", "/api/notifications", &all).await;
        let award = json!({ "userId": user, "points": 50, "reason": words, "reference": "r1" });
        keyed_service(app, "award", "/api/points/awards", &award).await;
        let reward = json!({ "referredUserId": user, "points": 20 });
        keyed_service(app, "reward", "/api/points/referrals/reward", &reward).await;
        let grant = format!("/api/rooms/backstage/members/{user}");
        app.request(Method::PUT, &grant, Some(API_KEY), None).await.ok();
        self
    }

    async fn trade(mut self, bob: &Person) -> Self {
        let words = format!("{TRACE} wants a lamp");
        let lamp = json!({
            "title": words, "description": words, "category": TRACE, "metadata": { "a": words },
            "budget": { "amount": 40.5, "currency": "USD" },
        });
        let post = async |who: &Person, key: &str, path: String, body: &Value| {
            id_of(&who.post_keyed(&format!("/api{path}"), key, body).await.ok())
        };
        let her = &self.person;
        for number in 0..3 {
            let key = format!("lamp{number}");
            self.requests[number] =
                post(her, &key, "/marketplace/requests".to_owned(), &lamp).await;
        }
        let [bought, open, cancelled] = self.requests.clone();
        let offers = |request: &str| format!("/marketplace/requests/{request}/offers");
        let price = json!({ "amount": "35.50", "currency": "USD" });
        post(bob, "waiting", offers(&cancelled), &price).await;
        let refused = post(bob, "refused", offers(&open), &price).await;
        let path = format!("/marketplace/offers/{refused}/reject");
        post(her, "reject", path, &json!({ "reason": words })).await;
        post(bob, "again", offers(&open), &price).await;
        let offer = post(bob, "offer", offers(&bought), &price).await;
        her.accept(&offer).await;
        let pay = json!({ "requestId": bought, "provider": "decentralized" });
        self.payment = post(her, "pay", "/payments".to_owned(), &pay).await;
        let path = format!("/marketplace/requests/{cancelled}/cancel");
        post(her, "cancel", path, &json!({ "reason": words })).await;
        let chair = json!({
            "title": "A chair", "description": "Red", "budget": { "amount": 9, "currency": "USD" },
        });
        let chair = post(bob, "chair", "/marketplace/requests".to_owned(), &chair).await;
        let offer = json!({ "amount": 8, "currency": "USD", "message": words });
        self.offer = post(her, "her-offer", offers(&chair), &offer).await;
        self
    }
}
