//! A polling session by hand: it polls when the test says so, and not before.

use std::net::SocketAddr;

use serde_json::Value;

use super::{http_client, packet, within};

/// A session of either Engine.IO version.
pub struct Poll {
    http: reqwest::Client,
    /// What a request of this session asks for.
    pub url: String,
    protocol: u8,
    token: String,
}

impl Poll {
    /// Opens a session, connected to `/`.
    pub async fn connected(address: SocketAddr, protocol: u8, token: &str) -> Self {
        let session = Self::open(address, protocol, token).await;
        if protocol == 4 {
            assert_eq!(session.post(&session.connect("/")).await, 200);
        }
        session.until("40").await;
        session
    }

    /// Opens a session; one of version 3 shows its token with that.
    pub async fn open(address: SocketAddr, protocol: u8, token: &str) -> Self {
        let http = http_client();
        let url = format!("http://{address}/socket.io/?EIO={protocol}&transport=polling");
        let mut session = Self { http, url, protocol, token: token.to_owned() };
        let (status, packets) = session.get().await;
        assert_eq!(status, 200, "{packets:?}");
        let open: Value = serde_json::from_str(&packets[0][1..]).expect("an open packet");
        session.url.push_str("&sid=");
        session.url.push_str(open["sid"].as_str().expect("a sid"));
        session
    }

    /// CONNECT to a namespace.
    pub fn connect(&self, namespace: &str) -> String {
        packet::connect(namespace, &serde_json::json!({ "token": self.token }))
    }

    /// Sends a packet; the status of the answer.
    pub async fn post(&self, packet: &str) -> u16 {
        self.post_body(packet::payload(self.protocol, packet)).await
    }

    /// Sends one packet again and again in one body.
    pub async fn post_many(&self, packet: &str, times: usize) -> u16 {
        let one = packet::payload(self.protocol, packet);
        self.post_body(vec![one; times].join(if self.protocol == 4 { "\x1e" } else { "" })).await
    }

    async fn post_body(&self, body: String) -> u16 {
        self.post_bytes("text/plain;charset=UTF-8", body.into()).await
    }

    /// Sends a body of this type.
    pub async fn post_bytes(&self, kind: &str, body: Vec<u8>) -> u16 {
        let request = self.http.post(&self.url).header("content-type", kind).body(body).send();
        within("an answer", request).await.expect("an answer").status().as_u16()
    }

    /// Polls once: the status, and the packets.
    pub async fn get(&self) -> (u16, Vec<String>) {
        let token = format!("Bearer {}", self.token);
        let request = self.http.get(&self.url).header("authorization", token).send();
        let answer = within("an answer", request).await.expect("an answer");
        let status = answer.status().as_u16();
        let body = within("a body", answer.text()).await.expect("a body");
        (status, if status == 200 { packet::split(self.protocol, &body) } else { vec![body] })
    }

    /// Polls until a packet with this text has come; that, and the packets before it.
    pub async fn until(&self, text: &str) -> Vec<String> {
        let mut before = Vec::new();
        loop {
            let (status, packets) = self.get().await;
            assert_eq!(status, 200, "{packets:?} instead of {text}");
            before.extend(packets);
            if before.iter().any(|packet| packet.contains(text)) {
                return before;
            }
        }
    }
}
