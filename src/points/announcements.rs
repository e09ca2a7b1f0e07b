//! What happens to points, as the wire events that it becomes.

use super::{
    documents::{PointsTransaction, Referral},
    events::{LevelUp, ReferralReward, ReferralSignup},
};
use crate::{config::Level, id::Id, room::Room, stream::WireEvent};

/// A user passed a level, or several.
pub(super) fn level_up(user: &Id, old: u32, new: &Level, lifetime_points: i64) -> WireEvent {
    let level_up =
        LevelUp { old_level: old, new_level: new.level, lifetime_points, perks: new.perks.clone() };
    WireEvent::to_room(Room::User(user.clone()), &level_up)
}

/// The referrer earned points by someone whom they referred.
pub(super) fn rewarded(transaction: &PointsTransaction, referred_user_id: Id) -> WireEvent {
    let reward = ReferralReward {
        referred_user_id,
        points: transaction.points,
        transaction_id: transaction.id.clone(),
    };
    WireEvent::to_room(Room::User(transaction.user_id.clone()), &reward)
}

/// Someone signed up whom the user referred.
pub(super) fn signed_up(referral: &Referral) -> WireEvent {
    let signup = ReferralSignup {
        referred_user_id: referral.referred_user_id.clone(),
        name: referral.name.as_str().to_owned(),
        joined_at: referral.joined_at,
    };
    WireEvent::to_room(Room::User(referral.referrer_id.clone()), &signup)
}
