//! What the start of a development server shows: where to look, and what lets one in. Not by way of the
//! log, which never has a token.

use std::{
    io::{Write, stderr},
    time::Duration,
};

use super::server::App;
use crate::{
    auth::{Minter, NewToken, Role, Roles},
    clock::Clock,
    config::{AuthConfig, DevelopmentSecret},
    id::Id,
};

/// How long the token lasts.
const TOKEN_LIFE: Duration = Duration::from_hours(12);

/// Greets whoever started it; `secret` is there where the server made its own.
///
/// # Errors
/// When no token can be made.
pub(super) fn greet(
    app: &App,
    secret: Option<&DevelopmentSecret>,
    auth: &AuthConfig,
    clock: &Clock,
) -> anyhow::Result<()> {
    let url = format!("http://localhost:{}", app.address().port());
    let by = match app.login_code() {
        Some(code) => format!("from this machine, once, with the code {code}"),
        None => "with a token: stoa token --user <you> --role admin --role service".to_owned(),
    };
    let mut lines = vec![
        format!("Stoa {} listens at {url}/", env!("CARGO_PKG_VERSION")),
        format!("  console    {url}/console lets you in {by}"),
        format!("  documents  {url}/api/docs, {url}/api/docs/events"),
    ];
    if let Some(secret) = secret
        && let Some(minter) = Minter::configured(auth)?
    {
        let roles: Roles =
            [Role::User, Role::Buyer, Role::Seller, Role::Admin].into_iter().collect();
        let token = minter.mint(&NewToken::new(Id::new("dev")?, roles, TOKEN_LIFE), clock.now())?;
        lines.push(format!("  secret     {}, for development", secret.path.display()));
        lines.push(format!("  token      of user dev, for 12 hours: {token}"));
    }
    // Who can't be told has the log.
    let _ = writeln!(stderr(), "{}", lines.join("\n"));
    Ok(())
}
