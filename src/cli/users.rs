//! `stoa users`: who is connected, and since when (docs/contract/rest.md#presence).

use std::collections::HashMap;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::{Value, json};
use stoa::config::Loaded;

use super::{
    listing::{Listing, number, text},
    server::Server,
};

/// The room that every socket of a user is in, before the user's id.
const OWN_ROOM: &str = "user-";

#[derive(clap::Args)]
pub struct Args {
    /// Only users whose id begins so
    #[arg(long, default_value = "", hide_default_value = true)]
    prefix: String,
    /// As JSON, one document a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

#[derive(Deserialize)]
struct Presence {
    items: Vec<Standing>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Standing {
    user_id: String,
    status: String,
    last_seen: Option<String>,
}

/// Lists them, over all nodes, in the order of their ids: who is in their own room, as far as they are
/// online; of somebody else who looks into it, an admin, it is not said.
pub async fn run(args: &Args, load: impl Fn() -> Result<Loaded>) -> Result<()> {
    let server = args.server.connect(load)?;
    let query = vec![("prefix", format!("{OWN_ROOM}{}", args.prefix))];
    let mut pages = server.list("/api/rooms".to_owned(), query);
    let mut listing = Listing::new(args.json, format!("SOCKETS  {:24}  USER", "SINCE"));
    while let Some(rooms) = pages.next().await? {
        let sockets: HashMap<&str, &Value> = rooms
            .iter()
            .filter_map(|room| Some((text(room, "room").strip_prefix(OWN_ROOM)?, &room["sockets"])))
            .collect();
        if sockets.is_empty() {
            continue;
        }
        let ids = rooms.iter().filter_map(|room| text(room, "room").strip_prefix(OWN_ROOM));
        let ids: Vec<_> = ids.collect();
        let answer = server.post("/api/presence/query", &json!({ "userIds": ids })).await?;
        let presence: Presence =
            serde_json::from_str(&answer).context("this is no presence of Stoa's")?;
        for Standing { user_id, status, last_seen } in presence.items {
            let Some(sockets) = sockets.get(user_id.as_str()).filter(|_| status == "online") else {
                continue;
            };
            let item = json!({ "userId": user_id, "sockets": sockets, "since": last_seen });
            let row = |item: &Value| {
                let (sockets, since) = (number(item, "sockets"), text(item, "since"));
                format!("{sockets:>7}  {since:24}  {}", text(item, "userId"))
            };
            if !listing.say(&item, row)? {
                return Ok(());
            }
        }
    }
    Ok(())
}
