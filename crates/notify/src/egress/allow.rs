//! What the operator allows besides the public Internet.

use std::{net::IpAddr, str::FromStr};

use super::addresses::{self, Cidr};

/// Addresses and hosts that requests may go to although they are private.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowList {
    ranges: Vec<Cidr>,
    hosts: Vec<String>,
}

/// A text that is no list of ranges and hosts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is neither a range of addresses, such as `10.0.0.0/8`, nor a host")]
pub struct InvalidAllowList {
    /// The entry that can't be read.
    pub given: String,
}

impl FromStr for AllowList {
    type Err = InvalidAllowList;

    /// Reads ranges, addresses and hosts, separated by commas.
    fn from_str(text: &str) -> Result<Self, InvalidAllowList> {
        let mut list = Self::default();
        let entries = text.split(',').map(str::trim);
        for entry in entries.filter(|entry| !entry.is_empty()) {
            if let Some(range) = Cidr::parse(entry) {
                list.ranges.push(range);
            } else if is_host(entry) {
                list.hosts.push(normal(entry));
            } else {
                return Err(InvalidAllowList {
                    given: entry.to_owned(),
                });
            }
        }
        Ok(list)
    }
}

impl AllowList {
    /// Whether a request to the host may go to this address of it.
    pub fn allows(&self, host: &str, address: IpAddr) -> bool {
        addresses::is_public(address)
            || self.ranges.iter().any(|range| range.contains(address))
            || self.hosts.contains(&normal(host))
    }
}

fn is_host(text: &str) -> bool {
    let letters = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    // What ends with a number is an address that is written wrongly.
    let last = text.rsplit('.').next().unwrap_or_default();
    text.split('.').all(letters) && !last.bytes().all(|byte| byte.is_ascii_digit())
}

fn normal(host: &str) -> String {
    host.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_hosts_are_allowed_and_nothing_else() {
        let list: AllowList = "10.0.0.0/8, Hooks.Internal,fd00::/8,"
            .parse()
            .expect("list");
        let allows =
            |host: &str, address: &str| list.allows(host, address.parse().expect("an address"));
        assert!(allows("a.example", "10.9.9.9") && allows("a.example", "fd00::1"));
        assert!(allows("hooks.internal", "192.168.0.1"));
        assert!(allows("hooks.internal.", "192.168.0.1"));
        assert!(allows("a.example", "1.1.1.1"));
        assert!(!allows("a.example", "192.168.0.1"));
        assert!(!allows("more.hooks.internal", "192.168.0.1"));
    }

    #[test]
    fn what_is_neither_a_range_nor_a_host_is_refused() {
        for wrong in ["10.0.0.0/99", "10.0.0.256", "a..b", "http://host", "*.host"] {
            assert!(wrong.parse::<AllowList>().is_err(), "{wrong} was read");
        }
    }
}
