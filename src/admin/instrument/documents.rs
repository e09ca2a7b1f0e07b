//! Sockets and this node as the Admin UI reads them: a subset of what Node's server says, without what a
//! client showed to be let in, and without the ids by which the engine knows it.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use uuid::Uuid;

use crate::{
    auth::{Identity, Roles},
    clock::Timestamp,
    id::Id,
    realtime::Seen,
    room::Room,
};

/// What the UI may offer, in its own words. Everything of it is served.
pub(super) const FEATURES: [&str; 8] =
    ["EMIT", "JOIN", "LEAVE", "DISCONNECT", "MJOIN", "MLEAVE", "MDISCONNECT", "AGGREGATED_EVENTS"];

/// What is told of each socket, too.
pub(super) const DEVELOPMENT: &str = "ALL_EVENTS";

/// What the UI may offer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Features {
    pub(super) supported_features: Vec<&'static str>,
}

/// A socket.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Socket {
    id: Uuid,
    client_id: String,
    transport: &'static str,
    nsp: &'static str,
    data: Data,
    handshake: Handshake,
    rooms: Vec<Room>,
}

/// Whose it is.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Data {
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<Id>,
    #[serde(skip_serializing_if = "Option::is_none")]
    roles: Option<Roles>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
}

/// What is known of its beginning.
#[derive(Serialize)]
struct Handshake {
    address: IpAddr,
    /// The UI lists them; they are not kept.
    headers: Empty,
    query: Query,
    issued: i64,
    secure: bool,
    time: Timestamp,
    url: &'static str,
    xdomain: bool,
}

#[derive(Serialize)]
struct Empty {}

#[derive(Serialize)]
struct Query {
    #[serde(rename = "EIO")]
    protocol: String,
    transport: &'static str,
}

/// A socket as it is written, and when it began, in milliseconds since 1970.
#[derive(Serialize, Deserialize)]
pub(super) struct Listed {
    pub(super) since: i64,
    pub(super) socket: Box<RawValue>,
}

impl Listed {
    /// A socket; none where it can't be written.
    pub(super) fn of(seen: Seen) -> Option<Self> {
        let since = seen.since().millis();
        let socket = to_raw_value(&Socket::from(seen)).ok()?;
        Some(Self { since, socket })
    }
}

/// What has changed of a socket.
#[derive(Serialize)]
pub(super) struct Changed {
    pub(super) id: Uuid,
    pub(super) nsp: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) transport: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) data: Option<Data>,
}

/// This node.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ServerStats {
    pub(super) server_id: String,
    pub(super) hostname: String,
    pub(super) pid: u32,
    /// In seconds.
    pub(super) uptime: f64,
    pub(super) clients_count: usize,
    pub(super) polling_clients_count: usize,
    pub(super) aggregated_events: Vec<Counted>,
    pub(super) namespaces: Vec<NamespaceSize>,
}

/// What was counted in a second.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Counted {
    /// The beginning of that second, in milliseconds since 1970.
    pub(super) timestamp: i64,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) count: usize,
}

/// A namespace.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NamespaceSize {
    pub(super) name: &'static str,
    pub(super) sockets_count: usize,
}

impl From<&Identity> for Data {
    fn from(identity: &Identity) -> Self {
        Self {
            user_id: Some(identity.user_id.clone()),
            roles: Some(identity.roles),
            expires_at: identity.expires_at,
        }
    }
}

impl From<Seen> for Socket {
    fn from(seen: Seen) -> Self {
        let transport = seen.carrier.as_str();
        let begun = seen.since();
        Self {
            id: seen.id,
            client_id: client_id(seen.client),
            transport,
            nsp: seen.namespace.path(),
            data: seen.identity.map(|identity| Data::from(&*identity)).unwrap_or_default(),
            handshake: Handshake {
                address: seen.address,
                headers: Empty {},
                query: Query { protocol: seen.protocol.to_string(), transport },
                issued: begun.millis(),
                secure: false,
                time: begun,
                url: "/socket.io/",
                xdomain: false,
            },
            rooms: seen.rooms,
        }
    }
}

/// Twelve digits, as Node's server shows of the engine's id.
fn client_id(client: u64) -> String {
    format!("{:012x}", client & 0xffff_ffff_ffff)
}
