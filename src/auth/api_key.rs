//! API keys of backend services, from `API_KEYS`: `name:sha256hex[:scopes]` entries. Only the
//! keys' hashes are configured; a key is random, so a plain hash of it is enough.
//!
//! Scopes are items joined by `+`. `event=<prefix>` and `room=<prefix>`, as in
//! `event=payment-+room=user-`, narrow a key to some of what it may emit; without them it may do whatever
//! a service may. `act` lets it act for users, which no key may without.

use std::{fmt, sync::Arc};

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{Identity, Role, Roles, SetupError};
use crate::{id::Id, room::Room};

/// What a key may emit. An empty list narrows nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes {
    events: Box<[Box<str>]>,
    rooms: Box<[Box<str>]>,
}

impl Scopes {
    /// Whether an event may be sent to a room; `None` is everyone, which a key narrowed to some
    /// rooms may not address.
    #[must_use]
    pub fn allow(&self, event: &str, room: Option<&Room>) -> bool {
        let begins = |text: &str, prefixes: &[Box<str>]| {
            prefixes.is_empty() || prefixes.iter().any(|prefix| text.starts_with(&**prefix))
        };
        let to_room =
            room.map_or(self.rooms.is_empty(), |room| begins(&room.to_string(), &self.rooms));
        to_room && begins(event, &self.events)
    }

    /// Reads `event=<prefix>+room=<prefix>+act`: what narrows, and whether the key may act for users.
    fn parse(text: &str) -> Option<(Self, bool)> {
        let (mut events, mut rooms, mut may_act) = (Vec::new(), Vec::new(), false);
        for item in text.split('+') {
            match item.trim().split_once('=').unwrap_or((item.trim(), "")) {
                ("act", "") if item.trim() == "act" => may_act = true,
                // An empty prefix would be a scope that narrows nothing.
                (_, "") => return None,
                ("event", prefix) => events.push(prefix.into()),
                ("room", prefix) => rooms.push(prefix.into()),
                _ => return None,
            }
        }
        Some((Self { events: events.into(), rooms: rooms.into() }, may_act))
    }

    /// Whether they narrow anything.
    const fn is_empty(&self) -> bool {
        self.events.is_empty() && self.rooms.is_empty()
    }
}

/// As it is configured.
impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let events = self.events.iter().map(|prefix| ("event", prefix));
        let rooms = self.rooms.iter().map(|prefix| ("room", prefix));
        for (n, (name, prefix)) in events.chain(rooms).enumerate() {
            write!(f, "{}{name}={prefix}", if n == 0 { "" } else { "+" })?;
        }
        Ok(())
    }
}

/// One configured key.
pub struct ApiKey {
    hash: [u8; 32],
    /// Whom the key speaks for: `service:<name>`, with the role `service`.
    pub identity: Arc<Identity>,
    /// What the key is narrowed to, if it is.
    pub scopes: Option<Arc<Scopes>>,
    /// Whether the key may act for users.
    pub may_act: bool,
}

/// Without the hash.
impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey")
            .field("identity", &self.identity)
            .field("scopes", &self.scopes)
            .field("may_act", &self.may_act)
            .finish_non_exhaustive()
    }
}

/// The configured keys.
#[derive(Debug, Default)]
pub struct ApiKeys(Box<[ApiKey]>);

impl ApiKeys {
    /// Reads the entries of `API_KEYS`.
    ///
    /// # Errors
    /// [`SetupError`] names the entry by its number, since its text may hold a key by mistake.
    pub fn new(entries: &[String]) -> Result<Self, SetupError> {
        let mut keys: Vec<ApiKey> = Vec::with_capacity(entries.len());
        for (index, entry) in entries.iter().enumerate() {
            let key = parse(entry.trim()).and_then(|key| {
                let twice = keys.iter().any(|other| other.hash == key.hash);
                if twice { Err("has the hash of an earlier one") } else { Ok(key) }
            });
            keys.push(key.map_err(|problem| {
                SetupError::new("API_KEYS", format!("entry {} {problem}", index + 1))
            })?);
        }
        Ok(Self(keys.into()))
    }

    /// The key that was presented. Every entry is compared, in constant time each, so that the
    /// time taken tells nothing.
    #[must_use]
    pub fn find(&self, presented: &str) -> Option<&ApiKey> {
        let hash: [u8; 32] = Sha256::digest(presented).into();
        self.0.iter().fold(
            None,
            |found, key| {
                if bool::from(key.hash.ct_eq(&hash)) { Some(key) } else { found }
            },
        )
    }
}

/// Reads `name:sha256hex[:scopes]`; scopes may hold colons (`room=conversation:`).
fn parse(entry: &str) -> Result<ApiKey, &'static str> {
    let mut parts = entry.splitn(3, ':');
    let name = parts.next().unwrap_or_default();
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_.@-".contains(&b);
    let named = !name.is_empty() && name.bytes().all(plain);
    let user_id = named.then(|| Id::new(&format!("service:{name}")).ok()).flatten();
    let user_id = user_id.ok_or("needs a name of the characters [A-Za-z0-9_.@-]")?;
    let mut hash = [0; 32];
    hex::decode_to_slice(parts.next().unwrap_or_default(), &mut hash)
        .map_err(|_| "needs the key's SHA-256 as 64 hex digits after its name")?;
    let scopes = parts.next().map(|scopes| {
        Scopes::parse(scopes).ok_or("has scopes that are not event=<prefix>+room=<prefix>+act")
    });
    let (scopes, may_act) = scopes.transpose()?.unwrap_or_default();
    Ok(ApiKey {
        hash,
        identity: Arc::new(Identity::new(user_id, Roles::of(Role::Service))),
        scopes: (!scopes.is_empty()).then(|| Arc::new(scopes)),
        may_act,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(key: &str) -> String {
        hex::encode(Sha256::digest(key))
    }

    fn keys(entries: &[String]) -> ApiKeys {
        ApiKeys::new(entries).unwrap()
    }

    #[test]
    fn a_key_is_found_by_its_hash_alone() {
        let keys = keys(&[
            format!("orders:{}", hash("one")),
            format!("payments:{}", hash("two").to_uppercase()),
            format!("payments:{}", hash("rotated")),
        ]);
        let name = |key| keys.find(key).map(|key| key.identity.user_id.to_string());
        assert_eq!(name("one").as_deref(), Some("service:orders"));
        assert_eq!(name("two").as_deref(), Some("service:payments"));
        assert_eq!(name("rotated").as_deref(), Some("service:payments"));
        assert_eq!(name("three"), None);
        assert_eq!(name(""), None);
        assert_eq!(name(&hash("one")), None);
        assert!(keys.find("one").unwrap().identity.has(Role::Service));
    }

    #[test]
    fn a_bad_entry_is_named_by_its_place_and_not_repeated() {
        let good = format!("orders:{}", hash("one"));
        for (bad, problem) in [
            ("", "name"),
            (":00", "name"),
            ("a b:00", "name"),
            ("payments", "64 hex digits"),
            ("payments:my-plain-key", "64 hex digits"),
            (&format!("payments:{}", hash("one")), "earlier"),
            (&format!("payments:{}:", hash("two")), "scopes"),
            (&format!("payments:{}:payment-", hash("two")), "scopes"),
            (&format!("payments:{}:event=", hash("two")), "scopes"),
            (&format!("payments:{}:event=a+topic=b", hash("two")), "scopes"),
            (&format!("payments:{}:act=", hash("two")), "scopes"),
            (&format!("payments:{}:act+", hash("two")), "scopes"),
            (&format!("payments:{}:acts", hash("two")), "scopes"),
        ] {
            let error = ApiKeys::new(&[good.clone(), bad.to_owned()]).unwrap_err().to_string();
            assert!(error.starts_with("API_KEYS: entry 2 "), "{error}");
            assert!(error.contains(problem), "{bad:?}: {error}");
            assert!(!error.contains("my-plain-key"), "{error}");
        }
    }

    #[test]
    fn scopes_narrow_events_and_rooms_by_prefix() {
        let room = |name: &str| Some(name.parse::<Room>().unwrap());
        let scopes = |text| Scopes::parse(text).unwrap().0;
        for (text, event, to, allowed) in [
            ("event=payment-+room=user-", "payment-update", room("user-1"), true),
            ("event=payment-+room=user-", "new-offer", room("user-1"), false),
            ("event=payment-+room=user-", "payment-update", room("sellers"), false),
            ("event=payment-+room=user-", "payment-update", None, false),
            ("event=payment-", "payment-update", None, true),
            ("event=payment-", "payment-update", room("sellers"), true),
            ("room=conversation:+room=chat-", "anything", room("conversation:1"), true),
            ("room=conversation:+room=chat-", "anything", room("chat-1"), true),
            ("room=conversation:+room=chat-", "anything", room("request-1"), false),
        ] {
            assert_eq!(scopes(text).allow(event, to.as_ref()), allowed, "{text} {event} {to:?}");
        }
        let keys = keys(&[format!("chat:{}:room=conversation:+event=message:", hash("k"))]);
        let scopes = keys.find("k").unwrap().scopes.clone().unwrap();
        assert!(scopes.allow("message:new", room("conversation:1").as_ref()));
    }

    #[test]
    fn the_scope_act_narrows_nothing_and_no_other_gives_it() {
        for (scopes, narrowed, may_act) in [
            ("", false, false),
            (":act", false, true),
            (":event=payment-", true, false),
            (":event=payment-+act", true, true),
            (":act+room=user-", true, true),
            (":room=act", true, false),
        ] {
            let keys = keys(&[format!("orders:{}{scopes}", hash("k"))]);
            let key = keys.find("k").unwrap();
            assert_eq!((key.scopes.is_some(), key.may_act), (narrowed, may_act), "{scopes}");
        }
    }
}
