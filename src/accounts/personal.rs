//! What accounts keep of people: who they registered as, and when they signed in.

use futures_util::FutureExt;
use serde::Serialize;

use super::store;
use crate::{
    auth::Roles,
    clock::Timestamp,
    db::Tx,
    id::Id,
    personal::{Cursor, Lines, PersonalData, Step},
};

/// This room's part.
pub struct Personal;

/// An account. Its password's hash is nobody's to read.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AccountLine {
    user_id: Id,
    email: String,
    first_name: String,
    last_name: String,
    roles: Roles,
    sign_ins: Vec<SignIn>,
}

/// A sign-in that still serves.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SignIn {
    since: Timestamp,
    used_at: Timestamp,
    expires_at: Timestamp,
}

impl PersonalData for Personal {
    fn export<'a>(
        &'a self,
        tx: &'a mut Tx<'_>,
        user: &'a Id,
        _from: &'a Cursor,
        lines: &'a mut Lines,
    ) -> Step<'a> {
        async move {
            let Some(account) = store::by_user(tx, user).await? else { return Ok(None) };
            let families = store::families(tx, user).await?;
            let sign_in = |family: store::Family| SignIn {
                since: family.created_at,
                used_at: family.used_at,
                expires_at: family.expires_at,
            };
            let line = AccountLine {
                user_id: account.user_id,
                email: account.email,
                first_name: account.first_name,
                last_name: account.last_name,
                roles: account.roles,
                sign_ins: families.into_iter().map(sign_in).collect(),
            };
            lines.add("account", &line)?;
            Ok(None)
        }
        .boxed_local()
    }

    fn erase<'a>(&'a self, tx: &'a mut Tx<'_>, user: &'a Id, _from: &'a Cursor) -> Step<'a> {
        async move {
            store::erase(tx, user).await?;
            Ok(None)
        }
        .boxed_local()
    }
}
