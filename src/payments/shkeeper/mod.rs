//! A SHKeeper server, as the payment provider: invoices that buyers pay to a wallet of their own,
//! payouts from the wallets, and the callbacks that tell of money that came or went.
//!
//! It knows nothing of our payments: `calls` asks, `signature` and [`callback`] hear. Money hangs
//! on what is known after a call failed; [`ProviderError`] keeps that apart.
//!
//! Three rules for whoever calls it:
//! - A payout is written down before it is asked for, and asked for once. After
//!   [`ProviderError::Unclear`] one asks for its state; one never asks for it again.
//! - A callback comes again until it is answered with exactly 202, each time as of then, so a row
//!   of the same transaction may tell of different balances. What was paid is the balance of the
//!   last one; sums of callbacks count money twice.
//! - Payouts that fail are never told: only [`Shkeeper::task`] and [`Shkeeper::payout_status`] say
//!   so. A task whose transfer failed leaves the payout `IN_PROGRESS` for good, so ask for both.

pub mod callback;
mod calls;
mod client;
mod error;
mod signature;
mod transport;
mod wire;

use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

pub use calls::{
    Invoice, InvoiceOrder, PayoutOrder, PayoutProgress, PayoutState, StartedPayout, TaskState,
};
pub use error::{ProviderError, SetupError};
pub use signature::{SignatureError, verify};

use crate::{
    clock::Timestamp,
    config::{ShkeeperConfig, WebhookMode},
    money::{Amount, Currency},
};

/// SHKeeper writes amounts with ten digits after the point: by this much at most does a sum of some
/// thousand of them differ.
pub(super) const ROUNDING: Amount = Amount::HUNDRED_MILLIONTH;

/// A SHKeeper server.
#[derive(Clone)]
pub struct Shkeeper(Arc<Inner>);

struct Inner {
    http: reqwest::Client,
    /// Its API, without a slash at the end.
    api: Url,
    key: SecretString,
    /// The key once more, marked as a secret for whoever prints headers.
    key_header: HeaderValue,
    /// User and password; none where nothing is paid out.
    payer: Option<(String, SecretString)>,
    crypto: Currency,
    coin_changes: i64,
    tolerance_basis_points: u32,
    drift_basis_points: u32,
    poll_batch: u32,
    webhooks: WebhookMode,
}

impl Shkeeper {
    /// The configured server; none where no URL is set. Nothing is asked of it yet.
    ///
    /// # Errors
    /// A setting that cannot be used, which a validated configuration has none of.
    pub fn new(config: &ShkeeperConfig) -> Result<Option<Self>, SetupError> {
        let Some(url) = &config.url else {
            return Ok(None);
        };
        let key = config.api_key.clone().ok_or(SetupError::new("SHKEEPER_API_KEY", "is needed"))?;
        let mut key_header = HeaderValue::from_str(key.expose_secret())
            .map_err(|_| SetupError::new("SHKEEPER_API_KEY", "cannot be sent in a header"))?;
        key_header.set_sensitive(true);
        let api: Url = format!("{}/api/v1", url.trim_end_matches('/'))
            .parse()
            .map_err(|error| SetupError::new("SHKEEPER_URL", format!("{error}")))?;
        if api.cannot_be_a_base() {
            return Err(SetupError::new("SHKEEPER_URL", "is not the address of a server"));
        }
        let crypto = config
            .crypto
            .parse()
            .map_err(|error| SetupError::new("shkeeper.crypto", format!("{error}")))?;
        Ok(Some(Self(Arc::new(Inner {
            http: client::client(config.timeout)?,
            api,
            key,
            key_header,
            payer: config.user.clone().zip(config.password.clone()),
            crypto,
            coin_changes: config.coin_changes.into(),
            tolerance_basis_points: config.tolerance_basis_points,
            drift_basis_points: config.drift_basis_points,
            poll_batch: config.poll_batch,
            webhooks: config.webhooks,
        }))))
    }

    /// The coin of invoices that name none.
    #[must_use]
    pub fn crypto(&self) -> &Currency {
        &self.0.crypto
    }

    /// How often the coin of one invoice may be changed.
    #[must_use]
    pub fn coin_changes(&self) -> i64 {
        self.0.coin_changes
    }

    /// The least that pays a price.
    #[must_use]
    pub fn least_for(&self, price: Amount) -> Amount {
        price.less_basis_points(self.0.tolerance_basis_points)
    }

    /// The least that coins are worth by their invoice when they are said to be worth this now.
    #[must_use]
    pub fn least_worth(&self, said: Amount) -> Amount {
        said.less_basis_points(self.0.drift_basis_points)
    }

    /// Payouts whose state is asked for at a time.
    #[must_use]
    pub fn poll_batch(&self) -> u32 {
        self.0.poll_batch
    }

    /// Whether it may be asked for payouts: user and password are configured.
    #[must_use]
    pub fn pays_out(&self) -> bool {
        self.0.payer.is_some()
    }

    /// Whether this server sent a callback, by the rules of [`verify`] and as configured.
    ///
    /// # Errors
    /// Why it is not believed.
    pub fn verify(
        &self,
        headers: &HeaderMap,
        raw: &[u8],
        now: Timestamp,
    ) -> Result<(), SignatureError> {
        verify(&self.0.key, self.0.webhooks, headers, raw, now)
    }
}
