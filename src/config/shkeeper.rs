//! `[shkeeper]`: the payment provider, which is off unless its URL is set.
#![expect(clippy::trivially_copy_pass_by_ref, reason = "garde gives its context by reference")]

use std::time::Duration;

use garde::{Error, Path, Report, Validate};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::{
    notation,
    rules::{base_url, positive, require},
    server::ServerConfig,
};

/// `[shkeeper]`
#[derive(Clone, Debug, Serialize, Deserialize, Validate)]
#[garde(allow_unvalidated)]
pub struct ShkeeperConfig {
    /// `SHKEEPER_URL`: where a SHKeeper server is; unset turns the provider off.
    #[garde(inner(custom(base_url)))]
    pub url: Option<String>,
    /// `SHKEEPER_API_KEY`: opens its API for invoices and signs its callbacks.
    #[serde(serialize_with = "notation::hidden")]
    #[garde(inner(custom(header_text)))]
    pub api_key: Option<SecretString>,
    /// `SHKEEPER_USER`: who may pay out; unset turns payouts off.
    #[garde(inner(custom(user_name)))]
    pub user: Option<String>,
    /// `SHKEEPER_PASSWORD`
    #[serde(serialize_with = "notation::hidden")]
    pub password: Option<SecretString>,
    /// The coin of invoices that name none.
    #[garde(custom(coin))]
    pub crypto: String,
    /// Which callbacks are believed.
    pub webhooks: WebhookMode,
    /// Until a call has been answered in full.
    #[serde(with = "humantime_serde")]
    #[garde(custom(positive))]
    pub timeout: Duration,
    /// How often payouts under way are asked for.
    #[serde(with = "humantime_serde")]
    #[garde(custom(positive))]
    pub poll_interval: Duration,
    /// Payouts that are asked for at a time.
    #[garde(range(min = 1, max = 1000))]
    pub poll_batch: u32,
    /// Calls for users that are under way at once.
    #[garde(range(min = 1))]
    pub max_calls: usize,
    /// How often the coin of one payment may be changed.
    #[garde(skip)]
    pub coin_changes: u32,
    /// How much less than the price still pays it, in hundredths of a percent.
    #[garde(range(max = 1000))]
    pub tolerance_basis_points: u32,
    /// How far a coin's rate may move after its invoice, in hundredths of a percent.
    #[garde(range(max = 5000))]
    pub drift_basis_points: u32,
}

/// Which callbacks of SHKeeper are believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WebhookMode {
    /// Those with a signature over the body and the time.
    Signed,
    /// Also those without a signature that carry the API key, as older servers send them.
    Legacy,
}

impl ShkeeperConfig {
    /// Checks what the provider needs beside its URL.
    pub(super) fn check(&self, server: &ServerConfig, report: &mut Report) {
        let mut need = |met: bool, (section, key): (&str, &str), sentence: &str| {
            if !met {
                report.append(Path::new(section).join(key), Error::new(sentence));
            }
        };
        let on = self.url.is_some();
        need(
            !on || self.api_key.is_some(),
            ("shkeeper", "api_key"),
            "SHKEEPER_URL needs the API key of that server: set SHKEEPER_API_KEY",
        );
        need(
            !on || server.public_url.is_some(),
            ("server", "public_url"),
            "SHKEEPER_URL needs to know where callbacks reach this server: set PUBLIC_URL",
        );
        need(
            self.user.is_some() || self.password.is_none(),
            ("shkeeper", "user"),
            "belongs to SHKEEPER_PASSWORD: set both, or neither to have no payouts",
        );
        need(
            self.password.is_some() || self.user.is_none(),
            ("shkeeper", "password"),
            "belongs to SHKEEPER_USER: set both, or neither to have no payouts",
        );
    }
}

/// What a header can carry; the text itself is never shown.
fn header_text(text: &SecretString, (): &()) -> garde::Result {
    let visible = text.expose_secret().bytes().all(|b| b.is_ascii_graphic());
    require(visible, "has characters other than visible ASCII, which no such key has")
}

/// A user of HTTP Basic, whose name ends at the first colon (RFC 7617, section 2).
fn user_name(name: &str, (): &()) -> garde::Result {
    let plain = !name.contains(':') && !name.contains(char::is_control);
    require(plain, "is no user's name: it has a colon or a control character")
}

/// A coin as SHKeeper names it.
fn coin(name: &str, (): &()) -> garde::Result {
    let allowed = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'-';
    require(
        (2..=16).contains(&name.len()) && name.bytes().all(allowed),
        "is no coin of SHKeeper's, such as BTC or ETH-USDT",
    )
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    fn on() -> Config {
        let mut config = Config::for_tests();
        config.server.public_url = Some("https://stoa.example.com".to_owned());
        config.shkeeper.url = Some("http://shkeeper:5000".to_owned());
        config.shkeeper.api_key = Some("key".into());
        config
    }

    #[test]
    fn a_provider_needs_its_key_and_the_way_back() {
        type Spoil = fn(&mut Config);
        assert!(on().validate().is_ok());
        let cases: [(&str, Spoil); 4] = [
            ("shkeeper.api_key", |c| c.shkeeper.api_key = None),
            ("server.public_url", |c| c.server.public_url = None),
            ("shkeeper.password", |c| c.shkeeper.user = Some("admin".to_owned())),
            ("shkeeper.user", |c| c.shkeeper.password = Some("hush".into())),
        ];
        for (key, spoil) in cases {
            let mut config = on();
            spoil(&mut config);
            let report = config.validate().unwrap_err();
            let keys: Vec<_> = report.iter().map(|(path, _)| path.to_string()).collect();
            assert_eq!(keys, [key]);
        }
    }

    #[test]
    fn without_a_url_nothing_else_is_needed() {
        let mut config = on();
        config.shkeeper.url = None;
        (config.server.public_url, config.shkeeper.api_key) = (None, None);
        assert!(config.validate().is_ok());
    }
}
