//! What the log never holds, at any level: tokens, keys, and what people wrote.

use std::{
    net::SocketAddr,
    path::Path,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use parking_lot::Mutex;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use stoa::clock::Clock;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, Command},
    task::JoinSet,
};

use crate::proxy::backend::{Backend, Reply, SECRET as PROXY_SECRET};
use crate::support::{
    Client, ConnectError, DEADLINE, Options,
    app::{SECRET, sign},
    http_client,
    postgres::Postgres,
    shkeeper::{API_KEY as SHKEEPER_KEY, Fake, PASSWORD, USER},
    within, within_time,
};

/// What every text of the test begins with.
const TEXT: &str = "only-for-you";
const API_KEY: &str = "hush-hush-api-key";

/// The binary, and all that it says.
struct Server {
    child: Child,
    address: SocketAddr,
    said: Arc<Mutex<String>>,
    readers: JoinSet<()>,
}

impl Server {
    async fn start(data: &Path, log: [&str; 2], shkeeper: &Fake, backend: &Backend) -> Self {
        let key = format!("tests:{}", hex::encode(Sha256::digest(API_KEY)));
        let mut command = Command::new(env!("CARGO_BIN_EXE_stoa"));
        command.env_clear().current_dir(data).env("STOA_DATA", data);
        command.env("HOST", "127.0.0.1").env("PORT", "0").env("JWT_SECRET", SECRET);
        command.env("LOG_LEVEL", log[0]).env("LOG_FORMAT", log[1]).env("API_KEYS", key);
        command.env("SHKEEPER_URL", shkeeper.url()).env("SHKEEPER_API_KEY", SHKEEPER_KEY);
        command.env("SHKEEPER_USER", USER).env("SHKEEPER_PASSWORD", PASSWORD);
        command.env("PROXY_URL", backend.url()).env("PROXY_SECRET", PROXY_SECRET);
        command.env("PROXY_EVENTS", "*").env("PROXY_ROOMS", "on");
        command.env("ACCOUNTS", "on").env("STOA_ACCOUNTS__ARGON2__MEMORY_KIB", "64");
        command.env("PUBLIC_URL", "https://stoa.example.com").env("RUST_LOG", "trace");
        if std::env::var("STOA_TEST_STORE").is_ok_and(|store| store == "postgres") {
            let postgres = Postgres::shared();
            command.env("DATABASE_URL", postgres.database().await);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn().expect("the server's process");
        let said = Arc::<Mutex<String>>::default();
        let mut readers = JoinSet::new();
        let (found, address) = tokio::sync::oneshot::channel();
        readers.spawn(keep(child.stdout.take().expect("its log"), said.clone(), Some(found)));
        readers.spawn(keep(child.stderr.take().expect("its errors"), said.clone(), None));
        let address = within_time(4 * DEADLINE, "the server to listen", address).await;
        Self { child, address: address.expect("an address"), said, readers }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Ends it; everything that it said.
    async fn end(mut self) -> String {
        within("the process to end", self.child.kill()).await.expect("its end");
        within("the rest of its log", async { while self.readers.join_next().await.is_some() {} })
            .await;
        self.said.lock().clone()
    }
}

/// Keeps what comes, and tells the address that the server says it listens on.
async fn keep(
    from: impl AsyncRead + Unpin,
    said: Arc<Mutex<String>>,
    mut found: Option<tokio::sync::oneshot::Sender<SocketAddr>>,
) {
    let mut lines = BufReader::new(from).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let at = line.find("127.0.0.1:").filter(|_| line.contains("listening"));
        let address: Option<SocketAddr> = at.and_then(|at| {
            let address = &line[at..];
            let end = address.rfind(|c: char| c.is_ascii_digit()).map_or(0, |last| last + 1);
            let end = address[..end].find(['"', ' ']).unwrap_or(end);
            address[..end].parse().ok()
        });
        if let (Some(address), true) = (address, found.is_some()) {
            let _ = found.take().expect("it is there").send(address);
        }
        let mut said = said.lock();
        said.push_str(&line);
        said.push('\n');
    }
}

fn token(user: &str, n: u32) -> String {
    let now = Clock::system().now().seconds();
    let claims = json!({
        "userId": user, "iat": now, "exp": now + 3600, "n": n, "name": format!("{TEXT} {user}"),
        "email": format!("{TEXT}@example.org"),
    });
    sign(&claims, SECRET)
}

/// A number for each token, so that no two are the same.
struct Tokens(u32, Vec<String>);

impl Tokens {
    fn next(&mut self, user: &str) -> String {
        self.0 += 1;
        let token = token(user, self.0);
        self.1.push(token.clone());
        token
    }
}

fn text(what: &str) -> String {
    format!("{TEXT} {what}")
}

/// Answers events in ways that are none, and once well, with texts everywhere.
fn answer_badly() -> impl Fn(&Value) -> Reply + Send + 'static {
    let asked = AtomicUsize::new(0);
    move |_| match asked.fetch_add(1, Ordering::SeqCst) % 8 {
        0 => Reply::Json(json!({ "ack": [text("ack")], "emit": [
            { "to": { "room": TEXT }, "event": "news", "data": text("data") },
        ] })),
        1 => Reply::Json(json!({ TEXT: text("unknown") })),
        2 => Reply::Text("application/json", text("no JSON")),
        3 => Reply::Json(json!({ "join": [text("no room")] })),
        4 => Reply::Json(json!({ "error": { "code": TEXT, "error": text("error") } })),
        5 => Reply::Json(json!({ "leave": [format!("user-{TEXT}")] })),
        6 => Reply::Json(json!({ "join": ["sellers", format!("user-{TEXT}")] })),
        _ => Reply::Status(500),
    }
}

/// Speaks with the server in every way there is; gives what its log may not hold.
async fn speak(server: &Server) -> Vec<String> {
    let mut tokens = Tokens(0, Vec::new());
    let http = http_client();
    let post = async |token: &str, path: &str, body: Value| {
        let request = http.post(server.url(path)).bearer_auth(token).json(&body);
        within(path, request.send()).await.expect("an answer")
    };
    let (ann, sam) = (tokens.next("ann"), tokens.next("sam"));
    let people = json!({ "participantIds": ["bob"], "type": "group", "title": text("title") });
    let made: Value = post(&ann, "/api/conversations", people).await.json().await.expect("JSON");
    let id = made["conversation"]["id"].as_str().expect("an id").to_owned();

    for (n, options) in
        [Options::websocket(), Options::polling(), Options::upgrade(), Options::websocket()]
            .into_iter()
            .enumerate()
    {
        let token = tokens.next("ann");
        let bearer = format!("Bearer {token}");
        let options = match n {
            0 => options.token(&token),
            1 => options.header("authorization", &bearer).protocol(3),
            2 => options.header("cookie", &format!("theme=dark; token={token}")),
            _ => options.token(&bearer).query("token", &tokens.next("ann")),
        };
        let mut client = Client::connect(server.address, options).await.expect("a client");
        assert_eq!(client.emit_ack("conversation:join", id.as_str()).await["success"], true);
        let file = json!({
            "url": format!("https://files.example.com/{TEXT}"), "name": text("file"),
            "mimeType": "text/plain", "size": 1,
        });
        let message = json!({
            "conversationId": id, "content": text("message"), "attachments": [file],
        });
        assert_eq!(client.emit_ack("message:send", message).await["success"], true);
        let typing = json!({ "conversationId": id, "userName": text("name") });
        client.emit_ack("typing:start", typing).await;
        for bad in [
            json!({ "conversationId": id, "content": "x", "attachments": text("attachments") }),
            json!({ "conversationId": text("id"), "content": "x" }),
            json!({ "conversationId": id, "content": [text("content")] }),
            json!(text("nothing")),
        ] {
            assert_eq!(client.emit_ack("message:send", bad).await["success"], false);
        }
        for _ in 0..2 {
            client.emit_ack(&text("event"), text("argument")).await;
        }
        let refresh = json!({ "token": tokens.next("ann") });
        assert_eq!(client.emit_ack("auth:refresh", refresh).await["success"], true);
        client.emit_ack("auth:refresh", json!({ "token": text("token") })).await;
        client.send_raw(format!("42[\"{TEXT}\",{{"));
        client.abort().await;
    }
    // Tokens that are refused, and the session that the engine names.
    for place in ["token", "access_token"] {
        let wrong = sign(&json!({ "userId": TEXT }), "another secret of at least thirty-two bytes");
        let options = Options::websocket().query(place, &wrong).token(&wrong);
        let refused = Client::connect(server.address, options).await.err();
        assert!(matches!(refused, Some(ConnectError::Refused { .. })), "{refused:?}");
        tokens.1.push(wrong);
    }
    let path = format!("/socket.io/?EIO=4&transport=polling&token={}", tokens.next("ann"));
    let opened = within("a session", http.get(server.url(&path)).send()).await.expect("one");
    let opened = opened.text().await.expect("a packet");
    let opened: Value = serde_json::from_str(&opened[1..]).expect("JSON");
    let sid = opened["sid"].as_str().expect("a sid").to_owned();
    let path = format!("/socket.io/?EIO=4&transport=polling&sid={sid}");
    for body in [format!("40{{\"token\":\"{TEXT}\"}}"), format!("{TEXT} no packet")] {
        within("an answer", http.post(server.url(&path)).body(body).send()).await.expect("one");
    }

    // REST: bodies that are taken, and bodies that are not.
    let messages = format!("/api/conversations/{id}/messages");
    for body in [json!({ "content": text("rest") }), json!({ "content": 1, TEXT: 2 })] {
        post(&ann, &messages, body).await;
    }
    let query = format!("{messages}?token={}&before={TEXT}", tokens.next("ann"));
    within("an answer", http.get(server.url(&query)).bearer_auth(&ann).send()).await.expect("one");
    for (name, value) in [("x-api-key", API_KEY), ("x-api-key", "hush-hush-wrong-key")] {
        let emit = json!({ "to": "everyone", "event": "news", "data": text("data") });
        let request = http.post(server.url("/api/emit")).header(name, value).json(&emit);
        within("an answer", request.send()).await.expect("one");
    }
    let lamp = json!({
        "title": text("lamp"), "description": text("description"),
        "budget": { "amount": 40, "currency": "USD" },
    });
    let made: Value = post(&ann, "/api/marketplace/requests", lamp).await.json().await.expect("it");
    let request = made["id"].as_str().expect("an id").to_owned();
    let offer = json!({ "amount": 35, "currency": "USD", "message": text("offer") });
    let path = format!("/api/marketplace/requests/{request}/offers");
    let made: Value = post(&sam, &path, offer).await.json().await.expect("JSON");
    let path = format!("/api/marketplace/offers/{}/accept", made["id"].as_str().expect("an id"));
    assert_eq!(post(&ann, &path, json!({})).await.status(), 200);
    let mut secrets = tokens.1;
    secrets.push(sid);
    sign_in(server, &mut secrets).await;
    // The rest is the caller's: what is asked of the provider.
    secrets.push(request);
    secrets
}

/// Registers, signs in, and gives tokens and passwords, right and wrong.
async fn sign_in(server: &Server, secrets: &mut Vec<String>) {
    let http = http_client();
    let post = async |path: &str, body: &Value| -> Value {
        let request = http.post(server.url(path)).header("x-api-key", API_KEY).json(body);
        let answer = within(path, request.send()).await.expect("an answer");
        answer.json().await.unwrap_or_default()
    };
    let email = format!("{TEXT}@example.org");
    let ada = json!({
        "email": email, "password": text("password"), "firstName": text("first"),
        "lastName": text("last"),
    });
    let mut tokens = post("/api/auth/register", &ada).await;
    for body in [json!({ "password": text("7") }), json!({ "email": email, "password": TEXT })] {
        post("/api/auth/login", &body).await;
    }
    for _ in 0..2 {
        let refresh = json!({ "refreshToken": tokens["refreshToken"] });
        let next = post("/api/auth/refresh", &refresh).await;
        post("/api/auth/refresh", &refresh).await;
        let login = json!({ "email": email, "password": text("password") });
        for tokens in [&tokens, &next] {
            for name in ["accessToken", "refreshToken"] {
                secrets.push(tokens[name].as_str().expect(name).to_owned());
            }
        }
        tokens = post("/api/auth/login", &login).await;
    }
    let reset = post("/api/auth/password-resets", &json!({ "email": email })).await;
    let reset = reset["resetToken"].as_str().expect("a token");
    for password in [text("new password"), text("")] {
        let body = json!({ "resetToken": reset, "newPassword": password });
        post("/api/auth/password", &body).await;
    }
    secrets.push(reset.to_owned());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_level_tells_tokens_or_texts() {
    for log in [
        ["trace", "json"],
        [
            "trace,hyper=trace,h2=trace,engineioxide=trace,tungstenite=trace,sqlx=trace,log=trace",
            "pretty",
        ],
    ] {
        let data = TempDir::new().expect("a folder");
        let shkeeper = Fake::start().await;
        let backend = Backend::start(answer_badly()).await;
        let server = Server::start(data.path(), log, &shkeeper, &backend).await;
        let mut secrets = speak(&server).await;

        let request = secrets.pop().expect("a request");
        let pay = json!({ "requestId": request, "provider": "shkeeper" });
        let http = http_client();
        let call = http.post(server.url("/api/payments")).bearer_auth(&secrets[0]).json(&pay);
        let payment = within("an invoice", call.send()).await.expect("an answer");
        assert_eq!(payment.status(), 201);
        let payment: Value = payment.json().await.expect("JSON");
        let invoice = shkeeper.invoice(payment["id"].as_str().expect("an id")).expect("an invoice");
        let path = invoice.callback_url.strip_prefix("https://stoa.example.com").expect("ours");
        for body in [json!({ "status": TEXT, "external_id": [TEXT] }), json!({ "status": 1 })] {
            let call = http.post(server.url(path)).header("x-shkeeper-api-key", TEXT).json(&body);
            within("an answer", call.send()).await.expect("one");
        }
        let token = path.rsplit('/').next().expect("a token").to_owned();

        let said = server.end().await;
        assert!(
            ["request answered", "an event was refused", "the backend did not answer"]
                .iter()
                .all(|line| said.contains(line)),
            "{said}"
        );
        let known =
            [SECRET, PROXY_SECRET, API_KEY, "hush-hush-wrong-key", SHKEEPER_KEY, PASSWORD, TEXT];
        secrets.extend(known.map(str::to_owned).into_iter().chain([token]));
        for secret in &secrets {
            // A part of a token is as good as the whole.
            for part in secret.split('.').filter(|part| part.len() > 10) {
                let line = said.lines().find(|line| line.contains(part));
                assert_eq!(line, None, "{log:?} tells {part}");
            }
        }
    }
}
