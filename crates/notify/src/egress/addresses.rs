//! Which addresses belong to the outside.
//!
//! The registries of special-purpose addresses (RFC 6890 and what updates it)
//! say which ranges are not the public Internet. Of IPv6 only global unicast
//! (`2000::/3`) is public at all, less some parts of it. Where an IPv6 address
//! carries an IPv4 address (mapped, NAT64, 6to4), that one decides: a gateway
//! on the way would go there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A range of addresses: a prefix and its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    network: IpAddr,
    length: u32,
}

impl Cidr {
    /// Reads `10.0.0.0/8`, `fd00::/8` or one address; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let network: IpAddr = address.parse().ok()?;
        let longest = if network.is_ipv4() { 32 } else { 128 };
        let length = match length {
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().ok()?,
            Some(_) => return None,
            None => longest,
        };
        (length <= longest).then_some(Self { network, length })
    }

    /// Whether the address lies in the range. A mapped address is the IPv4
    /// address that it carries.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.network, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let shift = 32 - self.length;
                let prefix = |address: Ipv4Addr| u32::from(address).checked_shr(shift);
                prefix(network) == prefix(address)
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let shift = 128 - self.length;
                let prefix = |address: Ipv6Addr| u128::from(address).checked_shr(shift);
                prefix(network) == prefix(address)
            }
            _ => false,
        }
    }
}

/// Ranges of IPv4 that are not the public Internet.
const RESERVED_V4: [(Ipv4Addr, u32); 18] = [
    (Ipv4Addr::UNSPECIFIED, 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    // Between a provider and its customers; clouds keep services here too.
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    // A cloud's own services, under an address that looks public.
    (Ipv4Addr::new(168, 63, 129, 16), 32),
    // Link-local: the metadata services of most clouds.
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 31, 196, 0), 24),
    (Ipv4Addr::new(192, 52, 193, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(192, 175, 48, 0), 24),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    // Multicast, reserved, broadcast.
    (Ipv4Addr::new(224, 0, 0, 0), 3),
];

/// Parts of global unicast that are not the public Internet.
const RESERVED_V6: [(Ipv6Addr, u32); 3] = [
    // Protocol assignments, Teredo among them.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

/// Whether the address is one of the public Internet.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => match carried(address) {
            Some(carried) => is_public_v4(carried),
            None => is_public_v6(address),
        },
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let within = |(network, length): &(Ipv4Addr, u32)| {
        let range = Cidr {
            network: IpAddr::V4(*network),
            length: *length,
        };
        range.contains(IpAddr::V4(address))
    };
    !RESERVED_V4.iter().any(within)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let within = |(network, length): &(Ipv6Addr, u32)| {
        let range = Cidr {
            network: IpAddr::V6(*network),
            length: *length,
        };
        range.contains(IpAddr::V6(address))
    };
    let is_global_unicast = address.segments()[0] & 0xe000 == 0x2000;
    is_global_unicast && !RESERVED_V6.iter().any(within)
}

/// The IPv4 address that an IPv6 address stands for.
fn carried(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let of = |high: u16, low: u16| Some(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)));
    match address.segments() {
        // Mapped (RFC 4291), translated (RFC 2765), NAT64 (RFC 6052), and 6to4
        // (RFC 3056), which carries it in front.
        [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => of(high, low),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public(text: &str) -> bool {
        is_public(text.parse().expect("an address"))
    }

    #[test]
    fn what_is_not_the_public_internet_is_known() {
        for reserved in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.255.255.254",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.168.1.1",
            "198.19.0.1",
            "224.0.0.1",
            "239.255.255.255",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:0:10.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:c0a8:101::1",
            "3fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!public(reserved), "{reserved} is taken for public");
        }
    }

    #[test]
    fn the_public_internet_is_public() {
        for outside in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450::1",
            "64:ff9b::1.1.1.1",
            "::ffff:8.8.8.8",
            "2002:808:808::1",
        ] {
            assert!(public(outside), "{outside} is taken for private");
        }
    }

    #[test]
    fn a_range_is_a_prefix() {
        let range = Cidr::parse("10.2.0.0/15").expect("a range");
        let contains = |text: &str| range.contains(text.parse().expect("an address"));
        assert!(contains("10.3.255.255") && contains("::ffff:10.2.0.1"));
        assert!(!contains("10.4.0.0") && !contains("fd00::1"));
        let all = Cidr::parse("::/0").expect("a range");
        assert!(all.contains("fe80::1".parse().expect("an address")));
        assert!(!all.contains("10.0.0.1".parse().expect("an address")));
        let one = Cidr::parse("fd00::1").expect("an address");
        assert!(!one.contains("fd00::2".parse().expect("an address")));
        for wrong in ["", "10.0.0.0/33", "::/129", "10.0.0.0/+8", "host", "10.0/8"] {
            assert_eq!(Cidr::parse(wrong), None, "{wrong}");
        }
    }
}
