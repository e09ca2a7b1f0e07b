//! Finds the token of a request or a handshake. Never in the query string, where proxies log it.

use std::borrow::Cow;

use http::{HeaderMap, header};
use percent_encoding::percent_decode_str;

/// The token, first found wins: `auth.token` of a Socket.IO handshake, `Authorization: Bearer`, the
/// cookies of these names in this order (contract/events.md, "Handshake").
#[must_use]
pub fn token_from(auth: Option<&str>, headers: &HeaderMap, cookies: &[String]) -> Option<String> {
    let auth = auth.map(|token| bearer(token).unwrap_or(token).trim());
    let header = || headers.get(header::AUTHORIZATION)?.to_str().ok().and_then(bearer);
    auth.filter(|token| !token.is_empty())
        .or_else(header)
        .map(str::to_owned)
        .or_else(|| cookies.iter().find_map(|name| cookie(headers, name)))
}

/// What follows `Bearer `; the scheme's case does not count (RFC 9110, section 11.1).
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.trim_start().split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// The first cookie of that name with a value, as Express's `cookie-parser` reads it: unquoted and
/// percent-decoded.
fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let pairs = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = pairs.flat_map(|value| value.split(';')).filter_map(|pair| pair.split_once('='));
    pairs.filter(|(key, _)| key.trim() == name).find_map(|(_, value)| {
        let value = value.trim();
        let value = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(value);
        let value = percent_decode_str(value).decode_utf8().unwrap_or(Cow::Borrowed(value));
        let token = bearer(&value).unwrap_or(&value);
        (!token.is_empty()).then(|| token.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    fn find(auth: Option<&str>, headers: &[(HeaderName, &str)]) -> Option<String> {
        let names = ["token".to_owned(), "accessToken".to_owned()];
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap()));
        token_from(auth, &headers.collect(), &names)
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
        assert_eq!(token_from(None, &headers, &["token".into()]).unwrap(), "second-header");
    }
}
