//! A callback as it goes over the wire: where to, with which headers, and its exact bytes.

use hmac::{Hmac, Mac};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use sha2::Sha256;
use stoa::clock::Timestamp;

use super::API_KEY;

/// A callback that can be delivered, also more than once, and changed before.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The `callback_url` that was given with the invoice or the payout.
    pub url: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Vec<u8>,
}

impl Delivery {
    /// Signed with the key, at that time.
    pub fn signed(url: String, body: Vec<u8>, now: Timestamp) -> Self {
        let time = now.seconds().to_string();
        let mut mac = Hmac::<Sha256>::new_from_slice(API_KEY.as_bytes()).expect("a key");
        mac.update(format!("{time}.").as_bytes());
        mac.update(&body);
        let signature = hex::encode(mac.finalize().into_bytes());
        let delivery = Self { url, headers: HeaderMap::new(), body };
        delivery
            .header("content-type", "application/json")
            .header("x-shkeeper-timestamp", &time)
            .header("x-shkeeper-signature", &signature)
    }

    /// With the API key as a header: callbacks of invoices have it, those of payouts do not.
    pub fn with_key(self) -> Self {
        self.header("x-shkeeper-api-key", API_KEY)
    }

    /// As older servers send it: without a signature.
    pub fn legacy(mut self) -> Self {
        self.headers.remove("x-shkeeper-timestamp");
        self.headers.remove("x-shkeeper-signature");
        self
    }

    /// With another value of a header.
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        let value = HeaderValue::from_str(value).expect("a header's value");
        self.headers.insert(HeaderName::from_static(name), value);
        self
    }

    /// What the body says.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

/// As SHKeeper writes bodies: compact, keys in their order.
pub fn written(mut body: Value) -> Vec<u8> {
    body.sort_all_objects();
    body.to_string().into_bytes()
}
