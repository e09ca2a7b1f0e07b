//! The binary as a process of its own, with its log.

use std::{net::SocketAddr, path::Path, process::Stdio};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    sync::mpsc,
};

use super::{DEADLINE, app::SECRET, within, within_time};

/// A server that listens.
pub struct Process {
    child: Child,
    log: mpsc::UnboundedReceiver<Value>,
    /// What it said before it listened.
    begun: Vec<Value>,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Process {
    /// Starts it on this folder, with these variables, and waits until it listens.
    pub async fn start(data: &Path, variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stoa"));
        command.env_clear().current_dir(data).env("STOA_DATA", data);
        command.env("HOST", "127.0.0.1").env("PORT", "0").env("JWT_SECRET", SECRET);
        command.env("LOG_LEVEL", "info").env("LOG_FORMAT", "json");
        command.envs(variables.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.kill_on_drop(true).spawn().expect("the server's process");
        let mut lines = BufReader::new(child.stdout.take().expect("its log")).lines();
        let (said, mut log) = mpsc::unbounded_channel();
        // A full pipe would hold it up.
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                // Of one that is killed the last line may be cut.
                let _ = said.send(serde_json::from_str(&line).unwrap_or_default());
            }
        });
        let mut begun = Vec::new();
        let address = within_time(4 * DEADLINE, "the server to listen", async {
            loop {
                let line: Value = log.recv().await.expect("a server that lives");
                if line["message"] == "listening" {
                    break line["address"].as_str().expect("an address").parse();
                }
                begun.push(line);
            }
        });
        let address = address.await.expect("an address");
        Self { child, log, begun, address }
    }

    /// The id of its process.
    pub fn id(&self) -> u32 {
        self.child.id().expect("a process that runs")
    }

    /// SIGTERM; what it has written since it listened, once it has ended by itself.
    pub async fn stop(mut self) -> Vec<Value> {
        let id = self.id().to_string();
        let kill = Command::new("kill").args(["-TERM", &id]).status();
        assert!(kill.await.expect("kill").success());
        let ended = within_time(4 * DEADLINE, "the process to end", self.child.wait());
        assert!(ended.await.expect("its end").success());
        self.rest_of_its_log().await
    }

    /// Waits until it says something with this in its message, or has said it before it listened.
    pub async fn says(&mut self, part: &str) -> Value {
        let mut begun = std::mem::take(&mut self.begun).into_iter();
        let said = async {
            loop {
                let line = match begun.next() {
                    Some(line) => line,
                    None => self.log.recv().await.expect("a server that lives"),
                };
                if line["message"].as_str().is_some_and(|message| message.contains(part)) {
                    break line;
                }
            }
        };
        within_time(2 * DEADLINE, part, said).await
    }

    /// `kill -9`; what it has written since it listened.
    pub async fn kill(mut self) -> Vec<Value> {
        within("the process to end", self.child.kill()).await.expect("its end");
        self.rest_of_its_log().await
    }

    async fn rest_of_its_log(&mut self) -> Vec<Value> {
        let mut log = Vec::new();
        let read = async {
            while let Some(line) = self.log.recv().await {
                log.push(line);
            }
        };
        within("the end of its log", read).await;
        log
    }
}
