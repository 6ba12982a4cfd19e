//! What is said to a client that went wrong, and why connections end.

use std::fmt;

/// Why a client is told `-ERR`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientError {
    /// The bytes are no protocol.
    UnknownOperation,
    /// The client may not be here.
    Authorization,
    /// The client has not said in time who it is.
    AuthenticationTimeout,
    /// The token of the user no longer holds.
    UserExpired,
    /// The token of the account no longer holds.
    AccountExpired,
    /// The account has called back the token of the user.
    UserRevoked,
    /// The server has as many connections as it may.
    MaxConnections,
    /// The account has as many connections as it may.
    MaxAccountConnections,
    /// The connection has as many subscriptions as it may.
    MaxSubscriptions,
    /// A message is larger than `max_payload`.
    MaxPayload,
    /// A line is longer than `max_control_line`.
    MaxControlLine,
    /// A proxy that nobody trusts vouches for the client.
    ProxyNotTrusted,
    /// No proxy vouches for a client that needs one.
    ProxyRequired,
    /// One cannot subscribe to such a subject.
    InvalidSubject,
    /// In pedantic mode: one should not publish to such a subject.
    InvalidPublishSubject,
    /// The client may not publish to this subject.
    Publish(String),
    /// Clients may not ask for replies to this reserved subject.
    Reply(String),
    /// The client may not subscribe to this subject.
    Subscribe(String),
    /// The client may not subscribe to it in this queue group.
    SubscribeQueue {
        /// What was subscribed to.
        subject: String,
        /// The group.
        queue: String,
    },
    /// The subject has more tokens than `max_sub_tokens`.
    TooManyTokens(String),
    /// Pings went unanswered.
    Stale,
    /// More handshakes a second than there may be.
    Throttled,
    /// `CONNECT` asks for a protocol that there is not.
    InvalidProtocol,
    /// `CONNECT` asks for `no_responders` without `headers`.
    NoRespondersWithoutHeaders,
}

impl fmt::Display for ClientError {
    /// The text between the quotes of `-ERR '…'`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::UnknownOperation => "Unknown Protocol Operation",
            Self::Authorization | Self::ProxyNotTrusted | Self::ProxyRequired => "Authorization Violation",
            Self::AuthenticationTimeout => "Authentication Timeout",
            Self::UserExpired => "User Authentication Expired",
            Self::AccountExpired => "Account Authentication Expired",
            Self::UserRevoked => "User Authentication Revoked",
            Self::MaxConnections => "maximum connections exceeded",
            Self::MaxAccountConnections => "maximum account active connections exceeded",
            Self::MaxSubscriptions => "maximum subscriptions exceeded",
            Self::MaxPayload => "Maximum Payload Violation",
            Self::MaxControlLine => "maximum control line exceeded",
            Self::InvalidSubject => "Invalid Subject",
            Self::InvalidPublishSubject => "Invalid Publish Subject",
            Self::Publish(subject) => return write!(f, "Permissions Violation for Publish to \"{subject}\""),
            Self::Reply(reply) => return write!(f, "Permissions Violation for Publish with Reply of \"{reply}\""),
            Self::Subscribe(subject) => return write!(f, "Permissions Violation for Subscription to \"{subject}\""),
            Self::SubscribeQueue { subject, queue } => {
                return write!(f, "Permissions Violation for Subscription to \"{subject}\" using queue \"{queue}\"");
            }
            Self::TooManyTokens(subject) => {
                return write!(f, "Permissions Violation for Subscription to \"{subject}\", too many tokens");
            }
            Self::Stale => "Stale Connection",
            Self::Throttled => "Connection throttling is active. Please try again later.",
            Self::InvalidProtocol => "invalid client protocol",
            Self::NoRespondersWithoutHeaders => "no responders requires headers support",
        };
        f.write_str(text)
    }
}

impl std::error::Error for ClientError {}

impl ClientError {
    /// Why the connection ends with this error; `None` when it goes on.
    pub fn closes(&self) -> Option<CloseReason> {
        match self {
            Self::UnknownOperation => Some(CloseReason::ProtocolViolation),
            Self::Authorization => Some(CloseReason::AuthenticationFailure),
            Self::ProxyNotTrusted => Some(CloseReason::ProxyNotTrusted),
            Self::ProxyRequired => Some(CloseReason::ProxyRequired),
            Self::AuthenticationTimeout => Some(CloseReason::AuthenticationTimeout),
            Self::UserExpired | Self::AccountExpired => Some(CloseReason::AuthenticationExpired),
            Self::UserRevoked => Some(CloseReason::Revocation),
            Self::MaxConnections | Self::Throttled => Some(CloseReason::MaxConnections),
            Self::MaxAccountConnections => Some(CloseReason::MaxAccountConnections),
            Self::MaxPayload => Some(CloseReason::MaxPayload),
            Self::MaxControlLine => Some(CloseReason::MaxControlLine),
            Self::Stale => Some(CloseReason::Stale),
            Self::InvalidProtocol => Some(CloseReason::BadClientProtocolVersion),
            Self::NoRespondersWithoutHeaders => Some(CloseReason::NoRespondersRequiresHeaders),
            Self::MaxSubscriptions
            | Self::InvalidSubject
            | Self::InvalidPublishSubject
            | Self::Publish(_)
            | Self::Reply(_)
            | Self::Subscribe(_)
            | Self::SubscribeQueue { .. }
            | Self::TooManyTokens(_) => None,
        }
    }
}

/// Why a connection ended, as `/connz?state=closed` says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The other side closed it.
    ClientClosed,
    /// The client may not be here.
    AuthenticationFailure,
    /// A proxy vouched for it that nobody trusts.
    ProxyNotTrusted,
    /// No proxy vouched for it, and it needs one.
    ProxyRequired,
    /// It did not say in time who it is.
    AuthenticationTimeout,
    /// What said who it is no longer holds.
    AuthenticationExpired,
    /// What said who it is was called back.
    Revocation,
    /// More than `max_pending` bytes waited for it.
    SlowConsumerPendingBytes,
    /// It did not take what waited for it within `write_deadline`.
    SlowConsumerWriteDeadline,
    /// Writing failed.
    WriteError,
    /// Reading failed.
    ReadError,
    /// Pings went unanswered.
    Stale,
    /// It did not come to terms over TLS.
    TlsHandshake,
    /// It broke the protocol.
    ProtocolViolation,
    /// It speaks a protocol that there is not.
    BadClientProtocolVersion,
    /// The server had as many connections as it may.
    MaxConnections,
    /// Its account has as many as it may.
    MaxAccountConnections,
    /// It published a message larger than `max_payload`.
    MaxPayload,
    /// It sent a line longer than `max_control_line`.
    MaxControlLine,
    /// An operator ended it.
    Kicked,
    /// An operator wants it compressed, or not any more.
    CompressionChanged,
    /// The server ends, or sends its clients away.
    ServerShutdown,
    /// It sent headers without having said so, or an impossible header length.
    MessageHeaderViolation,
    /// It wants `no_responders` without headers.
    NoRespondersRequiresHeaders,
    /// It is not what connects to this port, or is no port for what we are.
    WrongPort,
    /// Its account is not here.
    MissingAccount,
    /// The same leaf node has connected again.
    DuplicateLeaf,
    /// A leaf node has the cluster name of its hub.
    ClusterNamesIdentical,
    /// A leaf node is older than its hub takes.
    MinimumVersionRequired,
    /// It is of another cluster than wanted, or of one that is not wanted.
    WrongGateway,
    /// It has the name of a server of our cluster.
    DuplicateServerName,
    /// A route ended.
    Route(crate::route::CloseReason),
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ClientClosed => "Client Closed",
            Self::AuthenticationFailure => "Authentication Failure",
            Self::ProxyNotTrusted => "Proxy Not Trusted",
            Self::ProxyRequired => "Proxy Required",
            Self::AuthenticationTimeout => "Authentication Timeout",
            Self::AuthenticationExpired => "Authentication Expired",
            Self::Revocation => "Credentials Revoked",
            Self::SlowConsumerPendingBytes => "Slow Consumer (Pending Bytes)",
            Self::SlowConsumerWriteDeadline => "Slow Consumer (Write Deadline)",
            Self::WriteError => "Write Error",
            Self::ReadError => "Read Error",
            Self::Stale => "Stale Connection",
            Self::TlsHandshake => "TLS Handshake Failure",
            Self::ProtocolViolation => "Protocol Violation",
            Self::BadClientProtocolVersion => "Bad Client Protocol Version",
            Self::MaxConnections => "Maximum Connections Exceeded",
            Self::MaxAccountConnections => "Maximum Account Connections Exceeded",
            Self::MaxPayload => "Maximum Message Payload Exceeded",
            Self::MaxControlLine => "Maximum Control Line Exceeded",
            Self::Kicked => "Kicked",
            Self::CompressionChanged => "Compression Changed",
            Self::ServerShutdown => "Server Shutdown",
            Self::MessageHeaderViolation => "Message Header Violation",
            Self::NoRespondersRequiresHeaders => "No Responders Requires Headers",
            Self::WrongPort => "Incorrect Port",
            Self::MissingAccount => "Missing Account",
            Self::DuplicateLeaf => "Duplicate Remote LeafNode Connection",
            Self::ClusterNamesIdentical => "Cluster Names Identical",
            Self::MinimumVersionRequired => "Minimum Version Required",
            Self::WrongGateway => "Wrong Gateway",
            Self::DuplicateServerName => "Duplicate Server Name",
            Self::Route(reason) => return reason.fmt(f),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_are_those_of_nats_server() {
        let all = [
            ClientError::UnknownOperation,
            ClientError::Authorization,
            ClientError::AuthenticationTimeout,
            ClientError::UserExpired,
            ClientError::AccountExpired,
            ClientError::UserRevoked,
            ClientError::MaxConnections,
            ClientError::MaxAccountConnections,
            ClientError::MaxSubscriptions,
            ClientError::MaxPayload,
            ClientError::MaxControlLine,
            ClientError::InvalidSubject,
            ClientError::InvalidPublishSubject,
            ClientError::Publish("$NRG.x".into()),
            ClientError::Reply("$GR.x".into()),
            ClientError::Subscribe("a.b".into()),
            ClientError::SubscribeQueue { subject: "q".into(), queue: "_sys_".into() },
            ClientError::TooManyTokens("a.b.c".into()),
            ClientError::Stale,
            ClientError::Throttled,
            ClientError::InvalidProtocol,
            ClientError::NoRespondersWithoutHeaders,
            ClientError::ProxyNotTrusted,
            ClientError::ProxyRequired,
        ];
        let line = |error: &ClientError| match error.closes() {
            Some(reason) => format!("-ERR '{error}', then closed: {reason}"),
            None => format!("-ERR '{error}'"),
        };
        insta::assert_snapshot!(all.iter().map(line).collect::<Vec<_>>().join("\n"));
    }
}
