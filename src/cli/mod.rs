//! The verbs of the command line, one a file. What they say goes to stdout, and what is said about
//! it to stderr, so that the output can be piped.

mod backup;
mod check_config;
mod completions;
mod disconnect;
mod doctor;
mod emit;
mod events;
mod export;
mod healthcheck;
mod import;
mod listing;
mod local;
mod migrate;
mod observe;
mod output;
mod restored;
mod rooms;
mod server;
mod sse;
mod tail;
mod token;
mod unanswered;
mod users;
mod why;

use anyhow::Result;
use clap::{CommandFactory, Parser, Subcommand};
pub use output::remark;
use stoa::config::{self, Flags, Loaded};

/// A realtime server that speaks Socket.IO
#[derive(Parser)]
#[command(version)]
pub struct Cli {
    #[command(flatten)]
    flags: Flags,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Subcommand)]
enum Verb {
    /// Run the server (the default)
    Serve,
    /// Show the configuration that counts, with secrets as ***; fail when it is not valid
    CheckConfig(check_config::Args),
    /// Make a token for a user, signed with the configured secret
    Token(token::Args),
    /// List every event that this server sends and hears
    Events(events::Args),
    /// Bring the store's tables up to date; `serve` does it too
    Migrate(migrate::Args),
    /// Say that the store was restored from a backup, with every server stopped: clients that come
    /// back fetch what they can't know. On SQLite `serve` notices it when the file alone was
    /// restored: remove stoa.db-wal and stoa.db-shm before it is put back, or use an empty folder
    Restored,
    /// Copy a SQLite store, while a server works with it or not, to a file that is not there yet
    Backup(backup::Args),
    /// Write all that the store has as JSON Lines, for `stoa import`: chat, users, accounts with their
    /// password hashes, the marketplace, payments. Stop the server first
    Export(export::Args),
    /// Take lines of such files in, whoever made them: all are checked before anything is written, what is
    /// there already is passed over, and no client hears of it
    Import(import::Args),
    /// Send one event through a running server
    Emit(emit::Args),
    /// List the rooms that have members on a running server, or the members of one
    Rooms(rooms::Args),
    /// List who is connected to a running server, and since when
    Users(users::Args),
    /// Show events as they are sent to sockets
    Tail(tail::Args),
    /// Say whether a user heard an event, and why or why not
    Why(why::Args),
    /// Close every socket of a user on a running server
    Disconnect(disconnect::Args),
    /// Stand before the server that runs today, pass everything through unchanged, and report what
    /// the move to this one would change
    Observe(observe::Args),
    /// Ask a running server whether it is ready; fail when it is not
    Healthcheck(healthcheck::Args),
    /// Look at what a server stands on (limits, clock, disk, its port and the way to it, keys, store, Redis),
    /// and say what to do; fail when there is a problem. It changes nothing
    Doctor(doctor::Args),
    /// Print the script by which a shell completes these verbs
    Completions(completions::Args),
}

impl Cli {
    /// Does what was asked.
    pub async fn run(self) -> Result<()> {
        let load = || self.load();
        match self.verb.as_ref().unwrap_or(&Verb::Serve) {
            Verb::Serve => stoa::app::serve(load()?).await,
            Verb::CheckConfig(args) => check_config::run(args, load()?),
            Verb::Token(args) => token::run(args, load()?.config),
            Verb::Events(args) => events::run(args),
            Verb::Migrate(args) => migrate::run(args, load()?.config).await,
            Verb::Restored => restored::run(load()?.config).await,
            Verb::Backup(args) => backup::run(args, load()?.config).await,
            Verb::Export(args) => export::run(args, load()?).await,
            Verb::Import(args) => import::run(args, load()?).await,
            Verb::Emit(args) => emit::run(args, load).await,
            Verb::Rooms(args) => rooms::run(args, load).await,
            Verb::Users(args) => users::run(args, load).await,
            Verb::Tail(args) => tail::run(args, load).await,
            Verb::Why(args) => why::run(args, load).await,
            Verb::Disconnect(args) => disconnect::run(args, load).await,
            Verb::Observe(args) => observe::run(args, load()?).await,
            Verb::Healthcheck(args) => healthcheck::run(args, load).await,
            Verb::Doctor(args) => doctor::run(args, load).await,
            Verb::Completions(args) => completions::run(args, Self::command()),
        }
    }

    fn load(&self) -> Result<Loaded> {
        Ok(config::load_here(&self.flags)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
