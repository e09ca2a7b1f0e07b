//! What a caller may be, and how that is read from a token's claims
//! (docs/contract/events.md#handshake).

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
};

use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::SetupError;

// The discriminant is the role's bit in `Roles`.
/// What a caller may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
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

/// A set of roles, and whether it was given one more that is not known here. On the wire a list of
/// the names of those that are.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Roles(u8);

impl Roles {
    /// No role.
    pub const NONE: Self = Self(0);

    /// A role that is not known here: one without rights, and not the same as none.
    pub const UNKNOWN: Self = Self(1 << 7);

    /// A set of one.
    #[must_use]
    pub const fn of(role: Role) -> Self {
        Self(1 << role as u8)
    }

    /// The set and one more.
    #[must_use]
    pub const fn with(self, role: Role) -> Self {
        self.and(Self::of(role))
    }

    /// The set and another.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the set has it.
    #[must_use]
    pub const fn contains(self, role: Role) -> bool {
        self.0 & 1 << role as u8 != 0
    }

    /// Whether there is none, not even one that is not known.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The roles that are known, in the order of [`Role::ALL`].
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

/// An app's own words for roles (`auth.role_names`). They win over the names of this server's.
#[derive(Clone, Debug, Default)]
pub(super) struct RoleNames(HashMap<String, Roles>);

impl RoleNames {
    /// Reads the setting.
    ///
    /// # Errors
    /// [`SetupError`] when a word is empty or stands for something else than roles.
    pub(super) fn new(names: &BTreeMap<String, String>) -> Result<Self, SetupError> {
        let invalid = |problem| SetupError::new("auth.role_names", problem);
        let read = |(word, roles): (&String, &String)| {
            let (word, several) = (plain(word), roles.split('+').map(str::trim));
            let roles = several.map(|name| {
                let all = Role::ALL.map(Role::as_str).join(", ");
                let problem = || invalid(format!("`{name}` is none of {all}"));
                Role::from_name(name).ok_or_else(problem)
            });
            if word.is_empty() {
                return Err(invalid("a word for a role has at least one letter".to_owned()));
            }
            Ok((word, roles.collect::<Result<Roles, _>>()?))
        };
        names.iter().map(read).collect::<Result<_, _>>().map(Self)
    }

    /// The roles that claims name in `role` or `roles`: a word or a list of them. Null and an empty
    /// list name none. Whatever else is there and is no role is one without rights.
    pub(super) fn read(&self, claims: &Map<String, Value>) -> Roles {
        let claims = ["role", "roles"].into_iter().filter_map(|name| claims.get(name));
        claims.fold(Roles::NONE, |roles, claim| roles.and(self.of_claim(claim)))
    }

    fn of_claim(&self, claim: &Value) -> Roles {
        match claim {
            Value::Null => Roles::NONE,
            Value::Array(words) => {
                words.iter().fold(Roles::NONE, |roles, word| roles.and(self.of_word(word.as_str())))
            }
            word => self.of_word(word.as_str()),
        }
    }

    /// The roles of one word; what is no text is one without rights.
    pub(super) fn of_word(&self, word: Option<&str>) -> Roles {
        let Some(word) = word.map(plain) else { return Roles::UNKNOWN };
        let own = self.0.get(&word).copied();
        own.or_else(|| Role::from_name(&word).map(Roles::of)).unwrap_or(Roles::UNKNOWN)
    }
}

/// A word without what does not matter: its case, and a `ROLE_` in front.
fn plain(word: &str) -> String {
    let word = word.to_lowercase();
    word.strip_prefix("role_").map(str::to_owned).unwrap_or(word)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn names(names: &[(&str, &str)]) -> Result<RoleNames, SetupError> {
        let names = names.iter().map(|(word, roles)| ((*word).to_owned(), (*roles).to_owned()));
        RoleNames::new(&names.collect())
    }

    #[test]
    fn roles_come_as_one_or_several_in_any_case() {
        let names = names(&[("vendor", "seller"), ("ROLE_Member", "buyer + seller")]).unwrap();
        let (buyer, seller) = (Roles::of(Role::Buyer), Roles::of(Role::Seller));
        for (claims, roles) in [
            (json!({}), Roles::NONE),
            (json!({ "role": null, "roles": [] }), Roles::NONE),
            (json!({ "role": "Buyer" }), buyer),
            (json!({ "role": "buyer", "roles": ["ROLE_SELLER"] }), buyer.and(seller)),
            (json!({ "roles": "role_vendor" }), seller),
            (json!({ "roles": ["member"] }), buyer.and(seller)),
            (json!({ "role": "banned" }), Roles::UNKNOWN),
            (json!({ "role": ["seller", 3] }), seller.and(Roles::UNKNOWN)),
            (json!({ "role": { "admin": true } }), Roles::UNKNOWN),
        ] {
            let read = names.read(claims.as_object().unwrap());
            assert!(read == roles, "{claims}: {read:?}");
        }
        let shown = serde_json::to_value(seller.and(Roles::UNKNOWN)).unwrap();
        assert_eq!(shown, json!(["seller"]));
        assert!(!Roles::UNKNOWN.is_empty());
    }

    #[test]
    fn a_word_for_what_is_no_role_stops_the_start() {
        for (word, roles, problem) in [
            ("vendor", "sellers", "auth.role_names: `sellers` is none of user, buyer"),
            ("vendor", "seller+", "auth.role_names: `` is none of"),
            ("role_", "seller", "auth.role_names: a word for a role has"),
        ] {
            let error = names(&[(word, roles)]).unwrap_err().to_string();
            assert!(error.starts_with(problem), "{error}");
        }
    }
}
