//! What a value has to be beyond its type: the rules that several sections have.
#![expect(clippy::trivially_copy_pass_by_ref, reason = "garde gives its context by reference")]

use std::time::Duration;

use garde::Error;
use http::Uri;

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

#[cfg(test)]
mod tests {
    use super::*;

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
