//! Commits whose answers are lost: what was kept is heard, once and in its order.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use parking_lot::Mutex;
use serde_json::json;
use stoa::{
    clock::Clock,
    db::{Db, Tx},
    error::{Code, Result},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy},
    net::{UnixListener, UnixStream},
    task::JoinSet,
};

use super::engine::{Happened, Store, happened, in_time};
use crate::support::{
    Options, TestApp,
    app::{API_KEY, Answer},
    eventually,
    postgres::Postgres,
};

const SOCKET: &str = ".s.PGSQL.5432";

/// What becomes of a commit that passes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Commit {
    /// The server does it; then the connection breaks.
    Unanswered,
    /// The server does it; then nothing more is heard of it.
    Silent,
    /// The connection breaks before the server hears of it.
    Unheard,
}

/// Between a store and its server.
struct Between {
    folder: TempDir,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// What becomes of the next commits.
    commits: Vec<Commit>,
    /// Of those alone that say this: a server commits by itself, too.
    of: Option<&'static str>,
    /// Whether nobody gets through from the first of them on.
    then_away: bool,
    is_away: bool,
    /// How often it was asked for in vain.
    turned_away: usize,
}

impl Between {
    /// Its URL of a new database of the server, too.
    async fn new(server: &Postgres) -> (Self, String) {
        let url = server.database().await;
        let (base, real) = url.split_once("?host=").expect("a folder");
        let folder = TempDir::new().expect("a folder");
        let listener = UnixListener::bind(folder.path().join(SOCKET)).expect("a socket");
        let url = format!("{base}?host={}", folder.path().display());
        let state = Arc::<Mutex<State>>::default();
        let (real, shared) = (Path::new(real).join(SOCKET), state.clone());
        tokio::spawn(async move {
            // Who is dropped with it hangs up.
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let (real, state) = (real.clone(), shared.clone());
                connections.spawn(async move {
                    if !turns_away(&state) {
                        let server = UnixStream::connect(real).await.expect("the server");
                        pass(client, server, &state).await;
                    }
                });
            }
        });
        (Self { folder, state }, url)
    }

    fn commits(&self, commits: &[Commit]) {
        self.state.lock().commits = commits.to_vec();
    }

    fn commits_of(&self, of: &'static str, commits: &[Commit]) {
        self.state.lock().of = Some(of);
        self.commits(commits);
    }

    fn goes_away_then(&self) {
        self.state.lock().then_away = true;
    }

    /// Waits until it has been asked for in vain that often.
    async fn turned_away(&self, times: usize) {
        let asked = || self.state.lock().turned_away;
        in_time(eventually(async || (asked() >= times).then_some(()))).await;
    }

    fn comes_back(&self) {
        let mut state = self.state.lock();
        (state.then_away, state.is_away) = (false, false);
    }

    /// Waits until every commit that something was to become of has passed.
    async fn passed(&self) {
        let passed = || self.state.lock().commits.is_empty();
        in_time(eventually(async || passed().then_some(()))).await;
    }
}

fn turns_away(state: &Mutex<State>) -> bool {
    let mut state = state.lock();
    state.turned_away += usize::from(state.is_away);
    state.is_away
}

async fn pass(mut client: UnixStream, mut server: UnixStream, state: &Mutex<State>) {
    let (mut asked, mut answered) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    // Now and then the store writes a row by itself.
    let (mut is_heartbeat, mut is_meant) = (false, false);
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let Ok(length @ 1..) = read else { return };
                let bytes = &asked[..length];
                let says = |text: &[u8]| bytes.windows(text.len()).any(|part| part == text);
                let of = state.lock().of;
                is_heartbeat |= says(b"heartbeat");
                is_meant |= of.is_some_and(|of| says(of.as_bytes()));
                let is_commit = says(b"COMMIT\0");
                let is_any = of.is_none() && !is_heartbeat;
                let commit = (is_commit && (is_any || is_meant)).then(|| {
                    is_meant = false;
                    let mut state = state.lock();
                    let commit = state.commits.pop();
                    state.is_away |= commit.is_some() && state.then_away;
                    commit
                });
                match commit.flatten() {
                    Some(Commit::Unheard) => return,
                    Some(commit) => {
                        server.write_all(bytes).await.expect("the server");
                        let length = server.read(&mut answered).await.expect("its answer");
                        assert!(length > 0, "the server hung up");
                        if commit == Commit::Silent {
                            let _ = copy(&mut client, &mut tokio::io::sink()).await;
                        }
                        return;
                    }
                    None => if server.write_all(bytes).await.is_err() { return },
                }
            }
            read = server.read(&mut answered) => {
                let Ok(length @ 1..) = read else { return };
                if client.write_all(&answered[..length]).await.is_err() { return }
            }
        }
        if state.lock().is_away {
            return;
        }
    }
}

async fn say(db: &Db, events: Vec<Happened>) -> Result<()> {
    let unit = async move |tx: &mut Tx<'_>| {
        for event in events {
            tx.announce(event);
        }
        Ok(())
    };
    db.write(unit).await
}

/// Says it until it is said.
async fn insist(db: &Db, conversation: &str, data: i64) {
    let said = async || match say(db, vec![happened(conversation, data)]).await {
        Ok(()) => Some(()),
        Err(error) => {
            assert_eq!(error.code(), Code::Unavailable, "{error:?}");
            None
        }
    };
    in_time(eventually(said)).await;
}

/// What is said last in a stream: whatever is still to be sent in it is sent before.
const LAST: i64 = -1;

/// Waits until that many events were sent, then until nothing more is to come; what they were, by
/// their streams, each without its [`LAST`].
async fn heard(store: &Store, count: usize) -> Vec<(String, i64, String)> {
    in_time(eventually(async || (store.sent().len() >= count).then_some(()))).await;
    let streams: BTreeSet<_> = store.sent().into_iter().map(|(stream, ..)| stream).collect();
    for stream in &streams {
        insist(&store.db, stream.strip_prefix("conversation/").expect("a conversation"), LAST)
            .await;
    }
    let last = |(_, _, data): &(String, i64, String)| *data == LAST.to_string();
    let ended = || store.sent().iter().filter(|event| last(event)).count();
    in_time(eventually(async || (ended() == streams.len()).then_some(()))).await;
    let mut sent = store.sent();
    sent.retain(|event| !last(event));
    // In a stream they stay in the order in which they were sent.
    sent.sort_by(|one, other| one.0.cmp(&other.0));
    sent
}

fn numbered(conversation: &str, events: &[(i64, i64)]) -> Vec<(String, i64, String)> {
    let stream = format!("conversation/{conversation}");
    events.iter().map(|(seq, data)| (stream.clone(), *seq, data.to_string())).collect()
}

fn lost(error: Result<()>) {
    assert_eq!(error.expect_err("no answer").code(), Code::Unavailable);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_kept_without_an_answer_is_sent_also_when_nothing_comes_later() {
    let server = Postgres::shared();
    let (between, url) = Between::new(server).await;
    let store = Store::open(Some(url), Clock::system()).await;
    say(&store.db, vec![happened("c1", 1)]).await.expect("a unit");
    between.commits(&[Commit::Unanswered]);
    lost(say(&store.db, vec![happened("c1", 2)]).await);
    assert_eq!(heard(&store, 2).await, numbered("c1", &[(1, 1), (2, 2)]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_sent_before_what_comes_later() {
    let server = Postgres::shared();
    let (between, url) = Between::new(server).await;
    let store = Store::open(Some(url), Clock::system()).await;
    for round in 0..10 {
        between.commits(&[Commit::Unanswered]);
        lost(say(&store.db, vec![happened("c1", 2 * round)]).await);
        insist(&store.db, "c1", 2 * round + 1).await;
    }
    let all: Vec<_> = (0..20).map(|at| (at + 1, at)).collect();
    assert_eq!(heard(&store, 20).await, numbered("c1", &all));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_kept_is_not_sent_and_leaves_no_hole() {
    let server = Postgres::shared();
    let (between, url) = Between::new(server).await;
    let store = Store::open(Some(url), Clock::system()).await;
    between.commits(&[Commit::Unheard]);
    lost(say(&store.db, vec![happened("c1", 1), happened("c2", 1)]).await);
    insist(&store.db, "c1", 2).await;
    insist(&store.db, "c2", 2).await;
    let expected = [numbered("c1", &[(1, 2)]), numbered("c2", &[(1, 2)])].concat();
    assert_eq!(heard(&store, 2).await, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_units_in_doubt_are_told_apart_however_long_the_server_is_away() {
    let server = Postgres::shared();
    let (between, url) = Between::new(server).await;
    let store = Store::open(Some(url), Clock::system()).await;
    for conversation in ["c1", "c2", "c3", "c4"] {
        say(&store.db, vec![happened(conversation, 1)]).await.expect("a unit");
    }
    between.commits(&[Commit::Unanswered, Commit::Unheard, Commit::Unanswered]);
    let (one, other, third) = tokio::join!(
        say(&store.db, vec![happened("c1", 2), happened("c2", 2), happened("c1", 3)]),
        say(&store.db, vec![happened("c3", 2)]),
        say(&store.db, vec![happened("c4", 2)]),
    );
    between.passed().await;
    for answer in [one, other, third] {
        lost(answer);
    }
    between.commits(&[Commit::Unanswered]);
    between.goes_away_then();
    // Whatever is in doubt of it now stays so.
    while say(&store.db, vec![happened("c5", 1)]).await.is_ok() {}
    store.becomes(false).await;
    between.turned_away(5).await;
    between.comes_back();
    for conversation in ["c1", "c2", "c3", "c4", "c5"] {
        insist(&store.db, conversation, 9).await;
    }
    let sent = heard(&store, 10).await;
    let conversations = ["c1", "c2", "c3", "c4", "c5"];
    for conversation in conversations {
        let stream = format!("conversation/{conversation}");
        let numbers: Vec<_> = sent.iter().filter(|event| event.0 == stream).map(|e| e.1).collect();
        let all: Vec<_> = (1..).take(numbers.len()).collect();
        assert_eq!(numbers, all, "{conversation}: a hole, a double, or out of order: {sent:?}");
    }
    let kept = store.number("SELECT COUNT(*) FROM events").await;
    let kept = usize::try_from(kept).expect("a count") - conversations.len();
    assert_eq!(sent.len(), kept, "without the last of each: {sent:?}");
    assert!(sent.iter().any(|event| event.0 == "conversation/c5" && event.2 == "1"), "{sent:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_falls_silent_after_a_commit_is_asked_again() {
    let server = Postgres::shared();
    let (between, url) = Between::new(server).await;
    let store = Store::open(Some(url), Clock::system()).await;
    between.commits(&[Commit::Silent]);
    lost(say(&store.db, vec![happened("c1", 1)]).await);
    insist(&store.db, "c1", 2).await;
    assert_eq!(heard(&store, 2).await, numbered("c1", &[(1, 1), (2, 2)]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_closed_waits_for_nothing_in_doubt() {
    let server = Postgres::shared();
    let (between, url) = Between::new(server).await;
    let store = Store::open(Some(url), Clock::system()).await;
    between.commits(&[Commit::Unanswered]);
    between.goes_away_then();
    lost(say(&store.db, vec![happened("c1", 1)]).await);
    in_time(store.db.close()).await;
    drop(between.folder);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_hears_it_as_it_would_have_been_heard() {
    let server = Postgres::shared();
    let (between, url) = Between::new(server).await;
    let app = TestApp::with(|config| {
        config.database.url = Some(url.into());
        config.limits.enabled = false;
    })
    .await;
    let mut people = Vec::new();
    for name in ["alice", "bob"] {
        let grant = format!("/api/rooms/conversation:x1/members/{name}");
        let granted = app.request(reqwest::Method::PUT, &grant, Some(API_KEY), None).await;
        assert_eq!(granted.status, 204);
        let mut person = app.user_with(name, &[], Options::websocket()).await;
        let ack = person.emit_ack("conversation:join", "x1").await;
        assert_eq!(ack["success"], true, "{ack}");
        people.push(person);
    }
    let emit = async |data: i64| -> Answer {
        let to = json!({ "rooms": ["conversation:x1"], "except": ["user-bob"] });
        let body = json!({ "to": to, "event": "told", "data": data });
        app.request(reqwest::Method::POST, "/api/emit", Some(API_KEY), Some(body)).await
    };
    between.commits_of("told", &[Commit::Unanswered]);
    assert_eq!(emit(1).await.status, 503);
    let later = in_time(async {
        loop {
            let answer = emit(2).await;
            if answer.status != 503 {
                return answer;
            }
        }
    });
    assert_eq!(later.await.status, 202);
    let [alice, bob] = &mut people[..] else { panic!("two people") };
    assert_eq!((alice.expect("told").await, alice.expect("told").await), (json!(1), json!(2)));
    alice.expect_nothing().await;
    bob.expect_nothing().await;
}
