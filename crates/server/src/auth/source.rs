//! Where a request comes from: the address of whoever sent it, also behind
//! proxies.
//!
//! `X-Forwarded-For` is a list that each proxy adds to at its right end: the
//! address that it was called from. Whoever calls first may have written
//! anything to its left. So it is read from the right, and only for as long as
//! the one who wrote is a proxy that the operator trusts.

use std::{net::IpAddr, str::FromStr};

use axum::http::{HeaderMap, request::Parts};
use landfall_notify::egress::Cidr;

use crate::listen::Peer;

/// Entries of the header that are read, at the most.
const MOST: usize = 32;

/// The proxies before this server, whose word counts about whom they were
/// called by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<Cidr>);

/// A text that is no list of ranges of addresses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is no range of addresses, such as `10.0.0.0/8` or `192.0.2.7`")]
pub struct InvalidProxies {
    /// The entry that can't be read.
    pub given: String,
}

impl FromStr for TrustedProxies {
    type Err = InvalidProxies;

    /// Reads ranges and addresses, separated by commas.
    fn from_str(text: &str) -> Result<Self, InvalidProxies> {
        let entries = text.split(',').map(str::trim);
        let ranges = entries.filter(|entry| !entry.is_empty()).map(|entry| {
            Cidr::parse(entry).ok_or_else(|| InvalidProxies {
                given: entry.to_owned(),
            })
        });
        ranges.collect::<Result<_, _>>().map(Self)
    }
}

impl TrustedProxies {
    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|range| range.contains(address))
    }

    /// The address that a request with these headers comes from, if `peer` is
    /// the other end of its connection.
    fn source(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut source = peer.to_canonical();
        if !self.trusts(source) {
            return source;
        }
        let lists = headers.get_all("x-forwarded-for").iter().rev();
        let entries = lists.flat_map(|list| list.as_bytes().rsplit(|byte| *byte == b','));
        for entry in entries.take(MOST) {
            let Some(address) = address(entry) else {
                // What stands to the left of it is nobody's word.
                break;
            };
            source = address;
            if !self.trusts(source) {
                break;
            }
        }
        source
    }
}

/// The address of a request.
pub(super) fn source(proxies: &TrustedProxies, parts: &Parts) -> Option<IpAddr> {
    let peer = parts.extensions.get::<Peer>()?;
    Some(proxies.source(peer.address.ip(), &parts.headers))
}

/// One entry: an address, maybe with a port, an IPv6 address maybe in brackets.
fn address(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry).ok()?.trim();
    let address: Option<IpAddr> = text.parse().ok();
    let with_port = || text.parse::<std::net::SocketAddr>().ok();
    let in_brackets = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let address = address
        .or_else(|| with_port().map(|socket| socket.ip()))
        .or_else(in_brackets)?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(proxies: &str, peer: &str, lists: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for list in lists {
            headers.append("x-forwarded-for", list.parse().expect("a header"));
        }
        let proxies: TrustedProxies = proxies.parse().expect("ranges");
        let peer = peer.parse().expect("an address");
        proxies.source(peer, &headers).to_string()
    }

    #[test]
    fn nobody_is_believed_who_is_not_trusted() {
        assert_eq!(source("", "192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
        assert_eq!(
            source("10.0.0.0/8", "192.0.2.1", &["198.51.100.7"]),
            "192.0.2.1"
        );
    }

    #[test]
    fn the_list_is_read_from_the_right_up_to_the_first_who_is_not_trusted() {
        let proxies = "10.0.0.0/8, fd00::/8";
        for (lists, expected) in [
            (&["198.51.100.7"][..], "198.51.100.7"),
            // What the client wrote itself stands to the left.
            (&["1.1.1.1, 198.51.100.7"], "198.51.100.7"),
            (&["1.1.1.1", "198.51.100.7, 10.0.0.2"], "198.51.100.7"),
            (&["198.51.100.7:4000, fd00::1"], "198.51.100.7"),
            (&["[2001:db8::7]:4000, [fd00::1]"], "2001:db8::7"),
            (&["::ffff:198.51.100.7"], "198.51.100.7"),
            // All of them are trusted: the farthest one.
            (&["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            // An entry that is none ends what can be known.
            (&["198.51.100.7, unknown, 10.0.0.2"], "10.0.0.2"),
            (&["unknown"], "10.0.0.1"),
            (&[], "10.0.0.1"),
        ] {
            assert_eq!(source(proxies, "10.0.0.1", lists), expected, "{lists:?}");
        }
        assert_eq!(
            source(proxies, "::ffff:10.0.0.1", &["198.51.100.7"]),
            "198.51.100.7"
        );
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for wrong in ["proxy.internal", "10.0.0.0/33", "10.0.0.0/8 10.1.0.1"] {
            assert!(wrong.parse::<TrustedProxies>().is_err(), "{wrong} was read");
        }
    }
}
