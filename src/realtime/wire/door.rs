//! The Socket.IO door: every request to `/socket.io/` is checked here (origin, protocol version,
//! websocket version and key, how many sockets the address holds). A websocket is then taken over
//! whole (`websocket`); polling goes through `polling`.

use std::{
    net::{IpAddr, SocketAddr},
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
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
    header::{
        CACHE_CONTROL, CONNECTION, ORIGIN, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS,
        SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE, USER_AGENT,
    },
};
use hyper_util::rt::TokioIo;
use ipnet::IpNet;
use socketioxide::socket::Sid;
use tokio::net::TcpStream;
use tungstenite::handshake::derive_accept_key;

use super::{
    Peer,
    handshake::Asked,
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
            return Ok(door.origins.preflight(request.headers(), door.address(&request).ok()));
        }
        if !door.origins.allows(request.headers()) {
            metrics::handshakes_refused("origin").increment(1);
            return Err(cors::refused(request.headers(), door.address(&request).ok()));
        }
        let query = Query::parse(request.uri().query())?;
        let answer = if query.websocket {
            door.upgrade(&query, request)
        } else {
            door.poll(&query, request).await
        };
        answer.inspect_err(|error| {
            if query.sid.is_none() && error.code() == Code::RateLimited {
                metrics::handshakes_refused("address_limit").increment(1);
            }
        })
    }

    /// Answers a connection that begins with a request for a websocket; gives it back when HTTP has to
    /// answer.
    pub(super) fn take(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        bytes: &[u8],
    ) -> std::result::Result<(), TcpStream> {
        let Some(asked) = Asked::read(bytes) else { return Err(stream) };
        let Asked { query, headers, length } = asked;
        if !self.0.origins.allows(&headers) {
            return Err(stream);
        }
        let address = client_address(peer.ip(), &headers, &self.0.trusted_proxies);
        let Ok(admitted) = self.0.admit(&query, &headers, address) else { return Err(stream) };
        let head = admitted.head();
        self.0.start(admitted, stream, head, bytes[length..].to_vec());
        Ok(())
    }
}

/// A websocket that may begin.
struct Admitted {
    link: Arc<Link>,
    /// The value of `Sec-WebSocket-Accept`.
    accept: HeaderValue,
    protocol: Option<HeaderValue>,
    /// It opens a session.
    opens: bool,
}

impl Admitted {
    fn headers(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        let headers = [
            (CONNECTION, HeaderValue::from_static("Upgrade")),
            (UPGRADE, HeaderValue::from_static("websocket")),
            (SEC_WEBSOCKET_ACCEPT, self.accept.clone()),
        ];
        let protocol = self.protocol.clone().map(|protocol| (SEC_WEBSOCKET_PROTOCOL, protocol));
        headers.into_iter().chain(protocol)
    }

    /// The answer to its request.
    fn head(&self) -> Vec<u8> {
        let mut head = b"HTTP/1.1 101 Switching Protocols\r\n".to_vec();
        for (name, value) in self.headers() {
            for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                head.extend_from_slice(part);
            }
        }
        head.extend_from_slice(b"\r\n");
        head
    }
}

impl Inner {
    /// Whose request it is, which came over a connection of ours.
    fn address(&self, request: &Request) -> Result<IpAddr> {
        let Some(Peer(peer)) = request.extensions().get() else {
            return Err(Error::internal("a request without a peer"));
        };
        Ok(client_address(peer.ip(), request.headers(), &self.trusted_proxies))
    }

    /// The link of a new session.
    pub(super) fn open(
        &self,
        query: &Query,
        headers: &HeaderMap,
        address: IpAddr,
    ) -> Result<Arc<Link>> {
        if self.draining.load(Ordering::Acquire) {
            let later = Error::new(Code::Unavailable, "This server is shutting down.");
            return Err(later.with_retry_after(Duration::from_secs(1)));
        }
        let Some((permit, admission)) = self.addresses.admit(address) else {
            return Err(Error::new(Code::RateLimited, "Too many connections from this address.")
                .with_retry_after(Duration::from_secs(5)));
        };
        let token = self.tokens.find(headers, true).map(Into::into);
        let recovers = self.recovery && !query.v3 && bears_offsets(query, headers);
        let client = Client { v3: query.v3, recovers };
        Ok(Link::new(address, self.context.hub.assign(), token, client, (permit, admission)))
    }

    /// The link of a polling session.
    pub(super) fn session(&self, sid: Sid) -> Result<Arc<Link>> {
        let link = self.polling.get(&sid).and_then(|link| link.upgrade());
        link.ok_or_else(|| Error::new(Code::Malformed, UNKNOWN_SESSION))
    }

    /// Lets a websocket in.
    fn admit(&self, query: &Query, headers: &HeaderMap, address: IpAddr) -> Result<Admitted> {
        let accept = check_upgrade(headers)?;
        let link = match query.sid {
            Some(sid) => self.session(sid)?,
            None => self.open(query, headers, address)?,
        };
        if link.is_closing() {
            return Err(Error::new(Code::Malformed, UNKNOWN_SESSION));
        }
        let (protocol, opens) = (first_protocol(headers), query.sid.is_none());
        Ok(Admitted { link, accept, protocol, opens })
    }

    /// Takes the connection over, and the bytes that came after its request; `head` is said first, which
    /// is empty where HTTP has answered.
    fn start(&self, admitted: Admitted, stream: TcpStream, head: Vec<u8>, early: Vec<u8>) {
        // Nobody is known by this id: it is of the length that clients know.
        let opening = admitted.opens.then(|| format!(r#"0{{"sid":"{}{}"#, Sid::new(), self.terms));
        let lane = Lane::new(stream, self.tolerance.clone());
        let context = self.context.clone();
        Websocket::start(context, admitted.link, lane, early, head, opening.as_deref());
    }

    /// Takes the connection over once HTTP has answered.
    fn upgrade(self: &Arc<Self>, query: &Query, mut request: Request) -> Result<Response> {
        if request.method() != Method::GET {
            return Err(not_an_upgrade());
        }
        let admitted = self.admit(query, request.headers(), self.address(&request)?)?;
        let mut answer = StatusCode::SWITCHING_PROTOCOLS.into_response();
        answer.headers_mut().extend(admitted.headers());
        let upgrade = hyper::upgrade::on(&mut request);
        let this = self.clone();
        self.context.tasks.spawn_until_stopped("upgrade", async move {
            let Ok(upgraded) = upgrade.await else { return };
            let Ok(parts) = upgraded.downcast::<TokioIo<Paced>>() else { return };
            // Copied, since even an empty rest of the HTTP parser's buffer keeps all of it.
            let early = parts.read_buf.to_vec();
            this.start(admitted, parts.io.into_inner().into_inner(), Vec::new(), early);
        });
        Ok(answer)
    }

    async fn poll(&self, query: &Query, request: Request) -> Result<Response> {
        let origin = request.headers().get(ORIGIN).cloned();
        let mut answer = match (query.sid, request.method()) {
            (None, &Method::GET) => {
                let link = self.open(query, request.headers(), self.address(&request)?)?;
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

fn not_an_upgrade() -> Error {
    Error::new(Code::Malformed, "This transport needs a websocket upgrade.")
}

/// The checks of RFC 6455, section 4.2.1, but for the method; the value of `Sec-WebSocket-Accept`.
fn check_upgrade(headers: &HeaderMap) -> Result<HeaderValue> {
    let bad = |detail| Error::new(Code::Malformed, detail);
    let has = |name: http::HeaderName, token: &str| {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values
            .flat_map(|value| value.split(','))
            .any(|item| item.trim().eq_ignore_ascii_case(token))
    };
    if !has(UPGRADE, "websocket") || !has(CONNECTION, "upgrade") {
        return Err(not_an_upgrade());
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
            check_upgrade(&headers)
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
