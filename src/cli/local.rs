//! A running server, asked from its own machine.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use anyhow::{Result, ensure};
use reqwest::{Client, redirect};
use stoa::config::ServerConfig;

/// Asks a server that answers or is given up after `timeout`.
pub(super) fn client(timeout: Duration) -> Result<Client> {
    // The first in the process stays; all of them are this one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Ok(Client::builder().timeout(timeout).redirect(redirect::Policy::none()).build()?)
}

/// The server's own address, as seen from this machine.
pub(super) fn local_url(server: &ServerConfig) -> Result<String> {
    ensure!(server.port != 0, "the server takes a free port (PORT=0): say which with --url");
    let host = match server.host {
        IpAddr::V4(host) if host.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(host) if host.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        host => host,
    };
    Ok(format!("http://{}", SocketAddr::new(host, server.port)))
}

#[cfg(test)]
mod tests {
    use stoa::config::Config;

    use super::*;

    #[test]
    fn a_server_is_found_from_its_own_machine() {
        let mut server = Config::for_tests().server;
        assert!(local_url(&server).is_err(), "a free port is not known");
        server.port = 3003;
        for (host, url) in [
            ("0.0.0.0", "http://127.0.0.1:3003"),
            ("::", "http://[::1]:3003"),
            ("10.1.2.3", "http://10.1.2.3:3003"),
        ] {
            server.host = host.parse().unwrap();
            assert_eq!(local_url(&server).unwrap(), url);
        }
    }
}
