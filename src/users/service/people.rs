//! What is known of people.

use std::sync::Arc;

use super::Users;
use crate::{
    auth::{Identity, Roles},
    db::Tx,
    error::{Code, Error, Result},
    id::Id,
    users::{
        documents::Profile,
        requests::PutProfile,
        store::{profiles, shut_out},
    },
};

/// Who a new user is.
#[derive(Clone, Debug)]
pub struct Introduction {
    /// The given name.
    pub first_name: String,
    /// The family name.
    pub last_name: String,
    /// Their e-mail address.
    pub email: String,
    /// What they are.
    pub roles: Roles,
}

/// Keeps who a new user is, in the unit of work that makes them: others see their names before they
/// act.
///
/// # Errors
/// The store's.
pub async fn introduce(tx: &mut Tx<'_>, user: &Id, who: Introduction) -> Result<()> {
    let profile = Profile {
        first_name: Some(who.first_name),
        last_name: Some(who.last_name),
        email: Some(who.email),
        roles: who.roles,
        ..nobody(user.clone())
    };
    profiles::put(tx, &profile).await
}

impl Users {
    /// Keeps what a backend tells of a user, instead of what was known.
    pub(in crate::users) async fn put(&self, id: Id, told: PutProfile) -> Result<Profile> {
        let profile = Profile {
            first_name: told.first_name.map(Into::into),
            last_name: told.last_name.map(Into::into),
            name: told.name.map(Into::into),
            avatar_url: told.avatar_url,
            email: told.email,
            roles: told.roles.into_iter().collect(),
            ..nobody(id)
        };
        let unit = async move |tx: &mut Tx<'_>| {
            profiles::put(tx, &profile).await?;
            Ok(Profile { updated_at: Some(tx.now()), ..profile })
        };
        self.db.write(unit).await
    }

    /// What is known of a user, as far as the caller may know it.
    pub(in crate::users) async fn get(&self, caller: Arc<Identity>, id: Id) -> Result<Profile> {
        let unit = async move |tx: &mut Tx<'_>| {
            let own = caller.user_id == id;
            let operates = caller.operates();
            let known = profiles::profile(tx, &id).await?;
            let block = if operates { shut_out::block_of(tx, &id).await? } else { None };
            let mut profile = match known {
                Some(profile) => profile,
                None if own => of_token(&caller),
                None if block.is_some() => nobody(id),
                None => return Err(Error::new(Code::NotFound, "There is no such user.")),
            };
            if own && profile.email.is_none() {
                profile.email = caller.email().map(Into::into);
            }
            profile.email = profile.email.filter(|_| own || operates);
            Ok(Profile { block, ..profile })
        };
        self.db.read(unit).await
    }
}

/// Someone of whom nothing is known.
fn nobody(id: Id) -> Profile {
    Profile {
        underscore_id: id.clone(),
        id,
        first_name: None,
        last_name: None,
        name: None,
        avatar_url: None,
        email: None,
        roles: Roles::NONE,
        updated_at: None,
        block: None,
    }
}

/// What a token says of its user.
fn of_token(identity: &Identity) -> Profile {
    Profile {
        first_name: identity.first_name().map(Into::into),
        last_name: identity.last_name().map(Into::into),
        name: identity.full_name().map(Into::into),
        email: identity.email().map(Into::into),
        roles: identity.roles,
        ..nobody(identity.user_id.clone())
    }
}
