//! A long-polling client of either Engine.IO version, which changes to a websocket in the way of
//! the official clients.

use std::net::SocketAddr;

use http::StatusCode;
use serde::Serialize;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpSocket, TcpStream},
};

use super::{
    Seen, Violation,
    client::{Client, Packet, packet, question},
    within,
};
use crate::event::{ClientEvent, Namespace};

pub(super) struct Polling {
    http: reqwest::Client,
    address: SocketAddr,
    query: String,
    v3: bool,
    next_ack: u64,
    /// Packets that came in one body with those that have been taken.
    heard: std::collections::VecDeque<Packet>,
}

impl Polling {
    /// Opens a session; an Engine.IO 3 client is connected to `/` by that.
    pub(super) async fn open(address: SocketAddr, v3: bool) -> Seen<Self> {
        // reqwest is built without a provider of its own and asks for one even for plain HTTP.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        let query = if v3 { "EIO=3" } else { "EIO=4" }.to_owned();
        let heard = std::collections::VecDeque::new();
        let mut session = Self { http, address, query, v3, next_ack: 0, heard };
        let opened = session.get().await?;
        let (_, sid) = opened[0].split_once("\"sid\":\"").expect("a session id");
        session.query += "&sid=";
        session.query += sid.split('"').next().expect("an end");
        session.take(&opened)?;
        session.expect(&Packet::Open).await?;
        Ok(session)
    }

    /// Opens a session, connected to `/`.
    pub(super) async fn connected(address: SocketAddr, v3: bool) -> Seen<Self> {
        let mut session = Self::open(address, v3).await?;
        if !v3 {
            session.post("40").await?;
        }
        session.expect(&Packet::Connected(Namespace::Root)).await?;
        Ok(session)
    }

    /// The next packet; pings are answered.
    pub(super) async fn next(&mut self) -> Seen<Packet> {
        loop {
            match self.heard.pop_front() {
                Some(Packet::Ping) => self.post("3").await?,
                Some(Packet::Noop) => {}
                Some(packet) => return Ok(packet),
                None => self.poll().await?,
            }
        }
    }

    pub(super) async fn expect(&mut self, packet: &Packet) -> Seen<()> {
        let next = self.next().await?;
        if next == *packet {
            return Ok(());
        }
        Err(Violation::Order(format!("{next:?} instead of {packet:?}")))
    }

    /// Sends an event with a callback; the number of its acknowledgement.
    pub(super) async fn ask<P, A>(
        &mut self,
        namespace: Namespace,
        event: ClientEvent<P, A>,
        data: &impl Serialize,
    ) -> Seen<u64> {
        let ack = self.next_ack;
        self.next_ack += 1;
        self.post(&question(namespace, ack, event, data)).await?;
        Ok(ack)
    }

    /// Changes to a websocket while polls go on; what they still bring stays to be taken from here.
    pub(super) async fn upgrade(&mut self) -> Seen<Client> {
        self.upgrade_after(std::future::ready(Ok(()))).await
    }

    /// Changes to a websocket while polls go on, and no sooner than a POST has been answered.
    pub(super) async fn upgrade_after(
        &mut self,
        post: impl Future<Output = Seen<()>>,
    ) -> Seen<Client> {
        let (address, query) = (self.address, self.query.clone());
        let probe = tokio::spawn(async move {
            let mut websocket = Client::upgrade(address, &query, None).await?;
            websocket.send("2probe").await?;
            websocket.expect(&Packet::Probed).await?;
            Ok(websocket)
        });
        while !probe.is_finished() {
            self.poll().await?;
        }
        let mut websocket = probe.await.expect("no panic")?;
        post.await?;
        websocket.send("5").await?;
        websocket.continue_after(self.next_ack);
        Ok(websocket)
    }

    /// What the polls before the change still brought.
    pub(super) fn rest(&mut self) -> impl Iterator<Item = Packet> + '_ {
        self.heard.drain(..).filter(|packet| !matches!(packet, Packet::Ping | Packet::Noop))
    }

    /// Sends a poll on a connection that keeps little for who does not read.
    pub(super) async fn poll_unread(&self) -> Seen<TcpStream> {
        let sent = async {
            let socket = TcpSocket::new_v4()?;
            socket.set_recv_buffer_size(4096)?;
            let mut stream = socket.connect(self.address).await?;
            let get = format!(
                "GET /socket.io/?transport=polling&{} HTTP/1.1\r\nHost: localhost\r\n\
                 Connection: close\r\n\r\n",
                self.query
            );
            stream.write_all(get.as_bytes()).await?;
            std::io::Result::Ok(stream)
        };
        let lost = |error: std::io::Error| Violation::Lost(format!("a poll: {error}"));
        within("a poll", sent).await?.map_err(lost)
    }

    /// What names this session in an upgrade request.
    pub(super) fn query(&self) -> &str {
        &self.query
    }

    async fn poll(&mut self) -> Seen<()> {
        let packets = self.get().await?;
        self.take(&packets)
    }

    fn take(&mut self, packets: &[String]) -> Seen<()> {
        for text in packets {
            self.heard.push_back(packet(text)?);
        }
        Ok(())
    }

    async fn get(&self) -> Seen<Vec<String>> {
        let (status, body) = self.request(self.http.get(self.url())).await?;
        if status != StatusCode::OK {
            return Err(Violation::Lost(format!("a poll was answered with {status}: {body}")));
        }
        packets(&body, self.v3)
    }

    /// Sends CONNECT, beside whatever else this client does.
    pub(super) fn request_connect(&self) -> impl Future<Output = Seen<()>> + use<> {
        let request = self.http.post(self.url()).body("40").send();
        async move {
            let answer = within("an answer", request).await?;
            match answer.map(|answer| answer.status()) {
                Ok(StatusCode::OK) => Ok(()),
                other => Err(Violation::Lost(format!("CONNECT was answered with {other:?}"))),
            }
        }
    }

    /// Sends a packet.
    pub(super) async fn post(&self, packet: &str) -> Seen<()> {
        match self.post_status(packet).await? {
            StatusCode::OK => Ok(()),
            status => Err(Violation::Lost(format!("a POST was answered with {status}"))),
        }
    }

    pub(super) async fn post_status(&self, packet: &str) -> Seen<StatusCode> {
        let body = if self.v3 {
            format!("{}:{packet}", packet.encode_utf16().count())
        } else {
            packet.to_owned()
        };
        Ok(self.request(self.http.post(self.url()).body(body)).await?.0)
    }

    pub(super) async fn poll_status(&self) -> Seen<StatusCode> {
        Ok(self.request(self.http.get(self.url())).await?.0)
    }

    fn url(&self) -> String {
        format!("http://{}/socket.io/?transport=polling&{}", self.address, self.query)
    }

    async fn request(&self, request: reqwest::RequestBuilder) -> Seen<(StatusCode, String)> {
        let lost = |error: reqwest::Error| Violation::Lost(error.to_string());
        let answer = within("an answer", request.send()).await?.map_err(lost)?;
        let status = answer.status();
        Ok((status, within("a body", answer.text()).await?.map_err(lost)?))
    }
}

/// The packets of a body, strictly: a length that does not fit is a broken body.
fn packets(body: &str, v3: bool) -> Seen<Vec<String>> {
    if !v3 {
        return Ok(body.split('\u{1e}').map(str::to_owned).collect());
    }
    let bad = || Violation::Frame(format!("no payload: {body:?}"));
    let mut rest: Vec<u16> = body.encode_utf16().collect();
    let mut packets = Vec::new();
    while !rest.is_empty() {
        let colon = rest.iter().position(|unit| *unit == u16::from(b':')).ok_or_else(bad)?;
        let length = String::from_utf16(&rest[..colon]).ok().and_then(|text| text.parse().ok());
        let length: usize = length.ok_or_else(bad)?;
        let packet = rest.get(colon + 1..colon + 1 + length).ok_or_else(bad)?;
        packets.push(String::from_utf16(packet).map_err(|_| bad())?);
        rest.drain(..colon + 1 + length);
    }
    Ok(packets)
}
