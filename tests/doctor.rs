//! `stoa doctor`: what is well, and each thing that is not, seen by the binary as an operator runs it.

mod way;

use std::{
    collections::BTreeMap, fs, net::SocketAddr, os::unix::fs::symlink, path::Path, process::Stdio,
};

use axum::Router;
use serde_json::Value;
use tempfile::TempDir;
use tokio::{net::TcpListener, process::Command};

use crate::support::{
    DEADLINE, TestApp, app::SECRET, postgres::Postgres, redis::Redis, within_time,
};

/// What is in some URL and may be in no line.
const PASSWORD: &str = "hunter2-hunter2";

/// What the doctor said.
struct Said {
    is_content: bool,
    out: String,
}

impl Said {
    /// Whether there is a line of this level and check that says so.
    fn says(&self, level: &str, check: &str, part: &str) -> bool {
        let begins = format!("{level:<7}  {check:<7}  ");
        self.out.lines().any(|line| line.starts_with(&begins) && line.contains(part))
    }

    /// A problem that says so, with advice; and that it failed for it.
    #[track_caller]
    fn problem(&self, check: &str, part: &str, advice: &str) {
        assert!(self.says("problem", check, part), "{check}, {part}:\n{}", self.out);
        assert!(self.out.contains(advice), "{advice}:\n{}", self.out);
        assert!(!self.is_content, "{}", self.out);
    }

    #[track_caller]
    fn has(&self, level: &str, check: &str, part: &str) {
        assert!(self.says(level, check, part), "{level} {check}, {part}:\n{}", self.out);
    }
}

/// Runs it on a data folder.
async fn doctor(data: &Path, variables: &[(&str, &str)], args: &[&str]) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stoa"));
    let around = data.ancestors().skip(1).find(|folder| folder.is_dir());
    command.env_clear().current_dir(around.expect("a folder around it"));
    command.env("STOA_DATA", data).env("HOST", "127.0.0.1").env("PORT", "0");
    command.env("JWT_SECRET", SECRET).envs(variables.iter().copied());
    command.arg("doctor").args(args).stdin(Stdio::null());
    let output = within_time(4 * DEADLINE, "the doctor", command.output()).await;
    let output = output.expect("a command");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    let (out, err) = (text(output.stdout), text(output.stderr));
    for secret in [SECRET, PASSWORD] {
        assert!(!out.contains(secret) && !err.contains(secret), "a secret: {out}{err}");
    }
    let is_content = output.status.success();
    let counts = |levels: &str| out.lines().filter(|line| line.starts_with(levels)).count();
    if !args.contains(&"--json") {
        assert_eq!(is_content, counts("problem ") == 0, "{out}{err}");
    }
    Said { is_content, out }
}

/// Beside a server that runs.
async fn beside(app: &TestApp, variables: &[(&str, &str)], url: &str) -> Said {
    let port = app.address().port().to_string();
    let variables = [&[("PORT", port.as_str())], variables].concat();
    doctor(app.data(), &variables, &["--url", url]).await
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}

async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async { axum::serve(listener, router).await.expect("a server") });
    address
}

/// Every file of a folder, with what is in it.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("a file"));
    let read = |entry: fs::DirEntry| {
        (entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path()).expect("a file"))
    };
    entries.map(read).collect()
}

#[tokio::test]
async fn a_healthy_server_has_no_problem() {
    let app = TestApp::on_sqlite(|_| {}).await;
    let said = beside(&app, &[], &url(app.address())).await;
    assert!(said.is_content, "{}", said.out);
    for (check, part) in [
        ("config", "valid"),
        ("clock", "is that of http://127.0.0.1:"),
        ("disk", "can be written"),
        ("port", "is ready"),
        ("url", "is ready"),
        ("url", "answers by polling"),
        ("url", "opens websockets"),
        ("proxies", "nothing seems to stand in front"),
        ("keys", "verified by JWT_SECRET"),
        ("store", "is of this version"),
        ("redis", "none is needed"),
    ] {
        said.has("ok", check, part);
    }
}

#[tokio::test]
async fn before_the_first_start_nothing_is_made_and_nothing_is_wrong() {
    let folder = TempDir::new().expect("a folder");
    let said = doctor(&folder.path().join("data"), &[("JWT_SECRET", "")], &[]).await;
    assert!(said.is_content, "{}", said.out);
    said.has("ok", "disk", "is not there yet, and can be made");
    said.has("note", "store", "there is no store yet");
    said.has("note", "keys", "there is no key yet");
    said.has("note", "url", "how clients reach");
    assert!(files(folder.path()).is_empty(), "it makes nothing");
}

/// What may not be looked for is the same: neither is there for sure, nor for sure not.
#[tokio::test]
async fn what_can_not_be_looked_for_is_not_said_to_be_missing() {
    let folder = TempDir::new().expect("a folder");
    let development = [("JWT_SECRET", "")];
    for name in ["stoa.db", "jwt-secret"] {
        symlink(name, folder.path().join(name)).expect("a link");
    }
    let said = doctor(folder.path(), &development, &[]).await;
    said.problem("store", "Too many levels of symbolic links", "STOA_DATA");
    said.problem("keys", "Too many levels of symbolic links", "remove the file");
    let data = folder.path().join("data");
    symlink("data", &data).expect("a link");
    let said = doctor(&data, &development, &[]).await;
    said.problem("disk", "can't be looked into: Too many levels", "namei -l");
    for (check, part) in [("store", "no store yet"), ("keys", "no key yet")] {
        assert!(!said.says("note", check, part), "{}", said.out);
    }
}

#[tokio::test]
async fn a_store_that_nobody_works_with_is_left_as_it_was() {
    let app = TestApp::on_sqlite(|_| {}).await;
    let before = std::cell::RefCell::default();
    let app = app.restart_after(|data| {
        before.replace(files(data));
        let mut doctor = std::process::Command::new(env!("CARGO_BIN_EXE_stoa"));
        doctor.env_clear().current_dir(data).env("STOA_DATA", data).env("JWT_SECRET", SECRET);
        let output = doctor.args(["doctor", "--port", "0"]).output().expect("the doctor");
        let out = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && out.contains("is of this version"), "{out}");
        assert!(files(data) == *before.borrow(), "{:?}", files(data).keys());
    });
    app.await.shutdown(DEADLINE).await;
}

#[tokio::test]
async fn a_port_that_another_program_has_is_a_problem() {
    let folder = TempDir::new().expect("a folder");
    let other = serve(Router::new().fallback(async || "hello")).await.port().to_string();
    let said = doctor(folder.path(), &[("PORT", &other)], &[]).await;
    said.problem("port", "another program answers", "ss -ltnp");
    // Health in these words is said by many.
    let other = Router::new().fallback(async || r#"{"status":"ok","info":{"title":"Shop"}}"#);
    let other = serve(other).await;
    let variables = [("PORT", &*other.port().to_string())];
    let said = doctor(folder.path(), &variables, &["--url", &url(other)]).await;
    said.problem("port", "another program answers", "ss -ltnp");
    said.has("warning", "url", "is not what Stoa says of itself");
    assert!(!said.out.contains("is ready"), "{}", said.out);
    let nobody = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let free = nobody.local_addr().expect("an address").port().to_string();
    drop(nobody);
    let said = doctor(folder.path(), &[("PORT", &free)], &[]).await;
    said.has("note", "port", "is free (PORT)");
    for port in ["0", &free] {
        let nowhere = [("HOST", "192.0.2.1"), ("PORT", port)];
        let said = doctor(folder.path(), &nowhere, &[]).await;
        said.problem("port", "no address 192.0.2.1 (HOST)", "an address of this machine");
    }
}

#[tokio::test]
async fn keys_are_read_and_weak_ones_told_of() {
    let folder = TempDir::new().expect("a folder");
    let said = doctor(folder.path(), &[("JWT_SECRET", &"ab".repeat(20))], &[]).await;
    assert!(said.is_content, "{}", said.out);
    said.has("warning", "keys", "JWT_SECRET looks like one that can be guessed");
    assert!(said.out.contains("openssl rand -base64 48") && !said.out.contains("ababab"));
    let missing = [("JWT_SECRET", ""), ("JWT_PUBLIC_KEY", "/nowhere/key.pem")];
    let said = doctor(folder.path(), &missing, &[]).await;
    said.problem("keys", "JWT_PUBLIC_KEY: neither a PEM nor a file", "has to be readable");
    let keys = url(serve(Router::new().fallback(async || r#"{"keys":[]}"#)).await);
    let said = doctor(folder.path(), &[("JWT_JWKS", &keys)], &[]).await;
    said.problem("keys", "has no key (JWT_JWKS)", "refuses every token");
    let open = [("HOST", "0.0.0.0"), ("JWT_SECRET_PREVIOUS", SECRET)];
    let said = doctor(folder.path(), &open, &[]).await;
    said.has("warning", "keys", "a development server");
    said.has("note", "keys", "JWT_SECRET_PREVIOUS");
}

#[tokio::test]
async fn a_folder_that_can_not_be_made_is_a_problem() {
    let folder = TempDir::new().expect("a folder");
    fs::write(folder.path().join("file"), "").expect("a file");
    let said = doctor(&folder.path().join("file/data"), &[], &[]).await;
    said.problem("disk", "is no folder", "STOA_DATA");
}

#[tokio::test]
async fn a_store_of_another_version_is_told_of() {
    let app = TestApp::on_sqlite(|_| {}).await;
    let address = url(app.address());
    app.database()
        .execute_batch("INSERT INTO migrations VALUES (999999, 'later', x'00', 0)")
        .expect("a migration");
    beside(&app, &[], &address).await.has("note", "store", "is of a newer version (999999)");
    app.database()
        .execute_batch(
            "DELETE FROM migrations WHERE version > (SELECT COUNT(*) FROM migrations) - 3",
        )
        .expect("fewer migrations");
    beside(&app, &[], &address).await.has("note", "store", "is of an older version");
    app.database()
        .execute_batch("UPDATE migrations SET checksum = x'00' WHERE version = 1")
        .expect("another migration");
    let said = beside(&app, &[], &address).await;
    said.problem("store", "migration 1 is another there", "take the stoa that made it");
}

#[tokio::test]
async fn a_file_that_is_no_store_is_a_problem() {
    let folder = TempDir::new().expect("a folder");
    fs::write(folder.path().join("stoa.db"), "not a database ".repeat(100)).expect("a file");
    let said = doctor(folder.path(), &[], &[]).await;
    said.problem("store", "not a database", "put a backup back");
    assert_eq!(files(folder.path()).len(), 1, "it makes nothing");
}

#[tokio::test]
async fn a_postgres_is_looked_at_and_one_that_is_away_is_a_problem() {
    let folder = TempDir::new().expect("a folder");
    let database = Postgres::shared().database().await;
    let said = doctor(folder.path(), &[("DATABASE_URL", &database)], &[]).await;
    assert!(said.is_content, "{}", said.out);
    said.has("note", "store", "has no tables yet");
    said.has("ok", "store", "a server takes up to 25");
    said.has("ok", "clock", "is that of Postgres");
    said.has("note", "redis", "the store can be shared");
    let away = format!("postgres://ann:{PASSWORD}@127.0.0.1:1/stoa");
    let said = doctor(folder.path(), &[("DATABASE_URL", &away)], &[]).await;
    said.problem("store", "Postgres, stoa at 127.0.0.1:1, as ann", "DATABASE_URL");
}

/// Of a URL whose parts may be others than they seem nothing is told but what to do: that no part of a
/// password is shown, `doctor` sees.
#[tokio::test]
async fn a_url_with_a_password_that_is_not_encoded_is_not_read() {
    let folder = TempDir::new().expect("a folder");
    let parts = ["12/", "12?", "12#", "a@b/", "a/"];
    for (name, scheme) in [("DATABASE_URL", "postgres"), ("REDIS_URL", "redis")] {
        for part in parts {
            let url = format!("{scheme}://bob:{part}{PASSWORD}@127.0.0.1:1/0");
            let said = doctor(folder.path(), &[(name, &url)], &[]).await;
            let refused = format!("(from {name}): can't be read: special characters");
            said.problem("config", &refused, "%2F for /");
            assert!(!said.out.contains("bob"), "{}", said.out);
        }
    }
    for part in &parts[..3] {
        let url = format!("https://bob:{part}{PASSWORD}@127.0.0.1:1/0");
        let said = doctor(folder.path(), &[("JWT_JWKS", &url)], &["--url", &url]).await;
        said.problem("url", "special characters of a password", "percent-encoded");
        said.problem("keys", "special characters of a password", "percent-encoded");
        assert!(!said.out.contains("bob"), "{}", said.out);
    }
    let unknown = format!("postgres://bob@127.0.0.1:1/stoa?sslmode={PASSWORD}");
    let said = doctor(folder.path(), &[("DATABASE_URL", &unknown)], &[]).await;
    said.problem("store", "DATABASE_URL can't be read", "DATABASE_URL");
}

#[tokio::test]
async fn a_redis_is_looked_at_with_the_rights_that_it_gives() {
    let folder = TempDir::new().expect("a folder");
    let redis = Redis::start();
    let page = include_str!("../docs/operating.md");
    let rights = page.lines().find_map(|line| line.trim().strip_prefix("user stoa on >PASSWORD "));
    let rights: Vec<_> = rights.expect("the rights").split(' ').collect();
    let password = format!(">{PASSWORD}");
    let give = |without: &[&str]| {
        let some = rights.iter().filter(|right| !without.contains(right)).copied();
        let words = ["ACL", "SETUSER", "stoa", "reset", "on", &password].into_iter().chain(some);
        redis.ask::<String>(&words.collect::<Vec<_>>());
    };
    let place = redis.url().replace("redis://", &format!("redis://stoa:{PASSWORD}@"));
    let look = async || doctor(folder.path(), &[("REDIS_URL", &place)], &[]).await;
    give(&[]);
    let said = look().await;
    assert!(said.is_content, "{}", said.out);
    said.has("ok", "redis", "and lets this server do all");
    said.has("ok", "clock", "is that of Redis");
    assert_eq!(redis.ask::<i64>(&["DBSIZE"]), 0, "nothing comes of what is tried");
    give(&["+zadd", "+publish", "+script|load", "+subscribe"]);
    look().await.problem(
        "redis",
        "do all that it has to: +zadd +publish +script|load +subscribe",
        "ACL SETUSER",
    );
    let keys = redis.ask::<String>(&["ACL", "SETUSER", "stoa", "reset", "on", ">another"]);
    assert_eq!(keys, "OK");
    look().await.problem("redis", "refuses this server's user or password", "REDIS_URL");
    drop(redis);
    look().await.problem("redis", "Redis is away (REDIS_URL)", "whether it runs");
}

/// What others say has lines, and may have more: each finding is one line all the same.
#[tokio::test]
async fn what_others_say_is_told_in_one_line() {
    let folder = TempDir::new().expect("a folder");
    let other = serve(Router::new()).await;
    let no_redis = format!("redis://{other}");
    let said = doctor(folder.path(), &[("REDIS_URL", &no_redis)], &[]).await;
    said.problem("redis", "something answers that is no Redis (REDIS_URL)", "who listens there");
    let strange = folder.path().join("a\n\u{1b}[2J\u{9b}\u{202e}b");
    let said = doctor(&strange, &[], &[]).await;
    said.has("note", "store", r"a \u001b[2J\u009b\u202eb/stoa.db");
    for line in said.out.lines() {
        let begins = ["ok ", "note ", "warning ", "problem ", "        "];
        assert!(begins.iter().any(|level| line.starts_with(level)), "{line:?}");
    }
}

#[tokio::test]
async fn what_needs_no_configuration_is_looked_at_without_one() {
    let folder = TempDir::new().expect("a folder");
    let said = doctor(folder.path(), &[("JWT_SECRET", PASSWORD)], &[]).await;
    said.problem(
        "config",
        "auth.jwt_secret (from JWT_SECRET): has 15 bytes",
        "config/default.toml",
    );
    assert!(said.out.contains("files may be open"), "{}", said.out);
    said.has("note", "url", "how clients reach");
    let missing = [("JWT_SECRET", ""), ("JWT_SECRET_FILE", "/nowhere/secret")];
    let said = doctor(folder.path(), &missing, &[]).await;
    said.problem(
        "config",
        "(from JWT_SECRET_FILE): /nowhere/secret: No such file",
        "what is named",
    );
    let data = folder.path().join("data");
    fs::write(folder.path().join(".env"), format!("PORT=0\n{PASSWORD}\n")).expect("a file");
    let said = doctor(&data, &[], &[]).await;
    said.problem("config", ".env: line 2: it is not NAME=value", "what is named");
    fs::remove_file(folder.path().join(".env")).expect("the file");
    let warned = doctor(folder.path(), &[("LIMITS", "off")], &[]).await;
    warned.has("warning", "config", "LIMITS=off");
    assert!(warned.is_content, "a warning is no failure");
}

#[tokio::test]
async fn programs_are_told_the_same() {
    let folder = TempDir::new().expect("a folder");
    fs::write(folder.path().join("stoa.db"), "not a database ".repeat(100)).expect("a file");
    let said = doctor(folder.path(), &[], &["--json"]).await;
    assert!(!said.is_content, "{}", said.out);
    let findings: Vec<Value> = serde_json::from_str(&said.out).expect("an array");
    for finding in &findings {
        let keys: Vec<_> = finding.as_object().expect("an object").keys().collect();
        assert_eq!(keys, ["check", "level", "found", "advice"]);
        assert_eq!(finding["advice"].is_null(), finding["level"] == "ok", "{finding}");
    }
    let of = |check: &str, level: &str| {
        findings.iter().any(|finding| finding["check"] == check && finding["level"] == level)
    };
    assert!(of("store", "problem") && of("config", "ok") && of("port", "note"), "{findings:?}");
}
