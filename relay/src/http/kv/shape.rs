//! Keys as JSON, in paths and in parameters.

use axum::http::HeaderName;
use data_encoding::BASE64;
use serde::{Deserialize, Deserializer, Serialize};
use shared::node::api::KeyView;
use shared::state_machine::{Key, KeyEvent, KeyHappened, Version};
use shared::time::Duration;
use std::str::FromStr;

/// Seconds that a key has left, in the answer to a read.
pub const TTL_HEADER: HeaderName = HeaderName::from_static("wordraft-ttl");

/// What a put answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyChanged {
    pub key: Key,
    pub version: Version,
}

/// A page of keys. `version`: a watch after it misses nothing that is not in here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyList {
    pub keys: Vec<KeyRow>,
    pub cursor: Option<Key>,
    pub version: Version,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRow {
    pub key: Key,
    pub version: Version,
    pub bytes: u64,
    /// Seconds that it has left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<u64>,
    #[serde(flatten)]
    pub value: Option<ValueView>,
}

/// Text where the value is UTF-8, else base 64.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ValueView {
    Value(String),
    Base64(String),
}

/// The data of an event; its name says what happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyEventView {
    pub key: Key,
    pub version: Version,
    #[serde(flatten)]
    pub value: Option<ValueView>,
}

impl ValueView {
    pub fn of(bytes: &[u8]) -> ValueView {
        match std::str::from_utf8(bytes) {
            Ok(text) => ValueView::Value(text.to_owned()),
            Err(_) => ValueView::Base64(BASE64.encode(bytes)),
        }
    }
}

impl From<KeyView> for KeyRow {
    fn from(view: KeyView) -> KeyRow {
        let KeyView { key, version, bytes, ttl, value } = view;
        let value = value.as_deref().map(ValueView::of);
        KeyRow { key, version, bytes, ttl: ttl.map(|ttl| Ttl(ttl).seconds()), value }
    }
}

impl KeyEventView {
    pub fn of(event: KeyEvent, with_value: bool) -> (&'static str, KeyEventView) {
        let KeyEvent { key, version, happened } = event;
        let (name, value) = match &happened {
            KeyHappened::Put { value, .. } => ("put", with_value.then(|| ValueView::of(value))),
            KeyHappened::Deleted => ("delete", None),
            KeyHappened::Expired => ("expire", None),
        };
        (name, KeyEventView { key, version, value })
    }
}

/// How long a key stays: seconds, or a number with `ms`, `s`, `m`, `h` or `d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ttl(pub Duration);

impl Ttl {
    /// Rounded up: a key that has some time left never seems to have none.
    pub fn seconds(self) -> u64 {
        self.0.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX)
    }
}

impl FromStr for Ttl {
    type Err = String;

    fn from_str(text: &str) -> Result<Ttl, String> {
        let wrong = || format!("\"{text}\" is no time to live: expected for instance 30, 30s, 5m, 2h or 7d");
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let millis = match unit {
            "ms" => 1,
            "" | "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(wrong()),
        };
        let millis = number.parse::<u64>().ok().and_then(|number| number.checked_mul(millis));
        millis.filter(|millis| *millis > 0).map(|millis| Ttl(Duration::from_millis(millis))).ok_or_else(wrong)
    }
}

impl<'de> Deserialize<'de> for Ttl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Ttl, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// `kv/KEY` as it stands in a URL, below the room.
pub fn key_path(key: &Key) -> String {
    format!("kv/{}", url_part(key.as_str()))
}

/// A text as one part of a path or of a query.
pub fn url_part(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'~');
    let mut part = String::with_capacity(text.len());
    for byte in text.bytes() {
        if plain(byte) { part.push(char::from(byte)) } else { part.push_str(&format!("%{byte:02X}")) }
    }
    part
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_to_live_are_read_in_their_units() {
        for (text, millis) in [
            ("30", 30_000),
            ("30s", 30_000),
            ("5m", 300_000),
            ("2h", 7_200_000),
            ("7d", 604_800_000),
            ("1ms", 1),
        ] {
            assert_eq!(text.parse(), Ok(Ttl(Duration::from_millis(millis))), "{text}");
        }
        for wrong in ["", "0", "s", "-1", "1.5s", "5 m", "5y", "99999999999999999999", "99999999999999999d"] {
            assert!(wrong.parse::<Ttl>().is_err(), "{wrong}");
        }
        assert_eq!((Ttl(Duration::from_millis(1)).seconds(), Ttl(Duration::from_secs(2)).seconds()), (1, 2));
    }

    #[test]
    fn keys_stand_in_paths_and_values_in_json() {
        assert_eq!(key_path(&"a/ü b".parse().unwrap()), "kv/a%2F%C3%BC%20b");
        let row = KeyRow {
            key: "k".parse().unwrap(),
            version: Version::new(7),
            bytes: 1,
            ttl: None,
            value: Some(ValueView::of(&[0xff])),
        };
        let json = serde_json::to_string(&row).unwrap();
        assert_eq!(json, r#"{"key":"k","version":7,"bytes":1,"base64":"/w=="}"#);
        assert_eq!(serde_json::from_str::<KeyRow>(&json).unwrap(), row);
        let bare = KeyRow { value: None, ..row };
        let json = serde_json::to_string(&bare).unwrap();
        assert_eq!(serde_json::from_str::<KeyRow>(&json).unwrap(), bare, "{json}");
    }
}
