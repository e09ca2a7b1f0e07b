//! What others' writes cost while somebody with many messages is erased.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use serde_json::json;

use super::{ask::call, fill::first_of_early};

/// Messages that are sent, one after the other, first alone, then beside the erasure.
const WRITES: usize = 1000;

/// The one who wrote a third of all messages.
const WRITER: &str = "writer";

const ADMIN: (&str, &str) = ("root", "admin");

/// How long writes took, in milliseconds.
pub struct Writes {
    /// The median.
    pub median_ms: f64,
    /// That of which one in a hundred took longer.
    pub p99_ms: f64,
}

/// Writes alone, writes beside an erasure, and whether it went on until the last of them.
///
/// # Errors
/// When something is not answered as it should.
pub fn erase(server: SocketAddr) -> Result<(Writes, Writes, bool)> {
    let alone = write(server)?;
    let path = format!("/users/{WRITER}");
    let (_, status, body) = call(server, "DELETE", &path, ADMIN, None)?;
    ensure!(status == 202 || status == 204, "the erasure: {status} {body}");
    let beside = write(server)?;
    let export = format!("{path}/export");
    let (_, status, _) = call(server, "GET", &export, ADMIN, None)?;
    Ok((alone, beside, status == 409))
}

fn write(server: SocketAddr) -> Result<Writes> {
    let path = format!("/conversations/{}/messages", first_of_early());
    let body = json!({ "content": "Somebody is erased, and others go on." });
    let mut took = Vec::with_capacity(WRITES);
    for _ in 0..WRITES {
        let (took_ms, status, body) = call(server, "POST", &path, ("early", "user"), Some(&body))?;
        ensure!(status == 201, "a message: {status} {body}");
        took.push(took_ms);
    }
    took.sort_by(f64::total_cmp);
    Ok(Writes { median_ms: took[WRITES / 2], p99_ms: took[WRITES * 99 / 100] })
}
