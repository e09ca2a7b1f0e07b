//! Every call of chat and of the marketplace that is a user's is answered a service that acts for them
//! as it is answered to themselves.

use std::collections::BTreeSet;

use parking_lot::Mutex;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Person, TestApp, app::Answer, market::a_lamp};

/// Calls that no user makes.
const OF_SERVICES: [&str; 2] = [
    "POST /api/marketplace/template-checkouts/{id}/payment",
    "GET /api/marketplace/requests/{id}/timeline",
];

/// A story that is told by people themselves, or by a backend for them.
struct Story<'a> {
    app: &'a TestApp,
    acted: bool,
    told: Mutex<Vec<(String, String, u16)>>,
}

impl Story<'_> {
    fn person(&self, id: &str, roles: &[&str]) -> Person {
        let id = format!("{id}-{}", self.acted);
        if self.acted { self.app.acted_for(&id, roles) } else { self.app.person_as(&id, roles) }
    }

    async fn call(&self, person: &Person, method: Method, path: &str, body: Value) -> Answer {
        let body = Some(body).filter(|body| !body.is_null());
        let answer = person.call(method.clone(), path, body).await;
        let told = (method.to_string(), path.to_owned(), answer.status.as_u16());
        self.told.lock().push(told);
        answer
    }

    async fn post(&self, person: &Person, path: &str, body: Value) -> Value {
        self.call(person, Method::POST, path, body).await.ok()
    }

    async fn get(&self, person: &Person, path: &str) -> Value {
        self.call(person, Method::GET, path, Value::Null).await.ok()
    }

    async fn talk(&self) {
        let [ann, bob] = ["ann", "bob"].map(|id| self.person(id, &["user"]));
        let people = json!({ "participantIds": [bob.id], "type": "group", "title": "Trip" });
        let begun = self.post(&ann, "/api/conversations", people).await;
        assert_eq!(begun["conversation"]["createdBy"], json!(ann.id));
        let id = begun["conversation"]["id"].as_str().expect("an id");
        let path = |rest: &str| format!("/api/conversations/{id}{rest}");
        let seen = self.get(&bob, "/api/conversations").await;
        assert_eq!(seen["items"][0]["id"], id, "{seen}");
        self.get(&bob, &path("")).await;
        let sent = self.post(&ann, &path("/messages"), json!({ "content": "Hello" })).await;
        let message = sent["message"]["id"].as_str().expect("an id");
        assert_eq!(sent["message"]["sender"]["id"], json!(ann.id));
        let seen = self.get(&bob, &path("/messages")).await;
        assert_eq!(seen["items"][0]["id"], message, "{seen}");
        let of_message = |rest: &str| format!("/api/messages/{message}{rest}");
        let read = self.post(&bob, &path("/read"), json!({ "messageId": message })).await;
        assert_eq!(read["modifiedCount"], 1, "{read}");
        for method in [Method::PUT, Method::DELETE] {
            self.call(&bob, method, &of_message("/reactions/:ok:"), Value::Null).await.ok();
        }
        let other = json!({ "content": "Hello!" });
        let refused = self.call(&bob, Method::PATCH, &of_message(""), other.clone()).await;
        assert_eq!(refused.problem(403), "forbidden", "only who wrote it");
        self.call(&ann, Method::PATCH, &of_message(""), other).await.ok();
        self.call(&ann, Method::DELETE, &of_message(""), Value::Null).await.ok();
        let cat = self.person("cat", &["user"]);
        assert_eq!(self.call(&cat, Method::GET, &path(""), Value::Null).await.status, 404);
        self.post(&bob, &path("/participants"), json!({ "userId": cat.id })).await;
        let people = self.get(&cat, &path("/participants")).await;
        assert_eq!(people["items"].as_array().map(Vec::len), Some(3), "{people}");
        let out = path(&format!("/participants/{}", cat.id));
        assert_eq!(self.call(&bob, Method::DELETE, &out, Value::Null).await.status, 403);
        self.call(&ann, Method::DELETE, &out, Value::Null).await.ok();
        self.post(&bob, &path("/archive"), Value::Null).await;
    }

    async fn trade(&self) {
        let (bea, sam) = (self.person("bea", &["buyer"]), self.person("sam", &["seller"]));
        let requests = "/api/marketplace/requests";
        let mut ids = Vec::new();
        for _ in 0..2 {
            let request = self.post(&bea, requests, a_lamp()).await;
            assert_eq!(request["buyerId"], json!(bea.id));
            ids.push(request["id"].as_str().expect("an id").to_owned());
        }
        let of = |n: usize, rest: &str| format!("{requests}/{}{rest}", ids[n]);
        self.get(&bea, requests).await;
        self.get(&sam, &of(0, "")).await;
        let title = json!({ "title": "A lamp!" });
        assert_eq!(self.call(&sam, Method::PATCH, &of(0, ""), title.clone()).await.status, 403);
        self.call(&bea, Method::PATCH, &of(0, ""), title).await.ok();
        let offer = json!({ "amount": 30, "currency": "USD" });
        let own = self.call(&bea, Method::POST, &of(0, "/offers"), offer.clone()).await;
        assert_eq!(own.status, 403, "a buyer makes no offers");
        let mut offers = Vec::new();
        for last in ["reject", "withdraw", "accept"] {
            let made = self.post(&sam, &of(0, "/offers"), offer.clone()).await;
            assert_eq!(made["sellerId"], json!(sam.id));
            let path = format!("/api/marketplace/offers/{}", made["id"].as_str().expect("an id"));
            match last {
                "withdraw" => drop(self.call(&sam, Method::DELETE, &path, Value::Null).await.ok()),
                last => drop(self.post(&bea, &format!("{path}/{last}"), Value::Null).await),
            }
            offers.push(made);
        }
        let seen = self.get(&bea, &of(0, "/offers")).await;
        assert_eq!(seen["items"].as_array().map(Vec::len), Some(offers.len()), "{seen}");
        let checkouts = "/api/marketplace/template-checkouts";
        let checkout = self.post(&bea, checkouts, json!({ "requestIds": [ids[0]] })).await;
        assert_eq!(checkout["buyerId"], json!(bea.id));
        let checkout = checkout["id"].as_str().expect("an id");
        self.get(&sam, &format!("{checkouts}/{checkout}")).await;
        let payment = bea.pay(&ids[0]).await;
        let paid = json!({ "txHash": format!("0x{}", hex::encode(bea.id.as_bytes())) });
        self.app.post(&format!("/api/payments/{payment}/confirm"), paid).await.ok();
        let shipped = json!({ "status": "shipped" });
        self.call(&sam, Method::PATCH, &of(0, "/delivery"), shipped).await.ok();
        let code = self.post(&sam, &of(0, "/delivery/code"), Value::Null).await;
        let code = json!({ "code": code["deliveryCode"] });
        self.post(&bea, &of(0, "/delivery/confirm"), code).await;
        let confirm = of(0, "/delivery/buyer-confirm");
        let late = self.call(&bea, Method::POST, &confirm, Value::Null).await;
        assert!([200, 409].contains(&late.status.as_u16()), "{late:?}");
        self.post(&bea, &of(0, "/complete"), Value::Null).await;
        self.post(&bea, &of(1, "/cancel"), json!({ "reason": "No need" })).await;
    }

    fn told(self) -> Vec<(String, u16)> {
        let told = self.told.into_inner();
        told.into_iter()
            .map(|(method, path, status)| (format!("{method} {path}"), status))
            .collect()
    }
}

/// Whether a path is one of this template.
fn is_of(path: &str, template: &str) -> bool {
    let (path, template) = (path.split('/'), template.split('/'));
    path.clone().count() == template.clone().count()
        && path.zip(template).all(|(part, of)| part == of || of.starts_with('{'))
}

#[tokio::test]
async fn every_call_of_chat_and_of_the_marketplace_is_answered_as_the_user() {
    let app = TestApp::start().await;
    let mut all = Vec::new();
    for acted in [false, true] {
        let story = Story { app: &app, acted, told: Mutex::default() };
        story.talk().await;
        story.trade().await;
        all.push(story.told());
    }
    let statuses =
        |told: &[(String, u16)]| told.iter().map(|(_, status)| *status).collect::<Vec<_>>();
    assert_eq!(statuses(&all[0]), statuses(&all[1]), "{:#?}", all[1]);

    let description = app.get("/api/openapi.json").await.ok();
    let mut missing = BTreeSet::new();
    for (template, item) in description["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let call = format!("{} {template}", method.to_uppercase());
            let ours = ["Chat", "Marketplace"].iter().any(|tag| operation["tags"][0] == *tag);
            let seen = all[1].iter().any(|(told, _)| is_of(told, &call));
            if ours && !seen && !OF_SERVICES.contains(&&*call) {
                missing.insert(call);
            }
        }
    }
    assert_eq!(missing, BTreeSet::new());
}
