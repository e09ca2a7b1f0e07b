//! `stoa events`: the catalogue of the wire contract.

use anyhow::{Context, Result};
use stoa::event::Direction;

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
        println!("{json}");
        return Ok(());
    }
    let width = events.iter().map(|event| event.name.len()).max().unwrap_or(0);
    for event in events {
        let arrow = match event.direction {
            Direction::ServerToClient => "server → client",
            Direction::ClientToServer => "client → server",
        };
        let doc = event.doc.lines().next().unwrap_or_default().trim();
        println!("{:width$}  {arrow}  {doc}", event.name);
    }
    Ok(())
}
