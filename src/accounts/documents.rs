//! Accounts as their owners see them over REST.

use std::fmt;

use serde::Serialize;
use utoipa::ToSchema;

use crate::{auth::Roles, clock::Timestamp, id::Id};

/// Who somebody is: by their account, or by their token where another app made that.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountUser {
    /// The user.
    pub id: Id,
    /// The same as `id`, as marketplace clients read it.
    #[serde(rename = "_id")]
    pub underscore_id: Id,
    /// Their e-mail address.
    #[schema(required = true)]
    pub email: Option<String>,
    /// The given name.
    #[schema(required = true)]
    pub first_name: Option<String>,
    /// The family name.
    #[schema(required = true)]
    pub last_name: Option<String>,
    /// What they are.
    #[schema(value_type = Vec<String>)]
    pub roles: Roles,
    /// What others register with so that this user is told; a backend has none.
    #[schema(required = true)]
    pub referral_code: Option<String>,
}

/// A user with tokens of their own.
#[derive(Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignedIn {
    /// Who.
    pub user: AccountUser,
    /// Goes with each request (`Authorization: Bearer`) and with the handshake (`auth.token`).
    pub access_token: String,
    /// Gives the next two tokens (`POST /api/auth/refresh`), once.
    pub refresh_token: String,
    /// When the access token ends.
    pub expires_at: Timestamp,
}

/// Without the tokens.
impl fmt::Debug for SignedIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedIn").field("user", &self.user.id).finish_non_exhaustive()
    }
}

/// The caller.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Me {
    /// Who.
    pub user: AccountUser,
}

/// A token that sets a new password, for the backend to send to its owner.
#[derive(Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PasswordReset {
    /// Goes to `POST /api/auth/password`, once. It is given for an address that nobody has, too, and
    /// sets nothing then.
    pub reset_token: String,
    /// When it ends.
    pub expires_at: Timestamp,
}
