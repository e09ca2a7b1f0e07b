//! `stoa check-config`: what counts after every layer, to read or to load again.

use anyhow::{Context, Result};
use stoa::{
    auth::Authenticator, clock::Clock, cluster::Cluster, config::Loaded,
    realtime::wire::ClientFiles,
};

use super::output::{remark, say};

#[derive(clap::Args)]
pub struct Args {
    /// As JSON instead of TOML
    #[arg(long)]
    json: bool,
}

/// Prints the configuration; its warnings go to stderr. The keys are read and everything beside them
/// is checked, so that what is wrong is told here and not at the start.
pub fn run(args: &Args, loaded: Loaded) -> Result<()> {
    let Loaded { config, warnings } = loaded;
    for warning in warnings {
        remark(format_args!("warning: {warning}"));
    }
    let mut auth = config.auth.clone();
    if !auth.has_key() {
        // The start makes one.
        auth.jwt_secret = Some("x".repeat(64).into());
    }
    Authenticator::new(&auth, config.origin_policy()?, Clock::system())?;
    ClientFiles::new(&config.realtime)?;
    Cluster::configured(&config.cluster, &Clock::system())?;
    let text = if args.json {
        serde_json::to_string_pretty(&config).context("the configuration as JSON")?
    } else {
        toml::to_string(&config).context("the configuration as TOML")?
    };
    say(text.trim_end())
}
