//! Long-polling (Engine.IO 4) over one kept HTTP connection: what is to be said goes out in a POST
//! before the next poll.

use anyhow::{Context, Result, bail, ensure};

use super::tally;

/// What parts the packets of a body.
const SEPARATOR: u8 = 0x1e;

/// The packets of an answer, and how long that is.
type Answer<'a> = (Vec<&'a [u8]>, usize);

/// The polls of one client.
#[derive(Default)]
pub struct Polls {
    sid: String,
    /// Packets that wait for the next POST.
    unsent: Vec<u8>,
    /// Whether a POST is under way, and no poll.
    posting: bool,
}

impl Polls {
    /// The request that opens the session.
    pub fn open() -> Vec<u8> {
        b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".into()
    }

    /// Has a packet sent before the next poll.
    pub fn send(&mut self, packet: &[u8]) {
        if !self.unsent.is_empty() {
            self.unsent.push(SEPARATOR);
        }
        self.unsent.extend_from_slice(packet);
    }

    /// What is asked next.
    pub fn next(&mut self) -> Vec<u8> {
        let target = format!("/socket.io/?EIO=4&transport=polling&sid={} HTTP/1.1", self.sid);
        let body = std::mem::take(&mut self.unsent);
        self.posting = !body.is_empty();
        if !self.posting {
            return format!("GET {target}\r\nHost: 127.0.0.1\r\n\r\n").into();
        }
        let length = body.len();
        let mut request = format!(
            "POST {target}\r\nHost: 127.0.0.1\r\nContent-Type: text/plain;charset=UTF-8\r\n\
             Content-Length: {length}\r\n\r\n"
        )
        .into_bytes();
        request.extend(body);
        request
    }

    /// The packets of an answer, and how long it is; `None` while it has not come whole. A POST's
    /// has none.
    ///
    /// # Errors
    /// When it is a refusal, or has no length.
    pub fn answer<'a>(&mut self, bytes: &'a [u8]) -> Result<Option<Answer<'a>>> {
        let Some(end) = tally::find(bytes, b"\r\n\r\n") else { return Ok(None) };
        let head = str::from_utf8(&bytes[..end])?;
        let (start, rest) = (end + 4, &bytes[end + 4..]);
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>())
        });
        let length = length.with_context(|| format!("an answer without a length: {head}"))??;
        let Some(body) = rest.get(..length) else { return Ok(None) };
        if !head.starts_with("HTTP/1.1 200 ") {
            bail!("a request was refused: {head} {}", String::from_utf8_lossy(body));
        }
        if self.posting {
            ensure!(body == b"ok", "a POST was answered with {}", String::from_utf8_lossy(body));
            return Ok(Some((Vec::new(), start + length)));
        }
        if self.sid.is_empty() {
            let opened = str::from_utf8(body)?.split_once(r#""sid":""#);
            let sid = opened.and_then(|(_, rest)| rest.split('"').next());
            self.sid = sid.context("a session without id")?.into();
        }
        Ok(Some((body.split(|byte| *byte == SEPARATOR).collect(), start + length)))
    }
}
