//! Pages of what is large end early, and lead through everything.

use serde_json::json;

use super::{ids, pages, people, text};
use crate::support::{Person, TestApp};

#[tokio::test]
async fn a_page_with_very_many_reactions_has_fewer_messages_and_leads_on() {
    const EMOJI: [&str; 20] = [
        "😀", "😁", "😂", "😃", "😄", "😅", "😆", "😇", "😈", "😉", "😊", "😋", "😌", "😍", "😎",
        "😏", "😐", "😑", "😒", "😓",
    ];
    let app = TestApp::with(|config| config.limits.enabled = false).await;
    let ann = app.person("ann");
    let all = people(28);
    let everyone: Vec<_> = all.iter().map(|id| app.person(id)).collect();
    let mut ids_of = Vec::new();
    for _ in 0..2 {
        let id = ann.group(&all).await;
        ann.say(&id, "Hello").await;
        let message = ann.say(&id, "Hello").await;
        let react = async |person: &Person| {
            for emoji in EMOJI {
                let path = format!("/api/messages/{message}/reactions/{emoji}");
                let answer = person.put(&path).await;
                assert_eq!(answer.status, 204, "{answer:?}");
            }
        };
        futures_util::future::join_all(everyone.iter().map(react)).await;
        ids_of.insert(0, (id, message));
    }
    let listed = ann.get("/api/conversations").await.ok();
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1), "560 of each are too many");
    let listed = pages(&ann, "/api/conversations", 10).await;
    for (conversation, (id, message)) in listed.iter().zip(&ids_of) {
        assert_eq!(
            (&conversation["id"], &conversation["lastMessage"]["id"]),
            (&json!(id), &json!(message))
        );
        let reactions = conversation["lastMessage"]["reactions"].as_array().map(Vec::len);
        assert_eq!(reactions, Some(28 * 20));
    }
    // A second message with as many: each is whole, and has a page of its own.
    let (id, last) = &ids_of[0];
    let path = format!("/api/conversations/{id}/messages");
    let messages = pages(&ann, &path, 10).await;
    assert_eq!(messages.len(), 2);
    let react = async |person: &Person| {
        for emoji in EMOJI {
            let path = format!("/api/messages/{}/reactions/{emoji}", text(&messages[1]["id"]));
            assert_eq!(person.put(&path).await.status, 204);
        }
    };
    futures_util::future::join_all(everyone.iter().map(react)).await;
    let first_page = ann.get(&path).await.ok();
    assert_eq!(ids(first_page["items"].as_array().expect("a list")), std::slice::from_ref(last));
    let messages = pages(&ann, &path, 10).await;
    assert_eq!(messages.len(), 2);
    for message in &messages {
        assert_eq!(message["reactions"].as_array().map(Vec::len), Some(28 * 20));
    }
}

#[tokio::test]
async fn pages_of_what_is_large_have_fewer_items_and_lead_through_everything() {
    let app = TestApp::with(|config| config.limits.enabled = false).await;
    let ann = app.buyer("ann");
    let metadata = json!({ "note": "x".repeat(16_000) });
    let message = json!({ "content": "😀".repeat(6_000) });
    let [mut conversations, mut messages, mut requests] = [const { Vec::new() }; 3];
    for n in 0..7 {
        let body = json!({ "participantIds": [format!("p{n}")], "metadata": metadata });
        let id = text(&ann.post("/api/conversations", body).await.ok()["conversation"]["id"]);
        ann.post(&format!("/api/conversations/{id}/messages"), message.clone()).await.ok();
        conversations.insert(0, id);
        let body = json!({ "title": "A chair", "description": "Oak", "budget": { "amount": 40, "currency": "USD" }, "metadata": metadata });
        let request = ann.post("/api/marketplace/requests", body).await.ok();
        requests.insert(0, text(&request["id"]));
    }
    let messages_of = format!("/api/conversations/{}/messages", conversations[0]);
    let first = ann.get(&messages_of).await.ok()["items"][0].clone();
    messages.push(text(&first["id"]));
    for _ in 0..6 {
        let sent = ann.post(&messages_of, message.clone()).await.ok();
        messages.insert(0, text(&sent["message"]["id"]));
    }
    for limit in [1, 2, 100] {
        assert_eq!(ids(&pages(&ann, "/api/conversations", limit).await), conversations);
        assert_eq!(ids(&pages(&ann, &messages_of, limit).await), messages);
        assert_eq!(ids(&pages(&ann, "/api/marketplace/requests", limit).await), requests);
    }
    let oldest = messages.pop().expect("a message");
    messages.reverse();
    let after = format!("{messages_of}?after={oldest}");
    assert_eq!(ids(&pages(&ann, &after, 100).await), messages);
}
