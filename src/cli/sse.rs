//! Server-sent events, as far as this server sends them
//! (<https://html.spec.whatwg.org/multipage/server-sent-events.html>): a name and a JSON document each.

use anyhow::{Context, Result, ensure};
use reqwest::{
    Response,
    header::{CONTENT_TYPE, HeaderValue},
};
use serde_json::Value;

/// Bytes of an event, beyond which it is none of Stoa's.
const MOST: usize = 1 << 20;

/// The events of an answer, as they come.
pub struct Events {
    answer: Response,
    unread: Vec<u8>,
}

impl Events {
    /// Those of an answer that has some.
    pub(super) fn of(answer: Response) -> Result<Self> {
        let says_so = |name: &HeaderValue| name.as_bytes().starts_with(b"text/event-stream");
        let is_one = answer.headers().get(CONTENT_TYPE).is_some_and(says_so);
        ensure!(is_one, "this is no answer of Stoa's");
        Ok(Self { answer, unread: Vec::new() })
    }

    /// The next one's name and data; none when the server has ended the answer.
    ///
    /// # Errors
    /// When it breaks off, or is none of Stoa's.
    pub async fn next(&mut self) -> Result<Option<(String, Value)>> {
        loop {
            while let Some(end) = self.unread.windows(2).position(|two| two == b"\n\n") {
                let block: Vec<u8> = self.unread.drain(..end + 2).collect();
                if let Some(event) = read(&block)? {
                    return Ok(Some(event));
                }
            }
            ensure!(self.unread.len() <= MOST, "this is no answer of Stoa's");
            let Some(more) = self.answer.chunk().await.context("the answer broke off")? else {
                return Ok(None);
            };
            self.unread.extend_from_slice(&more);
        }
    }
}

/// One event; none of a comment, which says that somebody is there.
fn read(block: &[u8]) -> Result<Option<(String, Value)>> {
    let block = str::from_utf8(block).context("this is no answer of Stoa's")?;
    let field = |name: &str| {
        let mut lines = block.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        lines.next().map(|value| value.strip_prefix(' ').unwrap_or(value))
    };
    let (Some(name), Some(data)) = (field("event"), field("data")) else { return Ok(None) };
    let data = serde_json::from_str(data).context("this is no answer of Stoa's")?;
    Ok(Some((name.to_owned(), data)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_has_a_name_and_data_and_a_comment_is_none() {
        let read = |block: &str| read(block.as_bytes()).unwrap();
        assert_eq!(read(":\n\n"), None);
        let event = read("event: sent\ndata: {\"a\":1}\n\n");
        assert_eq!(event, Some(("sent".to_owned(), json!({ "a": 1 }))));
        assert!(super::read(b"event: sent\ndata: <\n\n").is_err());
    }
}
