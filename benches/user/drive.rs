//! The user: writes the largest of everything over REST, by sockets and by bodies that do not end.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::{Instant, timeout_at},
};

use super::{
    server::Server,
    socket,
    work::{Tally, Work},
};

const USER: &str = "user-000000";
const OTHER: &str = "user-000001";

/// Websockets that are tried: more than one user may have.
const SOCKETS: usize = 120;
/// Tasks that write over REST, and polling sessions' openers.
const WRITERS: usize = 6;
const POLLERS: usize = 2;
/// Bodies that do not end.
const UPLOADS: usize = 300;

/// Drives the user for that long.
///
/// # Errors
/// When the user can't even begin.
pub async fn run(server: &Server, time: Duration) -> Result<Tally> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().no_proxy().build()?;
    let address = server.address();
    let token = Server::token(USER)?;
    let conversation = json!({ "participantIds": [OTHER] });
    let url = format!("http://{address}/api/conversations");
    let begun = http.post(url).bearer_auth(&token).json(&conversation).send().await?;
    let begun: Value = begun.error_for_status()?.json().await?;
    let conversation = begun["id"].as_str().or(begun["conversation"]["id"].as_str());
    let content = "\u{1F4E6}".repeat(8_000);
    let work = Work {
        address,
        token: token.into(),
        conversation: conversation.context("a conversation's id")?.into(),
        message: message(&content).into(),
        content: content.into(),
        end: Instant::now() + time,
        tally: Tally::default(),
    };
    let mut tasks = JoinSet::new();
    for index in 0..SOCKETS {
        tasks.spawn(socket::keep(work.clone(), index % 2 == 0));
    }
    for _ in 0..POLLERS {
        tasks.spawn(socket::never_poll(work.clone(), http.clone()));
    }
    for index in 0..WRITERS {
        tasks.spawn(write(work.clone(), http.clone(), index));
    }
    for _ in 0..UPLOADS {
        tasks.spawn(upload(work.clone()));
    }
    tokio::time::sleep_until(work.end).await;
    tasks.shutdown().await;
    Ok(work.tally)
}

/// A message as large as it may be.
fn message(content: &str) -> Value {
    let of = |characters: usize| "\u{1F4E6}".repeat(characters);
    let mut files =
        vec![json!({ "url": of(2_048), "name": of(255), "mimeType": of(255), "size": 1 }); 10];
    files[0]["alt"] = "x".repeat(16_000).into();
    let metadata = json!({ "note": "x".repeat(16_000) });
    json!({ "content": content, "attachments": files, "metadata": metadata })
}

/// Writes one kind of thing after the other, each as large as it may be.
async fn write(work: Work, http: reqwest::Client, index: usize) {
    let mut next = 0_usize;
    while Instant::now() < work.end {
        next += 1;
        let key = format!("{index}-{next}");
        let people: Vec<String> = (0..999).map(|other| format!("made-up-{key}-{other}")).collect();
        let metadata = json!({ "note": "x".repeat(16_000) });
        let (what, path, body) = match next % 4 {
            0 => (
                "conversations of 1,000",
                "/api/conversations".to_owned(),
                json!({ "participantIds": people, "type": "group", "metadata": metadata }),
            ),
            1 => (
                "requests",
                "/api/marketplace/requests".to_owned(),
                json!({
                    "title": "A lamp",
                    "description": work.content.as_ref(),
                    "budget": { "amount": 40, "currency": "USD" },
                    "metadata": metadata,
                }),
            ),
            _ => (
                "messages by REST",
                format!("/api/conversations/{}/messages", work.conversation),
                Value::clone(&work.message),
            ),
        };
        let request = http.post(format!("http://{}{path}", work.address));
        let request = request.bearer_auth(&work.token).header("idempotency-key", key).json(&body);
        match timeout_at(work.end, request.send()).await {
            Ok(Ok(answer)) if answer.status().is_success() => work.tally.note(what),
            Ok(Ok(answer)) => work.tally.note(&format!("{what}: {}", answer.status().as_u16())),
            Ok(Err(_)) => work.tally.note(&format!("{what}: no answer")),
            Err(_) => return,
        }
    }
}

/// Sends all of a body but its last byte, and waits until the server has had enough.
async fn upload(work: Work) {
    const LENGTH: usize = 1_000_000;
    let head = format!(
        "POST /api/conversations HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: {LENGTH}\r\n\r\n",
        work.token
    );
    let body = vec![b' '; LENGTH - 1];
    while Instant::now() < work.end {
        let Ok(mut stream) = TcpStream::connect(work.address).await else {
            work.tally.note("uploads refused");
            tokio::time::sleep(Duration::from_millis(200)).await;
            continue;
        };
        let mut answer = [0; 12];
        let sent = async {
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(&body).await?;
            stream.read_exact(&mut answer).await
        };
        let ended = timeout_at(work.end, sent).await;
        let status = String::from_utf8_lossy(&answer[9..]).into_owned();
        match ended {
            Ok(Ok(_)) => work.tally.note(&format!("uploads answered {status}")),
            Ok(Err(_)) => work.tally.note("uploads cut off"),
            Err(_) => work.tally.note("uploads under way at the end"),
        }
    }
}
