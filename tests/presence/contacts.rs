//! `PRESENCE_AUDIENCE`: who is told that somebody came or went, and whom REST tells.

use std::{collections::BTreeSet, time::Duration};

use reqwest::Method;
use serde_json::{Value, json};
use stoa::config::{Config, Handshake, PresenceAudience};

use super::hears;
use crate::support::{
    Client, DEADLINE, Options, Person, TestApp, app::API_KEY, postgres::Postgres,
};

const FENCE: &str = "test.fence.own";

const EVENTS: [&str; 3] = ["user:online", "user:offline", "user-status-change"];

fn contacts(config: &mut Config) {
    config.presence.audience = PresenceAudience::Contacts;
    config.presence.grace = Duration::ZERO;
    config.presence.window = Duration::from_millis(1);
}

async fn quick() -> TestApp {
    TestApp::with(contacts).await
}

impl Person {
    /// What they are told of some users.
    async fn asks(&self, users: &[&str]) -> Vec<Value> {
        let body = json!({ "userIds": users });
        let answer = self.post("/api/presence/query", body).await.ok();
        answer["items"].as_array().expect("items").clone()
    }

    /// Whether they are told that somebody is here.
    async fn sees(&self, user: &str) -> bool {
        let one = self.get(&format!("/api/presence/{user}")).await.ok();
        assert_eq!(self.asks(&[user]).await, std::slice::from_ref(&one));
        one["status"] == "online"
    }
}

/// Of whom the user heard so far, by each event that the test has not taken.
async fn heard_of(user: &mut Person) -> BTreeSet<(&'static str, String)> {
    user.heard().await;
    taken(user)
}

fn taken(client: &mut Client) -> BTreeSet<(&'static str, String)> {
    let of = |event| {
        let of = |heard: Value| (event, heard["userId"].as_str().expect("a user").to_owned());
        client.queued(event).into_iter().map(of).collect::<Vec<_>>()
    };
    EVENTS.into_iter().flat_map(of).collect()
}

fn set(heard: &[(&'static str, &str)]) -> BTreeSet<(&'static str, String)> {
    heard.iter().map(|(event, user)| (*event, (*user).to_owned())).collect()
}

async fn admin(app: &TestApp) -> Person {
    app.user_with("root", &["admin"], Options::websocket()).await
}

/// Awaits that an admin hears of all these.
async fn all_come(root: &mut Person, users: &[impl AsRef<str>]) {
    let mut left: BTreeSet<&str> = users.iter().map(AsRef::as_ref).collect();
    while !left.is_empty() {
        let heard = root.expect("user:online").await;
        left.remove(heard["userId"].as_str().expect("a user"));
    }
}

#[tokio::test]
async fn contacts_and_admins_hear_of_a_user_and_nobody_else() {
    let app = quick().await;
    app.person("alice").group(&["bob", "bea"]).await;
    let request = app.buyer("alice").request().await;
    app.seller("sam").offer(&request, "30").await;
    let mut root = admin(&app).await;
    let mut bob = app.user("bob").await;
    let mut bea = app.user_with("bea", &[], Options::polling().namespace("/chat")).await;
    let market = Options::websocket().namespace("/marketplace");
    let mut sam = app.user_with("sam", &["seller"], market).await;
    // She sells, and might see the request while it is open.
    let mut carol = app.user_with("carol", &["seller"], Options::websocket()).await;
    all_come(&mut root, &["bob", "bea", "sam", "carol"]).await;
    heard_of(&mut carol).await;

    let tab = app.user("alice").await;
    let last = app.user_with("alice", &[], Options::polling()).await;
    for user in [&mut root, &mut bob, &mut bea] {
        hears(user, "user:online", "alice").await;
    }
    let others = hears(&mut sam, "user-status-change", "alice").await;
    assert_eq!(others, ["sam"], "of themselves they hear, and of no other seller");
    tab.close().await;
    last.close().await;
    for user in [&mut root, &mut bob, &mut bea] {
        assert_eq!(hears(user, "user:offline", "alice").await, [""; 0]);
        assert!(user.queued("user:online").is_empty(), "she came twice");
    }
    let gone = sam.expect("user-status-change").await;
    assert_eq!((&gone["userId"], &gone["status"]), (&json!("alice"), &json!("offline")));
    assert_eq!(heard_of(&mut carol).await, set(&[]));
    assert_eq!(heard_of(&mut sam).await, set(&[]));
}

#[tokio::test]
async fn many_who_come_at_once_are_told_each_to_their_own() {
    let app = TestApp::with(|config| {
        contacts(config);
        config.presence.window = Duration::from_millis(500);
    })
    .await;
    let names: Vec<String> = (0..30).map(|n| format!("u{n}")).collect();
    for group in names.chunks(3) {
        let group: Vec<&str> = group.iter().map(String::as_str).collect();
        app.person(group[0]).group(&group[1..]).await;
    }
    let mut root = admin(&app).await;
    hears(&mut root, "user-status-change", "root").await;
    let mut users = Vec::new();
    for name in &names {
        users.push(app.user(name).await);
    }
    all_come(&mut root, &names).await;
    for (n, user) in users.iter_mut().enumerate() {
        let heard = heard_of(user).await;
        let mut expected = BTreeSet::new();
        for other in names[n / 3 * 3..].iter().take(3) {
            expected.insert(("user-status-change", other.clone()));
            expected.insert(("user:online", other.clone()));
        }
        expected.remove(&("user:online", names[n].clone()));
        // Who came in an earlier window than this one is not told of.
        assert!(heard.is_subset(&expected), "{n}: {heard:?}");
        assert!(heard.contains(&("user-status-change", names[n].clone())), "{n}: {heard:?}");
    }
}

#[tokio::test]
async fn who_may_watch_another_does_not_hear_of_their_contacts() {
    let app = quick().await;
    app.person("alice").group(&["bob"]).await;
    let put =
        app.request(Method::PUT, "/api/rooms/user-bob/members/eve", Some(API_KEY), None).await;
    assert!(put.status.is_success(), "{put:?}");
    let mut bob = app.user("bob").await;
    let mut eve = app.user("eve").await;
    assert_eq!(eve.emit_ack("join-user-room", "bob").await["success"], true);
    let _alice = app.user("alice").await;
    hears(&mut bob, "user:online", "alice").await;
    app.emit_to_room("user-bob", FENCE, Value::Null).await;
    eve.expect(FENCE).await;
    assert_eq!(taken(&mut eve), set(&[("user-status-change", "eve")]));
}

#[tokio::test]
async fn a_stranger_is_to_rest_as_one_who_was_never_here() {
    let app = quick().await;
    app.person("alice").group(&["bob"]).await;
    let _alice = app.user("alice").await;
    let never = |user: &str| json!({ "userId": user, "status": "offline", "lastSeen": null, "connections": 0 });
    let stranger = app.person("carol");
    let alone = stranger.call(Method::GET, "/api/presence/alice", None).await.ok();
    assert_eq!(alone, never("alice"));
    assert_eq!(stranger.asks(&["alice", "nobody"]).await, [never("alice"), never("nobody")]);
    assert!(app.person("alice").sees("alice").await);
    let contact = app.person("bob");
    let asked = contact.asks(&["nobody", "alice", "bob", "alice"]).await;
    assert_eq!(asked[0], never("nobody"));
    assert_eq!((&asked[1]["status"], &asked[1]["connections"]), (&json!("online"), &json!(1)));
    assert_eq!((&asked[2], &asked[3]), (&never("bob"), &asked[1]));
    for role in ["admin", "service"] {
        let operator = app.person_as("ops", &[role]);
        assert!(operator.sees("alice").await, "{role}");
    }
    assert_eq!(app.presence("alice").await["status"], "online", "by an API key");
}

#[tokio::test]
async fn rest_goes_by_the_contacts_of_the_moment_and_nothing_is_announced() {
    let app = quick().await;
    let mut alice = app.user("alice").await;
    let mut bob = app.user("bob").await;
    for user in [&mut alice, &mut bob] {
        let id = user.id.clone();
        assert_eq!(hears(user, "user-status-change", &id).await, [""; 0]);
    }
    let (asks, other) = (app.person("bob"), app.person("alice"));
    assert!(!asks.sees("alice").await);
    let group = other.group(&["bob"]).await;
    assert!(asks.sees("alice").await && other.sees("bob").await);
    other.call(Method::POST, &format!("/api/conversations/{group}/archive"), None).await;
    assert!(asks.sees("alice").await, "it can still be read");
    let path = format!("/api/conversations/{group}/participants/bob");
    other.call(Method::DELETE, &path, None).await;
    let second = other.group(&["bob"]).await;
    let path = format!("/api/conversations/{second}/participants/bob");
    let removed = other.call(Method::DELETE, &path, None).await;
    assert!(removed.status.is_success(), "{removed:?}");
    for user in [&mut alice, &mut bob] {
        assert_eq!(heard_of(user).await, set(&[]));
    }
}

#[tokio::test]
async fn who_left_a_conversation_is_no_contact_any_more() {
    let app = quick().await;
    let alice = app.person("alice");
    let group = alice.group(&["bob", "bea"]).await;
    let mut bob = app.user("bob").await;
    let mut bea = app.user("bea").await;
    let path = format!("/api/conversations/{group}/participants/bob");
    assert!(alice.call(Method::DELETE, &path, None).await.status.is_success());
    let _alice = app.user("alice").await;
    hears(&mut bea, "user:online", "alice").await;
    assert!(!heard_of(&mut bob).await.contains(&("user:online", "alice".to_owned())));
    assert!(!app.person("bob").sees("alice").await);
}

#[tokio::test]
async fn a_buyer_and_their_sellers_are_contacts_and_sellers_are_none_of_each_other() {
    let app = quick().await;
    let (ann, sam, sue) = (app.buyer("ann"), app.seller("sam"), app.seller("sue"));
    let request = ann.request().await;
    let offer = sam.offer(&request, "30").await;
    sue.offer(&request, "31").await;
    let _all = (app.user("ann").await, app.user("sam").await, app.user("sue").await);
    let sees = async |one: &str, other: &str| app.person(one).sees(other).await;
    for (one, other) in [("ann", "sam"), ("sam", "ann"), ("ann", "sue"), ("sue", "ann")] {
        assert!(sees(one, other).await, "{one} and {other}, while the offers wait");
    }
    assert!(!sees("sam", "sue").await && !sees("sue", "sam").await);
    ann.accept(&offer).await;
    assert!(sees("ann", "sam").await && sees("sam", "ann").await, "it is their request");
    assert!(!sees("ann", "sue").await && !sees("sue", "ann").await, "she was not chosen");
}

#[tokio::test]
async fn user_online_is_announced_again_to_contacts_of_the_marketplace() {
    let app = quick().await;
    app.person("alice").group(&["bob", "bea"]).await;
    let market = || Options::websocket().namespace("/marketplace");
    let mut bob = app.user_with("bob", &[], market()).await;
    let mut bea = app.user_with("bea", &[], Options::websocket().namespace("/chat")).await;
    let mut carol = app.user_with("carol", &[], market()).await;
    let mut alice = app.user_with("alice", &[], market()).await;
    for user in [&mut bob, &mut alice] {
        hears(user, "user-status-change", "alice").await;
    }
    hears(&mut bea, "user:online", "alice").await;
    for _ in 0..2 {
        let ack = alice.emit_ack("user-online", "alice").await;
        assert_eq!(ack, json!({ "success": true, "room": "user-alice" }));
        for user in [&mut bob, &mut alice] {
            hears(user, "user-status-change", "alice").await;
        }
    }
    assert_eq!(heard_of(&mut bea).await, set(&[]));
    assert_eq!(heard_of(&mut carol).await, set(&[("user-status-change", "carol")]));
}

#[tokio::test]
async fn a_socket_that_nobody_has_claimed_hears_of_nobody() {
    let app = TestApp::with(|config| {
        contacts(config);
        config.auth.handshake = Handshake::Trusting;
    })
    .await;
    app.person("alice").group(&["bob"]).await;
    let mut unclaimed = app.connect(Options::websocket()).await.unwrap();
    let mut bob = app.connect(Options::websocket()).await.unwrap();
    assert_eq!(bob.emit_ack("join-user-room", "bob").await["success"], true);
    let _alice = app.user("alice").await;
    hears(&mut bob, "user:online", "alice").await;
    // By the shard's one queue, what was said before would have come before.
    assert_eq!(unclaimed.emit_ack("join-user-room", "eve").await["success"], true);
    app.emit(json!({ "user": "eve" }), FENCE, Value::Null).await;
    unclaimed.expect(FENCE).await;
    let heard = taken(&mut unclaimed);
    assert!(!heard.iter().any(|(_, user)| user == "alice"), "{heard:?}");
}

#[tokio::test]
async fn with_off_nobody_is_told_and_rest_answers() {
    let app = TestApp::with(|config| {
        contacts(config);
        config.presence.audience = PresenceAudience::Off;
    })
    .await;
    app.person("alice").group(&["bob"]).await;
    let mut root = admin(&app).await;
    let mut bob = app.user("bob").await;
    let mut alice = app.user_with("alice", &[], Options::websocket()).await;
    let ack = alice.emit_ack("user-online", "alice").await;
    assert_eq!(ack, json!({ "success": true, "room": "user-alice" }));
    assert!(app.person("carol").sees("alice").await);
    counted(&app, "online", 3).await;
    alice.close().await;
    counted(&app, "offline", 1).await;
    assert!(!app.person("carol").sees("alice").await);
    for user in [&mut root, &mut bob] {
        assert_eq!(heard_of(user).await, set(&[]));
    }
}

/// Awaits that this process has counted so many who came or went.
async fn counted(app: &TestApp, to: &str, users: u64) {
    let name = format!("stoa_presence_transitions_total{{to=\"{to}\"}} ");
    app.until("/metrics", DEADLINE, "a pass", |answer| {
        let mut lines = answer.body.as_str().unwrap_or_default().lines();
        let count = lines.find_map(|line| line.strip_prefix(&name)?.parse().ok());
        count.is_some_and(|count: u64| count >= users)
    })
    .await;
}

#[tokio::test]
async fn ids_of_any_form_find_their_contacts() {
    let app = quick().await;
    let (one, other) = (r#"o'ne|"é\t"#, r#"a"b\\"c{}:$1"#);
    app.person(one).group(&[other]).await;
    let mut hearer = app.user(one).await;
    let _other = app.user(other).await;
    hears(&mut hearer, "user:online", other).await;
    let seen = app.person(one).asks(&[other, "nobody"]).await;
    assert_eq!((&seen[0]["status"], &seen[1]["status"]), (&json!("online"), &json!("offline")));
}

/// More than is read at once: of conversations, of people in one, and of buyers.
#[tokio::test]
async fn of_thousands_of_contacts_each_one_who_is_here_hears_once() {
    let app = quick().await;
    app.execute(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4500)
        INSERT INTO conversations
            (id, kind, metadata, created_by, created_at, messages, last_activity_at, participants,
             listed_at)
        SELECT 'c' || i, 'group', '{}', 'alice', 0, 0, 0, 2, i % 3 FROM n",
    )
    .await;
    for user in ["'alice'", "'u' || substr(id, 2)"] {
        let place = if user == "'alice'" { 1 } else { 2 };
        let sql = format!(
            "INSERT INTO participants
                (conversation_id, user_id, joined_at, last_read, listed_at, place)
            SELECT id, {user}, 0, 0, listed_at, {place} FROM conversations"
        );
        app.execute(&sql).await;
    }
    app.execute(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 6000)
        INSERT INTO purchase_requests
            (id, buyer_id, title, description, budget_amount, budget_currency, metadata, status,
             seller_id, code_tries, created_at, updated_at)
        SELECT 'r' || i, 'b' || (i % 4100), '', '', '1', 'USD', '{}', 'completed', 'alice', 0, 0, 0
        FROM n",
    )
    .await;
    let crowd: Vec<String> = (0..999).map(|n| format!("m{n}")).collect();
    let crowd: Vec<&str> = crowd.iter().map(String::as_str).collect();
    for _ in 0..3 {
        app.person("alice").group(&crowd).await;
    }
    let here = ["u1", "u2000", "u2001", "u4500", "b0", "b2000", "b4099", "m0", "m998"];
    let mut users = Vec::new();
    for user in here {
        users.push(app.user(user).await);
    }
    let mut stranger = app.user("carol").await;
    let alice = app.user("alice").await;
    for user in &mut users {
        hears(user, "user:online", "alice").await;
    }
    alice.close().await;
    for user in &mut users {
        hears(user, "user:offline", "alice").await;
        let again = taken(user).contains(&("user:online", "alice".to_owned()));
        assert!(!again, "{} heard twice", user.id);
    }
    assert!(!heard_of(&mut stranger).await.iter().any(|(_, user)| user == "alice"));
    let alice = app.person("alice");
    for user in here {
        assert!(alice.sees(user).await && app.person(user).asks(&["alice"]).await.len() == 1);
    }
    assert!(!alice.sees("carol").await);
}

/// Nobody is told while contacts can't be known, and everything that is so by then afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happened_while_the_store_was_away_is_told_when_it_is_back() {
    let mut server = Postgres::new();
    let url = server.database().await;
    let app = TestApp::with(|config| {
        contacts(config);
        config.database.url = Some(url.into());
    })
    .await;
    let (alice, flo) = (app.person("alice"), app.person("flo"));
    alice.group(&["bob"]).await;
    flo.group(&["bob"]).await;
    let mut bob = app.user("bob").await;
    // No pass is under way that would fail in place of the one that is to tell of her.
    hears(&mut bob, "user-status-change", "bob").await;
    server.stop();
    let asks = app.person("bob");
    let asked = async || asks.call(Method::GET, "/api/presence/alice", None).await;
    assert_eq!(asked().await.problem(503), "unavailable");
    let alices = app.user("alice").await;
    app.user("flo").await.close().await;
    app.until_offline("flo", DEADLINE).await;
    // By then the search for whom to tell, which began before, has failed as well.
    assert_eq!(asked().await.problem(503), "unavailable");
    server.start();
    let others = hears(&mut bob, "user:online", "alice").await;
    assert!(!others.contains(&"flo".to_owned()), "she is gone: {others:?}");
    alices.close().await;
    hears(&mut bob, "user:offline", "alice").await;
    assert!(bob.queued("user:online").is_empty(), "she came twice");
}

/// What presence costs in a storm: news that sockets hear when all come at once and know five others
/// each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_among_contacts_costs_less_than_a_tenth() {
    const USERS: usize = 198;
    const CIRCLE: usize = 6;
    let mut delivered = Vec::new();
    for audience in [PresenceAudience::Everyone, PresenceAudience::Contacts] {
        let app = TestApp::with(|config| {
            contacts(config);
            config.presence.audience = audience;
            config.presence.window = Duration::from_millis(100);
            config.limits.enabled = false;
        })
        .await;
        let names: Vec<String> = (0..USERS).map(|n| format!("u{n}")).collect();
        for group in names.chunks(CIRCLE) {
            let group: Vec<&str> = group.iter().map(String::as_str).collect();
            app.person(group[0]).group(&group[1..]).await;
        }
        let mut root = admin(&app).await;
        hears(&mut root, "user-status-change", "root").await;
        let mut users = Vec::new();
        for some in names.chunks(50) {
            let connect = some.iter().map(|name| app.user(name));
            users.extend(futures_util::future::join_all(connect).await);
        }
        all_come(&mut root, &names).await;
        let mut news = 0;
        for user in &mut users {
            user.heard().await;
            news += EVENTS.map(|event| user.queued(event).len()).iter().sum::<usize>();
        }
        delivered.push(news);
    }
    let [everyone, contacts] = delivered[..] else { panic!("two storms") };
    println!("{USERS} users: {everyone} news to everyone, {contacts} to contacts");
    assert!(contacts * 10 < everyone, "{contacts} of {everyone}");
}
