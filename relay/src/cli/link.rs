//! Links to rooms: `http://HOST:PORT/r/ROOM#SECRET`.

use shared::ids::RoomName;
use shared::wire::identity::RoomToken;
use std::fmt;
use std::str::FromStr;

/// Where a relay listens when nobody says otherwise.
pub const DEFAULT: &str = "http://127.0.0.1:3000/r/lobby";

/// A room on a relay, and the right to be there.
#[derive(Clone, PartialEq, Eq)]
pub struct Link {
    /// Scheme, host and port, without a slash at the end.
    origin: String,
    room: RoomName,
    secret: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is no link to a room: {reason}; expected http://HOST:PORT/r/ROOM#SECRET")]
pub struct ParseLinkError {
    text: String,
    reason: String,
}

impl Link {
    pub fn origin(&self) -> &str {
        &self.origin
    }

    pub fn room(&self) -> &RoomName {
        &self.room
    }

    /// What the room's secret gives the right to; the secret itself is never sent.
    pub fn token(&self) -> Option<RoomToken> {
        self.secret.as_deref().map(RoomToken::member)
    }
}

/// Without the secret, so that it can stand in messages and logs.
impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/r/{}", self.origin, self.room)
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Link({self})")
    }
}

impl FromStr for Link {
    type Err = ParseLinkError;

    fn from_str(text: &str) -> Result<Link, ParseLinkError> {
        let (address, secret) = match text.split_once('#') {
            Some((address, secret)) => (address, Some(secret.to_owned()).filter(|secret| !secret.is_empty())),
            None => (text, None),
        };
        let shown = || address.chars().take(200).collect();
        let wrong = |reason: &str| ParseLinkError { text: shown(), reason: reason.to_owned() };
        let (scheme, rest) = address.split_once("://").unwrap_or(("http", address));
        if !matches!(scheme, "http" | "https") {
            return Err(wrong("it begins neither with http:// nor with https://"));
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
        if authority.is_empty() || !authority.chars().all(plain) {
            return Err(wrong("the host is missing or contains characters that no host has"));
        }
        let room = match path.trim_end_matches('/') {
            "" => RoomName::default(),
            path => {
                let name = path.strip_prefix("r/").ok_or_else(|| wrong("the path is not /r/ROOM"))?;
                name.parse().map_err(|error| wrong(&format!("{error}")))?
            }
        };
        Ok(Link { origin: format!("{scheme}://{authority}"), room, secret })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_fall_into_relay_room_and_secret() {
        let link: Link = "https://relay.example:8443/r/attic#s3cret".parse().unwrap();
        assert_eq!((link.origin(), link.room().as_str()), ("https://relay.example:8443", "attic"));
        assert!(link.token().unwrap().admits(&RoomToken::member("s3cret")));
        assert_eq!(link.to_string(), "https://relay.example:8443/r/attic", "a message shows no secret");
    }

    #[test]
    fn what_is_left_out_has_a_default() {
        for text in
            ["http://127.0.0.1:3000", "127.0.0.1:3000", "http://127.0.0.1:3000/", "127.0.0.1:3000/r/lobby/#"]
        {
            assert_eq!(text.parse::<Link>(), DEFAULT.parse(), "{text}");
        }
        assert!("[::1]:3000".parse::<Link>().is_ok());
    }

    #[test]
    fn what_is_no_link_says_why() {
        for text in
            ["", "ftp://a/r/b", "http://", "http://a/b", "http://a/r/UPPER", "http://a b/r/c", "http://a/r/"]
        {
            assert!(text.parse::<Link>().is_err(), "{text}");
        }
    }
}
