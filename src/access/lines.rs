//! The lines of grants (docs/moving.md).

use garde::Validate;
use serde::{Deserialize, Serialize};

use super::store::{self, Grant, moved};
use crate::{
    clock::Timestamp,
    db::Tx,
    error::Result,
    id::Id,
    moving::{self, Facts, Key, Line, Outcome, Place, Tag},
    room::Room,
};

/// A right to enter a room that a user was given.
#[derive(Debug, PartialEq, Serialize, Deserialize, Validate)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct GrantLine {
    #[serde(rename = "type", default, skip_serializing)]
    line: Tag,
    room: Room,
    user_id: Id,
    granted_by: Id,
    granted_at: Timestamp,
}

impl GrantLine {
    fn of(user_id: Id, grant: Grant) -> Self {
        let Grant { room, granted_by, granted_at } = grant;
        Self { line: Tag, room, user_id, granted_by, granted_at }
    }
}

impl Line for GrantLine {
    const TYPE: &'static str = "grant";

    fn facts(&self) -> Facts {
        let keys = vec![Key::own("grant", format!("{} {}", self.room, self.user_id))];
        Facts { place: Place::default(), keys }
    }

    async fn import(self, tx: &mut Tx<'_>) -> Result<Outcome> {
        if let Some(kept) = moved::find(tx, &self.room, &self.user_id).await? {
            return Outcome::compared(&self, &Self::of(self.user_id.clone(), kept));
        }
        let Self { room, user_id, granted_by, granted_at, .. } = self;
        store::insert(tx, &user_id, &Grant { room, granted_by, granted_at }).await?;
        Ok(Outcome::Written)
    }

    async fn next(tx: &mut Tx<'_>, after: &str) -> Result<(Vec<Self>, Option<String>)> {
        let after = after.split_once(' ').unwrap_or_default();
        let grants = moved::after(tx, after, moving::ROWS).await?;
        let next = moving::behind(&grants, |(user, grant)| format!("{} {user}", grant.room));
        let line = |(user, grant)| Self::of(user, grant);
        Ok((grants.into_iter().map(line).collect(), next))
    }
}
