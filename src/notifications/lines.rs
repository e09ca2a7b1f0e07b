//! The lines of notifications: one for each user who has it (docs/moving.md).

use garde::Validate;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    events::Notification,
    store::{
        self,
        moved::{self, Kept},
    },
};
use crate::{
    clock::Timestamp,
    db::Tx,
    error::{Error, Result},
    id::Id,
    moving::{self, Facts, Key, Line, Outcome, Place, Tag},
    rest::json::small_metadata,
    text,
};

/// A notification of a user.
#[derive(Debug, PartialEq, Serialize, Deserialize, Validate)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct NotificationLine {
    #[serde(rename = "type", default, skip_serializing)]
    line: Tag,
    id: Id,
    user_id: Id,
    /// Which of the user's it is. Without it, they are numbered by time.
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<u64>,
    /// What it is about.
    #[garde(length(chars, min = 1, max = 64), custom(text::line))]
    kind: String,
    #[garde(length(chars, max = 200), custom(text::line))]
    title: String,
    #[serde(default)]
    #[garde(length(chars, max = 4000), custom(text::prose))]
    body: String,
    #[serde(default)]
    #[garde(custom(small_metadata))]
    data: Value,
    created_at: Timestamp,
    read_at: Option<Timestamp>,
    /// What it is about, where one that is unread is enough.
    #[garde(inner(length(chars, min = 1, max = 600), custom(text::line)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<String>,
    /// Whose names or words it has: with those of either it goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    words_of: Option<Id>,
    #[serde(skip_serializing_if = "Option::is_none")]
    also_words_of: Option<Id>,
}

impl NotificationLine {
    fn kept(self) -> Kept {
        Kept {
            user_id: self.user_id,
            ordinal: 0,
            notification: Notification {
                underscore_id: self.id.clone(),
                id: self.id,
                kind: self.kind,
                title: self.title,
                body: self.body,
                data: self.data,
                created_at: self.created_at,
                read_at: self.read_at,
            },
            topic: self.topic,
            words_of: self.words_of,
            also_words_of: self.also_words_of,
        }
    }
}

/// Whether they say the same, whoever has read them.
fn says_what(one: &Notification, other: &Notification) -> bool {
    let unread = |of: &Notification| Notification { read_at: None, ..of.clone() };
    unread(one) == unread(other)
}

impl Line for NotificationLine {
    const TYPE: &'static str = "notification";

    fn facts(&self) -> Facts {
        let place = Place {
            group: self.user_id.to_string(),
            number: self.number,
            at: Some(self.created_at),
        };
        let keys = vec![Key::own("notification", format!("{} {}", self.id, self.user_id))];
        Facts { place, keys }
    }

    async fn import(self, tx: &mut Tx<'_>) -> Result<Outcome> {
        let line = self.kept();
        let id = &line.notification.id;
        if store::inbox_for_update(tx, &line.user_id).await?.is_some()
            && let Some(kept) = moved::find(tx, &line.user_id, id).await?
        {
            return Ok(Outcome::of(says_what(&line.notification, &kept.notification)));
        }
        match moved::content(tx, id).await? {
            None => moved::insert_content(tx, &line).await?,
            Some(content) if says_what(&content, &line.notification) => {}
            Some(_) => return Ok(Outcome::Other("says to others something else")),
        }
        moved::give(tx, &line).await?;
        Ok(Outcome::Written)
    }

    async fn next(tx: &mut Tx<'_>, after: &str) -> Result<(Vec<Self>, Option<String>)> {
        let (number, user) = after.split_once(' ').unwrap_or(("0", ""));
        let number = number.parse().map_err(Error::internal)?;
        let kept = moved::after(tx, (user, number), moving::ROWS).await?;
        let next = moving::behind(&kept, |one| format!("{} {}", one.ordinal, one.user_id));
        let line = |Kept { user_id, ordinal, notification, topic, words_of, also_words_of }| Self {
            line: Tag,
            id: notification.id,
            user_id,
            number: u64::try_from(ordinal).ok(),
            kind: notification.kind,
            title: notification.title,
            body: notification.body,
            data: notification.data,
            created_at: notification.created_at,
            read_at: notification.read_at,
            topic,
            words_of,
            also_words_of,
        };
        Ok((kept.into_iter().map(line).collect(), next))
    }
}
