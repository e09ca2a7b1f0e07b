//! A running server that a verb asks over REST: which it is, and who asks.

use std::{env, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, header::RETRY_AFTER};
use serde::Deserialize;
use serde_json::Value;
use stoa::{
    auth::{Minter, NewToken, Role, Roles},
    config::Loaded,
    id::Id,
};
use url::Url;

use super::{
    local::{client, local_url},
    output::remark,
    sse::Events,
    token,
    unanswered::{Failed, base},
};

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How long an answer may go on that has no end; the server ends it before that.
const LONGEST: Duration = Duration::from_hours(2);

/// Items of one page, as many as a page has at most.
const PAGE: usize = 100;

/// How long is waited, where a server that is asked too fast does not say for how long.
const PAUSE: Duration = Duration::from_secs(1);

/// Which server, and with which credentials.
#[derive(clap::Args)]
pub struct Server {
    /// The server, or `STOA_URL`; without either, the configured one on this machine
    #[arg(long)]
    url: Option<String>,
    /// The API key of a backend service, or `STOA_API_KEY`
    #[arg(long, conflicts_with = "token")]
    api_key: Option<String>,
    /// A token of role service or admin, or `STOA_TOKEN`; without any credentials, one is made with the
    /// configured key
    #[arg(long)]
    token: Option<String>,
}

/// A server that answers, and what is shown to it.
pub struct Connected {
    client: Client,
    url: String,
    credentials: Credentials,
}

enum Credentials {
    Key(String),
    Token(String),
    /// A token is made with the configured key whenever one is needed.
    Made(Box<Minter>),
}

/// A server refuses.
#[derive(Debug, thiserror::Error)]
#[error("{said}")]
struct Refused {
    status: StatusCode,
    said: String,
}

/// What of a problem (RFC 9457) people read.
#[derive(Deserialize)]
struct Problem {
    title: Option<String>,
    detail: Option<String>,
}

/// A page of what is listed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    items: Vec<Value>,
    next_cursor: Option<String>,
    /// Whether another node did not answer.
    #[serde(default)]
    partial: bool,
}

/// What is listed, page by page, for as long as anyone asks.
pub struct Pages<'a> {
    server: &'a Connected,
    path: String,
    query: Vec<(&'static str, String)>,
    next: Next,
    was_partial: bool,
}

/// Which page comes next.
enum Next {
    First,
    After(String),
    None,
}

impl Server {
    /// Finds the server and the credentials: flags, then the environment, then the configuration.
    ///
    /// # Errors
    /// When the environment contradicts itself, or the configuration is not valid.
    pub fn connect(&self, load: impl Fn() -> Result<Loaded>) -> Result<Connected> {
        let url = match self.url.clone().or_else(|| variable("STOA_URL")) {
            Some(url) => base(&url).context("--url")?.to_owned(),
            None => local_url(&load()?.config.server)?,
        };
        Ok(Connected { client: client(TIMEOUT)?, url, credentials: self.credentials(load)? })
    }

    fn credentials(&self, load: impl Fn() -> Result<Loaded>) -> Result<Credentials> {
        let given = (self.api_key.clone(), self.token.clone());
        let given = match given {
            (None, None) => (variable("STOA_API_KEY"), variable("STOA_TOKEN")),
            given => given,
        };
        match given {
            (Some(_), Some(_)) => {
                bail!("STOA_API_KEY and STOA_TOKEN are both set; keep one of them")
            }
            (Some(key), None) => Ok(Credentials::Key(key)),
            (None, Some(token)) => Ok(Credentials::Token(token)),
            (None, None) => Ok(Credentials::Made(Box::new(token::minter(load()?.config)?))),
        }
    }
}

impl Credentials {
    fn show(&self, request: RequestBuilder) -> Result<RequestBuilder> {
        Ok(match self {
            Self::Key(key) => request.header("x-api-key", key),
            Self::Token(token) => request.bearer_auth(token),
            Self::Made(minter) => {
                let user = Id::new("service:cli")?;
                let token = NewToken::new(user, Roles::of(Role::Service), Duration::from_hours(1));
                request.bearer_auth(token::mint(minter, &token)?)
            }
        })
    }
}

impl Connected {
    /// Posts a body, and gives the answer as it is.
    ///
    /// # Errors
    /// The server's sentence, when it refuses.
    pub async fn post(&self, path: &str, body: &Value) -> Result<String> {
        self.ask(self.request(Method::POST, &self.at(path, &[])?)?.json(body)).await
    }

    /// Gets what is there, as it is.
    ///
    /// # Errors
    /// The server's sentence, when it refuses.
    pub async fn get(&self, path: &str, query: &[(&str, String)]) -> Result<String> {
        self.ask(self.request(Method::GET, &self.at(path, query)?)?).await
    }

    /// What is said there, for as long as it goes on.
    ///
    /// # Errors
    /// The server's sentence, when it refuses.
    pub async fn stream(&self, path: &str, query: &[(&str, String)]) -> Result<Events> {
        let request = self.request(Method::GET, &self.at(path, query)?)?.timeout(LONGEST);
        Events::of(self.send(request).await?)
    }

    /// What is listed there.
    pub fn list(&self, path: String, query: Vec<(&'static str, String)>) -> Pages<'_> {
        Pages { server: self, path, query, next: Next::First, was_partial: false }
    }

    fn at(&self, path: &str, query: &[(&str, String)]) -> Result<Url> {
        let mut url = Url::parse(&format!("{}{path}", self.url)).context("--url")?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }

    fn request(&self, method: Method, url: &Url) -> Result<RequestBuilder> {
        self.credentials.show(self.client.request(method, url.as_str()))
    }

    async fn ask(&self, request: RequestBuilder) -> Result<String> {
        self.send(request).await?.text().await.context("no answer")
    }

    /// Sends a request, again when it came too fast.
    async fn send(&self, request: RequestBuilder) -> Result<Response> {
        loop {
            let again = request.try_clone().context("a request that is sent again")?;
            let answer =
                again.send().await.map_err(|error| Failed::of(&error)).context("no answer")?;
            let status = answer.status();
            let pause = answer.headers().get(RETRY_AFTER).and_then(|after| after.to_str().ok());
            let pause = pause.and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
            if status.is_success() {
                return Ok(answer);
            }
            if status == StatusCode::TOO_MANY_REQUESTS {
                tokio::time::sleep(pause.unwrap_or(PAUSE)).await;
                continue;
            }
            let text = answer.text().await.context("no answer")?;
            let problem: Option<Problem> = serde_json::from_str(&text).ok();
            let said = match problem.and_then(|problem| problem.detail.or(problem.title)) {
                Some(sentence) => format!("{sentence} ({status})"),
                None => format!("the server answered {status}"),
            };
            return Err(Refused { status, said }.into());
        }
    }
}

impl Pages<'_> {
    /// The next page; none after the last. Says once where it is not everything.
    ///
    /// # Errors
    /// The server's sentence, when it refuses.
    pub async fn next(&mut self) -> Result<Option<Vec<Value>>> {
        let mut query = self.query.clone();
        query.push(("limit", PAGE.to_string()));
        match &self.next {
            Next::First => {}
            Next::After(cursor) => query.push(("cursor", cursor.clone())),
            Next::None => return Ok(None),
        }
        let url = self.server.at(&self.path, &query)?;
        let text = self.server.ask(self.server.request(Method::GET, &url)?).await?;
        let page: Page = serde_json::from_str(&text).context("this is no list of Stoa's")?;
        ensure!(page.items.len() <= PAGE, "this is no list of Stoa's");
        if page.partial && !self.was_partial {
            self.was_partial = true;
            remark("A node did not answer: this is what the others have.");
        }
        self.next = page.next_cursor.map_or(Next::None, Next::After);
        Ok(Some(page.items))
    }
}

/// Whether a server is away, for now at least, and does not refuse what is asked of it.
pub fn is_away(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| match cause.downcast_ref::<Refused>() {
        Some(refused) => refused.status.is_server_error(),
        None => cause.is::<reqwest::Error>() || cause.is::<Failed>(),
    })
}

/// A part of a path, whatever is in it.
pub fn segment(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// What the environment says; empty is unset, as for every setting.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::{
        Json, Router,
        extract::{Path, RawQuery},
        response::IntoResponse,
        routing::get,
    };
    use serde_json::json;
    use tokio::net::TcpListener;

    use super::*;

    fn at(url: String) -> Server {
        Server { url: Some(url), api_key: Some("k".to_owned()), token: None }
    }

    async fn serve(router: Router) -> Connected {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        at(url).connect(|| anyhow::bail!("no settings are needed")).unwrap()
    }

    #[tokio::test]
    async fn a_list_is_read_to_its_end_though_it_is_asked_too_fast() {
        static ASKED: AtomicUsize = AtomicUsize::new(0);
        let list = async |Path(name): Path<String>, RawQuery(query): RawQuery| {
            assert_eq!(name, "a/b ü");
            if ASKED.fetch_add(1, Ordering::Relaxed) == 1 {
                return (StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, "0")]).into_response();
            }
            let query = query.unwrap();
            let page = if query.contains("cursor=c%26") {
                json!({ "items": [2], "nextCursor": null, "partial": true })
            } else {
                json!({ "items": [query], "nextCursor": "c&" })
            };
            Json(page).into_response()
        };
        let server = serve(Router::new().route("/api/{name}", get(list))).await;
        let mut pages =
            server.list(format!("/api/{}", segment("a/b ü")), vec![("prefix", "x&y".to_owned())]);
        assert_eq!(pages.next().await.unwrap(), Some(vec![json!("prefix=x%26y&limit=100")]));
        assert_eq!(pages.next().await.unwrap(), Some(vec![json!(2)]));
        assert_eq!(pages.next().await.unwrap(), None);
        assert_eq!(ASKED.load(Ordering::Relaxed), 3);
    }

    #[tokio::test]
    async fn what_is_no_list_is_said() {
        let server = serve(Router::new().route("/", get("<html>"))).await;
        let error = server.list("/".to_owned(), Vec::new()).next().await.unwrap_err();
        assert_eq!(error.to_string(), "this is no list of Stoa's");
    }
}
