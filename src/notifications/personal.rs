//! What notifications keep of people: what they were told. Erased, what nobody else was told goes
//! with it, and so does what others were told with their names and words.

use futures_util::FutureExt;
use serde::Serialize;
use serde_json::Value;

use super::{events::Notification, store};
use crate::{
    clock::Timestamp,
    db::{self, Tx},
    id::Id,
    idempotency,
    personal::{Lines, PersonalData, Place, ROWS, Step},
};

/// This room's part.
pub struct Personal;

/// A notification, as a line.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NotificationLine {
    id: Id,
    kind: String,
    title: String,
    body: String,
    data: Value,
    created_at: Timestamp,
    read_at: Option<Timestamp>,
}

impl PersonalData for Personal {
    fn export<'a>(
        &'a self,
        tx: &'a mut Tx<'_>,
        user: &'a Id,
        from: &'a Place,
        lines: &'a mut Lines,
    ) -> Step<'a> {
        async move {
            if from.table > 0 {
                return Ok(None);
            }
            let before = from.key()?.unwrap_or(i64::MAX);
            let told = store::list(tx, user, false, before, ROWS).await?;
            let next = from.behind(&told, |(ordinal, _)| ordinal.to_string());
            for (_, notification) in told {
                let Notification { id, kind, title, body, data, created_at, read_at, .. } =
                    notification;
                let line = NotificationLine { id, kind, title, body, data, created_at, read_at };
                lines.add("notification", &line)?;
            }
            Ok(next)
        }
        .boxed_local()
    }

    fn erase<'a>(&'a self, tx: &'a mut Tx<'_>, user: &'a Id, from: &'a Place) -> Step<'a> {
        async move {
            match from.table {
                0 => {
                    let (forgotten, rows) = store::erase_some(tx, user, ROWS).await?;
                    for id in &forgotten {
                        idempotency::forget(tx, id).await?;
                    }
                    Ok(from.without(rows))
                }
                1 => {
                    let silenced = store::silence_some(tx, user, ROWS).await?;
                    for id in &silenced {
                        db::take_back(tx, id).await?;
                    }
                    Ok(from.without(silenced.len() as u64))
                }
                _ => Ok(None),
            }
        }
        .boxed_local()
    }
}
