//! `stoa doctor`: looks at what a server stands on, and says what to do. It may be asked beside a server
//! that runs, or before the first start; it changes nothing, makes no file, and shows no secret.

mod clock;
mod disk;
mod finding;
mod keys;
mod limits;
mod port;
mod proxies;
mod public;
mod redis;
mod store;
mod web;

use anyhow::{Context, Result, ensure};
use stoa::{
    config::{Config, Loaded},
    realtime::wire::ClientFiles,
};

use self::finding::{Check, Finding, Level};
use super::output::say;

#[derive(clap::Args)]
pub struct Args {
    /// How clients reach the server, over whatever stands in front; without it, the public URL that is
    /// configured
    #[arg(long)]
    url: Option<String>,
    /// As JSON: an array of {check, level, found, advice}
    #[arg(long)]
    json: bool,
}

/// Tells what was found, and fails when there is a problem among it.
pub async fn run(args: &Args, load: impl Fn() -> Result<Loaded>) -> Result<()> {
    let mut findings = Vec::new();
    let config = match load() {
        Ok(loaded) => Some(configured(loaded, &mut findings)),
        Err(error) => {
            findings.push(Check::Config.problem(
                format!("the server would not start: {error:#}"),
                "put right what is named; config/default.toml has every setting. What needs the configuration was \
                 not looked at",
            ));
            None
        }
    };
    findings.extend(look(args, config.as_ref()).await);
    if args.json {
        say(serde_json::to_string_pretty(&findings).context("the findings as JSON")?)?;
    } else {
        for finding in &findings {
            say(finding)?;
        }
    }
    let problems = findings.iter().filter(|finding| finding.level == Level::Problem).count();
    ensure!(problems == 0, "{problems} {}", if problems == 1 { "problem" } else { "problems" });
    Ok(())
}

/// What a start would say of the configuration.
fn configured(loaded: Loaded, findings: &mut Vec<Finding>) -> Config {
    let Loaded { config, warnings } = loaded;
    if warnings.is_empty() {
        findings.push(Check::Config.ok("the configuration is valid"));
    }
    for warning in warnings {
        findings
            .push(Check::Config.warning(warning, "config/default.toml tells more of each setting"));
    }
    if let Err(error) = ClientFiles::new(&config.realtime) {
        findings.push(Check::Config.problem(
            format!("the server would not start: {error:#}"),
            "put right the setting that is named",
        ));
    }
    config
}

async fn look(args: &Args, config: Option<&Config>) -> Vec<Finding> {
    let mut findings = limits::look(config);
    let mut told = Vec::new();
    let mut after = Vec::new();
    let own = config.and_then(|config| config.server.public_url.as_ref());
    let mut in_front = None;
    match args.url.as_ref().or(own) {
        Some(url) => {
            let through = public::look(url).await;
            after.extend(through.findings);
            told.extend(through.told);
            in_front = through.in_front;
        }
        None => after.push(Check::Url.note(
            "it is not known how clients reach this server",
            "with --url https://chat.example.com, or PUBLIC_URL, that way is tried, too",
        )),
    }
    if let Some(config) = config {
        findings.extend(disk::look(config));
        findings.extend(port::look(config).await);
        after.extend(in_front.map(|in_front| proxies::look(&config.server, &in_front)));
        after.extend(keys::look(config).await);
        let (store, of_store) = store::look(config).await;
        let (redis, of_redis) = redis::look(config).await;
        after.extend(store.into_iter().chain(redis));
        told.extend(of_store.into_iter().chain(of_redis));
    }
    findings.extend(clock::look(&told));
    findings.extend(after);
    findings
}
