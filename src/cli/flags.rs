//! The flags of the server: what they are called and what they change.

use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use natsd_auth::{DirectoryBuilder, DirectoryError};

use super::ruby_flags::{Daemonize, RubyFlags};
use super::stream_flags::{NotThere, StreamFlags};
use crate::config::address::{self, AddressError};
use crate::config::options::{
    Authorization, ClusterOptions, DEFAULT_PORT, InvalidOptions, Listen, Options, Remote, RouteLogin, ScionOptions,
    SyslogAddr, TlsOptions,
};
use crate::config::{self, ConfigErrors, Warnings};

/// Flags of `natsd serve`, and of `natsd` without a command.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ServeFlags {
    /// Read this configuration file
    #[arg(short, long, value_name = "FILE", help_heading = "Server")]
    pub config: Option<PathBuf>,

    /// Check the configuration file and exit
    #[arg(short, requires = "config", help_heading = "Server")]
    pub test: bool,

    /// Listen on this address; monitoring too
    #[arg(short, long, visible_alias = "net", value_name = "HOST", help_heading = "Server")]
    addr: Option<String>,

    /// Listen on this port, -1 for a free one [default: 4222]
    #[arg(short, long, value_name = "PORT", value_parser = port(), allow_negative_numbers = true)]
    #[arg(help_heading = "Server")]
    port: Option<i32>,

    /// Name of the server [default: its id]
    #[arg(short, long, visible_alias = "server_name", value_name = "NAME", value_parser = config::name)]
    #[arg(help_heading = "Server")]
    name: Option<String>,

    /// Tell clients this address, host or host:port
    #[arg(long = "client_advertise", value_name = "ADDR", value_parser = address::advertised)]
    #[arg(help_heading = "Server")]
    client_advertise: Option<String>,

    /// Serve monitoring on this port, -1 for a free one
    #[arg(short = 'm', long = "http_port", value_name = "PORT", value_parser = port(), allow_negative_numbers = true)]
    #[arg(help_heading = "Server")]
    http_port: Option<i32>,

    /// Write the process id to this file
    #[arg(short = 'P', long, value_name = "FILE", help_heading = "Server")]
    pid: Option<PathBuf>,

    /// Serve monitoring over TLS on this port, -1 for a free one
    #[arg(long = "https_port", visible_alias = "ms", value_name = "PORT", value_parser = port())]
    #[arg(allow_negative_numbers = true, help_heading = "Server")]
    https_port: Option<i32>,

    /// Write to a file in this directory where the server listens
    #[arg(long = "ports_file_dir", value_name = "DIR", help_heading = "Server")]
    ports_file_dir: Option<PathBuf>,

    /// Let only this user connect
    #[arg(long, value_name = "USER", help_heading = "Authorization")]
    user: Option<String>,

    /// Password of --user, in plain or as a bcrypt hash
    #[arg(long, requires = "user", value_name = "PASSWORD", help_heading = "Authorization")]
    pass: Option<String>,

    /// Let only those connect who show this token
    #[arg(long, conflicts_with = "user", value_name = "TOKEN", help_heading = "Authorization")]
    auth: Option<String>,

    /// Clients must use TLS
    #[arg(long, value_name = "BOOL", value_parser = BoolishValueParser::new())]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_possible_values = true)]
    #[arg(help_heading = "TLS")]
    tls: Option<bool>,

    /// The server's certificate, PEM
    #[arg(long, value_name = "FILE", help_heading = "TLS")]
    tlscert: Option<PathBuf>,

    /// The key of that certificate, PEM
    #[arg(long, value_name = "FILE", help_heading = "TLS")]
    tlskey: Option<PathBuf>,

    /// Clients must use TLS and show a certificate
    #[arg(long, value_name = "BOOL", value_parser = BoolishValueParser::new())]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_possible_values = true)]
    #[arg(help_heading = "TLS")]
    tlsverify: Option<bool>,

    /// Who vouches for the certificates of clients, PEM
    #[arg(long, value_name = "FILE", help_heading = "TLS")]
    tlscacert: Option<PathBuf>,

    /// Log to this file
    #[arg(short, long, value_name = "FILE", help_heading = "Logging")]
    log: Option<PathBuf>,

    /// Move the log file aside when it has this size, in bytes [default: 0, never]
    #[arg(long = "log_size_limit", value_name = "N", help_heading = "Logging")]
    log_size_limit: Option<u64>,

    /// Log to the syslog of this machine
    #[arg(short, long, value_name = "BOOL", value_parser = BoolishValueParser::new())]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_possible_values = true)]
    #[arg(help_heading = "Logging")]
    syslog: Option<bool>,

    /// Log to this syslog: udp://host:port, tcp://host:port or unix:///path
    #[arg(short, long = "remote_syslog", value_name = "URL", value_parser = address::syslog, help_heading = "Logging")]
    remote_syslog: Option<SyslogAddr>,

    /// Start log lines with the time [default: true]
    #[arg(short = 'T', long, value_name = "BOOL", value_parser = BoolishValueParser::new())]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_possible_values = true)]
    #[arg(help_heading = "Logging")]
    logtime: Option<bool>,

    /// Log the time in UTC
    #[arg(long = "logtime_utc", value_name = "BOOL", value_parser = BoolishValueParser::new())]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_possible_values = true)]
    #[arg(help_heading = "Logging")]
    logtime_utc: Option<bool>,

    /// Log what the server does; -DV is -D -V, and -VV and -DVV trace the system account as well
    #[arg(short = 'D', long, value_name = "BOOL", value_parser = BoolishValueParser::new())]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_possible_values = true)]
    #[arg(help_heading = "Logging")]
    debug: Option<bool>,

    /// Log every protocol line
    #[arg(short = 'V', long, value_name = "BOOL", value_parser = BoolishValueParser::new())]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_possible_values = true)]
    #[arg(help_heading = "Logging")]
    trace: Option<bool>,

    /// With -V, log what the server itself says in the system account as well; -VV is -V with this, -DVV is -D -V with this
    #[arg(long = "trace_verbose", value_name = "BOOL", value_parser = BoolishValueParser::new(), hide = true)]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_possible_values = true)]
    trace_verbose: Option<bool>,

    /// Log so much of a payload, in bytes [default: 0, all of it]
    #[arg(long = "max_traced_msg_len", value_name = "N", help_heading = "Logging")]
    max_traced_msg_len: Option<u32>,

    /// Listen for routes: host:port, nats://[USER:PASSWORD@]host:port, or nats://ISD-AS,host:port with --scion
    #[arg(long, visible_alias = "cluster_listen", value_name = "URL", value_parser = address::cluster)]
    #[arg(help_heading = "Cluster")]
    cluster: Option<(Listen, Option<RouteLogin>)>,

    /// Name of the cluster
    #[arg(long = "cluster_name", value_name = "NAME", value_parser = config::name, help_heading = "Cluster")]
    cluster_name: Option<String>,

    /// Servers to connect to: nats-route://host:port or nats-route://[ISD-AS,host]:port
    #[arg(long, value_name = "URL[,URL]", value_parser = routes, help_heading = "Cluster")]
    routes: Option<Routes>,

    /// Tell peers this address, host or host:port
    #[arg(long = "cluster_advertise", value_name = "ADDR", value_parser = address::advertised)]
    #[arg(help_heading = "Cluster")]
    cluster_advertise: Option<String>,

    /// Tell clients nothing of the other servers
    #[arg(long = "no_advertise", value_name = "BOOL", value_parser = BoolishValueParser::new())]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_possible_values = true)]
    #[arg(help_heading = "Cluster")]
    no_advertise: Option<bool>,

    /// Dial servers learnt by gossip so many times again
    #[arg(long = "connect_retries", value_name = "N", help_heading = "Cluster")]
    connect_retries: Option<u32>,

    /// Turn SCION on; the scion {} block of the file says how
    #[arg(long, value_name = "BOOL", value_parser = BoolishValueParser::new())]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_possible_values = true)]
    #[arg(help_heading = "SCION")]
    scion: Option<bool>,

    #[command(flatten)]
    ruby: RubyFlags,

    #[command(flatten)]
    streams: StreamFlags,
}

/// Why a server cannot start as asked.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The file.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// File and flags together.
    #[error(transparent)]
    Options(#[from] InvalidOptions),
    /// Flags and file, or flags alone, that do not go together.
    #[error("--user, --pass, --auth: {0}")]
    Users(#[from] DirectoryError),
    /// Users by flag and by file.
    #[error("--user and --auth cannot be added to the users of the file; change the file instead")]
    UsersInFile,
    /// One flag for several things.
    #[error("-a and -p cannot say which of the {0} TCP addresses of listen they mean; change the file instead")]
    SeveralListeners(usize),
    /// A flag of the Ruby server that natsd does not obey.
    #[error(transparent)]
    Daemonize(#[from] Daemonize),
    /// A flag of nats-server for what natsd does not do.
    #[error(transparent)]
    NotThere(#[from] NotThere),
    /// A reload without a file.
    #[error("there is no file to read again; start natsd with -c")]
    NoFile,
}

impl ServeFlags {
    /// The options of the file, if there is one, with those of the flags on top.
    pub fn options(&self) -> Result<(Options, Warnings), StartError> {
        let base = Options { scion: self.scion.unwrap_or(false).then(ScionOptions::default), ..Options::default() };
        let (mut options, warnings) = match &self.config {
            Some(file) => config::load(file, base)?,
            None => (base, Warnings::default()),
        };
        self.apply(&mut options)?;
        options.check()?;
        Ok((options, warnings))
    }

    /// As [`options`](Self::options), for a server that runs already.
    pub fn reread(&self) -> Result<(Options, Warnings), StartError> {
        if self.config.is_some() { self.options() } else { Err(StartError::NoFile) }
    }

    fn apply(&self, options: &mut Options) -> Result<(), StartError> {
        self.apply_addresses(options)?;
        self.ruby.apply(options)?;
        self.streams.check()?;
        self.apply_logging(options);
        self.apply_tls(&mut options.tls);
        self.apply_cluster(&mut options.cluster);
        self.apply_authorization(&mut options.authorization)?;
        set_some(&mut options.server_name, &self.name);
        set_some(&mut options.client_advertise, &self.client_advertise);
        set_some(&mut options.pid_file, &self.pid);
        set_some(&mut options.ports_file_dir, &self.ports_file_dir);
        Ok(())
    }

    fn apply_addresses(&self, options: &mut Options) -> Result<(), StartError> {
        if self.addr.is_some() || self.port.is_some() {
            let (host, port) = client_listener(&mut options.listen)?;
            set(host, &self.addr);
            set(port, &self.port.map(|port| if port == 0 { DEFAULT_PORT } else { bindable(port) }));
        }
        let client_host = options.client_host().to_owned();
        for (monitoring, port) in [(&mut options.http, self.http_port), (&mut options.https, self.https_port)] {
            if let (Some(addr), Some((host, _))) = (&self.addr, &mut *monitoring) {
                host.clone_from(addr);
            }
            if let Some(port) = port {
                let host = monitoring.take().map_or_else(|| client_host.clone(), |(host, _)| host);
                *monitoring = (port != 0).then(|| (host, bindable(port)));
            }
        }
        Ok(())
    }

    /// What the flags say replaces a single user or a token of the file, but no list.
    fn apply_authorization(&self, authorization: &mut Authorization) -> Result<(), StartError> {
        if self.user.is_none() && self.auth.is_none() {
            return Ok(());
        }
        if authorization.directory.is_list() {
            return Err(StartError::UsersInFile);
        }
        let (user, password, token) = (self.user.clone(), self.pass.clone(), self.auth.clone());
        authorization.directory = DirectoryBuilder { user, password, token, users: Vec::new() }.build()?;
        Ok(())
    }

    fn apply_logging(&self, options: &mut Options) {
        set_some(&mut options.log_file, &self.log);
        set(&mut options.log_size_limit, &self.log_size_limit);
        set(&mut options.syslog, &self.syslog);
        set_some(&mut options.remote_syslog, &self.remote_syslog);
        set(&mut options.logtime, &self.logtime);
        set(&mut options.logtime_utc, &self.logtime_utc);
        set(&mut options.debug, &self.debug);
        set(&mut options.trace, &self.trace);
        set(&mut options.trace_verbose, &self.trace_verbose);
        set(&mut options.max_traced_msg_len, &self.max_traced_msg_len.map(|n| n as usize));
    }

    fn apply_tls(&self, tls: &mut Option<TlsOptions>) {
        let files = [&self.tlscert, &self.tlskey, &self.tlscacert];
        let asked = self.tls == Some(true) || self.tlsverify == Some(true) || files.iter().any(|file| file.is_some());
        if self.tls == Some(false) && !asked {
            *tls = None;
        }
        if asked {
            tls.get_or_insert_default();
        }
        if let Some(tls) = tls {
            set_some(&mut tls.cert_file, &self.tlscert);
            set_some(&mut tls.key_file, &self.tlskey);
            set_some(&mut tls.ca_file, &self.tlscacert);
            set(&mut tls.verify, &self.tlsverify);
        }
    }

    fn apply_cluster(&self, cluster: &mut Option<ClusterOptions>) {
        let asked = self.cluster.is_some()
            || self.cluster_name.is_some()
            || self.routes.is_some()
            || self.cluster_advertise.is_some()
            || self.no_advertise.is_some()
            || self.connect_retries.is_some();
        if !asked {
            return;
        }
        let cluster = cluster.get_or_insert_default();
        let (listen, login) = self.cluster.clone().unzip();
        set(&mut cluster.listen, &listen.map(|listen| vec![listen]));
        set_some(&mut cluster.login, &login.flatten());
        set(&mut cluster.routes, &self.routes.clone().map(|Routes(routes)| routes));
        set_some(&mut cluster.name, &self.cluster_name);
        set_some(&mut cluster.advertise, &self.cluster_advertise);
        set(&mut cluster.no_advertise, &self.no_advertise);
        set(&mut cluster.connect_retries, &self.connect_retries);
    }
}

/// Each URL is a server of its own; only the file can say that several are one.
#[derive(Clone, Debug)]
struct Routes(Vec<Remote>);

fn routes(text: &str) -> Result<Routes, AddressError> {
    let urls = address::split_urls(text).into_iter().map(address::route);
    urls.map(|url| url.map(|url| Remote { urls: vec![url] })).collect::<Result<_, _>>().map(Routes)
}

fn port() -> clap::builder::RangedI64ValueParser<i32> {
    clap::value_parser!(i32).range(-1..=65535)
}

/// -1 is 0 for the operating system: any free port.
fn bindable(port: i32) -> u16 {
    u16::try_from(port).unwrap_or(0)
}

/// Host and port of the only TCP listener; one is added where all are SCION.
fn client_listener(listen: &mut Vec<Listen>) -> Result<(&mut String, &mut u16), StartError> {
    let is_tcp = |listen: &&Listen| matches!(listen, Listen::Tcp { .. });
    match listen.iter().filter(is_tcp).count() {
        0 => listen.push(Listen::Tcp { host: "0.0.0.0".into(), port: DEFAULT_PORT }),
        1 => {}
        several => return Err(StartError::SeveralListeners(several)),
    }
    let mut tcp = listen.iter_mut().filter_map(|listen| match listen {
        Listen::Tcp { host, port } => Some((host, port)),
        Listen::Scion(_) | Listen::Udp(_) => None,
    });
    Ok(tcp.next().expect("one is there or was added above"))
}

fn set<T: Clone>(option: &mut T, flag: &Option<T>) {
    if let Some(value) = flag {
        option.clone_from(value);
    }
}

fn set_some<T: Clone>(option: &mut Option<T>, flag: &Option<T>) {
    if flag.is_some() {
        option.clone_from(flag);
    }
}

#[cfg(test)]
mod tests;
