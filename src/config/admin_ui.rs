//! `[admin_ui]`: who looks at this server with the official Admin UI of Socket.IO.
#![expect(clippy::trivially_copy_pass_by_ref, reason = "garde gives its context by reference")]

use bcrypt::HashParts;
use garde::{Error, Path, Report, Validate};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::{notation, rules::require};

/// What a hash may cost: each step doubles it, and with 14 a password takes a second.
const MAX_COST: u32 = 14;

/// `[admin_ui]`
#[derive(Clone, Debug, Serialize, Deserialize, Validate)]
#[garde(allow_unvalidated)]
pub struct AdminUiConfig {
    /// `ADMIN_UI_USER`: the operator's name; unset leaves the Admin UI out.
    #[garde(inner(length(chars, max = 128)))]
    pub user: Option<String>,
    /// `ADMIN_UI_HASH`: the bcrypt hash of their password.
    #[serde(serialize_with = "notation::hidden")]
    #[garde(inner(custom(bcrypt_hash)))]
    pub hash: Option<SecretString>,
}

impl AdminUiConfig {
    /// The operator's name and the hash of their password; none where there is no operator.
    #[must_use]
    pub fn operator(&self) -> Option<(&str, &SecretString)> {
        self.user.as_deref().zip(self.hash.as_ref())
    }

    /// What belongs together.
    pub(super) fn check(&self, report: &mut Report) {
        let (key, other) = match (&self.user, &self.hash) {
            (Some(_), None) => ("hash", "user"),
            (None, Some(_)) => ("user", "hash"),
            _ => return,
        };
        let sentence = format!("is needed beside admin_ui.{other}");
        report.append(Path::new("admin_ui").join(key), Error::new(sentence));
    }
}

/// The hash is never shown.
fn bcrypt_hash(hash: &SecretString, (): &()) -> garde::Result {
    let parts = hash.expose_secret().parse::<HashParts>();
    require(
        parts.as_ref().is_ok_and(|parts| (4..=31).contains(&parts.get_cost())),
        "is not a bcrypt hash, such as $2b$10$ and 53 characters (in .env in single quotes)",
    )?;
    let is_cheap = parts.is_ok_and(|parts| parts.get_cost() <= MAX_COST);
    require(is_cheap, "has a cost of more than 14: each password would take seconds")
}
