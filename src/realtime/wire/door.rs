//! The Socket.IO door: every request to `/socket.io/` is checked here (origin, protocol version,
//! websocket version and key, how many sockets the address holds). A websocket is then taken over
//! whole (`websocket`); polling goes through `polling`.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use http::{
    HeaderMap, HeaderValue, Method, StatusCode,
    header::{
        CACHE_CONTROL, CONNECTION, ORIGIN, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS,
        SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE, USER_AGENT,
    },
};
use hyper_util::rt::TokioIo;
use ipnet::IpNet;
use socketioxide::socket::Sid;
use tungstenite::handshake::derive_accept_key;

use super::{
    Peer,
    pace::Paced,
    polling::{self, BodyLimits},
    query::Query,
    refusal::{BAD_METHOD, UNKNOWN_SESSION},
    websocket::Websocket,
};
use crate::{
    auth::TokenSources,
    config::Config,
    error::{Code, Error, Result},
    limits::AddressLimits,
    metrics,
    origin::OriginPolicy,
    realtime::{
        connection::Context,
        engine::Engine,
        lane::{Lane, Tolerance},
        link::{Client, Link, LinksBySid},
    },
    rest::{client_address::client_address, cors},
};

/// The door's checks and the engine behind it. Cheap to clone.
#[derive(Clone)]
pub struct Door(Arc<Inner>);

struct Inner {
    engine: Engine,
    context: Arc<Context>,
    origins: OriginPolicy,
    addresses: AddressLimits,
    tolerance: Arc<Tolerance>,
    /// Polling sessions by the engine's id.
    polling: Arc<LinksBySid>,
    trusted_proxies: Vec<IpNet>,
    tokens: TokenSources,
    body: BodyLimits,
    /// What a client is told that opens a websocket, after its id.
    terms: Box<str>,
    draining: AtomicBool,
    /// Whether clients find their sessions again.
    recovery: bool,
}

/// What the door needs of the rest.
pub(in crate::realtime) struct Setup<'a> {
    pub(in crate::realtime) engine: Engine,
    pub(in crate::realtime) context: Arc<Context>,
    pub(in crate::realtime) origins: OriginPolicy,
    pub(in crate::realtime) tolerance: Tolerance,
    pub(in crate::realtime) config: &'a Config,
}

impl Door {
    pub(in crate::realtime) fn new(setup: Setup<'_>) -> Self {
        let Config { server, auth, limits, realtime, .. } = setup.config;
        let terms = format!(
            r#"","upgrades":[],"pingInterval":{},"pingTimeout":{},"maxPayload":{}}}"#,
            realtime.ping_interval.as_millis(),
            realtime.ping_timeout.as_millis(),
            server.max_payload_bytes,
        );
        Self(Arc::new(Inner {
            engine: setup.engine,
            context: setup.context,
            origins: setup.origins,
            addresses: AddressLimits::new(limits),
            polling: Arc::default(),
            trusted_proxies: server.trusted_proxies.clone(),
            tokens: TokenSources::new(auth),
            body: BodyLimits {
                bytes: server.max_payload_bytes,
                timeout: server.body_timeout,
                packets: setup.tolerance.packets.clone(),
            },
            tolerance: Arc::new(setup.tolerance),
            terms: terms.into(),
            draining: AtomicBool::new(false),
            recovery: realtime.recovery,
        }))
    }

    /// Whose pages may come.
    #[must_use]
    pub fn origins(&self) -> &OriginPolicy {
        &self.0.origins
    }

    /// Refuses new sessions from now on; those there are go on.
    pub fn drain(&self) {
        self.0.draining.store(true, Ordering::Release);
    }

    /// Answers a request to `/socket.io/`.
    ///
    /// # Errors
    /// What is wrong with the request, or with what its address already holds.
    pub async fn handle(State(door): State<Self>, request: Request) -> Result<Response> {
        let door = &door.0;
        if request.method() == Method::OPTIONS {
            return Ok(door.origins.preflight(request.headers(), door.address(&request)));
        }
        if !door.origins.allows(request.headers()) {
            metrics::handshakes_refused("origin").increment(1);
            return Err(cors::refused(request.headers(), door.address(&request)));
        }
        let query = Query::parse(request.uri().query())?;
        if query.websocket {
            door.upgrade(&query, request)
        } else {
            door.poll(&query, request).await
        }
    }
}

impl Inner {
    /// Whose request it is, where it came over a connection of ours.
    fn address(&self, request: &Request) -> Option<IpAddr> {
        let peer = request.extensions().get::<Peer>();
        peer.map(|Peer(peer)| client_address(peer.ip(), request.headers(), &self.trusted_proxies))
    }

    /// The link of a new session.
    pub(super) fn open(&self, query: &Query, request: &Request) -> Result<Arc<Link>> {
        if self.draining.load(Ordering::Acquire) {
            let later = Error::new(Code::Unavailable, "This server is shutting down.");
            return Err(later.with_retry_after(Duration::from_secs(1)));
        }
        let address = self.address(request);
        let Some(address) = address else {
            return Err(Error::internal("a request without a peer"));
        };
        let Some((permit, admission)) = self.addresses.admit(address) else {
            metrics::handshakes_refused("address_limit").increment(1);
            return Err(Error::new(Code::RateLimited, "Too many connections from this address.")
                .with_retry_after(Duration::from_secs(5)));
        };
        let token = self.tokens.find(request.headers(), true).map(Into::into);
        let recovers = self.recovery && !query.v3 && bears_offsets(query, request.headers());
        let client = Client { v3: query.v3, recovers };
        Ok(Link::new(address, self.context.hub.assign(), token, client, (permit, admission)))
    }

    /// The link of a polling session.
    pub(super) fn session(&self, sid: Sid) -> Result<Arc<Link>> {
        let link = self.polling.get(&sid).and_then(|link| link.upgrade());
        link.ok_or_else(|| Error::new(Code::Malformed, UNKNOWN_SESSION))
    }

    /// Takes the connection over.
    fn upgrade(&self, query: &Query, mut request: Request) -> Result<Response> {
        let accept = check_upgrade(request.headers(), request.method())?;
        let link = match query.sid {
            Some(sid) => self.session(sid)?,
            None => self.open(query, &request)?,
        };
        if link.is_closing() {
            return Err(Error::new(Code::Malformed, UNKNOWN_SESSION));
        }
        let protocol = first_protocol(request.headers());
        let upgrade = hyper::upgrade::on(&mut request);
        let (context, tolerance) = (self.context.clone(), self.tolerance.clone());
        // Nobody is known by this id: it is of the length that clients know.
        let opens = query.sid.is_none();
        let opening = opens.then(|| format!(r#"0{{"sid":"{}{}"#, Sid::new(), self.terms));
        self.context.tasks.spawn_until_stopped("upgrade", async move {
            let Ok(upgraded) = upgrade.await else { return };
            let Ok(parts) = upgraded.downcast::<TokioIo<Paced>>() else { return };
            // Copied, since even an empty rest of the HTTP parser's buffer keeps all of it.
            let early = parts.read_buf.to_vec();
            let lane = Lane::new(parts.io.into_inner().into_inner(), tolerance);
            Websocket::start(context, link, lane, early, opening.as_deref());
        });
        let headers = [
            (CONNECTION, HeaderValue::from_static("Upgrade")),
            (UPGRADE, HeaderValue::from_static("websocket")),
            (SEC_WEBSOCKET_ACCEPT, accept),
        ];
        let mut answer = (StatusCode::SWITCHING_PROTOCOLS, headers).into_response();
        if let Some(protocol) = protocol {
            answer.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, protocol);
        }
        Ok(answer)
    }

    async fn poll(&self, query: &Query, request: Request) -> Result<Response> {
        let origin = request.headers().get(ORIGIN).cloned();
        let mut answer = match (query.sid, request.method()) {
            (None, &Method::GET) => {
                let link = self.open(query, &request)?;
                link.set_polls(self.context.polls_of(&link));
                let tasks = self.context.tasks.clone();
                polling::open(&self.engine, &self.polling, query, link, tasks).await?
            }
            (Some(sid), &Method::GET) => {
                let link = self.session(sid)?;
                polling::receive(&self.context, &link, request.headers()).await?
            }
            (Some(sid), &Method::POST) => {
                let link = self.session(sid)?;
                polling::send(&self.context, &link, request, &self.body).await?
            }
            _ => return Err(Error::new(Code::Malformed, BAD_METHOD)),
        };
        OriginPolicy::apply(origin.as_ref(), answer.headers_mut());
        answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(answer)
    }
}

/// Whether a client bears the offset of an event as one more argument: browsers and Node do.
/// python-socketio and Dart's client do not, and those that are none of these are not known to.
fn bears_offsets(query: &Query, headers: &HeaderMap) -> bool {
    const BREAKING: [&str; 2] = ["python", "dart"];
    let agent = headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok());
    let agent = agent.map(str::to_ascii_lowercase);
    if agent.as_ref().is_some_and(|agent| BREAKING.iter().any(|name| agent.contains(name))) {
        return false;
    }
    // By websocket Node's client says no name, and offers extensions as browsers do.
    if query.websocket { headers.contains_key(SEC_WEBSOCKET_EXTENSIONS) } else { agent.is_some() }
}

/// The first of the protocols that a client offers, which is chosen as the Node server does: a browser
/// closes a websocket for which none of its own was.
fn first_protocol(headers: &HeaderMap) -> Option<HeaderValue> {
    let offered = headers.get(SEC_WEBSOCKET_PROTOCOL)?.to_str().ok()?;
    let first = offered.split(',').next()?.trim();
    HeaderValue::from_str(first).ok().filter(|first| !first.is_empty())
}

/// The checks of RFC 6455, section 4.2.1; the value of `Sec-WebSocket-Accept`.
fn check_upgrade(headers: &HeaderMap, method: &Method) -> Result<HeaderValue> {
    let bad = |detail| Error::new(Code::Malformed, detail);
    let has = |name: http::HeaderName, token: &str| {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values
            .flat_map(|value| value.split(','))
            .any(|item| item.trim().eq_ignore_ascii_case(token))
    };
    if method != Method::GET || !has(UPGRADE, "websocket") || !has(CONNECTION, "upgrade") {
        return Err(bad("This transport needs a websocket upgrade."));
    }
    if headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(bad("Sec-WebSocket-Version must be 13."));
    }
    let key = headers.get(SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes).unwrap_or_default();
    // 16 bytes in base64: 22 characters that count, and two of padding.
    let base64 = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
    if key.len() != 24 || !key.ends_with(b"==") || !key[..22].iter().all(base64) {
        return Err(bad("Sec-WebSocket-Key must be 16 bytes in base64."));
    }
    HeaderValue::from_str(&derive_accept_key(key)).map_err(Error::internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upgrade_is_checked_as_the_rfc_says() {
        let upgrade = |change: fn(&mut HeaderMap)| {
            let mut headers = HeaderMap::new();
            headers.insert(UPGRADE, HeaderValue::from_static("WebSocket"));
            headers.insert(CONNECTION, HeaderValue::from_static("keep-alive, Upgrade"));
            headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
            let key = HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ==");
            headers.insert(SEC_WEBSOCKET_KEY, key);
            change(&mut headers);
            check_upgrade(&headers, &Method::GET)
        };
        // The example of RFC 6455, section 1.3.
        assert_eq!(upgrade(|_| {}).unwrap(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        for change in [
            (|h| drop(h.remove(UPGRADE))) as fn(&mut HeaderMap),
            |h| drop(h.remove(CONNECTION)),
            |h| drop(h.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("8"))),
            |h| drop(h.remove(SEC_WEBSOCKET_KEY)),
            |h| drop(h.insert(SEC_WEBSOCKET_KEY, HeaderValue::from_static("short"))),
        ] {
            assert!(upgrade(change).is_err());
        }
    }
}
