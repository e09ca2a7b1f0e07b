//! The client's transports: one task per connection that reads packets, answers pings and writes
//! what it is told to.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use http::HeaderMap;
use tokio::{
    net::{TcpSocket, TcpStream},
    sync::{mpsc, oneshot},
    time::{Duration, Instant, Interval, interval_at},
};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        Error as WsError, Message, client::IntoClientRequest, protocol::WebSocketConfig,
    },
};
use tokio_util::task::AbortOnDropHandle;

use super::{options::ConnectError, packet};

/// What the client tells its transport.
pub enum Command {
    /// Write one Engine.IO packet.
    Send(String),
    /// Change from polling to websocket; says when it is done.
    Upgrade(oneshot::Sender<()>),
    /// Read nothing more.
    StopReading,
    /// End as a browser does.
    Close,
    /// Cut the connection: RST, no close frame.
    Abort,
}

/// What the transport tells its client.
#[derive(Debug)]
pub enum Wire {
    /// An Engine.IO packet.
    Packet(String),
    /// The end, and how it came: `close frame 1009`, `end of stream`, `GET answered 400`, …
    Closed(String),
}

/// How to reach the server.
#[derive(Clone)]
pub struct Route {
    pub address: SocketAddr,
    pub protocol: u8,
    pub headers: HeaderMap,
    /// `&name=value`, as often as needed.
    pub query: String,
    pub answer_pings: bool,
    pub receive_buffer: Option<u32>,
}

impl Route {
    fn url(&self, scheme: &str, transport: &str) -> String {
        let Self { address, protocol, query, .. } = self;
        format!("{scheme}://{address}/socket.io/?EIO={protocol}&transport={transport}{query}")
    }
}

/// The client's ends of the two channels.
pub type Ends = (mpsc::UnboundedSender<Command>, mpsc::UnboundedReceiver<Wire>);

struct Driver {
    route: Route,
    commands: mpsc::UnboundedReceiver<Command>,
    wire: mpsc::UnboundedSender<Wire>,
    pings: Option<Interval>,
}

/// Opens a websocket and starts its task.
pub async fn websocket(route: Route) -> Result<Ends, ConnectError> {
    let socket = open_websocket(&route, None).await?;
    let (driver, ends) = driver(route);
    tokio::spawn(driver.run_websocket(socket));
    Ok(ends)
}

/// Opens a polling session and starts its task.
pub async fn polling(route: Route) -> Result<Ends, ConnectError> {
    let http = super::http_client();
    let url = route.url("http", "polling");
    let answer = http.get(&url).headers(route.headers.clone()).send().await?;
    let status = answer.status().as_u16();
    let body = answer.text().await?;
    if status != 200 {
        return Err(ConnectError::Http { status, body });
    }
    let (mut driver, ends) = driver(route);
    let mut sid = String::new();
    for text in packet::split(driver.route.protocol, &body) {
        if let Some(open) = text.strip_prefix('0') {
            let open: serde_json::Value = serde_json::from_str(open).expect("an open packet");
            open["sid"].as_str().expect("a sid").clone_into(&mut sid);
        }
        driver.received(text);
    }
    tokio::spawn(driver.run_polling(http, sid));
    Ok(ends)
}

fn driver(route: Route) -> (Driver, Ends) {
    let (to_driver, commands) = mpsc::unbounded_channel();
    let (wire, from_driver) = mpsc::unbounded_channel();
    (Driver { route, commands, wire, pings: None }, (to_driver, from_driver))
}

async fn open_websocket(
    route: &Route,
    sid: Option<&str>,
) -> Result<WebSocketStream<TcpStream>, ConnectError> {
    let socket = TcpSocket::new_v4()?;
    if let Some(bytes) = route.receive_buffer {
        socket.set_recv_buffer_size(bytes)?;
    }
    let stream = socket.connect(route.address).await?;
    stream.set_nodelay(true)?;
    let sid = sid.map(|sid| format!("&sid={sid}")).unwrap_or_default();
    let url = route.url("ws", "websocket") + &sid;
    let mut request = url.into_client_request().expect("a request");
    request.headers_mut().extend(route.headers.clone());
    let config = WebSocketConfig::default().read_buffer_size(4096).write_buffer_size(0);
    match client_async_with_config(request, stream, Some(config)).await {
        Ok((socket, _)) => Ok(socket),
        Err(WsError::Http(answer)) => Err(ConnectError::Http {
            status: answer.status().as_u16(),
            body: String::from_utf8_lossy(answer.body().as_deref().unwrap_or_default()).into(),
        }),
        Err(error) => Err(ConnectError::Closed(error.to_string())),
    }
}

impl Driver {
    /// Hands a packet to the client; says what to answer.
    fn received(&mut self, text: String) -> Option<&'static str> {
        if self.route.protocol == 3 && text.starts_with('0') {
            let open: serde_json::Value = serde_json::from_str(&text[1..]).expect("an open packet");
            let every = Duration::from_millis(open["pingInterval"].as_u64().expect("pingInterval"));
            self.pings = Some(interval_at(Instant::now() + every, every));
        }
        let pong = self.route.protocol == 4 && self.route.answer_pings && text == "2";
        let _ = self.wire.send(Wire::Packet(text));
        pong.then_some("3")
    }

    fn closed(&self, how: impl Into<String>) {
        let _ = self.wire.send(Wire::Closed(how.into()));
    }

    async fn run_websocket(mut self, mut socket: WebSocketStream<TcpStream>) {
        let mut reading = true;
        loop {
            let write = tokio::select! {
                command = self.commands.recv() => match command {
                    Some(Command::Send(text)) => Some(text),
                    Some(Command::StopReading) => {
                        reading = false;
                        None
                    }
                    Some(Command::Close) => {
                        let _ = socket.close(None).await;
                        None
                    }
                    Some(Command::Abort) => {
                        let _ = socket.get_ref().set_zero_linger();
                        return self.closed("aborted");
                    }
                    Some(Command::Upgrade(_)) | None => return,
                },
                frame = socket.next(), if reading => match frame {
                    Some(Ok(Message::Text(text))) => {
                        self.received(text.as_str().to_owned()).map(str::to_owned)
                    }
                    Some(Ok(Message::Binary(_))) => {
                        self.received("b".to_owned());
                        None
                    }
                    Some(Ok(Message::Close(frame))) => {
                        let code = frame.map_or(1005, |frame| u16::from(frame.code));
                        let _ = socket.close(None).await;
                        return self.closed(format!("close frame {code}"));
                    }
                    Some(Ok(_)) => None,
                    Some(Err(error)) => return self.closed(error.to_string()),
                    None => return self.closed("end of stream"),
                },
                () = tick(&mut self.pings) => Some("2".to_owned()),
            };
            if let Some(text) = write
                && let Err(error) = socket.send(Message::text(text)).await
            {
                return self.closed(error.to_string());
            }
        }
    }

    async fn run_polling(mut self, http: reqwest::Client, sid: String) {
        let protocol = self.route.protocol;
        let url = format!("{}&sid={sid}", self.route.url("http", "polling"));
        let headers = self.route.headers.clone();
        let get =
            || AbortOnDropHandle::new(tokio::spawn(poll(http.get(&url).headers(headers.clone()))));
        let (mut next, mut reading) = (get(), true);
        loop {
            let mut writes = Vec::new();
            tokio::select! {
                command = self.commands.recv() => match command {
                    Some(Command::Send(text)) => writes.push(text),
                    Some(Command::StopReading) => reading = false,
                    Some(Command::Close) => writes.push("1".to_owned()),
                    Some(Command::Abort) => return self.closed("aborted"),
                    Some(Command::Upgrade(done)) => {
                        let socket = match self.probe(&sid).await {
                            Ok(socket) => socket,
                            Err(error) => return self.closed(format!("no upgrade: {error}")),
                        };
                        // As the official client: no new poll, and the open one is waited for.
                        match next.await.expect("the poll") {
                            Ok(body) => for text in packet::split(protocol, &body) {
                                self.received(text);
                            },
                            Err(how) => return self.closed(how),
                        }
                        return self.switch(socket, done).await;
                    }
                    None => return,
                },
                body = &mut next, if reading => match body.expect("the poll") {
                    Ok(body) => {
                        for text in packet::split(protocol, &body) {
                            if text == "1" {
                                return self.closed("close packet");
                            }
                            writes.extend(self.received(text).map(str::to_owned));
                        }
                        next = get();
                    }
                    Err(how) => return self.closed(how),
                },
                () = tick(&mut self.pings) => writes.push("2".to_owned()),
            }
            for text in writes {
                let request = http.post(&url).headers(headers.clone());
                let request = request.header("content-type", "text/plain;charset=UTF-8");
                match request.body(packet::payload(protocol, &text)).send().await {
                    Ok(answer) if answer.status() == 200 => {}
                    Ok(answer) => {
                        return self.closed(format!("POST answered {}", answer.status().as_u16()));
                    }
                    Err(error) => return self.closed(error.to_string()),
                }
            }
        }
    }

    /// `2probe` → `3probe` on a websocket of the same session.
    async fn probe(&self, sid: &str) -> Result<WebSocketStream<TcpStream>, ConnectError> {
        let mut socket = open_websocket(&self.route, Some(sid)).await?;
        let failed = |error: WsError| ConnectError::Closed(error.to_string());
        socket.send(Message::text("2probe")).await.map_err(failed)?;
        match socket.next().await {
            Some(Ok(Message::Text(text))) if text.as_str() == "3probe" => Ok(socket),
            other => Err(ConnectError::Closed(format!("{other:?} instead of 3probe"))),
        }
    }

    async fn switch(self, mut socket: WebSocketStream<TcpStream>, done: oneshot::Sender<()>) {
        if let Err(error) = socket.send(Message::text("5")).await {
            return self.closed(error.to_string());
        }
        let _ = done.send(());
        self.run_websocket(socket).await;
    }
}

async fn tick(pings: &mut Option<Interval>) {
    match pings {
        Some(pings) => drop(pings.tick().await),
        None => std::future::pending().await,
    }
}

async fn poll(request: reqwest::RequestBuilder) -> Result<String, String> {
    let answer = request.send().await.map_err(|error| error.to_string())?;
    match answer.status().as_u16() {
        200 => answer.text().await.map_err(|error| error.to_string()),
        status => Err(format!("GET answered {status}")),
    }
}
