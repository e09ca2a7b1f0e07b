//! Verbs that ask a running server: the binary beside it, by flags and by its environment.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::{net::TcpListener, process::Command};

use crate::support::{Options, TestApp, app::API_KEY, within};

/// What a command said, and whether it did what was asked.
struct Said {
    done: bool,
    out: String,
    err: String,
}

impl Said {
    /// The documents of `--json`.
    fn documents(&self) -> Vec<Value> {
        assert!(self.done, "{}", self.err);
        self.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}

fn command(url: &str, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stoa"));
    command.env_clear().env("STOA_URL", url).args(args).stdin(Stdio::null());
    command
}

async fn run(mut command: Command) -> Said {
    let output = within("the command", command.output()).await.expect("a command");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Said { done: output.status.success(), out: text(output.stdout), err: text(output.stderr) }
}

fn url(app: &TestApp) -> String {
    format!("http://{}", app.address())
}

/// Runs it with the key that may do everything.
async fn stoa(app: &TestApp, args: &[&str]) -> Said {
    let mut command = command(&url(app), args);
    run({
        command.env("STOA_API_KEY", API_KEY);
        command
    })
    .await
}

#[tokio::test]
async fn rooms_and_who_is_in_them_are_listed() {
    let app = TestApp::start().await;
    let ann = app.person("ann");
    let room = format!("conversation:{}", ann.group(&["bob"]).await);
    let id = room.trim_start_matches("conversation:");
    let (mut ann, mut bob) = (app.user("ann").await, app.user("bob").await);
    for user in [&mut ann, &mut bob] {
        user.join("conversation:join", id).await;
    }
    let listed = stoa(&app, &["rooms", "--prefix", "conversation:"]).await;
    assert_eq!(listed.out, format!("SOCKETS   USERS  ROOM\n      2       2  {room}\n"));
    let all = stoa(&app, &["rooms", "--json"]).await.documents();
    assert!(all.contains(&json!({ "room": room, "sockets": 2, "users": 2 })), "{all:?}");
    assert!(all.contains(&json!({ "room": "user-ann", "sockets": 1, "users": 1 })), "{all:?}");
    let members = stoa(&app, &["rooms", &room]).await;
    assert_eq!(members.out, "SOCKETS  USER\n      1  ann\n      1  bob\n");
    let none = stoa(&app, &["rooms", "--prefix", "seller-"]).await;
    assert!(none.done && none.out.is_empty(), "{}", none.out);
}

#[tokio::test]
async fn who_is_connected_is_listed_and_can_be_disconnected() {
    let app = TestApp::start().await;
    let mut ann = app.user("ann").await;
    let _bob = app.user("bob/é").await;
    let listed = stoa(&app, &["users", "--json"]).await.documents();
    let ids: Vec<_> = listed.iter().map(|user| (&user["userId"], &user["sockets"])).collect();
    assert_eq!(ids, [(&json!("ann"), &json!(1)), (&json!("bob/é"), &json!(1))]);
    assert!(listed[0]["since"].is_string(), "{listed:?}");
    let some = stoa(&app, &["users", "--prefix", "bob"]).await;
    assert!(
        some.out.starts_with("SOCKETS  SINCE ") && some.out.ends_with("Z  bob/é\n"),
        "{}",
        some.out
    );

    let gone = stoa(&app, &["disconnect", "ann", "--reason", "asked to"]).await;
    assert_eq!(gone.out, "closed 1 socket; other nodes, where there are some, close theirs\n");
    assert_eq!(ann.expect("session:closing").await["reason"], "disconnected");
    let gone = stoa(&app, &["disconnect", "bob/é", "--json"]).await.documents();
    assert_eq!(gone, [json!({ "disconnected": 1 })]);
}

/// Whoever looks into somebody's room is not them.
#[tokio::test]
async fn a_user_in_whose_room_an_admin_is_is_not_said_to_be_there() {
    let app = TestApp::start().await;
    let mut olga = app.user_with("olga", &["admin"], Options::websocket()).await;
    assert_eq!(olga.emit_ack("join-user-room", "zoe").await["success"], true);
    let listed = stoa(&app, &["users", "--json"]).await.documents();
    let ids: Vec<_> = listed.iter().map(|user| user["userId"].clone()).collect();
    assert_eq!(ids, ["olga"]);
}

#[tokio::test]
async fn why_there_is_no_answer_is_told_in_words() {
    let free = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr();
    let nobody = format!("http://{}", free.expect("an address"));
    for (url, why) in
        [(nobody.as_str(), "nobody listens there"), ("localhost:1", "give http:// or https://")]
    {
        for verb in ["rooms", "healthcheck"] {
            let mut asking = command(url, &[verb, "--url", url]);
            asking.env("STOA_API_KEY", API_KEY);
            let said = run(asking).await;
            assert!(!said.done && said.err.contains(why), "{verb}: {}", said.err);
        }
    }
}

#[tokio::test]
async fn credentials_are_those_of_the_flags_then_of_the_environment() {
    let app = TestApp::start().await;
    let mut user = command(&url(&app), &["rooms"]);
    user.env("STOA_TOKEN", app.token("ann", &[]));
    let refused = run(user).await;
    assert!(!refused.done && refused.err.contains("the role"), "{}", refused.err);
    assert!(refused.err.contains("403"), "{}", refused.err);

    let mut flag = command(&url(&app), &["rooms", "--api-key", API_KEY]);
    flag.env("STOA_TOKEN", app.token("ann", &[]));
    assert!(run(flag).await.done, "the flag wins");

    let mut both = command(&url(&app), &["rooms"]);
    both.env("STOA_TOKEN", "t").env("STOA_API_KEY", API_KEY);
    let refused = run(both).await;
    assert_eq!(refused.err, "stoa: STOA_API_KEY and STOA_TOKEN are both set; keep one of them\n");

    let mut own = command(&url(&app), &["users"]);
    own.env("JWT_SECRET", crate::support::app::SECRET);
    let own = run(own).await;
    assert!(own.done, "a token of the configured key: {}", own.err);
}

#[tokio::test]
async fn every_shell_completes_every_verb() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(command("", &["completions", shell])).await;
        assert!(script.done, "{}", script.err);
        for word in ["rooms", "disconnect", "healthcheck", "prefix"] {
            assert!(script.out.contains(word), "{word} is not in that of {shell}");
        }
    }
}

/// A script that a shell can't read completes nothing.
#[tokio::test]
async fn bash_reads_its_script_and_completes() {
    let script = run(command("", &["completions", "bash"])).await.out;
    let asks = "COMP_WORDS=(stoa dis); COMP_CWORD=1; _stoa stoa dis stoa; echo \"${COMPREPLY[@]}\"";
    let mut bash = Command::new("bash");
    bash.args(["--norc", "-c", &format!("{script}\n{asks}")]);
    let said = run(bash).await;
    assert_eq!(said.out.trim(), "disconnect", "{}", said.err);
}
