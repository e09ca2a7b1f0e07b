//! Requests and their answers, read from the bytes of a connection (RFC 9112).

use std::{collections::VecDeque, mem};

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri,
    header::{CONTENT_LENGTH, TRANSFER_ENCODING},
};

use super::copies::Side;

/// The longest body that is read; what is longer is passed over.
const LONGEST_BODY: usize = 4 * 1024 * 1024;

/// The longest head of a request or an answer, as Node's servers take it and more.
const LONGEST_HEAD: usize = 64 * 1024;

/// Headers of one head.
const MOST_HEADERS: usize = 128;

/// Requests of a connection that wait for their answers.
const MOST_ASKED: usize = 32;

/// What is said is not in the protocol, or not within bounds: no more of the connection can be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

/// The head of a request.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
}

/// The head of an answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
}

/// What was read. The body is none where nobody wants it, or it is too long.
pub(super) enum Exchange<'a> {
    /// A request is whole.
    Asked(&'a Request, Option<&'a [u8]>),
    /// Its answer is.
    Answered(&'a Request, &'a Answer, Option<&'a [u8]>),
}

/// Another protocol is spoken from here on.
pub(super) struct Switched {
    pub(super) request: Request,
    pub(super) answer: Answer,
    /// What each side has said in it by now.
    pub(super) client: Vec<u8>,
    pub(super) server: Vec<u8>,
}

/// Both sides of a connection.
pub(super) struct Exchanges {
    client: Flow,
    server: Flow,
    /// What has no whole answer yet, in order.
    asked: VecDeque<Request>,
    answer: Option<Answer>,
    /// Whether the bodies of a request and of its answer are read.
    wanted: fn(&Request) -> bool,
}

/// Messages of one side: a head, a body, and again.
#[derive(Default)]
struct Flow {
    /// A head or a line that is not whole.
    begun: Vec<u8>,
    left: Left,
    body: Option<Vec<u8>>,
}

/// What is to come of a message.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Left {
    /// The head of the next one.
    #[default]
    Head,
    Bytes(u64),
    ChunkSize,
    Chunk(u64),
    ChunkEnd,
    Trailers,
    /// All until the connection ends.
    Everything,
}

impl Exchanges {
    pub(super) fn new(wanted: fn(&Request) -> bool) -> Self {
        Self {
            client: Flow::default(),
            server: Flow::default(),
            asked: VecDeque::new(),
            answer: None,
            wanted,
        }
    }

    /// Reads what a side says.
    ///
    /// # Errors
    /// [`Unreadable`]; then the rest is, too.
    pub(super) fn read(
        &mut self,
        side: Side,
        bytes: &[u8],
        tell: &mut impl FnMut(Exchange<'_>),
    ) -> Result<Option<Switched>, Unreadable> {
        match side {
            Side::Client => self.read_client(bytes, tell).map(|()| None),
            Side::Server => self.read_server(bytes, tell),
        }
    }

    /// The connection has ended, and with it an answer that lasts as long.
    pub(super) fn end(&mut self, tell: &mut impl FnMut(Exchange<'_>)) {
        if self.server.left == Left::Everything {
            self.answered(tell);
        }
    }

    fn read_client(
        &mut self,
        mut bytes: &[u8],
        tell: &mut impl FnMut(Exchange<'_>),
    ) -> Result<(), Unreadable> {
        loop {
            if self.client.left == Left::Head {
                let Some(head) = self.client.head(&mut bytes)? else { return Ok(()) };
                let request = request(&head)?;
                let left = body_of(&request.headers).unwrap_or(Left::Bytes(0));
                self.client.begin(left, (self.wanted)(&request));
                if self.asked.len() == MOST_ASKED {
                    return Err(Unreadable);
                }
                self.asked.push_back(request);
            }
            if !self.client.pass(&mut bytes)? {
                return Ok(());
            }
            let body = self.client.body.take();
            // One that was answered before it was whole is gone.
            if let Some(request) = self.asked.back() {
                tell(Exchange::Asked(request, body.as_deref()));
            }
        }
    }

    fn read_server(
        &mut self,
        mut bytes: &[u8],
        tell: &mut impl FnMut(Exchange<'_>),
    ) -> Result<Option<Switched>, Unreadable> {
        loop {
            if self.server.left == Left::Head {
                let Some(head) = self.server.head(&mut bytes)? else { return Ok(None) };
                let answer = answer(&head)?;
                if answer.status == StatusCode::SWITCHING_PROTOCOLS {
                    let request = self.asked.pop_front().ok_or(Unreadable)?;
                    let client = mem::take(&mut self.client.begun);
                    let server = bytes.to_vec();
                    return Ok(Some(Switched { request, answer, client, server }));
                }
                if answer.status.is_informational() {
                    continue;
                }
                let request = self.asked.front().ok_or(Unreadable)?;
                let has_none = request.method == Method::HEAD
                    || [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&answer.status);
                let left = match body_of(&answer.headers) {
                    _ if has_none => Left::Bytes(0),
                    Some(left) => left,
                    None => Left::Everything,
                };
                self.server.begin(left, (self.wanted)(request));
                self.answer = Some(answer);
            }
            if !self.server.pass(&mut bytes)? {
                return Ok(None);
            }
            self.answered(tell);
        }
    }

    fn answered(&mut self, tell: &mut impl FnMut(Exchange<'_>)) {
        let body = self.server.body.take();
        if let (Some(request), Some(answer)) = (self.asked.pop_front(), self.answer.take()) {
            tell(Exchange::Answered(&request, &answer, body.as_deref()));
        }
    }
}

impl Flow {
    /// The next head, once it is whole.
    fn head(&mut self, bytes: &mut &[u8]) -> Result<Option<Vec<u8>>, Unreadable> {
        if self.begun.is_empty() {
            // Lines between messages are passed over (RFC 9112, section 2.2).
            *bytes = bytes.trim_ascii_start();
        }
        let before = self.begun.len();
        self.begun.extend_from_slice(bytes);
        let from = before.saturating_sub(3);
        let end = self.begun[from..].windows(4).position(|four| four == b"\r\n\r\n");
        match end.map(|end| from + end + 4) {
            Some(end) => {
                *bytes = &bytes[end - before..];
                self.begun.truncate(end);
                Ok(Some(mem::take(&mut self.begun)))
            }
            None if self.begun.len() > LONGEST_HEAD => Err(Unreadable),
            None => Ok(None),
        }
    }

    fn begin(&mut self, left: Left, wanted: bool) {
        self.left = left;
        self.body = wanted.then(Vec::new);
    }

    /// Passes the body, as far as it is here; whether it is whole.
    fn pass(&mut self, bytes: &mut &[u8]) -> Result<bool, Unreadable> {
        loop {
            self.left = match self.left {
                Left::Head => return Ok(true),
                Left::Bytes(0) => Left::Head,
                Left::Chunk(0) => Left::ChunkEnd,
                Left::ChunkSize | Left::ChunkEnd | Left::Trailers => {
                    let Some(line) = self.line(bytes)? else { return Ok(false) };
                    self.after(&line)?
                }
                _ if bytes.is_empty() => return Ok(false),
                Left::Bytes(left) => Left::Bytes(self.take(bytes, left)),
                Left::Chunk(left) => Left::Chunk(self.take(bytes, left)),
                Left::Everything => {
                    self.take(bytes, u64::MAX);
                    Left::Everything
                }
            };
        }
    }

    /// What comes after a line of a chunked body (RFC 9112, section 7.1).
    fn after(&self, line: &[u8]) -> Result<Left, Unreadable> {
        Ok(match self.left {
            Left::ChunkSize => match httparse::parse_chunk_size(line) {
                Ok(httparse::Status::Complete((_, 0))) => Left::Trailers,
                Ok(httparse::Status::Complete((_, size))) => Left::Chunk(size),
                _ => return Err(Unreadable),
            },
            Left::ChunkEnd => Left::ChunkSize,
            _ if line == b"\r\n" => Left::Head,
            _ => Left::Trailers,
        })
    }

    /// The next line with its end, once it is whole.
    fn line(&mut self, bytes: &mut &[u8]) -> Result<Option<Vec<u8>>, Unreadable> {
        let end = bytes.iter().position(|byte| *byte == b'\n').map(|end| end + 1);
        let (here, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
        self.begun.extend_from_slice(here);
        *bytes = rest;
        match end {
            Some(_) => Ok(Some(mem::take(&mut self.begun))),
            None if self.begun.len() > LONGEST_HEAD => Err(Unreadable),
            None => Ok(None),
        }
    }

    /// Passes at most so many bytes of the body; how many are left of them.
    fn take(&mut self, bytes: &mut &[u8], most: u64) -> u64 {
        let length = usize::try_from(most).unwrap_or(usize::MAX).min(bytes.len());
        let (here, rest) = bytes.split_at(length);
        *bytes = rest;
        if let Some(body) = &mut self.body {
            if body.len() + length > LONGEST_BODY {
                self.body = None;
            } else {
                body.extend_from_slice(here);
            }
        }
        most - length as u64
    }
}

/// How long a body is; none where its headers do not say (RFC 9112, section 6.3).
fn body_of(headers: &HeaderMap) -> Option<Left> {
    if let Some(encoding) = headers.get_all(TRANSFER_ENCODING).iter().next_back() {
        let encoding = encoding.as_bytes().to_ascii_lowercase();
        return encoding.ends_with(b"chunked").then_some(Left::ChunkSize);
    }
    let length = headers.get(CONTENT_LENGTH)?.to_str().ok()?;
    length.trim().parse().ok().map(Left::Bytes)
}

fn request(head: &[u8]) -> Result<Request, Unreadable> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    request.parse(head).map_err(|_| Unreadable)?;
    let method = request.method.and_then(|method| method.parse().ok()).ok_or(Unreadable)?;
    // What is no address has nothing to do with Socket.IO.
    let uri = request.path.and_then(|path| path.parse().ok()).unwrap_or_default();
    Ok(Request { method, uri, headers: map(request.headers) })
}

fn answer(head: &[u8]) -> Result<Answer, Unreadable> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut answer = httparse::Response::new(&mut headers);
    answer.parse(head).map_err(|_| Unreadable)?;
    let status = answer.code.and_then(|code| StatusCode::from_u16(code).ok()).ok_or(Unreadable)?;
    Ok(Answer { status, headers: map(answer.headers) })
}

fn map(headers: &[httparse::Header<'_>]) -> HeaderMap {
    let pairs = headers.iter().filter_map(|header| {
        let name = HeaderName::from_bytes(header.name.as_bytes()).ok()?;
        Some((name, HeaderValue::from_bytes(header.value).ok()?))
    });
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        map.append(name, value);
    }
    map
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read of both sides' bytes, given in pieces of this length.
    fn read(said: &[(Side, &str)], piece: usize) -> Vec<String> {
        let mut exchanges = Exchanges::new(|request| request.uri.path() != "/unwanted");
        let mut seen = Vec::new();
        let text = |body: Option<&[u8]>| body.map(|body| String::from_utf8(body.to_vec()).unwrap());
        let mut tell = |exchange: Exchange<'_>| {
            seen.push(match exchange {
                Exchange::Asked(request, body) => {
                    format!("{} {} {:?}", request.method, request.uri, text(body))
                }
                Exchange::Answered(request, answer, body) => {
                    format!("{} {} {:?}", request.uri, answer.status.as_u16(), text(body))
                }
            });
        };
        let mut last = None;
        for (side, bytes) in said {
            for bytes in bytes.as_bytes().chunks(piece) {
                match exchanges.read(*side, bytes, &mut tell) {
                    Ok(None) => {}
                    Ok(Some(Switched { request, client, server, .. })) => {
                        let text = |bytes| String::from_utf8(bytes).unwrap();
                        last = Some(format!("{} {}|{}", request.uri, text(client), text(server)));
                    }
                    Err(Unreadable) => last = Some("unreadable".to_owned()),
                }
            }
        }
        exchanges.end(&mut tell);
        seen.extend(last);
        seen
    }

    #[test]
    fn requests_and_answers_come_in_pairs_however_their_bytes_are_cut() {
        use Side::{Client, Server};
        let said = [
            (Client, "GET /a?b HTTP/1.1\r\nHost: x\r\n\r\n\r\nPOST /c HTTP/1.1\r\n"),
            (Client, "Content-Length: 3\r\n\r\nabcHEAD /d HTTP/1.1\r\n\r\n"),
            (Server, "HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n"),
            (Server, "3;x=y\r\none\r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n"),
            (Server, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n\r\n"),
            (Server, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"),
            (Client, "POST /unwanted HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"),
            (Client, "2\r\nno\r\n0\r\n\r\n"),
            (Server, "HTTP/1.0 404 No\r\n\r\nuntil it ends"),
        ];
        for piece in [1, 2, 3, 7, 10_000] {
            assert_eq!(
                read(&said, piece),
                [
                    "GET /a?b Some(\"\")",
                    "POST /c Some(\"abc\")",
                    "HEAD /d Some(\"\")",
                    "/a?b 200 Some(\"one0123456789\")",
                    "/c 204 Some(\"\")",
                    "/d 200 Some(\"\")",
                    "POST /unwanted None",
                    "/unwanted 404 None",
                ]
            );
        }
    }

    #[test]
    fn what_comes_after_a_change_of_protocol_belongs_to_it() {
        let said = [
            (Side::Client, "GET /w HTTP/1.1\r\nUpgrade: websocket\r\n\r\n"),
            (Side::Server, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\nrest"),
        ];
        assert_eq!(read(&said, 10_000), ["GET /w Some(\"\")", "/w |rest"]);
    }

    #[test]
    fn what_is_not_http_is_not_read() {
        let long = format!("GET / HTTP/1.1\r\nA: {}", "x".repeat(LONGEST_HEAD));
        let many = "GET / HTTP/1.1\r\n\r\n".repeat(MOST_ASKED + 1);
        for bytes in ["\u{16}\u{3}\u{1} hello\r\n\r\n", &long, &many] {
            let last = read(&[(Side::Client, bytes)], 100_000).pop();
            assert_eq!(last.as_deref(), Some("unreadable"), "{bytes:.20}");
        }
        let answered = [(Side::Server, "HTTP/1.1 200 OK\r\n\r\n")];
        assert_eq!(read(&answered, 100), ["unreadable"], "nobody has asked");
    }

    #[test]
    fn a_body_that_is_too_long_is_passed_over() {
        let body = "x".repeat(LONGEST_BODY + 1);
        let head = format!("POST /a HTTP/1.1\r\nContent-Length: {}\r\n\r\n", body.len());
        let said = [head, body, "GET /b HTTP/1.1\r\n\r\n".to_owned()];
        let said = said.each_ref().map(|text| (Side::Client, &**text));
        assert_eq!(read(&said, 16_384), ["POST /a None", "GET /b Some(\"\")"]);
    }
}
