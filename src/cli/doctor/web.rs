//! Requests as clients make them, and why there was no answer, in words.

use std::{error::Error as _, io, time::Duration};

use reqwest::{Client, Response, header, redirect};
use rustls::CertificateError;
use url::{Position, Url};

/// How long a connection may take, and an answer.
const CONNECT: Duration = Duration::from_secs(5);
pub(super) const ANSWER: Duration = Duration::from_secs(10);

/// The same on this machine.
const NEAR: Duration = Duration::from_secs(3);

/// Why something could not be asked, or what came instead.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) found: String,
    pub(super) advice: String,
}

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

/// A URL that paths are put behind, as it is to be given; or what is to be given instead.
pub(super) fn base(url: &str) -> Result<&str, Failed> {
    let read = Url::parse(url).ok().filter(|url| {
        let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
        is_web && url.query().is_none() && url.fragment().is_none() && !is_uncertain(url)
    });
    read.map(|_| url.trim_end_matches('/')).ok_or_else(|| Failed {
        found: "this is not how a server is reached".to_owned(),
        advice: "give http:// or https:// and a host, such as https://chat.example.com, without a query and without \
                 a #; special characters of a password have to be percent-encoded"
            .to_owned(),
    })
}

/// Whether the parts of a URL may be others than they seem: an @ behind the host is the end of a password
/// that is not encoded, and nobody knows where that begins.
fn is_uncertain(url: &Url) -> bool {
    url[Position::AfterPort..].contains('@')
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

impl Failed {
    pub(super) fn said(found: impl Into<String>) -> Self {
        Self { found: found.into(), advice: String::new() }
    }

    fn new(found: impl Into<String>, advice: &str) -> Self {
        Self { found: found.into(), advice: advice.to_owned() }
    }

    /// Why there was no answer.
    pub(super) fn of(error: &reqwest::Error) -> Self {
        if let Some(error) = cause::<rustls::Error>(error) {
            return Self::of_tls(error);
        }
        let refused = cause::<io::Error>(error).map(io::Error::kind);
        let last = last(error);
        if error.is_timeout() {
            Self::new(
                "no answer in time",
                "look whether a firewall, or a proxy that waits for a server that is not there, swallows it",
            )
        } else if refused == Some(io::ErrorKind::ConnectionRefused) {
            Self::new(
                "nobody listens there",
                "start the server or the proxy in front of it, and look whether host and port are right",
            )
        } else if error.is_connect() && last.contains("lookup") {
            Self::new(
                "its name has no address here",
                "look at the name, and at its record in DNS (`getent hosts NAME`)",
            )
        } else {
            Self::new(
                last,
                "look whether host and port are those of the server, or of the proxy in front of it",
            )
        }
    }

    fn of_tls(error: &rustls::Error) -> Self {
        use CertificateError as Why;
        let rustls::Error::InvalidCertificate(why) = error else {
            return Self::new(
                format!("TLS could not begin: {error}"),
                "look whether what listens there speaks TLS: Stoa itself does not, a proxy in front of it does",
            );
        };
        let (found, advice) = match why {
            Why::Expired | Why::ExpiredContext { .. } => {
                ("its certificate has expired", "renew it, and have the proxy load it again")
            }
            Why::NotValidYet | Why::NotValidYetContext { .. } => {
                ("its certificate is not valid yet", "look at the clock of this machine")
            }
            Why::NotValidForName | Why::NotValidForNameContext { .. } => (
                "its certificate is of another name",
                "let the proxy show one that has this name, or ask by the name that it has",
            ),
            Why::UnknownIssuer => (
                "its certificate is not of an authority that this machine trusts",
                "let the proxy send the whole chain, or one of a known authority; browsers refuse it, too",
            ),
            Why::Revoked => ("its certificate was revoked", "have a new one made"),
            _ => ("its certificate is not valid", "have a new one made"),
        };
        Self::new(found, advice)
    }
}

/// The first of an error's causes that is of a kind.
fn cause<T: std::error::Error + 'static>(error: &reqwest::Error) -> Option<&T> {
    let mut next = error.source();
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        // An error of input and output passes over what it wraps.
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = wrapped.map_or_else(|| error.source(), |wrapped| Some(wrapped));
    }
    None
}

/// The innermost reason: those around it name the URL.
fn last(error: &reqwest::Error) -> String {
    let mut last = "no answer".to_owned();
    let mut next = error.source();
    while let Some(error) = next {
        last = error.to_string();
        next = error.source();
    }
    last
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

    #[test]
    fn a_url_that_paths_can_be_put_behind_has_a_host_and_no_query() {
        assert_eq!(base("http://localhost:4100/").unwrap(), "http://localhost:4100");
        assert_eq!(base("https://ann:pw@a.b/chat").unwrap(), "https://ann:pw@a.b/chat");
        for bad in [
            "localhost:4100",
            "chat.example.com",
            "ws://localhost:4100",
            "file:///etc",
            "http://",
            "http://localhost:4100?x=1",
            "http://localhost:4100/#x",
            "http://bob:12/pw@localhost",
            "",
        ] {
            assert!(base(bad).unwrap_err().advice.contains("http:// or https://"), "{bad}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_certificate_is_said_in_words() {
        let said = |why| Failed::of_tls(&rustls::Error::InvalidCertificate(why)).found;
        assert_eq!(said(CertificateError::Expired), "its certificate has expired");
        assert_eq!(said(CertificateError::NotValidForName), "its certificate is of another name");
        assert!(said(CertificateError::UnknownIssuer).contains("trusts"));
        assert!(said(CertificateError::BadEncoding).contains("not valid"));
    }

    #[tokio::test]
    async fn who_is_not_there_is_told_from_who_is() {
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error =
            local_client().unwrap().get(format!("http://{nobody}")).send().await.unwrap_err();
        assert_eq!(Failed::of(&error).found, "nobody listens there");
    }
}
