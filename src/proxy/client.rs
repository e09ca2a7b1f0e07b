//! The client that asks a backend.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use reqwest::{
    Client,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect, retry,
};
use url::Url;

use crate::config::{ProxyConfig, is_private};

/// How long a connection is kept without a question: less than servers do (Node's keep one for five
/// seconds), so that no question goes to one that is just closing.
const KEEP_ALIVE: Duration = Duration::from_secs(4);

/// A client that asks once: nothing is followed, or sent again.
pub(super) fn client(config: &ProxyConfig) -> reqwest::Result<Client> {
    // Fails where the process has one already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = Client::builder()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .pool_idle_timeout(KEEP_ALIVE)
        .connect_timeout(config.timeout)
        .timeout(config.timeout)
        .user_agent(concat!("stoa/", env!("CARGO_PKG_VERSION")));
    let url = config.url.as_deref().and_then(|url| url.parse::<Url>().ok());
    let is_plain = url.is_none_or(|url| url.scheme() != "https");
    if is_plain { builder.dns_resolver(Arc::new(PrivateNetwork)).build() } else { builder.build() }
}

/// Finds addresses of private networks only: what is not encrypted goes nowhere else, whatever a name
/// leads to.
struct PrivateNetwork;

#[derive(Debug, thiserror::Error)]
#[error("this name leads to no address of a private network, and http goes nowhere else")]
struct NotPrivate;

impl Resolve for PrivateNetwork {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            // The port is that of the URL.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let private = near(found);
            if private.is_empty() {
                return Err(NotPrivate.into());
            }
            Ok(Box::new(private.into_iter()) as Addrs)
        })
    }
}

fn near(found: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    found.filter(|address| is_private(address.ip())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_to_private_networks_only() {
        let found = ["8.8.8.8:0", "10.0.0.7:0", "[2001:db8::1]:0", "[fd00::7]:0", "127.0.0.1:0"];
        let found = found.map(|address| address.parse().unwrap());
        let expected = [found[1], found[3], found[4]];
        assert_eq!(near(found.into_iter()), expected);
    }
}
