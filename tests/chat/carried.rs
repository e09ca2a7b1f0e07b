//! What a message carries beside its text: files, and whatever its sender's app gave with it.

use serde_json::{Value, json};

use super::{named, text};
use crate::support::{Person, TestApp};

/// Two files as apps describe them.
fn files() -> Value {
    json!([
        { "url": "https://a/b.png", "type": "image/png", "width": 640, "blur": { "hash": "L6" } },
        { "url": "https://a/c", "name": "c", "mimeType": "text/plain", "size": 3, "type": "note" },
    ])
}

/// The same as they are told back.
fn told() -> Value {
    let mut told = files();
    told[0]["mimeType"] = json!("image/png");
    told
}

/// Someone who is in a conversation in both dialects.
async fn joined(app: &TestApp, user: &str, conversation: &str) -> Person {
    let mut user = app.user(user).await;
    for event in ["conversation:join", "join-chat-room"] {
        assert_eq!(user.emit_ack(event, conversation).await["success"], true);
    }
    user
}

#[tokio::test]
async fn whatever_is_sent_with_a_message_is_told_wherever_the_message_is() {
    let app = TestApp::start().await;
    let [ann, bob] = ["ann", "bob"].map(|id| named(&app, id));
    let id = ann.group(&["bob"]).await;
    let mut bobs = joined(&app, "bob", &id).await;
    let mut anns = app.user("ann").await;
    let draft = json!({
        "conversationId": id, "attachments": files(), "clientMessageId": "x1",
        "kind": "order", "tags": ["a", null], "colour": "red",
        "metadata": { "colour": "green", "price": { "amount": 1.10 } },
    });
    let ack = anns.emit_ack("message:send", draft.clone()).await;
    let metadata = json!({
        "kind": "order", "tags": ["a", null], "colour": "green", "price": { "amount": 1.10 },
    });
    let sent = &ack["message"];
    assert_eq!((&sent["content"], &sent["metadata"]), (&json!(""), &metadata), "{ack}");
    assert_eq!(sent["attachments"], told());

    let check = |heard: &Value, in_chat: &Value| {
        assert_eq!((&heard["metadata"], &heard["attachments"]), (&metadata, &told()), "{heard}");
        for name in ["kind", "tags", "colour", "price"] {
            assert_eq!(heard[name], metadata[name], "{heard}");
        }
        let message = &in_chat["message"];
        assert_eq!((&message["metadata"], &message["attachments"]), (&metadata, &told()));
        assert!(message.get("kind").is_none(), "{message}");
    };
    check(&bobs.expect("message:new").await, &bobs.expect("new-message").await);

    let listed = bob.get(&format!("/api/conversations/{id}/messages")).await.ok();
    assert_eq!(listed["items"][0], *sent);
    for list in ["/api/conversations".to_owned(), format!("/api/conversations/{id}")] {
        let shown = bob.get(&list).await.ok();
        let conversation = if list.ends_with(&id) { &shown } else { &shown["items"][0] };
        assert_eq!(conversation["lastMessage"], *sent, "{list}");
    }
    // The same again is the first one, whatever comes with it.
    let mut again = draft;
    again["kind"] = json!("another");
    assert_eq!(anns.emit_ack("message:send", again).await["message"], *sent);
    bobs.expect_nothing().await;

    let path = format!("/api/messages/{}", text(&sent["id"]));
    let edited = ann.patch(&path, json!({ "content": "See there" })).await.ok();
    assert_eq!(edited["message"]["metadata"], metadata);
    assert_eq!(edited["message"]["attachments"], told());

    let app = app.restart().await;
    let mut bobs = app.user("bob").await;
    let join = json!({ "conversationId": id, "since": 0 });
    assert_eq!(bobs.emit_ack("conversation:join", join).await["recovered"], true);
    let join = json!({ "chatId": id, "since": 0 });
    assert_eq!(bobs.emit_ack("join-chat-room", join).await["recovered"], true);
    let heard = bobs.expect("message:new").await;
    assert_eq!(heard["content"], "See there");
    check(&heard, &bobs.expect("new-message").await);

    let ann = named(&app, "ann");
    assert_eq!(ann.delete(&path).await.status, 204);
    let left = ann.get(&format!("/api/conversations/{id}")).await.ok();
    let left = &left["lastMessage"];
    assert_eq!((&left["metadata"], &left["attachments"]), (&json!({}), &json!([])));
}

#[tokio::test]
async fn a_plain_message_carries_nothing_else() {
    let app = TestApp::start().await;
    let ann = named(&app, "ann");
    let id = ann.group(&["bob"]).await;
    let mut bob = joined(&app, "bob", &id).await;
    let path = format!("/api/conversations/{id}/messages");
    for draft in [
        json!({ "content": "Hello" }),
        json!({ "content": "Hello", "metadata": null, "attachments": null, "replyTo": null }),
        json!({ "content": "Hello", "metadata": {}, "attachments": [] }),
    ] {
        let sent = ann.post(&path, draft).await;
        assert_eq!(sent.status, 201, "{sent:?}");
        assert_eq!(sent.body["message"]["metadata"], json!({}));
        let heard = bob.expect("message:new").await;
        let mut names: Vec<_> = heard.as_object().unwrap().keys().map(String::as_str).collect();
        names.sort_unstable();
        let expected = [
            "attachments",
            "clientMessageId",
            "content",
            "conversationId",
            "createdAt",
            "messageId",
            "metadata",
            "replyTo",
            "sender",
            "seq",
        ];
        assert_eq!((names.as_slice(), &heard["metadata"]), (&expected[..], &json!({})));
        let heard = bob.expect("new-message").await;
        assert!(heard["message"].get("metadata").is_none(), "{heard}");
    }
    // A file needs no text.
    let files = json!([{ "url": "https://a/b", "name": null, "mimeType": null, "type": "" }]);
    for draft in [
        json!({ "attachments": files }),
        json!({ "attachments": files, "content": "" }),
        json!({ "attachments": files, "content": null }),
    ] {
        let sent = ann.post(&path, draft).await;
        assert_eq!(sent.status, 201, "{sent:?}");
        let file = json!({ "url": "https://a/b", "type": "" });
        assert_eq!(sent.body["message"]["attachments"], json!([file]));
        assert_eq!(bob.expect("message:new").await["content"], "");
    }
}

#[tokio::test]
async fn what_a_sender_gives_never_stands_for_what_the_server_says() {
    let app = TestApp::start().await;
    let ann = named(&app, "ann");
    let id = ann.group(&["bob"]).await;
    let mut bob = joined(&app, "bob", &id).await;
    let theirs = json!({
        "messageId": "theirs", "sender": { "id": "theirs" }, "createdAt": "theirs", "seq": "theirs",
        "_id": "theirs", "id": "theirs", "senderId": "theirs", "chatId": "theirs",
        "editedAt": "theirs", "free": "free",
    });
    let path = format!("/api/conversations/{id}/messages");
    let sent = ann.post(&path, json!({ "content": "Hello", "metadata": theirs })).await;
    assert_eq!((&sent.body["message"]["metadata"], sent.status.as_u16()), (&theirs, 201));
    let mut by_event = theirs.clone();
    by_event["conversationId"] = json!(id);
    by_event["content"] = json!("Hello");
    let mut anns = app.user("ann").await;
    let ack = anns.emit_ack("message:send", by_event).await;
    assert_eq!(ack["message"]["metadata"], theirs, "{ack}");
    for seq in [1, 2] {
        let mut heard = bob.expect("message:new").await;
        assert_eq!(heard["metadata"].take(), theirs);
        assert!(!heard.to_string().contains("theirs"), "{heard}");
        assert_eq!((&heard["seq"], &heard["sender"]["id"]), (&json!(seq), &json!("ann")));
        assert_eq!(heard["free"], "free");
        let mut heard = bob.expect("new-message").await;
        assert_eq!(heard["message"]["metadata"].take(), theirs);
        assert!(!heard.to_string().contains("theirs"), "{heard}");
    }
}

#[tokio::test]
async fn what_can_not_be_carried_is_refused_by_its_pointer() {
    let app = TestApp::start().await;
    let ann = named(&app, "ann");
    let id = ann.group(&["bob"]).await;
    let path = format!("/api/conversations/{id}/messages");
    let mut bob = joined(&app, "bob", &id).await;
    let mut anns = app.user("ann").await;
    let large = || "x".repeat(16 * 1024);
    let half = || "x".repeat(8 * 1024);
    let url = json!({ "url": "https://a/b" });
    for (draft, pointer) in [
        (json!({}), "/content"),
        (json!({ "content": "" }), "/content"),
        (json!({ "content": null, "attachments": [], "metadata": { "a": 1 } }), "/content"),
        (json!({ "attachments": [{ "name": "b" }] }), "/attachments/0/url"),
        (json!({ "attachments": [url, { "url": "" }] }), "/attachments/1/url"),
        (json!({ "attachments": [url, { "url": null }] }), "/attachments/1/url"),
        (json!({ "attachments": ["https://a/b"] }), "/attachments/0"),
        (json!({ "attachments": [["https://a/b"]] }), "/attachments/0"),
        (json!({ "attachments": url }), "/attachments"),
        (json!({ "attachments": vec![url.clone(); 11] }), "/attachments"),
        (json!({ "attachments": [{ "url": "a:b", "alt": large() }] }), "/attachments/0"),
        (json!({ "attachments": vec![json!({ "url": "a:b", "alt": half() }); 2] }), "/attachments"),
        (json!({ "content": "x", "metadata": { "a": large() } }), "/metadata"),
    ] {
        ann.post(&path, draft.clone()).await.invalid(pointer);
        let mut by_event = draft;
        by_event["conversationId"] = json!(id);
        let ack = anns.emit_ack("message:send", by_event).await;
        assert_eq!(ack["code"], "invalid_payload", "{pointer}: {ack}");
        let told = ack["error"].as_str().unwrap();
        assert!(told.starts_with(pointer.trim_start_matches('/')), "{pointer}: {told}");
        assert!(told.len() < 300, "{told}");
    }
    for metadata in [json!("x"), json!([]), json!(1), json!(true)] {
        let draft = json!({ "content": "x", "metadata": metadata });
        ann.post(&path, draft).await.invalid("/metadata");
    }
    // Together they are too much.
    let both = json!({ "a": half(), "metadata": { "b": half() } });
    for further in [json!({ "a": large() }), both] {
        let mut draft = further;
        draft["conversationId"] = json!(id);
        draft["content"] = json!("x");
        let ack = anns.emit_ack("message:send", draft).await;
        assert_eq!(ack["code"], "invalid_payload", "{ack}");
        assert!(ack["error"].as_str().unwrap().contains("16 KiB"), "{ack}");
    }
    bob.expect_nothing().await;
    let kept = ann.get(&path).await.ok();
    assert_eq!(kept["items"], json!([]), "a refused message was kept");
}

#[tokio::test]
async fn a_file_is_whatever_has_an_address() {
    let app = TestApp::start().await;
    let ann = named(&app, "ann");
    let id = ann.group(&["bob"]).await;
    let path = format!("/api/conversations/{id}/messages");
    let mut bob = joined(&app, "bob", &id).await;
    let mut anns = app.user("ann").await;
    let files = json!([
        { "url": "https://a/b", "name": "", "size": "1.2 MB", "mimeType": { "of": "mine" } },
        { "url": "/uploads/b", "name": ["a", "b"], "size": -1, "mimeType": 7, "type": "a/b" },
        { "url": "blob:x", "size": 12.5, "type": "x".repeat(300), "_id": "507f", "alt": null },
        { "url": "a:b", "fileName": "a b\u{0}c", "thumbnail": { "url": "a:c", "w": 1 } },
    ]);
    let mut told = files.clone();
    told[2]["mimeType"] = json!("x".repeat(300));
    let draft = json!({ "attachments": files });
    let sent = ann.post(&path, draft.clone()).await.created();
    assert_eq!(sent["message"]["attachments"], told);
    let mut by_event = draft;
    by_event["conversationId"] = json!(id);
    let ack = anns.emit_ack("message:send", by_event).await;
    assert_eq!(ack["message"]["attachments"], told, "{ack}");
    for _ in 0..2 {
        assert_eq!(bob.expect("message:new").await["attachments"], told);
        assert_eq!(bob.expect("new-message").await["message"]["attachments"], told);
    }
    let listed = ann.get(&path).await.ok();
    assert_eq!(listed["items"][0]["attachments"], told);
}

#[tokio::test]
async fn what_is_sent_as_much_as_may_be_is_read_in_lists() {
    let app = TestApp::start().await;
    let ann = named(&app, "ann");
    let id = ann.group(&["bob"]).await;
    let path = format!("/api/conversations/{id}/messages");
    let metadata = json!({ "a": "x".repeat(16 * 1024 - 8) });
    let files = json!([{ "url": "a:b", "alt": "x".repeat(16 * 1024 - 10) }]);
    let draft = json!({ "content": "x", "metadata": metadata, "attachments": files });
    for _ in 0..3 {
        assert_eq!(ann.post(&path, draft.clone()).await.status, 201);
    }
    let page = ann.get(&path).await.ok();
    assert_eq!(page["items"].as_array().unwrap().len(), 1, "a page ends before it is too large");
    assert_eq!(page["items"][0]["metadata"], metadata);
    assert_eq!(page["items"][0]["attachments"], files);
    assert!(page["nextCursor"].is_string());
}

#[tokio::test]
async fn what_node_servers_take_as_a_field_is_taken() {
    let app = TestApp::start().await;
    let ann = named(&app, "ann");
    let id = ann.group(&["bob"]).await;
    let mut bob = joined(&app, "bob", &id).await;
    let mut anns = app.user("ann").await;
    // Half a character, a number with more digits than a double has, metadata that is no object.
    let fields = r#""cut \ud83c":"\udc00","n":12345678901234567890123,"metadata":["x"]"#;
    anns.send_raw(format!(
        r#"42900["message:send",{{"conversationId":"{id}","content":"x",{fields}}}]"#
    ));
    let ack = anns.ack(900).await;
    let expected = format!(
        "{{\"cut \u{fffd}\":\"\u{fffd}\",\"n\":{},\"metadata\":[\"x\"]}}",
        json!(12_345_678_901_234_567_890_123_f64)
    );
    assert_eq!(ack["message"]["metadata"].to_string(), expected, "{ack}");
    let heard = bob.expect("message:new").await;
    assert_eq!(heard["metadata"].to_string(), expected);
    assert_eq!(heard["cut \u{fffd}"], "\u{fffd}");
    // As deep as data may be, and no deeper.
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    for (id_of_ack, levels, taken) in [(901, 100, true), (902, 101, false), (903, 200, false)] {
        for (nth, fields) in [
            format!(r#""deep":{}"#, nested(levels)),
            format!(r#""attachments":[{{"url":"a:b","deep":{}}}]"#, nested(levels)),
        ]
        .into_iter()
        .enumerate()
        {
            let ack = id_of_ack + 10 * nth as u64;
            anns.send_raw(format!(
                r#"42{ack}["message:send",{{"conversationId":"{id}","content":"x",{fields}}}]"#
            ));
            let ack = anns.ack(ack).await;
            assert_eq!(ack["success"], taken, "{levels}: {ack}");
            if taken {
                bob.expect("message:new").await;
                bob.expect("new-message").await;
            } else {
                assert_eq!(ack["code"], "invalid_payload", "{ack}");
            }
        }
    }
    bob.expect("new-message").await;
    bob.expect_nothing().await;
    let kept = ann.get(&format!("/api/conversations/{id}/messages")).await.ok();
    assert_eq!(kept["items"].as_array().unwrap().len(), 3);
}
