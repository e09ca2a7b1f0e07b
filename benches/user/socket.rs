//! The user's sockets: websockets that write as fast as they may, ones that never read, and polling
//! sessions that never poll.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Result, bail};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    net::TcpStream,
    time::{Instant, timeout_at},
};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

use super::work::Work;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A little more often than `limits.messages` lets a connection.
const BETWEEN_MESSAGES: Duration = Duration::from_millis(40);

/// Until one who was refused or thrown out comes back.
const PAUSE: Duration = Duration::from_millis(200);

/// Connects again and again until the end, and has each connection do something.
pub async fn keep(work: Work, reads: bool) {
    while Instant::now() < work.end {
        match connect(&work).await {
            Ok(socket) => {
                work.tally.note("websockets opened");
                let lived =
                    if reads { write(&work, socket).await } else { stay_idle(&work, socket).await };
                if lived.is_err() {
                    work.tally.note("websockets closed by the server");
                }
            }
            Err(_) => work.tally.note("websockets refused"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn connect(work: &Work) -> Result<Socket> {
    let url = format!("ws://{}/socket.io/?EIO=4&transport=websocket", work.address);
    let (mut socket, _) = connect_async(url).await?;
    expect(&mut socket, work.end, "0").await?;
    let connect = format!("40{}", json!({ "token": work.token }));
    socket.send(Message::text(connect)).await?;
    expect(&mut socket, work.end, "40").await?;
    let join = json!(["conversation:join", { "conversationId": work.conversation }]);
    socket.send(Message::text(format!("42{join}"))).await?;
    Ok(socket)
}

/// Waits for a packet of that kind.
async fn expect(socket: &mut Socket, end: Instant, kind: &str) -> Result<()> {
    while let Some(message) = timeout_at(end, socket.next()).await? {
        if let Message::Text(text) = message? {
            if text.starts_with(kind) {
                return Ok(());
            }
            if text.starts_with("44") {
                bail!("refused");
            }
        }
    }
    bail!("closed")
}

/// Writes messages as large as they may be, and reads what comes.
async fn write(work: &Work, socket: Socket) -> Result<()> {
    let (mut sink, mut stream) = socket.split();
    let mut ticks = tokio::time::interval(BETWEEN_MESSAGES);
    let mut next = 0_u64;
    loop {
        tokio::select! {
            () = tokio::time::sleep_until(work.end) => return Ok(()),
            _ = ticks.tick() => {
                let mut message = Value::clone(&work.message);
                message["conversationId"] = json!(work.conversation);
                let event = json!(["message:send", message]);
                sink.send(Message::text(format!("42{next}{event}"))).await?;
                next += 1;
            }
            read = stream.next() => {
                let read = read.context("closed")??;
                let Message::Text(text) = read else { continue };
                if text == "2" {
                    sink.send(Message::text("3")).await?;
                } else if text.starts_with("43") {
                    work.tally.note(acknowledged(&text));
                }
            }
        }
    }
}

fn acknowledged(text: &str) -> &'static str {
    let json = text.find('[').map_or("", |from| &text[from..]);
    let ack: Value = serde_json::from_str(json).unwrap_or_default();
    if ack[0]["success"] == true { "messages by socket" } else { "messages by socket refused" }
}

/// Reads nothing, until the end or until the server has had enough.
async fn stay_idle(work: &Work, mut socket: Socket) -> Result<()> {
    let mut ticks = tokio::time::interval(Duration::from_secs(20));
    loop {
        tokio::select! {
            () = tokio::time::sleep_until(work.end) => return Ok(()),
            // An answer to the server's ping, which is not read either.
            _ = ticks.tick() => socket.send(Message::text("3")).await?,
        }
    }
}

/// Opens polling sessions and never polls.
pub async fn never_poll(work: Work, http: reqwest::Client) {
    while Instant::now() < work.end {
        match open_polling(work.address, &work, &http).await {
            Ok(()) => work.tally.note("polling sessions opened"),
            Err(_) => work.tally.note("polling sessions refused"),
        }
        tokio::time::sleep(PAUSE * 5).await;
    }
}

async fn open_polling(address: SocketAddr, work: &Work, http: &reqwest::Client) -> Result<()> {
    let url = format!("http://{address}/socket.io/?EIO=4&transport=polling");
    let opened = http.get(&url).send().await?.error_for_status()?.text().await?;
    let json = opened.strip_prefix('0').context("no open packet")?;
    let opened: Value = serde_json::from_str(json)?;
    let url = format!("{url}&sid={}", opened["sid"].as_str().context("no sid")?);
    let join = json!(["conversation:join", { "conversationId": work.conversation }]);
    for packet in [format!("40{}", json!({ "token": work.token })), format!("42{join}")] {
        http.post(&url).body(packet).send().await?.error_for_status()?;
    }
    Ok(())
}
