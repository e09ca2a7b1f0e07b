//! What of an account stands in a user's line: with the hash of its password, and of what they signed in with,
//! so that they stay signed in (docs/moving.md).

use garde::Validate;
use serde::{Deserialize, Serialize};

use super::{
    email::EmailAddress,
    passwords,
    store::{
        self, Account, Family,
        moved::{self, SignIn},
    },
};
use crate::{
    auth::{Role, Roles},
    clock::Timestamp,
    db::Tx,
    error::Result,
    id::Id,
    moving::{self, Hex, Key},
    text::PersonName,
};

/// An account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Validate)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct AccountPart {
    email: EmailAddress,
    /// Argon2's, as a PHC string. Without it, nobody signs in until a new password is set.
    #[garde(inner(custom(hash)))]
    password_hash: Option<String>,
    /// Which of the passwords it is. Without it: the first.
    password_number: Option<u32>,
    first_name: PersonName,
    last_name: PersonName,
    #[serde(default)]
    #[garde(length(max = 5), custom(own_roles))]
    roles: Vec<Role>,
    created_at: Timestamp,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[garde(length(max = 1000))]
    sign_ins: Vec<SignInPart>,
}

/// A sign-in that still serves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SignInPart {
    id: Id,
    key_hash: Hex,
    turn_hash: Hex,
    created_at: Timestamp,
    used_at: Timestamp,
    expires_at: Timestamp,
    access_ends_at: Timestamp,
}

/// Refuses what nobody is by an account: who signs in with a password is no operator.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "garde gives references")]
fn own_roles(roles: &[Role], (): &()) -> garde::Result {
    if roles.iter().any(|role| matches!(role, Role::Admin | Role::Service)) {
        let rule = "are user, buyer or seller; admins and services have tokens of another's making";
        return Err(garde::Error::new(rule));
    }
    Ok(())
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "garde gives references")]
fn hash(hash: &str, (): &()) -> garde::Result {
    if passwords::is_hash(hash) {
        return Ok(());
    }
    Err(garde::Error::new("is no Argon2 hash as a PHC string; leave another's out"))
}

impl AccountPart {
    /// A user's.
    ///
    /// # Errors
    /// The store's.
    pub async fn of(tx: &mut Tx<'_>, user: &Id) -> Result<Option<Self>> {
        let Some(account) = store::by_user(tx, user).await? else { return Ok(None) };
        let created_at = moved::created_at(tx, user).await?;
        let name = |name: &str| PersonName::from_lossy(name);
        let (Some(created_at), Ok(email), Some(first_name), Some(last_name)) = (
            created_at,
            EmailAddress::try_from(account.email.clone()),
            name(&account.first_name),
            name(&account.last_name),
        ) else {
            return Ok(None);
        };
        let sign_in = |SignIn { family, key_hash, turn_hash }| SignInPart {
            id: family.id,
            key_hash: Hex(key_hash),
            turn_hash: Hex(turn_hash),
            created_at: family.created_at,
            used_at: family.used_at,
            expires_at: family.expires_at,
            access_ends_at: family.access_ends_at,
        };
        let sign_ins = moved::sign_ins(tx, user).await?.into_iter().map(sign_in).collect();
        Ok(Some(Self {
            email,
            password_hash: Some(account.password_hash),
            password_number: u32::try_from(account.password_number).ok(),
            first_name,
            last_name,
            roles: account.roles.iter().collect(),
            created_at,
            sign_ins,
        }))
    }

    /// The users after this one who have accounts.
    ///
    /// # Errors
    /// The store's.
    pub async fn users_after(tx: &mut Tx<'_>, after: &str) -> Result<Vec<Id>> {
        moved::accounts_after(tx, after, moving::ROWS).await
    }

    /// What it is, and no other may be.
    #[must_use]
    pub fn keys(&self) -> Vec<Key> {
        let sign_ins = self.sign_ins.iter();
        let mut keys = vec![Key::own("email of an account", self.email.as_str())];
        keys.extend(sign_ins.map(|one| Key::own("keyHash of a sign-in", &one.key_hash)));
        keys
    }

    /// What it says, and where it says nothing, what is kept, whoever has signed in since.
    #[must_use]
    pub fn or_kept(&self, kept: &Self) -> Self {
        let hash = self.password_hash.clone().or_else(|| kept.password_hash.clone());
        Self {
            password_hash: hash,
            password_number: Some(self.password_number.unwrap_or(1)),
            // In the order in which they are told.
            roles: self.roles.iter().copied().collect::<Roles>().iter().collect(),
            sign_ins: kept.sign_ins.clone(),
            ..self.clone()
        }
    }

    /// Keeps it for a user who has none; false when somebody else has its address.
    ///
    /// # Errors
    /// The store's.
    pub async fn import(self, tx: &mut Tx<'_>, user: &Id) -> Result<bool> {
        let account = Account {
            user_id: user.clone(),
            email: self.email.as_str().to_owned(),
            password_hash: match self.password_hash {
                Some(hash) => hash,
                None => passwords::nobodys(),
            },
            first_name: self.first_name.into(),
            last_name: self.last_name.into(),
            roles: self.roles.into_iter().collect(),
            password_number: self.password_number.unwrap_or(1).into(),
        };
        if !store::insert(tx, &account, self.created_at).await? {
            return Ok(false);
        }
        for one in self.sign_ins {
            let family = Family {
                id: one.id,
                user_id: user.clone(),
                created_at: one.created_at,
                used_at: one.used_at,
                expires_at: one.expires_at,
                access_ends_at: one.access_ends_at,
            };
            let (key_hash, turn_hash) = (one.key_hash.0, one.turn_hash.0);
            moved::insert_sign_in(tx, &SignIn { family, key_hash, turn_hash }).await?;
        }
        Ok(true)
    }
}
