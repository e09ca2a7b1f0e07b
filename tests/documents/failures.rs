//! Operations fail as the description tells, and not otherwise.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use stoa::config::{AccountsMode, Argon2Config, DevelopmentSecret};

use super::description::{Description, text};
use crate::support::{TestApp, app::API_KEY, http_client, within};

/// What is answered to a request.
struct Refusal {
    status: u16,
    problem: Value,
}

/// One operation, and what its description tells of it.
struct Operation<'a> {
    call: String,
    method: Method,
    url: String,
    told: &'a Value,
    description: &'a Description,
    http: &'a reqwest::Client,
    /// The token of an admin, where a backend service may not ask.
    admin: Option<String>,
}

impl Operation<'_> {
    /// The request of the example, by who may ask; its path has `place` for each parameter.
    fn request(&self, place: &str) -> RequestBuilder {
        self.by_who_may(self.nobodys(place))
    }

    /// By the backend service, or an admin.
    fn by_who_may(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.admin {
            Some(token) => request.bearer_auth(token),
            None => request.header("x-api-key", API_KEY),
        }
    }

    fn nobodys(&self, place: &str) -> RequestBuilder {
        let mut url = self.url.clone();
        while let (Some(from), Some(to)) = (url.find('{'), url.find('}')) {
            url.replace_range(from..=to, place);
        }
        self.http.request(self.method.clone(), url)
    }

    /// The list, with nothing on a page.
    fn page_of_none(&self) -> RequestBuilder {
        let mut url = format!("{}?limit=0", self.url);
        for parameter in ["{id}", "{room}", "{name}"] {
            url = url.replace(parameter, "x-1");
        }
        self.by_who_may(self.http.get(url))
    }

    fn has_parameter(&self, place: &str) -> bool {
        let parameters = self.told["parameters"].as_array();
        parameters.is_some_and(|all| all.iter().any(|parameter| parameter["in"] == place))
    }

    /// Whether it takes a header that many do.
    fn takes(&self, header: &str) -> bool {
        let parameters = self.told["parameters"].as_array();
        let named = json!({ "$ref": format!("#/components/parameters/{header}") });
        parameters.is_some_and(|all| all.contains(&named))
    }

    fn takes_body(&self) -> bool {
        self.told["requestBody"].is_object()
    }

    fn body(&self) -> Value {
        self.told["requestBody"]["content"]["application/json"]["example"].clone()
    }

    /// Sends it. What is refused is refused as the description tells.
    async fn send(&self, request: RequestBuilder) -> Refusal {
        let answer = within(&self.call, request.send()).await.expect("an answer");
        let status = answer.status().as_u16();
        let problem = answer.json().await.unwrap_or(Value::Null);
        if status >= 400 {
            let code = text(&problem["code"]);
            let told = self.description.failures_of(self.told);
            let shown = told.get(&status).and_then(|problems| problems.get(&code));
            assert!(shown.is_some(), "{} does not tell of {status} {code}: {problem}", self.call);
        }
        Refusal { status, problem }
    }

    /// Sends what is refused with that status where `so`, and is not refused so elsewhere.
    async fn refuses(&self, request: RequestBuilder, status: u16, so: bool) -> Value {
        let refusal = self.send(request).await;
        let Refusal { status: answered, problem } = &refusal;
        assert_eq!(*answered == status, so, "{}: {answered} {problem}", self.call);
        refusal.problem
    }
}

async fn start() -> TestApp {
    TestApp::with(|config| {
        config.accounts.mode = AccountsMode::On;
        config.accounts.argon2 = Argon2Config { memory_kib: 64, passes: 1, lanes: 1 };
        config.limits.enabled = false;
        let path = config.data.join("jwt-secret");
        config.development_secret = Some(DevelopmentSecret { path, made: false });
    })
    .await
}

fn all<'a>(
    app: &TestApp,
    description: &'a Description,
    http: &'a reqwest::Client,
) -> Vec<Operation<'a>> {
    let operations = description.operations().into_iter();
    // Without a provider there is nobody whose callbacks would be read.
    let operations = operations.filter(|(_, path, _)| !path.starts_with("/api/webhooks/"));
    let all = operations.map(|(method, path, operation)| Operation {
        call: format!("{method} {path}"),
        url: format!("http://{}{path}", app.address()),
        method,
        told: operation,
        admin: path.starts_with("/api/webhook-endpoints").then(|| app.token("root", &["admin"])),
        description,
        http,
    });
    all.collect()
}

#[tokio::test]
async fn who_may_not_ask_is_refused_as_the_description_tells() {
    let (app, http) = (start().await, http_client());
    let description = Description::of(&app).await;
    let (user, blocked) = (app.token("ann", &["user"]), app.token("bob", &["user"]));
    let answer = app.post("/api/users/bob/block", json!({})).await;
    assert_eq!(answer.status, 204, "{answer:?}");
    for operation in all(&app, &description, &http) {
        let body = operation.body();
        let with_body = |request: RequestBuilder| {
            if operation.takes_body() { request.json(&body) } else { request }
        };
        let told = description.failures_of(operation.told);
        let closed = told.get(&401).is_some_and(|problems| problems.contains_key("token_missing"));
        let nobody = operation.send(with_body(operation.nobodys("x-1"))).await;
        let shut_out = with_body(operation.nobodys("x-1").bearer_auth(&blocked));
        let shut_out = operation.send(shut_out).await;
        if closed {
            assert_eq!(nobody.problem["code"], "token_missing", "{}", operation.call);
            assert_eq!(shut_out.problem["code"], "user_blocked", "{}", operation.call);
        }
        let foreign = with_body(operation.request("x-1").header("origin", "https://else.example"));
        operation.refuses(foreign, 403, !operation.method.is_safe()).await;
        operation.send(with_body(operation.nobodys("x-1").bearer_auth(&user))).await;
    }
}

#[tokio::test]
async fn what_can_not_be_read_is_refused_as_the_description_tells() {
    let (app, http) = (start().await, http_client());
    let description = Description::of(&app).await;
    let too_large = format!("\"{}\"", "x".repeat(4 << 20));
    for operation in all(&app, &description, &http) {
        let body = operation.takes_body();
        let told = description.failures_of(operation.told);
        for status in [408, 413, 415] {
            assert_eq!(told.contains_key(&status), body, "{}: {status}", operation.call);
        }
        let path = operation.has_parameter("path");
        if path {
            let json = || json!({});
            operation.refuses(operation.request("%FF").json(&json()), 400, true).await;
            let refused =
                operation.refuses(operation.request("%20").json(&json()), 422, true).await;
            assert_eq!(refused["code"], "invalid_payload", "{}", operation.call);
        }
        if operation.has_parameter("query") {
            let refused = operation.refuses(operation.page_of_none(), 422, true).await;
            assert_eq!(refused["errors"][0]["pointer"], "/limit", "{}", operation.call);
        }
        let bad_key = operation.request("x-1").header("idempotency-key", "a b");
        let takes_key = operation.takes("IdempotencyKey");
        let is_open = operation.told["security"] == json!([{}]);
        let is_whole = operation.method == Method::POST
            && !is_open
            && !["/api/auth/", "/api/webhooks"].iter().any(|own| operation.url.contains(own));
        assert_eq!(takes_key, is_whole, "{}", operation.call);
        if takes_key {
            assert!(told[&409].contains_key("conflict"), "{}", operation.call);
            operation.refuses(bad_key.json(&json!({})), 400, true).await;
        }
        let acts = operation.takes("ActAs");
        if acts {
            let nobody = operation.request("x-1").header("x-act-as", "a b").json(&json!({}));
            operation.refuses(nobody, 400, true).await;
        }
        let malformed = told.contains_key(&400);
        assert_eq!(malformed, path || body || takes_key || acts, "{}", operation.call);
        if body {
            unread(&operation, &too_large).await;
        }
    }
}

/// A body that is none, is of another type, has another field, or is too large.
async fn unread(operation: &Operation<'_>, too_large: &str) {
    let json = |body: String| {
        operation.request("x-1").header("content-type", "application/json").body(body)
    };
    operation.refuses(json("{".to_owned()), 400, true).await;
    operation.refuses(operation.request("x-1").body("{}"), 415, true).await;
    let mut other = operation.body();
    other["colour"] = json!("green");
    let refused = operation.refuses(json(other.to_string()), 422, true).await;
    assert_eq!(refused["errors"][0]["pointer"], "/colour", "{}", operation.call);
    operation.refuses(json(too_large.to_owned()), 413, true).await;
}
