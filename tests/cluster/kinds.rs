//! Redis as others set it up: over TLS, with users that may do little, and with what an operator gets wrong
//! (docs/operating.md#redis).

use std::{
    fs,
    path::{Path, PathBuf},
};

use redis::{Connection, cmd};
use serde_json::json;
use stoa::cluster::Cluster;
use tempfile::TempDir;

use super::{
    Common,
    bridge::node_emit,
    outage::{talk, until_seen},
};
use crate::support::{DEADLINE, TestApp, eventually, process::Process, raw, redis::Redis, within};

const PASSWORD: &str = "hush-hush";
const OPERATOR: &str = "user operator on >operators ~* &* +@all";

/// A file of `tests/keys`.
fn key(name: &str) -> String {
    format!("{}/tests/keys/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// The rights that the page has, without those for emitters and with them.
fn rights() -> [String; 2] {
    let page = include_str!("../../docs/operating.md");
    let line = |begin: &str| {
        let line = page.lines().map(str::trim).find(|line| line.starts_with(begin));
        line.expect("a line of rights").replace("PASSWORD", PASSWORD)
    };
    let few = line("user stoa ");
    let all = format!("{few} {}", line("+psubscribe "));
    [few, all]
}

/// A Redis with this user, and an operator; nobody else may anything.
fn guarded(user: &str, more: &[&str], url: &str) -> Redis {
    let settings = |port: u16, folder: &Path| {
        let file = folder.join("users.acl");
        let users = format!("user default off\n{OPERATOR}\n{user}\n");
        fs::write(&file, users).expect("a file of users");
        let more = more.iter().map(|setting| setting.replace("PORT", &port.to_string()));
        ["--aclfile".to_owned(), file.display().to_string()].into_iter().chain(more).collect()
    };
    Redis::with(settings, url)
}

/// The same over TLS alone.
fn over_tls(user: &str, host: &str) -> Redis {
    let (certificate, key) = (key("localhost.cert.pem"), key("localhost.pem"));
    let tls = ["--port", "0", "--tls-port", "PORT", "--tls-auth-clients", "no"];
    let files = ["--tls-cert-file", &certificate, "--tls-key-file", &key];
    let url = format!("rediss://stoa:{PASSWORD}@{host}:PORT");
    guarded(user, &[&tls[..], &files].concat(), &url)
}

/// The commands that a server was given by now, also those of scripts.
fn given(operator: &mut Connection) -> Vec<String> {
    let text: String = cmd("INFO").arg("commandstats").query(operator).expect("statistics");
    let names = text.lines().filter_map(|line| line.strip_prefix("cmdstat_")?.split(':').next());
    names.map(str::to_owned).collect()
}

#[tokio::test]
async fn a_user_with_the_rights_of_the_page_may_do_all_that_it_has_to_and_no_more() {
    let [_, all] = rights();
    let mut common =
        Common::with(guarded(&all, &[], "redis://operator:operators@127.0.0.1:PORT")).await;
    let mut operator = common.redis.connection();
    let operators = common.redis.url();
    let url = operators.replace("operator:operators", &format!("stoa:{PASSWORD}"));
    let bridged = async || {
        let url = url.clone();
        common
            .bridged(|config| {
                config.cluster.redis_url = Some(url.as_str().into());
                config.presence.grace = std::time::Duration::ZERO;
            })
            .await
    };
    let [here, there] = [bridged().await, bridged().await];
    let (mut ann, mut bob, id) = talk(&here, &there).await;
    until_seen(&mut ann, &mut bob, &id).await;
    let both = async || {
        let rooms = here.get(&format!("/api/rooms/conversation:{id}/members")).await.ok();
        (rooms["items"].as_array()?.len() == 2).then_some(())
    };
    within("the people of both nodes", eventually(both)).await;
    let cat = there.user("cat").await;
    while ann.expect("user:online").await["userId"] != "cat" {}
    drop(cat);
    while ann.expect("user:offline").await["userId"] != "cat" {}
    // As if nobody had ticked for long.
    let () = cmd("HSET")
        .arg("stoa:{p}:told")
        .arg(" tick")
        .arg(1)
        .query(&mut operator)
        .expect("a change");
    let user = json!({ "rooms": ["user-bob"] });
    let claimed = eventually(async || {
        // Before the first mark nobody may claim anything.
        node_emit(&common.redis, &user, &json!(["news", 1]));
        bob.heard().await;
        (!bob.queued("news").is_empty()).then_some(())
    });
    within("what an emitter says", claimed).await;
    // Each right is one that is used,
    let named = all.split(' ').filter_map(|right| right.strip_prefix('+'));
    for right in named {
        let is_used = async || {
            let given = given(&mut operator);
            // Redis before 7.0 has no statistics of what is behind the bar.
            let is_it = |given: &String| given == right || right.split('|').next() == Some(given);
            given.iter().any(is_it).then_some(())
        };
        within(&format!("{right} to be used"), eventually(is_used)).await;
    }
    // and nothing was refused.
    let refused: Vec<redis::Value> = cmd("ACL").arg("LOG").query(&mut operator).expect("a log");
    assert!(refused.is_empty(), "{refused:?}");
    for node in [here, there] {
        node.joined().await;
    }
    common.redis.stop();
}

#[tokio::test]
async fn nodes_join_over_tls() {
    let [few, _] = rights();
    let common = Common::with(over_tls(&few, "localhost")).await;
    let node = async || {
        let node = Box::pin(TestApp::with(|config| {
            common.set(config);
            config.cluster.redis_ca = Some(key("localhost-ca.pem"));
        }));
        let node = node.await;
        node.joined().await;
        node
    };
    let [here, there] = [node().await, node().await];
    let (mut ann, mut bob, id) = talk(&here, &there).await;
    until_seen(&mut ann, &mut bob, &id).await;
}

/// A server of its own on SQLite, with these settings of Redis.
async fn alone(data: &TempDir, url: &str, more: &[(&str, &str)]) -> Process {
    let settings = [&[("REDIS_URL", url)][..], more].concat();
    Process::start(data.path(), &settings).await
}

#[tokio::test]
async fn whom_the_machine_trusts_is_trusted() {
    let [few, _] = rights();
    let redis = over_tls(&few, "localhost");
    let (data, ca) = (TempDir::new().expect("a folder"), key("localhost-ca.pem"));
    let server = alone(&data, &redis.url(), &[("SSL_CERT_FILE", &ca)]).await;
    let is_joined = async || {
        let ask = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        let answer = raw::until_closed(server.address, ask, DEADLINE).await;
        answer.contains(r#""status":"ok""#).then_some(())
    };
    within("a server that is joined", eventually(is_joined)).await;
}

#[tokio::test]
async fn what_is_wrong_is_said_and_the_password_is_not() {
    let [few, _] = rights();
    let (ca, other) = (key("localhost-ca.pem"), key("rsa.cert.pem"));
    let tls = over_tls(&few, "localhost");
    let by_number = tls.url().replace("localhost", "127.0.0.1");
    let plain = |user: &str| guarded(user, &[], &format!("redis://stoa:{PASSWORD}@127.0.0.1:PORT"));
    let (open, poor) = (plain(&few), plain(&few.replace(" +hscan", "").replace(" +zrange ", " ")));
    let deaf = plain(&few.replace("&stoa:*", "&other:*"));
    let wrong = open.url().replace(PASSWORD, "hush-hush-hush");
    let no_tls = open.url().replace("redis:", "rediss:");
    let user = "does not let this server's user do all";
    for (url, ca, says, error) in [
        (&wrong, None, "refuses this server's user or password", ""),
        (&tls.url(), Some(&other), "a certificate that is not trusted (REDIS_CA)", "UnknownIssuer"),
        (&tls.url(), None, "a certificate that is not trusted (REDIS_CA)", "UnknownIssuer"),
        (
            &by_number,
            Some(&ca),
            "a certificate that is not trusted (REDIS_CA)",
            "not valid for name",
        ),
        (&no_tls, None, "Redis is away (REDIS_URL)", ""),
        (&poor.url(), None, user, "hscan"),
        (&deaf.url(), None, user, "channel"),
    ] {
        let data = TempDir::new().expect("a folder");
        let more: Vec<_> = ca.map(|ca| ("REDIS_CA", ca.as_str())).into_iter().collect();
        let mut server = alone(&data, url, &more).await;
        let line = server.says(says).await;
        let told = line["error"].as_str().unwrap_or_default();
        assert!(told.to_lowercase().contains(&error.to_lowercase()), "{line}");
        for line in server.kill().await.into_iter().chain([line]) {
            assert!(!line.to_string().contains("hush"), "{line}");
        }
    }
}

#[test]
fn a_file_by_which_nobody_is_trusted_stops_the_start() {
    let folder = TempDir::new().expect("a folder");
    let file = |name: &str, text: &str| -> PathBuf {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("a file");
        path
    };
    let empty = file("empty.pem", "");
    let odd = file("odd.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let absent = folder.path().join("absent.pem");
    let url = "rediss://stoa:hush-hush@localhost";
    for (url, path, says) in [
        (url, &empty, "has no certificate"),
        (url, &odd, "what is no certificate"),
        (url, &absent, "can't be read"),
        ("redis://localhost", &PathBuf::from(key("localhost-ca.pem")), "rediss://"),
    ] {
        let config = stoa::config::ClusterConfig {
            redis_url: Some(url.into()),
            redis_ca: Some(path.display().to_string()),
            prefix: "stoa".to_owned(),
        };
        let refused = Cluster::configured(&config, &stoa::clock::Clock::system());
        let Err(refused) = refused else { panic!("{says}: taken") };
        let refused = refused.to_string();
        assert!(refused.contains(says) && refused.starts_with("cluster."), "{refused}");
        assert!(!refused.contains("hush"), "{refused}");
    }
}
