//! What this room keeps of people: who they are, and why they are blocked. The block itself stays until
//! it ends.

use futures_util::FutureExt;
use serde_json::{Map, Value};

use super::store::{profiles, shut_out};
use crate::{
    db::Tx,
    id::Id,
    personal::{Cursor, Gone, Lines, PersonalData, Step},
};

/// Names of a person, wherever one is shown.
const NAMES: [&str; 6] = ["firstName", "lastName", "name", "userName", "avatarUrl", "email"];

/// This room's part.
pub struct Personal;

impl PersonalData for Personal {
    fn export<'a>(
        &'a self,
        tx: &'a mut Tx<'_>,
        user: &'a Id,
        _from: &'a Cursor,
        lines: &'a mut Lines,
    ) -> Step<'a> {
        async move {
            if let Some(profile) = profiles::profile(tx, user).await? {
                lines.add("user", &profile)?;
            }
            Ok(None)
        }
        .boxed_local()
    }

    fn erase<'a>(&'a self, tx: &'a mut Tx<'_>, user: &'a Id, _from: &'a Cursor) -> Step<'a> {
        async move {
            profiles::forget(tx, user).await?;
            shut_out::forget_reason(tx, user).await?;
            Ok(None)
        }
        .boxed_local()
    }

    /// A person as others see them, in whatever room.
    fn redact(&self, object: &mut Map<String, Value>, gone: &Gone) -> bool {
        if !["id", "userId"].iter().any(|key| gone.has(object.get(*key))) {
            return false;
        }
        let mut changed = false;
        for name in NAMES {
            if let Some(value) = object.get_mut(name)
                && !value.is_null()
            {
                *value = Value::Null;
                changed = true;
            }
        }
        changed
    }
}
