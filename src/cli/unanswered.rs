//! Where a server can be asked, and why there was no answer, in words.

use std::{error::Error as _, io};

use rustls::{CertificateError, OtherError};
use url::{Position, Url};

/// Why something could not be asked, or what came instead.
#[derive(Debug, thiserror::Error)]
#[error("{found}: {advice}")]
pub struct Failed {
    pub found: String,
    pub advice: String,
}

/// A URL that paths are put behind, as it is to be given; or what is to be given instead.
pub fn base(url: &str) -> Result<&str, Failed> {
    let read = Url::parse(url).ok().filter(|url| {
        let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
        is_web && url.query().is_none() && url.fragment().is_none() && !is_uncertain(url)
    });
    read.map(|_| url.trim_end_matches('/')).ok_or_else(no_base)
}

/// Whether the parts of a URL may be others than they seem: an @ behind the host is the end of a password
/// that is not encoded, and nobody knows where that begins.
pub fn is_uncertain(url: &Url) -> bool {
    url[Position::AfterPort..].contains('@')
}

/// What is said of a URL at which there can be no server.
fn no_base() -> Failed {
    Failed::new(
        "this is not how a server is reached",
        "give http:// or https:// and a host, such as https://chat.example.com, without a query and without a #; special \
         characters of a password have to be percent-encoded",
    )
}

impl Failed {
    pub fn said(found: impl Into<String>) -> Self {
        Self { found: found.into(), advice: String::new() }
    }

    fn new(found: impl Into<String>, advice: &str) -> Self {
        Self { found: found.into(), advice: advice.to_owned() }
    }

    /// Why there was no answer.
    pub fn of(error: &reqwest::Error) -> Self {
        if let Some(error) = cause::<rustls::Error>(error) {
            return Self::of_tls(error);
        }
        let refused = cause::<io::Error>(error).map(io::Error::kind);
        let last = last(error);
        // One of the client, and not of its question, has no URL.
        if error.is_builder() && error.url().is_some() {
            no_base()
        } else if error.is_timeout() {
            Self::new(
                "no answer in time",
                "look whether a firewall, or a proxy that waits for a server that is not there, swallows it",
            )
        } else if refused == Some(io::ErrorKind::ConnectionRefused) {
            Self::new(
                "nobody listens there",
                "start the server or the proxy in front of it, and look whether host and port are right",
            )
        } else if error.is_connect() && last.contains("lookup") {
            Self::new(
                "its name has no address here",
                "look at the name, and at its record in DNS (`getent hosts NAME`)",
            )
        } else {
            Self::new(
                last,
                "look whether host and port are those of the server, or of the proxy in front of it",
            )
        }
    }

    fn of_tls(error: &rustls::Error) -> Self {
        use CertificateError as Why;
        let rustls::Error::InvalidCertificate(why) = error else {
            return Self::new(
                format!("TLS could not begin: {error}"),
                "look whether what listens there speaks TLS: Stoa itself does not, a proxy in front of it does",
            );
        };
        // It has no name here: rustls passes it through.
        let is_of_authority = |why: &OtherError| why.0.to_string().contains("CaUsedAsEndEntity");
        let (found, advice) = match why {
            Why::Other(why) if is_of_authority(why) => (
                "its certificate is one of an authority, as a self-signed one of `openssl req -x509` is, and no server \
                 may show that, whoever trusts it",
                "have one made that is a server's: `openssl req -x509` with -addext basicConstraints=critical,CA:FALSE, \
                 trusted by SSL_CERT_FILE; or one of an authority that all know",
            ),
            Why::Expired | Why::ExpiredContext { .. } => {
                ("its certificate has expired", "renew it, and have the proxy load it again")
            }
            Why::NotValidYet | Why::NotValidYetContext { .. } => {
                ("its certificate is not valid yet", "look at the clock of this machine")
            }
            Why::NotValidForName | Why::NotValidForNameContext { .. } => (
                "its certificate is of another name",
                "let the proxy show one that has this name, or ask by the name that it has",
            ),
            Why::UnknownIssuer => (
                "its certificate is self-signed, or not of an authority that this machine trusts",
                "let the proxy send the whole chain, or one of a known authority, as browsers refuse it, too; your own \
                 is trusted by SSL_CERT_FILE",
            ),
            Why::Revoked => ("its certificate was revoked", "have a new one made"),
            Why::InvalidPurpose | Why::InvalidPurposeContext { .. } => (
                "its certificate is none of a server (extendedKeyUsage)",
                "have one made with serverAuth",
            ),
            Why::BadSignature => (
                "its certificate has the name of an authority that is trusted here, and is not signed by it",
                "a self-signed one that was made anew has to be trusted anew (SSL_CERT_FILE); else let the proxy send the \
                 chain that belongs to it",
            ),
            _ => ("its certificate is not valid", "have a new one made"),
        };
        Self::new(found, advice)
    }
}

/// The first of an error's causes that is of a kind.
fn cause<T: std::error::Error + 'static>(error: &reqwest::Error) -> Option<&T> {
    let mut next = error.source();
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        // An error of input and output passes over what it wraps.
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = wrapped.map_or_else(|| error.source(), |wrapped| Some(wrapped));
    }
    None
}

/// The innermost reason: those around it name the URL.
fn last(error: &reqwest::Error) -> String {
    let mut last = "no answer".to_owned();
    let mut next = error.source();
    while let Some(error) = next {
        last = error.to_string();
        next = error.source();
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_paths_can_be_put_behind_has_a_host_and_no_query() {
        assert_eq!(base("http://localhost:4100/").unwrap(), "http://localhost:4100");
        assert_eq!(base("https://ann:pw@a.b/chat").unwrap(), "https://ann:pw@a.b/chat");
        for bad in [
            "localhost:4100",
            "chat.example.com",
            "ws://localhost:4100",
            "file:///etc",
            "http://",
            "http://localhost:4100?x=1",
            "http://localhost:4100/#x",
            "http://bob:12/pw@localhost",
            "",
        ] {
            assert!(base(bad).unwrap_err().advice.contains("http:// or https://"), "{bad}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_certificate_is_said_in_words() {
        let said = |why| Failed::of_tls(&rustls::Error::InvalidCertificate(why)).found;
        assert_eq!(said(CertificateError::Expired), "its certificate has expired");
        assert_eq!(said(CertificateError::NotValidForName), "its certificate is of another name");
        assert!(said(CertificateError::UnknownIssuer).contains("trusts"));
        assert!(said(CertificateError::BadSignature).contains("is not signed by it"));
        assert!(said(CertificateError::InvalidPurpose).contains("none of a server"));
        assert!(said(CertificateError::BadEncoding).contains("not valid"));
    }
}
