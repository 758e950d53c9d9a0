//! Where a request comes from: the name it called the hub by, and the page that sent it.

use std::net::IpAddr;

use axum::http::{HeaderMap, header};

/// Whether nobody else can point this host name at the hub: an IP address, `localhost`, or the machine's
/// own name (alone or under `.local`). Other names could be a stranger's, made to resolve to the hub so
/// that a stranger's page may talk to it (DNS rebinding).
pub(super) fn own_host(host: &str, machine: &str) -> bool {
    let Some(name) = without_port(host) else { return false };
    if let Some(literal) = name.strip_prefix('[') {
        return literal.strip_suffix(']').is_some_and(|v6| v6.parse::<std::net::Ipv6Addr>().is_ok());
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    let is = |known: &str| !known.is_empty() && name.eq_ignore_ascii_case(known);
    let under_local = name.len().checked_sub(".local".len()).and_then(|end| name.split_at_checked(end));
    name.parse::<IpAddr>().is_ok()
        || is("localhost")
        || is(machine)
        || under_local.is_some_and(|(name, local)| {
            local.eq_ignore_ascii_case(".local") && !machine.is_empty() && name.eq_ignore_ascii_case(machine)
        })
}

fn without_port(host: &str) -> Option<&str> {
    let end = host.rfind(']').map_or(0, |bracket| bracket + 1);
    match host.get(end..)?.split_once(':') {
        Some((name, port)) => {
            let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| &host[..end + name.len()])
        }
        None => Some(host),
    }
}

/// The one host name of a request; `None` where it has none or several.
pub(super) fn host(headers: &HeaderMap) -> Option<&str> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts.next()?.to_str().ok()?;
    hosts.next().is_none().then_some(host)
}

/// Whether a change was sent by a page of the same host. Browsers say so in `Origin`; those too old for it
/// in `Referer`. A request that has neither is refused.
pub(super) fn same_origin(headers: &HeaderMap) -> bool {
    let Some(host) = host(headers) else { return false };
    let word = |name: header::HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or(""));
    if headers.get("sec-fetch-site").is_some_and(|site| site != "same-origin" && site != "none") {
        return false;
    }
    let sent_by = match (word(header::ORIGIN), word(header::REFERER)) {
        (Some(origin), _) => origin,
        (None, Some(page)) => page,
        (None, None) => return false,
    };
    let rest = sent_by.strip_prefix("http://").or_else(|| sent_by.strip_prefix("https://"));
    rest.and_then(|rest| rest.split('/').next()).is_some_and(|from| from.eq_ignore_ascii_case(host))
}

/// Whether a proxy passed the request on, so that its sender is not on this machine though it looks so.
pub(super) fn passed_on(headers: &HeaderMap) -> bool {
    ["forwarded", "x-forwarded-for", "x-real-ip", "via"].iter().any(|name| headers.contains_key(*name))
}

/// Name of this machine; empty where the system does not say.
pub(super) fn machine() -> String {
    rustix::system::uname().nodename().to_str().unwrap_or("").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_nobody_else_can_point_here_are_taken() {
        for host in [
            "127.0.0.1",
            "127.0.0.1:8080",
            "192.168.1.7:80",
            "[::1]:8080",
            "[fe80::1]",
            "localhost:1",
            "LOCALHOST",
            "solarhub:8080",
            "Solarhub.local",
            "solarhub.local.:80",
        ] {
            assert!(own_host(host, "solarhub"), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:8080",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "notsolarhub.local",
            "",
            ":80",
            "[::1",
            "[evil]:80",
            "localhost:80:80",
            "localhost:x",
            ".local",
            "solarhub:",
        ] {
            assert!(!own_host(host, "solarhub"), "{host}");
        }
        assert!(!own_host("", ""), "a machine without a name has none");
        assert!(!own_host(".local", ""));
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn only_a_page_of_the_same_host_may_change_anything() {
        let host = ("host", "192.168.1.7:8080");
        for sent in [
            vec![("origin", "http://192.168.1.7:8080")],
            vec![("origin", "https://192.168.1.7:8080")],
            vec![("referer", "http://192.168.1.7:8080/keep?load=2")],
            vec![("origin", "http://192.168.1.7:8080"), ("sec-fetch-site", "same-origin")],
        ] {
            let all: Vec<_> = sent.iter().copied().chain([host]).collect();
            assert!(same_origin(&headers(&all)), "{all:?}");
        }
        for sent in [
            vec![],
            vec![("origin", "null")],
            vec![("origin", "http://evil.example")],
            vec![("origin", "http://192.168.1.7")],
            vec![("origin", "http://192.168.1.7:8080.evil.example")],
            vec![("origin", "http://evil.example"), ("referer", "http://192.168.1.7:8080/")],
            vec![("referer", "http://evil.example/http://192.168.1.7:8080/")],
            vec![("referer", "http://192.168.1.7:8080@evil.example/")],
            vec![("origin", "http://192.168.1.7:8080"), ("sec-fetch-site", "cross-site")],
        ] {
            let all: Vec<_> = sent.iter().copied().chain([host]).collect();
            assert!(!same_origin(&headers(&all)), "{all:?}");
        }
    }
}
