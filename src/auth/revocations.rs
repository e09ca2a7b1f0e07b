//! Who is shut out: revoked tokens, users whose older tokens are revoked, blocked users. It is all in
//! memory, since each handshake and each call asks; what is kept of it is the users' room's to keep.

use std::{collections::HashMap, fmt, sync::Arc};

use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use serde::{Deserialize, Serialize};

use super::{Identity, TokenError, TokenKey};
use crate::{
    clock::{Clock, Timestamp, millis},
    error::{Code, Error},
    id::Id,
};

/// Which tokens are revoked. Those that a moment revokes were issued before it; a token that does not
/// say when it was issued was issued before any.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Revoked {
    /// One token, those of an id, or those of a sign-in.
    Token(TokenKey),
    /// A user's, before a moment.
    User(Id, Older),
    /// Everyone's, before a moment.
    Everyone(Older),
}

/// Which tokens were issued before a moment. Of two each moment may be the later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Older {
    /// Before that by our clock, surely or perhaps: another maker's may be ahead.
    #[serde(with = "millis")]
    pub than: Timestamp,
    /// Before that by what they say.
    #[serde(with = "millis")]
    pub said: Timestamp,
}

impl Older {
    const BEGINNING: Timestamp = Timestamp::from_millis(0);

    /// Those that may have been there by then.
    #[must_use]
    pub const fn than(moment: Timestamp) -> Self {
        Self { than: moment, said: Self::BEGINNING }
    }

    /// Those that say that they were issued before then.
    #[must_use]
    pub const fn said(moment: Timestamp) -> Self {
        Self { than: Self::BEGINNING, said: moment }
    }

    fn is(self, identity: &Identity) -> bool {
        identity.issued_after < self.than || identity.issued_at < self.said
    }

    fn and(self, other: Self) -> Self {
        Self { than: self.than.max(other.than), said: self.said.max(other.said) }
    }
}

/// Why nobody acts for a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShutOutUser {
    /// They are blocked.
    Blocked,
    /// They are being erased.
    Leaving,
}

impl From<ShutOutUser> for Error {
    fn from(why: ShutOutUser) -> Self {
        match why {
            ShutOutUser::Blocked => TokenError::Blocked.into(),
            ShutOutUser::Leaving => {
                Self::new(Code::Forbidden, "This user is being erased.").with_reason("user_leaving")
            }
        }
    }
}

/// Who is shut out. Cheap to clone.
#[derive(Clone)]
pub struct Revocations(Arc<Inner>);

struct Inner {
    clock: Clock,
    shut_out: RwLock<ShutOut>,
}

#[derive(Default)]
struct ShutOut {
    everyone: Option<Before>,
    users: HashMap<Id, Before>,
    /// Until when each is remembered.
    tokens: HashMap<TokenKey, Timestamp>,
    /// Until when each lasts.
    blocks: HashMap<Id, Timestamp>,
    /// Who is being erased, and when that was last asked for.
    leaving: HashMap<Id, Timestamp>,
}

/// The tokens that were issued before a moment.
#[derive(Clone, Copy)]
struct Before {
    older: Older,
    /// Until when this is remembered.
    until: Timestamp,
}

impl Before {
    /// These and those of another.
    fn and(self, other: Option<Self>) -> Self {
        other.map_or(self, |other| Self {
            older: self.older.and(other.older),
            until: self.until.max(other.until),
        })
    }
}

impl Revocations {
    /// Nobody is.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self(Arc::new(Inner { clock, shut_out: RwLock::default() }))
    }

    fn read(&self) -> RwLockReadGuard<'_, ShutOut> {
        self.0.shut_out.read()
    }

    fn write(&self) -> RwLockWriteGuard<'_, ShutOut> {
        self.0.shut_out.write()
    }

    /// Whether a token's holder is let in.
    ///
    /// # Errors
    /// [`TokenError::Blocked`] and [`TokenError::Revoked`].
    pub fn check(&self, identity: &Identity) -> Result<(), TokenError> {
        let shut_out = self.read();
        if shut_out.is_blocked(&identity.user_id, &self.0.clock) {
            return Err(TokenError::Blocked);
        }
        let of_user = shut_out.users.get(&identity.user_id);
        let mut by_moment = of_user.into_iter().chain(&shut_out.everyone);
        let older = by_moment.any(|revoked| revoked.older.is(identity));
        if older || shut_out.has_ended(identity) {
            return Err(TokenError::Revoked);
        }
        Ok(())
    }

    /// Whether a user is blocked now.
    #[must_use]
    pub fn is_blocked(&self, user: &Id) -> bool {
        self.read().is_blocked(user, &self.0.clock)
    }

    /// Revokes tokens, and remembers it until none of them can hold any more.
    pub fn revoke(&self, revoked: Revoked, until: Timestamp) {
        let mut shut_out = self.write();
        match revoked {
            Revoked::Token(key) => {
                let remembered = shut_out.tokens.entry(key).or_insert(until);
                *remembered = until.max(*remembered);
            }
            Revoked::User(user, older) => {
                let before = Before { older, until };
                let before = before.and(shut_out.users.get(&user).copied());
                shut_out.users.insert(user, before);
            }
            Revoked::Everyone(older) => {
                let before = Before { older, until };
                shut_out.everyone = Some(before.and(shut_out.everyone));
            }
        }
    }

    /// Blocks a user until then, instead of until another time.
    pub fn block(&self, user: Id, until: Timestamp) {
        self.write().blocks.insert(user, until);
    }

    /// Ends a user's block.
    pub fn unblock(&self, user: &Id) {
        self.write().blocks.remove(user);
    }

    /// Whether a service may act for a user, whose tokens have no say in it.
    ///
    /// # Errors
    /// Why nobody acts for them: they are blocked, or being erased.
    pub fn check_acted_for(&self, user: &Id) -> Result<(), ShutOutUser> {
        let shut_out = self.read();
        if shut_out.is_blocked(user, &self.0.clock) {
            return Err(ShutOutUser::Blocked);
        }
        if shut_out.leaving.contains_key(user) {
            return Err(ShutOutUser::Leaving);
        }
        Ok(())
    }

    /// Notes that a user is being erased, and when somebody asked for it.
    pub fn begin_leaving(&self, user: Id, asked_at: Timestamp) {
        let mut shut_out = self.write();
        let last = shut_out.leaving.entry(user).or_insert(asked_at);
        *last = asked_at.max(*last);
    }

    /// Notes that a user is erased as was asked then, unless somebody has asked again since.
    pub fn end_leaving(&self, user: &Id, asked_at: Timestamp) {
        let leaving = &mut self.write().leaving;
        if leaving.get(user).is_some_and(|last| *last <= asked_at) {
            leaving.remove(user);
        }
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        let shut_out = self.read();
        shut_out.users.len() + shut_out.tokens.len() + shut_out.blocks.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets what has ended.
    pub fn forget_ended(&self) {
        let now = self.0.clock.now();
        let mut shut_out = self.write();
        shut_out.users.retain(|_, before| now < before.until);
        shut_out.tokens.retain(|_, until| now < *until);
        shut_out.blocks.retain(|_, until| now < *until);
        shut_out.everyone = shut_out.everyone.filter(|before| now < before.until);
    }
}

impl ShutOut {
    /// Whether a token, or the sign-in that it belongs to, has ended.
    fn has_ended(&self, identity: &Identity) -> bool {
        // The hashes are worked out where there is anything to compare them with.
        if self.tokens.is_empty() {
            return false;
        }
        let jti = identity.jti();
        let by_id = jti.map(|jti| [TokenKey::of(jti), TokenKey::of_users(&identity.user_id, jti)]);
        let session = identity.session().map(TokenKey::of_session);
        let keys =
            identity.token_key().into_iter().chain(by_id.into_iter().flatten()).chain(session);
        keys.into_iter().any(|key| self.tokens.contains_key(&key))
    }

    fn is_blocked(&self, user: &Id, clock: &Clock) -> bool {
        self.blocks.get(user).is_some_and(|until| clock.now() < *until)
    }
}

impl fmt::Debug for Revocations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revocations").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::auth::Roles;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn id(text: &str) -> Id {
        Id::new(text).unwrap()
    }

    /// Somebody whose token was issued so many milliseconds after now.
    fn issued(user: &str, after: i64) -> Identity {
        Identity::believed(id(user), Timestamp::from_millis(NOW.millis() + after))
    }

    #[test]
    fn a_user_is_shut_out_with_the_tokens_of_before() {
        let revocations = Revocations::new(Clock::manual(NOW));
        let undated = Identity::new(id("ann"), Roles::NONE);
        assert!(revocations.check(&undated).is_ok());
        revocations
            .revoke(Revoked::User(id("ann"), Older::than(NOW)), Timestamp::from_millis(i64::MAX));
        for (identity, refusal) in [
            (undated, Err(TokenError::Revoked)),
            (issued("ann", -1), Err(TokenError::Revoked)),
            (issued("ann", 0), Ok(())),
            (issued("bob", -1), Ok(())),
        ] {
            assert_eq!(revocations.check(&identity), refusal, "{identity:?}");
        }
        // What comes late takes nothing back.
        let earlier = NOW - Duration::from_secs(9);
        revocations.revoke(Revoked::User(id("ann"), Older::than(earlier)), earlier);
        assert_eq!(revocations.check(&issued("ann", -1)), Err(TokenError::Revoked));
        revocations.revoke(Revoked::Everyone(Older::than(NOW)), NOW);
        assert_eq!(revocations.check(&issued("bob", -1)), Err(TokenError::Revoked));
        assert!(revocations.check(&issued("bob", 0)).is_ok());
    }

    #[test]
    fn a_token_whose_makers_clock_may_be_ahead_is_judged_by_what_it_says_where_that_is_asked() {
        let revocations = Revocations::new(Clock::manual(NOW));
        let mut ahead = issued("ann", 2);
        ahead.issued_after = ahead.issued_at - Duration::from_millis(5);
        let until = Timestamp::from_millis(i64::MAX);
        let moment = |after: i64| Timestamp::from_millis(NOW.millis() + after);
        revocations.revoke(Revoked::User(id("ann"), Older::said(moment(2))), until);
        revocations.revoke(Revoked::User(id("ann"), Older::than(moment(-3))), until);
        assert!(revocations.check(&ahead).is_ok());
        revocations.revoke(Revoked::User(id("ann"), Older::than(moment(-2))), until);
        assert_eq!(revocations.check(&ahead), Err(TokenError::Revoked));
        assert_eq!(revocations.check(&issued("ann", 1)), Err(TokenError::Revoked));
        assert!(revocations.check(&issued("ann", 2)).is_ok());
    }

    #[test]
    fn a_users_token_of_an_id_is_not_anothers_and_one_without_is_known_by_itself() {
        let revocations = Revocations::new(Clock::manual(NOW));
        let with = |user: &str, text: &str| {
            issued(user, 0).with_jti("1").by_token(TokenKey::of_signed(text))
        };
        let until = NOW + Duration::from_mins(1);
        revocations.revoke(Revoked::Token(TokenKey::of_users(&id("ann"), "1")), until);
        assert_eq!(revocations.check(&with("ann", "a")), Err(TokenError::Revoked));
        assert!(revocations.check(&with("bob", "b")).is_ok());
        revocations.revoke(Revoked::Token(TokenKey::of_signed("b")), until);
        assert_eq!(revocations.check(&with("bob", "b")), Err(TokenError::Revoked));
        assert!(revocations.check(&with("bob", "c")).is_ok());
    }

    #[test]
    fn a_token_is_known_by_its_id_and_what_has_ended_is_forgotten() {
        let clock = Clock::manual(NOW);
        let revocations = Revocations::new(clock.clone());
        let until = NOW + Duration::from_mins(1);
        let with = |jti: &str| issued("ann", 0).with_jti(jti);
        revocations.revoke(Revoked::Token(TokenKey::of("one")), until);
        revocations.revoke(Revoked::User(id("cat"), Older::than(NOW)), until);
        revocations.block(id("bob"), until);
        assert_eq!(revocations.check(&with("one")), Err(TokenError::Revoked));
        assert!(revocations.check(&with("two")).is_ok());
        assert_eq!(revocations.check(&issued("bob", 0)), Err(TokenError::Blocked));
        revocations.forget_ended();
        assert_eq!(revocations.len(), 3);
        clock.advance(Duration::from_mins(1));
        assert!(revocations.check(&issued("bob", 0)).is_ok(), "a block ends by itself");
        revocations.forget_ended();
        assert!(revocations.is_empty());
        assert!(revocations.check(&with("one")).is_ok());
    }

    #[test]
    fn a_sign_in_ends_with_its_tokens_and_is_not_a_token_of_the_same_name() {
        let revocations = Revocations::new(Clock::manual(NOW));
        let session = |id: &str| issued("ann", 0).in_session(id);
        let token = session("two").with_jti("one");
        let until = NOW + Duration::from_mins(1);
        revocations.revoke(Revoked::Token(TokenKey::of_session("one")), until);
        assert!(revocations.check(&token).is_ok() && revocations.check(&session("two")).is_ok());
        assert_eq!(revocations.check(&session("one")), Err(TokenError::Revoked));
        revocations.revoke(Revoked::Token(TokenKey::of_session("two")), until);
        assert_eq!(revocations.check(&token), Err(TokenError::Revoked));
    }

    #[test]
    fn a_key_reads_back() {
        let key = TokenKey::of("0198c4a0");
        assert_eq!(key.to_string().len(), 32);
        assert_eq!(key.to_string().parse(), Ok(key));
        assert_ne!(key, TokenKey::of("0198c4a1"));
    }

    #[test]
    fn who_is_asked_to_be_erased_again_is_being_erased_until_that_is_done_too() {
        let revocations = Revocations::new(Clock::manual(NOW));
        let (ann, later) = (id("ann"), NOW + Duration::from_secs(1));
        for (order, again) in [([NOW, later], later), ([later, NOW], later)] {
            for asked_at in order {
                revocations.begin_leaving(ann.clone(), asked_at);
            }
            revocations.end_leaving(&ann, NOW);
            assert_eq!(revocations.check_acted_for(&ann), Err(ShutOutUser::Leaving));
            revocations.end_leaving(&ann, again);
            assert_eq!(revocations.check_acted_for(&ann), Ok(()));
        }
    }
}
