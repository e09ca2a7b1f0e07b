//! What access keeps of people: the rooms that they were let into.

use futures_util::FutureExt;
use serde::Serialize;

use super::store::{self, Grant};
use crate::{
    clock::Timestamp,
    db::Tx,
    id::Id,
    personal::{Cursor, Lines, PersonalData, ROWS, Step},
    room::Room,
};

/// This room's part.
pub struct Personal;

/// A right to enter a room.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GrantLine<'a> {
    room: Room,
    user_id: &'a Id,
    granted_by: Id,
    granted_at: Timestamp,
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
            if from.table > 0 {
                return Ok(None);
            }
            let grants = store::grants_of(tx, user, &from.after, ROWS).await?;
            let next = from.behind(&grants, |grant| grant.room.to_string());
            for Grant { room, granted_by, granted_at } in grants {
                lines.add("grant", &GrantLine { room, user_id: user, granted_by, granted_at })?;
            }
            Ok(next)
        }
        .boxed_local()
    }

    fn erase<'a>(&'a self, tx: &'a mut Tx<'_>, user: &'a Id, from: &'a Cursor) -> Step<'a> {
        async move {
            match from.table {
                0 => Ok(from.without(store::erase(tx, user, ROWS).await?)),
                _ => Ok(None),
            }
        }
        .boxed_local()
    }
}
