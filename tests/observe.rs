//! `stoa observe` before another server: nothing that passes is changed, and what is told of it is
//! true.

use std::{fs, net::SocketAddr, path::Path, process::Stdio, sync::Arc};

use futures_util::{SinkExt, StreamExt};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use serde_json::{Value, json};
use stoa::{
    config::{Config, Handshake},
    observe::Observer,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    process::Command,
};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::{
    accept_async, connect_async,
    tungstenite::{Message, client::IntoClientRequest},
};

use crate::support::{
    Client, DEADLINE, Options, TestApp,
    app::{SECRET, sign},
    raw, within,
};

/// Before this server, for one that is configured so.
async fn observe(upstream: SocketAddr, change: impl FnOnce(&mut Config)) -> Observer {
    let mut config = Config::for_tests();
    config.auth.jwt_secret = Some(SECRET.into());
    change(&mut config);
    let upstream = format!("http://{upstream}").parse().expect("an upstream");
    let any = "127.0.0.1:0".parse().expect("an address");
    Observer::start(any, upstream, &config, stoa::app::events()).await.expect("an observer")
}

/// Its last report.
async fn report(observer: Observer) -> (Value, String) {
    let report = within("the report", observer.stop()).await;
    (serde_json::to_value(&report).expect("JSON"), report.to_string())
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address");
    (listener, address)
}

#[tokio::test]
async fn every_byte_passes_as_it_is() {
    let (listener, address) = listen().await;
    let observer = observe(address, |_| {}).await;
    let asked =
        b"get /Odd?\xff HTTP/1.1\nhOsT:x\r\nX-Odd :  y \r\n\r\n\0\x80and what is no HTTP at all";
    let answered = [&b"HTTP/1.1 200 OK\r\nx-ODD: \xe9\r\n\r\n"[..], &vec![7; 300_000]].concat();
    let mut client = TcpStream::connect(observer.address()).await.unwrap();
    let (mut server, _) = within("a connection", listener.accept()).await.unwrap();
    client.write_all(asked).await.unwrap();
    client.shutdown().await.unwrap();
    let mut heard = Vec::new();
    within("what was asked", server.read_to_end(&mut heard)).await.unwrap();
    assert_eq!(heard, asked);
    // What the client has ended goes on in the other direction.
    let answering = tokio::spawn({
        let answered = answered.clone();
        async move { server.write_all(&answered).await }
    });
    let mut heard = Vec::new();
    within("the answer", client.read_to_end(&mut heard)).await.unwrap();
    answering.await.unwrap().unwrap();
    assert_eq!(heard, answered);
}

#[tokio::test]
async fn who_can_t_be_passed_on_is_told_so() {
    let (listener, address) = listen().await;
    drop(listener);
    let observer = observe(address, |_| {}).await;
    let request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let answer = raw::until_closed(observer.address(), request, DEADLINE).await;
    assert!(answer.starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{answer}");
    let sentence = "The server behind `stoa observe` can't be reached: Connection refused";
    assert!(answer.contains(sentence), "{answer}");
}

#[tokio::test]
async fn a_server_that_speaks_tls_is_passed_on_to() {
    let keys = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/keys");
    let certificate = CertificateDer::from_pem_file(format!("{keys}/localhost.cert.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(format!("{keys}/localhost.pem")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let (listener, address) = listen().await;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let data = tempfile::tempdir().unwrap();
    let observe = async |name: &str, trusts: &str| {
        let mut child = Command::new(env!("CARGO_BIN_EXE_stoa"))
            .args(["observe", "--listen", "127.0.0.1:0", "--upstream"])
            .arg(format!("https://{name}:{}", address.port()))
            .env("SSL_CERT_FILE", trusts)
            .env("JWT_SECRET", SECRET)
            .current_dir(data.path())
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let line = within("its address", lines.next_line()).await.unwrap().unwrap();
        let own: SocketAddr = line.rsplit(' ').next().unwrap().parse().unwrap();
        (child, lines, TcpStream::connect(own).await.unwrap())
    };
    let ca = format!("{keys}/localhost-ca.pem");
    let (_child, _lines, mut client) = observe("localhost", &ca).await;
    let (stream, _) = within("a connection", listener.accept()).await.unwrap();
    let mut server = within("TLS", acceptor.accept(stream)).await.unwrap();
    for (from, to) in [(true, b"there"), (false, b"back!")] {
        let mut heard = [0; 5];
        if from {
            client.write_all(to).await.unwrap();
            within("what is said", server.read_exact(&mut heard)).await.unwrap();
        } else {
            server.write_all(to).await.unwrap();
            server.flush().await.unwrap();
            within("what is said", client.read_exact(&mut heard)).await.unwrap();
        }
        assert_eq!(&heard, to);
    }
    // One that it has no reason to trust is not.
    let (_child, _lines, mut client) = observe("localhost", &format!("{keys}/rsa.cert.pem")).await;
    let (stream, _) = within("a connection", listener.accept()).await.unwrap();
    assert!(within("TLS", acceptor.accept(stream)).await.is_err());
    client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    raw::until(&mut client, "HTTP/1.1 502").await;
}

#[tokio::test]
async fn before_a_server_of_our_own_there_is_nothing_to_do() {
    let app = TestApp::start().await;
    let observer = observe(app.address(), |_| {}).await;
    let claims = json!({ "rooms": ["conversation:c1", "chat-c1"] });
    let token = app.token_with("alice", claims);
    for options in [Options::websocket(), Options::polling(), Options::upgrade()] {
        for protocol in [4, 3] {
            let bearer = format!("Bearer {token}");
            let options = options.clone().protocol(protocol).header("authorization", &bearer);
            let mut client = Client::connect(observer.address(), options).await.expect("a client");
            assert_eq!(client.emit_ack("conversation:join", "c1").await["success"], true);
            assert_eq!(client.emit_ack("join-chat-room", "c1").await["success"], true);
            client.emit("typing:start", json!({ "conversationId": "c1", "userName": "Alice" }));
            let unread = json!({ "unreadCount": 3 });
            app.emit(json!({ "user": "alice" }), "unread-count-update", unread).await;
            client.expect("unread-count-update").await;
            client.close().await;
        }
    }
    let (report, text) = report(observer).await;
    assert_eq!(report["toDo"], json!([]), "{text}");
    assert_eq!(
        report["read"],
        json!({
            "connections": report["read"]["connections"], "lost": 0, "unreadable": 0, "tooLong": 0,
            "leftOut": 0,
        })
    );
    assert_eq!(
        report["sessions"],
        json!({
            "engineIo3": 3, "engineIo4": 3, "polling": 4, "websocket": 2, "upgraded": 2,
            "compressed": 0, "jsonp": 0,
        }),
        "{text}"
    );
    assert_eq!(
        report["tokens"],
        json!([
            { "place": "Authorization: Bearer", "readHere": true, "taken": 6, "refused": {} },
        ])
    );
    let joins = &report["clientEvents"][0];
    let join = (&joins["event"], &joins["count"], &joins["acknowledgements"], &joins["known"]);
    assert_eq!(join, (&json!("conversation:join"), &json!(6), &json!(6), &json!(true)));
}

/// A server that lets in whoever asks, then says these packets, and acknowledges what is said to it.
async fn easy_going(said: &'static [&'static str]) -> SocketAddr {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut socket = accept_async(stream).await.expect("a websocket");
                let open = r#"0{"sid":"s","pingInterval":25000,"pingTimeout":60000}"#;
                let _ = socket.send(Message::text(open)).await;
                while let Some(Ok(Message::Text(packet))) = socket.next().await {
                    let namespace = packet.find(',').filter(|_| packet.starts_with("40/"));
                    let namespace = namespace.map_or("", |end| &packet[2..=end]);
                    if packet.starts_with("40") {
                        let connect = format!("40{namespace}{{\"sid\":\"s\"}}");
                        let _ = socket.send(Message::text(connect)).await;
                        for packet in said {
                            let _ = socket.send(Message::text(*packet)).await;
                        }
                    }
                    if packet.starts_with("421[") {
                        let _ = socket.send(Message::text(ACKNOWLEDGED)).await;
                    }
                }
            });
        }
    });
    address
}

/// A client that shows something, says these packets, and leaves once it has heard the last one.
async fn client(
    observer: &Observer,
    shows: (&str, &[(&'static str, String)]),
    says: &[String],
    last: &str,
) {
    let (query, headers) = shows;
    let url = format!("ws://{}/socket.io/?EIO=4&transport=websocket{query}", observer.address());
    let mut request = url.into_client_request().expect("a request");
    for (name, value) in headers {
        request.headers_mut().append(*name, value.parse().expect("a value"));
    }
    let (mut socket, _) = within("a websocket", connect_async(request)).await.expect("a websocket");
    for packet in says {
        socket.send(Message::text(packet.as_str())).await.expect("it is said");
    }
    let heard = async {
        while let Some(Ok(message)) = socket.next().await {
            if message.to_text().is_ok_and(|text| text == last) {
                return;
            }
        }
        panic!("it ended");
    };
    within(last, heard).await;
    let _ = socket.close(None).await;
}

const CONNECTED: &str = r#"40{"sid":"s"}"#;

const ACKNOWLEDGED: &str = r#"431[{"success":true}]"#;

fn lines(list: &Value) -> String {
    let items = list.as_array().expect("a list").iter();
    items.fold(String::new(), |lines, item| lines + &item.to_string() + "\n")
}

#[tokio::test]
async fn tokens_are_judged_where_they_stand_and_never_kept() {
    let observer = observe(easy_going(&[]).await, |config| {
        config.auth.jwt_audience = Some("web".to_owned());
    })
    .await;
    let good = sign(&json!({ "userId": "alice", "aud": "web" }), SECRET);
    let other =
        sign(&json!({ "userId": "alice", "aud": "web" }), "another secret, of 32 bytes and more");
    let elsewhere = sign(&json!({ "userId": "alice", "aud": "app" }), SECRET);
    let expired = sign(&json!({ "userId": "alice", "aud": "web", "exp": 1 }), SECRET);
    let auth = |field: &str, token: &str| vec![format!("40{}", json!({ (field): token }))];
    let none = || vec!["40".to_owned()];
    for (query, headers, says) in [
        (String::new(), vec![], auth("token", &good)),
        (String::new(), vec![], auth("token", &other)),
        (String::new(), vec![], auth("token", "no JWT")),
        (String::new(), vec![], auth("jwt", &good)),
        (String::new(), vec![("authorization", format!("Bearer {elsewhere}"))], none()),
        (String::new(), vec![("authorization", good.clone())], none()),
        (String::new(), vec![("x-access-token", good.clone())], none()),
        (String::new(), vec![("cookie", format!("a=b; token={expired}"))], none()),
        (String::new(), vec![("cookie", format!("session={good}"))], none()),
        (String::new(), vec![("cookie", format!("sid=s%3A{good}.c2ln"))], none()),
        (format!("&jwt={other}"), vec![], none()),
        (String::new(), vec![("cookie", "a=b".to_owned())], none()),
        // The first place that is read counts, whatever stands in others.
        (
            format!("&jwt={other}"),
            vec![("cookie", format!("session={other}"))],
            auth("token", &good),
        ),
    ] {
        client(&observer, (&query, &headers), &says, CONNECTED).await;
    }
    let (report, text) = report(observer).await;
    insta::assert_snapshot!(lines(&report["tokens"]), @r#"
    {"place":"auth.token","readHere":true,"taken":2,"refused":{"invalid signature":1,"jwt malformed":1}}
    {"place":"Authorization: Bearer","readHere":true,"taken":0,"refused":{"jwt audience invalid. expected: web":1}}
    {"place":"cookie token","readHere":true,"taken":0,"refused":{"jwt expired":1}}
    {"place":"auth.jwt","readHere":false,"taken":1,"refused":{}}
    {"place":"header authorization","readHere":false,"taken":1,"refused":{}}
    {"place":"header x-access-token","readHere":false,"taken":1,"refused":{}}
    {"place":"cookie session","readHere":false,"taken":1,"refused":{}}
    {"place":"signed cookie sid","readHere":false,"taken":1,"refused":{}}
    {"place":"query jwt","readHere":false,"taken":0,"refused":{"not taken by its keys":1}}
    "#);
    insta::assert_snapshot!(lines(&report["toDo"]), @r#"
    {"setting":"JWT_SECRET, JWT_PUBLIC_KEY or JWT_JWKS","why":"1 sockets show a token by auth.token that is refused: invalid signature"}
    {"setting":"JWT_AUDIENCE","why":"1 sockets show a token by Authorization: Bearer that is refused: jwt audience invalid. expected: web"}
    {"setting":"AUTH_COOKIES=token,accessToken,session","why":"1 sockets show a token by cookie session, which is not read"}
    {"setting":"AUTH_COOKIE_SECRET","why":"1 sockets show a token by signed cookie sid, which is not read"}
    {"setting":"AUTH_QUERY=jwt","why":"1 sockets show a token by query jwt, which is not read"}
    {"setting":"JWT_SECRET, JWT_PUBLIC_KEY or JWT_JWKS","why":"1 of these tokens are taken by no key that is configured"}
    {"setting":"HANDSHAKE=trusting","why":"1 sockets show no token"}
    {"why":"1 sockets show a token by auth.token that is refused: jwt malformed"}
    {"why":"1 sockets show a token by cookie token that is refused: jwt expired"}
    {"why":"1 sockets show a token by auth.jwt, which is not read"}
    {"why":"1 sockets show a token by header authorization, which is not read"}
    {"why":"1 sockets show a token by header x-access-token, which is not read"}
    "#);
    for secret in [good, other, elsewhere, expired] {
        for part in secret.split('.') {
            assert!(!report.to_string().contains(part) && !text.contains(part), "{text}");
        }
    }
}

#[tokio::test]
async fn without_a_key_none_is_judged() {
    let observer = observe(easy_going(&[]).await, |config| config.auth.jwt_secret = None).await;
    let token = sign(&json!({ "userId": "alice" }), SECRET);
    client(&observer, ("", &[]), &[format!("40{}", json!({ "token": token }))], CONNECTED).await;
    let (report, _) = report(observer).await;
    insta::assert_snapshot!(lines(&report["toDo"]), @r#"
    {"setting":"JWT_SECRET, JWT_PUBLIC_KEY or JWT_JWKS","why":"1 sockets show a token by auth.token that is refused: no key is configured"}
    "#);
}

#[tokio::test]
async fn what_a_backend_is_configured_to_answer_is_heard() {
    let configure = |config: &mut Config| {
        config.auth.handshake = Handshake::Trusting;
        config.proxy.events = vec!["cart:*".to_owned()];
    };
    let observer = observe(easy_going(&[]).await, configure).await;
    let said = [
        "40",
        r#"42["cart:add",1]"#,
        r#"42["orders:list"]"#,
        r#"421["typing-stop",{"chatId":"c","userId":"u"}]"#,
    ]
    .map(str::to_owned);
    client(&observer, ("", &[]), &said, ACKNOWLEDGED).await;
    let (report, _) = report(observer).await;
    insta::assert_snapshot!(lines(&report["toDo"]), @r#"
    {"setting":"PROXY_URL and PROXY_EVENTS=cart:*,orders:list","why":"clients say what nobody hears here, until the event proxy is configured for it"}
    "#);
}

#[tokio::test]
async fn what_no_setting_helps_with_is_told_too() {
    let observer = observe(
        easy_going(&[
            r#"42["user:online",{"userId":"u"},"further"]"#,
            r#"427["user:offline",{"userId":"u"}]"#,
            r#"42["message:new-507f1f77bcf86cd799439011",{}]"#,
            r#"42["delivery-update",{"requestId":"r","status":"x","507f1f77bcf86cd799439011":1}]"#,
            r#"451-["new-offer",{"_placeholder":true,"num":0}]"#,
            r#"42["payment-update",{"paymentId":"p","status":"thinking"}]"#,
        ])
        .await,
        |config| config.auth.handshake = Handshake::Trusting,
    )
    .await;
    let said = [
        "40/orders,",
        "40",
        r#"42["typing-start",{"chatId":true}]"#,
        r#"42["message:send",{"conversationId":"c","content":"secret","more":1}]"#,
        r#"42/orders,["orders:list"]"#,
        "4no packet",
        r#"421["typing-stop",{"chatId":"c","userId":"u"}]"#,
    ]
    .map(str::to_owned);
    let origin = ("origin", "https://shop.example.com".to_owned());
    client(&observer, ("", &[origin]), &said, ACKNOWLEDGED).await;
    let (report, text) = report(observer).await;
    insta::assert_snapshot!(lines(&report["toDo"]), @r#"
    {"setting":"CLIENT_URL or FRONTEND_URL with https://shop.example.com","why":"1 sessions are of its pages, which are refused"}
    {"setting":"PROXY_URL and PROXY_EVENTS=orders:list","why":"clients say what nobody hears here, until the event proxy is configured for it"}
    {"why":"clients say typing-start and are refused, 1 times: userId (string) is missing"}
    {"why":"clients say typing-start and are refused, 1 times: chatId is boolean, in the catalogue string"}
    {"why":"the server says delivery-update otherwise, 2 times: * (integer) is not in the catalogue"}
    {"why":"the server says message:new-*, 2 times, which is none of the catalogue: a backend says it with POST /api/emit"}
    {"why":"the server says new-offer otherwise, 2 times: the payload is binary, in the catalogue object"}
    {"why":"the server says payment-update otherwise, 2 times: status has a value (string) that is not in the catalogue"}
    {"why":"the server wants user:offline acknowledged, 2 times"}
    {"why":"the server says user:online otherwise, 2 times: argument 2 (string) is not in the catalogue"}
    {"why":"1 sockets are in /orders, a namespace that is not here"}
    {"why":"1 packets or connections could not be read: another parser of Socket.IO, or another protocol, is not spoken here"}
    "#);
    for value in ["secret", "507f", "thinking"] {
        assert!(!report.to_string().contains(value) && !text.contains(value), "{text}");
    }
}

/// The fenced block of this language on the page has this text; `INSTA_UPDATE=always` writes it.
fn shown_on_page(language: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/observe.md");
    let page = fs::read_to_string(&path).expect("the page");
    let fence = format!("```{language}\n");
    let start = page.find(&fence).expect("the block") + fence.len();
    let end = start + page[start..].find("```").expect("its end");
    if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
        fs::write(path, format!("{}{text}{}", &page[..start], &page[end..]))
            .expect("it is written");
    } else {
        assert_eq!(&page[start..end], text);
    }
}

#[tokio::test]
async fn the_page_shows_a_report() {
    let said = &[
        r#"42["message:new",{"messageId":"m","conversationId":"c","content":"x","sender":{"id":"u","firstName":"A","lastName":"B"},"createdAt":"t","attachments":[]}]"#,
        r#"42["new-offer",{"requestId":"r","sellerId":"s","offer":{"id":"o","_id":"o","requestId":"r","sellerId":"s","amount":3,"currency":"USD","message":null,"deliveryDays":null,"status":"pending","isSelected":false,"createdAt":"t","updatedAt":"t","discount":5}}]"#,
        r#"42["order:shipped",{"orderId":"o"}]"#,
    ];
    let upstream = easy_going(said).await;
    let observer = observe(upstream, |_| {}).await;
    let token = sign(&json!({ "userId": "alice" }), SECRET);
    let joins = r#"421["conversation:join","c"]"#.to_owned();
    for _ in 0..2 {
        let says = [
            format!("40{}", json!({ "token": token })),
            r#"42["cart:update",{"items":[1]}]"#.to_owned(),
            joins.clone(),
        ];
        client(&observer, ("", &[]), &says, ACKNOWLEDGED).await;
    }
    let cookie = [("cookie", format!("session={token}"))];
    client(&observer, ("", &cookie), &["40".to_owned(), joins], ACKNOWLEDGED).await;
    let (mut report, text) = report(observer).await;
    let times = ["from", "to"].map(|name| report[name].as_str().unwrap().to_owned());
    let example = ["2026-03-02T09:00:00.000Z", "2026-03-02T09:15:00.000Z"];
    let own = format!("http://{upstream}");
    let text = text.replace(&own, "http://old-server:3003");
    let [from, to] = times.each_ref().map(String::as_str);
    let (before, after) =
        (format!("from {from} to {to}"), format!("from {} to {}", example[0], example[1]));
    let text = text.replace(&before, &after);
    report["upstream"] = json!("http://old-server:3003");
    (report["from"], report["to"]) = (json!(example[0]), json!(example[1]));
    shown_on_page("text", &text);
    shown_on_page("json", &format!("{}\n", serde_json::to_string_pretty(&report).unwrap()));
}
