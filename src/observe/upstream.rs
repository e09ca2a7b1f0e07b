//! The server that is stood before: its address, and connections to it.

use std::{io, str::FromStr, sync::Arc, time::Duration};

use rustls::{ClientConfig, crypto::ring, pki_types::ServerName};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::either::Either;
use url::{Host, Url};

/// How long it may take to take a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A server by its URL, `http://host:port` or `https://host:port`. Cheap to clone.
#[derive(Clone)]
pub struct Upstream {
    url: Url,
    address: Arc<str>,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

/// A text that names no server.
#[derive(Debug, thiserror::Error)]
pub enum InvalidUpstream {
    /// It is no URL of a server.
    #[error("it has a scheme, a host and perhaps a port: http://old-server:3003")]
    Url,
    /// TLS can't be spoken.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
}

impl FromStr for Upstream {
    type Err = InvalidUpstream;

    fn from_str(text: &str) -> Result<Self, InvalidUpstream> {
        let url = Url::parse(text).map_err(|_| InvalidUpstream::Url)?;
        let of_server = url.path() == "/"
            && (url.query(), url.fragment(), url.password()) == (None, None, None)
            && url.username().is_empty();
        let (Some(host), Some(port), true) = (url.host(), url.port_or_known_default(), of_server)
        else {
            return Err(InvalidUpstream::Url);
        };
        let name = match host {
            Host::Domain(name) => name.to_owned(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        let address = format!("{host}:{port}").into();
        let tls = match url.scheme() {
            "http" => None,
            "https" => {
                let name = ServerName::try_from(name).map_err(|_| InvalidUpstream::Url)?;
                Some((connector()?, name))
            }
            _ => return Err(InvalidUpstream::Url),
        };
        Ok(Self { url, address, tls })
    }
}

/// Speaks TLS with servers that this machine trusts. HTTP/1.1 alone is offered: the clients of such
/// a server speak it, and nobody translates.
fn connector() -> Result<TlsConnector, rustls::Error> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_platform_verifier()?;
    let mut config = config.with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config).into())
}

impl Upstream {
    /// Its URL, without a path.
    #[must_use]
    pub fn url(&self) -> &str {
        self.url.as_str().trim_end_matches('/')
    }

    /// A new connection.
    ///
    /// # Errors
    /// When it takes none within five seconds, or is not who it should be.
    pub(super) async fn connect(&self) -> io::Result<Either<TcpStream, TlsStream<TcpStream>>> {
        let connecting = async {
            let stream = TcpStream::connect(&*self.address).await?;
            stream.set_nodelay(true)?;
            match &self.tls {
                None => Ok(Either::Left(stream)),
                Some((tls, name)) => Ok(Either::Right(tls.connect(name.clone(), stream).await?)),
            }
        };
        timeout(CONNECT_TIMEOUT, connecting).await.unwrap_or(Err(io::ErrorKind::TimedOut.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_named_by_its_url_alone() {
        for (text, url, address) in [
            ("http://old:3003", "http://old:3003", "old:3003"),
            ("HTTP://old/", "http://old", "old:80"),
            ("https://old.example.com", "https://old.example.com", "old.example.com:443"),
            ("http://[::1]:80", "http://[::1]", "[::1]:80"),
            ("https://127.0.0.1:1", "https://127.0.0.1:1", "127.0.0.1:1"),
        ] {
            let upstream: Upstream = text.parse().unwrap();
            assert_eq!((upstream.url(), &*upstream.address), (url, address));
        }
        for text in [
            "old:3003",
            "http://",
            "ftp://old",
            "http://old/path",
            "http://old/?a",
            "http://old/#a",
            "http://u:p@old",
            "http://u@old",
        ] {
            assert!(text.parse::<Upstream>().is_err(), "{text}");
        }
    }
}
