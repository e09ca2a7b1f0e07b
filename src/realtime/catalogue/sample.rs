//! Examples of what events carry, made of the schemas: what a field of that name has in a small trade
//! between Ann, who buys, and Bob, who sells, else what its type allows.

use serde_json::{Map, Value, json};

use super::Catalogue;
use crate::event::Shape;

/// Deeper than any payload is; what refers to itself ends here.
const MAX_DEPTH: usize = 12;

/// Before the last digit of every id in an example.
const ID: &str = "019ab697-e800-7000-8000-00000000000";

/// The schemas, as JSON, and what an example of each is.
pub(super) struct Samples(Value);

impl Samples {
    pub(super) fn of(catalogue: &Catalogue) -> Self {
        Self(serde_json::to_value(catalogue.schemas()).unwrap_or_default())
    }

    /// An example of this type.
    pub(super) fn example(&self, shape: Shape) -> Value {
        let name = (shape.name)();
        self.sample(&name, "", &self.0[&*name], 0)
    }

    /// The type of this name, as JSON schema.
    pub(super) fn schema(&self, name: &str) -> &Value {
        &self.0[name]
    }

    /// A value that `schema` allows, for a field of the type `of`.
    fn sample(&self, of: &str, field: &str, schema: &Value, depth: usize) -> Value {
        if depth > MAX_DEPTH {
            return Value::Null;
        }
        if let Some(name) = referred(schema) {
            return match name {
                "Id" | "GivenId" => id(of, field).into(),
                name => self.sample(name, field, self.schema(name), depth + 1),
            };
        }
        if let Some(example) = schema["examples"].get(0) {
            return example.clone();
        }
        if let Some(value) = schema["enum"].get(0) {
            return value.clone();
        }
        if let Some(choices) = schema["oneOf"].as_array() {
            // What may be null is nothing here, so that examples stay short.
            let is_null = |choice: &Value| choice["type"] == "null";
            return if choices.iter().any(is_null) {
                Value::Null
            } else {
                self.sample(of, field, &choices[0], depth + 1)
            };
        }
        if let Some(parts) = schema["allOf"].as_array() {
            let parts = parts.iter().map(|part| self.sample(of, field, part, depth + 1));
            let parts = parts.filter_map(|part| match part {
                Value::Object(members) => Some(members),
                _ => None,
            });
            return Value::Object(parts.flatten().collect());
        }
        self.sample_of_type(of, field, schema, depth)
    }

    fn sample_of_type(&self, of: &str, field: &str, schema: &Value, depth: usize) -> Value {
        let kinds = &schema["type"];
        let kind = kinds.as_str().or_else(|| kinds[0].as_str()).unwrap_or_default();
        let may_be_null =
            kinds.as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "null"));
        match kind {
            "object" => {
                let properties = schema["properties"].as_object();
                let members = properties
                    .into_iter()
                    .flatten()
                    .map(|(name, schema)| (name.clone(), self.sample(of, name, schema, depth + 1)));
                Value::Object(members.collect::<Map<_, _>>())
            }
            "array" => json!([self.sample(of, field, &schema["items"], depth + 1)]),
            "boolean" => true.into(),
            "integer" | "number" => number(field),
            "string" => match word(field) {
                Some(word) => word.into(),
                None if may_be_null => Value::Null,
                None => "…".into(),
            },
            // Whatever there is.
            _ => anything(field),
        }
    }
}

/// The name of the type that a schema refers to.
pub(super) fn referred(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.rsplit('/').next()
}

/// The same thing has the same id in every example.
fn id(of: &str, field: &str) -> String {
    let thing = match (of, field) {
        ("Person" | "Participant", "id") | (_, "userId" | "buyerId" | "senderId" | "createdBy") => {
            return "ann".to_owned();
        }
        ("ReferralSignup" | "ReferralReward", "referredUserId")
        | (_, "sellerId" | "removedUserId" | "addedUserIds") => return "bob".to_owned(),
        ("Message" | "ChatMessage", "id" | "_id") => "messageId",
        ("Conversation", "id" | "_id") => "conversationId",
        ("PurchaseRequest", "id" | "_id") => "requestId",
        ("Offer", "id" | "_id") => "offerId",
        (_, field) => field,
    };
    let digit = match thing {
        "conversationId" | "chatId" => 1,
        "messageId" | "upToMessageId" => 2,
        "replyTo" => 3,
        "requestId" | "requestIds" | "purchaseRequestId" => 4,
        "offerId" => 5,
        "paymentId" => 6,
        "payoutId" => 7,
        "checkoutId" => 8,
        "clientMessageId" => return "c-17".to_owned(),
        "epoch" => 9,
        _ => 0,
    };
    format!("{ID}{digit}")
}

fn number(field: &str) -> Value {
    match field {
        "amount" => json!(35.5),
        "seq" => 42.into(),
        "since" => 41.into(),
        "deliveryDays" => 3.into(),
        "points" => 50.into(),
        "lifetimePoints" => 1200.into(),
        "newLevel" => 2.into(),
        "retryAfterMs" => 1500.into(),
        _ => 1.into(),
    }
}

fn word(field: &str) -> Option<&'static str> {
    Some(match field {
        "content" => "Is it still there?",
        "title" => "A lamp",
        "description" => "Green, for a desk",
        "body" => "Bob offers 35.50 USD",
        "currency" => "USD",
        "carrier" => "DHL",
        "trackingNumber" => "JD014600003444",
        "deliveryCode" => "482913",
        "emoji" => "👍",
        "firstName" => "Ann",
        "lastName" => "Lee",
        "name" | "userName" => "Ann Lee",
        "provider" => "decentralized",
        "reason" => "No longer needed",
        "room" | "rooms" | "leftRooms" => "user-ann",
        "status" => "shipped",
        "token" => "eyJhbGciOiJIUzI1NiJ9…",
        "txHash" | "transactionHash" => "0x5e7a…c1",
        "type" => "offer",
        "url" => "https://files.example.com/lamp.jpg",
        "perks" => "free shipping",
        "error" => "This room is not yours to enter.",
        "event" => "chat message",
        _ => return None,
    })
}

fn anything(field: &str) -> Value {
    match field {
        "name" => "lamp.jpg".into(),
        "mimeType" => "image/jpeg".into(),
        "size" => 48_213.into(),
        _ => json!({}),
    }
}
