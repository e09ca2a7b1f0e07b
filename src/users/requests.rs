//! What callers ask of this room, and the rules of its fields (docs/contract/rest.md#users and
//! docs/contract/rest.md#auth).

use garde::Validate;
use serde::Deserialize;
use url::Url;
use utoipa::ToSchema;

use crate::{
    auth::Role,
    clock::Timestamp,
    id::Id,
    room::Room,
    text::{self, PersonName},
};

/// A token to create.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(super) struct MintToken {
    /// Whom it speaks for.
    pub(super) user_id: Id,
    /// Their e-mail address.
    #[garde(inner(custom(mail_address)))]
    #[schema(min_length = 3, max_length = 254)]
    pub(super) email: Option<String>,
    /// Their given name.
    pub(super) first_name: Option<PersonName>,
    /// Their family name.
    pub(super) last_name: Option<PersonName>,
    /// Their full name, as one.
    pub(super) name: Option<PersonName>,
    /// What they are. `admin` and `service` are for API keys alone to give.
    #[serde(default, deserialize_with = "crate::rest::json::or_default")]
    #[garde(length(max = 5))]
    #[schema(max_items = 5)]
    pub(super) roles: Vec<Role>,
    /// Rooms that the token itself lets them into.
    #[serde(default, deserialize_with = "crate::rest::json::or_default")]
    #[garde(length(max = 100))]
    #[schema(max_items = 100)]
    pub(super) rooms: Vec<Room>,
    /// How long it lives, in seconds. Without it: `users.token_life`.
    #[garde(inner(range(min = 1)))]
    #[schema(minimum = 1)]
    pub(super) ttl_seconds: Option<u32>,
}

/// Tokens to revoke: those of a user or of everyone that were issued before a moment, or one.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(super) struct Revoke {
    /// The user whose tokens they are. Beside `jti`: whose token that is, so that nobody else's of the
    /// same id is meant.
    pub(super) user_id: Option<Id>,
    /// Those that say that they were issued before this; without it, all that are there now. Without
    /// `userId` everyone's.
    pub(super) issued_before: Option<Timestamp>,
    /// The id of a token, whosever it is where no `userId` says.
    #[garde(inner(length(bytes, min = 1, max = 16384)))]
    #[schema(min_length = 1, max_length = 16384)]
    pub(super) jti: Option<String>,
    /// When that token ends by itself, after which its revocation need not be remembered.
    pub(super) expires_at: Option<Timestamp>,
}

/// A user's profile.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(super) struct PutProfile {
    /// The given name.
    pub(super) first_name: Option<PersonName>,
    /// The family name.
    pub(super) last_name: Option<PersonName>,
    /// The full name, as one.
    pub(super) name: Option<PersonName>,
    /// A picture: an http or https URL.
    #[garde(inner(custom(web_address)))]
    #[schema(max_length = 2048)]
    pub(super) avatar_url: Option<String>,
    /// The e-mail address, which only the user, admins and services are shown.
    #[garde(inner(custom(mail_address)))]
    #[schema(min_length = 3, max_length = 254)]
    pub(super) email: Option<String>,
    /// What the user is, to be shown; it gives no rights.
    #[serde(default, deserialize_with = "crate::rest::json::or_default")]
    #[garde(length(max = 5))]
    #[schema(max_items = 5)]
    pub(super) roles: Vec<Role>,
}

/// A block.
#[derive(Default, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(super) struct BlockUser {
    /// Until when; without it, until somebody ends it.
    pub(super) until: Option<Timestamp>,
    /// Why, for operators: the user is not told.
    #[garde(inner(length(chars, min = 1, max = 500), custom(text::line)))]
    #[schema(min_length = 1, max_length = 500)]
    pub(super) reason: Option<String>,
}

/// A user to disconnect.
#[derive(Default, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(super) struct DisconnectUser {
    /// Why, for the log: the user is not told.
    #[garde(inner(length(chars, min = 1, max = 500), custom(text::line)))]
    #[schema(min_length = 1, max_length = 500)]
    pub(super) reason: Option<String>,
}

/// Something to write to, in whatever case it was told.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "garde gives references")]
pub(super) fn mail_address(email: &str, (): &()) -> garde::Result {
    if text::is_mail_address(email) {
        return Ok(());
    }
    Err(garde::Error::new(text::NO_MAIL_ADDRESS))
}

/// Nothing that a page would run.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "garde gives references")]
pub(super) fn web_address(address: &str, (): &()) -> garde::Result {
    let is_web = Url::parse(address).is_ok_and(|url| ["http", "https"].contains(&url.scheme()));
    if is_web && address.len() <= 2048 && !address.contains(char::is_control) {
        return Ok(());
    }
    Err(garde::Error::new("is not an http or https URL of at most 2,048 bytes"))
}
