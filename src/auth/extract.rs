//! Finds the token of a request or a handshake. In the query string, where proxies log it, only for
//! apps that have always sent it there.

use std::{borrow::Cow, sync::Arc};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use hmac::{Hmac, Mac};
use http::{HeaderMap, HeaderName, HeaderValue, Uri, header, uri::PathAndQuery};
use percent_encoding::{percent_decode, percent_decode_str};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use crate::config::AuthConfig;

/// Where [`take_query_token`] puts what it takes, so that a token of the query goes where those of
/// other headers go.
const FROM_QUERY: HeaderName = HeaderName::from_static("x-stoa-query-token");

/// Where requests may carry a token. Cheap to clone.
#[derive(Clone, Debug)]
pub struct TokenSources(Arc<Sources>);

#[derive(Debug)]
struct Sources {
    cookies: Vec<String>,
    cookie_secret: Option<SecretString>,
    query: Option<String>,
}

impl TokenSources {
    /// As configured.
    #[must_use]
    pub fn new(auth: &AuthConfig) -> Self {
        Self(Arc::new(Sources {
            cookies: auth.cookies.clone(),
            cookie_secret: auth.cookie_secret.clone(),
            query: auth.query.clone(),
        }))
    }

    /// The token of a request, first found wins: `Authorization: Bearer`, the cookies of the
    /// configured names in their order where cookies count, the query where it may
    /// (docs/contract/events.md#handshake).
    #[must_use]
    pub fn find(&self, headers: &HeaderMap, with_cookies: bool) -> Option<String> {
        let Sources { cookies, cookie_secret, query } = &*self.0;
        let header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let header = header.and_then(bearer).map(str::to_owned);
        let cookies = if with_cookies { cookies.as_slice() } else { &[] };
        let secret = cookie_secret.as_ref();
        let in_cookies = || cookies.iter().find_map(|name| cookie(headers, name, secret));
        let in_query = || {
            let token = headers.get(FROM_QUERY).filter(|_| query.is_some())?.to_str().ok()?;
            given_token(token).map(str::to_owned)
        };
        header.or_else(in_cookies).or_else(in_query)
    }

    /// The same for a request that did not pass [`take_query_token`], cookies included.
    #[must_use]
    pub fn find_uncleaned(&self, headers: &HeaderMap, uri: &Uri) -> Option<String> {
        self.find(headers, true).or_else(|| {
            let (_, token) = without_parameter(uri, self.0.query.as_deref()?)?;
            given_token(&token).map(str::to_owned)
        })
    }
}

/// A token that is given as one, with or without `Bearer `; none when it is empty.
#[must_use]
pub fn given_token(text: &str) -> Option<&str> {
    let token = bearer(text).unwrap_or(text).trim();
    (!token.is_empty()).then_some(token)
}

/// Takes the token out of the query's parameter of that name before anything is logged.
pub async fn take_query_token(
    State(name): State<Arc<str>>,
    mut request: Request,
    next: Next,
) -> Response {
    request.headers_mut().remove(FROM_QUERY);
    if let Some((uri, token)) = without_parameter(request.uri(), &name) {
        *request.uri_mut() = uri;
        if let Ok(mut value) = HeaderValue::from_str(&token) {
            value.set_sensitive(true);
            request.headers_mut().insert(FROM_QUERY, value);
        }
    }
    next.run(request).await
}

/// The address without a parameter of the query, and the first value of that; none when it has none.
fn without_parameter(uri: &Uri, name: &str) -> Option<(Uri, String)> {
    let query = uri.query()?;
    let is_it = |pair: &&str| {
        let name_of = pair.split('=').next().unwrap_or_default();
        percent_decode_str(name_of).eq(name.bytes())
    };
    let found = query.split('&').find(is_it)?;
    let value = found.split_once('=').map_or("", |(_, value)| value).replace('+', " ");
    let token = percent_decode_str(&value).decode_utf8_lossy().into_owned();
    let rest: Vec<&str> = query.split('&').filter(|pair| !is_it(pair)).collect();
    let path = match rest.as_slice() {
        [] => uri.path().to_owned(),
        rest => format!("{}?{}", uri.path(), rest.join("&")),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(path).ok()?);
    Some((Uri::from_parts(parts).ok()?, token))
}

/// What follows `Bearer `; the scheme's case does not count (RFC 9110, section 11.1).
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.trim_start().split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// The first cookie of that name with a value, as Express's `cookie-parser` reads it: unquoted,
/// percent-decoded, and opened where it is signed. Other cookies may have any bytes.
fn cookie(headers: &HeaderMap, name: &str, secret: Option<&SecretString>) -> Option<String> {
    let pairs = headers.get_all(header::COOKIE).iter().flat_map(|value| {
        value.as_bytes().split(|b| *b == b';').filter_map(|pair| {
            let equals = pair.iter().position(|b| *b == b'=')?;
            Some((pair[..equals].trim_ascii(), pair[equals + 1..].trim_ascii()))
        })
    });
    pairs.filter(|(key, _)| *key == name.as_bytes()).find_map(|(_, value)| {
        let quoted = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
        let value = std::str::from_utf8(quoted.unwrap_or(value)).ok()?;
        let value = percent_decode(value.as_bytes()).decode_utf8().unwrap_or(Cow::Borrowed(value));
        let value = match (secret, value.strip_prefix("s:")) {
            (Some(secret), Some(signed)) => unsigned(signed, secret)?,
            _ => &value,
        };
        let token = bearer(value).unwrap_or(value);
        (!token.is_empty()).then(|| token.to_owned())
    })
}

/// The value of a signed cookie: before the last dot, and after it the value's HMAC-SHA256 in base64
/// without padding (npm, `cookie-signature`). None when the secret did not sign it.
fn unsigned<'a>(signed: &'a str, secret: &SecretString) -> Option<&'a str> {
    let (value, signature) = signed.rsplit_once('.')?;
    let signature = STANDARD_NO_PAD.decode(signature).ok()?;
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()).ok()?;
    mac.update(value.as_bytes());
    mac.verify_slice(&signature).ok().map(|()| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(query: bool) -> TokenSources {
        let cookies = vec!["token".to_owned(), "accessToken".to_owned()];
        let query = query.then(|| "token".to_owned());
        TokenSources(Arc::new(Sources { cookies, cookie_secret: None, query }))
    }

    fn find(auth: Option<&str>, headers: &[(HeaderName, &str)]) -> Option<String> {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap()));
        let given = auth.and_then(given_token).map(str::to_owned);
        given.or_else(|| sources(false).find(&headers.collect(), true))
    }

    fn found(auth: Option<&str>, headers: &[(HeaderName, &str)]) -> String {
        find(auth, headers).unwrap_or_default()
    }

    const COOKIE: HeaderName = header::COOKIE;
    const AUTHORIZATION: HeaderName = header::AUTHORIZATION;

    #[test]
    fn the_first_place_with_a_token_wins() {
        let everywhere = [(AUTHORIZATION, "Bearer header"), (COOKIE, "token=cookie")];
        assert_eq!(found(Some("auth"), &everywhere), "auth");
        assert_eq!(found(None, &everywhere), "header");
        assert_eq!(found(Some(" "), &everywhere), "header");
        assert_eq!(found(Some(""), &everywhere[1..]), "cookie");
        assert_eq!(find(None, &[]), None);
    }

    #[test]
    fn bearer_is_optional_in_auth_and_required_in_the_header() {
        assert_eq!(found(Some("Bearer a.b.c"), &[]), "a.b.c");
        assert_eq!(found(Some("bearer  a.b.c "), &[]), "a.b.c");
        assert_eq!(found(None, &[(AUTHORIZATION, "bEaReR a.b.c")]), "a.b.c");
        for other in ["a.b.c", "Basic YTpi", "Bearer", "Bearer ", "Bearera.b.c"] {
            assert_eq!(find(None, &[(AUTHORIZATION, other)]), None, "{other:?}");
        }
        let basic = [(AUTHORIZATION, "Basic YTpi"), (COOKIE, "token=cookie")];
        assert_eq!(found(None, &basic), "cookie");
    }

    #[test]
    fn cookies_are_tried_in_the_configured_order_unquoted_and_decoded() {
        for (cookies, token) in [
            ("accessToken=second; token=first", "first"),
            ("a=b;accessToken=second", "second"),
            ("token=; accessToken=second", "second"),
            ("token=\"quoted\"", "quoted"),
            ("token=Bearer%20a.b%2Ec", "a.b.c"),
            ("token=a%FFb", "a%FFb"),
            ("xtoken=no; Token=no", ""),
            ("token", ""),
        ] {
            assert_eq!(found(None, &[(COOKIE, cookies)]), token, "{cookies}");
        }
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, "a=b".parse().unwrap());
        headers.append(COOKIE, "token=second-header".parse().unwrap());
        assert_eq!(sources(false).find(&headers, true).unwrap(), "second-header");
        assert_eq!(sources(false).find(&headers, false), None);
    }

    #[test]
    fn a_token_is_taken_out_of_the_query() {
        for (uri, rest, token) in [
            ("/a?token=x", "/a", "x"),
            ("/a?b=1&token=x%2By&c=2", "/a?b=1&c=2", "x+y"),
            ("/a?t%6Fken=Bearer+x&token=second&d", "/a?d", "Bearer x"),
            ("http://h:1/a?token&d=1", "http://h:1/a?d=1", ""),
        ] {
            let taken = without_parameter(&uri.parse().unwrap(), "token");
            assert_eq!(taken, Some((rest.parse().unwrap(), token.to_owned())), "{uri}");
        }
        for uri in ["/a", "/a?tokens=x", "/a?Token=x", "/token=x?"] {
            assert_eq!(without_parameter(&uri.parse().unwrap(), "token"), None, "{uri}");
        }
    }

    #[test]
    fn a_request_that_was_not_cleaned_shows_the_same() {
        let uri = "/a?token=Bearer+x&b".parse().unwrap();
        let none = HeaderMap::new();
        assert_eq!(sources(true).find_uncleaned(&none, &uri).as_deref(), Some("x"));
        assert_eq!(sources(false).find_uncleaned(&none, &uri), None);
        let cookie = HeaderMap::from_iter([(COOKIE, HeaderValue::from_static("token=first"))]);
        assert_eq!(sources(true).find_uncleaned(&cookie, &uri).as_deref(), Some("first"));
    }

    #[test]
    fn what_the_header_of_the_query_holds_counts_only_where_the_query_may() {
        let headers = HeaderMap::from_iter([(FROM_QUERY, HeaderValue::from_static("x"))]);
        assert_eq!(sources(true).find(&headers, true).as_deref(), Some("x"));
        assert_eq!(sources(false).find(&headers, true), None);
    }
}
