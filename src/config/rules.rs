//! What a value has to be beyond its type: the rules that several sections have.
#![expect(clippy::trivially_copy_pass_by_ref, reason = "garde gives its context by reference")]

use std::time::Duration;

use garde::Error;
use http::Uri;
use url::{Position, Url};

/// `Ok` when `met`, else the sentence.
pub(super) fn require(met: bool, sentence: &str) -> garde::Result {
    if met { Ok(()) } else { Err(Error::new(sentence)) }
}

pub(super) fn positive(duration: &Duration, (): &()) -> garde::Result {
    require(!duration.is_zero(), "has to be longer than zero")
}

/// A day is the least for which what people were told is kept.
pub(super) fn at_least_a_day(duration: &Duration, (): &()) -> garde::Result {
    require(*duration >= Duration::from_hours(24), "has to be at least 24h")
}

/// An http(s) URL that paths are appended to.
pub(super) fn base_url(url: &str, (): &()) -> garde::Result {
    let sentence = "has to be like https://host[:port][/path], without a slash at the end, a query, a fragment or a password";
    let Ok(uri) = url.parse::<Uri>() else {
        return Err(Error::new(sentence));
    };
    let web = matches!(uri.scheme_str(), Some("http" | "https"));
    let named = uri.host().is_some_and(|host| !host.is_empty());
    require(web && named && !url.contains(['?', '#', '@']) && !url.ends_with('/'), sentence)
}

/// What is said of a URL whose parts may be others than they seem: nothing of it is shown.
pub(super) const UNCERTAIN: &str = "can't be read: special characters of a user or a password have to be percent-encoded (%40 for @, %2F for /, %3F for ?, %23 for #)";

/// Whether the parts of a URL are what they seem. A password whose special characters are not encoded
/// ends the host too early, and has its rest, with the @ behind it, where a path or a query belongs.
pub(super) fn has_certain_parts(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    // These may be said in a query, too, where an @ needs no code.
    let is_named = |pair: &str| ["user=", "password="].iter().any(|name| pair.starts_with(name));
    let mut pairs = url.query().unwrap_or_default().split('&');
    url.fragment().is_none()
        && !url[Position::BeforePath..Position::AfterPath].contains('@')
        && pairs.all(|pair| !pair.contains('@') || is_named(pair))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_that_is_not_encoded_makes_the_parts_of_a_url_uncertain() {
        for good in [
            "postgres://bob:hunter2@db/stoa",
            "postgres://bob:a%40b%2Fc@db:5432/stoa?sslmode=require&application_name=a",
            "postgres://bob:a@b@db/stoa",
            "postgres://%2Frun%2Fpostgresql/stoa",
            "postgres:///stoa?host=/run/postgresql&user=bob@server&password=a@b",
            "redis://:hunter2@cache:6379/1",
        ] {
            assert!(has_certain_parts(good), "{good}");
        }
        for bad in [
            "postgres://bob:12/hunter2@db/stoa",
            "postgres://bob:12?hunter2@db/stoa",
            "postgres://bob:12#hunter2@db/stoa",
            "postgres://bob:hunter/2@db/stoa",
            "postgres://bob:a@b/c@db/stoa",
            "postgres://bob:12?a=b@db/stoa",
            "redis://:12/hunter2@cache",
            "redis://:12?hunter2@cache",
        ] {
            assert!(!has_certain_parts(bad), "{bad}");
        }
    }

    #[test]
    fn a_base_url_has_a_host_and_nothing_after_its_path() {
        for good in [
            "https://stoa.example.com",
            "http://shkeeper:5000",
            "http://127.0.0.1:5000/pay",
            "https://[::1]:8443",
        ] {
            assert!(base_url(good, &()).is_ok(), "{good}");
        }
        for bad in [
            "",
            "stoa.example.com",
            "https://",
            "https:///path",
            "ftp://stoa.example.com",
            "https://stoa.example.com/",
            "https://stoa.example.com?a=b",
            "https://stoa.example.com/a?",
            "https://stoa.example.com#a",
            "https://me:secret@stoa.example.com",
            "https://stoa example.com",
        ] {
            assert!(base_url(bad, &()).is_err(), "{bad}");
        }
    }
}
