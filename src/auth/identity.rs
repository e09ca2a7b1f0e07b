//! A verified caller, read from a token's claims (contract/events.md, "Handshake"). One lives per
//! connection, so it is kept small.

use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::TokenError;
use crate::{clock::Timestamp, id::Id, room::Room};

/// What a caller may be. The discriminant is the role's bit in [`Roles`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Anyone with an account.
    User,
    /// Places purchase requests.
    Buyer,
    /// Makes offers.
    Seller,
    /// Moderates and operates.
    Admin,
    /// A backend.
    Service,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] = [Self::User, Self::Buyer, Self::Seller, Self::Admin, Self::Service];

    /// The role's name in claims.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Buyer => "buyer",
            Self::Seller => "seller",
            Self::Admin => "admin",
            Self::Service => "service",
        }
    }

    /// The role of a name; none for any other.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }
}

/// A set of roles. On the wire a list of names.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Roles(u8);

impl Roles {
    /// No role.
    pub const NONE: Self = Self(0);

    /// A set of one.
    #[must_use]
    pub const fn of(role: Role) -> Self {
        Self(1 << role as u8)
    }

    /// The set and one more.
    #[must_use]
    pub const fn with(self, role: Role) -> Self {
        Self(self.0 | 1 << role as u8)
    }

    /// Whether the set has it.
    #[must_use]
    pub const fn contains(self, role: Role) -> bool {
        self.0 & 1 << role as u8 != 0
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The roles, in the order of [`Role::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |role| self.contains(*role))
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        roles.into_iter().fold(Self::NONE, Self::with)
    }
}

impl fmt::Debug for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl Serialize for Roles {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

/// Who a valid token speaks for.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// The user; `service:<name>` for an API key.
    pub user_id: Id,
    /// How the token names them, when it does.
    names: Option<Box<Names>>,
    /// What the caller is.
    pub roles: Roles,
    /// Rooms that the token itself allows.
    pub rooms: Box<[Room]>,
    /// When the token ends; none for a token without `exp`.
    pub expires_at: Option<Timestamp>,
    /// The token's own id.
    pub jti: Option<Box<str>>,
}

#[derive(Clone, Default, PartialEq, Eq)]
struct Names {
    email: Option<Box<str>>,
    first: Option<Box<str>>,
    last: Option<Box<str>>,
    full: Option<Box<str>>,
}

/// Where the user's id is looked for, first found wins.
const ID_CLAIMS: [&str; 4] = ["userId", "sub", "id", "_id"];

impl Identity {
    /// Someone of whom only the id and the roles are known.
    #[must_use]
    pub fn new(user_id: Id, roles: Roles) -> Self {
        Self { user_id, names: None, roles, rooms: Box::default(), expires_at: None, jti: None }
    }

    /// Reads the claims of a verified token. What only decorates (names, unknown roles, rooms that
    /// are none) is left out when it can't be read; the user's id must be there.
    pub(super) fn from_claims(
        claims: &Map<String, Value>,
        expires_at: Option<Timestamp>,
    ) -> Result<Self, TokenError> {
        let id = ID_CLAIMS.iter().filter_map(|name| claims.get(*name)).find(|id| !id.is_null());
        let user_id = id.and_then(|id| serde_json::from_value(id.clone()).ok());
        let text = |name| claims.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let roles = ["role", "roles"].into_iter().filter_map(|name| claims.get(name));
        let rooms = claims.get("rooms").map(strings).into_iter().flatten();
        let names = Names {
            email: text("email").map(Into::into),
            first: text("firstName").map(Into::into),
            last: text("lastName").map(Into::into),
            full: text("name").map(Into::into),
        };
        Ok(Self {
            user_id: user_id.ok_or(TokenError::Invalid)?,
            names: (names != Names::default()).then(|| Box::new(names)),
            roles: roles.flat_map(strings).filter_map(Role::from_name).collect(),
            rooms: rooms.filter_map(|room| room.parse().ok()).collect(),
            expires_at,
            jti: text("jti").map(Into::into),
        })
    }

    /// The e-mail address the token names.
    #[must_use]
    pub fn email(&self) -> Option<&str> {
        self.names.as_ref()?.email.as_deref()
    }

    /// The given name.
    #[must_use]
    pub fn first_name(&self) -> Option<&str> {
        self.names.as_ref()?.first.as_deref()
    }

    /// The family name.
    #[must_use]
    pub fn last_name(&self) -> Option<&str> {
        self.names.as_ref()?.last.as_deref()
    }

    /// The name to show: the full name, else given and family name.
    #[must_use]
    pub fn display_name(&self) -> Option<String> {
        let full = self.names.as_ref().and_then(|names| names.full.as_deref());
        match (full, self.first_name(), self.last_name()) {
            (Some(name), _, _) => Some(name.to_string()),
            (None, Some(first), Some(last)) => Some(format!("{first} {last}")),
            (None, Some(one), None) | (None, None, Some(one)) => Some(one.to_string()),
            (None, None, None) => None,
        }
    }

    /// Whether the caller buys or sells: with the role, or with no role at all, as the apps'
    /// older tokens (contract/events.md, "Who may enter a room").
    #[must_use]
    pub const fn trades_as(&self, role: Role) -> bool {
        self.roles.is_empty() || self.has(role)
    }

    /// Whether the caller is a backend service or an admin, from whom nothing is hidden.
    #[must_use]
    pub const fn operates(&self) -> bool {
        self.has(Role::Service) || self.has(Role::Admin)
    }

    /// Whether the caller has the role.
    #[must_use]
    pub const fn has(&self, role: Role) -> bool {
        self.roles.contains(role)
    }
}

/// A claim that is one string or a list of them.
fn strings(claim: &Value) -> impl Iterator<Item = &str> {
    let list = claim.as_array().map_or(std::slice::from_ref(claim), Vec::as_slice);
    list.iter().filter_map(Value::as_str)
}

/// Without names and addresses: what is logged of a caller is the id.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("user_id", &self.user_id)
            .field("roles", &self.roles)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(claims: &Value) -> Result<Identity, TokenError> {
        Identity::from_claims(claims.as_object().unwrap(), None)
    }

    #[test]
    fn the_users_id_is_the_first_claim_found() {
        for (claims, id) in [
            (json!({"userId": "u", "sub": "s", "id": "i", "_id": "m"}), "u"),
            (json!({"sub": "s", "id": "i", "_id": "m"}), "s"),
            (json!({"id": "i", "_id": "m"}), "i"),
            (json!({"_id": "m"}), "m"),
            (json!({"userId": null, "sub": 42}), "42"),
        ] {
            assert_eq!(read(&claims).unwrap().user_id.as_str(), id);
        }
    }

    #[test]
    fn a_token_without_a_usable_id_is_refused() {
        for claims in [
            json!({}),
            json!({"email": "a@b"}),
            json!({"sub": ""}),
            json!({"userId": "", "sub": "s"}),
            json!({"userId": "a b", "sub": "s"}),
            json!({"userId": {"$oid": "x"}}),
            json!({"sub": -1}),
            json!({"sub": 1.5}),
        ] {
            assert_eq!(read(&claims), Err(TokenError::Invalid), "{claims}");
        }
    }

    #[test]
    fn roles_come_as_one_or_several_and_unknown_ones_do_not_count() {
        let roles = |claims: Value| {
            let mut claims = claims;
            claims["sub"] = json!("u");
            read(&claims).unwrap().roles
        };
        assert_eq!(roles(json!({"role": "buyer"})), Roles::of(Role::Buyer));
        assert_eq!(roles(json!({"roles": "admin"})), Roles::of(Role::Admin));
        let both = roles(json!({"role": "user", "roles": ["seller", "owner", 3, "Admin"]}));
        assert_eq!(both, Roles::of(Role::User).with(Role::Seller));
        assert!(roles(json!({"roles": ["root"]})).is_empty());
        assert!(roles(json!({"role": {"admin": true}})).is_empty());
        assert_eq!(serde_json::to_value(both).unwrap(), json!(["user", "seller"]));
    }

    #[test]
    fn rooms_that_are_none_are_left_out() {
        let claims = json!({"sub": "u", "rooms": ["chat-1", "a room", 7, "ops.alerts"]});
        let rooms: Vec<_> = read(&claims).unwrap().rooms.iter().map(Room::to_string).collect();
        assert_eq!(rooms, ["chat-1", "ops.alerts"]);
    }

    #[test]
    fn the_display_name_is_the_name_or_what_there_is_of_first_and_last() {
        let name = |claims| read(&claims).unwrap().display_name();
        let full =
            json!({"sub": "u", "name": "Ada L.", "firstName": "Ada", "lastName": "Lovelace"});
        assert_eq!(name(full).as_deref(), Some("Ada L."));
        let parts = json!({"sub": "u", "name": "", "firstName": "Ada", "lastName": "Lovelace"});
        assert_eq!(name(parts).as_deref(), Some("Ada Lovelace"));
        assert_eq!(name(json!({"sub": "u", "lastName": "L"})).as_deref(), Some("L"));
        assert_eq!(name(json!({"sub": "u", "name": 5})), None);
    }

    #[test]
    fn a_logged_identity_shows_no_personal_data() {
        let claims = json!({"sub": "u1", "email": "ada@example.org", "name": "Ada"});
        let shown = format!("{:?}", read(&claims).unwrap());
        assert!(shown.contains("u1"), "{shown}");
        assert!(!shown.contains("ada@") && !shown.contains("Ada"), "{shown}");
    }
}
