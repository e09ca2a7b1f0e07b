//! `cargo bench --bench shut_out`: how long it takes until who is revoked or blocked is out. See
//! benches/README.md.

#[path = "user/server.rs"]
#[expect(
    dead_code,
    clippy::cast_precision_loss,
    reason = "another benchmark's, who measures with it"
)]
mod server;

use std::{
    net::SocketAddr,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use futures_util::{SinkExt, StreamExt, future::try_join_all};
use serde_json::{Value, json};
use tokio::{sync::oneshot, task::JoinHandle, time::timeout};
use tokio_tungstenite::{connect_async, tungstenite::Message};

use server::Server;

/// Shuts users out among many others, and times it.
#[derive(Parser)]
struct Arguments {
    /// Sockets that are there.
    #[arg(long, default_value_t = 2000)]
    sockets: usize,
    /// Cargo's own.
    #[arg(long, hide = true)]
    bench: bool,
}

/// Sockets that one call, or one round of calls, is to close.
const FEW: usize = 50;
/// Sockets of one user among the many.
const OF_ONE: usize = 20;
/// Handshakes at a time.
const WINDOW: usize = 100;
/// Within this who is shut out is out.
const CLAIM: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(20);

/// What a socket noticed: when it was told, and when it was closed.
type End = (Option<Instant>, Instant);

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if !arguments.bench {
        println!("measures under `cargo bench` only");
        return ExitCode::SUCCESS;
    }
    // reqwest is built without a provider of its own and asks for one even for plain HTTP.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(run(arguments.sockets))) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all claims are met.
async fn run(sockets: usize) -> Result<bool> {
    let server = Server::start("shut_out", &[])?;
    let address = server.address();
    let crowd = (0..sockets).map(|n| (format!("u{}", n / OF_ONE), format!("crowd-{n}")));
    let crowd = connect(address, crowd.collect(), false).await?;
    println!("| who is shut out, among {sockets} | told ms | closed ms | |");
    println!("|---|---:|---:|---|");
    let mut met = true;
    let few = |user: &str| (0..FEW).map(|n| (user.to_owned(), format!("{user}-{n}"))).collect();
    let of_ids = connect(address, few("ids"), false).await?;
    let ids =
        (0..FEW).map(|n| ("auth/revocations".to_owned(), json!({ "jti": format!("ids-{n}") })));
    met &= shut_out(address, "50 tokens, each by its id", of_ids, ids.collect()).await?;
    for (what, path, body, polls) in [
        ("a user's 50 websockets, revoked", "auth/revocations", json!({ "userId": "ws" }), false),
        ("a user's 50 polling sessions, blocked", "users/polls/block", json!({}), true),
    ] {
        let user = if polls { "polls" } else { "ws" };
        let theirs = connect(address, few(user), polls).await?;
        met &= shut_out(address, what, theirs, vec![(path.to_owned(), body)]).await?;
    }
    // All were issued by now.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let now = json!({ "issuedBefore": stoa::clock::Clock::system().now() });
    let everyone = vec![("auth/revocations".to_owned(), now)];
    met &= shut_out(address, "everyone", crowd, everyone).await?;
    Ok(met)
}

/// Opens a socket with each token, of a user and with an id.
async fn connect(
    address: SocketAddr,
    tokens: Vec<(String, String)>,
    polls: bool,
) -> Result<Vec<JoinHandle<Result<End>>>> {
    let mut sockets = Vec::with_capacity(tokens.len());
    for window in tokens.chunks(WINDOW) {
        let mut waiting = Vec::with_capacity(WINDOW);
        for (user, jti) in window {
            let token = Server::token_with(user, &[], jti)?;
            let (ready, is_ready) = oneshot::channel();
            sockets.push(if polls {
                tokio::spawn(poll(address, token, ready))
            } else {
                tokio::spawn(websocket(address, token, ready))
            });
            waiting.push(is_ready);
        }
        timeout(PATIENCE, try_join_all(waiting)).await?.context("a socket was refused")?;
    }
    Ok(sockets)
}

/// Makes the calls at once; prints what the last of the sockets noticed.
async fn shut_out(
    address: SocketAddr,
    what: &str,
    sockets: Vec<JoinHandle<Result<End>>>,
    calls: Vec<(String, Value)>,
) -> Result<bool> {
    let token = Server::token_with("olga", &["service"], "bench")?;
    let http = reqwest::Client::builder().no_proxy().build()?;
    let began = Instant::now();
    let answers = calls.into_iter().map(|(path, body)| {
        let url = format!("http://{address}/api/{path}");
        http.post(url).bearer_auth(&token).json(&body).send()
    });
    for answer in try_join_all(answers).await? {
        ensure!(answer.status() == 204, "{what}: {}", answer.status());
    }
    let (mut told, mut closed) = (Duration::ZERO, Duration::ZERO);
    for socket in sockets {
        let (told_at, closed_at) = timeout(PATIENCE, socket).await???;
        told = told.max(told_at.context("a socket was not told why")?.duration_since(began));
        closed = closed.max(closed_at.duration_since(began));
    }
    let met = closed <= CLAIM;
    let word = if met { "met" } else { "MISSED" };
    println!("| {what} | {} | {} | {word} |", told.as_millis(), closed.as_millis());
    Ok(met)
}

async fn websocket(address: SocketAddr, token: String, ready: oneshot::Sender<()>) -> Result<End> {
    let url = format!("ws://{address}/socket.io/?EIO=4&transport=websocket");
    let (mut socket, _) = connect_async(url).await?;
    socket.send(Message::text(format!("40{}", json!({ "token": token })))).await?;
    let (mut ready, mut told) = (Some(ready), None);
    while let Some(Ok(message)) = socket.next().await {
        let text = message.to_text().unwrap_or_default();
        if text == "2" {
            socket.send(Message::text("3")).await?;
        } else if text.starts_with("40")
            && let Some(ready) = ready.take()
        {
            // Whoever waits has given up where this fails.
            let _ = ready.send(());
        } else if text.contains("session:closing") {
            told = Some(Instant::now());
        }
    }
    Ok((told, Instant::now()))
}

async fn poll(address: SocketAddr, token: String, ready: oneshot::Sender<()>) -> Result<End> {
    let http = reqwest::Client::builder().no_proxy().build()?;
    let url = format!("http://{address}/socket.io/?EIO=4&transport=polling");
    let open = http.get(&url).send().await?.text().await?;
    let open: Value = serde_json::from_str(open.get(1..).unwrap_or_default())?;
    let url = format!("{url}&sid={}", open["sid"].as_str().context("no session")?);
    http.post(&url).body(format!("40{}", json!({ "token": token }))).send().await?;
    let (mut ready, mut told) = (Some(ready), None);
    loop {
        let answer = http.get(&url).send().await?;
        if !answer.status().is_success() {
            return Ok((told, Instant::now()));
        }
        for packet in answer.text().await?.split('\u{1e}') {
            match packet {
                "1" => return Ok((told, Instant::now())),
                "2" => drop(http.post(&url).body("3").send().await?),
                _ if packet.contains("session:closing") => told = Some(Instant::now()),
                _ if packet.starts_with("40") => {
                    // Whoever waits has given up where this fails.
                    let _ = ready.take().map(|ready| ready.send(()));
                }
                _ => {}
            }
        }
    }
}
