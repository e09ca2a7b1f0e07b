//! Points as clients see them over REST.

use serde::Serialize;
use utoipa::ToSchema;

use crate::{clock::Timestamp, config::Level, id::Id, text::PersonName};

/// An entry of a user's ledger.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PointsTransaction {
    /// The entry.
    pub id: Id,
    /// The same as `id`, as marketplace clients read it.
    #[serde(rename = "_id")]
    pub underscore_id: Id,
    /// Whose points.
    pub user_id: Id,
    /// How many came; less than 0 for a correction.
    pub points: i64,
    /// How many the user had then.
    pub balance: i64,
    /// What for.
    pub reason: String,
    /// What the backend calls it; null for a referral's reward without one.
    #[schema(required = true)]
    pub reference: Option<String>,
    /// Whose doing brought a referral's reward; null for every other entry.
    #[schema(required = true)]
    pub referred_user_id: Option<Id>,
    /// When they came.
    pub created_at: Timestamp,
}

/// What a user has.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PointsAccount {
    /// Points now.
    pub points: i64,
    /// All points ever earned, less what was corrected.
    pub lifetime_points: i64,
    /// The level that those have reached.
    pub level: u32,
    /// The level that comes next; null on the highest.
    #[schema(required = true)]
    pub next_level: Option<Level>,
    /// What the level brings.
    pub perks: Vec<String>,
    /// The code that the user hands on to those whom they refer.
    pub referral_code: String,
}

/// Who referred a user.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Referral {
    /// Who referred them.
    pub referrer_id: Id,
    /// Who was referred.
    pub referred_user_id: Id,
    /// The name under which the referrer heard of it.
    pub name: PersonName,
    /// When.
    pub joined_at: Timestamp,
}
