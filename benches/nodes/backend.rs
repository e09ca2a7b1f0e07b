//! A backend that emits at one server, over a connection that stays.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::server::Server;

/// Who emits.
#[derive(Clone)]
pub struct Backend {
    http: reqwest::Client,
    url: String,
    token: String,
}

impl Backend {
    /// One at this server.
    ///
    /// # Errors
    /// When its token can't be signed.
    pub fn at(address: SocketAddr) -> Result<Self> {
        let http = reqwest::Client::builder().no_proxy().build()?;
        let token = Server::token_with("backend", &["service"], "backend")?;
        Ok(Self { http, url: format!("http://{address}/api/emit"), token })
    }

    /// Has an event kept, and waits until it is.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn emit(&self, to: Value, event: &str, data: usize) -> Result<()> {
        self.post(&json!({ "to": to, "event": event, "data": data })).await
    }

    /// Has one sent that need not last.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn emit_volatile(&self, to: Value, event: &str, data: usize) -> Result<()> {
        self.post(&json!({ "to": to, "event": event, "data": data, "volatile": true })).await
    }

    async fn post(&self, emit: &Value) -> Result<()> {
        let request = self.http.post(&self.url).bearer_auth(&self.token).json(emit);
        let answer = request.send().await?;
        ensure!(answer.status().is_success(), "an emit was answered with {}", answer.status());
        // The connection stays.
        answer.bytes().await?;
        Ok(())
    }
}
