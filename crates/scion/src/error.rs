//! Why an operation of the SCION host failed. One type an operation.

use std::net::SocketAddr;
use std::time::Duration;

use natsd_path::{IsdAs, ScionAddr};

use crate::quic::is_disbelief;
use crate::topology::TopologyError;

/// The SCION daemon, or what there is in its place, does not tell what was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DaemonError {
    /// The address of the daemon, or of a control service, is none.
    #[error("{address:?} is not host:port: {reason}")]
    Address {
        /// As configured.
        address: String,
        /// What the URI parser says.
        reason: String,
    },
    /// The daemon cannot be reached or answered with an error.
    #[error("the SCION daemon at {address} did not answer {method}: {reason}")]
    Call {
        /// Where it was looked for.
        address: String,
        /// The RPC.
        method: &'static str,
        /// The transport's or the daemon's words.
        reason: String,
    },
    /// The AS's topology file cannot be used.
    #[error(transparent)]
    Topology(#[from] TopologyError),
    /// The end-host API cannot be reached or used.
    #[error("the end-host API at {url} cannot be used: {reason}")]
    EndhostApi {
        /// Where it was looked for.
        url: String,
        /// What is wrong with it, or the transport's words.
        reason: String,
    },
    /// No control service of the AS can be reached.
    #[error("{title} does not answer: {reason}")]
    Control {
        /// Where it was looked for, and because of which file.
        title: String,
        /// The transport's words about the last that was tried.
        reason: String,
    },
    /// A control service of the AS knows no segments.
    #[error("the control service at {address} has no segments from {from} to {to}: {reason}")]
    Segments {
        /// Where it is.
        address: String,
        /// Where they should begin; AS 0 is any core AS.
        from: IsdAs,
        /// Where they should end; AS 0 is any core AS.
        to: IsdAs,
        /// Its words.
        reason: String,
    },
}

impl DaemonError {
    /// The option that says where paths are asked for.
    pub fn option(&self) -> &'static str {
        match self {
            Self::Address { .. } | Self::Call { .. } => "scion.daemon",
            Self::EndhostApi { .. } => "scion.endhost_api",
            Self::Topology(_) | Self::Control { .. } | Self::Segments { .. } => "scion.topology",
        }
    }
}

/// The host does not know its own AS.
#[derive(Clone, Debug, thiserror::Error)]
pub enum HostError {
    /// The host was dropped while waiting.
    #[error("the SCION host has stopped")]
    Stopped,
}

/// A listener could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address belongs to another AS.
    #[error(
        "cannot listen on {address}: this host is in AS {local}, not in {}; correct the address, or scion.daemon or scion.topology",
        address.isd_as
    )]
    ForeignAs {
        /// As configured.
        address: ScionAddr,
        /// What the daemon says.
        local: IsdAs,
    },
    /// The socket could not be bound.
    #[error("cannot bind {address} for SCION: {source}; choose another address, or end what has it")]
    Bind {
        /// The underlay address.
        address: SocketAddr,
        /// The system's words.
        source: std::io::Error,
    },
    /// The identity has nothing to show to those who come.
    #[error("cannot listen on {0}: there is no certificate to show")]
    Identity(ScionAddr),
}

/// A connection could not be made.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// QUIC refused to start.
    #[error("cannot dial {peer}: {reason}")]
    Start {
        /// The peer.
        peer: ScionAddr,
        /// QUIC's words.
        reason: String,
    },
    /// There is no path and no usable TCP address.
    #[error("cannot reach {peer}: {reason}")]
    Unreachable {
        /// The peer.
        peer: ScionAddr,
        /// What was tried.
        reason: String,
    },
    /// The handshake failed.
    #[error("the QUIC handshake with {peer} failed: {source}")]
    Handshake {
        /// The peer.
        peer: ScionAddr,
        /// QUIC's words.
        source: quinn::ConnectionError,
    },
    /// One end does not believe the other.
    #[error("{peer} and this server do not believe each other: {source}; both need certificates of the same authority")]
    Disbelief {
        /// The peer.
        peer: ScionAddr,
        /// QUIC's words.
        source: quinn::ConnectionError,
    },
    /// The peer's certificate is valid, but not one that is wanted.
    #[error("{peer} is not who it should be: {reason}")]
    NotAdmitted {
        /// The peer.
        peer: ScionAddr,
        /// Why not.
        reason: String,
    },
    /// Nobody answered.
    #[error("{peer} did not answer within {} s ({hint})", after.as_secs())]
    Timeout {
        /// The peer.
        peer: ScionAddr,
        /// How long it was tried.
        after: Duration,
        /// What is known about paths.
        hint: String,
    },
}

impl DialError {
    pub(crate) fn handshake(peer: ScionAddr, source: quinn::ConnectionError) -> Self {
        if is_disbelief(&source) { Self::Disbelief { peer, source } } else { Self::Handshake { peer, source } }
    }
}

/// Settings of TLS that QUIC cannot be spoken with.
#[derive(Debug, thiserror::Error)]
#[error("QUIC cannot be spoken with these settings of TLS: it needs TLS 1.3 with TLS_AES_128_GCM_SHA256")]
pub struct IdentityError(#[from] quinn::crypto::rustls::NoInitialCipherSuite);

/// An incoming connection was not established.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// The operator's rules leave no path to the peer.
    #[error("{reason}")]
    NoPathAllowed {
        /// The peer.
        peer: ScionAddr,
        /// How many paths there are, and a rule.
        reason: String,
    },
    /// A strict listener does not allow the way by which it comes.
    #[error("{peer} is turned away: {reason}")]
    WrongWay {
        /// The peer.
        peer: ScionAddr,
        /// The rule.
        reason: String,
    },
    /// The handshake failed.
    #[error("the QUIC handshake of {peer} failed: {source}")]
    Handshake {
        /// The peer.
        peer: ScionAddr,
        /// QUIC's words.
        source: quinn::ConnectionError,
    },
    /// The peer's certificate is valid, but not one that is wanted.
    #[error("{peer} is not let in: {reason}")]
    NotAdmitted {
        /// The peer.
        peer: ScionAddr,
        /// Why not.
        reason: String,
    },
    /// The handshake took too long.
    #[error("{peer} did not complete its handshake within {} s", after.as_secs())]
    Timeout {
        /// The peer.
        peer: ScionAddr,
        /// How long it was waited.
        after: Duration,
    },
    /// The endpoint's identity has nothing to show.
    #[error("there is no certificate to show")]
    NoIdentity,
}

impl AcceptError {
    /// Why the peer was turned away; `None` if it is the network that failed.
    pub fn refusal(&self) -> Option<String> {
        match self {
            Self::Handshake { source, .. } => is_disbelief(source).then(|| source.to_string()),
            Self::NotAdmitted { reason, .. } | Self::NoPathAllowed { reason, .. } | Self::WrongWay { reason, .. } => {
                Some(reason.clone())
            }
            Self::NoIdentity | Self::Timeout { .. } => None,
        }
    }
}

/// Paths could not be looked up.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LookupError {
    /// The daemon has not told the local AS yet.
    #[error("no paths to {0}: the SCION daemon has not told the local AS yet")]
    NoLocalAs(IsdAs),
    /// The daemon failed.
    #[error("no paths to {destination}: {source}")]
    Daemon {
        /// Where to.
        destination: IsdAs,
        /// What failed.
        source: DaemonError,
    },
}

/// A path did not answer an SCMP echo request.
#[derive(Debug, thiserror::Error)]
pub enum PingError {
    /// The daemon has not told the local AS yet.
    #[error("cannot ping {0}: the SCION daemon has not told the local AS yet")]
    NoLocalAs(ScionAddr),
    /// The path has no router to send to.
    #[error("cannot ping {0}: the path names no next hop")]
    NoNextHop(ScionAddr),
    /// The local socket failed.
    #[error("cannot ping {peer}: {source}")]
    Io {
        /// Where to.
        peer: ScionAddr,
        /// The system's words.
        source: std::io::Error,
    },
    /// A router reported an error instead.
    #[error("ping of {peer}: a router says: {evidence}")]
    Scmp {
        /// Where to.
        peer: ScionAddr,
        /// What it says.
        evidence: natsd_path::Scmp,
    },
    /// No answer.
    #[error("no answer from {peer} within {} ms", after.as_millis())]
    Timeout {
        /// Where to.
        peer: ScionAddr,
        /// How long it was waited.
        after: Duration,
    },
}

/// A TCP connection cannot carry QUIC datagrams.
#[derive(Debug, thiserror::Error)]
pub enum TunnelError {
    /// No TCP connection.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// The TCP address.
        address: String,
        /// The system's words.
        source: std::io::Error,
    },
    /// The TCP connection broke.
    #[error("the connection with {address} broke: {source}")]
    Io {
        /// The TCP address.
        address: String,
        /// The system's words.
        source: std::io::Error,
    },
    /// The listener is not natsd, or has SCION switched off.
    #[error("{address} does not offer \"scion_tunnel\" in its INFO; it can be used as a plain NATS address only")]
    NotOffered {
        /// The TCP address.
        address: String,
    },
    /// The first line is not what was expected.
    #[error("{address} sent {got:?} where {want} was expected")]
    Protocol {
        /// The TCP address.
        address: String,
        /// The line, shortened.
        got: String,
        /// What should have come.
        want: &'static str,
    },
    /// No listener has the address that the client asks for.
    #[error("{from} asks for {to}, which no listener here has")]
    NoListener {
        /// The client, by its own words.
        from: ScionAddr,
        /// The address it wants.
        to: ScionAddr,
    },
    /// Nothing came in time.
    #[error("{address} sent nothing within {} s", after.as_secs())]
    Timeout {
        /// The TCP address.
        address: String,
        /// How long it was waited.
        after: Duration,
    },
}
