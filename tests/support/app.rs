//! A server of the test's own: a real port, its own data folder, known keys.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use jsonwebtoken::{EncodingKey, Header, encode};
use reqwest::{Method, StatusCode};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _};
use stoa::{app::App, clock::Clock, cluster::State, config::Config};
use tempfile::TempDir;

use super::{
    DEADLINE, eventually, http_client,
    options::{ConnectError, Options},
    postgres::Postgres,
    socket::{Client, FENCE},
    within_time,
};

/// The HS256 key of every test's server.
pub const SECRET: &str = "a secret that only the tests of this project know";

/// The API key that may do everything.
pub const API_KEY: &str = "test-api-key";

/// The API key that may emit nothing but `payment-…` to `user-…`.
pub const NARROW_KEY: &str = "test-api-key-for-payments";

/// The API key that may act for users, too.
pub const ACT_KEY: &str = "test-api-key-that-acts";

/// How long a token of the tests lives, in seconds.
const TOKEN_SECONDS: i64 = 3600;

/// A running server, and the backend service that talks to it with an API key.
pub struct TestApp {
    app: App,
    backend: Backend,
    clock: Clock,
    config: Config,
    data: TempDir,
}

/// REST with an API key.
#[derive(Clone)]
pub(super) struct Backend {
    pub(super) address: SocketAddr,
    http: reqwest::Client,
    fences: Arc<AtomicU64>,
}

/// What REST answered.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: http::HeaderMap,
    /// The body, `Null` when there is none.
    pub body: Value,
}

impl TestApp {
    /// A server as configured for tests; on Postgres where `STOA_TEST_STORE=postgres`.
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// A server with another configuration.
    pub async fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::with_clock(Clock::system(), change).await
    }

    /// A server with another configuration, on SQLite wherever the others run: for tests that look into
    /// its file.
    pub async fn on_sqlite(change: impl FnOnce(&mut Config)) -> Self {
        let change = |config: &mut Config| {
            change(config);
            config.database.url = None;
        };
        Self::with(change).await
    }

    /// A server whose time the test sets.
    pub async fn with_clock(clock: Clock, change: impl FnOnce(&mut Config)) -> Self {
        let data = TempDir::new().expect("a folder");
        let mut config = Config::for_tests();
        config.data = data.path().to_owned();
        config.server.host = Ipv4Addr::LOCALHOST.into();
        config.server.port = 0;
        config.database.url = test_database().await.map(Into::into);
        config.auth.jwt_secret = Some(SECRET.into());
        config.auth.api_keys = vec![
            format!("tests:{}", hex::encode(Sha256::digest(API_KEY))),
            format!("backend:{}:act", hex::encode(Sha256::digest(ACT_KEY))),
            format!(
                "payments:{}:event=payment-+room=user-",
                hex::encode(Sha256::digest(NARROW_KEY))
            ),
        ];
        notify_of_nothing(&mut config);
        change(&mut config);
        Box::pin(Self::run(config, clock, data)).await
    }

    async fn run(config: Config, clock: Clock, data: TempDir) -> Self {
        let app = Box::pin(App::start(config.clone(), clock.clone())).await.expect("a server");
        let backend =
            Backend { address: app.address(), http: http_client(), fences: Arc::default() };
        Self { app, backend, clock, config, data }
    }

    /// Stops it, and starts another on the same data.
    pub async fn restart(self) -> Self {
        self.restart_after(|_| {}).await
    }

    /// The same, with something done to its data folder in between.
    pub async fn restart_after(self, change: impl FnOnce(&Path)) -> Self {
        self.app.stop();
        within_time(DEADLINE, "the server to stop", self.app.stopped()).await;
        change(self.data.path());
        Self::run(self.config, self.clock, self.data).await
    }

    /// The same, with another configuration.
    pub async fn restart_with(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self.restart().await
    }

    /// Its data folder.
    pub fn data(&self) -> &Path {
        self.data.path()
    }

    /// Its database, beside the server.
    pub fn database(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.data.path().join("stoa.db")).expect("the database")
    }

    /// The URL of its database, where that is on Postgres.
    pub fn database_url(&self) -> Option<String> {
        self.config.database.url.as_ref().map(|url| url.expose_secret().to_owned())
    }

    /// Carries a statement out in its database, past it.
    pub async fn execute(&self, sql: &str) {
        match self.database_url() {
            None => self.database().execute_batch(sql).expect(sql),
            Some(url) => {
                let mut connection = PgConnection::connect(&url).await.expect("a connection");
                connection.execute(AssertSqlSafe(sql.to_owned())).await.expect(sql);
                connection.close().await.expect("its end");
            }
        }
    }

    /// The number that a query gives in its database, past it.
    pub async fn count(&self, sql: &str) -> i64 {
        match self.database_url() {
            None => self.database().query_row(sql, [], |row| row.get(0)).expect(sql),
            Some(url) => {
                let mut connection = PgConnection::connect(&url).await.expect("a connection");
                let row = connection.fetch_one(AssertSqlSafe(sql.to_owned())).await.expect(sql);
                row.get(0)
            }
        }
    }

    pub(super) fn backend(&self) -> &Backend {
        &self.backend
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.backend.address
    }

    /// The code that lets a developer into the console, where there is one.
    pub fn login_code(&self) -> Option<&str> {
        self.app.login_code()
    }

    /// A token for the user, with these roles.
    pub fn token(&self, user: &str, roles: &[&str]) -> String {
        self.token_with(user, json!({ "roles": roles }))
    }

    /// A token for the user, with more claims, which may replace `exp` and `iat`.
    pub fn token_with(&self, user: &str, claims: Value) -> String {
        let now = self.clock.now().seconds();
        let mut all = json!({ "userId": user, "iat": now, "exp": now + TOKEN_SECONDS });
        let Value::Object(claims) = claims else { panic!("claims are an object") };
        all.as_object_mut().expect("an object").extend(claims);
        sign(&all, SECRET)
    }

    /// A token for the user that ends after `life`, in whole seconds.
    pub fn short_token(&self, user: &str, life: Duration) -> String {
        let ends = (self.clock.now() + life).seconds();
        self.token_with(user, json!({ "exp": ends }))
    }

    /// Connects a client in this way.
    pub async fn connect(&self, options: Options) -> Result<Client, ConnectError> {
        Client::connect(self.address(), options).await
    }

    /// Why a client is refused.
    pub async fn refusal(&self, options: Options) -> String {
        match self.connect(options).await {
            Err(ConnectError::Refused { message }) => message,
            Err(other) => panic!("not a connect_error: {other}"),
            Ok(_) => panic!("connected"),
        }
    }

    /// Emits through REST; gives the number of sockets that it went to.
    pub async fn emit(&self, to: Value, event: &str, data: Value) -> u64 {
        self.backend.emit(to, event, data).await
    }

    /// Emits to a room through REST.
    pub async fn emit_to_room(&self, room: &str, event: &str, data: Value) -> u64 {
        self.emit(json!({ "room": room }), event, data).await
    }

    /// `GET` as the backend service.
    pub async fn get(&self, path: &str) -> Answer {
        self.request(Method::GET, path, Some(API_KEY), None).await
    }

    /// `POST` as the backend service.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.request(Method::POST, path, Some(API_KEY), Some(body)).await
    }

    /// Any request, with this API key.
    pub async fn request(
        &self,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: Option<Value>,
    ) -> Answer {
        self.backend.request(method, path, key, body).await
    }

    /// `POST` with these headers alone.
    pub async fn post_with(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        self.backend.post_with(path, headers, body).await
    }

    /// Any request without a body, with this cookie alone.
    pub async fn cookie_request(&self, method: Method, path: &str, cookie: &str) -> Answer {
        self.backend.send(method, path, Some(("cookie", cookie.to_owned())), None).await
    }

    /// What REST knows of a user's presence.
    pub async fn presence(&self, user: &str) -> Value {
        self.get(&format!("/api/presence/{user}")).await.ok()
    }

    /// Asks for a user's presence until they are offline.
    pub async fn until_offline(&self, user: &str, deadline: Duration) {
        self.until(
            &format!("/api/presence/{user}"),
            deadline,
            &format!("{user} offline"),
            |answer| answer.body["status"] == "offline",
        )
        .await;
    }

    /// Asks again and again until the answer is as wanted.
    pub async fn until(
        &self,
        path: &str,
        deadline: Duration,
        what: &str,
        wanted: impl Fn(&Answer) -> bool,
    ) -> Answer {
        let ask = async || Some(self.get(path).await).filter(&wanted);
        within_time(deadline, what, eventually(ask)).await
    }

    /// Waits until it hears other nodes.
    pub async fn joined(&self) {
        let mut state = self.app.cluster().expect("nodes that it joins");
        let joined = state.wait_for(|state| *state == State::Connected);
        within_time(DEADLINE, "Redis", joined).await.expect("a server that runs");
    }

    /// Waits until it knows that it does not hear them.
    pub async fn parted(&self) {
        let mut state = self.app.cluster().expect("nodes that it joins");
        let parted = state.wait_for(|state| matches!(state, State::Away(_)));
        within_time(2 * DEADLINE, "the loss of Redis", parted).await.expect("a server that runs");
    }

    /// Begins to drain.
    pub fn stop(&self) {
        self.app.stop();
    }

    /// Drains, and returns when everything has ended.
    pub async fn shutdown(self, deadline: Duration) {
        self.app.stop();
        within_time(deadline, "the server to stop", self.app.stopped()).await;
    }
}

/// What happens makes notifications, as by default.
pub fn notifying(config: &mut Config) {
    config.notifications = Config::for_tests().notifications;
}

/// What happens makes no notifications, so that a test hears what it is about, unless it
/// is [`notifying`].
fn notify_of_nothing(config: &mut Config) {
    let causes = &mut config.notifications.causes;
    for cause in [
        &mut causes.offer_received,
        &mut causes.offer_accepted,
        &mut causes.offer_rejected,
        &mut causes.request_cancelled,
        &mut causes.delivery_shipped,
        &mut causes.delivery_confirmed,
        &mut causes.payment_received,
        &mut causes.payout_completed,
        &mut causes.message_received,
    ] {
        cause.enabled = false;
    }
}

/// The URL of a database of the test's own, where tests run on Postgres.
pub async fn test_database() -> Option<String> {
    if std::env::var("STOA_TEST_STORE").is_ok_and(|store| store == "postgres") {
        let postgres = Postgres::shared();
        return Some(postgres.database().await);
    }
    None
}

/// Signs claims with HS256.
pub fn sign(claims: &Value, secret: &str) -> String {
    let key = EncodingKey::from_secret(secret.as_bytes());
    encode(&Header::default(), claims, &key).expect("a token")
}

impl Backend {
    async fn request(
        &self,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: Option<Value>,
    ) -> Answer {
        self.send(method, path, key.map(|key| ("x-api-key", key.to_owned())), body).await
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(super) async fn post_with(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Answer {
        let mut request = self.http.post(self.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.answer(path, request.json(body)).await
    }

    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        credentials: impl IntoIterator<Item = (&str, String)>,
        body: Option<Value>,
    ) -> Answer {
        let mut request = self.http.request(method, self.url(path));
        for (header, value) in credentials {
            request = request.header(header, value);
        }
        if let Some(body) = &body {
            request = request.json(body);
        }
        self.answer(path, request).await
    }

    async fn answer(&self, path: &str, request: reqwest::RequestBuilder) -> Answer {
        let answer = within_time(DEADLINE, path, request.send()).await;
        let answer = answer.unwrap_or_else(|error| panic!("{path}: {error}"));
        let (status, headers) = (answer.status(), answer.headers().clone());
        let bytes = answer.bytes().await.expect("a body");
        let body = if bytes.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&bytes)
                .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()))
        };
        Answer { status, headers, body }
    }

    pub(super) async fn emit(&self, to: Value, event: &str, data: Value) -> u64 {
        let body = json!({ "to": to, "event": event, "data": data });
        let answer = self.request(Method::POST, "/api/emit", Some(API_KEY), Some(body)).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        answer.body["sockets"].as_u64().expect("how many sockets")
    }

    /// The name of an event that nobody has heard yet.
    pub(super) fn next_fence(&self) -> String {
        format!("{FENCE}.{}", self.fences.fetch_add(1, Ordering::Relaxed))
    }
}

impl Answer {
    /// The body of a success.
    pub fn ok(self) -> Value {
        assert!(self.status.is_success(), "{self:?}");
        self.body
    }

    /// The body of what was made.
    pub fn created(self) -> Value {
        assert_eq!(self.status, 201, "{self:?}");
        self.body
    }

    /// Asserts that a field is refused, the one that this points to.
    pub fn invalid(&self, pointer: &str) {
        assert_eq!(self.problem(422), "invalid_payload");
        assert_eq!(self.body["errors"][0]["pointer"], pointer, "{self:?}");
    }

    /// The stable code of a problem of that status (RFC 9457).
    pub fn problem(&self, status: u16) -> &str {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.headers["content-type"], "application/problem+json", "{self:?}");
        assert_eq!(self.body["status"], status, "{self:?}");
        assert!(self.body["requestId"].is_string(), "{self:?}");
        assert!(self.body["detail"].is_string(), "{self:?}");
        self.body["code"].as_str().expect("a code")
    }
}
