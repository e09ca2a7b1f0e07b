//! Messages: written over sockets, acknowledged once they are stored, received by the others of
//! their conversation. One that is refused, lost or doubled ends the run.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::{swarm::Swarm, tally::Chat, token};

const STEP: Duration = Duration::from_millis(100);
const REST_PATIENCE: Duration = Duration::from_secs(10);

/// What a run of messages yielded between its two readings.
pub struct Written<R> {
    /// Messages acknowledged in that time.
    pub acknowledged: u64,
    /// Messages that others received in that time.
    pub received: u64,
    /// Messages acknowledged since the connections exist.
    pub in_all: u64,
    /// The time.
    pub elapsed: Duration,
    /// Median time from writing to the acknowledgement, in milliseconds.
    pub p50_ms: f64,
    /// 99 of 100 acknowledgements took at most so long.
    pub p99_ms: f64,
    /// What was read at the start.
    pub before: R,
    /// What was read at the end.
    pub after: R,
}

impl Swarm {
    /// All write, each with `window` messages under way, and acknowledgements are counted between
    /// two readings: after `warm` and `measure` later. Then waits for what is still out.
    ///
    /// # Errors
    /// When a message is refused, lost, doubled, or for someone else.
    pub fn chat<R>(
        &mut self,
        window: usize,
        warm: Duration,
        measure: Duration,
        mut read: impl FnMut() -> Result<R>,
    ) -> Result<Written<R>> {
        self.tally.chat.window = window;
        self.write()?;
        self.idle(warm)?;
        self.tally.chat.latency.clear();
        let (start, before) = (Instant::now(), read()?);
        let (acknowledged, received) = (self.tally.chat.acknowledged, self.tally.chat.received);
        self.idle(measure)?;
        let (elapsed, after) = (start.elapsed(), read()?);
        let chat = &mut self.tally.chat;
        let mut written = Written {
            acknowledged: chat.acknowledged - acknowledged,
            received: chat.received - received,
            in_all: 0,
            elapsed,
            p50_ms: chat.latency.percentile_ms(50),
            p99_ms: chat.latency.percentile_ms(99),
            before,
            after,
        };
        chat.window = 0;
        let start = Instant::now();
        while !self.tally.chat.is_quiet() && start.elapsed() < self.patience {
            self.idle(STEP)?;
        }
        self.settle(self.patience)?;
        let chat = &self.tally.chat;
        if !chat.is_quiet() {
            let Chat { sent, acknowledged, received, .. } = chat;
            bail!("{sent} messages: {acknowledged} acknowledged, {received} received by others");
        }
        ensure!(written.acknowledged > 0, "no message was acknowledged");
        written.in_all = chat.acknowledged;
        Ok(written)
    }
}

/// Begins a group of these users over REST, as the first of them; its id.
///
/// # Errors
/// When it is refused.
pub fn begin_group(server: SocketAddr, users: &[u32]) -> Result<String> {
    let people: Vec<_> = users.iter().copied().map(token::user).collect();
    let body = json!({ "participantIds": people, "type": "group" }).to_string();
    let token = token::sign(*users.first().context("a group of nobody")?)?;
    let mut stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(REST_PATIENCE))?;
    let request = format!(
        "POST /api/conversations HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\
         Authorization: Bearer {token}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("half an answer")?;
    ensure!(head.starts_with("HTTP/1.1 201"), "no conversation was made: {answer}");
    let body: Value = serde_json::from_str(body)?;
    let id = body["conversation"]["id"].as_str().context("a conversation without id")?;
    Ok(id.to_owned())
}
