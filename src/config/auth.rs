//! `[auth]`: tokens, keys and who may connect.
#![expect(clippy::trivially_copy_pass_by_ref, reason = "garde gives its context by reference")]

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use garde::{Error, Validate};
use http::Uri;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::{
    notation,
    rules::{positive, require},
};

/// The shortest HS256 key that is taken: as long as its hash (RFC 7518, section 3.2).
pub const MIN_SECRET_BYTES: usize = 32;

/// `[auth]`
#[derive(Clone, Debug, Serialize, Deserialize, Validate)]
#[garde(allow_unvalidated)]
pub struct AuthConfig {
    /// `JWT_SECRET`: HS256, HS384 and HS512 key, at least 32 bytes.
    #[serde(serialize_with = "notation::hidden")]
    pub jwt_secret: Option<SecretString>,
    /// `JWT_SECRET_PREVIOUS`: a key that is still believed, and signs nothing.
    #[serde(serialize_with = "notation::hidden")]
    pub jwt_secret_previous: Option<SecretString>,
    /// `JWT_SHORT_SECRET`
    pub jwt_short_secret: ShortSecret,
    /// `JWT_PUBLIC_KEY`: a PEM of one key or several, or the path of one.
    #[garde(inner(custom(public_key)))]
    pub jwt_public_key: Option<String>,
    /// `JWT_JWKS`: a file or an https URL.
    #[garde(inner(custom(jwks)))]
    pub jwt_jwks: Option<String>,
    /// How often a JWKS URL is asked again.
    #[serde(with = "humantime_serde")]
    #[garde(custom(positive))]
    pub jwks_refresh: Duration,
    /// `JWT_ISSUER`: required in tokens when set.
    pub jwt_issuer: Option<String>,
    /// `JWT_AUDIENCE`: required in tokens when set.
    pub jwt_audience: Option<String>,
    /// How far a token's times may be off.
    #[serde(with = "humantime_serde")]
    pub leeway: Duration,
    /// `AUTH_COOKIES`: cookies that may carry a token, in order.
    #[garde(inner(custom(cookie_name)))]
    pub cookies: Vec<String>,
    /// `AUTH_COOKIE_SECRET`: opens cookies that Express's cookie-parser signed.
    #[serde(serialize_with = "notation::hidden")]
    pub cookie_secret: Option<SecretString>,
    /// `AUTH_QUERY`: a query parameter that may carry a token.
    #[garde(inner(custom(query_parameter)))]
    pub query: Option<String>,
    /// `HANDSHAKE`
    pub handshake: Handshake,
    /// `API_KEYS`: `name:sha256hex[:scopes]` entries.
    #[serde(serialize_with = "notation::hidden_keys")]
    #[garde(inner(custom(api_key)))]
    pub api_keys: Vec<String>,
    /// An app's own words for roles, and the roles that each stands for, with `+` between them.
    pub role_names: BTreeMap<String, String>,
}

impl AuthConfig {
    /// Whether there is anything to verify a token with.
    #[must_use]
    pub fn has_key(&self) -> bool {
        self.jwt_secret.is_some() || self.jwt_public_key.is_some() || self.jwt_jwks.is_some()
    }

    /// The secrets that are shorter than they should be, by their keys, with their lengths.
    pub(super) fn short_secrets(&self) -> impl Iterator<Item = (&'static str, usize)> {
        let secrets =
            [("jwt_secret", &self.jwt_secret), ("jwt_secret_previous", &self.jwt_secret_previous)];
        secrets.into_iter().filter_map(|(key, secret)| {
            let bytes = secret.as_ref()?.expose_secret().len();
            (bytes < MIN_SECRET_BYTES).then_some((key, bytes))
        })
    }
}

/// `JWT_SHORT_SECRET`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ShortSecret {
    /// A secret of less than 32 bytes stops the start.
    Refuse,
    /// It is taken, and warned of.
    Accept,
}

/// `HANDSHAKE`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Handshake {
    /// A socket without a valid token is refused.
    Required,
    /// A socket without a token is believed when it says who it is.
    Trusting,
}

/// A parameter's name that needs no escape (RFC 3986, section 2.3), and is none of Engine.IO's own.
fn query_parameter(name: &str, (): &()) -> garde::Result {
    const ENGINE: [&str; 5] = ["EIO", "transport", "sid", "t", "b64"];
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    require(
        !name.is_empty() && name.bytes().all(plain) && !ENGINE.contains(&name),
        "has to be a name of the characters [A-Za-z0-9._~-], none that Engine.IO uses",
    )
}

fn public_key(key: &str, (): &()) -> garde::Result {
    require(!key.contains("PRIVATE KEY"), "this is a private key; only the public one belongs here")
}

/// A path, an https URL, or a plain one of this very machine.
fn jwks(source: &str, (): &()) -> garde::Result {
    if !source.contains("://") {
        return Ok(());
    }
    let Ok(url) = source.parse::<Uri>() else {
        return Err(Error::new("is neither a path nor a URL"));
    };
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    let loopback = host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    require(
        url.scheme_str() == Some("https") || url.scheme_str() == Some("http") && loopback,
        "keys are fetched over https only (plain http only from this machine)",
    )
}

fn cookie_name(name: &str, (): &()) -> garde::Result {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    require(!name.is_empty() && name.bytes().all(token), "is not a cookie's name (RFC 6265)")
}

/// `name:sha256hex[:scopes]`; the entry itself is never shown.
fn api_key(entry: &str, (): &()) -> garde::Result {
    let mut parts = entry.splitn(3, ':');
    let (name, hash) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let named =
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.@-".contains(&b));
    let hashed = hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit());
    require(
        named && hashed && parts.next() != Some(""),
        "has to be name:sha256hex[:scopes], with the key's SHA-256 as 64 hex digits",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_from_a_file_or_over_https() {
        for good in [
            "/etc/stoa/jwks.json",
            "jwks.json",
            "https://id.example.com/jwks.json",
            "http://localhost:9000/jwks",
            "http://127.0.0.1/jwks",
            "http://[::1]:9000/jwks",
        ] {
            assert!(jwks(good, &()).is_ok(), "{good}");
        }
        for bad in [
            "http://id.example.com/jwks.json",
            "http://localhost.example.com/jwks",
            "ftp://localhost/jwks",
            "https://",
        ] {
            assert!(jwks(bad, &()).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_api_key_has_a_name_and_a_sha256() {
        let hash = "ab".repeat(32);
        for good in [format!("shop:{hash}"), format!("shop-2.eu:{hash}:emit")] {
            assert!(api_key(&good, &()).is_ok(), "{good}");
        }
        for bad in [
            hash.clone(),
            format!(":{hash}"),
            format!("a b:{hash}"),
            "shop:".to_owned(),
            format!("shop:{}", &hash[1..]),
            format!("shop:{}", "zz".repeat(32)),
            format!("shop:{hash}:"),
        ] {
            assert!(api_key(&bad, &()).is_err(), "{bad}");
        }
    }
}
