//! `[accounts]`: whether people sign up and sign in here, and what that costs.
#![expect(clippy::trivially_copy_pass_by_ref, reason = "garde gives its context by reference")]

use std::time::Duration;

use garde::{Error, Path, Report, Validate};
use serde::{Deserialize, Serialize};

use super::{auth::AuthConfig, rules::require, users::UsersConfig};

/// Roles that people may be let give themselves; what operates is given by an operator.
const SELF_ROLES: [&str; 3] = ["user", "buyer", "seller"];

/// `[accounts]`
#[derive(Clone, Debug, Serialize, Deserialize, Validate)]
#[garde(allow_unvalidated)]
pub struct AccountsConfig {
    /// `ACCOUNTS`
    pub mode: AccountsMode,
    /// Roles that people may give themselves.
    #[garde(inner(custom(self_role)))]
    pub self_roles: Vec<String>,
    /// The role of who gives themselves none.
    #[garde(inner(custom(self_role)))]
    pub default_role: Option<String>,
    /// How long an access token is valid; whole seconds count.
    #[serde(with = "humantime_serde")]
    #[garde(custom(at_least_a_second))]
    pub access_ttl: Duration,
    /// How long a refresh token is valid.
    #[serde(with = "humantime_serde")]
    #[garde(custom(at_least_a_second))]
    pub refresh_ttl: Duration,
    /// How long a token is valid that sets a new password.
    #[serde(with = "humantime_serde")]
    #[garde(custom(at_least_a_second))]
    pub reset_ttl: Duration,
    /// Sign-ins of one account that can be refreshed.
    #[garde(range(min = 1))]
    pub sign_ins: u32,
    /// What a password's hash costs.
    #[garde(dive)]
    pub argon2: Argon2Config,
    /// Passwords that are hashed at once; 0 takes half of the cores, and one at least.
    pub hashes_at_once: usize,
    /// Passwords that may wait for that.
    pub hashes_waiting: usize,
    /// How long one may wait.
    #[serde(with = "humantime_serde")]
    #[garde(custom(at_least_a_second))]
    pub hash_patience: Duration,
}

/// The parameters of Argon2id (RFC 9106).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Validate)]
#[garde(allow_unvalidated)]
pub struct Argon2Config {
    /// KiB of memory.
    #[garde(range(min = 8, max = 4_194_304), custom(eight_each(self.lanes)))]
    pub memory_kib: u32,
    /// Passes over it.
    #[garde(range(min = 1, max = 1000))]
    pub passes: u32,
    /// Lanes.
    #[garde(range(min = 1, max = 255))]
    pub lanes: u32,
}

/// `ACCOUNTS`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AccountsMode {
    /// On where this installation made its own development secret: where no other app signs tokens.
    Auto,
    /// People sign up and sign in here.
    On,
    /// They do not.
    Off,
}

impl AccountsConfig {
    /// Notes what does not go together, in this section and with those that it leans on.
    pub(super) fn check(&self, auth: &AuthConfig, users: &UsersConfig, report: &mut Report) {
        let mut refuse = |key: &str, sentence: &str| {
            report.append(Path::new("accounts").join(key), Error::new(sentence));
        };
        if self.mode == AccountsMode::On && auth.jwt_secret.is_none() && auth.has_key() {
            refuse(
                "mode",
                "accounts need a secret to sign tokens with, and there are only keys to verify \
                 them: set JWT_SECRET, or ACCOUNTS=off",
            );
        }
        if self.refresh_ttl < self.access_ttl {
            refuse("refresh_ttl", "has to be as long as accounts.access_ttl, at least");
        }
        if users.revocation_life < self.refresh_ttl {
            refuse(
                "refresh_ttl",
                "is longer than users.revocation_life: a refresh token that was revoked would serve again",
            );
        }
        let gives_itself = |role: &String| self.self_roles.contains(role);
        if !self.default_role.as_ref().is_none_or(gives_itself) {
            refuse("default_role", "has to be one of accounts.self_roles");
        }
    }
}

fn self_role(role: &str, (): &()) -> garde::Result {
    require(
        SELF_ROLES.contains(&role),
        "is none of user, buyer and seller: nobody makes themselves more",
    )
}

/// Tokens count whole seconds.
fn at_least_a_second(duration: &Duration, (): &()) -> garde::Result {
    require(*duration >= Duration::from_secs(1), "has to be at least 1s")
}

/// Each lane takes 8 KiB.
fn eight_each(lanes: u32) -> impl Fn(&u32, &()) -> garde::Result {
    move |memory, ()| {
        require(*memory >= lanes.saturating_mul(8), "has to be at least 8 for each lane")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, DevelopmentSecret, Flags, load};

    #[test]
    fn accounts_are_on_where_it_is_said_or_where_the_secret_is_our_own() {
        let mut config = Config::for_tests();
        assert!(!config.has_accounts(), "beside a secret that somebody gave");
        config.development_secret = Some(DevelopmentSecret { path: "x".into(), made: false });
        assert!(config.has_accounts());
        config.accounts.mode = AccountsMode::Off;
        assert!(!config.has_accounts());
        let set = |value: &str| {
            let set = [("ACCOUNTS".to_owned(), value.to_owned())];
            load(&Flags::default(), set).map(|loaded| loaded.config.accounts.mode)
        };
        assert_eq!(set("on").unwrap(), AccountsMode::On);
        assert_eq!(set("off").unwrap(), AccountsMode::Off);
        assert!(set("yes").unwrap_err().to_string().contains("accounts.mode (from ACCOUNTS)"));
    }

    #[test]
    fn what_accounts_can_not_be_is_refused() {
        type Spoil = fn(&mut Config);
        let cases: [(&str, Spoil); 9] = [
            ("accounts.mode", |c| {
                c.accounts.mode = AccountsMode::On;
                (c.auth.jwt_secret, c.auth.jwt_jwks) = (None, Some("jwks.json".to_owned()));
            }),
            ("accounts.self_roles[0]", |c| {
                c.accounts.self_roles = vec!["admin".to_owned(), "user".to_owned()];
            }),
            ("accounts.default_role", |c| c.accounts.self_roles = vec!["buyer".to_owned()]),
            ("accounts.access_ttl", |c| c.accounts.access_ttl = Duration::from_millis(999)),
            ("accounts.refresh_ttl", |c| c.accounts.refresh_ttl = Duration::from_mins(1)),
            ("accounts.refresh_ttl", |c| c.accounts.refresh_ttl = Duration::from_hours(24 * 500)),
            ("accounts.sign_ins", |c| c.accounts.sign_ins = 0),
            ("accounts.argon2.memory_kib", |c| {
                (c.accounts.argon2.memory_kib, c.accounts.argon2.lanes) = (15, 2);
            }),
            ("accounts.argon2.passes", |c| c.accounts.argon2.passes = 0),
        ];
        for (key, spoil) in cases {
            let mut config = Config::for_tests();
            spoil(&mut config);
            let report = config.validate().unwrap_err();
            let keys: Vec<_> = report.iter().map(|(path, _)| path.to_string()).collect();
            assert_eq!(keys, [key]);
        }
    }
}
