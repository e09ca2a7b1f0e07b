//! Conversations, in both dialects.

use super::{Options, Person, TestApp, Value, json};

/// The options of the marketplace dialect.
fn market() -> Options {
    Options::websocket().namespace("/marketplace")
}

/// Ann and bob in a group of theirs, with nothing left to be heard; its id.
async fn inside(ann: &mut Person, bob: &mut Person, join: [&str; 2]) -> String {
    let id = ann.group(&["bob"]).await;
    ann.join(join[0], &id).await;
    bob.join(join[1], &id).await;
    for person in [ann, bob] {
        person.transcript().await;
    }
    id
}

#[tokio::test]
async fn a_conversation_is_begun_entered_and_left() {
    let app = TestApp::start().await;
    let (ann, mut bob) = (app.person("ann"), app.user("bob").await);
    bob.transcript().await;
    let id = ann.group(&["bob"]).await;
    bob.expect("conversation:created").await;
    bob.join("conversation:join", &id).await;
    bob.emit_ack("conversation:leave", id.as_str()).await;
    ann.say(&id, "Are you there?").await;
    insta::assert_snapshot!(bob.transcript().await, @r#"
    < 42["conversation:created",{"conversation":{"id":"[1]","_id":"[1]","type":"group",
        "title":null,"participants":[{"id":"ann","_id":"ann","userId":"ann","firstName":null,
        "lastName":null,"joinedAt":"[time]","lastReadMessageId":null},{"id":"bob","_id":"bob",
        "userId":"bob","firstName":null,"lastName":null,"joinedAt":"[time]",
        "lastReadMessageId":null}],"participantCount":2,"metadata":null,"createdBy":"ann",
        "createdAt":"[time]","archivedAt":null}}]
    > 421["conversation:join","[1]"]
    < 42["conversation:added",{"conversationId":"[1]","addedBy":{"id":"ann","firstName":null,
        "lastName":null}}]
    < 431[{"success":true,"conversationId":"[1]","room":"conversation:[1]","seq":0}]
    > 422["conversation:leave","[1]"]
    < 432[{"success":true,"conversationId":"[1]"}]
    "#);
}

#[tokio::test]
async fn a_message_is_sent_edited_read_and_deleted_in_the_conversation_dialect() {
    let app = TestApp::start().await;
    let (mut ann, mut bob) = (app.user("ann").await, app.user("bob").await);
    let id = inside(&mut ann, &mut bob, ["conversation:join"; 2]).await;
    let draft = json!({ "conversationId": id, "content": "Hello", "clientMessageId": "x1" });
    let sent = ann.emit_ack("message:send", draft).await;
    let message = sent["message"]["id"].as_str().expect("an id").to_owned();
    bob.expect("message:new").await;
    ann.emit_ack("typing:start", json!({ "conversationId": id })).await;
    ann.emit_ack("typing:stop", json!({ "conversationId": id })).await;
    bob.expect("typing:stop").await;
    let path = format!("/api/messages/{message}");
    ann.patch(&path, json!({ "content": "Hello, Bob" })).await;
    ann.delete(&path).await;
    bob.expect("message:deleted").await;
    insta::assert_snapshot!(ann.transcript().await, @r#"
    > 422["message:send",{"conversationId":"[1]","content":"Hello","clientMessageId":"x1"}]
    < 432[{"success":true,"message":{"id":"[2]","_id":"[2]","conversationId":"[1]",
        "content":"Hello","sender":{"id":"ann","firstName":null,"lastName":null},
        "createdAt":"[time]","attachments":[],"replyTo":null,"clientMessageId":"x1",
        "metadata":{},"editedAt":null,"deletedAt":null,"reactions":[]}}]
    > 423["typing:start",{"conversationId":"[1]"}]
    < 433[{"success":true}]
    > 424["typing:stop",{"conversationId":"[1]"}]
    < 434[{"success":true}]
    > PATCH /api/messages/[2] {"content":"Hello, Bob"}
    < 200 {"message":{"id":"[2]","_id":"[2]","conversationId":"[1]","content":"Hello, Bob",
        "sender":{"id":"ann","firstName":null,"lastName":null},"createdAt":"[time]",
        "attachments":[],"replyTo":null,"clientMessageId":"x1","metadata":{},
        "editedAt":"[time]","deletedAt":null,"reactions":[]}}
    > DELETE /api/messages/[2]
    < 204
    < 42["message:edited",{"messageId":"[2]","conversationId":"[1]","content":"Hello, Bob",
        "editedAt":"[time]","seq":2}]
    < 42["message:deleted",{"messageId":"[2]","conversationId":"[1]","deletedAt":"[time]",
        "seq":3}]
    "#);
    insta::assert_snapshot!(bob.transcript().await, @r#"
    < 42["message:new",{"messageId":"[1]","conversationId":"[2]","content":"Hello",
        "sender":{"id":"ann","firstName":null,"lastName":null},"createdAt":"[time]",
        "attachments":[],"replyTo":null,"clientMessageId":"x1","metadata":{},"seq":1}]
    < 42["typing:start",{"userId":"ann","userName":"ann","conversationId":"[2]"}]
    < 42["typing:stop",{"userId":"ann","conversationId":"[2]"}]
    < 42["message:edited",{"messageId":"[1]","conversationId":"[2]","content":"Hello, Bob",
        "editedAt":"[time]","seq":2}]
    < 42["message:deleted",{"messageId":"[1]","conversationId":"[2]","deletedAt":"[time]",
        "seq":3}]
    "#);
}

#[tokio::test]
async fn the_same_is_heard_in_the_marketplace_dialect() {
    let app = TestApp::start().await;
    let mut ann = app.user("ann").await;
    let mut bob = app.user_with("bob", &[], market()).await;
    let id = inside(&mut ann, &mut bob, ["conversation:join", "join-chat-room"]).await;
    let draft = json!({ "conversationId": id, "content": "Hello" });
    ann.emit_ack("message:send", draft).await;
    bob.expect("new-message").await;
    ann.emit_ack("typing:start", json!({ "conversationId": id, "userName": "Ann" })).await;
    bob.expect("user-typing").await;
    let typing = json!({ "chatId": id, "userId": "bob", "userName": "Bob" });
    bob.emit_ack("typing-start", typing.clone()).await;
    bob.emit_ack("typing-stop", typing).await;
    bob.emit_ack("leave-chat-room", id.as_str()).await;
    insta::assert_snapshot!(bob.transcript().await, @r#"
    < 42/marketplace,["new-message",{"chatId":"[1]","message":{"id":"[2]","_id":"[2]",
        "content":"Hello","senderId":"ann","createdAt":"[time]"},"senderId":"ann","seq":1}]
    < 42/marketplace,["user-typing",{"chatId":"[1]","userId":"ann","userName":"Ann",
        "isTyping":true}]
    > 42/marketplace,2["typing-start",{"chatId":"[1]","userId":"bob","userName":"Bob"}]
    < 43/marketplace,2[{"success":true}]
    > 42/marketplace,3["typing-stop",{"chatId":"[1]","userId":"bob","userName":"Bob"}]
    < 43/marketplace,3[{"success":true}]
    > 42/marketplace,4["leave-chat-room","[1]"]
    < 43/marketplace,4[{"success":true,"room":"chat-[1]"}]
    "#);
}

#[tokio::test]
async fn who_comes_back_hears_what_they_missed_before_the_acknowledgement() {
    let app = TestApp::start().await;
    let ann = app.person("ann");
    let id = ann.group(&["bob"]).await;
    for content in ["one", "two", "three"] {
        ann.say(&id, content).await;
    }
    for (join, field) in [("conversation:join", "conversationId"), ("join-chat-room", "chatId")] {
        let mut bob = app.user("bob").await;
        bob.transcript().await;
        bob.emit_ack(join, json!({ (field): id, "since": 1 })).await;
        match join {
            "conversation:join" => insta::assert_snapshot!(bob.transcript().await, @r#"
            > 421["conversation:join",{"conversationId":"[1]","since":1}]
            < 42["message:new",{"messageId":"[2]","conversationId":"[1]","content":"two",
                "sender":{"id":"ann","firstName":null,"lastName":null},"createdAt":"[time]",
                "attachments":[],"replyTo":null,"clientMessageId":null,"metadata":{},"seq":2}]
            < 42["message:new",{"messageId":"[3]","conversationId":"[1]","content":"three",
                "sender":{"id":"ann","firstName":null,"lastName":null},"createdAt":"[time]",
                "attachments":[],"replyTo":null,"clientMessageId":null,"metadata":{},"seq":3}]
            < 431[{"success":true,"conversationId":"[1]","room":"conversation:[1]","seq":3,
                "epoch":"[epoch]","recovered":true,"replayed":2}]
            "#),
            _ => insta::assert_snapshot!(bob.transcript().await, @r#"
            > 421["join-chat-room",{"chatId":"[1]","since":1}]
            < 42["new-message",{"chatId":"[1]","message":{"id":"[2]","_id":"[2]","content":"two",
                "senderId":"ann","createdAt":"[time]"},"senderId":"ann","seq":2}]
            < 42["new-message",{"chatId":"[1]","message":{"id":"[3]","_id":"[3]","content":"three",
                "senderId":"ann","createdAt":"[time]"},"senderId":"ann","seq":3}]
            < 431[{"success":true,"room":"chat-[1]","seq":3,"epoch":"[epoch]","recovered":true,
                "replayed":2}]
            "#),
        }
    }
    // Of what was never there nothing can be missed.
    let mut bob = app.user("bob").await;
    bob.transcript().await;
    bob.emit_ack("conversation:join", json!({ "conversationId": id, "since": 1000 })).await;
    insta::assert_snapshot!(bob.transcript().await, @r#"
    > 421["conversation:join",{"conversationId":"[1]","since":1000}]
    < 431[{"success":true,"conversationId":"[1]","room":"conversation:[1]","seq":3,
        "epoch":"[epoch]","recovered":false}]
    "#);
}

#[tokio::test]
async fn who_is_taken_out_hears_of_it_and_is_not_let_in_again() {
    let app = TestApp::start().await;
    let (mut ann, mut bob) = (app.user("ann").await, app.user("bob").await);
    let id = inside(&mut ann, &mut bob, ["conversation:join"; 2]).await;
    ann.delete(&format!("/api/conversations/{id}/participants/bob")).await;
    bob.expect("conversation:participant:removed").await;
    let again: Value = bob.emit_ack("conversation:join", id.as_str()).await;
    assert_eq!(again["code"], "forbidden");
    insta::assert_snapshot!(bob.transcript().await, @r#"
    < 42["conversation:participant:removed",{"conversationId":"[1]","userId":"bob"}]
    > 422["conversation:join","[1]"]
    < 432[{"success":false,"error":"You may not enter this room.","code":"forbidden"}]
    "#);
}
