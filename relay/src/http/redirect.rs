//! `?redirect=1`: for clients that would rather talk to the leader's node than have their request passed on.

use super::access::ask;
use super::error::{ApiError, ApiResult};
use crate::driver::NodeHandle;
use crate::origin;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use shared::node::api::{self, ClusterView, Reply};

/// Every route that a node answers has it.
pub const PARAMETER: &str = "redirect";

/// Turns away with the leader's address, if that is wanted and another node leads that answers HTTP.
pub async fn to_leader(node: &NodeHandle, request: &Parts) -> ApiResult<()> {
    if is_wanted(&request.uri)
        && let Some(address) = leader_address(node).await
        && is_reachable(&address, &request.headers)
        && let Ok(location) = HeaderValue::try_from(format!("{address}{}", without_redirect(&request.uri)))
    {
        let error = ApiError::new(StatusCode::TEMPORARY_REDIRECT, "not_leader", "another node leads");
        return Err(error
            .hint("ask the address that the Location header names")
            .header(header::LOCATION, location));
    }
    Ok(())
}

/// An address of this machine leads a client on another one astray: whether it is here shows the name that it asked for.
fn is_reachable(address: &str, headers: &HeaderMap) -> bool {
    let host = address.split_once("://").map_or(address, |(_, host)| host);
    let host = host.split('/').next().unwrap_or_default();
    let asked = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    !origin::is_loopback(host) || asked.is_some_and(origin::is_loopback)
}

fn parameters(uri: &Uri) -> impl Iterator<Item = &str> {
    uri.query().unwrap_or_default().split('&').filter(|parameter| !parameter.is_empty())
}

fn is_wanted(uri: &Uri) -> bool {
    parameters(uri).any(|parameter| parameter == "redirect=1")
}

/// The leader may change on the way: whoever is asked next answers in any case.
fn without_redirect(uri: &Uri) -> String {
    let kept: Vec<&str> = parameters(uri).filter(|parameter| !parameter.starts_with("redirect=")).collect();
    if kept.is_empty() { uri.path().to_owned() } else { format!("{}?{}", uri.path(), kept.join("&")) }
}

async fn leader_address(node: &NodeHandle) -> Option<String> {
    match ask(node, api::Request::Cluster).await.ok()? {
        Reply::Cluster(view) => other_leader(&view),
        _ => None,
    }
}

fn other_leader(view: &ClusterView) -> Option<String> {
    let leader = view.leader.filter(|leader| *leader != view.node)?;
    let address = view.members.iter().find(|member| member.node == leader)?.http.as_deref()?;
    let address = address.trim_end_matches('/');
    Some(if address.contains("://") { address.to_owned() } else { format!("http://{address}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_elsewhere_is_sent_to_this_machine() {
        let check = |address: &str, host: Option<&str>, expected: bool| {
            let headers = host.map(|host| (header::HOST, host.parse().unwrap()));
            assert_eq!(
                is_reachable(address, &headers.into_iter().collect()),
                expected,
                "{address} for {host:?}"
            );
        };
        for here in ["http://127.0.0.1:3000", "http://[::1]:3000", "http://localhost", "127.0.0.1:3000"] {
            check(here, Some("127.0.0.1:3001"), true);
            check(here, Some("localhost:3001"), true);
            check(here, Some("relay.example"), false);
            check(here, None, false);
        }
        check("http://192.0.2.7:3000", Some("relay.example"), true);
        check("http://192.0.2.7:3000", Some("localhost:3001"), true);
    }

    #[test]
    fn a_redirect_asks_for_no_second_one() {
        let check = |uri: &str, expected: &str| {
            let uri: Uri = uri.parse().unwrap();
            assert!(is_wanted(&uri));
            assert_eq!(without_redirect(&uri), expected);
        };
        check("/a/b?redirect=1", "/a/b");
        check("/a?mode=ascii&redirect=1&top=3", "/a?mode=ascii&top=3");
        assert!(!is_wanted(&"/a?redirect=0".parse().unwrap()));
    }
}
