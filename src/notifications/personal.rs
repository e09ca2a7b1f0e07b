//! What notifications keep of people: what they were told, and what others were told by their names or
//! in their words. Erased, all of it goes, and is not unread any more.

use futures_util::FutureExt;
use serde::Serialize;
use serde_json::Value;

use super::{events::Notification, prune::give_up, store};
use crate::{
    clock::Timestamp,
    db::{self, Tx},
    error::{Error, Result},
    id::Id,
    idempotency,
    personal::{Cursor, Lines, PersonalData, ROWS, Step},
};

/// This room's part.
pub struct Personal;

/// A notification, as a line of who has it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NotificationLine {
    #[serde(flatten)]
    told: ToldLine,
    read_at: Option<Timestamp>,
}

/// What a notification says, as a line of those by whose names or in whose words others are told.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ToldLine {
    id: Id,
    kind: String,
    title: String,
    body: String,
    data: Value,
    created_at: Timestamp,
}

impl From<Notification> for ToldLine {
    fn from(notification: Notification) -> Self {
        let Notification { id, kind, title, body, data, created_at, .. } = notification;
        Self { id, kind, title, body, data, created_at }
    }
}

impl PersonalData for Personal {
    fn export<'a>(
        &'a self,
        tx: &'a mut Tx<'_>,
        user: &'a Id,
        from: &'a Cursor,
        lines: &'a mut Lines,
    ) -> Step<'a> {
        async move {
            match from.table {
                0 => {}
                1 => return export_told(tx, user, from, lines).await,
                _ => return Ok(None),
            }
            let before = from.key()?.unwrap_or(i64::MAX);
            let told = store::list(tx, user, false, before, ROWS).await?;
            let next = from.behind(&told, |(ordinal, _)| ordinal.to_string());
            for (_, notification) in told {
                let read_at = notification.read_at;
                let line = NotificationLine { told: notification.into(), read_at };
                lines.add("notification", &line)?;
            }
            Ok(next)
        }
        .boxed_local()
    }

    fn erase<'a>(&'a self, tx: &'a mut Tx<'_>, user: &'a Id, from: &'a Cursor) -> Step<'a> {
        async move {
            match from.table {
                0 => {
                    let (forgotten, rows) = store::erase_some(tx, user, ROWS).await?;
                    for id in &forgotten {
                        idempotency::forget(tx, id).await?;
                        // It may have been told by the names of others.
                        db::take_back(tx, id).await?;
                    }
                    Ok(from.without(rows))
                }
                1 => silence(tx, user, from).await,
                _ => Ok(None),
            }
        }
        .boxed_local()
    }
}

/// Tells what others were told by a user's name or in their words.
async fn export_told(
    tx: &mut Tx<'_>,
    user: &Id,
    from: &Cursor,
    lines: &mut Lines,
) -> Result<Option<Cursor>> {
    let told = store::told_by(tx, user, &from.after, ROWS).await?;
    let next = from.behind(&told, |notification| notification.id.to_string());
    for notification in told {
        lines.add("told", &ToldLine::from(notification))?;
    }
    Ok(next)
}

/// Takes some notifications from others that have a user's name or words in them, and what they say
/// from where it is kept.
async fn silence(tx: &mut Tx<'_>, user: &Id, from: &Cursor) -> Result<Option<Cursor>> {
    let found = store::with_words_of(tx, user, ROWS).await?;
    let (mut entries, mut left) = (Vec::new(), ROWS);
    let mut forgotten = Vec::new();
    for id in &found {
        let holders = store::holders(tx, id, left).await?;
        let count = i64::try_from(holders.len()).map_err(Error::internal)?;
        entries.extend(holders);
        // Of one that more have than one unit takes it from, the others are left for the next.
        if count == left {
            break;
        }
        left -= count;
        forgotten.push(id);
    }
    give_up(tx, entries).await?;
    for id in forgotten {
        store::forget(tx, id).await?;
        db::take_back(tx, id).await?;
    }
    Ok(if found.is_empty() { None } else { Some(from.clone()) })
}
