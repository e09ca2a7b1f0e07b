//! How values are written in the file and the environment, where serde does not know it: sizes,
//! address ranges, a number as text; and how secrets are not written.

use std::net::IpAddr;

use bytesize::ByteSize;
use ipnet::IpNet;
use secrecy::SecretString;
use serde::{Deserialize, Deserializer, Serializer, de::Error as _, ser::SerializeSeq};

/// Stands for a secret wherever the configuration is shown.
const HIDDEN: &str = "***";

/// A number, or the text of one: the type of a key that has no default is not known before.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a whole number, or a text")]
enum NumberOrText {
    Number(u64),
    Text(String),
}

/// A size in bytes: `1000000`, `"100kB"`, `"1MB"`, `"1MiB"`.
pub(super) fn size<'de, D: Deserializer<'de>>(from: D) -> Result<usize, D::Error> {
    let bytes = match NumberOrText::deserialize(from)? {
        NumberOrText::Number(bytes) => Some(bytes),
        NumberOrText::Text(text) => text.parse().ok().map(|ByteSize(bytes)| bytes),
    };
    bytes
        .and_then(|bytes| usize::try_from(bytes).ok())
        .ok_or_else(|| D::Error::custom("a size is written like 100kB, 1MB or 1MiB"))
}

/// A port that may be unset.
pub(super) fn port<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u16>, D::Error> {
    let port = match NumberOrText::deserialize(from)? {
        NumberOrText::Number(port) => port.try_into().ok(),
        NumberOrText::Text(text) => text.parse().ok(),
    };
    port.map(Some).ok_or_else(|| D::Error::custom("a port is a number from 0 to 65535"))
}

/// Address ranges; a single address is a range of one.
pub(super) fn networks<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<IpNet>, D::Error> {
    let network = |text: &String| {
        text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
    };
    Vec::<String>::deserialize(from)?
        .iter()
        .map(|text| {
            network(text).ok_or_else(|| {
                D::Error::custom(format!(
                    "`{text}` is not an address range such as 10.0.0.0/8 or 127.0.0.1"
                ))
            })
        })
        .collect()
}

/// A secret, as `***`.
#[expect(clippy::ref_option, reason = "serde gives the field's reference")]
pub(super) fn hidden<S: Serializer>(
    secret: &Option<SecretString>,
    to: S,
) -> Result<S::Ok, S::Error> {
    match secret {
        Some(_) => to.serialize_some(HIDDEN),
        None => to.serialize_none(),
    }
}

/// API keys by name, with the rest as `***`.
pub(super) fn hidden_keys<S: Serializer>(keys: &[String], to: S) -> Result<S::Ok, S::Error> {
    let mut list = to.serialize_seq(Some(keys.len()))?;
    for key in keys {
        let name = key.split(':').next().unwrap_or_default();
        list.serialize_element(&format!("{name}:{HIDDEN}"))?;
    }
    list.end()
}
