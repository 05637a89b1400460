//! Which addresses a request may make the server call.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use puna_api::{Error, Result};

use crate::address::Origin;

/// Guards calls to URLs that a request can influence, so that a caller cannot use the server to reach what only the server can:
/// itself, the network that it stands in, the metadata service of its cloud.
///
/// Loopback, private, shared, link-local, multicast, reserved and metadata addresses are refused, unless the operator allows them.
/// The addresses that a name resolves to are what is checked, and what is then connected to, so a name that resolves differently the second
/// time gains nothing. URLs that come from the operator's configuration are trusted and do not pass here.
#[derive(Debug, Clone, Default)]
pub struct EgressPolicy {
    allowed: Vec<Rule>,
}

/// One entry of the allow list.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    host: HostRule,
    /// Any port where it is `None`.
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum HostRule {
    Name(String),
    Network(Network),
}

/// An address range in CIDR form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Network {
    address: IpAddr,
    prefix: u32,
}

impl EgressPolicy {
    /// A policy that also lets through what this list names: host names (`models.internal`), addresses (`127.0.0.1`, `[::1]`) or ranges
    /// (`10.1.0.0/16`), each optionally with a port (`127.0.0.1:8000`).
    pub fn allowing<'a>(entries: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let allowed = entries.into_iter().map(Rule::parse).collect::<Result<_>>()?;
        Ok(Self { allowed })
    }

    /// Whether the server may connect to these addresses of a host; the error says why not. All of them must pass.
    pub(crate) fn check(&self, origin: &Origin, addresses: &[SocketAddr]) -> Result<(), Refusal> {
        for address in addresses {
            let ip = address.ip();
            if let Some(kind) = forbidden(ip)
                && !self.allowed.iter().any(|rule| rule.admits(origin, ip))
            {
                return Err(Refusal { kind, address: ip });
            }
        }
        Ok(())
    }
}

/// Why an address is not called.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) kind: &'static str,
    /// Not for the client: it would tell a caller what names resolve to inside.
    pub(crate) address: IpAddr,
}

impl Rule {
    fn parse(entry: &str) -> Result<Self> {
        let problem = || {
            Error::configuration(format!(
                "`{entry}` is not a host, an address or a range such as `10.1.0.0/16`, optionally with a port"
            ))
        };
        if let Some(network) = Network::parse(entry) {
            return Ok(Self {
                host: HostRule::Network(network),
                port: None,
            });
        }
        let (host, port) = match entry.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().map_err(|_| problem())?)),
            None => (entry, None),
        };
        let unbracketed = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        if let Some(network) = Network::parse(unbracketed) {
            return Ok(Self {
                host: HostRule::Network(network),
                port,
            });
        }
        let is_name = !host.is_empty()
            && host
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
        if !is_name {
            return Err(problem());
        }
        Ok(Self {
            host: HostRule::Name(host.to_ascii_lowercase()),
            port,
        })
    }

    fn admits(&self, origin: &Origin, address: IpAddr) -> bool {
        self.port.is_none_or(|port| port == origin.port)
            && match &self.host {
                HostRule::Name(name) => *name == origin.host,
                HostRule::Network(network) => network.contains(address),
            }
    }
}

impl Network {
    /// Reads an address (a range of one) or a range.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address.parse::<IpAddr>().ok()?, Some(prefix.parse::<u32>().ok()?)),
            None => (text.parse::<IpAddr>().ok()?, None),
        };
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.unwrap_or(bits);
        (prefix <= bits).then_some(Self { address, prefix })
    }

    /// Whether the address lies in the range. An IPv4 address written as IPv6 is the same address.
    pub(crate) fn contains(self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let mask = u32::MAX.checked_shl(32 - self.prefix).unwrap_or(0);
                u32::from(own) & mask == u32::from(other) & mask
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let mask = u128::MAX.checked_shl(128 - self.prefix).unwrap_or(0);
                u128::from(own) & mask == u128::from(other) & mask
            }
            _ => false,
        }
    }
}

/// What kind of address this is, if a stranger must not choose it.
fn forbidden(address: IpAddr) -> Option<&'static str> {
    match address.to_canonical() {
        IpAddr::V4(address) => forbidden_v4(address),
        IpAddr::V6(address) => forbidden_v6(address),
    }
}

// Ranges of the IANA special-purpose address registries, and addresses that clouds give to their metadata services.
fn forbidden_v4(address: Ipv4Addr) -> Option<&'static str> {
    Some(match address.octets() {
        [127, ..] => "loopback",
        // "This host on this network"; connecting to 0.0.0.0 reaches the host itself.
        [0, ..] => "unspecified",
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => "private",
        [100, 64..=127, ..] => "shared",
        // Metadata and host agents of AWS, Google, Azure and others live in the first, Azure's wire server at the second.
        [169, 254, ..] => "link-local",
        [168, 63, 129, 16] => "metadata",
        [192, 0, 0, _] | [192, 88, 99, _] | [198, 18..=19, ..] => "reserved",
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => "documentation",
        [224..=239, ..] => "multicast",
        [240..=255, ..] => "reserved",
        _ => return None,
    })
}

fn forbidden_v6(address: Ipv6Addr) -> Option<&'static str> {
    let segments = address.segments();
    let embedded = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        forbidden_v4(Ipv4Addr::new(a, b, c, d))
    };
    Some(match segments {
        [0, 0, 0, 0, 0, 0, 0, 1] => "loopback",
        // The rest of ::/96 holds IPv4 addresses in a form long out of use.
        [0, 0, 0, 0, 0, 0, ..] => "unspecified",
        // NAT64 and 6to4 lead to the IPv4 address inside.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => return embedded(high, low),
        [0x64, 0xff9b, ..] | [0x100, 0, 0, 0, ..] => "reserved",
        [0x2001, 0..=0x1ff, ..] => "reserved",
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => "documentation",
        [0xfc00..=0xfdff, ..] => "private",
        [0xfe80..=0xfebf, ..] => "link-local",
        [0xfec0..=0xfeff, ..] => "private",
        [0xff00..=0xffff, ..] => "multicast",
        _ => return None,
    })
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is a {} address", self.address, self.kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(host: &str, port: u16) -> Origin {
        Origin {
            secure: false,
            host: host.to_owned(),
            port,
        }
    }

    fn checked(policy: &EgressPolicy, host: &str, address: &str, port: u16) -> bool {
        policy
            .check(&origin(host, port), &[SocketAddr::new(address.parse().unwrap(), port)])
            .is_ok()
    }

    #[test]
    fn addresses_inside_are_refused_in_every_spelling() {
        for address in [
            "127.0.0.1",
            "127.255.0.9",
            "0.0.0.0",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "100.100.100.200",
            "169.254.169.254",
            "168.63.129.16",
            "192.0.0.192",
            "198.18.0.1",
            "203.0.113.7",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2002:a00:1::1",
            "2001::1",
            "2001:db8::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!checked(&EgressPolicy::default(), "h", address, 80), "{address}");
        }
    }

    #[test]
    fn addresses_outside_pass() {
        for address in [
            "1.1.1.1",
            "172.32.0.1",
            "100.128.0.1",
            "8.8.8.8",
            "2606:4700::1111",
            "64:ff9b::808:808",
            "2002:808:808::1",
        ] {
            assert!(checked(&EgressPolicy::default(), "h", address, 80), "{address}");
        }
    }

    #[test]
    fn one_address_inside_is_enough_to_refuse() {
        let addresses = ["1.1.1.1:80".parse().unwrap(), "10.0.0.1:80".parse().unwrap()];
        let refusal = EgressPolicy::default().check(&origin("h", 80), &addresses).unwrap_err();
        assert_eq!(refusal.kind, "private");
    }

    #[test]
    fn the_operator_can_allow() {
        let policy = EgressPolicy::allowing([
            "127.0.0.1:8000",
            "10.1.0.0/16",
            "models.internal",
            "Gpu.Internal:81",
            "[fd00::1]:9",
        ])
        .unwrap();
        for (host, address, port, expected) in [
            ("h", "127.0.0.1", 8000, true),
            ("h", "127.0.0.1", 8001, false),
            ("h", "::ffff:127.0.0.1", 8000, true),
            ("h", "10.1.200.3", 80, true),
            ("h", "10.2.0.1", 80, false),
            ("models.internal", "192.168.0.4", 1, true),
            ("gpu.internal", "192.168.0.4", 81, true),
            ("gpu.internal", "192.168.0.4", 82, false),
            ("h", "fd00::1", 9, true),
            ("other.internal", "192.168.0.4", 1, false),
        ] {
            assert_eq!(
                checked(&policy, host, address, port),
                expected,
                "{host} {address} {port}"
            );
        }
        for entry in ["", "10.0.0.0/33", "a/b", "h:port", "h:70000", "[::1", "a b"] {
            assert!(EgressPolicy::allowing([entry]).is_err(), "{entry:?}");
        }
    }

    #[test]
    fn a_range_of_everything_holds_everything() {
        assert!(
            Network::parse("0.0.0.0/0")
                .unwrap()
                .contains("255.1.2.3".parse().unwrap())
        );
        assert!(Network::parse("::/0").unwrap().contains("fe80::1".parse().unwrap()));
        assert!(!Network::parse("::/0").unwrap().contains("1.2.3.4".parse().unwrap()));
    }
}
