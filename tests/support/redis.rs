//! A real Redis of a test's own, on a port of its own. It ends with the tests, however they end.
//! `STOA_TEST_REDIS` names another program than `redis-server`.

use std::{
    env,
    io::Write,
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use redis::{Client, Connection, FromRedisValue, cmd};
use tempfile::TempDir;

use super::postgres::UNTIL_CLOSED;

/// How long the server may take to start.
const START: Duration = Duration::from_secs(20);

/// A server, and the folder that holds it.
pub struct Redis {
    folder: TempDir,
    port: u16,
    settings: Vec<String>,
    url: String,
    server: Option<Child>,
}

impl Redis {
    /// A server that runs.
    pub fn start() -> Self {
        let mut this = Self::absent();
        this.resume();
        this
    }

    /// The place of one, where none is yet.
    pub fn absent() -> Self {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = free.local_addr().expect("a port").port();
        let (folder, url) =
            (TempDir::new().expect("a folder"), format!("redis://127.0.0.1:{port}"));
        Self { folder, port, settings: Vec::new(), url, server: None }
    }

    /// One with settings of its own, which know its port and its folder, and where the tests find it
    /// then.
    pub fn with(settings: impl FnOnce(u16, &Path) -> Vec<String>, url: &str) -> Self {
        let mut this = Self::absent();
        this.settings = settings(this.port, this.folder.path());
        this.url = url.replace("PORT", &this.port.to_string());
        this.resume();
        this
    }

    /// Starts the server, without anything that one before it knew.
    pub fn resume(&mut self) {
        let mut server = Command::new("sh");
        server.args(["-c", UNTIL_CLOSED, "sh"]).arg(self.folder.path());
        // Valkey from PyPI is built without TLS, of which the client's end is tested.
        let is_over_tls = self.settings.iter().any(|setting| setting == "--tls-port");
        let named = env::var_os("STOA_TEST_REDIS").filter(|_| !is_over_tls);
        server.arg(named.unwrap_or_else(|| "redis-server".into()));
        server.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        server.args(["--port", &self.port.to_string(), "--dir"]).arg(self.folder.path());
        server.args(&self.settings);
        server.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        self.server = Some(server.spawn().expect("a shell"));
        let deadline = Instant::now() + START;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            assert!(Instant::now() < deadline, "Redis did not start; `make setup` installs it");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Stops the server, and waits until it is gone.
    pub fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            let mut pipe = server.stdin.take().expect("the pipe to the server");
            pipe.write_all(b"keep\n").expect("a server that runs");
            drop(pipe);
            server.wait().expect("the server's end");
        }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A connection of the test's own.
    pub fn connection(&self) -> Connection {
        let client = Client::open(self.url()).expect("its URL");
        client.get_connection().expect("a connection")
    }

    /// Has something told to whoever has subscribed; how often it was.
    pub fn publish(&self, channel: &str, payload: &[u8]) -> i64 {
        let mut command = cmd("PUBLISH");
        command.arg(channel).arg(payload).query(&mut self.connection()).expect("an answer")
    }

    /// What it answers to a command.
    pub fn ask<T: FromRedisValue>(&self, words: &[&str]) -> T {
        let mut command = cmd(words[0]);
        words[1..].iter().for_each(|word| {
            command.arg(*word);
        });
        command.query(&mut self.connection()).expect("an answer")
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.stop();
    }
}
