//! SCION addresses as operators write them.

use std::fmt;
use std::net::IpAddr;
use std::num::IntErrorKind;
use std::str::FromStr;

/// An ISD and AS number, `18-ffaa:1:10bf`: 16 bit ISD above 48 bit AS.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IsdAs(pub u64);

impl IsdAs {
    /// The isolation domain.
    pub fn isd(self) -> u16 {
        (self.0 >> 48) as u16
    }

    /// The AS number, 48 bits.
    pub fn asn(self) -> u64 {
        self.0 & 0xffff_ffff_ffff
    }
}

impl fmt::Display for IsdAs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let asn = self.asn();
        if asn <= u64::from(u32::MAX) {
            write!(f, "{}-{asn}", self.isd())
        } else {
            write!(f, "{}-{:x}:{:x}:{:x}", self.isd(), asn >> 32, asn >> 16 & 0xffff, asn & 0xffff)
        }
    }
}

impl fmt::Debug for IsdAs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for IsdAs {
    type Err = AddrError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = |what| AddrError { text: text.to_owned(), what };
        let (isd, asn) = text.split_once('-').ok_or_else(|| bad("an ISD-AS looks like 18-ffaa:1:10bf"))?;
        let isd: u16 = isd.parse().map_err(|_| bad("the ISD before '-' must be a number from 0 to 65535"))?;
        let groups: Vec<_> = asn.split(':').collect();
        let asn = match groups[..] {
            [decimal] => match decimal.parse::<u32>() {
                Ok(n) => u64::from(n),
                Err(e) if *e.kind() == IntErrorKind::PosOverflow => {
                    return Err(bad("a decimal AS number ends at 4294967295; write larger ones as ffaa:1:10bf"));
                }
                Err(_) => return Err(bad("the AS after '-' looks like ffaa:1:10bf or 64512")),
            },
            [a, b, c] => [a, b, c].iter().try_fold(0u64, |n, group| match u16::from_str_radix(group, 16) {
                Ok(g) if group.len() <= 4 && !group.starts_with('+') => Ok(n << 16 | u64::from(g)),
                _ => Err(bad("each of the three groups of an AS is 1 to 4 hexadecimal digits")),
            })?,
            _ => return Err(bad("the AS after '-' has three groups, as in ffaa:1:10bf")),
        };
        Ok(Self(u64::from(isd) << 48 | asn))
    }
}

/// A SCION host and port.
///
/// Parses `18-ffaa:1:10bf,127.0.0.1:4248`, `[18-ffaa:1:10bf,127.0.0.1]:4248` and `18-ffaa:1:10bf,[::1]:4248`;
/// prints the second form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScionAddr {
    /// The AS.
    pub isd_as: IsdAs,
    /// The host inside the AS.
    pub host: IpAddr,
    /// The UDP port.
    pub port: u16,
}

/// Why an address was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a SCION address: {what}")]
pub struct AddrError {
    text: String,
    what: &'static str,
}

impl fmt::Display for ScionAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{},{}]:{}", self.isd_as, self.host, self.port)
    }
}

impl FromStr for ScionAddr {
    type Err = AddrError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = |what| AddrError { text: text.to_owned(), what };
        let (inner, port) =
            text.rsplit_once(':').ok_or_else(|| bad("the port is missing, as in [18-ffaa:1:10bf,127.0.0.1]:4248"))?;
        let port: u16 =
            port.parse().map_err(|_| bad("the port after the last ':' must be a number from 0 to 65535"))?;
        let inner = match inner.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']').ok_or_else(|| bad("'[' has no ']' before the port"))?,
            None => inner,
        };
        let (isd_as, host) =
            inner.split_once(',').ok_or_else(|| bad("there is no ',' between the ISD-AS and the host"))?;
        let isd_as = isd_as.parse().map_err(|e: AddrError| bad(e.what))?;
        let host = match host.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']').ok_or_else(|| bad("'[' before the host has no ']'"))?,
            None => host,
        };
        let host = host.parse().map_err(|_| bad("the host after ',' must be an IPv4 or IPv6 address"))?;
        Ok(Self { isd_as, host, port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_written_form_means_the_same() {
        let want = ScionAddr { isd_as: IsdAs(0x0012_ffaa_0001_10bf), host: IpAddr::from([127, 0, 0, 1]), port: 4248 };
        for form in
            ["18-ffaa:1:10bf,127.0.0.1:4248", "[18-ffaa:1:10bf,127.0.0.1]:4248", "18-ffaa:1:10bf,[127.0.0.1]:4248"]
        {
            assert_eq!(form.parse(), Ok(want), "{form}");
        }
    }

    #[test]
    fn ipv6_hosts() {
        for form in ["1-ff00:0:110,[fd00::1]:4248", "[1-ff00:0:110,fd00::1]:4248"] {
            let addr: ScionAddr = form.parse().expect(form);
            assert_eq!(addr.to_string(), "[1-ff00:0:110,fd00::1]:4248");
        }
    }

    #[test]
    fn decimal_as_numbers() {
        let ia: IsdAs = "1-64512".parse().expect("BGP AS");
        assert_eq!((ia.isd(), ia.asn(), ia.to_string().as_str()), (1, 64512, "1-64512"));
    }

    #[test]
    fn the_error_says_what_is_wrong() {
        let text = |s: &str| s.parse::<ScionAddr>().expect_err(s).to_string();
        insta::assert_snapshot!(
            [
                "127.0.0.1",
                "127.0.0.1:4248",
                "18-ffaa:1,127.0.0.1:1",
                "x-ffaa:1:1,127.0.0.1:1",
                "18-ffaa:1:zzzz,127.0.0.1:1",
                "18-ffaa:1:1,host:1",
                "18-ffaa:1:1,127.0.0.1:70000",
                "[18-ffaa:1:1,127.0.0.1:4248",
                "1-99999999999,127.0.0.1:1"
            ]
            .map(text)
            .join("\n")
        );
    }

    proptest! {
        #[test]
        fn printed_addresses_parse_to_themselves(ia: u64, host: IpAddr, port: u16) {
            let addr = ScionAddr { isd_as: IsdAs(ia), host, port };
            prop_assert_eq!(addr.to_string().parse(), Ok(addr));
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = text.parse::<ScionAddr>();
        }
    }
}
