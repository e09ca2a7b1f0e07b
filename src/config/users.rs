//! `[users]`: tokens that are made for others, and how long their end is remembered.
#![expect(clippy::trivially_copy_pass_by_ref, reason = "garde gives its context by reference")]

use std::time::Duration;

use garde::Validate;
use serde::{Deserialize, Serialize};

use super::validate::require;

/// `[users]`
#[derive(Clone, Debug, Serialize, Deserialize, Validate)]
#[garde(allow_unvalidated)]
pub struct UsersConfig {
    /// How long a token lives that a backend has made, where it does not say.
    #[serde(with = "humantime_serde")]
    #[garde(custom(seconds), custom(at_most(self.longest_token_life)))]
    pub token_life: Duration,
    /// The longest that it may ask for.
    #[serde(with = "humantime_serde")]
    #[garde(custom(seconds))]
    pub longest_token_life: Duration,
    /// How long it is remembered that tokens were revoked whose end is not known.
    #[serde(with = "humantime_serde")]
    #[garde(custom(seconds))]
    pub revocation_life: Duration,
    /// Revocations and blocks that are kept.
    #[garde(range(min = 1))]
    pub max_revocations: usize,
}

fn seconds(duration: &Duration, (): &()) -> garde::Result {
    require(*duration >= Duration::from_secs(1), "has to be at least 1s")
}

fn at_most(longest: Duration) -> impl FnOnce(&Duration, &()) -> garde::Result {
    move |duration, ()| require(*duration <= longest, "is longer than longest_token_life")
}
