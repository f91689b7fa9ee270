//! The page: built by trunk into `dist/`, carried inside a release binary.

use super::error::ApiError;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use data_encoding::{BASE64, HEXLOWER};
use rust_embed::{EmbeddedFile, RustEmbed};
use sha2::{Digest as _, Sha256};
use std::sync::LazyLock;

/// A debug build reads the files when they are asked for.
#[derive(RustEmbed)]
#[folder = "../dist"]
#[allow_missing = true]
struct Dist;

const INDEX: &str = "index.html";

const NOT_BUILT: &str = "\
wordraft: this binary was built without its page.

Build the page and then the binary:    cargo xtask run
or only the page:                      cargo xtask page

The API is here all the same, under /api/v1/rooms/lobby/
";

/// Everything that is no route of the API: files of the page, and the page itself for links to rooms.
pub async fn serve(request: Request) -> Response {
    let path = request.uri().path().trim_start_matches('/').to_owned();
    let is_page = path.is_empty() || is_room_link(&path);
    if !(is_page || Dist::get(&path).is_some()) {
        return ApiError::not_found(format!("there is nothing at /{path}"))
            .hint("the page is at /, the API under /api/v1/rooms/ROOM/")
            .into_response();
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return super::wrong_method(request.method().clone()).await.into_response();
    }
    let name = if is_page { INDEX } else { &path };
    match Dist::get(name) {
        Some(file) => file_response(name, file, request.headers()),
        None => (no_cache(), NOT_BUILT).into_response(),
    }
}

fn is_room_link(path: &str) -> bool {
    path.strip_prefix("r/")
        .is_some_and(|room| room.trim_end_matches('/').parse::<shared::ids::RoomName>().is_ok())
}

fn file_response(name: &str, file: EmbeddedFile, request: &HeaderMap) -> Response {
    let tag = format!("\"{}\"", HEXLOWER.encode(&file.metadata.sha256_hash()[..16]));
    let mut headers = if is_hashed(name) { immutable() } else { no_cache() };
    if let Ok(tag) = HeaderValue::try_from(&tag) {
        headers.insert(header::ETAG, tag);
    }
    // A browser takes the policy of a 304 in place of the one it has stored.
    if name == INDEX
        && let Ok(policy) = HeaderValue::try_from(content_security_policy(&inline_scripts(&file.data)))
    {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    if request.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(name)));
    (headers, axum::body::Bytes::from(file.data.into_owned())).into_response()
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("wasm") => "application/wasm",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("json" | "map") => "application/json",
        Some("webmanifest") => "application/manifest+json",
        Some("woff2") => "font/woff2",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// Whether trunk put a hash of the contents into the name: `app-0123456789abcdef.js`, `app-0123456789abcdef_bg.wasm`.
/// Trunk leaves leading zeros out.
fn is_hashed(name: &str) -> bool {
    name.split(['-', '.', '_'])
        .any(|part| (12..=16).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn immutable() -> HeaderMap {
    cache_control("public, max-age=31536000, immutable")
}

fn no_cache() -> HeaderMap {
    cache_control("no-cache")
}

fn cache_control(value: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(header::CACHE_CONTROL, HeaderValue::from_static(value))])
}

/// The hashes by which a policy names the scripts that stand in the page itself: trunk writes one that starts it.
fn inline_scripts(html: &[u8]) -> Vec<String> {
    let html = String::from_utf8_lossy(html);
    let mut hashes = Vec::new();
    for script in html.split("<script").skip(1) {
        let Some((attributes, rest)) = script.split_once('>') else { continue };
        let Some((body, _)) = rest.split_once("</script>") else { continue };
        if !attributes.contains("src=") {
            hashes.push(format!("'sha256-{}'", BASE64.encode(&Sha256::digest(body.as_bytes()))));
        }
    }
    hashes
}

/// Nothing from other hosts, and no script but the page's own. Sockets may go to any relay.
fn content_security_policy(inline_scripts: &[String]) -> String {
    format!(
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval' {}; worker-src 'self'; connect-src 'self' ws: wss:; \
         style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self'; manifest-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        inline_scripts.join(" ")
    )
}

/// What every answer says to a browser. The page's own policy names its inline scripts as well.
pub fn secure(mut response: Response) -> Response {
    const PLAIN: [(HeaderName, &str); 4] = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    static POLICY: LazyLock<Option<HeaderValue>> =
        LazyLock::new(|| HeaderValue::try_from(content_security_policy(&[])).ok());
    let headers = response.headers_mut();
    for (name, value) in PLAIN {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Some(policy) = &*POLICY {
        headers.entry(header::CONTENT_SECURITY_POLICY).or_insert_with(|| policy.clone());
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hashed_names_may_be_kept_for_ever() {
        assert!(is_hashed("app-0123456789abcdef.js"));
        assert!(is_hashed("app-0123456789abcdef_bg.wasm"));
        assert!(is_hashed("app-123456789abcdef.js"));
        assert!(!is_hashed("worker_loader.js"));
        assert!(!is_hashed("index.html"));
    }

    #[test]
    fn the_policy_names_inline_scripts_by_their_hash() {
        let hashes =
            inline_scripts(b"<script type=\"module\">start()</script><script src=\"/a.js\"></script>");
        // printf 'start()' | openssl dgst -sha256 -binary | base64
        assert_eq!(hashes, ["'sha256-DIm7WJS6ZKDYe5qFLPy+h4JFI9Bol5QmYC57mt3Fb00='"]);
        assert!(content_security_policy(&hashes).contains("'wasm-unsafe-eval' 'sha256-"));
    }

    #[test]
    fn links_to_rooms_lead_to_the_page() {
        assert!(is_room_link("r/lobby") && is_room_link("r/attic/"));
        assert!(!is_room_link("r/") && !is_room_link("r/UP") && !is_room_link("x/lobby"));
    }
}
