//! Which pages may talk to a relay. Browsers say where a page comes from; other programs say nothing.

/// A relay that listens on this machine only asks for no secret, so no page from elsewhere may reach it: neither under
/// its own name, nor under a name that points here (DNS rebinding). Pages of a development server on this machine may.
pub fn may_connect(origin: Option<&str>, host: Option<&str>, loopback: bool) -> bool {
    if loopback && !host.is_none_or(is_loopback) {
        return false;
    }
    let Some(origin) = origin else { return true };
    let Some(origin_host) = origin.split_once("://").map(|(_, host)| host) else { return false };
    host.is_some_and(|host| {
        origin_host.eq_ignore_ascii_case(host) || (is_loopback(origin_host) && is_loopback(host))
    })
}

/// `host` with or without a port.
pub fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(""),
        None => host.split(':').next().unwrap_or(""),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(origin: Option<&str>, host: &str, loopback: bool, expected: bool) {
        assert_eq!(may_connect(origin, Some(host), loopback), expected, "{origin:?} at {host}");
    }

    #[test]
    fn the_relays_own_page_and_programs_may() {
        for loopback in [true, false] {
            check(None, "127.0.0.1:3000", loopback, true);
            check(Some("http://127.0.0.1:3000"), "127.0.0.1:3000", loopback, true);
            check(Some("http://localhost:8080"), "[::1]:3000", loopback, true);
        }
        check(Some("https://relay.example"), "relay.example", false, true);
        check(None, "relay.example", false, true);
    }

    #[test]
    fn pages_from_elsewhere_may_not() {
        check(Some("https://evil.example"), "127.0.0.1:3000", true, false);
        check(Some("https://evil.example"), "relay.example", false, false);
        check(Some("http://localhost:8080"), "relay.example", false, false);
        check(Some("null"), "127.0.0.1:3000", true, false);
    }

    #[test]
    fn a_foreign_name_that_points_here_does_not_help() {
        check(Some("http://evil.example:3000"), "evil.example:3000", true, false);
        check(None, "evil.example:3000", true, false);
        check(Some("http://127.0.0.1.evil.example"), "127.0.0.1:3000", true, false);
    }
}
