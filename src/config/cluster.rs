//! `[cluster]`: the other nodes.
#![expect(clippy::trivially_copy_pass_by_ref, reason = "garde gives its context by reference")]

use garde::Validate;
use redis::IntoConnectionInfo as _;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::{
    notation,
    rules::{UNCERTAIN, has_certain_parts, require},
};

/// `[cluster]`
#[derive(Clone, Debug, Serialize, Deserialize, Validate)]
#[garde(allow_unvalidated)]
pub struct ClusterConfig {
    /// `REDIS_URL`: `redis://…` or `rediss://…`; unset leaves this node alone.
    #[serde(serialize_with = "notation::hidden")]
    #[garde(inner(custom(server_url)))]
    pub redis_url: Option<SecretString>,
    /// `REDIS_CA`: the path of a PEM file; who certified Redis, in place of whom this machine trusts.
    pub redis_ca: Option<String>,
    /// What the names of all channels and keys begin with.
    #[garde(custom(plain))]
    pub prefix: String,
}

/// A URL that the client of Redis can use; it is never shown.
fn server_url(url: &SecretString, (): &()) -> garde::Result {
    let url = url.expose_secret();
    let is_ours = ["redis://", "rediss://"].iter().any(|scheme| url.starts_with(scheme));
    require(!is_ours || has_certain_parts(url), UNCERTAIN)?;
    // Behind a # there may be that certificates are not to be verified.
    let is_whole = !url.contains('#') && url.into_connection_info().is_ok();
    require(
        is_ours && is_whole,
        "is not redis://[user:password@]host[:port][/number], nor rediss:// for TLS",
    )
}

fn plain(prefix: &str, (): &()) -> garde::Result {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
    require(
        (1..=32).contains(&prefix.len()) && prefix.chars().all(is_plain),
        "has to be 1–32 letters, digits and -_.: such as stoa",
    )
}
