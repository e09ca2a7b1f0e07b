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
    error::Result,
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
    /// What a notification says, whoever has it and has read it.
    fn content(of: &Notification, user_id: &Id) -> Self {
        Self {
            line: Tag,
            id: of.id.clone(),
            user_id: user_id.clone(),
            number: None,
            kind: of.kind.clone(),
            title: of.title.clone(),
            body: of.body.clone(),
            data: of.data.clone(),
            created_at: of.created_at,
            read_at: None,
            topic: None,
            words_of: None,
            also_words_of: None,
        }
    }

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

impl Line for NotificationLine {
    const TYPE: &'static str = "notification";

    fn facts(&self) -> Facts {
        let place = Place::among(&self.user_id, self.number, self.created_at);
        let keys = vec![Key::own("notification", format!("{} {}", self.id, self.user_id))];
        Facts { place, keys }
    }

    async fn import(self, tx: &mut Tx<'_>) -> Result<Outcome> {
        let line = self.kept();
        let id = &line.notification.id;
        let compared = |kept: &Notification| {
            let content = |of: &Notification| Self::content(of, &line.user_id);
            Outcome::compared(&content(&line.notification), &content(kept))
        };
        if store::inbox_for_update(tx, &line.user_id).await?.is_some()
            && let Some(kept) = moved::find(tx, &line.user_id, id).await?
        {
            return compared(&kept.notification);
        }
        match moved::content(tx, id).await? {
            None => {
                let words_of = [&line.words_of, &line.also_words_of].map(Option::as_ref);
                store::insert_content(tx, &line.notification, 0, None, words_of).await?;
            }
            // The others who have it were told this.
            Some(content) => match compared(&content)? {
                Outcome::Same => {}
                other => return Ok(other),
            },
        }
        moved::give(tx, &line).await?;
        Ok(Outcome::Written)
    }

    async fn next(tx: &mut Tx<'_>, after: &str) -> Result<(Vec<Self>, Option<String>)> {
        let kept = moved::after(tx, moving::user_and_number(after)?, moving::ROWS).await?;
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
