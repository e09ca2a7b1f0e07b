//! What strangers can make the server write to its log: a line once in a while, not one each time.

use serde_json::json;
use tempfile::TempDir;

use crate::support::{Client, Options, http_client, poll::Poll, process::Process, within};

/// How often each thing is done.
const TIMES: usize = 100;

/// A server on this folder, from which nobody is cut who does not connect.
async fn start(data: &TempDir) -> Process {
    // Who never connects is there until the test ends.
    Process::start(data.path(), &[("STOA_REALTIME__CONNECT_TIMEOUT", "10m")]).await
}

#[tokio::test]
async fn what_a_stranger_does_again_and_again_is_told_once() {
    let data = TempDir::new().expect("a folder");
    let server = start(&data).await;
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
    let log = server.kill().await;
    let refused = log.iter().filter(|line| line["message"] == "a handshake was refused").count();
    assert_eq!(refused, 1);
    assert!(log.len() <= 8, "{} lines: {:#?}", log.len(), &log[..10]);
}

#[tokio::test]
async fn origins_that_one_address_makes_up_are_told_of_a_few_times() {
    let data = TempDir::new().expect("a folder");
    let server = start(&data).await;
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
    let log = server.kill().await;
    let told = log.iter().filter(|line| line["origin"].is_string()).count();
    assert!((1..=5).contains(&told), "{told} lines");
}

#[tokio::test]
async fn a_page_that_may_not_call_is_told_of_once_with_what_lets_it() {
    let data = TempDir::new().expect("a folder");
    let server = start(&data).await;
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
    let log = server.kill().await;
    let told: Vec<_> = log.iter().filter(|line| line["origin"].is_string()).collect();
    assert_eq!(told.len(), 2, "{told:#?}");
    for line in told {
        let message = line["message"].as_str().expect("a text");
        assert!(line["level"] == "WARN" && message.contains("CLIENT_URL"), "{line}");
    }
}
