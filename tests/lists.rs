//! Lists over REST: what is in them and in which order, whatever was written when, and that their
//! pages lead through everything once.

use std::{collections::BTreeMap, time::Duration};

use rand::Rng;
use reqwest::Method;
use serde_json::{Value, json};
use stoa::{
    clock::{Clock, Timestamp},
    config::Config,
};

use crate::support::{TestApp, app::Answer, chance};

mod large;

async fn call(app: &TestApp, token: &str, method: Method, path: &str, body: Value) -> Answer {
    let body = (!body.is_null()).then_some(body);
    app.request_as(token, method, &format!("/api{path}"), body).await
}

async fn get(app: &TestApp, token: &str, path: &str) -> Value {
    call(app, token, Method::GET, path, Value::Null).await.ok()
}

async fn post(app: &TestApp, token: &str, path: &str, body: Value) -> Value {
    call(app, token, Method::POST, path, body).await.ok()
}

/// Every item of a list, page by page.
async fn pages(app: &TestApp, token: &str, path: &str, limit: usize) -> Vec<Value> {
    let mut items = Vec::new();
    let mut cursor = String::new();
    let sign = if path.contains('?') { '&' } else { '?' };
    loop {
        let page = get(app, token, &format!("{path}{sign}limit={limit}&cursor={cursor}")).await;
        let found = page["items"].as_array().expect("a list");
        assert!(found.len() <= limit, "{page}");
        let bytes = page.to_string().len();
        assert!(bytes <= 60_000, "{path}: {bytes} bytes");
        items.extend(found.iter().cloned());
        match page["nextCursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => return items,
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

fn ids(items: &[Value]) -> Vec<String> {
    items.iter().map(|item| text(&item["id"])).collect()
}

async fn group(app: &TestApp, token: &str, people: &[String]) -> String {
    let body = json!({ "participantIds": people, "type": "group" });
    text(&post(app, token, "/conversations", body).await["conversation"]["id"])
}

async fn say(app: &TestApp, token: &str, conversation: &str) -> String {
    let path = format!("/conversations/{conversation}/messages");
    text(&post(app, token, &path, json!({ "content": "Hello" })).await["message"]["id"])
}

fn people(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("p{n:04}")).collect()
}

#[tokio::test]
async fn the_newest_activity_comes_first_whatever_was_written_when() {
    let clock = Clock::manual(Timestamp::from_millis(1_764_000_000_000));
    let app = TestApp::with_clock(clock.clone(), |config: &mut Config| {
        config.limits.enabled = false;
    })
    .await;
    let ann = app.token("ann", &[]);
    let mut chance = chance();
    let mut active: Vec<String> = Vec::new();
    for n in 0..14 {
        active.insert(0, group(&app, &ann, &people(1 + n * n)).await);
        clock.advance(Duration::from_millis(7));
    }
    // Some long after the others, some in the same moment's neighbourhood.
    for pause in [3, 900, 40, 20_000, 5, 4_990, 60_000, 1].into_iter().cycle().take(60) {
        let id = active.remove(chance.random_range(0..active.len()));
        say(&app, &ann, &id).await;
        active.insert(0, id);
        clock.advance(Duration::from_millis(pause));
    }
    for limit in [1, 2, 5, 13, 14, 100] {
        let list = pages(&app, &ann, "/conversations", limit).await;
        assert_eq!(ids(&list), active, "in pages of {limit}");
    }
    // Who comes later finds them in the same order.
    for id in &active {
        let path = format!("/conversations/{id}/participants");
        post(&app, &ann, &path, json!({ "userId": "cat" })).await;
    }
    let cat = app.token("cat", &[]);
    assert_eq!(ids(&pages(&app, &cat, "/conversations", 3).await), active);
}

#[tokio::test]
async fn a_conversation_shows_the_first_twenty_people_and_how_many_there_are() {
    let app = TestApp::start().await;
    let ann = app.token("ann", &[]);
    let all = people(150);
    let id = group(&app, &ann, &all).await;
    let path = format!("/conversations/{id}");
    let mut expected = vec!["ann".to_owned()];
    expected.extend(all);

    let listed = get(&app, &ann, "/conversations").await["items"][0].clone();
    let known = get(&app, &ann, &path).await;
    for conversation in [&listed, &known] {
        assert_eq!(conversation["participantCount"], 151);
        let shown = conversation["participants"].as_array().expect("a list");
        assert_eq!(ids(shown), expected[..20]);
    }
    let everyone = pages(&app, &ann, &format!("{path}/participants"), 100).await;
    assert_eq!(ids(&everyone), expected);

    // One of the first goes, and another comes.
    let third = format!("{path}/participants/p0003");
    assert_eq!(call(&app, &ann, Method::DELETE, &third, Value::Null).await.status, 204);
    let again = json!({ "userIds": ["p0003", "p0004"] });
    let answer = post(&app, &ann, &format!("{path}/participants"), again).await;
    assert_eq!(answer["conversation"]["participantCount"], 151);
    expected.remove(4);
    expected.push("p0003".to_owned());
    let listed = get(&app, &ann, "/conversations").await["items"][0].clone();
    assert_eq!(listed["participantCount"], 151);
    assert_eq!(ids(listed["participants"].as_array().expect("a list")), expected[..20]);
    let everyone = pages(&app, &ann, &format!("{path}/participants"), 77).await;
    assert_eq!(ids(&everyone), expected);

    let eve = app.token("eve", &[]);
    let refused = call(&app, &eve, Method::GET, &format!("{path}/participants"), Value::Null).await;
    assert_eq!(refused.problem(404), "not_found");
    let bad = format!("{path}/participants?cursor=AAAA");
    let bad = call(&app, &ann, Method::GET, &bad, Value::Null).await;
    assert_eq!(bad.problem(422), "invalid_payload");
}

#[tokio::test]
async fn what_is_unread_is_counted_exactly_whoever_wrote_deleted_or_read_what() {
    let app = TestApp::with(|config| config.limits.enabled = false).await;
    let people = ["ann", "bob", "cat"];
    let tokens = people.map(|id| app.token(id, &[]));
    let id = group(&app, &tokens[0], &["bob".to_owned(), "cat".to_owned()]).await;
    // Of each message: its id, its sender, whether it is deleted; of each person: how many they have
    // read.
    let mut messages: Vec<(String, usize, bool)> = Vec::new();
    let mut read = [0_usize; 3];
    let unread = |messages: &[(String, usize, bool)], who: usize, from: usize, to: usize| {
        let counted = messages[from..to].iter();
        counted.filter(|(_, sender, deleted)| *sender != who && !deleted).count()
    };
    let mut chance = chance();
    for _ in 0..120 {
        let who = chance.random_range(0..3);
        match chance.random_range(0..6) {
            0 if !messages.is_empty() => {
                let at = chance.random_range(0..messages.len());
                let (message, sender, _) = &messages[at];
                let path = format!("/messages/{message}");
                let done = call(&app, &tokens[*sender], Method::DELETE, &path, Value::Null).await;
                assert_eq!(done.status, 204);
                messages[at].2 = true;
            }
            1 | 2 if !messages.is_empty() => {
                let at = chance.random_range(0..messages.len());
                let path = format!("/conversations/{id}/read");
                let body = json!({ "messageId": messages[at].0 });
                let answer = post(&app, &tokens[who], &path, body).await;
                let before = read[who];
                read[who] = before.max(at + 1);
                let modified = unread(&messages, who, before, read[who]);
                let left = unread(&messages, who, read[who], messages.len());
                assert_eq!(answer, json!({ "modifiedCount": modified, "unreadCount": left }));
            }
            _ => messages.push((say(&app, &tokens[who], &id).await, who, false)),
        }
        let who = chance.random_range(0..3);
        let left = unread(&messages, who, read[who], messages.len());
        let known = get(&app, &tokens[who], &format!("/conversations/{id}")).await;
        let listed = get(&app, &tokens[who], "/conversations").await["items"][0].clone();
        assert_eq!((&known["unreadCount"], &listed["unreadCount"]), (&json!(left), &json!(left)));
        let last = messages.last().map_or(Value::Null, |(id, ..)| json!(id));
        for conversation in [&known, &listed] {
            assert_eq!(conversation["lastMessage"].get("id").unwrap_or(&Value::Null), &last);
        }
    }
    let late = json!({ "userId": "dan" });
    post(&app, &tokens[0], &format!("/conversations/{id}/participants"), late).await;
    let dan = app.token("dan", &[]);
    assert_eq!(get(&app, &dan, "/conversations").await["items"][0]["unreadCount"], 0);
    say(&app, &tokens[0], &id).await;
    assert_eq!(get(&app, &dan, "/conversations").await["items"][0]["unreadCount"], 1);
}

#[tokio::test]
async fn ones_own_messages_are_never_unread_however_many_they_are() {
    let app = TestApp::with(|config| config.limits.enabled = false).await;
    let [ann, bob] = ["ann", "bob"].map(|id| app.token(id, &[]));
    let id = group(&app, &ann, &["bob".to_owned()]).await;
    let mut messages = Vec::new();
    for n in 0..200 {
        let sender = if n % 50 == 25 { &ann } else { &bob };
        messages.push(say(&app, sender, &id).await);
    }
    let path = format!("/conversations/{id}");
    let read = async |token: &str, message: &str| {
        let body = json!({ "messageId": message });
        let read = post(&app, token, &format!("{path}/read"), body).await;
        ["modifiedCount", "unreadCount"].map(|name| read[name].as_u64().expect("a count"))
    };
    assert_eq!(get(&app, &bob, &path).await["unreadCount"], 4);
    for (at, expected) in [(0, [0, 4]), (25, [1, 3]), (100, [1, 2]), (125, [1, 1]), (174, [0, 1])] {
        assert_eq!(read(&bob, &messages[at]).await, expected, "up to {at}");
        assert_eq!(get(&app, &bob, "/conversations").await["items"][0]["unreadCount"], expected[1]);
    }
    assert_eq!(read(&ann, &messages[80]).await, [79, 117]);

    // Who comes back begins anew.
    let people = format!("{path}/participants");
    let gone = call(&app, &bob, Method::DELETE, &format!("{people}/bob"), Value::Null).await;
    assert_eq!(gone.status, 204);
    post(&app, &ann, &people, json!({ "userId": "bob" })).await;
    assert_eq!(get(&app, &bob, &path).await["unreadCount"], 0);
    let mut messages = Vec::new();
    for sender in [&bob, &ann, &bob, &bob, &ann, &bob] {
        messages.push(say(&app, sender, &id).await);
    }
    assert_eq!(get(&app, &bob, &path).await["unreadCount"], 2);
    assert_eq!(read(&bob, &messages[1]).await, [1, 1]);
    assert_eq!(read(&bob, &messages[5]).await, [1, 0]);
}

#[tokio::test]
async fn the_last_message_of_a_list_has_its_reactions_and_so_has_each_page() {
    let app = TestApp::start().await;
    let [ann, bob] = ["ann", "bob"].map(|id| app.token(id, &[]));
    let id = group(&app, &ann, &["bob".to_owned()]).await;
    let mut messages = Vec::new();
    for _ in 0..3 {
        messages.push(say(&app, &ann, &id).await);
    }
    let react = async |token: &str, message: &str, emoji: &str| {
        let path = format!("/messages/{message}/reactions/{emoji}");
        assert_eq!(call(&app, token, Method::PUT, &path, Value::Null).await.status, 204);
    };
    react(&bob, &messages[2], "%F0%9F%91%8D").await;
    react(&ann, &messages[2], "%F0%9F%91%8D").await;
    react(&ann, &messages[0], "%E2%9D%A4").await;
    let listed = get(&app, &ann, "/conversations").await["items"][0]["lastMessage"].clone();
    let users = |message: &Value| {
        let reactions = message["reactions"].as_array().expect("a list").iter();
        reactions.map(|reaction| text(&reaction["userId"])).collect::<Vec<_>>()
    };
    assert_eq!(users(&listed), ["bob", "ann"]);
    let path = format!("/conversations/{id}/messages");
    let newest_first = pages(&app, &ann, &path, 2).await;
    assert_eq!(newest_first[0], listed);
    assert_eq!(
        [users(&newest_first[1]), users(&newest_first[2])],
        [vec![], vec!["ann".to_owned()]]
    );
    let oldest_first = get(&app, &ann, &format!("{path}?after={}", messages[0])).await;
    assert_eq!(oldest_first["items"], json!([newest_first[1], newest_first[0]]));
}

#[tokio::test]
async fn after_a_message_the_next_ones_come_oldest_first() {
    let app = TestApp::start().await;
    let ann = app.token("ann", &[]);
    let id = group(&app, &ann, &["bob".to_owned()]).await;
    let mut messages = Vec::new();
    for _ in 0..7 {
        messages.push(say(&app, &ann, &id).await);
    }
    let path = format!("/conversations/{id}/messages");
    let first = get(&app, &ann, &format!("{path}?after={}&limit=2", messages[1])).await;
    assert_eq!(ids(first["items"].as_array().expect("a list")), messages[2..4]);
    let next = format!("{path}?after={}&limit=2", text(&first["nextCursor"]));
    let next = get(&app, &ann, &next).await;
    assert_eq!(ids(next["items"].as_array().expect("a list")), messages[4..6]);
    let all = pages(&app, &ann, &format!("{path}?after={}", messages[0]), 2).await;
    assert_eq!(ids(&all), messages[1..]);
    let between = format!("{path}?after={}&before={}", messages[1], messages[5]);
    assert_eq!(ids(&pages(&app, &ann, &between, 2).await), messages[2..5]);
    let last = get(&app, &ann, &format!("{path}?after={}", messages[6])).await;
    assert_eq!(last, json!({ "items": [], "nextCursor": null }));
    let mut back = messages.clone();
    back.reverse();
    assert_eq!(ids(&pages(&app, &ann, &path, 3).await), back);
    let before = format!("{path}?before={}", messages[3]);
    assert_eq!(ids(&pages(&app, &ann, &before, 2).await), back[4..]);
}

#[tokio::test]
async fn a_list_of_requests_has_what_its_reader_may_see_in_whatever_it_asks_for() {
    let app = TestApp::with(|config| config.limits.enabled = false).await;
    let buyers = ["b0", "b1"].map(|id| (id, app.token(id, &["buyer"])));
    let sellers = ["s0", "s1", "s2"].map(|id| (id, app.token(id, &["seller"])));
    let mut chance = chance();
    let market = "/marketplace";
    for n in 0..24 {
        let (_, buyer) = &buyers[n % 2];
        let lamp = json!({
            "title": "A lamp", "description": "Green",
            "budget": { "amount": 40, "currency": "USD" },
        });
        let id = text(&post(&app, buyer, &format!("{market}/requests"), lamp).await["id"]);
        let mut offers = Vec::new();
        for (_, seller) in sellers.iter().skip(chance.random_range(0..3)) {
            let offer = json!({ "amount": 1, "currency": "USD" });
            let path = format!("{market}/requests/{id}/offers");
            offers.push(text(&post(&app, seller, &path, offer).await["id"]));
        }
        match chance.random_range(0..4) {
            0 => {
                let path = format!("{market}/requests/{id}/cancel");
                post(&app, buyer, &path, json!({ "reason": "No." })).await;
            }
            1 => {
                let path = format!("{market}/offers/{}/accept", offers[0]);
                post(&app, buyer, &path, Value::Null).await;
                if chance.random_range(0..2) == 0 {
                    let path = format!("{market}/requests/{id}/cancel");
                    post(&app, buyer, &path, json!({ "reason": "No." })).await;
                }
            }
            _ => {}
        }
    }
    let root = app.token("root", &["admin"]);
    let all = pages(&app, &root, "/marketplace/requests", 7).await;
    assert_eq!(all.len(), 24);
    let mut readers: BTreeMap<String, String> = BTreeMap::new();
    readers
        .extend(buyers.iter().chain(&sellers).map(|(id, token)| (id.to_string(), token.clone())));
    // Who has lost a role, or never had one.
    for id in ["b0", "s0", "s1", "nobody"] {
        readers.insert(format!("{id} without a role"), app.token(id, &[]));
        readers.insert(format!("{id} as a buyer"), app.token(id, &["buyer"]));
    }
    readers.insert("root".to_owned(), root);
    for (reader, token) in &readers {
        let mut visible = Vec::new();
        for request in &all {
            let path = format!("/marketplace/requests/{}", text(&request["id"]));
            let known = call(&app, token, Method::GET, &path, Value::Null).await;
            if known.status == 200 {
                visible.push(request);
            }
        }
        for status in ["", "open", "accepted", "cancelled", "paid"] {
            for buyer in ["", "b0", "b1", "s0"] {
                let mut path = "/marketplace/requests?".to_owned();
                if !status.is_empty() {
                    path = format!("{path}status={status}&");
                }
                if !buyer.is_empty() {
                    path = format!("{path}buyerId={buyer}");
                }
                let wanted = |request: &&&Value| {
                    (status.is_empty() || request["status"] == status)
                        && (buyer.is_empty() || request["buyerId"] == buyer)
                };
                let expected: Vec<_> =
                    visible.iter().filter(wanted).map(|request| text(&request["id"])).collect();
                let found = ids(&pages(&app, token, &path, 5).await);
                assert_eq!(found, expected, "{reader}: {path}");
            }
        }
    }
}

#[tokio::test]
async fn a_list_of_payments_has_those_that_its_reader_pays_or_is_paid() {
    let app = TestApp::with(|config| config.limits.enabled = false).await;
    let buyers = [app.buyer("b0"), app.buyer("b1")];
    let sellers = [app.seller("s0"), app.seller("s1")];
    let mut requests = Vec::new();
    for n in 0..8 {
        let buyer = &buyers[n % 2];
        let request = buyer.buys_from(&sellers[n / 2 % 2]).await;
        buyer.pay(&request).await;
        requests.push(request);
    }
    let root = app.token("root", &["admin"]);
    let all = pages(&app, &root, "/payments", 3).await;
    assert_eq!(all.len(), 8);
    for reader in ["b0", "b1", "s0", "s1", "nobody", "root"] {
        let token = if reader == "root" { root.clone() } else { app.token(reader, &[]) };
        let mine = |payment: &&Value| {
            reader == "root" || payment["buyerId"] == reader || payment["sellerId"] == reader
        };
        let expected: Vec<_> = all.iter().filter(mine).cloned().collect();
        assert_eq!(pages(&app, &token, "/payments", 3).await, expected, "{reader}");
        for request in &requests {
            let of = |payment: &&Value| payment["requestId"] == **request;
            let expected: Vec<_> = expected.iter().filter(of).cloned().collect();
            let path = format!("/payments?requestId={request}");
            assert_eq!(pages(&app, &token, &path, 3).await, expected, "{reader}: {path}");
        }
    }
}
