//! The playground of the first minute: three users without any right, as whom a developer sees events
//! arrive. They exist where the server made its own secret, so that their tokens are good nowhere else;
//! there anyone may sign up as well.

use std::time::Duration;

use super::documents::{Player, Playground};
use crate::{
    auth::{Minter, NewToken, Roles, SetupError},
    clock::Timestamp,
    config::{Config, Environment},
    error::{Error, Result},
    id::Id,
};

/// How long the tokens are valid.
const TTL: Duration = Duration::from_hours(12);

/// The id and the name of each: who speaks the conversation dialect, who the marketplace's, and who
/// writes to them.
const PLAYERS: [(&str, &str); 3] =
    [("playground-ann", "Ann"), ("playground-bob", "Bob"), ("playground-you", "You")];

/// None where the secret is not the server's own.
pub(super) fn minter(config: &Config) -> Option<Result<Minter, SetupError>> {
    let is_own =
        config.environment == Environment::Development && config.development_secret.is_some();
    let minter = is_own.then(|| Minter::configured(&config.auth))?;
    minter.transpose()
}

/// The players, with a token each.
pub(super) fn open(minter: &Minter, now: Timestamp) -> Result<Playground> {
    let player = |(id, name): (&str, &str)| -> Result<Player> {
        let user_id = Id::new(id).map_err(Error::internal)?;
        let mut token = NewToken::new(user_id.clone(), Roles::default(), TTL);
        token.first_name = Some(name.to_owned());
        Ok(Player { user_id, token: minter.mint(&token, now)? })
    };
    let [ann, bob, you] = PLAYERS.map(player);
    Ok(Playground { ann: ann?, bob: bob?, you: you? })
}
