//! Requests as clients make them, and what their answers are.

use std::time::Duration;

use reqwest::{Client, Response, header, redirect};
use url::Url;

use crate::cli::unanswered::{Failed, is_uncertain};

/// How long a connection may take, and an answer.
const CONNECT: Duration = Duration::from_secs(5);
pub(super) const ANSWER: Duration = Duration::from_secs(10);

/// The same on this machine.
const NEAR: Duration = Duration::from_secs(3);

/// Each request is on a connection of its own, as those of many clients are.
pub(super) fn client() -> Result<Client, Failed> {
    built(Client::builder(), ANSWER)
}

/// The same without the proxy that this machine uses for what is elsewhere.
pub(super) fn local_client() -> Result<Client, Failed> {
    built(Client::builder().no_proxy(), NEAR)
}

fn built(builder: reqwest::ClientBuilder, answer: Duration) -> Result<Client, Failed> {
    // The first in the process stays; all of them are this one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = builder.connect_timeout(CONNECT).timeout(answer);
    let client = builder.redirect(redirect::Policy::none()).pool_max_idle_per_host(0).build();
    client.map_err(|error| Failed::of(&error))
}

/// A URL without what is secret in it.
pub(super) fn shown(url: &str) -> String {
    let Ok(mut url) = Url::parse(url) else { return "a URL that is none".to_owned() };
    if is_uncertain(&url) {
        return "a URL that can't be read (special characters of a password have to be percent-encoded)"
            .to_owned();
    }
    // Of a URL without a host nothing can be taken, as there is nothing.
    let _ = (url.set_username(""), url.set_password(None));
    url.set_query(None);
    url.set_fragment(None);
    url.as_str().trim_end_matches('/').to_owned()
}

/// What an answer is, for who expected another.
pub(super) fn told(answer: &Response, body: &str) -> String {
    let header = |name| answer.headers().get(name).and_then(|value| value.to_str().ok());
    let start = body.trim_start().get(..9).unwrap_or_default().to_lowercase();
    let is_page = header(header::CONTENT_TYPE).is_some_and(|kind| kind.contains("html"))
        || ["<!doctype", "<html"].iter().any(|tag| start.starts_with(tag));
    let kind = if is_page { ", a page of HTML" } else { "" };
    let server = header(header::SERVER).map(|server| format!(", from {server}"));
    format!("{}{kind}{}", answer.status(), server.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_secret_in_a_url_is_not_shown() {
        assert_eq!(shown("https://ann:pw@stoa.example.com/?token=x#y"), "https://stoa.example.com");
        assert_eq!(shown("http://127.0.0.1:3003/chat"), "http://127.0.0.1:3003/chat");
        assert_eq!(shown("pw"), "a URL that is none");
        for uncertain in
            ["https://ann:12/pw@host/x", "https://ann:12?pw@host", "https://ann:12#pw@host"]
        {
            assert!(shown(uncertain).starts_with("a URL that can't be read"), "{uncertain}");
        }
    }

    #[tokio::test]
    async fn who_is_not_there_is_told_from_who_is() {
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error =
            local_client().unwrap().get(format!("http://{nobody}")).send().await.unwrap_err();
        assert_eq!(Failed::of(&error).found, "nobody listens there");
    }
}
