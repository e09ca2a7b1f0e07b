//! Whose request it is, by address: the peer's, or what our own proxies say of it.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use http::{HeaderMap, HeaderName};
use ipnet::IpNet;

/// The other end of a connection, for handlers, as a request extension.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// Whose request it is, by address, as an extension of the request and of its answer.
#[derive(Clone, Copy, Debug)]
pub struct ClientAddress(pub IpAddr);

/// Middleware: finds out whose request it is, where it came over a connection of ours.
pub async fn layer(
    State(trusted): State<Arc<[IpNet]>>,
    mut request: Request,
    next: Next,
) -> Response {
    let peer = request.extensions().get::<Peer>();
    let address = peer.map(|Peer(peer)| client_address(peer.ip(), request.headers(), &trusted));
    let Some(address) = address.map(ClientAddress) else { return next.run(request).await };
    request.extensions_mut().insert(address);
    let mut response = next.run(request).await;
    response.extensions_mut().insert(address);
    response
}

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The caller's address: the peer, or when that is a trusted proxy the rightmost hop of
/// `X-Forwarded-For` that is not one (docs/contract/environment.md#server). Hops to the left of it
/// may be anyone's invention.
#[must_use]
pub fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|range| range.contains(&address));
    let mut client = peer.to_canonical();
    let lines = headers.get_all(X_FORWARDED_FOR).iter().rev();
    // A line that is no text ends the walk, as a hop that is no address does.
    let mut hops = lines.flat_map(|line| line.to_str().unwrap_or("?").rsplit(',')).map(address);
    while is_trusted(client) {
        match hops.next() {
            Some(Some(hop)) => client = hop,
            Some(None) | None => break,
        }
    }
    client
}

/// An address as proxies write it: alone or with a port, an IPv6 one perhaps in brackets.
fn address(hop: &str) -> Option<IpAddr> {
    let hop = hop.trim();
    let alone = hop.trim_start_matches('[').trim_end_matches(']');
    let address = alone.parse().or_else(|_| hop.parse::<SocketAddr>().map(|with| with.ip()));
    address.ok().map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, forwarded: &[&str]) -> String {
        let trusted = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        let lines = forwarded.iter().map(|line| (X_FORWARDED_FOR, line.parse().unwrap()));
        client_address(peer.parse().unwrap(), &lines.collect(), &trusted).to_string()
    }

    #[test]
    fn a_peer_that_is_no_proxy_of_ours_is_the_caller() {
        assert_eq!(client("203.0.113.9", &["198.51.100.1"]), "203.0.113.9");
        assert_eq!(client("::ffff:203.0.113.9", &[]), "203.0.113.9");
    }

    #[test]
    fn behind_our_proxies_the_rightmost_hop_that_is_not_ours_counts() {
        assert_eq!(client("10.0.0.1", &["1.1.1.1, 198.51.100.1, 10.0.0.2"]), "198.51.100.1");
        assert_eq!(client("10.0.0.1", &["1.1.1.1", "198.51.100.1", "10.0.0.2"]), "198.51.100.1");
        assert_eq!(client("::ffff:10.0.0.1", &["198.51.100.1:4711"]), "198.51.100.1");
        assert_eq!(client("fd00::1", &["[2001:db8::1]:443"]), "2001:db8::1");
        assert_eq!(client("fd00::1", &["[2001:db8::1]"]), "2001:db8::1");
    }

    #[test]
    fn the_walk_ends_at_what_is_no_address() {
        assert_eq!(client("10.0.0.1", &["198.51.100.1, unknown, 10.0.0.2"]), "10.0.0.2");
        assert_eq!(client("10.0.0.1", &[""]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &["10.0.0.3, 10.0.0.2"]), "10.0.0.3");
    }
}
