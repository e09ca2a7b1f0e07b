//! Reads the copies: connections into requests and frames, those into packets, and packets into the
//! tally. It has a thread of its own and no part in the traffic.

use std::{
    collections::HashMap,
    hash::BuildHasher,
    io::{self, Read},
    mem,
};

use flate2::read::{GzDecoder, ZlibDecoder};
use http::{
    HeaderMap, Method, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_TYPE, ORIGIN},
};
use indexmap::IndexMap;
use parking_lot::Mutex;

use super::{
    copies::{Copied, Side, What},
    exchange::{Answer, Exchange, Exchanges, Request, Switched, Unreadable},
    names,
    session::{Contract, Session},
    tally::Tally,
    websocket::{Message, Messages, Packing},
};
use crate::{
    origin::OriginPolicy,
    realtime::payload::{Packets, of_octets},
};

/// Sessions that are known at once; beyond it the oldest are forgotten.
const MOST_SESSIONS: usize = 100_000;

/// The longest body once it is unpacked.
const LONGEST_BODY: u64 = 4 * 1024 * 1024;

/// Where this server speaks Socket.IO.
const PATH: &str = "/socket.io";

/// What is kept of each connection and session while it lasts.
pub(super) struct Reading {
    contract: Contract,
    origins: OriginPolicy,
    connections: HashMap<u64, Connection>,
    /// By their ids, hashed: an id lets its holder speak for a client.
    sessions: IndexMap<u64, Session>,
}

enum Connection {
    Http(Box<Exchanges>),
    Websocket(Box<Websocket>),
    /// Nothing more of it can be read, or is to be.
    Unread,
}

struct Websocket {
    session: u64,
    sides: [Messages; 2],
}

/// What a request to Engine.IO asks for, by its query.
struct Asked<'a> {
    v3: bool,
    is_websocket: bool,
    is_jsonp: bool,
    sid: Option<&'a str>,
}

impl<'a> Asked<'a> {
    fn by(request: &'a Request) -> Option<Self> {
        let query = request.uri.query()?;
        let of = |wanted: &str| {
            let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.into_iter().find(|(name, _)| *name == wanted).map(|(_, value)| value)
        };
        Some(Self {
            v3: of("EIO")? == "3",
            is_websocket: of("transport")? == "websocket",
            is_jsonp: of("j").is_some(),
            sid: of("sid").filter(|sid| !sid.is_empty()),
        })
    }
}

fn is_read(request: &Request) -> bool {
    Asked::by(request).is_some_and(|asked| !asked.is_jsonp)
}

impl Reading {
    pub(super) fn new(contract: Contract, origins: OriginPolicy) -> Self {
        Self { contract, origins, connections: HashMap::new(), sessions: IndexMap::new() }
    }

    /// Reads until nothing more can come.
    pub(super) fn run(mut self, copied: Copied, tally: &Mutex<Tally>) {
        for copy in copied {
            let tally = &mut *tally.lock();
            match copy.what {
                What::Said(side, bytes) => self.said(copy.connection, side, &bytes, tally),
                What::Lost => {
                    tally.lost += 1;
                    self.connections.insert(copy.connection, Connection::Unread);
                }
                What::Ended => self.ended(copy.connection, tally),
            }
        }
    }

    fn said(&mut self, number: u64, side: Side, bytes: &[u8], tally: &mut Tally) {
        let connection = self.connections.entry(number).or_insert_with(|| {
            tally.connections += 1;
            Connection::Http(Box::new(Exchanges::new(is_read)))
        });
        // Taken out, so that what it says may be read with everything else at hand.
        let mut connection = mem::replace(connection, Connection::Unread);
        let next = match &mut connection {
            Connection::Unread => Ok(None),
            Connection::Websocket(websocket) => {
                self.websocket(websocket, side, bytes, tally).map(|()| None)
            }
            Connection::Http(exchanges) => {
                let read =
                    exchanges.read(side, bytes, &mut |exchange| self.exchange(exchange, tally));
                match read {
                    Ok(Some(switched)) => self.switched(number, switched, tally).map(Some),
                    Ok(None) => Ok(None),
                    Err(Unreadable) => {
                        // No HTTP, and so none of ours.
                        tally.other_requests += 1;
                        Ok(Some(Connection::Unread))
                    }
                }
            }
        };
        let connection = next.map_or_else(
            |Unreadable| {
                tally.unreadable += 1;
                Connection::Unread
            },
            |next| next.unwrap_or(connection),
        );
        self.connections.insert(number, connection);
    }

    fn ended(&mut self, number: u64, tally: &mut Tally) {
        match self.connections.remove(&number) {
            Some(Connection::Http(mut exchanges)) => {
                exchanges.end(&mut |exchange| self.exchange(exchange, tally));
            }
            Some(Connection::Websocket(websocket)) => {
                self.sessions.swap_remove(&websocket.session);
            }
            Some(Connection::Unread) | None => {}
        }
    }

    /// The session of this id. One that is not known has begun before, or was forgotten.
    fn session(&mut self, id: u64) -> &mut Session {
        if self.sessions.len() >= MOST_SESSIONS && !self.sessions.contains_key(&id) {
            self.sessions.swap_remove_index(0);
        }
        self.sessions.entry(id).or_default()
    }

    fn hash(&self, sid: &str) -> u64 {
        self.connections.hasher().hash_one(sid)
    }

    /// A client opens a session.
    fn open(&self, request: &Request, asked: &Asked<'_>, tally: &mut Tally) -> Session {
        *tally.sessions.entry(if asked.v3 { 3 } else { 4 }).or_default() += 1;
        let path = request.uri.path().trim_end_matches('/');
        if path != PATH
            && let Some(count) = tally.paths.of(&names::told(path))
        {
            *count += 1;
        }
        if !self.origins.allows(&request.headers)
            && let Some(origin) =
                request.headers.get(ORIGIN).and_then(|origin| origin.to_str().ok())
            && let Some(count) = tally.origins.of(origin)
        {
            *count += 1;
        }
        let shown = self.contract.keys.judge(&request.headers, &request.uri);
        Session::showing(shown)
    }

    fn exchange(&mut self, exchange: Exchange<'_>, tally: &mut Tally) {
        let (Exchange::Asked(request, _) | Exchange::Answered(request, ..)) = exchange;
        let Some(asked) = Asked::by(request) else {
            tally.other_requests += u64::from(matches!(exchange, Exchange::Asked(..)));
            return;
        };
        if asked.is_jsonp && asked.sid.is_some() {
            return;
        }
        let (side, headers, body, id) = match (exchange, asked.sid) {
            (Exchange::Asked(request, body), Some(sid)) if request.method == Method::POST => {
                (Side::Client, &request.headers, body, self.hash(sid))
            }
            (Exchange::Answered(request, answer, body), sid)
                if request.method == Method::GET && answer.status == StatusCode::OK =>
            {
                let Some(id) = sid.map(|sid| self.hash(sid)) else {
                    return self.opened(request, &asked, answer, body, tally);
                };
                (Side::Server, &answer.headers, body, id)
            }
            _ => return,
        };
        let Some(body) = body else {
            tally.too_long += 1;
            return;
        };
        self.packets(side, headers, body, (id, asked.v3), tally);
    }

    /// The answer to a first request, which names the session.
    fn opened(
        &mut self,
        request: &Request,
        asked: &Asked<'_>,
        answer: &Answer,
        body: Option<&[u8]>,
        tally: &mut Tally,
    ) {
        if asked.is_jsonp {
            tally.transports.jsonp += 1;
        } else {
            tally.transports.polling += 1;
        }
        let mut session = self.open(request, asked, tally);
        let Some(packets) = body.and_then(|body| packets(&answer.headers, body, asked.v3)) else {
            tally.unreadable += u64::from(!asked.is_jsonp);
            return;
        };
        let mut sid = None;
        for packet in packets {
            let opens = session.text(Side::Server, &packet, &self.contract, tally);
            sid = sid.or(opens);
        }
        if let Some(sid) = sid {
            let id = self.hash(&sid);
            *self.session(id) = session;
        }
    }

    fn packets(
        &mut self,
        side: Side,
        headers: &HeaderMap,
        body: &[u8],
        (id, v3): (u64, bool),
        tally: &mut Tally,
    ) {
        let Some(packets) = packets(headers, body, v3) else {
            tally.unreadable += 1;
            return;
        };
        self.session(id);
        let Some(session) = self.sessions.get_mut(&id) else { return };
        for packet in packets {
            session.text(side, &packet, &self.contract, tally);
        }
    }

    /// A websocket begins, of a session that polls or of a new one.
    fn switched(
        &mut self,
        number: u64,
        switched: Switched,
        tally: &mut Tally,
    ) -> Result<Connection, Unreadable> {
        let Switched { request, answer, client, server } = switched;
        let Some(asked) = Asked::by(&request).filter(|asked| asked.is_websocket) else {
            tally.other_requests += 1;
            return Ok(Connection::Unread);
        };
        let packing = Packing::agreed(&answer.headers)?;
        tally.transports.packed += u64::from(packing.is_some());
        let id = if let Some(sid) = asked.sid {
            self.hash(sid)
        } else {
            tally.transports.websocket += 1;
            // Known by its connection alone.
            let id = self.connections.hasher().hash_one(number);
            let session = self.open(&request, &asked, tally);
            *self.session(id) = session;
            id
        };
        let sides = [Side::Client, Side::Server].map(|side| Messages::of(side, packing));
        let mut websocket = Websocket { session: id, sides };
        self.websocket(&mut websocket, Side::Client, &client, tally)?;
        self.websocket(&mut websocket, Side::Server, &server, tally)?;
        Ok(Connection::Websocket(Box::new(websocket)))
    }

    fn websocket(
        &mut self,
        websocket: &mut Websocket,
        side: Side,
        bytes: &[u8],
        tally: &mut Tally,
    ) -> Result<(), Unreadable> {
        self.session(websocket.session);
        let contract = &self.contract;
        let Some(session) = self.sessions.get_mut(&websocket.session) else { return Ok(()) };
        let mut tell = |message: Message| match message.data {
            None => tally.too_long += 1,
            Some(data) if !message.is_text => session.binary(side, data.len(), tally),
            Some(data) => match std::str::from_utf8(&data) {
                Ok(packet) => drop(session.text(side, packet, contract, tally)),
                Err(_) => tally.unreadable += 1,
            },
        };
        websocket.sides[side as usize].read(bytes, &mut tell)
    }
}

/// The packets of a body, as text; none where it is no such body.
fn packets(headers: &HeaderMap, body: &[u8], v3: bool) -> Option<Vec<String>> {
    let is = |name, value: &str| headers.get(name).is_some_and(|given| given == value);
    let body = match headers.get(CONTENT_ENCODING).map(http::HeaderValue::as_bytes) {
        None | Some(b"identity") => body.to_vec(),
        Some(b"gzip") => unpacked(GzDecoder::new(body)).ok()?,
        Some(b"deflate") => unpacked(ZlibDecoder::new(body)).ok()?,
        Some(_) => return None,
    };
    if v3 && is(CONTENT_TYPE, "application/octet-stream") {
        return of_octets(&body).ok();
    }
    let text = std::str::from_utf8(&body).ok()?;
    Packets::of(text, v3).map(|packet| packet.ok().map(str::to_owned)).collect()
}

fn unpacked(body: impl Read) -> io::Result<Vec<u8>> {
    let mut whole = Vec::new();
    body.take(LONGEST_BODY).read_to_end(&mut whole)?;
    Ok(whole)
}
