//! The verbs of the command line, one a file. What they say goes to stdout, and what is said about
//! it to stderr, so that the output can be piped.

mod check_config;
mod emit;
mod events;
mod healthcheck;
mod migrate;
mod restored;
mod token;

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use anyhow::{Result, ensure};
use clap::{Parser, Subcommand};
use reqwest::{Client, redirect};
use stoa::config::{self, Flags, Loaded, ServerConfig};

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
    /// Send one event through a running server
    Emit(emit::Args),
    /// Ask a running server whether it is ready; fail when it is not
    Healthcheck(healthcheck::Args),
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
            Verb::Emit(args) => emit::run(args, load).await,
            Verb::Healthcheck(args) => healthcheck::run(args, load).await,
        }
    }

    fn load(&self) -> Result<Loaded> {
        Ok(config::load_here(&self.flags)?)
    }
}

/// Asks a server that answers or is given up after `timeout`.
fn client(timeout: Duration) -> Result<Client> {
    // The first in the process stays; all of them are this one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Ok(Client::builder().timeout(timeout).redirect(redirect::Policy::none()).build()?)
}

/// The server's own address, as seen from this machine.
fn local_url(server: &ServerConfig) -> Result<String> {
    ensure!(server.port != 0, "the server takes a free port (PORT=0): say which with --url");
    let host = match server.host {
        IpAddr::V4(host) if host.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(host) if host.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        host => host,
    };
    Ok(format!("http://{}", SocketAddr::new(host, server.port)))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use stoa::config::Config;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_server_is_found_from_its_own_machine() {
        let mut server = Config::for_tests().server;
        assert!(local_url(&server).is_err(), "a free port is not known");
        server.port = 3003;
        for (host, url) in [
            ("0.0.0.0", "http://127.0.0.1:3003"),
            ("::", "http://[::1]:3003"),
            ("10.1.2.3", "http://10.1.2.3:3003"),
        ] {
            server.host = host.parse().unwrap();
            assert_eq!(local_url(&server).unwrap(), url);
        }
    }
}
