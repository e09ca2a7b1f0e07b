//! Users as callers see them (docs/contract/rest.md#users and docs/contract/rest.md#auth).

use serde::Serialize;
use utoipa::ToSchema;

use crate::{auth::Roles, clock::Timestamp, id::Id};

/// What is known of a user.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Profile {
    /// The user.
    pub(super) id: Id,
    /// The same as `id`, as marketplace clients read it.
    #[serde(rename = "_id")]
    pub(super) underscore_id: Id,
    /// The given name.
    #[schema(required = true)]
    pub(super) first_name: Option<String>,
    /// The family name.
    #[schema(required = true)]
    pub(super) last_name: Option<String>,
    /// The full name, as one.
    #[schema(required = true)]
    pub(super) name: Option<String>,
    /// A picture.
    #[schema(required = true)]
    pub(super) avatar_url: Option<String>,
    /// The e-mail address, for the user, admins and services.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) email: Option<String>,
    /// What a backend says that the user is. Rights come from tokens alone.
    #[schema(value_type = Vec<String>)]
    pub(super) roles: Roles,
    /// When this last changed; null for what the caller's own token says.
    #[schema(required = true)]
    pub(super) updated_at: Option<Timestamp>,
    /// The user's block, while there is one, for admins and services.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) block: Option<BlockView>,
}

/// A user who is shut out.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct BlockView {
    /// Since when.
    pub(super) since: Timestamp,
    /// Until when; null for as long as nobody ends it.
    #[schema(required = true)]
    pub(super) until: Option<Timestamp>,
    /// Why, for operators.
    #[schema(required = true)]
    pub(super) reason: Option<String>,
    /// Who did it.
    pub(super) blocked_by: Id,
}

/// A token that was made for a user.
#[derive(Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct MintedToken {
    /// The token; it is not shown again.
    pub(super) token: String,
    /// When it ends.
    pub(super) expires_at: Timestamp,
}

/// Sockets that were closed.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(super) struct Disconnected {
    /// How many there were, on this node.
    pub(super) disconnected: usize,
}
