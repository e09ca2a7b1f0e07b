//! The way that clients take: through the public URL, with whatever stands in front of the server.

use std::{collections::BTreeMap, time::Duration};

use reqwest::{Client, Response, StatusCode, header};
use serde_json::Value;
use stoa::clock::{Clock, Timestamp};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::timeout,
};

use super::{
    clock::Told,
    finding::{Check, Finding, Level},
    port::{Ready, is_stoa, judge},
    web::{self, ANSWER},
};
use crate::cli::unanswered::{Failed, base};

/// Sessions that are tried: of two servers in turn, the second request of one comes to the other.
const SESSIONS: usize = 3;

/// A namespace that no server has: the answer to who asks for it is a refusal, and nothing else comes of it.
const NOWHERE: &str = "40/stoa-doctor,";

/// A key as RFC 6455 has it in its example; nobody is to be kept from guessing it.
const WEBSOCKET_KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// Headers by which those say their names that stand in front.
const NAMES: [(&str, &str); 8] = [
    ("via", "a proxy (Via)"),
    ("cf-ray", "Cloudflare"),
    ("x-amz-cf-id", "CloudFront"),
    ("x-served-by", "Fastly or Varnish"),
    ("x-varnish", "Varnish"),
    ("x-envoy-upstream-service-time", "Envoy"),
    ("fly-request-id", "Fly"),
    ("x-vercel-id", "Vercel"),
];

/// What was found, and what else the answers say.
#[derive(Default)]
pub(super) struct Through {
    pub(super) findings: Vec<Finding>,
    /// What the clock behind it said.
    pub(super) told: Option<Told>,
    /// Who stands in front; none where nobody answered.
    pub(super) in_front: Option<Vec<String>>,
}

/// A polling session, as a browser has it: with the cookies that a balancer gives.
struct Session<'a> {
    client: &'a Client,
    url: &'a str,
    sid: String,
    cookies: BTreeMap<String, String>,
}

pub(super) async fn look(url: &str) -> Through {
    let mut through = Through::default();
    let shown = web::shown(url);
    if let Err(failed) = try_out(url, &shown, &mut through).await {
        let found = format!("{shown}: {}", failed.found);
        through.findings.push(Check::Url.problem(found, failed.advice));
    }
    through
}

async fn try_out(url: &str, shown: &str, through: &mut Through) -> Result<(), Failed> {
    let url = base(url)?;
    let client = web::client()?;
    let ready = ready(&client, url, through).await?;
    match ready {
        Ok(ready) if matches!(is_stoa(&client, url).await, Ok(true)) => {
            through.findings.push(judge(Check::Url, shown, &ready));
        }
        Ok(_) => through.findings.push(Check::Url.warning(
            format!("{shown}/readyz answers, and {shown}/api/openapi.json is not what Stoa says of itself"),
            "another program answers there, unless a proxy keeps that page from everybody: look whether the URL is that \
             of this server",
        )),
        Err(what) => through.findings.push(Check::Url.note(
            format!("{shown}/readyz is not what the server answers: {what}"),
            "right where a proxy keeps it from everybody; a balancer has to be able to ask it",
        )),
    }
    let polling = polling(&client, url, shown).await;
    let has_polling = polling.level == Level::Ok;
    through.findings.push(polling);
    through.findings.push(websocket(&client, url, shown, has_polling).await);
    Ok(())
}

/// What `/readyz` says; or, where it is not the server's, what came instead.
async fn ready(
    client: &Client,
    url: &str,
    through: &mut Through,
) -> Result<Result<Ready, String>, Failed> {
    let asked = Clock::system().now();
    let answer = client.get(format!("{url}/readyz")).send().await;
    let answer = answer.map_err(|error| Failed::of(&error))?;
    let here = Clock::system().now();
    through.in_front = Some(in_front(url, &answer));
    let date = answer.headers().get(header::DATE).and_then(|date| date.to_str().ok());
    let whose = web::shown(url);
    // A second more: that is what it is written to.
    let within = asked.until(here) + Duration::from_secs(1);
    through.told = date.and_then(moment).map(|there| Told { whose, there, here, within });
    if answer.status().is_redirection() {
        let to = answer.headers().get(header::LOCATION).and_then(|to| to.to_str().ok());
        return Err(Failed {
            found: format!("it sends elsewhere, to {}", to.map_or_else(String::new, web::shown)),
            advice: "give clients, PUBLIC_URL and --url the URL that it ends at: Socket.IO follows no redirect \
                     for websockets"
                .to_owned(),
        });
    }
    let head = web::told(&answer, "");
    let body = answer.text().await.map_err(|error| Failed::of(&error))?;
    Ok(Ready::read(&body).ok_or(head))
}

fn moment(date: &str) -> Option<Timestamp> {
    let since = httpdate::parse_http_date(date).ok()?;
    let since = since.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(Timestamp::from_millis(since.as_millis().try_into().ok()?))
}

/// Stoa itself speaks no TLS and does not say its name.
fn in_front(url: &str, answer: &Response) -> Vec<String> {
    let named = NAMES.iter().filter(|(name, _)| answer.headers().contains_key(*name));
    let mut found: Vec<_> = named.map(|(_, who)| (*who).to_owned()).collect();
    let server = answer.headers().get(header::SERVER).and_then(|server| server.to_str().ok());
    found.extend(server.map(str::to_owned));
    if found.is_empty() && url.starts_with("https:") {
        found.push("what speaks TLS".to_owned());
    }
    found
}

/// Whether polling works, for each of several sessions.
async fn polling(client: &Client, url: &str, shown: &str) -> Finding {
    for _ in 0..SESSIONS {
        if let Err(failed) = one_session(client, url).await {
            return Check::Url.problem(
                format!("{shown}/socket.io/ by polling: {}", failed.found),
                failed.advice,
            );
        }
    }
    Check::Url.ok(format!("{shown}/socket.io/ answers by polling"))
}

async fn one_session(client: &Client, url: &str) -> Result<(), Failed> {
    let mut session = Session { client, url, sid: String::new(), cookies: BTreeMap::new() };
    let (status, open, told) = session.send(None).await?;
    let packet = open.strip_prefix('0').and_then(|open| serde_json::from_str::<Value>(open).ok());
    let Some(sid) = packet.as_ref().and_then(|open| open.get("sid")?.as_str()) else {
        return Err(Failed { found: told, advice: not_ours(status) });
    };
    sid.clone_into(&mut session.sid);
    let heard = session.hear().await;
    // What it opened ends in any case.
    let _ = session.send(Some("1")).await;
    heard
}

impl Session<'_> {
    /// Says something, and hears the answer to it.
    async fn hear(&mut self) -> Result<(), Failed> {
        let (status, body, told) = self.send(Some(NOWHERE)).await?;
        Self::ensure_ours(status, &body, told)?;
        let answered = self.send(None).await;
        let (status, body, told) = answered.map_err(|failed| Failed {
            found: format!("what the server says does not arrive: {}", failed.found),
            advice: "the proxy may not hold answers back: in nginx `proxy_buffering off;` and \
                     `proxy_read_timeout 90s;`, and caches leave /socket.io/ alone"
                .to_owned(),
        })?;
        Self::ensure_ours(status, &body, told)
    }

    fn ensure_ours(status: StatusCode, body: &str, told: String) -> Result<(), Failed> {
        if status.is_success() {
            return Ok(());
        }
        if status == StatusCode::BAD_REQUEST && body.contains("Session ID unknown") {
            return Err(Failed {
                found: "the requests of one client come to different servers (Session ID unknown)".to_owned(),
                advice: "sticky sessions: let the balancer send one client's requests to one server, by its \
                         address (nginx: `hash $remote_addr consistent;` or `ip_hash;`, Caddy: `lb_policy \
                         client_ip_hash`) or by a cookie; see deploy/nginx.cluster.conf. Or let clients connect with \
                         transports: [\"websocket\"]"
                    .to_owned(),
            });
        }
        Err(Failed { found: told, advice: not_ours(status) })
    }

    /// A request of the session: its status, its body, and what it is in words.
    async fn send(&mut self, packet: Option<&str>) -> Result<(StatusCode, String, String), Failed> {
        let sid = if self.sid.is_empty() { String::new() } else { format!("&sid={}", self.sid) };
        let at = format!("{}/socket.io/?EIO=4&transport=polling{sid}", self.url);
        let mut request = match packet {
            None => self.client.get(at),
            Some(packet) => {
                let request =
                    self.client.post(at).header(header::CONTENT_TYPE, "text/plain;charset=UTF-8");
                request.body(packet.to_owned())
            }
        };
        if !self.cookies.is_empty() {
            let pairs: Vec<_> =
                self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header(header::COOKIE, pairs.join("; "));
        }
        let answer = request.send().await.map_err(|error| Failed::of(&error))?;
        for cookie in answer.headers().get_all(header::SET_COOKIE) {
            let pair =
                cookie.to_str().ok().and_then(|cookie| cookie.split(';').next()?.split_once('='));
            if let Some((name, value)) = pair {
                self.cookies.insert(name.trim().to_owned(), value.trim().to_owned());
            }
        }
        let (status, mut told) = (answer.status(), web::told(&answer, ""));
        let is_page = told.contains("HTML");
        let body = answer.text().await.map_err(|error| Failed::of(&error))?;
        if !is_page && body.trim_start().starts_with('<') {
            told.push_str(", a page of HTML");
        }
        Ok((status, body, told))
    }
}

/// What to do about an answer that is not the server's.
fn not_ours(status: StatusCode) -> String {
    match status.as_u16() {
        502..=504 => "the proxy does not reach the server: look whether it runs, and at the address that the proxy \
                      passes to"
            .to_owned(),
        429 => "too much was asked from this address; if that is the proxy's, set TRUSTED_PROXIES".to_owned(),
        401 | 403 => "something in front, or a list of origins, keeps clients out: let /socket.io/ pass".to_owned(),
        _ => "the proxy has to pass /socket.io/ to this server unchanged, with its query: \
              see deploy/nginx.cluster.conf and deploy/Caddyfile.cluster"
            .to_owned(),
    }
}

/// Whether a websocket opens, and what the server says over it arrives.
async fn websocket(client: &Client, url: &str, shown: &str, has_polling: bool) -> Finding {
    const ADVICE: &str = "let upgrades pass: in nginx `proxy_http_version 1.1; proxy_set_header Upgrade \
        $http_upgrade; proxy_set_header Connection \"upgrade\";`, at a CDN websockets have to be switched on; until \
        then clients stay with polling, which is slower, and those with transports: [\"websocket\"] are out";
    match opened(client, url).await {
        Ok(()) => Check::Url.ok(format!("{shown}/socket.io/ opens websockets")),
        Err(failed) => {
            let found = format!("{shown}/socket.io/ opens no websocket: {}", failed.found);
            let advice =
                if has_polling || failed.advice.is_empty() { ADVICE } else { &failed.advice };
            Check::Url.problem(found, advice)
        }
    }
}

async fn opened(client: &Client, url: &str) -> Result<(), Failed> {
    let request = client
        .get(format!("{url}/socket.io/?EIO=4&transport=websocket"))
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        .header(header::SEC_WEBSOCKET_KEY, WEBSOCKET_KEY);
    let answer = request.send().await.map_err(|error| Failed::of(&error))?;
    let status = answer.status();
    if status != StatusCode::SWITCHING_PROTOCOLS {
        return Err(Failed {
            found: format!("the answer is {}", web::told(&answer, "")),
            advice: not_ours(status),
        });
    }
    let mut socket = answer.upgrade().await.map_err(|error| Failed::of(&error))?;
    let mut heard = Vec::new();
    let hear = async {
        while !heard.windows(5).any(|part| part == b"\"sid\"") && heard.len() < 4096 {
            if socket.read_buf(&mut heard).await.unwrap_or(0) == 0 {
                break;
            }
        }
        heard
    };
    let heard = timeout(ANSWER, hear).await.unwrap_or_default();
    // A close, masked with nothing: whether it arrives is all the same.
    let _ = socket.write_all(&[0x88, 0x80, 0, 0, 0, 0]).await;
    let arrived = heard.windows(5).any(|part| part == b"\"sid\"");
    arrived
        .then_some(())
        .ok_or_else(|| Failed::said("it opened, and what the server says first did not arrive"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_read_as_servers_write_it() {
        let read = |date| moment(date).map(Timestamp::millis);
        assert_eq!(read("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777_000));
        assert_eq!(read("yesterday"), None);
    }
}
