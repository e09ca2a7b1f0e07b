//! `stoa tail`: events as they are sent (docs/contract/rest.md#operations).

use std::num::NonZeroU64;

use anyhow::Result;
use serde_json::Value;
use stoa::{config::Loaded, id::Id, room::Room};

use super::{
    listing::{Listing, text},
    output::remark,
    server::Server,
};

#[derive(clap::Args)]
pub struct Args {
    /// Only events of this name; of names that begin so where it ends with *
    #[arg(long)]
    event: Option<String>,
    /// Only events for this room
    #[arg(long)]
    room: Option<Room>,
    /// Only events that this user hears: for their own room, for one that they are in, or for everyone
    #[arg(long)]
    user: Option<Id>,
    /// Only events that were written to a socket, that nobody was there to hear, or that were dropped for
    /// some who were behind, at the server that is asked
    #[arg(long, value_parser = ["written", "nobody", "dropped"])]
    outcome: Option<String>,
    /// Ends after so many
    #[arg(long)]
    limit: Option<NonZeroU64>,
    /// As JSON, one document a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

/// Says each as it is sent, until somebody ends it.
pub async fn run(args: &Args, load: impl Fn() -> Result<Loaded>) -> Result<()> {
    let server = args.server.connect(load)?;
    let mut listing = Listing::new(args.json, "AT                        EVENT  TO  SOCKETS  DATA");
    let mut left = args.limit.map(NonZeroU64::get);
    let some = |name: &'static str, value: Option<String>| value.map(|value| (name, value));
    loop {
        let query: Vec<_> = [
            some("event", args.event.clone()),
            some("room", args.room.as_ref().map(ToString::to_string)),
            some("user", args.user.as_ref().map(ToString::to_string)),
            some("outcome", args.outcome.clone()),
            some("limit", left.map(|left| left.to_string())),
        ]
        .into_iter()
        .flatten()
        .collect();
        let mut events = server.stream("/api/tail", &query).await?;
        while let Some((name, data)) = events.next().await? {
            if name == "left_out" {
                remark(format!("{} events more were sent, which are not shown.", data["leftOut"]));
                continue;
            }
            if !listing.say(&data, row)? {
                return Ok(());
            }
            left = left.map(|left| left.saturating_sub(1));
        }
        if left == Some(0) {
            return Ok(());
        }
        // It ends after an hour, or with the server.
        remark("The server ended its answer; it is asked again.");
    }
}

fn row(event: &Value) -> String {
    let rooms = event["rooms"].as_array().map(|rooms| rooms.iter().filter_map(Value::as_str));
    let to =
        rooms.map_or_else(|| "everyone".to_owned(), |rooms| rooms.collect::<Vec<_>>().join(","));
    let data = match event.get("data") {
        Some(data) => data.to_string(),
        None => format!("{} bytes", event["bytes"]),
    };
    let sockets = match (event["sockets"].as_u64(), event["outcome"].as_str()) {
        (Some(sockets), Some("dropped")) => format!("{sockets} (dropped for others)"),
        (Some(sockets), _) => sockets.to_string(),
        (None, _) => "-".to_owned(),
    };
    format!("{}  {}  {to}  {sockets}  {data}", text(event, "at"), text(event, "event"))
}
