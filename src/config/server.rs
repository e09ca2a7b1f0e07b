//! `[server]`: the listening port and what it takes.
#![expect(clippy::trivially_copy_pass_by_ref, reason = "garde gives its context by reference")]

use std::{net::IpAddr, time::Duration};

use garde::Validate;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::{
    notation,
    rules::{base_url, positive, require},
};
use crate::origin::Origin;

/// `[server]`
#[derive(Clone, Debug, Serialize, Deserialize, Validate)]
#[garde(allow_unvalidated)]
pub struct ServerConfig {
    /// `HOST`
    pub host: IpAddr,
    /// `PORT`; 0 takes a free one.
    pub port: u16,
    /// `CLIENT_URL`: origins of the chat's web apps.
    #[garde(inner(custom(origin)))]
    pub client_url: Vec<String>,
    /// `FRONTEND_URL`: origins of the marketplace's web apps.
    #[garde(inner(custom(origin)))]
    pub frontend_url: Vec<String>,
    /// `PUBLIC_URL`: how providers reach this server, for their callbacks.
    #[garde(inner(custom(base_url)))]
    pub public_url: Option<String>,
    /// `MAX_PAYLOAD`: bytes of one websocket message, polling body or REST body.
    #[serde(deserialize_with = "notation::size")]
    #[garde(range(min = 1024))]
    pub max_payload_bytes: usize,
    /// `TRUSTED_PROXIES`: whose `X-Forwarded-For` is believed.
    #[serde(deserialize_with = "notation::networks")]
    pub trusted_proxies: Vec<IpNet>,
    /// `DRAIN_DELAY`: from SIGTERM, how long new sockets are still taken while `/readyz` says 503.
    #[serde(with = "humantime_serde")]
    pub drain_delay: Duration,
    /// `DRAIN_TIMEOUT`: from SIGTERM to exit.
    #[serde(with = "humantime_serde")]
    pub drain_timeout: Duration,
    /// Until the first byte of a connection.
    #[serde(with = "humantime_serde")]
    #[garde(custom(positive))]
    pub first_byte_timeout: Duration,
    /// How long a connection is kept without a request.
    #[serde(with = "humantime_serde")]
    #[garde(custom(positive))]
    pub keep_alive: Duration,
    /// From the first byte of a request until its headers are complete.
    #[serde(with = "humantime_serde")]
    #[garde(custom(positive))]
    pub header_timeout: Duration,
    /// Until a request's body is complete.
    #[serde(with = "humantime_serde")]
    #[garde(custom(positive))]
    pub body_timeout: Duration,
    /// Bytes of a body that comes without credentials.
    #[serde(deserialize_with = "notation::size")]
    #[garde(range(min = 1024))]
    pub open_body_bytes: usize,
    /// Until a body that comes without credentials is complete.
    #[serde(with = "humantime_serde")]
    #[garde(custom(positive))]
    pub open_body_timeout: Duration,
    /// Headers of one request.
    #[garde(range(min = 16))]
    pub max_headers: usize,
    /// Bytes of one request's headers.
    #[serde(deserialize_with = "notation::size")]
    #[garde(range(min = 8192))]
    pub max_header_bytes: usize,
}

impl ServerConfig {
    /// The origins that may connect with credentials.
    pub fn origins(&self) -> impl Iterator<Item = &str> {
        self.client_url.iter().chain(&self.frontend_url).map(String::as_str)
    }
}

/// An origin as browsers send it (RFC 6454, section 6.2).
fn origin(origin: &str, (): &()) -> garde::Result {
    require(origin != "*", "`*` is refused, because credentials are sent: list the origins")?;
    let exact = origin.parse::<Origin>().is_ok_and(|read| read.to_string() == origin);
    require(
        exact && !origin.contains('*'),
        &format!(
            "`{origin}` is not an origin as browsers send it: scheme://host[:port] in lower case, \
             without a path, a slash at the end or the scheme's own port, names in Punycode"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_taken_only_as_browsers_send_it() {
        for good in [
            "http://localhost:5175",
            "https://app.example.com",
            "https://app.example.com:8443",
            "http://127.0.0.1:3000",
            "http://[::1]:3000",
            "capacitor://localhost",
        ] {
            assert!(origin(good, &()).is_ok(), "{good}");
        }
        for bad in [
            "*",
            "app.example.com",
            "https://app.example.com/",
            "https://app.example.com/chat",
            "https://App.example.com",
            "https://app.example.com:443",
            "http://app.example.com:80",
            "https://app.example.com:99999",
            "https://app.example.com:443.evil.example",
            "https://b\u{fc}cher.example",
            "http://[0:0::1]:3000",
            "http://127.1:3000",
            "https://me@app.example.com",
            "https://*.example.com",
            "",
        ] {
            assert!(origin(bad, &()).is_err(), "{bad}");
        }
    }
}
