//! A client with a websocket, which comes back to its session as the official one does.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, client::IntoClientRequest, http::HeaderValue},
};

/// A connection, and what it needs to come back.
pub struct Client {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    pub session: Session,
    /// Whether it goes on where it was.
    pub is_recovered: bool,
}

/// What a client shows when it comes back.
#[derive(Clone, Default)]
pub struct Session {
    pid: String,
    offset: String,
}

/// An event, and its argument.
pub struct Event {
    pub name: String,
    pub data: Value,
}

impl Client {
    /// A connection, anew or in a session.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn connect(address: SocketAddr, token: &str, session: Session) -> Result<Self> {
        let url = format!("ws://{address}/socket.io/?EIO=4&transport=websocket");
        // As browsers ask, so that it is told offsets.
        let mut request = url.into_client_request()?;
        let offered = HeaderValue::from_static("permessage-deflate; client_max_window_bits");
        request.headers_mut().insert("sec-websocket-extensions", offered);
        let (socket, _) = connect_async(request).await?;
        let mut auth = json!({ "token": token });
        if !session.pid.is_empty() {
            auth["pid"] = session.pid.as_str().into();
            auth["offset"] = session.offset.as_str().into();
        }
        let mut this = Self { socket, session, is_recovered: false };
        this.send(format!("40{auth}")).await?;
        loop {
            let packet = this.packet().await?;
            if let Some(connected) = packet.strip_prefix("40") {
                let connected: Value = serde_json::from_str(connected)?;
                let pid = connected["pid"].as_str().context("no session")?.to_owned();
                this.is_recovered = pid == this.session.pid;
                this.session.pid = pid;
                return Ok(this);
            }
            if packet.starts_with("44") {
                bail!("refused: {packet}");
            }
        }
    }

    /// Enters a room.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn join(&mut self, conversation: &str) -> Result<()> {
        self.send(format!("420{}", json!(["conversation:join", conversation]))).await?;
        while !self.packet().await?.starts_with("430") {}
        Ok(())
    }

    /// The next event.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn event(&mut self) -> Result<Event> {
        loop {
            let packet = self.packet().await?;
            let Some(arguments) = packet.strip_prefix("42") else { continue };
            let mut arguments: Vec<Value> = serde_json::from_str(arguments)?;
            if let Some(offset) = arguments.get(2).and_then(Value::as_str) {
                offset.clone_into(&mut self.session.offset);
            }
            let data = arguments.get_mut(1).map(Value::take).unwrap_or_default();
            return Ok(Event { name: arguments[0].as_str().unwrap_or_default().to_owned(), data });
        }
    }

    async fn packet(&mut self) -> Result<String> {
        loop {
            match self.socket.next().await.context("the server closed")?? {
                Message::Text(text) if text.as_str() == "2" => self.send("3".to_owned()).await?,
                Message::Text(text) => return Ok(text.as_str().to_owned()),
                Message::Close(_) => bail!("the server closed"),
                _ => {}
            }
        }
    }

    async fn send(&mut self, packet: String) -> Result<()> {
        Ok(self.socket.send(Message::text(packet)).await?)
    }
}
