//! What the manager tells the driver: switches and changes of state, each with its reason in words.

use std::fmt;
use std::time::{Duration, Instant};

use crate::{Fingerprint, Metric, Scmp};

/// A path of one manager, from the first lookup that listed it until it is removed. Never reused. Prints as `#3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathId(pub u32);

impl fmt::Display for PathId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// A request to ask a path whether it lives. The driver sends it at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The path to send it on.
    pub path: PathId,
    /// To be returned by the peer; hand it to [`handle_probe_reply`](crate::Manager::handle_probe_reply).
    pub token: u64,
    /// Pad the probe's datagram to this many bytes of payload, or to the most that the path carries if that is less.
    pub size: u16,
    /// Tell the peer along with it that nothing has answered our data; it goes to
    /// [`handle_peer_deaf`](crate::Manager::handle_peer_deaf) there.
    pub unanswered: bool,
}

/// Something that happened to a path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Event {
    /// When.
    pub at: Instant,
    /// What.
    pub kind: EventKind,
}

/// What happened. `Display` gives the text for the log.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum EventKind {
    /// Traffic moves: send over `to` from now on.
    Switch {
        /// The path that carried the traffic; `None` for the first choice.
        from: Option<PathId>,
        /// The path that carries it now.
        to: PathId,
        /// Why.
        reason: Reason,
        /// How long nothing had come back over `from`; zero for the first choice.
        silent_for: Duration,
    },
    /// A lookup listed a path not known before.
    Added {
        /// Its new id.
        path: PathId,
        /// Its identity.
        fingerprint: Fingerprint,
    },
    /// The path has expired, or lookups no longer list it.
    Removed {
        /// The path.
        path: PathId,
    },
    /// The path answers: for the first time, after a suspicion, or at the end of its probation.
    Up {
        /// The path.
        path: PathId,
    },
    /// The path may have failed and is being asked.
    Suspect {
        /// The path.
        path: PathId,
        /// Why.
        reason: Reason,
    },
    /// The path does not answer while others do.
    Down {
        /// The path.
        path: PathId,
        /// Why.
        reason: Reason,
    },
    /// A dead path answers again and has to prove itself for at least this long.
    Probation {
        /// The path.
        path: PathId,
        /// How long.
        lasts: Duration,
    },
    /// It was searched how large packets may be, after large ones were lost or to see whether they still are.
    Mtu {
        /// The path.
        path: PathId,
        /// The largest SCION packet that passes, bytes.
        mtu: u16,
        /// The largest one that should, if that is known; not more than `mtu` if there is no hole any more.
        announced: Option<u16>,
    },
    /// No path answers. Traffic stays where it is, every path is being asked. What ends it is `Up` of the active path,
    /// a switch to one that answers, or `Unprobeable`.
    NoPath {
        /// How long nothing has come back over the active path.
        silent_for: Duration,
    },
    /// Lookups list so many paths, and the operator's rules exclude every one of them.
    NoneAllowed {
        /// How many, at most 128.
        paths: usize,
    },
    /// The peer sends traffic but answers no probe on any path: from now on silence alone tells that a path failed.
    Unprobeable,
    /// The peer answers probes again.
    Probeable,
}

/// Why traffic moved or a path changed its state.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reason {
    /// The best of the paths by what is known at the start.
    FirstChoice,
    /// The path had not answered yet while this one had.
    Unproven,
    /// Data was sent and nothing came back for this long.
    Silence(Duration),
    /// So many probes in a row were not answered.
    ProbesLost(u32),
    /// Packets up to this many bytes are lost while smaller ones pass.
    LargePacketsLost(u16),
    /// A router reported an error.
    Scmp(Scmp),
    /// The local send failed.
    SendError,
    /// The peer sends over another path, and does not answer over this one.
    PeerMoved,
    /// The peer says that nothing answers its data, and does not answer over this path.
    PeerDeaf,
    /// Better by this metric, for as long as the hold time.
    Better(Metric),
    /// The former path loses so many percent of its packets.
    Lossy(u8),
    /// It breaks fewer of the operator's limits.
    WithinLimits,
    /// Other lanes use less of it.
    Apart,
    /// The operator's rules exclude the former path now.
    Excluded,
    /// SCION works again, TCP/IP was the fallback.
    ScionBack,
    /// UDP over plain IP works again, TCP/IP was the fallback.
    IpBack,
    /// The path is about to expire.
    Expiring,
    /// Lookups no longer list the path.
    Withdrawn,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::FirstChoice => f.write_str("first choice"),
            Reason::Unproven => f.write_str("the former path had not answered yet"),
            Reason::Silence(waited) => write!(f, "no answer to data for {}", Millis(*waited)),
            Reason::ProbesLost(1) => f.write_str("a probe was not answered"),
            Reason::ProbesLost(n) => write!(f, "{n} probes in a row were not answered"),
            Reason::LargePacketsLost(size) => write!(f, "packets of {size} bytes are lost while smaller ones pass"),
            Reason::Scmp(scmp) => write!(f, "a router says: {scmp}"),
            Reason::SendError => f.write_str("the local send failed"),
            Reason::PeerMoved => f.write_str("the peer sends over another path"),
            Reason::PeerDeaf => f.write_str("the peer hears nothing"),
            Reason::Better(metric) => write!(f, "better {metric}"),
            Reason::Lossy(percent) => write!(f, "the former path loses {percent} % of its packets"),
            Reason::WithinLimits => f.write_str("breaks fewer limits"),
            Reason::Excluded => f.write_str("a rule excludes the former path"),
            Reason::Apart => f.write_str("further apart from other lanes"),
            Reason::ScionBack => f.write_str("SCION is back"),
            Reason::IpBack => f.write_str("UDP/IP is back"),
            Reason::Expiring => f.write_str("the former path expires"),
            Reason::Withdrawn => f.write_str("the former path is no longer offered"),
        }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EventKind::Switch { from: None, to, reason, .. } => write!(f, "traffic starts on path {to}: {reason}"),
            EventKind::Switch { from: Some(from), to, reason, silent_for } => {
                write!(f, "traffic moves from path {from} to {to}: {reason} (silent for {})", Millis(*silent_for))
            }
            EventKind::Added { path, fingerprint } => write!(f, "path {path} added ({fingerprint})"),
            EventKind::Removed { path } => write!(f, "path {path} removed"),
            EventKind::Up { path } => write!(f, "path {path} is up"),
            EventKind::Suspect { path, reason } => write!(f, "path {path} is suspect: {reason}"),
            EventKind::Down { path, reason } => write!(f, "path {path} is down: {reason}"),
            EventKind::Probation { path, lasts } => {
                write!(f, "path {path} answers again: on probation for {}", Millis(*lasts))
            }
            EventKind::Mtu { path, mtu, announced: Some(announced) } if mtu >= announced => {
                write!(f, "path {path} carries packets of {announced} bytes again, as announced")
            }
            EventKind::Mtu { path, mtu, announced: Some(announced) } => {
                write!(f, "path {path} carries packets of up to {mtu} bytes, not of {announced} as announced")
            }
            EventKind::Mtu { path, mtu, announced: None } => {
                write!(f, "path {path} carries packets of up to {mtu} bytes")
            }
            EventKind::NoPath { silent_for } => {
                write!(f, "no path answers (silent for {}); still trying all", Millis(*silent_for))
            }
            EventKind::NoneAllowed { paths: 1 } => f.write_str("the rules for paths exclude the only path there is"),
            EventKind::NoneAllowed { paths } => {
                write!(f, "the rules for paths exclude all {paths} paths that there are")
            }
            EventKind::Unprobeable => {
                f.write_str("the peer answers no probes; a failed path is recognised by silence alone")
            }
            EventKind::Probeable => f.write_str("the peer answers probes"),
        }
    }
}

/// A duration in milliseconds with one digit, as logs and screens show it.
pub(crate) struct Millis(pub(crate) Duration);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} ms", self.0.as_secs_f64() * 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Interface, IsdAs};

    #[test]
    fn the_log_says_what_happened_and_why() {
        let (path, to) = (PathId(3), PathId(5));
        let silent_for = Duration::from_micros(84_250);
        let interface = Interface { isd_as: IsdAs(0x0001_ff00_0000_0110), id: 7 };
        let mut lines = vec![
            EventKind::Added { path, fingerprint: Fingerprint::TCP }.to_string(),
            EventKind::Switch { from: None, to, reason: Reason::FirstChoice, silent_for: Duration::ZERO }.to_string(),
            EventKind::Up { path }.to_string(),
            EventKind::Probation { path, lasts: Duration::from_secs(2) }.to_string(),
            EventKind::NoPath { silent_for }.to_string(),
            EventKind::NoneAllowed { paths: 1 }.to_string(),
            EventKind::NoneAllowed { paths: 7 }.to_string(),
            EventKind::Unprobeable.to_string(),
            EventKind::Probeable.to_string(),
            EventKind::Removed { path }.to_string(),
        ];
        let reasons = [
            Reason::Silence(silent_for),
            Reason::ProbesLost(1),
            Reason::ProbesLost(3),
            Reason::LargePacketsLost(1300),
            Reason::Scmp(Scmp::ExternalInterfaceDown(interface)),
            Reason::Scmp(Scmp::InternalConnectivityDown { isd_as: interface.isd_as, ingress: 7, egress: 8 }),
            Reason::Scmp(Scmp::PathExpired),
            Reason::Scmp(Scmp::Other { kind: 2, code: 0 }),
            Reason::SendError,
        ];
        lines.extend(reasons.map(|reason| EventKind::Suspect { path, reason }.to_string()));
        lines.push(EventKind::Down { path, reason: Reason::Silence(silent_for) }.to_string());
        let switches = [
            Reason::Unproven,
            Reason::PeerMoved,
            Reason::PeerDeaf,
            Reason::Better(Metric::Latency),
            Reason::Lossy(30),
            Reason::WithinLimits,
            Reason::Apart,
            Reason::Excluded,
            Reason::ScionBack,
            Reason::Expiring,
            Reason::Withdrawn,
        ];
        lines.extend(switches.map(|reason| EventKind::Switch { from: Some(path), to, reason, silent_for }.to_string()));
        insta::assert_snapshot!(lines.join("\n"));
    }
}
