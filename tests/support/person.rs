//! Somebody who uses the server in their own name: with a token over REST, and by a socket when they
//! are connected.

use std::{
    collections::BTreeSet,
    ops::{Deref, DerefMut},
};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::{
    TestApp,
    app::{ACT_KEY, Answer, Backend},
    options::{ConnectError, Options},
    socket::Client,
};

/// A user. One who is connected is their [`Client`], too; one with several sockets is as many of them.
pub struct Person {
    /// Their id.
    pub id: String,
    /// The token that they show.
    pub token: String,
    /// What a service shows that acts for them over REST.
    acting: Option<Vec<(&'static str, String)>>,
    backend: Backend,
    client: Option<Client>,
}

impl TestApp {
    /// Somebody without a role, who is not connected.
    pub fn person(&self, id: &str) -> Person {
        self.person_as(id, &[])
    }

    /// Somebody with these roles, who is not connected.
    pub fn person_as(&self, id: &str, roles: &[&str]) -> Person {
        self.person_with(id, json!({ "roles": roles }))
    }

    /// Somebody with these claims, who is not connected.
    pub fn person_with(&self, id: &str, claims: Value) -> Person {
        self.bearer(id, &self.token_with(id, claims))
    }

    /// Whoever has this token, and is not connected.
    pub fn bearer(&self, id: &str, token: &str) -> Person {
        Person {
            id: id.to_owned(),
            token: token.to_owned(),
            acting: None,
            backend: self.backend().clone(),
            client: None,
        }
    }

    /// Somebody with these roles for whom the backend does what they do over REST.
    pub fn acted_for(&self, id: &str, roles: &[&str]) -> Person {
        let mut shown = vec![("x-api-key", ACT_KEY.to_owned()), ("x-act-as", id.to_owned())];
        if !roles.is_empty() {
            shown.push(("x-act-as-roles", roles.join(", ")));
        }
        Person { acting: Some(shown), ..self.person_as(id, roles) }
    }

    /// A user without a role, connected by websocket.
    pub async fn user(&self, id: &str) -> Person {
        self.user_with(id, &[], Options::websocket()).await
    }

    /// A user with these roles, connected in this way.
    pub async fn user_with(&self, id: &str, roles: &[&str], options: Options) -> Person {
        self.person_as(id, roles).connect_by(options).await
    }
}

impl Person {
    /// Them with a socket of its own, connected by websocket.
    pub async fn connect(&self) -> Self {
        self.connect_by(Options::websocket()).await
    }

    /// Them with a socket of its own, connected in this way.
    pub async fn connect_by(&self, options: Options) -> Self {
        let connected = self.try_connect(options).await;
        connected.unwrap_or_else(|error| panic!("{} can't connect: {error}", self.id))
    }

    /// The same, when they may not be let in.
    pub async fn try_connect(&self, options: Options) -> Result<Self, ConnectError> {
        let client = Client::connect(self.backend.address, options.bearer(&self.token)).await?;
        Ok(self.on(client))
    }

    /// Them on a socket that is connected.
    pub fn on(&self, client: Client) -> Self {
        let Self { id, token, acting, backend, .. } = self;
        Self {
            id: id.clone(),
            token: token.clone(),
            acting: acting.clone(),
            backend: backend.clone(),
            client: Some(client),
        }
    }

    /// The same at another server, such as one that was started anew.
    pub fn at(&self, app: &TestApp) -> Self {
        app.bearer(&self.id, &self.token)
    }

    /// Any request.
    pub async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let Some(client) = &self.client else {
            return self.backend.send(method, path, self.authorization(), body).await;
        };
        let sent = body.as_ref().map(|body| format!(" {body}")).unwrap_or_default();
        client.transcript.sent(&format!("{method} {path}{sent}"));
        let answer = self.backend.send(method, path, self.authorization(), body).await;
        let received = Some(&answer.body).filter(|body| !body.is_null());
        let received = received.map(|body| format!(" {body}")).unwrap_or_default();
        client.transcript.received(&format!("{}{received}", answer.status.as_u16()));
        answer
    }

    /// Any request, in a task of its own.
    pub fn spawn(&self, method: Method, path: &str, body: Option<Value>) -> JoinHandle<Answer> {
        let (backend, credentials, path) =
            (self.backend.clone(), self.authorization(), path.to_owned());
        tokio::spawn(async move { backend.send(method, &path, credentials, body).await })
    }

    fn authorization(&self) -> Vec<(&'static str, String)> {
        let own = || vec![("authorization", format!("Bearer {}", self.token))];
        self.acting.clone().unwrap_or_else(own)
    }

    /// Where they send requests for this path.
    pub fn url(&self, path: &str) -> String {
        self.backend.url(path)
    }

    /// `GET`
    pub async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, None).await
    }

    /// `POST`
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, Some(body)).await
    }

    /// `POST` with an `Idempotency-Key`.
    pub async fn post_keyed(&self, path: &str, key: &str, body: &Value) -> Answer {
        let shown = self.authorization();
        let mut headers: Vec<_> = shown.iter().map(|(name, value)| (*name, &**value)).collect();
        headers.push(("idempotency-key", key));
        self.backend.post_with(path, &headers, body).await
    }

    /// `POST` without a body.
    pub async fn post_nothing(&self, path: &str) -> Answer {
        self.call(Method::POST, path, None).await
    }

    /// `PUT` without a body.
    pub async fn put(&self, path: &str) -> Answer {
        self.call(Method::PUT, path, None).await
    }

    /// `PATCH`
    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.call(Method::PATCH, path, Some(body)).await
    }

    /// `DELETE`
    pub async fn delete(&self, path: &str) -> Answer {
        self.call(Method::DELETE, path, None).await
    }

    /// Enters a room by this event, or fails the test.
    pub async fn join(&mut self, event: &str, id: &str) {
        assert!(self.may_join(event, id).await, "{} may not {event} {id}", self.id);
    }

    /// Whether they get into a room by this event.
    pub async fn may_join(&mut self, event: &str, id: &str) -> bool {
        let ack = self.emit_ack(event, id).await;
        assert!(ack["success"] == true || ack["code"] == "forbidden", "{ack}");
        ack["success"] == true
    }

    /// Asserts that nothing has been sent to this socket but what the test has taken, and presence
    /// of others: an event emitted now comes first.
    pub async fn expect_nothing(&mut self) {
        let fence = self.emit_fence().await;
        self.expect_nothing_before(&fence).await;
    }

    /// What went over their connection since this was asked for, all that was sent to it by now.
    pub async fn transcript(&mut self) -> String {
        let fence = self.emit_fence().await;
        self.expect(&fence).await;
        self.said()
    }

    /// The names of all events that were sent to this socket and that the test has not taken.
    pub async fn heard(&mut self) -> BTreeSet<String> {
        let fence = self.emit_fence().await;
        self.expect(&fence).await;
        self.unread_events()
    }

    /// Has an event sent to this user now; its name.
    async fn emit_fence(&self) -> String {
        let fence = self.backend.next_fence();
        self.backend.emit(json!({ "user": self.id }), &fence, Value::Null).await;
        fence
    }

    /// Leaves as a browser does.
    pub async fn close(self) {
        self.into_client().close().await;
    }

    /// Is cut off without a word.
    pub async fn abort(self) {
        self.into_client().abort().await;
    }

    /// Their client alone.
    pub fn into_client(self) -> Client {
        self.client.unwrap_or_else(|| panic!("{} is not connected", self.id))
    }
}

impl Deref for Person {
    type Target = Client;

    fn deref(&self) -> &Client {
        self.client.as_ref().unwrap_or_else(|| panic!("{} is not connected", self.id))
    }
}

impl DerefMut for Person {
    fn deref_mut(&mut self) -> &mut Client {
        self.client.as_mut().unwrap_or_else(|| panic!("{} is not connected", self.id))
    }
}
