//! A websocket's request, read where it lies: one that begins a connection, came in one piece and is let
//! in is answered together with the session's first packet. Whatever else comes is left to HTTP
//! (`accept`), which answers the same, and says what is wrong with a request.

use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING},
    uri::PathAndQuery,
};
use httparse::{EMPTY_HEADER, Status};

use super::query::Query;

/// Where the door is.
const PATHS: [&str; 2] = ["/socket.io/", "/socket.io"];

/// Header fields of a request that is read here.
const MOST_FIELDS: usize = 32;

/// A request for a websocket.
pub(super) struct Asked {
    pub(super) query: Query,
    pub(super) headers: HeaderMap,
    /// How many bytes of what came it is.
    pub(super) length: usize,
}

impl Asked {
    /// The request that begins a connection; none when HTTP has to read it.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut fields = [EMPTY_HEADER; MOST_FIELDS];
        let mut request = httparse::Request::new(&mut fields);
        let Ok(Status::Complete(length)) = request.parse(bytes) else { return None };
        if (request.method, request.version) != (Some(Method::GET.as_str()), Some(1)) {
            return None;
        }
        let path: PathAndQuery = request.path?.parse().ok()?;
        if !PATHS.contains(&path.path()) {
            return None;
        }
        let query = Query::parse(path.query()).ok().filter(|query| query.websocket)?;
        let mut headers = HeaderMap::with_capacity(request.headers.len());
        for field in request.headers {
            let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
            headers.append(name, HeaderValue::from_bytes(field.value).ok()?);
        }
        let has_more = [CONTENT_LENGTH, TRANSFER_ENCODING, EXPECT];
        if has_more.iter().any(|name| headers.contains_key(name)) {
            return None;
        }
        Some(Self { query, headers, length })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &str = "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\n\r\n";

    #[test]
    fn a_whole_request_for_a_websocket_is_read_and_nothing_else() {
        let asked = Asked::read(format!("{REQUEST}rest").as_bytes()).unwrap();
        assert_eq!((asked.length, asked.headers["host"].as_bytes()), (REQUEST.len(), &b"x"[..]));
        for length in 0..REQUEST.len() {
            assert!(Asked::read(&REQUEST.as_bytes()[..length]).is_none(), "{length}");
        }
        for (from, to) in [
            ("GET", "POST"),
            ("HTTP/1.1", "HTTP/1.0"),
            ("/socket.io/", "/socket.io/x"),
            ("/socket.io/", "http://x/socket.io/"),
            ("transport=websocket", "transport=polling"),
            ("EIO=4", "EIO=5"),
            ("Host: x", "Content-Length: 1"),
            ("Host: x", "Transfer-Encoding: chunked"),
            ("Host: x", "Expect: 100-continue"),
            ("Host: x", "Host x"),
        ] {
            let request = REQUEST.replace(from, to);
            assert!(Asked::read(request.as_bytes()).is_none(), "{request}");
        }
        let many = REQUEST.replace("Host: x", &"A: b\r\n".repeat(MOST_FIELDS + 1));
        assert!(Asked::read(many.as_bytes()).is_none());
    }
}
