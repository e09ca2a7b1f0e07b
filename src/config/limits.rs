//! `[limits]`: rates and caps.

use garde::Validate;
use serde::{Deserialize, Serialize};

/// `[limits]`
#[derive(Clone, Debug, Serialize, Deserialize, Validate)]
#[garde(allow_unvalidated)]
pub struct LimitsConfig {
    /// `LIMITS`: `off` lifts rates and per-address caps; sizes stay.
    pub enabled: bool,
    /// Sockets of one address that have not shown a valid token yet.
    #[garde(range(min = 1))]
    pub unauthenticated_per_address: usize,
    /// Open connections of one address.
    #[garde(range(min = 1))]
    pub connections_per_address: usize,
    /// TCP connections of one peer that are no websocket; trusted proxies have as many as they like.
    #[garde(range(min = 1))]
    pub http_connections_per_address: usize,
    /// Open connections of one user, in all namespaces.
    #[garde(range(min = 1))]
    pub connections_per_user: u32,
    /// Joins and leaves of one connection.
    #[garde(dive)]
    pub joins: Rate,
    /// Joins and leaves of one user, over all of their connections.
    #[garde(dive)]
    pub user_joins: Rate,
    /// Typing events of one connection, and once more of one user.
    #[garde(dive)]
    pub typing: Rate,
    /// Messages of one connection.
    #[garde(dive)]
    pub messages: Rate,
    /// New tokens of one connection.
    #[garde(dive)]
    pub refreshes: Rate,
    /// Everything else of one connection.
    #[garde(dive)]
    pub other: Rate,
    /// Invoices that the payment provider is asked for, for one buyer.
    #[garde(dive)]
    pub invoices: RatePerMinute,
    /// Payouts that one caller begins.
    #[garde(dive)]
    pub payouts: RatePerMinute,
    /// Passwords that one address tries for one account.
    #[garde(dive)]
    pub logins: RatePerMinute,
    /// Passwords that are tried for one account, from wherever.
    #[garde(dive)]
    pub account_logins: RatePerMinute,
    /// Passwords that one address tries, for whichever account.
    #[garde(dive)]
    pub address_logins: RatePerMinute,
    /// Accounts that one address makes.
    #[garde(dive)]
    pub registrations: RatePerMinute,
    /// Tokens for a new password, for one account.
    #[garde(dive)]
    pub password_resets: RatePerMinute,
    /// Offers that may wait for a decision on one purchase request.
    #[garde(range(min = 1))]
    pub offers_per_request: u32,
    /// What one user changes over REST.
    #[garde(dive)]
    pub rest_writes: Rate,
    /// What one user reads over REST.
    #[garde(dive)]
    pub rest_reads: Rate,
    /// Whatever one backend service or admin asks over REST.
    #[garde(dive)]
    pub rest_operators: Rate,
    /// Whatever backend services ask over REST for one user.
    #[garde(dive)]
    pub rest_acting: Rate,
    /// Whatever one address asks over REST without valid credentials.
    #[garde(dive)]
    pub rest_strangers: Rate,
    /// Reactions of one user to one message.
    #[garde(range(min = 1))]
    pub reactions_per_user: u32,
    /// Different reactions to one message.
    #[garde(range(min = 1))]
    pub reaction_kinds: u32,
    /// Packets of one transport that are no event within its rate.
    #[garde(dive)]
    pub packets: Rate,
}

/// A token bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Validate)]
pub struct Rate {
    /// Refilled each second.
    #[garde(range(min = 1))]
    pub per_second: u32,
    /// Held at most.
    #[garde(range(min = 1))]
    pub burst: u32,
}

/// A token bucket that fills slowly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Validate)]
pub struct RatePerMinute {
    /// Refilled each minute.
    #[garde(range(min = 1))]
    pub per_minute: u32,
    /// Held at most.
    #[garde(range(min = 1))]
    pub burst: u32,
}
