//! What strangers can make the server write to its log: a line once in a while, not one each time.

use std::{net::SocketAddr, process::Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

use crate::support::{
    Client, DEADLINE, Options, app::SECRET, http_client, poll::Poll, within, within_time,
};

/// How often each thing is done.
const TIMES: usize = 100;

/// The binary as a process of its own, with its log.
struct Server {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    address: SocketAddr,
    _data: TempDir,
}

impl Server {
    async fn start() -> Self {
        let data = TempDir::new().expect("a folder");
        let mut command = Command::new(env!("CARGO_BIN_EXE_stoa"));
        command.env_clear().current_dir(data.path()).env("STOA_DATA", data.path());
        command.env("HOST", "127.0.0.1").env("PORT", "0").env("JWT_SECRET", SECRET);
        command.env("LOG_LEVEL", "info").env("LOG_FORMAT", "json");
        // Who never connects is there until the test ends.
        command.env("STOA_REALTIME__CONNECT_TIMEOUT", "10m");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.kill_on_drop(true).spawn().expect("the server's process");
        let mut lines = BufReader::new(child.stdout.take().expect("its log")).lines();
        let address = within_time(4 * DEADLINE, "the server to listen", async {
            loop {
                let line = lines.next_line().await.expect("a line").expect("a server that lives");
                let line: Value = serde_json::from_str(&line).expect("JSON");
                if line["message"] == "listening" {
                    break line["address"].as_str().expect("an address").parse();
                }
            }
        })
        .await
        .expect("an address");
        Self { child, lines, address, _data: data }
    }

    /// What it has written since it listened.
    async fn log(mut self) -> Vec<Value> {
        self.child.start_kill().expect("a process");
        let mut log = Vec::new();
        let read = async {
            while let Some(line) = self.lines.next_line().await.expect("a line") {
                log.push(serde_json::from_str(&line).expect("JSON"));
            }
        };
        within("the end of the log", read).await;
        log
    }
}

#[tokio::test]
async fn what_a_stranger_does_again_and_again_is_told_once() {
    let server = Server::start().await;
    let address = server.address;
    let bad = json!({ "token": "not.a.token" });
    let mut client = Client::open(address, Options::websocket()).await.expect("a websocket");
    let polling = Poll::open(address, 4, "not.a.token").await;
    let http = http_client();
    let url = |path: &str| format!("http://{address}{path}");
    for _ in 0..TIMES {
        client.join_namespace("/", &bad).await.expect_err("refused");
        assert_eq!(polling.post(&polling.connect("/")).await, 200);
        polling.until("44").await;
        for request in [
            http.get(url("/api/conversations")),
            http.get(url("/nowhere")),
            http.get(url("/api/openapi.json")),
            http.head(url("/api/docs")),
            http.post(url("/api/webhooks/shkeeper/a-guess")).body("{}"),
            http.get(url("/socket.io/?EIO=4&transport=polling&sid=x")),
            http.get(url("/socket.io/?EIO=4&transport=polling"))
                .header("origin", "http://elsewhere.example"),
        ] {
            within("an answer", request.send()).await.expect("an answer");
        }
    }
    let log = server.log().await;
    let refused = log.iter().filter(|line| line["message"] == "a handshake was refused").count();
    assert_eq!(refused, 1);
    assert!(log.len() <= 8, "{} lines: {:#?}", log.len(), &log[..10]);
}

#[tokio::test]
async fn origins_that_one_address_makes_up_are_told_of_a_few_times() {
    let server = Server::start().await;
    let http = http_client();
    for n in 0..100 {
        for path in ["/livez", "/socket.io/?EIO=4&transport=polling"] {
            for method in [reqwest::Method::GET, reqwest::Method::OPTIONS] {
                let url = format!("http://{}{path}", server.address);
                let request = http.request(method, url);
                let origin = format!("https://{n}.example");
                let answer = request.header("origin", origin).send();
                within("an answer", answer).await.expect("an answer");
            }
        }
    }
    let log = server.log().await;
    let told = log.iter().filter(|line| line["origin"].is_string()).count();
    assert!((1..=5).contains(&told), "{told} lines");
}

#[tokio::test]
async fn a_page_that_may_not_call_is_told_of_once_with_what_lets_it() {
    let server = Server::start().await;
    let http = http_client();
    for origin in ["https://one.example", "https://other.example"] {
        for _ in 0..TIMES {
            for path in ["/api/conversations", "/socket.io/?EIO=4&transport=polling"] {
                for method in [reqwest::Method::GET, reqwest::Method::OPTIONS] {
                    let request = http.request(method, format!("http://{}{path}", server.address));
                    within("an answer", request.header("origin", origin).send())
                        .await
                        .expect("an answer");
                }
            }
        }
    }
    let log = server.log().await;
    let told: Vec<_> = log.iter().filter(|line| line["origin"].is_string()).collect();
    assert_eq!(told.len(), 2, "{told:#?}");
    for line in told {
        let message = line["message"].as_str().expect("a text");
        assert!(line["level"] == "WARN" && message.contains("CLIENT_URL"), "{line}");
    }
}
