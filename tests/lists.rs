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

use crate::support::{Person, TestApp, chance};

mod large;

/// Every item of a list, page by page.
async fn pages(person: &Person, path: &str, limit: usize) -> Vec<Value> {
    let mut items = Vec::new();
    let mut cursor = String::new();
    let sign = if path.contains('?') { '&' } else { '?' };
    loop {
        let page = person.get(&format!("{path}{sign}limit={limit}&cursor={cursor}")).await.ok();
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
    let ann = app.person("ann");
    let mut chance = chance();
    let mut active: Vec<String> = Vec::new();
    for n in 0..14 {
        active.insert(0, ann.group(&people(1 + n * n)).await);
        clock.advance(Duration::from_millis(7));
    }
    // Some long after the others, some in the same moment's neighbourhood.
    for pause in [3, 900, 40, 20_000, 5, 4_990, 60_000, 1].into_iter().cycle().take(60) {
        let id = active.remove(chance.random_range(0..active.len()));
        ann.say(&id, "Hello").await;
        active.insert(0, id);
        clock.advance(Duration::from_millis(pause));
    }
    for limit in [1, 2, 5, 13, 14, 100] {
        let list = pages(&ann, "/api/conversations", limit).await;
        assert_eq!(ids(&list), active, "in pages of {limit}");
    }
    // Who comes later finds them in the same order.
    for id in &active {
        let path = format!("/api/conversations/{id}/participants");
        ann.post(&path, json!({ "userId": "cat" })).await.ok();
    }
    let cat = app.person("cat");
    assert_eq!(ids(&pages(&cat, "/api/conversations", 3).await), active);
}

#[tokio::test]
async fn a_conversation_shows_the_first_twenty_people_and_how_many_there_are() {
    let app = TestApp::start().await;
    let ann = app.person("ann");
    let all = people(150);
    let id = ann.group(&all).await;
    let path = format!("/api/conversations/{id}");
    let mut expected = vec!["ann".to_owned()];
    expected.extend(all);

    let listed = ann.get("/api/conversations").await.ok()["items"][0].clone();
    let known = ann.get(&path).await.ok();
    for conversation in [&listed, &known] {
        assert_eq!(conversation["participantCount"], 151);
        let shown = conversation["participants"].as_array().expect("a list");
        assert_eq!(ids(shown), expected[..20]);
    }
    let everyone = pages(&ann, &format!("{path}/participants"), 100).await;
    assert_eq!(ids(&everyone), expected);

    // One of the first goes, and another comes.
    let third = format!("{path}/participants/p0003");
    assert_eq!(ann.delete(&third).await.status, 204);
    let again = json!({ "userIds": ["p0003", "p0004"] });
    let answer = ann.post(&format!("{path}/participants"), again).await.ok();
    assert_eq!(answer["conversation"]["participantCount"], 151);
    expected.remove(4);
    expected.push("p0003".to_owned());
    let listed = ann.get("/api/conversations").await.ok()["items"][0].clone();
    assert_eq!(listed["participantCount"], 151);
    assert_eq!(ids(listed["participants"].as_array().expect("a list")), expected[..20]);
    let everyone = pages(&ann, &format!("{path}/participants"), 77).await;
    assert_eq!(ids(&everyone), expected);

    let eve = app.person("eve");
    let refused = eve.get(&format!("{path}/participants")).await;
    assert_eq!(refused.problem(404), "not_found");
    let bad = format!("{path}/participants?cursor=AAAA");
    let bad = ann.get(&bad).await;
    assert_eq!(bad.problem(422), "invalid_payload");
}

#[tokio::test]
async fn what_is_unread_is_counted_exactly_whoever_wrote_deleted_or_read_what() {
    let app = TestApp::with(|config| config.limits.enabled = false).await;
    let people = ["ann", "bob", "cat"];
    let people = people.map(|id| app.person(id));
    let id = people[0].group(&["bob", "cat"]).await;
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
                let path = format!("/api/messages/{message}");
                let done = people[*sender].delete(&path).await;
                assert_eq!(done.status, 204);
                messages[at].2 = true;
            }
            1 | 2 if !messages.is_empty() => {
                let at = chance.random_range(0..messages.len());
                let path = format!("/api/conversations/{id}/read");
                let body = json!({ "messageId": messages[at].0 });
                let answer = people[who].post(&path, body).await.ok();
                let before = read[who];
                read[who] = before.max(at + 1);
                let modified = unread(&messages, who, before, read[who]);
                let left = unread(&messages, who, read[who], messages.len());
                assert_eq!(answer, json!({ "modifiedCount": modified, "unreadCount": left }));
            }
            _ => messages.push((people[who].say(&id, "Hello").await, who, false)),
        }
        let who = chance.random_range(0..3);
        let left = unread(&messages, who, read[who], messages.len());
        let known = people[who].get(&format!("/api/conversations/{id}")).await.ok();
        let listed = people[who].get("/api/conversations").await.ok()["items"][0].clone();
        assert_eq!((&known["unreadCount"], &listed["unreadCount"]), (&json!(left), &json!(left)));
        let last = messages.last().map_or(Value::Null, |(id, ..)| json!(id));
        for conversation in [&known, &listed] {
            assert_eq!(conversation["lastMessage"].get("id").unwrap_or(&Value::Null), &last);
        }
    }
    let late = json!({ "userId": "dan" });
    people[0].post(&format!("/api/conversations/{id}/participants"), late).await.ok();
    let dan = app.person("dan");
    assert_eq!(dan.get("/api/conversations").await.ok()["items"][0]["unreadCount"], 0);
    people[0].say(&id, "Hello").await;
    assert_eq!(dan.get("/api/conversations").await.ok()["items"][0]["unreadCount"], 1);
}

#[tokio::test]
async fn ones_own_messages_are_never_unread_however_many_they_are() {
    let app = TestApp::with(|config| config.limits.enabled = false).await;
    let [ann, bob] = ["ann", "bob"].map(|id| app.person(id));
    let id = ann.group(&["bob"]).await;
    let mut messages = Vec::new();
    for n in 0..200 {
        let sender = if n % 50 == 25 { &ann } else { &bob };
        messages.push(sender.say(&id, "Hello").await);
    }
    let path = format!("/api/conversations/{id}");
    let read = async |person: &Person, message: &str| {
        let body = json!({ "messageId": message });
        let read = person.post(&format!("{path}/read"), body).await.ok();
        ["modifiedCount", "unreadCount"].map(|name| read[name].as_u64().expect("a count"))
    };
    assert_eq!(bob.get(&path).await.ok()["unreadCount"], 4);
    for (at, expected) in [(0, [0, 4]), (25, [1, 3]), (100, [1, 2]), (125, [1, 1]), (174, [0, 1])] {
        assert_eq!(read(&bob, &messages[at]).await, expected, "up to {at}");
        assert_eq!(
            bob.get("/api/conversations").await.ok()["items"][0]["unreadCount"],
            expected[1]
        );
    }
    assert_eq!(read(&ann, &messages[80]).await, [79, 117]);

    // Who comes back begins anew.
    let people = format!("{path}/participants");
    let gone = bob.delete(&format!("{people}/bob")).await;
    assert_eq!(gone.status, 204);
    ann.post(&people, json!({ "userId": "bob" })).await.ok();
    assert_eq!(bob.get(&path).await.ok()["unreadCount"], 0);
    let mut messages = Vec::new();
    for sender in [&bob, &ann, &bob, &bob, &ann, &bob] {
        messages.push(sender.say(&id, "Hello").await);
    }
    assert_eq!(bob.get(&path).await.ok()["unreadCount"], 2);
    assert_eq!(read(&bob, &messages[1]).await, [1, 1]);
    assert_eq!(read(&bob, &messages[5]).await, [1, 0]);
}

#[tokio::test]
async fn the_last_message_of_a_list_has_its_reactions_and_so_has_each_page() {
    let app = TestApp::start().await;
    let [ann, bob] = ["ann", "bob"].map(|id| app.person(id));
    let id = ann.group(&["bob"]).await;
    let mut messages = Vec::new();
    for _ in 0..3 {
        messages.push(ann.say(&id, "Hello").await);
    }
    let react = async |person: &Person, message: &str, emoji: &str| {
        let path = format!("/api/messages/{message}/reactions/{emoji}");
        assert_eq!(person.put(&path).await.status, 204);
    };
    react(&bob, &messages[2], "%F0%9F%91%8D").await;
    react(&ann, &messages[2], "%F0%9F%91%8D").await;
    react(&ann, &messages[0], "%E2%9D%A4").await;
    let listed = ann.get("/api/conversations").await.ok()["items"][0]["lastMessage"].clone();
    let users = |message: &Value| {
        let reactions = message["reactions"].as_array().expect("a list").iter();
        reactions.map(|reaction| text(&reaction["userId"])).collect::<Vec<_>>()
    };
    assert_eq!(users(&listed), ["bob", "ann"]);
    let path = format!("/api/conversations/{id}/messages");
    let newest_first = pages(&ann, &path, 2).await;
    assert_eq!(newest_first[0], listed);
    assert_eq!(
        [users(&newest_first[1]), users(&newest_first[2])],
        [vec![], vec!["ann".to_owned()]]
    );
    let oldest_first = ann.get(&format!("{path}?after={}", messages[0])).await.ok();
    assert_eq!(oldest_first["items"], json!([newest_first[1], newest_first[0]]));
}

#[tokio::test]
async fn after_a_message_the_next_ones_come_oldest_first() {
    let app = TestApp::start().await;
    let ann = app.person("ann");
    let id = ann.group(&["bob"]).await;
    let mut messages = Vec::new();
    for _ in 0..7 {
        messages.push(ann.say(&id, "Hello").await);
    }
    let path = format!("/api/conversations/{id}/messages");
    let first = ann.get(&format!("{path}?after={}&limit=2", messages[1])).await.ok();
    assert_eq!(ids(first["items"].as_array().expect("a list")), messages[2..4]);
    let next = format!("{path}?after={}&limit=2", text(&first["nextCursor"]));
    let next = ann.get(&next).await.ok();
    assert_eq!(ids(next["items"].as_array().expect("a list")), messages[4..6]);
    let all = pages(&ann, &format!("{path}?after={}", messages[0]), 2).await;
    assert_eq!(ids(&all), messages[1..]);
    let between = format!("{path}?after={}&before={}", messages[1], messages[5]);
    assert_eq!(ids(&pages(&ann, &between, 2).await), messages[2..5]);
    let last = ann.get(&format!("{path}?after={}", messages[6])).await.ok();
    assert_eq!(last, json!({ "items": [], "nextCursor": null }));
    let mut back = messages.clone();
    back.reverse();
    assert_eq!(ids(&pages(&ann, &path, 3).await), back);
    let before = format!("{path}?before={}", messages[3]);
    assert_eq!(ids(&pages(&ann, &before, 2).await), back[4..]);
}

#[tokio::test]
async fn a_list_of_requests_has_what_its_reader_may_see_in_whatever_it_asks_for() {
    let app = TestApp::with(|config| config.limits.enabled = false).await;
    let buyers = ["b0", "b1"].map(|id| (id, app.buyer(id)));
    let sellers = ["s0", "s1", "s2"].map(|id| (id, app.seller(id)));
    let mut chance = chance();
    let market = "/api/marketplace";
    for n in 0..24 {
        let (_, buyer) = &buyers[n % 2];
        let lamp = json!({
            "title": "A lamp", "description": "Green",
            "budget": { "amount": 40, "currency": "USD" },
        });
        let id = text(&buyer.post(&format!("{market}/requests"), lamp).await.ok()["id"]);
        let mut offers = Vec::new();
        for (_, seller) in sellers.iter().skip(chance.random_range(0..3)) {
            let offer = json!({ "amount": 1, "currency": "USD" });
            let path = format!("{market}/requests/{id}/offers");
            offers.push(text(&seller.post(&path, offer).await.ok()["id"]));
        }
        match chance.random_range(0..4) {
            0 => {
                let path = format!("{market}/requests/{id}/cancel");
                buyer.post(&path, json!({ "reason": "No." })).await.ok();
            }
            1 => {
                let path = format!("{market}/offers/{}/accept", offers[0]);
                buyer.post_nothing(&path).await.ok();
                if chance.random_range(0..2) == 0 {
                    let path = format!("{market}/requests/{id}/cancel");
                    buyer.post(&path, json!({ "reason": "No." })).await.ok();
                }
            }
            _ => {}
        }
    }
    let root = app.admin();
    let all = pages(&root, "/api/marketplace/requests", 7).await;
    assert_eq!(all.len(), 24);
    let mut readers = BTreeMap::new();
    // Who has lost a role, or never had one.
    for id in ["b0", "s0", "s1", "nobody"] {
        readers.insert(format!("{id} without a role"), app.person(id));
        readers.insert(format!("{id} as a buyer"), app.buyer(id));
    }
    readers.insert("root".to_owned(), root);
    readers.extend(buyers.into_iter().chain(sellers).map(|(id, person)| (id.to_owned(), person)));
    for (reader, person) in &readers {
        let mut visible = Vec::new();
        for request in &all {
            let path = format!("/api/marketplace/requests/{}", text(&request["id"]));
            let known = person.get(&path).await;
            if known.status == 200 {
                visible.push(request);
            }
        }
        for status in ["", "open", "accepted", "cancelled", "paid"] {
            for buyer in ["", "b0", "b1", "s0"] {
                let mut path = "/api/marketplace/requests?".to_owned();
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
                let found = ids(&pages(person, &path, 5).await);
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
    let root = app.admin();
    let all = pages(&root, "/api/payments", 3).await;
    assert_eq!(all.len(), 8);
    for reader in ["b0", "b1", "s0", "s1", "nobody", "root"] {
        let person = if reader == "root" { app.admin() } else { app.person(reader) };
        let mine = |payment: &&Value| {
            reader == "root" || payment["buyerId"] == reader || payment["sellerId"] == reader
        };
        let expected: Vec<_> = all.iter().filter(mine).cloned().collect();
        assert_eq!(pages(&person, "/api/payments", 3).await, expected, "{reader}");
        for request in &requests {
            let of = |payment: &&Value| payment["requestId"] == **request;
            let expected: Vec<_> = expected.iter().filter(of).cloned().collect();
            let path = format!("/api/payments?requestId={request}");
            assert_eq!(pages(&person, &path, 3).await, expected, "{reader}: {path}");
        }
    }
}

#[tokio::test]
async fn a_parameter_that_is_not_known_is_refused_by_name_whatever_is_asked() {
    let app = TestApp::start().await;
    let ann = app.person("ann");
    for (path, unknown) in [
        ("/api/notifications?unraed=true", "/unraed"),
        ("/api/conversations?limit=3&page=2", "/page"),
        ("/api/auth/me?a%2Fb=1", "/a~1b"),
    ] {
        ann.get(path).await.invalid(unknown);
    }
    let both = ann.get("/api/notifications?a=1&b=2&unread=true").await;
    assert_eq!(both.body["errors"].as_array().map(Vec::len), Some(2), "{both:?}");
    let group = json!({ "participantIds": ["bob"] });
    ann.post("/api/conversations?draft=1", group).await.invalid("/draft");
    assert_eq!(ann.get("/api/conversations?").await.status, 200);
    // Who may not ask at all is told that first, and who was given a URL calls that.
    let ask = async |method, path| app.request(method, path, None, Some(json!({}))).await;
    let stranger = ask(Method::GET, "/api/conversations?page=2").await;
    assert_eq!(stranger.problem(401), "token_missing");
    let open = ask(Method::POST, "/api/auth/login?next=home").await;
    open.invalid("/next");
    let callback = ask(Method::POST, "/api/webhooks/shkeeper/x?shop=1").await;
    assert_ne!(callback.body["errors"][0]["pointer"], "/shop", "{callback:?}");
}
