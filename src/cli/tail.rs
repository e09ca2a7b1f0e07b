//! `stoa tail`: events as they are sent (docs/contract/rest.md#operations).

use std::time::Duration;

use anyhow::Result;
use serde_json::Value;
use stoa::{config::Loaded, id::Id, room::Room};

use super::{
    listing::{Listing, text},
    output::remark,
    server::{self, Connected, Server},
};

/// How long is waited before a server is asked again.
const PAUSE: Duration = Duration::from_secs(1);

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
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// As JSON, one document a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

/// Says each as it is sent, until somebody ends it: after an hour, and when a server is away, it is asked
/// again.
pub async fn run(args: &Args, load: impl Fn() -> Result<Loaded>) -> Result<()> {
    let server = args.server.connect(load)?;
    let header = "AT                        EVENT  TO  SOCKETS  DATA";
    let listing = Listing::new(args.json, header);
    let mut tail = Tail { args, listing, left: args.limit, has_heard: false, is_away: false };
    loop {
        match tail.listen(&server).await {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(error) if tail.has_heard && server::is_away(&error) => {
                if !tail.is_away {
                    remark("The server is away; it is asked again until it is back.");
                }
                tail.is_away = true;
            }
            Err(error) => return Err(error),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

struct Tail<'a> {
    args: &'a Args,
    listing: Listing,
    /// How many are still wanted.
    left: Option<u64>,
    /// Whether a server has answered.
    has_heard: bool,
    /// Whether it was said that it does not any more.
    is_away: bool,
}

impl Tail<'_> {
    /// Says what comes until the answer ends; whether that was all that is wanted.
    async fn listen(&mut self, server: &Connected) -> Result<bool> {
        let Args { event, room, user, outcome, .. } = self.args;
        let some = |name: &'static str, value: Option<String>| value.map(|value| (name, value));
        let query: Vec<_> = [
            some("event", event.clone()),
            some("room", room.as_ref().map(ToString::to_string)),
            some("user", user.as_ref().map(ToString::to_string)),
            some("outcome", outcome.clone()),
            some("limit", self.left.map(|left| left.to_string())),
        ]
        .into_iter()
        .flatten()
        .collect();
        let mut events = server.stream("/api/tail", &query).await?;
        (self.has_heard, self.is_away) = (true, false);
        while let Some((name, data)) = events.next().await? {
            if name == "left_out" {
                remark(format!("{} events more were sent, which are not shown.", data["leftOut"]));
                continue;
            }
            if !self.listing.say(&data, row)? {
                return Ok(true);
            }
            self.left = self.left.map(|left| left.saturating_sub(1));
        }
        Ok(self.left == Some(0))
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::{
        Router,
        http::{StatusCode, header::CONTENT_TYPE},
        response::IntoResponse,
        routing::get,
    };
    use clap::Parser;
    use tokio::net::TcpListener;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    async fn tail(router: Router, more: &[&str]) -> Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        let line = [&["tail", "--url", &url, "--api-key", "k"], more].concat();
        run(&Line::parse_from(line).args, || anyhow::bail!("no settings are needed")).await
    }

    #[tokio::test]
    async fn a_server_whose_answer_ends_and_that_is_away_is_asked_again_for_what_is_left() {
        static ASKED: AtomicUsize = AtomicUsize::new(0);
        let events = async |uri: axum::http::Uri| {
            let sent = "event: sent\ndata: {}\n\n";
            let left = uri.query().unwrap_or_default().to_owned();
            match ASKED.fetch_add(1, Ordering::Relaxed) {
                0 if left == "limit=2" => {
                    ([(CONTENT_TYPE, "text/event-stream")], sent).into_response()
                }
                1 => (StatusCode::SERVICE_UNAVAILABLE, "{}").into_response(),
                2 if left == "limit=1" => {
                    ([(CONTENT_TYPE, "text/event-stream")], sent).into_response()
                }
                _ => (StatusCode::IM_A_TEAPOT, left).into_response(),
            }
        };
        let router = Router::new().route("/api/tail", get(events));
        tail(router, &["--limit", "2"]).await.unwrap();
        assert_eq!(ASKED.load(Ordering::Relaxed), 3);
    }

    #[tokio::test]
    async fn who_refuses_or_is_no_server_of_ours_is_asked_once() {
        let page = get(async || ([(CONTENT_TYPE, "text/html")], "<html>"));
        let refused = get(async || (StatusCode::FORBIDDEN, r#"{"detail":"It is not yours."}"#));
        let away = get(async || (StatusCode::SERVICE_UNAVAILABLE, r#"{"detail":"It stops."}"#));
        for (answer, said) in [
            (page, "this is no answer of Stoa's"),
            (refused, "It is not yours. (403 Forbidden)"),
            (away, "It stops. (503 Service Unavailable)"),
        ] {
            let error = tail(Router::new().route("/api/tail", answer), &[]).await.unwrap_err();
            assert_eq!(error.to_string(), said);
        }
    }
}
