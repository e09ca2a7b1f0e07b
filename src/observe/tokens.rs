//! Where tokens come, and whether this server would take them. A token is judged where it is read, and
//! what is kept of it is its place and the verdict.

use std::fmt;

use http::{
    HeaderMap, Uri,
    header::{AUTHORIZATION, COOKIE},
};
use percent_encoding::percent_decode_str;
use serde::{Serialize, Serializer};
use serde_json::Value;
use tokio::runtime::Handle;

use super::names;
use crate::{
    auth::{TokenError, TokenSources, Verifier, given_token},
    config::AuthConfig,
};

/// Where a token stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// A field of CONNECT's payload.
    Auth(String),
    /// `Authorization: Bearer`.
    Bearer,
    /// A header, bare.
    Header(String),
    /// A cookie.
    Cookie(String),
    /// A cookie that `cookie-parser` signed.
    SignedCookie(String),
    /// A parameter of the query.
    Query(String),
}

/// What this server would say of a socket.
#[derive(Clone, Debug, Default)]
pub(super) struct Judgement {
    /// Where it reads a token, and why that is refused, if it is.
    pub(super) read: Option<(Place, Result<(), String>)>,
    /// Where tokens stand that it does not read, and whether it would take them.
    pub(super) unread: Vec<(Place, bool)>,
}

/// The keys and the places of this server's configuration.
pub(super) struct Keys {
    verifier: Option<Verifier>,
    sources: TokenSources,
    cookies: Vec<String>,
    query: Option<String>,
    runtime: Handle,
}

impl Keys {
    /// Without a verifier there is no key, and none is taken.
    pub(super) fn new(verifier: Option<Verifier>, auth: &AuthConfig, runtime: Handle) -> Self {
        let (cookies, query) = (auth.cookies.clone(), auth.query.clone());
        Self { verifier, sources: TokenSources::new(auth), cookies, query, runtime }
    }

    /// Judges what a request shows.
    pub(super) fn judge(&self, headers: &HeaderMap, uri: &Uri) -> Judgement {
        let shown = self.shown(headers, uri);
        let token = self.sources.find_uncleaned(headers, uri);
        let place = token.as_ref().and_then(|token| {
            let (place, _) = shown.iter().find(|(_, shown)| shown == token)?;
            Some(place.clone())
        });
        let read = token.zip(place).map(|(token, place)| (place, self.verify(&token)));
        let unread = shown
            .into_iter()
            .filter(|(place, _)| read.is_none() && !matches!(place, Place::Bearer));
        let unread = unread.map(|(place, token)| (place, self.verify(&token).is_ok())).collect();
        Judgement { read, unread }
    }

    /// Judges a socket by CONNECT's payload, too.
    pub(super) fn judge_socket(&self, request: &Judgement, auth: Option<&Value>) -> Judgement {
        let fields = auth.and_then(Value::as_object).into_iter().flatten();
        let mut unread = Vec::new();
        for (name, value) in fields {
            let Some(token) = value.as_str().and_then(given_token) else { continue };
            let place = Place::Auth(names::told(name));
            if name == "token" {
                let read = Some((place, self.verify(token)));
                return Judgement { read, unread: Vec::new() };
            }
            if is_jwt(token) {
                unread.push((place, self.verify(token).is_ok()));
            }
        }
        let mut judgement = request.clone();
        if judgement.read.is_none() {
            judgement.unread.extend(unread);
        }
        judgement
    }

    /// Every place of a request with a token: those that are configured, and those whose value looks
    /// like one.
    fn shown(&self, headers: &HeaderMap, uri: &Uri) -> Vec<(Place, String)> {
        let mut shown = Vec::new();
        for (name, value) in headers {
            let Ok(value) = value.to_str() else { continue };
            if name == COOKIE {
                shown.extend(value.split(';').filter_map(|pair| self.cookie(pair)));
                continue;
            }
            let Some(token) = given_token(value) else { continue };
            let is_bearer = name == AUTHORIZATION && token.len() < value.trim().len();
            if is_bearer {
                shown.push((Place::Bearer, token.to_owned()));
            } else if is_jwt(token) {
                shown.push((Place::Header(names::told(name.as_str())), token.to_owned()));
            }
        }
        for pair in uri.query().unwrap_or_default().split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = percent_decode_str(name).decode_utf8_lossy();
            let value = value.replace('+', " ");
            let value = percent_decode_str(&value).decode_utf8_lossy();
            let Some(token) = given_token(&value) else { continue };
            if self.query.as_deref() == Some(&*name) || is_jwt(token) {
                shown.push((Place::Query(names::told(&name)), token.to_owned()));
            }
        }
        shown
    }

    fn cookie(&self, pair: &str) -> Option<(Place, String)> {
        let (name, value) = pair.split_once('=')?;
        let (name, value) = (name.trim(), value.trim().trim_matches('"'));
        let value = percent_decode_str(value).decode_utf8().ok()?;
        if let Some(signed) = value.strip_prefix("s:") {
            let (token, _) = signed.rsplit_once('.')?;
            let place = Place::SignedCookie(names::told(name));
            return is_jwt(token).then(|| (place, token.to_owned()));
        }
        let token = given_token(&value)?;
        let may_carry = self.cookies.iter().any(|cookie| cookie == name);
        (may_carry || is_jwt(token)).then(|| (Place::Cookie(names::told(name)), token.to_owned()))
    }

    /// Whether this server takes a token, or why not, as its handshake says it.
    fn verify(&self, token: &str) -> Result<(), String> {
        let Some(verifier) = &self.verifier else { return Err(NO_KEY.to_owned()) };
        let refusal = |error: TokenError| {
            let sentence = error.to_string();
            sentence.trim_start_matches("Authentication error: ").to_owned()
        };
        self.runtime.block_on(verifier.verify(token)).map(drop).map_err(refusal)
    }
}

/// Why no token is taken where there is no key.
pub(super) const NO_KEY: &str = "no key is configured";

/// Whether a text is made as a JWT is: an object in base64, and two more parts.
fn is_jwt(text: &str) -> bool {
    text.starts_with("eyJ") && text.split('.').count() == 3
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auth(field) => write!(f, "auth.{field}"),
            Self::Bearer => f.write_str("Authorization: Bearer"),
            Self::Header(name) => write!(f, "header {name}"),
            Self::Cookie(name) => write!(f, "cookie {name}"),
            Self::SignedCookie(name) => write!(f, "signed cookie {name}"),
            Self::Query(name) => write!(f, "query {name}"),
        }
    }
}

impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
