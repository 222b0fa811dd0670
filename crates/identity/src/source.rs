//! Where a request comes from, as far as it counts who is who.

use std::net::{IpAddr, Ipv6Addr};

/// The part of an address that one party has. An IPv6 host has a whole /64, so
/// that is one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Network(Option<IpAddr>);

impl Network {
    /// The network of an address. All whose address is not known are one.
    pub(crate) fn of(source: Option<IpAddr>) -> Self {
        Self(source.map(|address| match address.to_canonical() {
            IpAddr::V6(address) => {
                let prefix = address.to_bits() & !u128::from(u64::MAX);
                Ipv6Addr::from_bits(prefix).into()
            }
            address @ IpAddr::V4(_) => address,
        }))
    }

    /// The address that stands for it.
    pub(crate) fn address(self) -> Option<IpAddr> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_with_many_addresses_is_one_source() {
        let of = |text: &str| Network::of(Some(text.parse().expect(text)));
        assert_eq!(of("2001:db8:1:2::3"), of("2001:db8:1:2:ffff::1"));
        assert_ne!(of("2001:db8:1:2::3"), of("2001:db8:1:3::3"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_ne!(of("192.0.2.1"), Network::of(None));
    }
}
