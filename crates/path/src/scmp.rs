//! What routers report about a path.

use std::fmt;

use crate::{Interface, IsdAs};

/// An SCMP error that quoted a packet of ours.
///
/// Routers sign nothing, so the manager takes it as a reason to ask the path, never as the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scmp {
    /// The link behind this interface is down.
    ExternalInterfaceDown(Interface),
    /// An AS cannot forward between two of its interfaces.
    InternalConnectivityDown {
        /// The AS that reports it.
        isd_as: IsdAs,
        /// Where the packet entered.
        ingress: u16,
        /// Where it should have left.
        egress: u16,
    },
    /// A hop field has expired.
    PathExpired,
    /// Any other error.
    Other {
        /// SCMP type.
        kind: u8,
        /// SCMP code.
        code: u8,
    },
}

impl fmt::Display for Scmp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scmp::ExternalInterfaceDown(interface) => write!(f, "interface {interface} is down"),
            Scmp::InternalConnectivityDown { isd_as, ingress, egress } => {
                write!(f, "{isd_as} cannot forward from #{ingress} to #{egress}")
            }
            Scmp::PathExpired => f.write_str("the path has expired"),
            Scmp::Other { kind, code } => write!(f, "SCMP type {kind} code {code}"),
        }
    }
}
