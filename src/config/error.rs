use std::fmt;
use std::io;
use std::path::PathBuf;

use natsd_core::transform::MappingError;
use natsd_path::{AclError, FingerprintError, PlainAddrError, PreferenceError, SequenceError, TariffError};

use super::address::AddressError;
use super::duration::DurationError;
use super::language::{LanguageError, Position};
use super::options::{InvalidOptions, OperatorError};
use crate::tls::TlsError;

/// One thing wrong with a configuration file.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {path}: {error}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        error: io::Error,
    },
    /// The text is not of the configuration language.
    #[error(transparent)]
    Language(#[from] LanguageError),
    /// The text is no YAML, or more than a configuration.
    #[error("Could not read configuration file: {at}: {problem}")]
    Yaml {
        /// Where that shows.
        at: Position,
        /// What is wrong.
        problem: String,
    },
    /// There is nothing to convert.
    #[error("{path} is no YAML file of the Ruby server: its name does not end in .yml or .yaml, and it does not begin with ---", path = path.display())]
    NotRuby {
        /// The file.
        path: PathBuf,
    },
    /// No such key.
    #[error("{at}: unknown field {key:?}")]
    Unknown {
        /// Where the key stands.
        at: Position,
        /// The key as written.
        key: String,
    },
    /// A key of nats-server that natsd does not obey yet.
    #[error("{at}: {key} is not supported by this version of natsd{why}; remove it if you can do without")]
    Unsupported {
        /// Where the key stands.
        at: Position,
        /// The key as written.
        key: String,
        /// Why not, after a colon; or empty.
        why: String,
    },
    /// A value that its key does not take.
    #[error("{at}: {key}: {problem}")]
    Value {
        /// Where the key, or the entry of its list, stands.
        at: Position,
        /// The key as written.
        key: String,
        /// What is wrong.
        problem: ValueError,
    },
    /// Values that do not go together.
    #[error("{file}: {problem}", file = file.display())]
    Options {
        /// The file.
        file: PathBuf,
        /// What does not go together.
        problem: InvalidOptions,
    },
}

/// Why a key does not take a value.
#[derive(Debug, thiserror::Error)]
pub enum ValueError {
    /// Another kind of value.
    #[error("expected {expected}, found {found}")]
    Kind {
        /// What the key takes.
        expected: &'static str,
        /// What is there.
        found: &'static str,
    },
    /// A number out of range.
    #[error("{found} is out of range; use {min} to {max}")]
    Range {
        /// What is there.
        found: i64,
        /// The smallest allowed.
        min: i64,
        /// The largest allowed.
        max: i64,
    },
    /// Port 0, which nats-server takes for different things in different places.
    #[error("0 is not a port; write -1 for any free port, or remove the line")]
    PortZero,
    /// A duration below the least that makes sense.
    #[error("{found:?} is too short, the minimum is {min:?}")]
    TooShort {
        /// What is there.
        found: std::time::Duration,
        /// The smallest allowed.
        min: std::time::Duration,
    },
    /// A name with white space in it, or an empty one.
    #[error("{0:?} is not a name; it must not be empty or contain white space")]
    Name(String),
    /// Another word.
    #[error("{found:?} is not known; use {expected}")]
    Word {
        /// What is there.
        found: String,
        /// What could be.
        expected: &'static str,
    },
    /// Not an address.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// Two places to ask for paths.
    #[error("daemon, topology and endhost_api exclude each other; keep the one that paths are to be asked of")]
    SourcesOfPaths,
    /// Not an IP address.
    #[error("{0:?} is not an IPv4 or IPv6 address")]
    Ip(String),
    /// Not a duration.
    #[error(transparent)]
    Duration(#[from] DurationError),
    /// Not a list of metrics.
    #[error(transparent)]
    Preference(#[from] PreferenceError),
    /// Not an ACL.
    #[error(transparent)]
    Acl(#[from] AclError),
    /// Not a sequence.
    #[error(transparent)]
    Sequence(#[from] SequenceError),
    /// Not a fingerprint.
    #[error(transparent)]
    Fingerprint(#[from] FingerprintError),
    /// Nothing that a path could cross.
    #[error("{found:?}: {what}")]
    Hop {
        /// What is there.
        found: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Not a bandwidth.
    #[error("{0:?} is not a bandwidth; write a number of kbit/s, or \"10Mbit\"")]
    Bandwidth(String),
    /// `costs` or `carbon`.
    #[error(transparent)]
    Tariff(#[from] TariffError),
    /// More patterns of subjects than there may be connections for.
    #[error("more than {0} subjects have paths of their own; let one pattern stand for several")]
    TooManyClasses(usize),
    /// Not an ISD-AS.
    #[error(transparent)]
    IsdAs(#[from] natsd_path::AddrError),
    /// Files that are not there, or not what they should be.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// `listen` and `port` together.
    #[error("listen already says where to listen; write either listen, or host and port")]
    ListenTwice,
    /// `host` without `port` in a block without a default port.
    #[error("a port is missing; add port, or write listen: \"host:port\"")]
    PortMissing,
    /// A list where each entry may be there once.
    #[error("{0} is listed twice; remove one of them")]
    DuplicateRemote(String),
    /// Two ways to say who one is.
    #[error("credentials and nkey cannot both be given; keep one of them")]
    CredentialsAndNkey,
    /// A seed that is none of a user.
    #[error("this is not the seed of a user; write SU…, or keep it in a file for credentials")]
    Seed,
    /// A leaf node that would be no leaf node.
    #[error("a user cannot be beside users; move it into the list")]
    LeafUserAndUsers,
    /// Round-trip times that are no thresholds.
    #[error("{0}, such as [\"10ms\", \"50ms\", \"100ms\"]")]
    Thresholds(#[from] natsd_core::compression::ThresholdsError),
    /// A condition for nobody.
    #[error(
        "proxy_required is for the users or the account beside it; add them, or write it in the authorization of the server"
    )]
    ProxyRequiredOfNobody,
    /// Compression that there is not yet.
    #[error("compression {0:?} is not supported by this version of natsd; write \"off\", or remove the key")]
    Compression(String),
    /// A version that is none.
    #[error("{0:?} is not a version from 2.8.0 on; write three numbers such as \"2.10.0\"")]
    MinVersion(String),
    /// URLs of two kinds.
    #[error("urls of one remote are either all over WebSocket, or none of them; make two remotes of them")]
    MixedSchemes,
    /// Not the URL of a proxy.
    #[error(
        "{0:?} is not the URL of a proxy; write http://host[:port] or https://host[:port], and who you are as username and password"
    )]
    ProxyUrl(String),
    /// Half of a login.
    #[error("username and password of a proxy go together; give both or none")]
    ProxyLogin,
    /// TLS with a proxy that speaks none.
    #[error("tls of a proxy is for https://; write that in its url, or remove tls")]
    ProxyTls,
    /// A proxy on the way of packets of SCION.
    #[error(
        "a proxy leads nowhere over SCION; make one remote of the SCION addresses, without it, and one of the others"
    )]
    ProxyOverScion,
    /// A key without which the others mean nothing.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A key that goes with another type.
    #[error("{key} means nothing for type {kind}; remove it")]
    NotOfType {
        /// The key.
        key: &'static str,
        /// The type.
        kind: &'static str,
    },
    /// Operators that cannot be.
    #[error(transparent)]
    Operator(#[from] OperatorError),
    /// A mapping that cannot be.
    #[error(transparent)]
    Mapping(#[from] MappingError),
    /// Users that cannot be together, or not at all.
    #[error(transparent)]
    Users(#[from] natsd_auth::DirectoryError),
    /// No rule of permissions.
    #[error(transparent)]
    Rule(#[from] natsd_auth::RuleError),
    /// Not the public key of a user.
    #[error(transparent)]
    Nkey(#[from] natsd_auth::InvalidNkey),
    /// Not the public key of a proxy.
    #[error(transparent)]
    Proxy(#[from] natsd_auth::InvalidProxyKey),
    /// No way to connect.
    #[error(transparent)]
    ConnectionType(#[from] natsd_auth::ConnectionTypeError),
    /// A user by key and by name.
    #[error("a user with an nkey has no name and no password; write two users, or remove one of the keys")]
    NkeyWithPassword,
    /// A user that nobody can be.
    #[error("a user has no name; add user and password, or nkey")]
    NamelessUser,
    /// What the Ruby server did and natsd does not.
    #[error("{0}")]
    NoCounterpart(&'static str),
    /// Servers are one user to each other.
    #[error("servers of a cluster are one user to each other; write user and password, and remove this")]
    ClusterLogin,
    /// Servers are believed for one of them.
    #[error("a token is in place of user and password; keep one of them")]
    ClusterTokenAndUser,
    /// The same of servers of other clusters.
    #[error("servers of other clusters are one user here; write user and password, and remove this")]
    GatewayLogin,
    /// A name that stands for none.
    #[error("{0:?} cannot be the name of a cluster; choose another one")]
    ReservedCluster(String),
    /// `allow_responses` for servers.
    #[error("allow_responses means nothing between servers; remove it")]
    ClusterReplies,
    /// A queue group for servers.
    #[error("{0:?} names a queue group, which permissions of a cluster cannot; write the subject alone")]
    ClusterQueue(String),
    /// No feature of nats-server.
    #[error("there is no feature {0:?}; remove it, or look at how it is written")]
    NoSuchFlag(String),
    /// An account that there is anyhow.
    #[error("{0:?} is the account of clients that name none; put what is to hold for it at the top level")]
    ReservedAccount(String),
    /// One account twice.
    #[error("account {0:?} is listed twice; remove one of them")]
    DuplicateAccount(String),
    /// Accounts cannot share what they want to share.
    #[error(transparent)]
    Sharing(#[from] natsd_auth::account::SharingError),
    /// What is exported or imported is neither, or both.
    #[error("it has to have either stream or service")]
    StreamOrService,
    /// A key of services in a stream.
    #[error("{0} is only for services; remove it, or write service in place of stream")]
    OnlyForServices(&'static str),
    /// A key of streams in a service.
    #[error("{0} is only for streams; remove it, or write stream in place of service")]
    OnlyForStreams(&'static str),
    /// Two ways to say who may import.
    #[error("accounts and account_token_position cannot both be given; keep one of them")]
    TwoAccesses,
    /// The token for the name of the account is none.
    #[error("account_token_position is {at}, but that token of {subject:?} is not \"*\"")]
    TokenPosition {
        /// From 1 on.
        at: usize,
        /// What is exported.
        subject: String,
    },
    /// Two ways to name an import.
    #[error("prefix and to cannot both be given; keep one of them")]
    PrefixAndTo,
    /// The system account is turned off and named.
    #[error("system_account names an account, and no_system_account turns it off; remove one of them")]
    SystemAccountOff,
    /// There is no such account.
    #[error("there is no account {0:?}; add it to accounts, or remove system_account")]
    NoSuchAccount(String),
    /// The system account is that of clients that name none.
    #[error("{0:?} is the account of clients that name none and cannot be the system account")]
    GlobalAsSystem(String),
    /// No origin of a web page.
    #[error(transparent)]
    Origin(#[from] natsd_core::websocket::origin::OriginError),
    /// A header that is not the operator's to set, or none.
    #[error("{0:?} is not a header that can be added; those of WebSocket itself are natsd's")]
    Header(String),
    /// A header with line breaks.
    #[error("the value of {0:?} has control characters; write one line of text")]
    HeaderValue(String),
    /// A list without entries.
    #[error("the list is empty; remove the key, or add an entry")]
    Empty,
    /// A SCION address while SCION is off.
    #[error("{0} is a SCION address, but SCION is off; add scion: true or a scion {{}} block, or start with --scion")]
    ScionOff(String),
    /// Addresses of `multihome {}` that cannot be.
    #[error(transparent)]
    Multihome(PlainAddrError),
    /// A rule about ASes, of paths that cross none that would be known.
    #[error(
        "without SCION nobody knows which ASes a path crosses; remove acl, sequence, isds, avoid and pin from multihome {{}}"
    )]
    MultihomeRule,
}

/// All that is wrong with a configuration file; prints one error a line.
#[derive(Debug, thiserror::Error)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print_lines(f, &self.0)
    }
}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        Self(vec![error])
    }
}

/// Something in the file that is obeyed, but hardly meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// A duration without quotes and unit.
    DurationWithoutUnit {
        /// Where the key stands.
        at: Position,
        /// The key.
        key: String,
        /// The value, taken as seconds.
        seconds: i64,
    },
    /// Permissions of a cluster where they used to stand.
    InnerClusterPermissions {
        /// Where the key stands.
        at: Position,
    },
    /// Routes are pinged at least every 30 s.
    RoutePingInterval {
        /// Where the key stands.
        at: Position,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Warning::DurationWithoutUnit { at, key, seconds } => write!(
                f,
                "{at}: invalid use of field {key:?}: {key} should be converted to a duration; it is taken as {seconds} \
                 seconds, write \"{seconds}s\" in quotes"
            ),
            Warning::InnerClusterPermissions { at } => {
                write!(f, "{at}: permissions within the authorization of a cluster are deprecated; put them beside it")
            }
            Warning::RoutePingInterval { at } => {
                write!(f, "{at}: ping_interval of a cluster is at most 30s; 30s is taken")
            }
        }
    }
}

/// All warnings about a configuration file; prints one a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Warnings(pub Vec<Warning>);

impl Warnings {
    /// Whether there is nothing to warn about.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Warnings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print_lines(f, &self.0)
    }
}

fn print_lines<T: fmt::Display>(f: &mut fmt::Formatter<'_>, lines: &[T]) -> fmt::Result {
    for (i, line) in lines.iter().enumerate() {
        if i > 0 {
            f.write_str("\n")?;
        }
        write!(f, "{line}")?;
    }
    Ok(())
}
