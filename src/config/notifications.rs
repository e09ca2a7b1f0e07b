//! `[notifications]`: what users are told.

use std::time::Duration;

use garde::Validate;
use serde::{Deserialize, Serialize};

use super::rules::{at_least_a_day, require};

/// `[notifications]`
#[derive(Clone, Debug, Serialize, Deserialize, Validate)]
pub struct NotificationsConfig {
    /// How long notifications are kept, read or not.
    #[serde(with = "humantime_serde")]
    #[garde(custom(at_least_a_day))]
    pub retention: Duration,
    /// What happens elsewhere and makes a notification.
    #[garde(dive)]
    pub causes: CausesConfig,
}

/// `[notifications.causes]`: each with what its texts may name.
#[derive(Clone, Debug, Serialize, Deserialize, Validate)]
pub struct CausesConfig {
    /// An offer for the buyer.
    #[garde(dive, custom(names(&["title", "amount", "currency"])))]
    pub offer_received: CauseConfig,
    /// An offer was accepted, for its seller.
    #[garde(dive, custom(names(&["title", "amount", "currency"])))]
    pub offer_accepted: CauseConfig,
    /// An offer was rejected, for its seller.
    #[garde(dive, custom(names(&["title", "reason"])))]
    pub offer_rejected: CauseConfig,
    /// A request was called off, for the others.
    #[garde(dive, custom(names(&["title", "reason"])))]
    pub request_cancelled: CauseConfig,
    /// The goods are on their way, for the buyer.
    #[garde(dive, custom(names(&["title", "carrier", "tracking_number"])))]
    pub delivery_shipped: CauseConfig,
    /// The goods have arrived, for the seller.
    #[garde(dive, custom(names(&["title"])))]
    pub delivery_confirmed: CauseConfig,
    /// The money is here, for the seller.
    #[garde(dive, custom(names(&["title", "amount", "currency"])))]
    pub payment_received: CauseConfig,
    /// A payout is through, for the seller.
    #[garde(dive, custom(names(&["amount", "currency"])))]
    pub payout_completed: CauseConfig,
    /// A message, for those who are away; one unread notification a conversation.
    #[garde(dive, custom(names(&["sender", "title"])))]
    pub message_received: CauseConfig,
}

/// How users are told of something.
#[derive(Clone, Debug, Serialize, Deserialize, Validate)]
#[garde(allow_unvalidated)]
#[serde(deny_unknown_fields)]
pub struct CauseConfig {
    /// Whether they are.
    pub enabled: bool,
    /// The notification's type.
    #[garde(length(chars, min = 1, max = 64))]
    pub r#type: String,
    /// Its title, with placeholders.
    #[garde(length(chars, min = 1, max = 200))]
    pub title: String,
    /// Its body, with placeholders.
    #[garde(length(chars, max = 2000))]
    pub body: String,
}

/// Refuses texts that name something else than these, and those that no notification may have (for
/// garde).
fn names(known: &'static [&'static str]) -> impl Fn(&CauseConfig, &()) -> garde::Result {
    move |cause, ()| {
        let one_line =
            !cause.r#type.contains(char::is_control) && !cause.title.contains(char::is_control);
        require(one_line, "type and title have no control characters")?;
        let plain = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
        require(cause.body.chars().all(plain), "body has no control characters but line breaks")?;
        let texts = [&cause.title, &cause.body];
        let named = texts.into_iter().flat_map(|text| {
            text.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name)
        });
        for name in named {
            let listed = known.iter().map(|name| format!("{{{name}}}")).collect::<Vec<_>>();
            require(
                known.contains(&name),
                &format!("{{{name}}} stands for nothing here; {} do", listed.join(" ")),
            )?;
        }
        Ok(())
    }
}
