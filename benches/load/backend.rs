//! A backend service that publishes over REST, a batch of 100 events after the other, in a thread of
//! its own.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::mpsc::{Receiver, Sender, TryRecvError, channel},
    thread,
    time::Duration,
};

use anyhow::{Context, Error, Result, bail, ensure};
use serde_json::{Value, json};

use super::{tally, token};

const PATIENCE: Duration = Duration::from_secs(10);
/// Events of one batch.
const BATCH: usize = 100;

/// Where it is told what to publish.
pub struct Backend {
    publications: Sender<(usize, u32)>,
    failed: Receiver<Error>,
}

impl Backend {
    /// One that publishes in the rooms of this server.
    ///
    /// # Errors
    /// When it can't be reached.
    pub fn start(server: SocketAddr) -> Result<Self> {
        let mut stream = TcpStream::connect(server)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let token = token::of_a_service()?;
        let (publications, asked) = channel();
        let (failure, failed) = channel();
        thread::spawn(move || {
            if let Err(error) = publish_all(&mut stream, &token, &asked) {
                // Whoever asked may have ended.
                drop(failure.send(error));
            }
        });
        Ok(Self { publications, failed })
    }

    /// Has a room hear a publication, which is kept.
    ///
    /// # Errors
    /// When an earlier one was refused.
    pub fn publish(&self, room: usize, number: u32) -> Result<()> {
        match self.failed.try_recv() {
            Ok(error) => return Err(error),
            Err(TryRecvError::Disconnected) => bail!("the backend has ended"),
            Err(TryRecvError::Empty) => {}
        }
        self.publications.send((room, number)).context("the backend has ended")
    }
}

fn publish_all(stream: &mut TcpStream, token: &str, asked: &Receiver<(usize, u32)>) -> Result<()> {
    while let Ok(first) = asked.recv() {
        let batch: Vec<_> = [first].into_iter().chain(asked.try_iter().take(BATCH - 1)).collect();
        let emits: Vec<Value> = batch.iter().map(|(room, number)| emit(*room, *number)).collect();
        let body = json!({ "emits": emits }).to_string();
        let request = format!(
            "POST /api/emit/batch HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes())?;
        let answer = read(stream)?;
        let emitted = answer.matches(r#""status":202"#).count();
        ensure!(emitted == batch.len(), "{emitted} of {} were emitted: {answer}", batch.len());
    }
    Ok(())
}

fn emit(room: usize, number: u32) -> Value {
    let conversation = conversation(room);
    let data = json!({ "userId": token::user(0), "userName": tally::mark(room, number),
        "conversationId": conversation });
    json!({ "to": { "room": format!("conversation:{conversation}") }, "event": "typing:start",
        "data": data })
}

/// One answer, to the end of its body.
fn read(stream: &mut TcpStream) -> Result<String> {
    let (mut bytes, mut some) = (Vec::new(), vec![0; 64 * 1024]);
    loop {
        if let Some(head) = tally::find(&bytes, b"\r\n\r\n") {
            let text = String::from_utf8_lossy(&bytes[..head]).to_lowercase();
            let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.context("an answer without a length")?.parse()?;
            if bytes.len() >= head + 4 + length {
                return Ok(String::from_utf8(bytes)?);
            }
        }
        let read = stream.read(&mut some)?;
        ensure!(read > 0, "the server closed a connection");
        bytes.extend_from_slice(&some[..read]);
    }
}

/// The id of a room's conversation; all ids are of one length.
pub(super) fn conversation(room: usize) -> String {
    format!("room-{room:04}")
}
