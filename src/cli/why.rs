//! `stoa why`: whether a user heard an event, and why or why not (docs/contract/rest.md#operations).

use std::io::{Write, stdout};

use anyhow::{Context, Result};
use serde_json::Value;
use stoa::{config::Loaded, id::Id};

use super::{listing::text, server::Server};

#[derive(clap::Args)]
pub struct Args {
    /// The user
    #[arg(long)]
    user: Id,
    /// The event: the id of an emit, a stream and a number such as conversation/c1:42, or a position
    #[arg(long)]
    event: String,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

/// Asks, and says it in words first.
pub async fn run(args: &Args, load: impl Fn() -> Result<Loaded>) -> Result<()> {
    let server = args.server.connect(load)?;
    let query = [("user", args.user.to_string()), ("event", args.event.clone())];
    let answer = server.get("/api/why", &query).await?;
    let mut out = stdout().lock();
    if args.json {
        writeln!(out, "{answer}")?;
        return Ok(());
    }
    let why: Value = serde_json::from_str(&answer).context("this is no answer of Stoa's")?;
    writeln!(out, "{}", text(&why, "says"))?;
    let event = &why["event"];
    writeln!(out, "\nevent {} of {}", event["position"], text(event, "createdAt"))?;
    for numbered in event["streams"].as_array().into_iter().flatten() {
        writeln!(out, "  {}:{}", text(numbered, "stream"), numbered["seq"])?;
    }
    for sent in event["sent"].as_array().into_iter().flatten() {
        let to = if sent["rooms"].is_null() { "everyone".to_owned() } else { all(&sent["rooms"]) };
        write!(out, "  {} to {to}", text(sent, "event"))?;
        if sent["except"].as_array().is_some_and(|except| !except.is_empty()) {
            write!(out, ", except {}", all(&sent["except"]))?;
        }
        writeln!(out, " in {}", all(&sent["namespaces"]))?;
    }
    for socket in why["sockets"].as_array().into_iter().flatten() {
        let (id, outcome) = (text(socket, "id"), text(socket, "outcome"));
        writeln!(
            out,
            "socket {id} {}: {outcome}, {}",
            text(socket, "namespace"),
            text(socket, "says")
        )?;
    }
    if why["complete"] == false {
        writeln!(out, "Not everything of that time was noted.")?;
    }
    Ok(())
}

fn all(list: &Value) -> String {
    let items = list.as_array().into_iter().flatten().filter_map(Value::as_str);
    items.collect::<Vec<_>>().join(", ")
}
