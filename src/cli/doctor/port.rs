//! The server's own port, asked from this machine; where nobody answers, whether it can be taken.

use std::{
    io,
    net::{IpAddr, SocketAddr, TcpListener},
};

use reqwest::{Client, StatusCode};
use serde_json::Value;
use stoa::config::Config;

use super::{
    finding::{Check, Finding},
    web,
};
use crate::cli::{local::local_url, unanswered::Failed};

const OWN: &str = "HOST has to be an address of this machine (`ip address`), or 0.0.0.0 for all";

/// Bytes of a document of an API; ours is far shorter.
const LONGEST: usize = 16 << 20;

/// What a server says of itself.
pub(super) struct Ready {
    /// `ok`, `degraded`, `unavailable` or `draining`.
    pub(super) status: String,
    /// What it is about.
    pub(super) parts: String,
}

pub(super) async fn look(config: &Config) -> Vec<Finding> {
    let server = &config.server;
    // Who is elsewhere is not asked.
    if let Err(error) = TcpListener::bind(SocketAddr::new(server.host, 0)) {
        return vec![absent(server.host, &error)];
    }
    let Ok(url) = local_url(server) else {
        return vec![Check::Port.note(
            "the server takes a free port (PORT=0)",
            "set PORT, so that a proxy and this can find it",
        )];
    };
    let address = SocketAddr::new(server.host, server.port);
    let mut found = Vec::new();
    match ask(&url).await {
        Ok(ready) => found.push(judge(Check::Port, &url, &ready)),
        Err(NotReady::Absent) => {
            found.push(free(address, "PORT"));
            if let Some(port) = config.metrics.port.filter(|port| *port != 0) {
                found.push(free(SocketAddr::new(server.host, port), "METRICS_PORT"));
            }
        }
        Err(NotReady::Another(what)) => found.push(Check::Port.problem(
            format!("another program answers on {address}: {what}"),
            format!(
                "`ss -ltnp 'sport = :{}'` says which; end it, or take another PORT",
                server.port
            ),
        )),
        Err(NotReady::Silent(why)) => found.push(Check::Port.problem(
            format!("{address} is taken, and does not answer: {}", why.found),
            format!(
                "`ss -ltnp 'sport = :{}'` says who has it; where that is stoa, look at its log",
                server.port
            ),
        )),
    }
    found
}

/// Why a server does not say that it is ready.
pub(super) enum NotReady {
    /// Nobody listens.
    Absent,
    /// It is no Stoa that answers.
    Another(String),
    /// There is no answer.
    Silent(Failed),
}

async fn ask(url: &str) -> Result<Ready, NotReady> {
    let client = web::local_client().map_err(NotReady::Silent)?;
    let answer = client.get(format!("{url}/readyz")).send().await.map_err(|error| {
        let failed = Failed::of(&error);
        if error.is_connect() && !error.is_timeout() {
            NotReady::Absent
        } else {
            NotReady::Silent(failed)
        }
    })?;
    let status = answer.status();
    let kind = answer.headers().get("server").and_then(|server| server.to_str().ok());
    let kind = kind.map_or_else(|| status.to_string(), |server| format!("{status}, from {server}"));
    let body = answer.text().await.map_err(|error| NotReady::Silent(Failed::of(&error)))?;
    match Ready::read(&body) {
        Some(ready) if is_stoa(&client, url).await.map_err(NotReady::Silent)? => Ok(ready),
        _ => Err(NotReady::Another(kind)),
    }
}

/// Whether it is Stoa that answers: others say that they are ready in the same words, but have another
/// name in their document of the API, or none.
pub(super) async fn is_stoa(client: &Client, url: &str) -> Result<bool, Failed> {
    let answer = client.get(format!("{url}/api/openapi.json")).send().await;
    let mut answer = answer.map_err(|error| Failed::of(&error))?;
    if answer.status() == StatusCode::TOO_MANY_REQUESTS {
        return Err(Failed::said("too much was asked from here for it to say what it is (429)"));
    }
    let mut body = Vec::new();
    while let Some(part) = answer.chunk().await.map_err(|error| Failed::of(&error))? {
        body.extend(part);
        if body.len() > LONGEST {
            return Ok(false);
        }
    }
    let document = serde_json::from_slice::<Value>(&body).unwrap_or_default();
    Ok(document["info"]["title"] == "Stoa")
}

impl Ready {
    /// What `/readyz` answers; none where that is something else.
    pub(super) fn read(body: &str) -> Option<Self> {
        let body: Value = serde_json::from_str(body).ok()?;
        let status = body.get("status")?.as_str()?;
        if !["ok", "degraded", "unavailable", "draining"].contains(&status) {
            return None;
        }
        let failing = body.get("failing").and_then(Value::as_array).into_iter().flatten();
        let failing = failing.filter_map(Value::as_str).map(str::to_owned);
        let details = body.get("details").and_then(Value::as_object).into_iter().flatten();
        let details =
            details.filter_map(|(part, state)| Some(format!("{part} {}", state.as_str()?)));
        let parts = failing.chain(details.filter(|part| !part.ends_with(" ok")));
        Some(Self { status: status.to_owned(), parts: parts.collect::<Vec<_>>().join(", ") })
    }
}

/// What is to be thought of what a server says of itself.
pub(super) fn judge(check: Check, url: &str, ready: &Ready) -> Finding {
    let Ready { status, parts } = ready;
    match status.as_str() {
        "ok" => check.ok(format!("the server at {url} is ready")),
        "degraded" => check.warning(
            format!("the server at {url} works, but for: {parts}"),
            "its log says why (WARN), and docs/operating.md what is left undone meanwhile",
        ),
        "draining" => check.note(
            format!("the server at {url} is about to stop"),
            "ask again when the next one is there",
        ),
        _ => check.problem(
            format!("the server at {url} is not ready, for: {parts}"),
            "its log says why (ERROR, WARN); below is what was found of the store",
        ),
    }
}

/// Whether a port that nobody answers on can be taken. Whoever takes it for a moment hears nothing there.
fn free(address: SocketAddr, setting: &str) -> Finding {
    match TcpListener::bind(address) {
        Ok(_) => Check::Port.note(
            format!("no server runs here; {address} is free ({setting})"),
            "`stoa serve` starts one",
        ),
        Err(error) => Check::Port.problem(
            format!("{address} can't be listened on ({setting}): {error}"),
            match error.kind() {
                io::ErrorKind::AddrInUse => {
                    format!("`ss -ltnp 'sport = :{}'` says who has it; end that, or take another port", address.port())
                }
                io::ErrorKind::PermissionDenied => {
                    "ports below 1024 need a right: AmbientCapabilities=CAP_NET_BIND_SERVICE in the unit of systemd, \
                     or take 3003 and let a proxy have this one"
                        .to_owned()
                }
                _ => OWN.to_owned(),
            },
        ),
    }
}

/// An address on which nobody can listen here.
fn absent(host: IpAddr, error: &io::Error) -> Finding {
    let found = match error.kind() {
        io::ErrorKind::AddrNotAvailable => format!("this machine has no address {host} (HOST)"),
        _ => format!("{host} can't be listened on (HOST): {error}"),
    };
    Check::Port.problem(found, OWN)
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Level, *};

    #[test]
    fn what_a_server_says_of_itself_is_told_with_what_is_away() {
        let judge = |body: &str| judge(Check::Port, "http://here", &Ready::read(body).unwrap());
        assert_eq!(judge(r#"{"status":"ok","details":{"redis":"ok"}}"#).level, Level::Ok);
        let degraded = judge(r#"{"status":"degraded","details":{"redis":"away","proxy":"ok"}}"#);
        assert_eq!(degraded.level, Level::Warning);
        assert!(degraded.found.ends_with("but for: redis away"), "{degraded}");
        let away = judge(r#"{"status":"unavailable","failing":["store"]}"#);
        assert_eq!(away.level, Level::Problem);
        assert!(away.found.ends_with("for: store"), "{away}");
        assert_eq!(judge(r#"{"status":"draining"}"#).level, Level::Note);
        for other in ["<html>", "{}", r#"{"status":"UP"}"#, r#"{"status":3}"#] {
            assert!(Ready::read(other).is_none(), "{other}");
        }
    }
}
