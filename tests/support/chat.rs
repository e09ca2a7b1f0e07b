//! Conversations over REST, as people begin them and write in them.

use serde_json::json;

use super::{Person, market::id_of};

impl Person {
    /// Begins a group with these people; its id.
    pub async fn group(&self, people: &[impl AsRef<str>]) -> String {
        let people: Vec<_> = people.iter().map(AsRef::as_ref).collect();
        let body = json!({ "participantIds": people, "type": "group" });
        id_of(&self.post("/api/conversations", body).await.created()["conversation"])
    }

    /// Begins a conversation of two, or finds it; its id.
    pub async fn talk_to(&self, other: &str) -> String {
        let body = json!({ "participantIds": [other] });
        id_of(&self.post("/api/conversations", body).await.ok()["conversation"])
    }

    /// Writes; the message's id.
    pub async fn say(&self, conversation: &str, content: &str) -> String {
        let path = format!("/api/conversations/{conversation}/messages");
        id_of(&self.post(&path, json!({ "content": content })).await.created()["message"])
    }
}
