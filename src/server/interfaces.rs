//! The addresses of this machine, as the kernel tells them over netlink (rtnetlink(7)).

use std::io::{self, Read, Write};
use std::net::IpAddr;

use socket2::{Domain, Protocol, Socket, Type};

const AF_NETLINK: i32 = 16;
const NETLINK_ROUTE: i32 = 0;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
/// A request for all there are.
const REQUEST_DUMP: u16 = 0x301;
const IFA_ADDRESS: u16 = 1;
/// Where an interface leads to one peer only, `IFA_ADDRESS` is the peer's.
const IFA_LOCAL: u16 = 2;
/// Lengths of the headers of a message, and of what it says of an address.
const HEADER: usize = 16;
const ADDRESS_HEADER: usize = 8;

/// All addresses, by interface.
///
/// # Errors
///
/// When the kernel does not tell.
pub(super) fn addresses() -> io::Result<Vec<IpAddr>> {
    let socket = Socket::new(Domain::from(AF_NETLINK), Type::RAW, Some(Protocol::from(NETLINK_ROUTE)))?;
    let mut request = Vec::with_capacity(HEADER + ADDRESS_HEADER);
    request.extend(((HEADER + ADDRESS_HEADER) as u32).to_ne_bytes());
    request.extend(RTM_GETADDR.to_ne_bytes());
    request.extend(REQUEST_DUMP.to_ne_bytes());
    request.resize(HEADER + ADDRESS_HEADER, 0);
    (&socket).write_all(&request)?;
    let mut found = Vec::new();
    let mut buffer = vec![0; 32 * 1024];
    loop {
        let len = (&socket).read(&mut buffer)?;
        if read_messages(&buffer[..len], &mut found)? {
            break;
        }
    }
    found.sort_by_key(|(interface, _)| *interface);
    Ok(found.into_iter().map(|(_, address)| address).collect())
}

/// Adds the addresses of an answer to `found`, each with the number of its interface. Returns whether it was the last.
fn read_messages(mut answer: &[u8], found: &mut Vec<(u32, IpAddr)>) -> io::Result<bool> {
    let broken = || io::Error::new(io::ErrorKind::InvalidData, "the kernel's list of addresses makes no sense");
    while !answer.is_empty() {
        let len = u32_at(answer, 0).ok_or_else(broken)? as usize;
        let kind = u16_at(answer, 4).ok_or_else(broken)?;
        let message = answer.get(HEADER..len).ok_or_else(broken)?;
        match kind {
            NLMSG_DONE => return Ok(true),
            NLMSG_ERROR => return Err(broken()),
            RTM_NEWADDR => found.extend(read_address(message)),
            _ => {}
        }
        answer = answer.get(len.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

fn read_address(message: &[u8]) -> Option<(u32, IpAddr)> {
    let interface = u32_at(message, 4)?;
    let mut attributes = message.get(ADDRESS_HEADER..)?;
    let (mut address, mut local) = (None, None);
    while let Some(len) = u16_at(attributes, 0).map(usize::from).filter(|len| *len >= 4) {
        let value = attributes.get(4..len)?;
        match u16_at(attributes, 2)? {
            IFA_ADDRESS => address = ip(value),
            IFA_LOCAL => local = ip(value),
            _ => {}
        }
        attributes = attributes.get(len.next_multiple_of(4)..).unwrap_or_default();
    }
    Some((interface, local.or(address)?))
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from);
    v4.or_else(|| <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_interface_has_its_address() {
        let addresses = addresses().expect("the kernel tells");
        assert!(addresses.contains(&IpAddr::from([127, 0, 0, 1])), "{addresses:?}");
    }

    #[test]
    fn nonsense_is_an_error_and_no_panic() {
        let mut found = Vec::new();
        for len in [0u32, 3, 15, 17, u32::MAX] {
            let mut message = len.to_ne_bytes().to_vec();
            message.extend(RTM_NEWADDR.to_ne_bytes());
            message.resize(16, 0);
            assert!(read_messages(&message, &mut found).is_err(), "{len}");
        }
        assert_eq!(read_address(&[0, 0, 0, 0, 1, 0, 0, 0, 200, 0, 1, 0, 127]), None);
        assert!(found.is_empty());
    }
}
