//! `[notifications]`: what users are told.

use std::time::Duration;

use garde::Validate;
use serde::{Deserialize, Serialize};

use super::validate::at_least_a_day;

/// `[notifications]`
#[derive(Clone, Debug, Serialize, Deserialize, Validate)]
pub struct NotificationsConfig {
    /// How long notifications are kept, read or not.
    #[serde(with = "humantime_serde")]
    #[garde(custom(at_least_a_day))]
    pub retention: Duration,
}
