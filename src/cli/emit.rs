//! `stoa emit`: one event through the door for backend services (docs/contract/rest.md#emit).

use anyhow::Result;
use serde_json::{Value, json};
use stoa::{config::Loaded, event::EventName, id::Id, room::Room, text::well_formed};

use super::{output::say, server::Server};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    to: To,
    /// The event's name
    #[arg(value_parser = event)]
    event: String,
    /// The event's payload, as JSON
    #[arg(id = "payload", value_name = "DATA", value_parser = data)]
    data: Value,
    /// DATA is a list: the arguments of the event
    #[arg(long = "args")]
    several: bool,
    #[command(flatten)]
    server: Server,
}

#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct To {
    /// To everyone in a room
    #[arg(long = "to-room", value_name = "ROOM")]
    room: Option<Room>,
    /// To every socket of a user
    #[arg(long = "to-user", value_name = "ID")]
    user: Option<Id>,
    /// To everyone
    #[arg(long)]
    everyone: bool,
}

fn event(name: &str) -> Result<String, String> {
    EventName::new(name).map(|name| name.as_str().to_owned()).map_err(|error| error.to_string())
}

fn data(text: &str) -> Result<Value, String> {
    let text = well_formed(text.as_bytes());
    serde_json::from_slice(&text).map_err(|error| format!("not JSON: {error}"))
}

/// Sends the event and prints the answer.
pub async fn run(args: &Args, load: impl Fn() -> Result<Loaded>) -> Result<()> {
    let payload = if args.several { "args" } else { "data" };
    let body = json!({ "to": args.to.as_json(), "event": args.event, payload: args.data });
    say(args.server.connect(load)?.post("/api/emit", &body).await?)
}

impl To {
    fn as_json(&self) -> Value {
        match (&self.room, &self.user) {
            (Some(room), _) => json!({ "room": room }),
            (_, Some(user)) => json!({ "user": user }),
            _ => json!("everyone"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::{
        Json, Router,
        http::{HeaderMap, StatusCode},
        routing::post,
    };
    use clap::Parser;
    use parking_lot::Mutex;
    use tokio::net::TcpListener;

    use super::super::Cli;
    use super::*;

    type Seen = Arc<Mutex<Option<(String, Value)>>>;

    /// A server that takes an event with the key `right`, and remembers it.
    async fn server() -> (String, Seen) {
        let seen = Seen::default();
        let remember = seen.clone();
        let emit = async move |headers: HeaderMap, Json(body): Json<Value>| {
            let header = |name| headers.get(name).map_or("", |value| value.to_str().unwrap());
            *remember.lock() = Some((header("authorization").to_owned(), body));
            match header("x-api-key") {
                "wrong" => {
                    let problem = json!({ "title": "Unauthorized", "detail": "invalid API key" });
                    (StatusCode::UNAUTHORIZED, Json(problem))
                }
                "broken" => (StatusCode::BAD_GATEWAY, Json(json!("?"))),
                _ => (StatusCode::ACCEPTED, Json(json!({ "id": "1", "sockets": 0 }))),
            }
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let router = Router::new().route("/api/emit", post(emit));
        tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        (url, seen)
    }

    async fn emit(url: &str, args: &[&str]) -> Result<()> {
        let command = [&["stoa", "emit", "--url", url], args].concat();
        Box::pin(Cli::try_parse_from(command)?.run()).await
    }

    #[tokio::test]
    async fn the_event_is_sent_to_whom_it_is_for() {
        let (url, seen) = server().await;
        for (to, json) in [
            (&["--to-room", "sellers"][..], json!({ "room": "sellers" })),
            (&["--to-user", "u1"], json!({ "user": "u1" })),
            (&["--everyone"], json!("everyone")),
        ] {
            let args = [to, &["--token", "t", "new-offer", r#"{"n":1}"#]].concat();
            emit(&url, &args).await.unwrap();
            let body = json!({ "to": json, "event": "new-offer", "data": { "n": 1 } });
            assert_eq!(seen.lock().take(), Some(("Bearer t".to_owned(), body)));
        }
        emit(&url, &["--everyone", "--token", "t", "--args", "news", "[1,{}]"]).await.unwrap();
        let body = json!({ "to": "everyone", "event": "news", "args": [1, {}] });
        assert_eq!(seen.lock().take(), Some(("Bearer t".to_owned(), body)));
    }

    #[tokio::test]
    async fn a_refusal_is_told_in_the_server_s_own_sentence() {
        let (url, _) = server().await;
        for (key, sentence) in [
            ("wrong", "invalid API key (401 Unauthorized)"),
            ("broken", "the server answered 502 Bad Gateway"),
        ] {
            let refusal = emit(&url, &["--api-key", key, "--everyone", "a", "1"]).await;
            assert_eq!(refusal.unwrap_err().to_string(), sentence);
        }
    }
}
