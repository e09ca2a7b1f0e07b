//! Points: what users earn, whatever comes at once, and who hears of it.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use stoa::{
    clock::Clock,
    config::{Config, Level},
    db::Tx,
    error::{Code, Error},
    id::{Id, Ids},
    points::{Award, PointsService},
    text::PersonName,
};

use crate::{
    store::engine::Store,
    support::{Options, Person, TestApp, app::Answer},
};

const AWARDS: &str = "/api/points/awards";
const REFERRALS: &str = "/api/points/referrals";
const REWARD: &str = "/api/points/referrals/reward";

async fn award(app: &TestApp, user: &str, points: i64, reference: &str) -> Answer {
    let body = json!({
        "userId": user, "points": points, "reason": "A purchase", "reference": reference,
    });
    app.post(AWARDS, body).await
}

async fn get(app: &TestApp, user: &str, path: &str) -> Value {
    app.person(user).get(&format!("/api/points{path}")).await.ok()
}

/// Points now, for the level, and the level.
async fn stands(app: &TestApp, user: &str) -> [i64; 3] {
    let account = get(app, user, "/me").await;
    ["points", "lifetimePoints", "level"].map(|name| account[name].as_i64().expect("a number"))
}

async fn ledger(app: &TestApp, user: &str) -> Vec<Value> {
    let (mut entries, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = get(app, user, &format!("/me/ledger?limit=100&cursor={cursor}")).await;
        entries.extend(page["items"].as_array().expect("a list").iter().cloned());
        match page["nextCursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => return entries,
        }
    }
}

async fn code(app: &TestApp, user: &str) -> String {
    get(app, user, "/me").await["referralCode"].as_str().expect("a code").to_owned()
}

fn levels(config: &mut Config) {
    let level = |(level, points, perk): (u32, i64, &str)| Level {
        level,
        points,
        perks: vec![perk.to_owned()],
    };
    config.points.levels =
        [(1, 0, "none"), (2, 100, "two"), (3, 200, "three"), (7, 1000, "seven")].map(level).into();
    config.limits.enabled = false;
}

#[tokio::test]
async fn fifty_awards_with_one_reference_are_one_entry() {
    let app = TestApp::with(levels).await;
    let mut tab = app.user("ann").await;
    let answers = join_all((0..50).map(|_| award(&app, "ann", 150, "order-1"))).await;
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(made, 1);
    assert!(answers.iter().all(|answer| answer.status == 201 || answer.status == 200));
    let first = &answers[0].body;
    assert!(answers.iter().all(|answer| answer.body == *first), "the first one to all");
    assert_eq!(ledger(&app, "ann").await, std::slice::from_ref(first));
    assert_eq!(stands(&app, "ann").await, [150, 150, 2]);
    assert_eq!(tab.expect("level-up").await["newLevel"], 2);
    tab.expect_nothing().await;

    // What it stood for stays; another user's is another.
    assert_eq!(award(&app, "ann", 151, "order-1").await.problem(409), "reference_used");
    let other = json!({ "userId": "ann", "points": 150, "reason": "Else", "reference": "order-1" });
    assert_eq!(app.post(AWARDS, other).await.problem(409), "reference_used");
    assert_eq!(award(&app, "bob", 150, "order-1").await.status, 201);
    assert_eq!(stands(&app, "ann").await, [150, 150, 2]);
}

#[tokio::test]
async fn a_thousand_awards_at_once_add_up_exactly() {
    let app = TestApp::with(levels).await;
    // Whichever come first, there is enough to correct.
    award(&app, "ann", 50_000, "start").await.ok();
    // Postgres takes them side by side, and each waits for its turn at the account.
    let at_once = if app.database_url().is_some() { 250 } else { 1000 };
    let all: Vec<i64> = (0..1000).collect();
    for some in all.chunks(at_once) {
        let awards = some.iter().map(|n| {
            let (app, n) = (&app, *n);
            // Some of them corrections.
            let points = if n % 10 == 9 { -n / 2 - 1 } else { n + 1000 };
            async move { (points, award(app, "ann", points, &format!("order-{n}")).await) }
        });
        let answers = join_all(awards).await;
        assert!(answers.iter().all(|(_, answer)| answer.status == 201), "{:?}", answers[9]);
    }
    let sum: i64 = all.iter().map(|n| if n % 10 == 9 { -n / 2 - 1 } else { n + 1000 }).sum();
    let expected = 50_000 + sum;
    assert_eq!(stands(&app, "ann").await, [expected, expected, 7]);
    let entries = ledger(&app, "ann").await;
    assert_eq!(entries.len(), 1001);
    let number = |entry: &Value, name: &str| entry[name].as_i64().expect("a number");
    let mut balance = 0;
    for entry in entries.iter().rev() {
        balance += number(entry, "points");
        assert_eq!(number(entry, "balance"), balance);
    }
    assert_eq!(balance, expected);
    let ids: BTreeSet<_> = entries.iter().map(|entry| entry["id"].to_string()).collect();
    assert_eq!(ids.len(), 1001);
}

#[tokio::test]
async fn one_level_up_goes_from_the_old_level_to_the_new_one_whatever_lies_between() {
    let app = TestApp::with(levels).await;
    let mut tabs: Vec<Person> = Vec::new();
    for options in
        [Options::websocket(), Options::polling(), Options::websocket().namespace("/marketplace")]
    {
        tabs.push(app.user_with("ann", &[], options).await);
    }
    let mut others =
        [app.user("bob").await, app.user_with("root", &["admin"], Options::websocket()).await];
    award(&app, "ann", 99, "a").await.ok();
    award(&app, "ann", 1, "b").await.ok();
    award(&app, "ann", 899, "c").await.ok();
    award(&app, "ann", 5000, "d").await.ok();
    award(&app, "ann", 5000, "e").await.ok();
    for tab in &mut tabs {
        for (old, new, lifetime, perk) in
            [(1, 2, 100, "two"), (2, 3, 999, "three"), (3, 7, 5999, "seven")]
        {
            let expected = json!({
                "oldLevel": old, "newLevel": new, "lifetimePoints": lifetime, "perks": [perk],
            });
            assert_eq!(tab.expect("level-up").await, expected);
        }
        tab.expect_nothing().await;
    }
    award(&app, "bob", 5000, "a").await.ok();
    let whole = json!({
        "oldLevel": 1, "newLevel": 7, "lifetimePoints": 5000, "perks": ["seven"],
    });
    let [bob, root] = &mut others;
    assert_eq!(bob.expect("level-up").await, whole);
    bob.expect_nothing().await;
    root.expect_nothing().await;

    let account = get(&app, "ann", "/me").await;
    assert_eq!((&account["nextLevel"], &account["perks"]), (&Value::Null, &json!(["seven"])));
    award(&app, "cat", 100, "a").await.ok();
    let account = get(&app, "cat", "/me").await;
    let next = json!({ "level": 3, "points": 200, "perks": ["three"] });
    assert_eq!((&account["level"], &account["nextLevel"]), (&json!(2), &next));
}

#[tokio::test]
async fn a_correction_takes_points_and_no_event_tells_of_it() {
    let app = TestApp::with(levels).await;
    let mut tab = app.user("ann").await;
    award(&app, "ann", 250, "a").await.ok();
    assert_eq!(tab.expect("level-up").await["newLevel"], 3);
    let corrected = award(&app, "ann", -100, "a corrected").await;
    assert_eq!((corrected.status.as_u16(), &corrected.body["balance"]), (201, &json!(150)));
    assert_eq!(stands(&app, "ann").await, [150, 150, 2]);
    tab.expect_nothing().await;

    // Never below nothing, and what was refused leaves nothing behind.
    assert_eq!(award(&app, "ann", -151, "b").await.problem(409), "insufficient_points");
    assert_eq!(award(&app, "nobody", -1, "b").await.problem(409), "insufficient_points");
    assert_eq!(award(&app, "ann", -150, "b").await.status, 201);
    assert_eq!(stands(&app, "ann").await, [0, 0, 1]);
    assert_eq!(ledger(&app, "ann").await.len(), 3);
    // A level that was told of is not told of again.
    award(&app, "ann", 100, "c").await.ok();
    award(&app, "ann", 150, "d").await.ok();
    assert_eq!(stands(&app, "ann").await, [250, 250, 3]);
    tab.expect_nothing().await;
    award(&app, "ann", 5000, "e").await.ok();
    let told = tab.expect("level-up").await;
    assert_eq!((&told["oldLevel"], &told["newLevel"]), (&json!(3), &json!(7)));
}

#[tokio::test]
async fn what_is_asked_of_points_has_its_bounds() {
    let app = TestApp::start().await;
    for (field, value, pointer) in [
        ("points", json!(0), "/points"),
        ("points", json!(1_000_000_001), "/points"),
        ("points", json!(-1_000_000_001), "/points"),
        ("points", json!(1.5), "/points"),
        ("points", json!("10"), "/points"),
        ("reason", json!(""), "/reason"),
        ("reason", json!("é".repeat(201)), "/reason"),
        ("reason", json!("a\nb"), "/reason"),
        ("reference", json!(""), "/reference"),
        ("reference", json!("é".repeat(257)), "/reference"),
        ("reference", json!("a\u{0}b"), "/reference"),
        ("userId", json!("a b"), "/userId"),
        ("more", json!(1), "/more"),
    ] {
        let mut body = json!({ "userId": "ann", "points": 1, "reason": "x", "reference": "y" });
        body[field] = value;
        let refused = app.post(AWARDS, body).await;
        assert_eq!(refused.problem(422), "invalid_payload", "{field}");
        assert_eq!(refused.body["errors"][0]["pointer"], pointer, "{}", refused.body);
    }
    let most = json!({ "userId": "ann", "points": 1_000_000_000, "reason": "é".repeat(200),
        "reference": "é".repeat(256) });
    assert_eq!(app.post(AWARDS, most).await.status, 201);
    for body in [
        json!({ "referredUserId": "bob", "points": 0 }),
        json!({ "referredUserId": "bob", "points": -1 }),
        json!({ "referredUserId": "bob", "points": 1, "reference": "" }),
        json!({ "points": 1 }),
    ] {
        assert_eq!(app.post(REWARD, body).await.problem(422), "invalid_payload");
    }
    for body in [
        json!({ "referredUserId": "bob", "name": "Bob" }),
        json!({ "referredUserId": "bob", "name": "Bob", "referrerId": "ann", "referralCode": "X" }),
        json!({ "referredUserId": "bob", "name": "", "referrerId": "ann" }),
        json!({ "referredUserId": "bob", "name": "x".repeat(101), "referrerId": "ann" }),
        json!({ "referredUserId": "bob", "referrerId": "ann" }),
        json!({ "name": "Bob", "referrerId": "ann" }),
    ] {
        assert_eq!(app.post(REFERRALS, body).await.problem(422), "invalid_payload");
    }
    for code in [json!(""), json!("x".repeat(65)), json!("a\u{0}b"), json!(["x"])] {
        let body = json!({ "referredUserId": "bob", "name": "Bob", "referralCode": code });
        let refused = app.post(REFERRALS, body).await;
        assert_eq!(refused.problem(422), "invalid_payload", "{code}");
        assert_eq!(refused.body["errors"][0]["pointer"], "/referralCode", "{code}");
    }
    let neither = json!({ "referredUserId": "bob", "name": "Bob" });
    let refused = app.post(REFERRALS, neither).await;
    assert_eq!(refused.body["errors"].as_array().map(Vec::len), Some(2), "{}", refused.body);
    let whole = json!({ "userId": "ann", "points": 1.0, "reason": "x", "reference": "whole" });
    let awarded = app.post(AWARDS, whole).await;
    assert_eq!((awarded.status.as_u16(), &awarded.body["points"]), (201, &json!(1)));
}

#[tokio::test]
async fn only_backends_award_and_refer() {
    let app = TestApp::start().await;
    let calls = [
        (AWARDS, json!({ "userId": "ann", "points": 1, "reason": "x", "reference": "y" })),
        (REFERRALS, json!({ "referredUserId": "bob", "name": "Bob", "referrerId": "ann" })),
        (REWARD, json!({ "referredUserId": "bob", "points": 1 })),
    ];
    for (path, body) in calls {
        for roles in [&[][..], &["user"], &["admin"]] {
            let refused = app.person_as("ann", roles).post(path, body.clone()).await;
            assert_eq!(refused.problem(403), "forbidden", "{path}");
        }
        assert_eq!(app.request(Method::POST, path, None, Some(body)).await.status, 401);
    }
    assert_eq!(stands(&app, "ann").await, [0, 0, 1]);
    for path in ["/me", "/me/ledger", "/levels"] {
        let path = format!("/api/points{path}");
        assert_eq!(app.request(Method::GET, &path, None, None).await.status, 401);
    }
}

#[tokio::test]
async fn everyone_sees_the_levels_and_their_own_ledger_in_pages() {
    let app = TestApp::with(levels).await;
    let listed = get(&app, "ann", "/levels").await;
    assert_eq!(listed["items"][3], json!({ "level": 7, "points": 1000, "perks": ["seven"] }));
    assert_eq!(
        (listed["items"].as_array().map(Vec::len), &listed["nextCursor"]),
        (Some(4), &Value::Null)
    );
    for n in 1..=5 {
        award(&app, "ann", n, &n.to_string()).await.ok();
    }
    award(&app, "bob", 1, "1").await.ok();
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = get(&app, "ann", &format!("/me/ledger?limit=2&cursor={cursor}")).await;
        seen.extend(page["items"].as_array().expect("a list").iter().cloned());
        let Some(next) = page["nextCursor"].as_str() else { break };
        next.clone_into(&mut cursor);
    }
    let points: Vec<_> = seen.iter().map(|entry| entry["points"].clone()).collect();
    assert_eq!(points, [5, 4, 3, 2, 1].map(|n| json!(n)));
    let newest = &seen[0];
    assert_eq!(newest["id"], newest["_id"]);
    for (name, value) in [
        ("userId", json!("ann")),
        ("balance", json!(15)),
        ("reason", json!("A purchase")),
        ("reference", json!("5")),
        ("referredUserId", Value::Null),
    ] {
        assert_eq!(newest[name], value);
    }
}

#[tokio::test]
async fn a_referral_is_told_to_the_referrer_once_and_the_first_one_stays() {
    let app = TestApp::with(levels).await;
    let codes = join_all((0..20).map(|_| code(&app, "ann"))).await;
    assert!(codes.iter().all(|code| *code == codes[0]), "{codes:?}");
    assert_ne!(code(&app, "bob").await, codes[0]);
    assert_eq!(codes[0].len(), 8);
    let mut tabs = [
        app.user("ann").await,
        app.user_with("ann", &[], Options::websocket().namespace("/marketplace")).await,
    ];
    let mut others = [
        app.user("bob").await,
        app.user("cat").await,
        app.user_with("root", &["admin"], Options::websocket()).await,
    ];
    let by_code = |code: &str, user: &str| json!({ "referralCode": code, "referredUserId": user, "name": "Cat" });
    let first = app.post(REFERRALS, by_code(&codes[0], "cat")).await;
    assert_eq!(first.status, 201, "{first:?}");
    let expected = json!({
        "referrerId": "ann", "referredUserId": "cat", "name": "Cat",
        "joinedAt": first.body["joinedAt"],
    });
    assert_eq!(first.body, expected);
    let lower = by_code(&format!(" {} ", codes[0].to_lowercase()), "cat");
    let by_id = json!({ "referrerId": "ann", "referredUserId": "cat", "name": "Catherine" });
    for again in [lower, by_id] {
        let again = app.post(REFERRALS, again).await;
        assert_eq!((again.status.as_u16(), &again.body), (200, &expected));
    }
    for tab in &mut tabs {
        let told =
            json!({ "referredUserId": "cat", "name": "Cat", "joinedAt": first.body["joinedAt"] });
        assert_eq!(tab.expect("referral-signup").await, told);
        tab.expect_nothing().await;
    }
    let bobs = by_code(&code(&app, "bob").await, "cat");
    assert_eq!(app.post(REFERRALS, bobs).await.problem(409), "referred_already");
    for (body, pointer) in [
        (by_code(&codes[0], "ann"), "/referralCode"),
        (json!({ "referrerId": "ann", "referredUserId": "ann", "name": "Ann" }), "/referrerId"),
        (by_code("ABCDEFGH", "dan"), "/referralCode"),
        (by_code("", "dan"), "/referralCode"),
    ] {
        let refused = app.post(REFERRALS, body).await;
        assert_eq!(refused.problem(422), "invalid_payload");
        assert_eq!(refused.body["errors"][0]["pointer"], pointer);
    }
    for other in &mut others {
        other.expect_nothing().await;
    }
}

#[tokio::test]
async fn a_reward_goes_to_the_referrer_once_for_each_reference() {
    let app = TestApp::with(levels).await;
    let mut tabs = [app.user("ann").await, app.user("ann").await];
    let mut cat = app.user("cat").await;
    let reward = |body: Value| {
        let app = &app;
        async move { app.post(REWARD, body).await }
    };
    let plain = json!({ "referredUserId": "cat", "points": 150 });
    assert_eq!(reward(plain.clone()).await.problem(404), "not_found");
    for (user, name) in [("cat", "Cat"), ("dan", "Dan")] {
        let body = json!({ "referrerId": "ann", "referredUserId": user, "name": name });
        app.post(REFERRALS, body).await.ok();
    }
    let answers = join_all((0..20).map(|_| reward(plain.clone()))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
    let first = &answers[0].body;
    assert!(answers.iter().all(|answer| answer.body == *first));
    assert_eq!((&first["reference"], &first["referredUserId"]), (&Value::Null, &json!("cat")));
    for tab in &mut tabs {
        tab.expect("referral-signup").await;
        tab.expect("referral-signup").await;
        let told = json!({ "referredUserId": "cat", "points": 150, "transactionId": first["id"] });
        assert_eq!(tab.expect("referral-reward").await, told);
        assert_eq!(tab.expect("level-up").await["newLevel"], 2);
        tab.expect_nothing().await;
    }
    let mut body = json!({ "referredUserId": "cat", "points": 10, "reference": "order-1" });
    assert_eq!(reward(body.clone()).await.status, 201);
    assert_eq!(reward(body.clone()).await.status, 200);
    body["referredUserId"] = json!("dan");
    assert_eq!(reward(body.clone()).await.status, 201);
    body["points"] = json!(11);
    assert_eq!(reward(body).await.problem(409), "reference_used");
    // An award of the same reference is another thing.
    award(&app, "ann", 1, "order-1").await.ok();
    assert_eq!(stands(&app, "ann").await, [171, 171, 2]);
    assert_eq!(ledger(&app, "ann").await.len(), 4);
    assert_eq!(stands(&app, "cat").await, [0, 0, 1]);
    cat.expect_nothing().await;
}

#[tokio::test]
async fn a_ledger_stays_over_a_restart() {
    let app = TestApp::with(levels).await;
    award(&app, "ann", 150, "a").await.ok();
    let (code_before, entries) = (code(&app, "ann").await, ledger(&app, "ann").await);
    let app = app.restart().await;
    assert_eq!((code(&app, "ann").await, ledger(&app, "ann").await), (code_before, entries));
    assert_eq!(award(&app, "ann", 150, "a").await.status, 200);
    assert_eq!(stands(&app, "ann").await, [150, 150, 2]);
}

#[tokio::test]
async fn another_rooms_unit_awards_and_refers_with_its_own_rows_or_not_at_all() {
    let id = |text: &str| Id::new(text).expect("an id");
    for store in [Store::sqlite(Clock::system()).await, Store::postgres(Clock::system()).await] {
        let config = Config::for_tests().points;
        let points = PointsService::new(store.db.clone(), Ids, &config);
        let unit = |keep: bool| {
            let points = points.clone();
            async move |tx: &mut Tx<'_>| {
                let code = points.referral_code(tx, &id("ann")).await?;
                let name = PersonName::from_lossy("Bob").expect("a name");
                points.sign_up(tx, &code, id("bob"), name).await?;
                let award = Award {
                    user_id: id("ann"),
                    points: 20,
                    reason: "A friend".to_owned(),
                    reference: "bob".to_owned(),
                };
                let (entry, made) = points.award(tx, award).await?;
                let refused = || Err(Error::new(Code::Conflict, "Not now."));
                if keep { Ok((entry.balance, made)) } else { refused() }
            }
        };
        assert!(store.db.write(unit(false)).await.is_err());
        assert_eq!(store.db.write(unit(true)).await.expect("a unit"), (20, true));
        assert_eq!(store.db.write(unit(true)).await.expect("a unit"), (20, false));
        assert_eq!(store.number("SELECT COUNT(*) FROM points_ledger").await, 1);
        assert_eq!(store.sent().len(), 1, "one referral-signup: {:?}", store.sent());
    }
}
