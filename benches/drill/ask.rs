//! The lists that are asked for, and how long their answers take.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};
use stoa::clock::Clock;

use super::{
    engine::SECRET,
    fill::{LONG, first_group, message_id},
};

/// Answers of which the median counts.
const TIMES: usize = 21;

const PATIENCE: Duration = Duration::from_mins(1);

/// A list that somebody asks for.
pub struct List {
    /// What it is.
    pub name: &'static str,
    user: &'static str,
    role: &'static str,
    path: &'static str,
}

/// How an answer came.
pub struct Asked {
    /// Milliseconds; the median of several.
    pub took_ms: f64,
    /// The longest of them.
    pub worst_ms: f64,
    /// Of the body.
    pub bytes: usize,
    /// What is in the list.
    pub items: usize,
}

const fn list(
    name: &'static str,
    user: &'static str,
    role: &'static str,
    path: &'static str,
) -> List {
    List { name, user, role, path }
}

/// What is asked for; `{long}`, `{group}` and `{message}` stand for ids.
pub const LISTS: [List; 29] = [
    list("a buyer without requests", "nobody", "buyer", "/marketplace/requests"),
    list("paid ones, a new seller", "nobody", "seller", "/marketplace/requests?status=paid"),
    list("a new seller", "nobody", "seller", "/marketplace/requests"),
    list("of a buyer, a new seller", "nobody", "seller", "/marketplace/requests?buyerId=b000001"),
    list("a buyer's 200", "b000000", "buyer", "/marketplace/requests"),
    list("a buyer's cancelled ones", "b000000", "buyer", "/marketplace/requests?status=cancelled"),
    list("a seller with 70,000 offers", "busy", "seller", "/marketplace/requests"),
    list("theirs called off", "busy", "seller", "/marketplace/requests?status=cancelled"),
    list("all requests", "root", "admin", "/marketplace/requests"),
    list("all that are shipped", "root", "admin", "/marketplace/requests?status=shipped"),
    list("payments of somebody without", "nobody", "buyer", "/payments"),
    list("payments of a seller", "s0001", "seller", "/payments"),
    list("all payments", "root", "admin", "/payments"),
    list("20 conversations", "early", "user", "/conversations?limit=10"),
    list("2,000, 300,000 unread", "reader", "user", "/conversations?limit=10"),
    list("2,000 active in 2 minutes", "hasty", "user", "/conversations?limit=10"),
    list("50 groups of 1,000", "crowded", "user", "/conversations?limit=10"),
    list("one with 300,000 unread", "behind", "user", "/conversations"),
    list("300,000 of one's own", "writer", "user", "/conversations"),
    list("that conversation", "behind", "user", "/conversations/{long}"),
    list("its messages", "behind", "user", "/conversations/{long}/messages"),
    list(
        "those after the first",
        "behind",
        "user",
        "/conversations/{long}/messages?after={message}",
    ),
    list("people of a group", "crowded", "user", "/conversations/{group}/participants"),
    list("10 notifications", "told", "user", "/notifications"),
    list("100,000 notifications", "overtold", "user", "/notifications"),
    list("the unread of them", "overtold", "user", "/notifications?unread=true"),
    list("how many are unread", "overtold", "user", "/notifications/unread-count"),
    list("a ledger of 100,000", "earner", "user", "/points/me/ledger"),
    list("its balance", "earner", "user", "/points/me"),
];

impl List {
    /// Asks once.
    ///
    /// # Errors
    /// When the answer is not a list, or an object.
    pub fn ask(&self, server: SocketAddr) -> Result<Asked> {
        let path = self.path.replace("{long}", LONG).replace("{group}", &first_group());
        let path = path.replace("{message}", &message_id(LONG, 1));
        let (took_ms, status, body) = call(server, "GET", &path, (self.user, self.role), None)?;
        ensure!(status == 200, "{}: {status} {body}", self.name);
        let value: Value = serde_json::from_str(&body)?;
        let items = value["items"].as_array().map_or(1, Vec::len);
        Ok(Asked { took_ms, worst_ms: took_ms, bytes: body.len(), items })
    }

    /// Asks several times, after a first one that does not count.
    ///
    /// # Errors
    /// Those of [`List::ask`].
    pub fn ask_warm(&self, server: SocketAddr) -> Result<Asked> {
        let first = self.ask(server)?;
        let asked = (0..TIMES).map(|_| Ok(self.ask(server)?.took_ms));
        let mut took: Vec<f64> = asked.collect::<Result<_>>()?;
        took.sort_by(f64::total_cmp);
        Ok(Asked { took_ms: took[TIMES / 2], worst_ms: took[TIMES - 1], ..first })
    }
}

/// Calls the REST API as a user with a role: the milliseconds until the answer was there, its status
/// and its body.
///
/// # Errors
/// When there is no answer.
pub fn call(
    server: SocketAddr,
    method: &str,
    path: &str,
    (user, role): (&str, &str),
    body: Option<&Value>,
) -> Result<(f64, u16, String)> {
    let token = sign(user, role)?;
    let body = body.map(Value::to_string).unwrap_or_default();
    let mut stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let request = format!(
        "{method} /api{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\
         Authorization: Bearer {token}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut answer = String::new();
    let start = Instant::now();
    stream.write_all(request.as_bytes())?;
    stream.read_to_string(&mut answer)?;
    let took_ms = start.elapsed().as_secs_f64() * 1e3;
    let (head, body) = answer.split_once("\r\n\r\n").context("half an answer")?;
    let status = head.split(' ').nth(1).context("an answer without a status")?.parse()?;
    Ok((took_ms, status, body.to_owned()))
}

fn sign(user: &str, role: &str) -> Result<String> {
    let now = Clock::system().now().seconds();
    let claims = json!({ "userId": user, "roles": [role], "iat": now, "exp": now + 3600 });
    Ok(encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET.as_bytes()))?)
}
