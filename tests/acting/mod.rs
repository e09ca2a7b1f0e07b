//! A backend that acts for users: who may, for whom, and where; what it says of what it does
//! (docs/contract/rest.md#acting-for-a-user).

mod given;
mod routes;

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use stoa::config::Rate;
use tempfile::TempDir;

use crate::support::{
    Person, TestApp,
    app::{ACT_KEY, API_KEY, Answer, NARROW_KEY, SECRET},
    eventually, http_client,
    process::Process,
    within_time,
};

const LIST: &str = "/api/conversations";

fn talk_to_bob() -> Value {
    json!({ "participantIds": ["bob"] })
}

/// `POST /api/conversations` with these headers.
async fn begin(app: &TestApp, headers: &[(&str, &str)]) -> Answer {
    app.post_with(LIST, headers, &talk_to_bob()).await
}

#[tokio::test]
async fn a_backend_begins_a_conversation_of_two_others_and_writes_as_one_of_them() {
    let app = TestApp::start().await;
    let (mut ann, mut bob) = (app.user("ann").await, app.user("bob").await);
    let acted = app.acted_for("ann", &[]);
    let begun = acted.post(LIST, talk_to_bob()).await.created()["conversation"].clone();
    assert_eq!((&begun["type"], &begun["createdBy"]), (&json!("direct"), &json!("ann")));
    assert_eq!(begun["participantCount"], 2, "{begun}");
    let id = begun["id"].as_str().expect("an id");
    assert_eq!(ann.expect("conversation:created").await["conversation"]["id"], id);
    assert_eq!(bob.expect("conversation:added").await["addedBy"]["id"], "ann");
    // The other of the two finds the same one, by whomever they come.
    assert_eq!(app.acted_for("bob", &[]).talk_to("ann").await, id);
    assert_eq!(app.person("bob").talk_to("ann").await, id);

    bob.join("conversation:join", id).await;
    ann.join("join-chat-room", id).await;
    acted.say(id, "Hello").await;
    let heard = bob.expect("message:new").await;
    assert_eq!((&heard["content"], &heard["sender"]["id"]), (&json!("Hello"), &json!("ann")));
    assert_eq!(ann.expect("new-message").await["senderId"], "ann");
    let seen = app.person("bob").get(&format!("{LIST}/{id}/messages")).await.ok();
    assert_eq!(seen["items"][0]["sender"]["id"], "ann", "{seen}");
}

#[tokio::test]
async fn who_acts_is_a_service_with_the_scope_and_others_are_told_what_it_takes() {
    let app = TestApp::start().await;
    let bearer = |roles: &[&str]| format!("Bearer {}", app.token("orders", roles));
    let (service, user, admin) = (bearer(&["service"]), bearer(&["user"]), bearer(&["admin"]));
    for shown in [("x-api-key", ACT_KEY), ("authorization", &service)] {
        assert!(begin(&app, &[shown, ("x-act-as", "ann")]).await.status.is_success(), "{shown:?}");
    }
    let role = "This needs the role service, to act for a user: a backend's API key, or its token.";
    let scope = "This needs an API key with the scope act.";
    for (shown, needs) in [
        (("authorization", &*user), role),
        (("authorization", &*admin), role),
        (("x-api-key", API_KEY), scope),
        (("x-api-key", NARROW_KEY), scope),
    ] {
        for headers in [[shown, ("x-act-as", "ann")], [shown, ("x-act-as", "a b")]] {
            let answer = begin(&app, &headers).await;
            let malformed = needs == scope && headers[1].1 == "a b";
            if malformed {
                assert_eq!(answer.problem(400), "malformed");
            } else {
                assert_eq!(answer.problem(403), "forbidden", "{headers:?}");
                assert_eq!(answer.body["detail"], needs, "{headers:?}");
            }
        }
    }
    assert_eq!(begin(&app, &[("x-act-as", "ann")]).await.problem(401), "token_missing");
    let bad = [("x-api-key", "a guess"), ("x-act-as", "ann")];
    assert_eq!(begin(&app, &bad).await.problem(401), "api_key_invalid");
}

#[tokio::test]
async fn a_key_may_act_and_be_narrowed_in_what_it_emits() {
    let hash = hex::encode(Sha256::digest("both"));
    let app = TestApp::with(|config| {
        config.auth.api_keys.push(format!("both:{hash}:act+event=payment-"));
    })
    .await;
    let key = ("x-api-key", "both");
    assert!(begin(&app, &[key, ("x-act-as", "ann")]).await.status.is_success());
    let narrowed = "This needs an API key that is not narrowed to some emits.";
    assert_eq!(begin(&app, &[key]).await.body["detail"], narrowed);
    let admin = [key, ("x-act-as", "ann"), ("x-act-as-roles", "admin")];
    assert_eq!(begin(&app, &admin).await.problem(403), "forbidden");
    for (event, status) in [("payment-news", 202), ("news", 403)] {
        let body = json!({ "to": { "user": "ann" }, "event": event, "data": 1 });
        assert_eq!(app.post_with("/api/emit", &[key], &body).await.status, status, "{event}");
    }
}

#[tokio::test]
async fn for_whom_is_one_user_by_their_id_whatever_that_looks_like() {
    let app = TestApp::start().await;
    for id in ["auth0|5f7c", "ann+shop@example.com", "+14155550100", "søren", "42"] {
        let answer = begin(&app, &[("x-api-key", ACT_KEY), ("x-act-as", id)]).await;
        assert_eq!(answer.created()["conversation"]["createdBy"], id);
    }
    let long = "x".repeat(257);
    for headers in [
        vec![("x-act-as", "")],
        vec![("x-act-as", "a b")],
        vec![("x-act-as", &*long)],
        vec![("x-act-as", "ann"), ("x-act-as", "bob")],
        vec![("x-act-as-roles", "seller")],
    ] {
        let headers: Vec<_> = [("x-api-key", ACT_KEY)].into_iter().chain(headers).collect();
        assert_eq!(begin(&app, &headers).await.problem(400), "malformed", "{headers:?}");
    }
    let not_utf8 = http::HeaderValue::from_bytes(b"\xf8").unwrap();
    let url = format!("http://{}{LIST}", app.address());
    let request = http_client().get(url).header("x-api-key", ACT_KEY).header("x-act-as", not_utf8);
    assert_eq!(request.send().await.unwrap().status(), 400);
}

#[tokio::test]
async fn what_the_user_is_the_service_says() {
    let app = TestApp::with(|config| {
        config.auth.role_names.insert("vendor".to_owned(), "seller".to_owned());
    })
    .await;
    let request = app.acted_for("bea", &["buyer"]).request().await;
    let offers = format!("/api/marketplace/requests/{request}/offers");
    let offer = json!({ "amount": 30, "currency": "USD" });
    for (id, roles, status) in [
        ("b1", &["buyer"][..], 403),
        ("u1", &["user"], 403),
        ("x1", &["something else"], 403),
        ("s1", &["seller"], 201),
        ("s2", &["buyer", "Seller"], 201),
        ("s3", &["vendor"], 201),
        ("s4", &[], 201),
    ] {
        let answer = app.acted_for(id, roles).post(&offers, offer.clone()).await;
        assert_eq!(answer.status, status, "{roles:?}: {answer:?}");
    }
    let id = app.person("ann").group(&["bob"]).await;
    let path = format!("{LIST}/{id}");
    assert_eq!(app.acted_for("eve", &["user"]).get(&path).await.status, 404);
    assert_eq!(app.acted_for("root", &["admin"]).get(&path).await.status, 200, "by an API key");
    let service = format!("Bearer {}", app.token("orders", &["service"]));
    for (shown, role, needs) in [
        (
            ("authorization", &*service),
            "admin",
            "This needs an API key that is not narrowed, to act for an admin.",
        ),
        (("authorization", &service), "service", "A service acts for users, and for no service."),
        (("x-api-key", ACT_KEY), "service", "A service acts for users, and for no service."),
    ] {
        let headers = [shown, ("x-act-as", "eve"), ("x-act-as-roles", role)];
        let answer = begin(&app, &headers).await;
        assert_eq!((answer.problem(403), &answer.body["detail"]), ("forbidden", &json!(needs)));
    }
}

#[tokio::test]
async fn what_a_service_does_in_its_own_name_it_does_for_nobody() {
    let app = TestApp::start().await;
    let ann = app.acted_for("ann", &["admin"]);
    let needs = "This needs the service's own name: a request without X-Act-As.";
    for (method, path, body) in [
        (Method::POST, "/api/emit", json!({ "to": "everyone", "event": "news", "data": 1 })),
        (Method::POST, "/api/emit/batch", json!({ "emits": [] })),
        (Method::GET, "/api/auth/me", Value::Null),
        (Method::POST, "/api/auth/tokens", json!({ "userId": "bob" })),
        (Method::POST, "/api/auth/revocations", json!({ "userId": "bob" })),
        (Method::GET, "/api/users/ann", Value::Null),
        (Method::PUT, "/api/users/ann", json!({ "name": "Ann" })),
        (Method::DELETE, "/api/users/ann", Value::Null),
        (Method::POST, "/api/users/ann/block", json!({})),
    ] {
        let answer = ann.call(method, path, Some(body).filter(|body| !body.is_null())).await;
        assert_eq!((answer.problem(403), &answer.body["detail"]), ("forbidden", &json!(needs)));
    }
    // Elsewhere it is answered as the user is, who is no service.
    let eve = app.acted_for("eve", &[]);
    for path in ["/api/rooms", "/api/status"] {
        assert_eq!(eve.get(path).await.problem(403), "forbidden", "{path}");
    }
    let award = json!({ "userId": "eve", "points": 5, "reason": "x", "reference": "x" });
    assert_eq!(eve.post("/api/points/awards", award).await.problem(403), "forbidden");
}

#[tokio::test]
async fn nobody_acts_for_who_is_blocked() {
    let app = TestApp::start().await;
    let (ann, bob) = (app.acted_for("ann", &[]), app.acted_for("bob", &[]));
    let id = ann.group(&["bob"]).await;
    assert_eq!(app.post("/api/users/ann/block", json!({})).await.status, 204);
    assert_eq!(ann.get(LIST).await.problem(403), "user_blocked");
    let path = format!("{LIST}/{id}/messages");
    let named = json!({ "content": "Hello", "senderId": "ann" });
    let headers = [("x-api-key", ACT_KEY)];
    assert_eq!(app.post_with(&path, &headers, &named).await.problem(403), "user_blocked");
    assert_eq!(bob.get(LIST).await.status, 200);
}

#[tokio::test]
async fn nobody_acts_for_who_is_being_erased() {
    let app = TestApp::start().await;
    // Those before her take two seconds at least, since others write meanwhile.
    let many: Vec<_> = (0..40).map(|n| format!("u-{n:02}")).collect();
    app.person("zed").group(&many).await;
    for user in &many {
        let ask = format!("INSERT INTO erasures (user_id, asked_at) VALUES ('{user}', 1)");
        app.execute(&ask).await;
    }
    let path = "/api/users/zed";
    let erased = app.request(Method::DELETE, path, Some(API_KEY), None).await;
    assert_eq!(erased.status, 202, "{erased:?}");
    assert_eq!(app.acted_for("zed", &[]).get(LIST).await.problem(403), "user_leaving");
    let app = app.restart().await;
    let zed = app.acted_for("zed", &[]);
    assert_eq!(zed.get(LIST).await.problem(403), "user_leaving", "over a restart, too");
    let done = async || {
        let left = app.count("SELECT COUNT(*) FROM erasures").await;
        (left == 0 && zed.get(LIST).await.status == 200).then_some(())
    };
    // Each of them in several units, and with a pause after each.
    within_time(Duration::from_mins(1), "everybody to be erased", eventually(done)).await;
}

#[tokio::test]
async fn a_body_that_was_long_under_way_is_not_taken_of_who_was_blocked_meanwhile() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let app = TestApp::start().await;
    let body = talk_to_bob().to_string();
    let head = format!(
        "POST {LIST} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Api-Key: {ACT_KEY}\r\n\
         X-Act-As: ann\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Expect: 100-continue\r\n\r\n",
        body.len()
    );
    let mut stream = tokio::net::TcpStream::connect(app.address()).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    // It is asked for when the caller has been let in.
    let mut go_on = [0; 12];
    stream.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100");
    assert_eq!(app.post("/api/users/ann/block", json!({})).await.status, 204);
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("HTTP/1.1 403") && answer.contains("user_blocked"), "{answer}");
}

#[tokio::test]
async fn keys_of_repeated_requests_are_the_users() {
    let app = TestApp::start().await;
    let (own, acted) = (app.person("ann"), app.acted_for("ann", &[]));
    let first = acted.post_keyed(LIST, "k1", &talk_to_bob()).await;
    let replayed = |answer: &Answer| answer.headers.contains_key("idempotency-replayed");
    assert!(first.status == 201 && !replayed(&first), "{first:?}");
    for again in [acted, own] {
        let again = again.post_keyed(LIST, "k1", &talk_to_bob()).await;
        assert!(replayed(&again) && again.body == first.body, "{again:?}");
    }
    let other = app.acted_for("cat", &[]).post_keyed(LIST, "k1", &talk_to_bob()).await;
    assert!(other.status == 201 && !replayed(&other), "{other:?}");
}

#[tokio::test]
async fn keys_are_the_users_whom_the_body_names_too() {
    let app = TestApp::start().await;
    let id = app.person("ann").group(&["bob"]).await;
    let path = format!("{LIST}/{id}/messages");
    let headers = [("x-api-key", ACT_KEY), ("idempotency-key", "k1")];
    let say = async |message: Value| app.post_with(&path, &headers, &message).await;
    let replayed = |answer: &Answer| answer.headers.contains_key("idempotency-replayed");
    let message = json!({ "content": "x", "senderId": "ann" });
    let first = say(message.clone()).await;
    assert!(first.status == 201 && !replayed(&first), "{first:?}");
    assert!(replayed(&say(message.clone()).await));
    let other = say(json!({ "content": "x", "senderId": "bob" })).await;
    assert!(other.status == 201 && !replayed(&other), "{other:?}");
    let own = app.person("ann").post_keyed(&path, "k1", &message).await;
    assert!(replayed(&own) && own.body == first.body, "{own:?}");
}

#[tokio::test]
async fn a_backend_asks_for_many_and_for_one_user_only_so_often() {
    let few = |burst| Rate { per_second: 1, burst };
    let app = TestApp::with(|config| {
        config.limits.rest_writes = few(2);
        config.limits.messages = few(2);
        config.limits.rest_acting = few(20);
    })
    .await;
    let ann = app.person("ann");
    let id = ann.group(&["bob"]).await;
    let path = format!("{LIST}/{id}/messages");
    let say = async |person: &Person| person.post(&path, json!({ "content": "x" })).await.status;
    let acted = app.acted_for("ann", &[]);
    let named = json!({ "content": "x", "senderId": "ann" });
    for n in 0..10 {
        assert_eq!(say(&acted).await, 201, "{n}");
        let answer = app.post_with(&path, &[("x-api-key", ACT_KEY)], &named).await;
        assert_eq!(answer.status, 201, "{n}");
    }
    // A bucket that fills with one a second has some more by now, and not this many.
    let mut refused = 0;
    for _ in 0..20 {
        refused += usize::from(say(&acted).await == 429);
        refused += usize::from(
            app.post_with(&path, &[("x-api-key", ACT_KEY)], &named).await.status == 429,
        );
    }
    assert!(refused >= 20, "{refused}");
    assert_eq!(say(&app.acted_for("bob", &[])).await, 201, "another user");
    assert_eq!(say(&ann).await, 201, "what the user does is another bucket");
}

#[tokio::test]
async fn the_log_names_who_acts_and_for_whom() {
    let data = TempDir::new().expect("a folder");
    let hash = hex::encode(Sha256::digest(ACT_KEY));
    let keys = format!("backend:{hash}:act");
    let variables = [("API_KEYS", keys.as_str()), ("STOA_LOG__SLOW_REQUEST", "0s")];
    let server = Process::start(data.path(), &variables).await;
    let url = format!("http://{}{LIST}", server.address);
    let post = || http_client().post(&url).header("x-api-key", ACT_KEY).json(&talk_to_bob());
    let begun = post().header("x-act-as", "ann").send().await.unwrap();
    let begun: Value = begun.json().await.unwrap();
    let id = begun["conversation"]["id"].as_str().expect("an id");
    let named = json!({ "content": "x", "senderId": "bob" });
    let messages = http_client().post(format!("{url}/{id}/messages"));
    let said = messages.header("x-api-key", ACT_KEY).json(&named).send().await.unwrap();
    assert_eq!(said.status(), 201);
    let token = crate::support::app::sign(&json!({ "userId": "cat" }), SECRET);
    let own = http_client().get(&url).bearer_auth(token).send().await.unwrap();
    assert_eq!(own.status(), 200);
    let log = server.kill().await;
    let answered = log.iter().filter(|line| line["message"] == "request answered");
    let who = |line: &Value| {
        let span = &line["spans"][0];
        [&span["service"], &span["user"]].map(|name| name.as_str().map(str::to_owned))
    };
    let told: Vec<_> = answered.map(who).collect();
    let by = |user: &str| [Some("service:backend".to_owned()), Some(user.to_owned())];
    assert_eq!(told, [by("ann"), by("bob"), [None, Some("cat".to_owned())]]);
}

#[tokio::test]
async fn without_a_user_a_service_creates_nothing_where_a_person_is_meant() {
    let app = TestApp::start().await;
    let (ann, bea) = (app.person("ann"), app.buyer("bea"));
    let id = ann.group(&["bob"]).await;
    let message = ann.say(&id, "Hello").await;
    let request = bea.request().await;
    let service = app.person_as("orders", &["service"]);
    for (method, path, body) in [
        (Method::POST, LIST.to_owned(), json!({ "participantIds": ["ann", "bob"] })),
        (Method::POST, format!("{LIST}/{id}/messages"), json!({ "content": "x" })),
        (Method::POST, format!("{LIST}/{id}/read"), json!({ "messageId": message })),
        (Method::PUT, format!("/api/messages/{message}/reactions/:ok:"), Value::Null),
        (Method::POST, "/api/marketplace/requests".to_owned(), crate::support::market::a_lamp()),
        (
            Method::POST,
            format!("/api/marketplace/requests/{request}/offers"),
            json!({ "amount": 1, "currency": "USD" }),
        ),
        (
            Method::POST,
            "/api/marketplace/template-checkouts".to_owned(),
            json!({ "requestIds": [request] }),
        ),
    ] {
        let body = Some(body).filter(|body| !body.is_null());
        for key in [API_KEY, ACT_KEY] {
            let answer = app.request(method.clone(), &path, Some(key), body.clone()).await;
            assert_eq!(answer.problem(422), "person_missing", "{method} {path}");
            assert!(answer.body["detail"].as_str().unwrap().contains("X-Act-As"), "{answer:?}");
        }
        assert_eq!(service.call(method, &path, body).await.problem(422), "person_missing");
    }
    assert_eq!(app.get(LIST).await.ok()["items"], json!([]));
}

#[tokio::test]
async fn pages_may_send_the_headers_and_the_description_tells_of_them() {
    let app = TestApp::start().await;
    let url = format!("http://{}{LIST}", app.address());
    let preflight = http_client()
        .request(Method::OPTIONS, url)
        .header("origin", "http://localhost:5175")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "x-act-as,x-act-as-roles");
    let answer = preflight.send().await.unwrap();
    let granted = answer.headers()["access-control-allow-headers"].to_str().unwrap();
    assert!(granted.contains("x-act-as,x-act-as-roles"), "{granted}");
    let description = app.get("/api/openapi.json").await.ok();
    let own = ["/api/emit", "/api/auth", "/api/users", "/api/webhook"];
    let named = json!([
        { "$ref": "#/components/parameters/ActAs" },
        { "$ref": "#/components/parameters/ActAsRoles" },
    ]);
    for (path, item) in description["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let named = named.as_array().unwrap().iter().all(|one| parameters.contains(one));
            let open = operation["security"] == json!([{}]);
            let taken = !open && !own.iter().any(|own| path.starts_with(own));
            assert_eq!(named, taken, "{method} {path}");
        }
    }
    for name in ["ActAs", "ActAsRoles"] {
        let parameter = &description["components"]["parameters"][name];
        assert_eq!(parameter["in"], "header", "{parameter}");
    }
}
