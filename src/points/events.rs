//! What a user hears of their points (docs/contract/events.md#points).

use serde::Serialize;
use utoipa::ToSchema;

use crate::{clock::Timestamp, events, id::Id};

events! {
    server(Marketplace only) {
        /// The user passed a level.
        LEVEL_UP: "level-up", LevelUp, kept, to "user-<id>";
        /// The user earned points because someone they referred did something.
        REFERRAL_REWARD: "referral-reward", ReferralReward, kept, to "user-<id>, the referrer";
        /// Someone signed up with the user's referral code.
        REFERRAL_SIGNUP: "referral-signup", ReferralSignup, kept, to "user-<id>, the referrer";
    }
}

/// The user passed a level.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LevelUp {
    /// The level before.
    pub old_level: u32,
    /// The level now.
    pub new_level: u32,
    /// All points ever earned, less what was corrected.
    pub lifetime_points: i64,
    /// What the new level brings.
    pub perks: Vec<String>,
}

/// The referrer earned points.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReferralReward {
    /// The one who was referred.
    pub referred_user_id: Id,
    /// How many points.
    pub points: i64,
    /// The entry in the referrer's ledger.
    pub transaction_id: Id,
}

/// Someone signed up with a referral code.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReferralSignup {
    /// The one who signed up.
    pub referred_user_id: Id,
    /// Their name.
    pub name: String,
    /// When they signed up.
    pub joined_at: Timestamp,
}
