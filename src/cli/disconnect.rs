//! `stoa disconnect`: closes a user's sockets, on every node (docs/contract/rest.md#users).

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::json;
use stoa::{config::Loaded, id::Id};

use super::{
    output::say,
    server::{Server, segment},
};

#[derive(clap::Args)]
pub struct Args {
    /// The user
    user: Id,
    /// Why, for the server's log: the user is not told
    #[arg(long)]
    reason: Option<String>,
    /// The answer as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

#[derive(Deserialize)]
struct Disconnected {
    disconnected: u64,
}

/// Closes them. They may connect again; who is to stay out is blocked.
pub async fn run(args: &Args, load: impl Fn() -> Result<Loaded>) -> Result<()> {
    let path = format!("/api/users/{}/disconnect", segment(args.user.as_str()));
    let body = match &args.reason {
        Some(reason) => json!({ "reason": reason }),
        None => json!({}),
    };
    let answer = args.server.connect(load)?.post(&path, &body).await?;
    if args.json {
        return say(answer);
    }
    let answer: Disconnected = serde_json::from_str(&answer).context("this is no Stoa")?;
    let sockets = if answer.disconnected == 1 { "socket" } else { "sockets" };
    say(format!(
        "closed {} {sockets}; other nodes, where there are some, close theirs",
        answer.disconnected
    ))
}
