//! The rules of payments and payouts.

mod allowance;
mod callbacks;
mod invoices;
mod payable;
mod payments;
mod payouts;
mod refusals;
mod settle;
mod unsettled;

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use tokio::sync::Semaphore;

use self::{allowance::Allowance, payable::Pegs};
use super::shkeeper::Shkeeper;
use crate::{
    clock::Clock,
    config::Config,
    db::Db,
    error::{Code, Error, Result},
    id::{Id, Ids},
    notifications::NotificationService,
};

/// Payouts of one caller that the provider is asked for at once.
const PAYOUTS_AT_ONCE: usize = 4;

/// Random bytes in a callback's path.
const TOKEN_BYTES: usize = 24;

/// Payments and payouts. Cheap to clone.
#[derive(Clone)]
pub struct PaymentService {
    pub(super) db: Db,
    ids: Ids,
    clock: Clock,
    notifications: NotificationService,
    pub(super) shkeeper: Option<Provider>,
    /// Invoices, by buyer.
    invoices: Allowance,
    /// Payouts, by caller.
    payouts: Allowance,
    pegs: Pegs,
}

/// SHKeeper, and where its callbacks reach us.
#[derive(Clone)]
pub(super) struct Provider {
    pub(super) client: Shkeeper,
    public_url: String,
}

impl Provider {
    /// Where the callbacks of a payment come to.
    fn payment_callback(&self, token: &str) -> String {
        format!("{}/api/webhooks/shkeeper/{token}", self.public_url.trim_end_matches('/'))
    }

    /// Where the callback of a payout comes to.
    fn payout_callback(&self, token: &str) -> String {
        format!("{}/payouts", self.payment_callback(token))
    }
}

impl PaymentService {
    /// Payments over this store. Without a SHKeeper, or a way for it to reach us, that provider is
    /// off.
    #[must_use]
    pub fn new(
        db: Db,
        ids: Ids,
        clock: Clock,
        shkeeper: Option<Shkeeper>,
        notifications: NotificationService,
        config: &Config,
    ) -> Self {
        let shkeeper = shkeeper
            .zip(config.server.public_url.clone())
            .map(|(client, public_url)| Provider { client, public_url });
        if shkeeper.is_some() {
            tracing::info!("payments by shkeeper are on");
        }
        let limits = &config.limits;
        let calls = Arc::new(Semaphore::new(config.shkeeper.max_calls));
        let allowance = |rate, at_once| {
            let rate = limits.enabled.then_some(rate);
            Allowance::new(rate, at_once, calls.clone(), config.shkeeper.timeout)
        };
        Self {
            db,
            ids,
            clock,
            notifications,
            shkeeper,
            // One of a buyer at a time: what comes next finds what was answered.
            invoices: allowance(limits.invoices, 1),
            payouts: allowance(limits.payouts, PAYOUTS_AT_ONCE),
            pegs: Pegs::new(&config.payments),
        }
    }

    /// SHKeeper, where it is set up.
    fn provider(&self) -> Result<&Provider> {
        self.shkeeper.as_ref().ok_or_else(|| {
            let sentence = "The provider shkeeper is not set up on this server (SHKEEPER_URL).";
            Error::new(Code::Conflict, sentence).with_reason("provider_off")
        })
    }
}

/// A part of a path that nobody can guess.
fn token() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; TOKEN_BYTES]>())
}

/// Whose external id a provider names.
fn is_own(external_id: &str, id: &Id) -> bool {
    external_id == id.as_str()
}
