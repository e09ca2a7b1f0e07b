//! Where a web page comes from (RFC 6454), and which pages may call with credentials: over REST, at
//! the Socket.IO door, where browsers do not ask before they open a websocket, and with a cookie.

use std::{fmt, str::FromStr, sync::Arc};

use http::{
    HeaderMap, HeaderName,
    header::{HOST, ORIGIN},
};
use url::Url;

/// The origin of no origin.
const NULL: &str = "null";

/// What browsers say of a page: scheme, host and port, with the scheme's own port spelt out.
/// Prints as browsers write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    scheme: Box<str>,
    host: Box<str>,
    port: Option<u16>,
}

/// A text that is no origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not an origin; it has a scheme, a host and perhaps a port: https://app.example.com"
)]
pub struct InvalidOrigin(pub String);

/// The origins that may connect with credentials. Cheap to clone.
#[derive(Clone, Debug)]
pub struct OriginPolicy {
    named: Arc<[Origin]>,
    local_pages: bool,
}

impl Origin {
    /// The host: a name, an IPv4 address, or an IPv6 address in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The origin of a page that this host would serve over `scheme`. `host` is the value of
    /// `Host`; none when that is no host and perhaps a port.
    #[must_use]
    pub fn of_host(scheme: &str, host: &str) -> Option<Self> {
        format!("{scheme}://{host}").parse().ok()
    }

    /// What browsers call pages that have no host: `null` for those in a sandbox and for files,
    /// `file://` for files in some apps. Whoever can show a file or a sandbox is one of them.
    fn of_no_host(text: &str) -> Option<Self> {
        let scheme = match &*text.to_ascii_lowercase() {
            NULL => NULL,
            "file://" => "file",
            _ => return None,
        };
        Some(Self { scheme: scheme.into(), host: "".into(), port: None })
    }

    /// Whether pages of anybody's making may say that they come from it.
    #[must_use]
    pub fn is_anybodys(&self) -> bool {
        self.host.is_empty()
    }

    /// `http://localhost:<port>` and `http://127.0.0.1:<port>`.
    fn is_local_page(&self) -> bool {
        &*self.scheme == "http" && matches!(self.host(), "localhost" | "127.0.0.1")
    }

    /// Whether a page of this origin was served under the name that it calls. Behind a proxy that
    /// ends TLS we do not know our own scheme, so the origin's counts for both.
    fn is_of_host(&self, headers: &HeaderMap) -> bool {
        matches!(&*self.scheme, "http" | "https")
            && only(headers, &HOST)
                .and_then(|host| Self::of_host(&self.scheme, host))
                .is_some_and(|own| own == *self)
    }
}

impl FromStr for Origin {
    type Err = InvalidOrigin;

    /// Takes what a browser would write, in any case and with or without the scheme's own port.
    /// The parser is a browser's, which makes sense of far more (`https:a.b`, `http://127.1`, a
    /// path), so what it understood must be what was written.
    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        if let Some(nobody) = Self::of_no_host(text) {
            return Ok(nobody);
        }
        let read = || {
            let url = Url::parse(text).ok()?;
            let host = url.host_str()?.to_ascii_lowercase();
            let origin = Self {
                scheme: url.scheme().into(),
                host: host.into(),
                port: url.port_or_known_default(),
            };
            let (as_sent, Self { scheme, host, port }) = (origin.to_string(), &origin);
            let with_port = port.map(|port| format!("{scheme}://{host}:{port}"));
            let written = |form: &str| form.eq_ignore_ascii_case(text);
            (!host.is_empty()
                && (written(&as_sent) || with_port.is_some_and(|form| written(&form))))
            .then_some(origin)
        };
        read().ok_or_else(|| InvalidOrigin(text.to_owned()))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scheme, host, port } = self;
        match (&**scheme, port) {
            (NULL, _) => f.write_str(NULL),
            ("http", Some(80)) | ("https", Some(443)) | (_, None) => write!(f, "{scheme}://{host}"),
            (_, Some(port)) => write!(f, "{scheme}://{host}:{port}"),
        }
    }
}

impl OriginPolicy {
    /// Takes the configured origins. With `local_pages` every page that this machine serves over
    /// plain HTTP is one of them, whatever its port: for development.
    ///
    /// # Errors
    /// [`InvalidOrigin`] for the first that is none.
    pub fn new<'a>(
        named: impl IntoIterator<Item = &'a str>,
        local_pages: bool,
    ) -> Result<Self, InvalidOrigin> {
        let named = named.into_iter().map(str::parse).collect::<Result<_, _>>()?;
        Ok(Self { named, local_pages })
    }

    /// Whether a request may come from where it says it comes from: one of the allowed origins, the
    /// page's own host, or no page at all.
    #[must_use]
    pub fn allows(&self, headers: &HeaderMap) -> bool {
        !headers.contains_key(ORIGIN) || self.names_allowed(headers)
    }

    /// Whether a request names a page that it comes from, and that page may call.
    #[must_use]
    pub fn names_allowed(&self, headers: &HeaderMap) -> bool {
        let origin = only(headers, &ORIGIN).and_then(|origin| origin.parse::<Origin>().ok());
        origin.is_some_and(|origin| {
            self.named.contains(&origin)
                || self.local_pages && origin.is_local_page()
                || origin.is_of_host(headers)
        })
    }
}

/// A header that there is exactly one of.
#[must_use]
pub fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn policy() -> OriginPolicy {
        let named = ["https://App.example.com", "http://localhost:5175", "capacitor://localhost"];
        OriginPolicy::new(named, false).unwrap()
    }

    fn from(origin: &str) -> HeaderMap {
        HeaderMap::from_iter([
            (ORIGIN, HeaderValue::from_bytes(origin.as_bytes()).unwrap()),
            (HOST, HeaderValue::from_static("rt.example.com:443")),
        ])
    }

    #[test]
    fn allowed_origins_match_whatever_their_case_and_default_port() {
        for origin in [
            "https://app.example.com",
            "HTTPS://APP.EXAMPLE.COM:443",
            "http://localhost:5175",
            "capacitor://localhost",
            "https://rt.example.com",
        ] {
            assert!(policy().allows(&from(origin)), "{origin}");
        }
        assert!(policy().allows(&HeaderMap::new()), "a request of no page");
        assert!(!policy().names_allowed(&HeaderMap::new()), "which names none");
    }

    #[test]
    fn other_origins_are_refused() {
        for origin in [
            "null",
            "",
            "*",
            "http://app.example.com",
            "https://app.example.com:8443",
            "https://app.example.com.",
            "https://app.example.com.evil.example",
            "https://app.example.com:443.evil.example",
            "https://evil.example/https://app.example.com",
            "https://app.example.com@evil.example",
            "https://app.example.com/",
            "https://ａpp.example.com",
            "http://localhost",
            "http://localhost:3000",
            "http://127.0.0.1:5175",
            "http://rt.example.com",
            "capacitor://localhost:1",
            "capacitor://",
            "https://*",
            "https://",
        ] {
            assert!(!policy().allows(&from(origin)), "{origin}");
        }
        let mut two = from("https://app.example.com");
        two.append(ORIGIN, HeaderValue::from_static("https://evil.example"));
        assert!(!policy().allows(&two), "two origins");
        let mut two = from("https://rt.example.com");
        two.append(HOST, HeaderValue::from_static("rt.example.com"));
        assert!(!policy().allows(&two), "two hosts");
    }

    #[test]
    fn an_origin_prints_as_browsers_write_it() {
        for (text, origin) in [
            ("https://App.Example.com:443", Some("https://app.example.com")),
            ("http://app.example.com:443", Some("http://app.example.com:443")),
            ("http://[::1]:3000", Some("http://[::1]:3000")),
            ("https://xn--bcher-kva.example", Some("https://xn--bcher-kva.example")),
            ("https://bücher.example", None),
            ("http://[0:0::1]", None),
            ("http://127.1", None),
            ("http://0x7f.0.0.1", None),
            ("http://::1", None),
            ("https://a b", None),
            ("https://a\tb", None),
            ("https://a/b", None),
            ("https://a?b", None),
            ("file:///a", None),
            ("FILE://", Some("file://")),
            ("null", Some("null")),
            ("null://", None),
            ("data:text/html,a", None),
            ("blob:https://app.example.com/1", None),
        ] {
            let read = text.parse::<Origin>().ok().map(|origin| origin.to_string());
            assert_eq!(read.as_deref(), origin, "{text}");
        }
        let nobody = OriginPolicy::new(["null", "file://"], false).unwrap();
        for origin in ["null", "file://"] {
            assert!(nobody.allows(&from(origin)) && !policy().allows(&from(origin)), "{origin}");
        }
        for bad in ["*", "app.example.com", "https://a/b", ""] {
            let refused = OriginPolicy::new([bad], true).unwrap_err();
            assert_eq!(refused, InvalidOrigin(bad.to_owned()));
        }
    }
}
