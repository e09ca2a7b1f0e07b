//! A URL at which a backend is called, as an operator writes it.

use std::net::IpAddr;

use url::{Host, Url};

use super::network::Network;

/// A URL of http or https, without a fragment or a password.
#[derive(Clone, Debug)]
pub struct Place {
    /// It.
    pub url: Url,
    /// The address, where it names one.
    address: Option<IpAddr>,
}

impl Place {
    /// Reads a URL.
    ///
    /// # Errors
    /// Why it is none, as a sentence.
    pub fn read(url: &str) -> Result<Self, &'static str> {
        let no_url = "has to be like https://host[:port][/path], without a fragment or a password";
        let url = Url::parse(url).map_err(|_| no_url)?;
        let plain = url.username().is_empty() && url.password().is_none();
        let is_one = plain && url.fragment().is_none() && matches!(url.scheme(), "http" | "https");
        let host = url.host().filter(|_| is_one).ok_or(no_url)?;
        let address = match host {
            Host::Ipv4(address) => Some(IpAddr::from(address)),
            Host::Ipv6(address) => Some(address.into()),
            Host::Domain(_) => None,
        };
        Ok(Self { url, address })
    }

    /// Whether what goes there is encrypted.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// Whether it names this machine.
    #[must_use]
    pub fn is_this_machine(&self) -> bool {
        match self.address {
            Some(address) => address.to_canonical().is_loopback(),
            None => self.url.host_str() == Some("localhost"),
        }
    }

    /// Whether it may be in a network: what a name leads to is looked at each time that it is looked
    /// up.
    #[must_use]
    pub fn may_be_in(&self, network: Network) -> bool {
        self.address.is_none_or(|address| network.has(address))
    }

    /// The same without a query, which may have a secret in it, for people to see.
    #[must_use]
    pub fn shown(&self) -> String {
        let mut url = self.url.clone();
        url.set_query(None);
        url.into()
    }
}
