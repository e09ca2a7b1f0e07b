//! What happens in other rooms and makes a notification, in the operator's words
//! (`notifications.causes`).

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    Notice, NotificationService,
    service::{About, read_one},
    store,
};
use crate::{
    config::{CauseConfig, CausesConfig},
    db::Tx,
    error::Result,
    id::Id,
};

/// Characters of a title and of a body, at most: what is put into them may be long.
const MAX_TITLE: usize = 200;
const MAX_BODY: usize = 4000;

/// What may happen to somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Somebody made an offer on their request.
    OfferReceived,
    /// Their offer was accepted.
    OfferAccepted,
    /// Their offer was rejected.
    OfferRejected,
    /// A request that they bought or offered on was called off.
    RequestCancelled,
    /// What they bought is on its way.
    DeliveryShipped,
    /// What they sold has arrived.
    DeliveryConfirmed,
    /// What they sold is paid for.
    PaymentReceived,
    /// A payout to them is through.
    PayoutCompleted,
    /// Somebody wrote to them while they were away.
    MessageReceived,
}

impl Cause {
    fn words(self, causes: &CausesConfig) -> &CauseConfig {
        match self {
            Self::OfferReceived => &causes.offer_received,
            Self::OfferAccepted => &causes.offer_accepted,
            Self::OfferRejected => &causes.offer_rejected,
            Self::RequestCancelled => &causes.request_cancelled,
            Self::DeliveryShipped => &causes.delivery_shipped,
            Self::DeliveryConfirmed => &causes.delivery_confirmed,
            Self::PaymentReceived => &causes.payment_received,
            Self::PayoutCompleted => &causes.payout_completed,
            Self::MessageReceived => &causes.message_received,
        }
    }
}

/// Something that happened to users.
#[derive(Clone, Debug)]
pub struct Happening {
    /// What.
    pub cause: Cause,
    /// To whom.
    pub users: BTreeSet<Id>,
    /// What it is about, where those who have an unread notification about that are told enough.
    pub topic: Option<String>,
    /// What stands for each placeholder of the texts.
    pub placeholders: Vec<(&'static str, String)>,
    /// What clients are given with it.
    pub data: Value,
    /// Whose names or words are among that, the one first who is told to others: with either of them it
    /// goes.
    pub words_of: [Option<Id>; 2],
}

impl NotificationService {
    /// Whether the operator has users told of this.
    #[must_use]
    pub fn tells_of(&self, cause: Cause) -> bool {
        cause.words(&self.causes).enabled
    }

    /// Tells users what happened to them, in the unit of work in which it did, as far as the operator
    /// has them told. Once in a unit, with all that happened in it, and after its other rows are
    /// locked, so that units never wait for each other in a circle.
    ///
    /// # Errors
    /// The store's.
    pub async fn notify_of(&self, tx: &mut Tx<'_>, happenings: Vec<Happening>) -> Result<()> {
        let mut told = happenings;
        told.retain(|happening| self.tells_of(happening.cause) && !happening.users.is_empty());
        for Happening { topic, users, .. } in &mut told {
            let Some(topic) = topic else { continue };
            for told_enough in store::with_unread_about(tx, users, topic).await? {
                users.remove(&told_enough);
            }
        }
        told.retain(|happening| !happening.users.is_empty());
        if told.len() > 1 {
            let users: BTreeSet<_> = told.iter().flat_map(|happening| &happening.users).collect();
            store::lock_inboxes(tx, &users).await?;
        }
        for Happening { cause, users, topic, placeholders, data, words_of } in told {
            let words = cause.words(&self.causes).clone();
            let notice = Notice {
                kind: words.r#type,
                title: filled(&words.title, &placeholders, MAX_TITLE),
                body: filled(&words.body, &placeholders, MAX_BODY),
                data,
            };
            let about = About {
                topic: topic.as_deref(),
                words_of: words_of.each_ref().map(Option::as_ref),
            };
            self.notify_about(tx, &users, notice, about).await?;
        }
        Ok(())
    }

    /// Notes that a user has seen what they were notified of about a topic, in the unit of work in which
    /// they did; after its other rows are locked. What comes next about it is news again.
    ///
    /// # Errors
    /// The store's.
    pub async fn read_about(&self, tx: &mut Tx<'_>, user: &Id, topic: &str) -> Result<()> {
        if let Some(id) = store::unread_about(tx, user, topic).await? {
            read_one(tx, user, &id).await?;
        }
        Ok(())
    }
}

/// A text with what stands for its placeholders, of so many characters at most. What is put in is not
/// looked through for placeholders again.
fn filled(template: &str, placeholders: &[(&'static str, String)], most: usize) -> String {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let placeholder = after.split_once('}').and_then(|(name, after)| {
            let (_, value) = placeholders.iter().find(|(known, _)| *known == name)?;
            Some((value, after))
        });
        let (part, then) = placeholder.map_or(("{", after), |(value, then)| (value.as_str(), then));
        text.push_str(part);
        rest = then;
    }
    text.push_str(rest);
    text.chars().take(most).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_once_and_texts_have_an_end() {
        let placeholders = [("title", "{amount} {".to_owned()), ("amount", "35.50".to_owned())];
        let filled = |template| filled(template, &placeholders, 30);
        assert_eq!(filled("{amount} for {title}"), "35.50 for {amount} {");
        assert_eq!(filled("{other} {amount"), "{other} {amount");
        assert_eq!(filled("{{amount}}"), "{35.50}");
        assert_eq!(filled(&"é".repeat(31)), "é".repeat(30));
    }
}
