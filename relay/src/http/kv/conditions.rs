//! Entity tags and the conditions that they make (RFC 9110, 8.8.3 and 13.1). A version between quotes is a key's tag.

use crate::http::error::{ApiError, ApiResult};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use shared::state_machine::{Condition, Version};

pub fn tag(version: Version) -> HeaderValue {
    HeaderValue::try_from(format!("\"{version}\"")).expect("digits between quotes")
}

/// What must hold for a change to happen: `If-Match` or `If-None-Match: *`, not both. A weak tag, or one that is none of ours,
/// matches no version, so it cannot hold.
pub fn of_change(headers: &HeaderMap) -> ApiResult<Condition> {
    match (tags(headers, header::IF_MATCH)?, tags(headers, header::IF_NONE_MATCH)?) {
        (None, None) => Ok(Condition::Any),
        (Some(Tags::Any), None) => Ok(Condition::Present),
        (None, Some(Tags::Any)) => Ok(Condition::Absent),
        (Some(Tags::Listed(tags)), None) => {
            let mut versions: Vec<Version> = tags.iter().filter_map(Tag::strong).collect();
            versions.dedup();
            match versions[..] {
                [] => Ok(Condition::Version(Version::ZERO)),
                [version] => Ok(Condition::Version(version)),
                _ => Err(impossible()),
            }
        }
        _ => Err(impossible()),
    }
}

fn impossible() -> ApiError {
    ApiError::bad_request("this condition cannot be put on a change")
        .hint("send If-Match: \"VERSION\", If-Match: *, or If-None-Match: *")
}

/// What a read comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    Whole,
    NotModified,
    Failed,
}

/// For a key that is there: `If-Match` first, then `If-None-Match`.
pub fn of_read(headers: &HeaderMap, version: Version) -> ApiResult<Read> {
    let (wanted, known) = (tags(headers, header::IF_MATCH)?, tags(headers, header::IF_NONE_MATCH)?);
    Ok(match (wanted, known) {
        (Some(wanted), _) if !wanted.has(|tag| tag.strong() == Some(version)) => Read::Failed,
        (_, Some(known)) if known.has(|tag| tag.version == Some(version)) => Read::NotModified,
        _ => Read::Whole,
    })
}

#[derive(Debug, PartialEq)]
enum Tags {
    Any,
    Listed(Vec<Tag>),
}

#[derive(Debug, PartialEq)]
struct Tag {
    weak: bool,
    /// `None`: no tag of ours.
    version: Option<Version>,
}

impl Tags {
    fn has(&self, is_it: impl FnMut(&Tag) -> bool) -> bool {
        match self {
            Tags::Any => true,
            Tags::Listed(tags) => tags.iter().any(is_it),
        }
    }
}

impl Tag {
    fn strong(&self) -> Option<Version> {
        self.version.filter(|_| !self.weak)
    }
}

/// All header lines of one name are one list.
fn tags(headers: &HeaderMap, name: HeaderName) -> ApiResult<Option<Tags>> {
    let lines: Vec<&[u8]> = headers.get_all(&name).iter().map(HeaderValue::as_bytes).collect();
    if lines.is_empty() {
        return Ok(None);
    }
    let list = lines.join(&b", "[..]);
    if list.trim_ascii() == b"*" {
        return Ok(Some(Tags::Any));
    }
    listed(&list).map(|tags| Some(Tags::Listed(tags))).ok_or_else(|| {
        ApiError::bad_request(format!("{name} is no list of tags"))
            .hint("send \"VERSION\", as an ETag has it, or *")
    })
}

/// A tag may have any character but a quote in it, a comma too.
fn listed(mut rest: &[u8]) -> Option<Vec<Tag>> {
    let mut tags = Vec::new();
    loop {
        // Empty elements are allowed (RFC 9110, 5.6.1).
        while let [b' ' | b'\t' | b',', more @ ..] = rest {
            rest = more;
        }
        if rest.is_empty() {
            return (!tags.is_empty()).then_some(tags);
        }
        let weak = rest.starts_with(b"W/");
        let opaque = rest.strip_prefix(b"W/").unwrap_or(rest).strip_prefix(b"\"")?;
        let end = opaque.iter().position(|byte| *byte == b'"')?;
        let text = std::str::from_utf8(&opaque[..end]).ok();
        let version = text.and_then(|text| text.parse().ok());
        // Another spelling of the number is another tag.
        let version = version.filter(|version: &Version| Some(version.to_string().as_str()) == text);
        tags.push(Tag { weak, version });
        rest = opaque[end + 1..].trim_ascii_start();
        if !(rest.is_empty() || rest.starts_with(b",")) {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MATCH: HeaderName = header::IF_MATCH;
    const NONE_MATCH: HeaderName = header::IF_NONE_MATCH;

    fn map(headers: &[(HeaderName, &'static str)]) -> HeaderMap {
        headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn conditions_of_changes_are_read_from_headers() {
        let check = |headers: &[(HeaderName, &'static str)], expected: Option<Condition>| {
            assert_eq!(of_change(&map(headers)).ok(), expected, "{headers:?}");
        };
        let version = |number| Some(Condition::Version(Version::new(number)));
        check(&[], Some(Condition::Any));
        check(&[(MATCH, "*")], Some(Condition::Present));
        check(&[(MATCH, " \"17\" ")], version(17));
        check(&[(MATCH, "W/\"16\", \"17\", \"a,b\"")], version(17));
        check(&[(NONE_MATCH, "*")], Some(Condition::Absent));
        for never in ["\"x\"", "\"\"", "\"017\"", "\"+17\"", "W/\"17\""] {
            check(&[(MATCH, never)], version(0));
        }
        for wrong in ["17", "\"17", "\"1\" \"2\"", "w/\"1\"", "\"1\", *", ",", ""] {
            check(&[(MATCH, wrong)], None);
        }
        check(&[(MATCH, "\"1\", \"2\"")], None);
        check(&[(NONE_MATCH, "\"17\"")], None);
        check(&[(MATCH, "*"), (NONE_MATCH, "*")], None);
    }

    #[test]
    fn a_read_knows_weak_tags_and_several() {
        let check = |headers: &[(HeaderName, &'static str)], expected: Read| {
            assert_eq!(of_read(&map(headers), Version::new(17)).ok(), Some(expected), "{headers:?}");
        };
        check(&[], Read::Whole);
        for known in ["\"17\"", "W/\"17\"", "*", "\"1\", W/\"17\"", "\"a,b\",,\"17\""] {
            check(&[(NONE_MATCH, known)], Read::NotModified);
        }
        for unknown in ["\"1\"", "\"x\"", "\"17 \"", "W/\"1\", \"2\""] {
            check(&[(NONE_MATCH, unknown)], Read::Whole);
        }
        check(&[(NONE_MATCH, "\"1\""), (NONE_MATCH, "\"17\"")], Read::NotModified);
        check(&[(MATCH, "\"17\", \"18\"")], Read::Whole);
        check(&[(MATCH, "*"), (NONE_MATCH, "W/\"17\"")], Read::NotModified);
        check(&[(MATCH, "W/\"17\"")], Read::Failed);
        check(&[(MATCH, "\"16\""), (NONE_MATCH, "\"17\"")], Read::Failed);
        assert!(of_read(&map(&[(NONE_MATCH, "17")]), Version::new(17)).is_err());
    }
}
