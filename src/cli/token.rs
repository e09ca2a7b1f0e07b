//! `stoa token`: a token without a login, for trying things out and for backend services.

use std::time::Duration;

use anyhow::{Context, Result};
use stoa::{
    auth::{Minter, NewToken, Role},
    clock::Clock,
    config::Config,
    id::Id,
    room::Room,
};

use super::output::say;

#[derive(clap::Args)]
pub struct Args {
    /// Whom the token speaks for
    #[arg(long, value_name = "ID")]
    user: Id,
    /// What they are: user, buyer, seller, admin or service; may be repeated
    #[arg(long = "role", value_name = "ROLE", value_parser = role)]
    roles: Vec<Role>,
    /// A room that the token itself lets them into; may be repeated
    #[arg(long = "room", value_name = "ROOM")]
    rooms: Vec<Room>,
    /// How long it is valid
    #[arg(long, default_value = "1h", value_parser = ttl)]
    ttl: Duration,
}

fn role(name: &str) -> Result<Role, String> {
    Role::from_name(name)
        .ok_or_else(|| format!("one of {}", Role::ALL.map(Role::as_str).join(", ")))
}

fn ttl(text: &str) -> Result<Duration, String> {
    let ttl = humantime_serde::re::humantime::parse_duration(text).map_err(|e| e.to_string())?;
    if ttl < Duration::from_secs(1) { Err("at least 1s".to_owned()) } else { Ok(ttl) }
}

/// Prints the token alone.
pub fn run(args: &Args, config: Config) -> Result<()> {
    let mut token =
        NewToken::new(args.user.clone(), args.roles.iter().copied().collect(), args.ttl);
    token.rooms.clone_from(&args.rooms);
    say(mint(&minter(config)?, &token)?)
}

/// What signs tokens as the server would: with its key, for its issuer and audience.
pub(super) fn minter(mut config: Config) -> Result<Minter> {
    config.find_key()?;
    Minter::configured(&config.auth)?
        .context("tokens are signed with JWT_SECRET, and only a public key is configured")
}

pub(super) fn mint(minter: &Minter, token: &NewToken) -> Result<String> {
    Ok(minter.mint(token, Clock::system().now())?)
}
