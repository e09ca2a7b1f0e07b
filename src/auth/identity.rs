//! A verified caller, read from a token's claims (docs/contract/events.md#handshake). One lives per
//! connection, so it is kept small.

use std::fmt;

use serde_json::{Map, Value};

use super::{
    TokenError, TokenKey,
    roles::{Role, RoleNames, Roles},
};
use crate::{
    clock::Timestamp,
    error::{Code, Error},
    id::Id,
    room::Room,
    text::PersonName,
};

/// Who a valid token speaks for.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// The user; `service:<name>` for an API key.
    pub user_id: Id,
    /// How the token names them and its sign-in, when it does.
    names: Option<Box<Names>>,
    /// What the caller is.
    pub roles: Roles,
    /// Rooms that the token itself allows.
    pub rooms: Box<[Room]>,
    /// When the token was issued by its maker's clock, or the sign-in that it goes on with began: before
    /// everything where it does not say so.
    pub issued_at: Timestamp,
    /// Since when it can have been there by ours: another's clock may be ahead by `auth.leeway`.
    pub issued_after: Timestamp,
    /// When the token ends; none for a token without `exp`.
    pub expires_at: Option<Timestamp>,
    /// What names the token; none for who came without one.
    token: Option<Box<TokenName>>,
}

#[derive(Clone, Default, PartialEq, Eq)]
struct TokenName {
    jti: Option<Box<str>>,
    key: Option<TokenKey>,
    /// Its claims as JSON, where somebody wants them.
    claims: Option<Box<str>>,
}

/// When a token was issued: by what it says, and by our clock at the earliest.
#[derive(Clone, Copy)]
pub(super) struct Issued {
    pub(super) at: Timestamp,
    pub(super) after: Timestamp,
}

impl Issued {
    /// At that moment by our own clock.
    pub(super) const fn exactly(at: Timestamp) -> Self {
        Self { at, after: at }
    }
}

#[derive(Clone, Default, PartialEq, Eq)]
struct Names {
    email: Option<Box<str>>,
    first: Option<PersonName>,
    last: Option<PersonName>,
    full: Option<PersonName>,
    session: Option<Box<str>>,
}

/// When a token was issued that does not say.
const UNDATED: Timestamp = Timestamp::from_millis(i64::MIN);

/// The finer name of that a service does not say for whom it does something.
const NO_PERSON: &str = "person_missing";

/// Where the user's id is looked for, first found wins.
const ID_CLAIMS: [&str; 4] = ["userId", "sub", "id", "_id"];

impl Identity {
    /// Someone of whom only the id and the roles are known.
    #[must_use]
    pub fn new(user_id: Id, roles: Roles) -> Self {
        Self {
            user_id,
            names: None,
            roles,
            rooms: Box::default(),
            issued_at: UNDATED,
            issued_after: UNDATED,
            expires_at: None,
            token: None,
        }
    }

    /// Someone who was believed at that moment, without a token.
    #[must_use]
    pub fn believed(user_id: Id, at: Timestamp) -> Self {
        Self { issued_at: at, issued_after: at, ..Self::new(user_id, Roles::NONE) }
    }

    /// The same person by a token of this sign-in.
    #[must_use]
    pub fn in_session(mut self, session: &str) -> Self {
        self.names.get_or_insert_default().session = Some(session.into());
        self
    }

    /// Reads the claims of a verified token. What only decorates (names, rooms that are none) is left
    /// out when it can't be read; the user's id must be there.
    pub(super) fn from_claims(
        claims: &Map<String, Value>,
        issued: Option<Issued>,
        expires_at: Option<Timestamp>,
        role_names: &RoleNames,
    ) -> Result<Self, TokenError> {
        let id = ID_CLAIMS.iter().filter_map(|name| claims.get(*name)).find(|id| !id.is_null());
        let user_id = id.and_then(|id| serde_json::from_value(id.clone()).ok());
        let text = |name| claims.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let rooms = claims.get("rooms").map(strings).into_iter().flatten();
        let issued = issued.unwrap_or(Issued::exactly(UNDATED));
        let names = Names {
            email: text("email").map(Into::into),
            first: text("firstName").and_then(PersonName::from_lossy),
            last: text("lastName").and_then(PersonName::from_lossy),
            full: text("name").and_then(PersonName::from_lossy),
            session: text("sid").map(Into::into),
        };
        Ok(Self {
            user_id: user_id.ok_or(TokenError::UserId)?,
            names: (names != Names::default()).then(|| Box::new(names)),
            roles: role_names.read(claims),
            rooms: rooms.filter_map(|room| room.parse().ok()).collect(),
            issued_at: issued.at,
            issued_after: issued.after,
            expires_at,
            token: text("jti")
                .map(|jti| Box::new(TokenName { jti: Some(jti.into()), ..TokenName::default() })),
        })
    }

    /// The same person by the token of which this is signed.
    #[must_use]
    pub(super) fn by_token(mut self, key: TokenKey) -> Self {
        self.token.get_or_insert_default().key = Some(key);
        self
    }

    /// The same person, with all that the token claims.
    #[must_use]
    pub(super) fn with_claims(mut self, claims: &Map<String, Value>) -> Self {
        self.token.get_or_insert_default().claims =
            serde_json::to_string(claims).ok().map(Into::into);
        self
    }

    /// The same person by a token with this id.
    #[cfg(test)]
    pub(super) fn with_jti(mut self, jti: &str) -> Self {
        self.token.get_or_insert_default().jti = Some(jti.into());
        self
    }

    /// The token's own id.
    #[must_use]
    pub fn jti(&self) -> Option<&str> {
        self.token.as_ref()?.jti.as_deref()
    }

    /// All that the token claims, as a JSON object, where [`Verifier::keep_claims`] was asked for that.
    ///
    /// [`Verifier::keep_claims`]: super::Verifier::keep_claims
    #[must_use]
    pub fn claims(&self) -> Option<&str> {
        self.token.as_ref()?.claims.as_deref()
    }

    /// The token itself, by what is signed of it; none for who came without one.
    #[must_use]
    pub fn token_key(&self) -> Option<TokenKey> {
        self.token.as_ref()?.key
    }

    /// The sign-in that the token belongs to (`sid`), with those before and after it.
    #[must_use]
    pub fn session(&self) -> Option<&str> {
        self.names.as_ref()?.session.as_deref()
    }

    /// The e-mail address the token names.
    #[must_use]
    pub fn email(&self) -> Option<&str> {
        self.names.as_ref()?.email.as_deref()
    }

    /// The given name.
    #[must_use]
    pub fn first_name(&self) -> Option<&str> {
        Some(self.names.as_ref()?.first.as_ref()?.as_str())
    }

    /// The family name.
    #[must_use]
    pub fn last_name(&self) -> Option<&str> {
        Some(self.names.as_ref()?.last.as_ref()?.as_str())
    }

    /// The full name.
    #[must_use]
    pub fn full_name(&self) -> Option<&str> {
        Some(self.names.as_ref()?.full.as_ref()?.as_str())
    }

    /// The name to show: the full name, else given and family name.
    #[must_use]
    pub fn display_name(&self) -> Option<PersonName> {
        let full = self.names.as_ref().and_then(|names| names.full.clone());
        full.or_else(|| match (self.first_name(), self.last_name()) {
            (Some(first), Some(last)) => PersonName::from_lossy(&format!("{first} {last}")),
            (one, other) => one.or(other).and_then(PersonName::from_lossy),
        })
    }

    /// Whether it gives every right that another gives by itself.
    #[must_use]
    pub fn gives_all_of(&self, other: &Self) -> bool {
        self.roles == other.roles && other.rooms.iter().all(|room| self.rooms.contains(room))
    }

    /// Whether the caller buys or sells: with the role, or with no role at all, as the apps' older
    /// tokens (docs/contract/events.md#who-may-enter-a-room).
    #[must_use]
    pub const fn trades_as(&self, role: Role) -> bool {
        self.roles.is_empty() || self.has(role)
    }

    /// Refuses a service that does in its own name what a person does.
    ///
    /// # Errors
    /// [`Code::InvalidPayload`].
    pub fn ensure_person(&self) -> Result<(), Error> {
        if self.has(Role::Service) {
            let sentence = "A service names the user for whom it does this, in X-Act-As.";
            return Err(Error::new(Code::InvalidPayload, sentence).with_reason(NO_PERSON));
        }
        Ok(())
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
        Identity::from_claims(claims.as_object().unwrap(), None, None, &RoleNames::default())
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
            json!({"sub": true}),
            json!({"sub": -1}),
            json!({"sub": 1.5}),
            json!({"sub": "a\n"}),
        ] {
            assert_eq!(read(&claims), Err(TokenError::UserId), "{claims}");
        }
    }

    #[test]
    fn rooms_that_are_none_are_left_out() {
        let claims = json!({"sub": "u", "rooms": ["chat-1", "a room", 7, "ops.alerts"]});
        let rooms: Vec<_> = read(&claims).unwrap().rooms.iter().map(Room::to_string).collect();
        assert_eq!(rooms, ["chat-1", "ops.alerts"]);
    }

    #[test]
    fn the_display_name_is_the_name_or_what_there_is_of_first_and_last() {
        let name = |claims: Value| {
            let name = read(&claims).unwrap().display_name();
            name.map(|name| name.as_str().to_owned())
        };
        let full =
            json!({"sub": "u", "name": "Ada L.", "firstName": "Ada", "lastName": "Lovelace"});
        assert_eq!(name(full).as_deref(), Some("Ada L."));
        let parts = json!({"sub": "u", "name": "", "firstName": "Ada", "lastName": "Lovelace"});
        assert_eq!(name(parts).as_deref(), Some("Ada Lovelace"));
        assert_eq!(name(json!({"sub": "u", "lastName": "L"})).as_deref(), Some("L"));
        assert_eq!(name(json!({"sub": "u", "name": 5})), None);
        let long = json!({"sub": "u", "firstName": "é".repeat(3000), "lastName": "Lovelace"});
        assert_eq!(name(long), Some("é".repeat(100)));
    }

    #[test]
    fn a_logged_identity_shows_no_personal_data() {
        let claims = json!({"sub": "u1", "email": "ada@example.org", "name": "Ada"});
        let shown = format!("{:?}", read(&claims).unwrap());
        assert!(shown.contains("u1"), "{shown}");
        assert!(!shown.contains("ada@") && !shown.contains("Ada"), "{shown}");
    }
}
