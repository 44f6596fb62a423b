//! Whose request it is, by address. Forwarded headers count from the owner's own proxies only.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::http::header::{HeaderMap, HeaderName};
use ipnet::IpNet;

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static FORWARDED: HeaderName = HeaderName::from_static("forwarded");

/// Which peers are proxies of the owner's, and whether a stranger's header was mentioned yet.
pub(super) struct TrustedProxies {
    networks: Vec<IpNet>,
    mentioned: AtomicBool,
}

impl TrustedProxies {
    pub(super) fn new(networks: Vec<IpNet>) -> Self {
        Self { networks, mentioned: AtomicBool::new(false) }
    }

    fn contain(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&address))
    }

    /// The address of the client behind `peer`. A unix socket's peer has none and counts as 127.0.0.1,
    /// so that a proxy that comes through one is trusted by trusting that.
    ///
    /// The list in X-Forwarded-For is read from the right: each proxy adds the peer it saw, so what is
    /// left of the first address that is no trusted proxy is whatever the client wrote.
    pub(super) fn client_address(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> IpAddr {
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |peer| peer.to_canonical());
        if !headers.contains_key(&X_FORWARDED_FOR) {
            // RFC 7239's own header is not read: no proxy needs it, and reading two invites disagreement.
            if headers.contains_key(&FORWARDED) {
                self.mention();
            }
            return peer;
        }
        if !self.contain(peer) {
            self.mention();
            return peer;
        }
        let lines: Vec<_> = headers.get_all(&X_FORWARDED_FOR).collect();
        let mut client = peer;
        for line in lines.into_iter().rev() {
            for entry in line.as_bytes().rsplit(|byte| *byte == b',') {
                let Some(address) = parse(entry) else { return client };
                client = address;
                if !self.contain(address) {
                    return client;
                }
            }
        }
        client
    }

    fn mention(&self) {
        if !self.mentioned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "a request from outside `server.trusted_proxies` has a forwarded header, which is ignored; if a \
                 proxy stands in front of locum, list its network there: until then all visitors share one rate \
                 limit (said once)"
            );
        }
    }
}

/// An address with or without a port.
fn parse(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry).ok()?.trim();
    let bare = text.strip_prefix('[').and_then(|rest| rest.split_once(']')).map_or(text, |(inner, _)| inner);
    bare.parse()
        .ok()
        .or_else(|| text.parse::<std::net::SocketAddr>().ok().map(|address| address.ip()))
        .map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    fn seen(trusted: &[&str], peer: Option<&str>, lines: &[&[u8]]) -> String {
        let networks = trusted.iter().map(|network| network.parse().expect("a network")).collect();
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(X_FORWARDED_FOR.clone(), HeaderValue::from_bytes(line).expect("a value"));
        }
        let peer = peer.map(|peer| peer.parse().expect("an address"));
        TrustedProxies::new(networks).client_address(peer, &headers).to_string()
    }

    #[test]
    fn strangers_cannot_choose_their_address() {
        let outside = Some("203.0.113.9");
        for lines in [&[][..], &[&b"1.2.3.4"[..]], &[b"127.0.0.1"], &[b"10.0.0.1, 10.0.0.2"]] {
            assert_eq!(seen(&["10.0.0.0/8"], outside, lines), "203.0.113.9");
            assert_eq!(seen(&[], outside, lines), "203.0.113.9");
        }
        // Even loopback is a stranger unless it is listed.
        assert_eq!(seen(&[], Some("127.0.0.1"), &[b"1.2.3.4"]), "127.0.0.1");
    }

    #[test]
    fn behind_proxies_the_last_stranger_counts() {
        let proxies = &["10.0.0.0/8", "fd00::/8", "127.0.0.1/32"];
        for (peer, lines, expected) in [
            (Some("10.0.0.1"), &[&b"203.0.113.9"[..]][..], "203.0.113.9"),
            (Some("10.0.0.1"), &[b"1.2.3.4, 203.0.113.9"], "203.0.113.9"),
            (Some("10.0.0.1"), &[b"1.2.3.4", b"203.0.113.9, 10.9.9.9"], "203.0.113.9"),
            (Some("10.0.0.1"), &[b"10.9.9.9"], "10.9.9.9"),
            (Some("10.0.0.1"), &[b"[2001:db8::1]:443"], "2001:db8::1"),
            (Some("10.0.0.1"), &[b"203.0.113.9:51234"], "203.0.113.9"),
            (Some("::ffff:10.0.0.1"), &[b"::ffff:203.0.113.9"], "203.0.113.9"),
            (Some("fd00::1"), &[b" 203.0.113.9\t"], "203.0.113.9"),
            (None, &[b"203.0.113.9"], "203.0.113.9"),
            // What is no address ends the walk at what is known to be true.
            (Some("10.0.0.1"), &[b"203.0.113.9, unknown"], "10.0.0.1"),
            (Some("10.0.0.1"), &[b"203.0.113.9,"], "10.0.0.1"),
            (Some("10.0.0.1"), &[b""], "10.0.0.1"),
            (Some("10.0.0.1"), &[b"203.0.113.9, \xff\xfe"], "10.0.0.1"),
            (Some("10.0.0.1"), &[b"203.0.113.9", b"evil\"<"], "10.0.0.1"),
        ] {
            assert_eq!(seen(proxies, peer, lines), expected, "{peer:?} {lines:?}");
        }
    }
}
