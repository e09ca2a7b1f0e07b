//! `stoa rooms`: the rooms that have members, or the members of one
//! (docs/contract/rest.md#emit).

use anyhow::Result;
use serde_json::Value;
use stoa::{config::Loaded, room::Room};

use super::{
    listing::{Listing, number, text},
    server::{Server, segment},
};

#[derive(clap::Args)]
pub struct Args {
    /// The room whose members are listed
    room: Option<Room>,
    /// Only rooms whose name begins so
    #[arg(long, conflicts_with = "room", default_value = "", hide_default_value = true)]
    prefix: String,
    /// As JSON, one document a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

/// Lists them, over all nodes, in the order of their names.
pub async fn run(args: &Args, load: impl Fn() -> Result<Loaded>) -> Result<()> {
    let server = args.server.connect(load)?;
    let (mut pages, header) = if let Some(room) = &args.room {
        let path = format!("/api/rooms/{}/members", segment(&room.to_string()));
        (server.list(path, Vec::new()), "SOCKETS  USER")
    } else {
        let query = vec![("prefix", args.prefix.clone())];
        (server.list("/api/rooms".to_owned(), query), "SOCKETS   USERS  ROOM")
    };
    let row = |item: &Value| {
        let sockets = number(item, "sockets");
        if args.room.is_some() {
            return format!("{sockets:>7}  {}", text(item, "userId"));
        }
        format!("{sockets:>7} {:>7}  {}", number(item, "users"), text(item, "room"))
    };
    let mut listing = Listing::new(args.json, header);
    while let Some(items) = pages.next().await? {
        for item in &items {
            if !listing.say(item, row)? {
                return Ok(());
            }
        }
    }
    Ok(())
}
