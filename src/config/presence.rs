//! `[presence]`: who is here.

use std::time::Duration;

use garde::Validate;
use serde::{Deserialize, Serialize};

use super::rules::positive;

/// `[presence]`
#[derive(Clone, Debug, Serialize, Deserialize, Validate)]
#[garde(allow_unvalidated)]
pub struct PresenceConfig {
    /// `PRESENCE_GRACE`
    #[serde(with = "humantime_serde")]
    pub grace: Duration,
    /// How long changes are gathered before they are announced in one pass.
    #[serde(with = "humantime_serde")]
    #[garde(custom(positive))]
    pub window: Duration,
    /// `PRESENCE_AUDIENCE`
    pub audience: PresenceAudience,
}

/// `PRESENCE_AUDIENCE`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PresenceAudience {
    /// Every socket is told of everyone.
    Everyone,
    /// Those who share a conversation or a request with the user, and admins.
    Contacts,
    /// Nobody is told; REST answers.
    Off,
}
