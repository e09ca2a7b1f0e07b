//! `stoa healthcheck`: for containers, whose images have no other way to ask.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use stoa::config::Loaded;

use super::{
    local::{client, local_url},
    unanswered::Failed,
};

#[derive(clap::Args)]
pub struct Args {
    /// What to ask; without it, /readyz of the configured server on this machine
    #[arg(long)]
    url: Option<String>,
}

/// Succeeds when the server says within two seconds that it is ready.
pub async fn run(args: &Args, load: impl Fn() -> Result<Loaded>) -> Result<()> {
    let url = match &args.url {
        Some(url) => url.clone(),
        None => format!("{}/readyz", local_url(&load()?.config.server)?),
    };
    let answer = client(Duration::from_secs(2))?.get(url).send().await;
    let answer = answer.map_err(|error| Failed::of(&error)).context("no answer")?;
    ensure!(answer.status().is_success(), "not ready: {}", answer.status());
    Ok(())
}

#[cfg(test)]
mod tests {
    use axum::{Router, http::StatusCode, routing::get};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn only_a_server_that_is_ready_is_healthy() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new()
            .route("/ready", get(StatusCode::OK))
            .route("/draining", get(StatusCode::SERVICE_UNAVAILABLE));
        tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        let ask = async |url: String| {
            run(&Args { url: Some(url) }, || anyhow::bail!("no settings are needed")).await
        };
        assert!(ask(format!("{url}/ready")).await.is_ok());
        let draining = ask(format!("{url}/draining")).await.unwrap_err().to_string();
        assert_eq!(draining, "not ready: 503 Service Unavailable");
        let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        assert!(ask(format!("http://{nobody}")).await.is_err());
    }
}
