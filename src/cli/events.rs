//! `stoa events`: the catalogue of the wire contract.

use anyhow::{Context, Result};

use super::output::say;

#[derive(clap::Args)]
pub struct Args {
    /// As JSON, with everything that is known of each
    #[arg(long)]
    json: bool,
}

/// Prints every event.
pub fn run(args: &Args) -> Result<()> {
    let events = stoa::app::events();
    if args.json {
        let json = serde_json::to_string_pretty(&events).context("the events as JSON")?;
        return say(json);
    }
    say(events.table().trim_end())
}
