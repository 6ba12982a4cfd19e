//! What can be written after `natsd`.

use std::ffi::OsString;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use super::flags::ServeFlags;
use super::signal::SignalRequest;
use super::single_dash;

const ABOUT: &str = "A path-aware, SCION-first messaging server that speaks NATS";

const AFTER_HELP: &str = "Flags override the configuration file. Long flags may also be written with one dash, and \
                          true/false flags with a value, as in -logtime=false. docs/configuration.md lists what a file \
                          can say.";

#[derive(Debug, Parser)]
#[command(name = "natsd", about = ABOUT, after_help = AFTER_HELP)]
#[command(disable_version_flag = true, args_conflicts_with_subcommands = true, subcommand_precedence_over_arg = true)]
pub(super) struct Cli {
    #[command(subcommand)]
    subcommand: Option<Subcommands>,

    #[command(flatten)]
    serve: ServeFlags,

    /// Tell a running natsd: stop, quit, term, reload (the configuration), reopen (the log file) or ldm (lame duck), then '=' and a process id or a pid file
    #[arg(long, value_name = "CMD[=PID|FILE]", help_heading = "Common")]
    signal: Option<SignalRequest>,

    /// Print the version
    #[arg(short = 'v', long, help_heading = "Common")]
    version: bool,
}

#[derive(Debug, Subcommand)]
enum Subcommands {
    /// Run the server; what natsd does without a command
    Serve(Box<ServeFlags>),
    /// Watch paths, routes, connections and failovers of running servers
    #[cfg(feature = "tui")]
    Top(TopFlags),
    /// List the paths to an AS, ranked, and whether they answer
    #[cfg(feature = "scion")]
    Paths(PathsFlags),
    /// Measure round trips to a host over SCION
    #[cfg(feature = "scion")]
    Ping(PingFlags),
    /// Carry plain NATS clients over SCION to a server
    #[cfg(feature = "scion")]
    Link(LinkFlags),
    /// Emulate a SCION network with two servers, and cut its links
    #[cfg(feature = "lab")]
    Lab(LabFlags),
    /// Make an authority for a cluster, and certificates for its nodes
    Certs(CertsFlags),
    /// Print a YAML configuration of the Ruby server in the language of today
    Convert(ConvertFlags),
    /// Print the version
    Version,
}

/// Flags of `natsd certs`.
#[derive(Clone, Debug, clap::Args)]
pub struct CertsFlags {
    /// Where the authority is, or is to be made: ca.pem and ca.key, and a directory for each node
    #[arg(long, value_name = "DIR")]
    pub dir: std::path::PathBuf,
    /// A node to make a certificate for, and the hosts that it is for when that is not its name; may be given several times
    #[arg(long, value_name = "NAME[=HOST,...]", num_args = 1..)]
    pub node: Vec<crate::authority::NodeName>,
    /// How many days certificates hold [default: as long as the authority, 3652]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=i64::from(crate::authority::MAX_DAYS)))]
    pub days: Option<u16>,
    /// Replace certificates that are there: those of the nodes, or without --node that of the authority; keys stay
    #[arg(long)]
    pub renew: bool,
}

/// Flags of `natsd convert`.
#[derive(Clone, Debug, clap::Args)]
pub struct ConvertFlags {
    /// The file
    #[arg(value_name = "OLD.yml")]
    pub file: std::path::PathBuf,
}

/// Flags of `natsd top`.
#[cfg(feature = "tui")]
#[derive(Clone, Debug, clap::Args)]
pub struct TopFlags {
    /// Where a server's monitoring listens; may be given several times [default: $NATS_URL or $NATS_URI, on port 8222, then http://127.0.0.1:8222]
    #[arg(long, value_name = "URL")]
    pub connect: Vec<String>,
    /// A dashboard, or what programs and pipes want
    #[arg(long, value_enum, default_value = "tui")]
    pub mode: TopMode,
    /// End after so many updates
    #[arg(long, value_name = "N")]
    pub cycles: Option<u64>,
    /// Draw with ASCII alone [default: if the locale has no UTF-8]
    #[arg(long)]
    pub ascii: bool,
}

/// How `natsd top` shows what it knows.
#[cfg(feature = "tui")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum TopMode {
    /// The dashboard; plain lines where there is no terminal.
    Tui,
    /// A JSON document a line.
    Json,
    /// A line a path.
    Csv,
    /// The network that the paths pass, for Graphviz.
    Dot,
    /// A table of the paths.
    Pretty,
}

/// Where a command finds SCION, and how it chooses among paths.
#[cfg(feature = "scion")]
#[derive(Clone, Debug, clap::Args)]
pub struct ScionFlags {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub source: super::source::SourceFlags,
    /// What makes a path a better one, most important first: latency, bandwidth, hops, mtu, cost, carbon
    #[arg(long, value_name = "LIST", default_value_t)]
    pub preference: natsd_path::Preference,
    /// Only paths over these ASes and interfaces, such as "1-ff00:0:111#3 0* 1-ff00:0:112"; 0 is any
    #[arg(long, value_name = "HOPS")]
    pub sequence: Option<natsd_path::Sequence>,
    /// Let the daemon look the paths up again
    #[arg(long)]
    pub refresh: bool,
}

/// Flags of `natsd paths`.
#[cfg(feature = "scion")]
#[derive(Clone, Debug, clap::Args)]
pub struct PathsFlags {
    /// The AS, such as 1-ff00:0:112
    #[arg(value_name = "ISD-AS")]
    pub destination: natsd_path::IsdAs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub scion: ScionFlags,
    /// For which traffic: route, account:NAME, subject:SUBJECT, or what is accepted at: clients, cluster, leafnodes, gateway [default: route]
    #[arg(long = "for", value_name = "TRAFFIC", requires = "config")]
    pub traffic: Option<super::paths::policy::Traffic>,
    /// Do not ask the paths whether they are alive
    #[arg(long)]
    pub no_probe: bool,
    /// How long a path may take to answer
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = crate::config::duration::parse)]
    pub timeout: std::time::Duration,
    /// Show the best N only
    #[arg(short = 'm', long, value_name = "N")]
    pub maxpaths: Option<usize>,
    /// Show also what only experts need: next hop, sequence, parts of the latency
    #[arg(short = 'e', long)]
    pub extended: bool,
    /// A table for people, or one JSON document
    #[arg(long, value_enum, default_value = "human")]
    pub format: OutputFormat,
    /// No colours even on a terminal
    #[arg(long)]
    pub no_color: bool,
}

/// How `natsd paths` and `natsd ping` print.
#[cfg(feature = "scion")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum OutputFormat {
    /// For people.
    Human,
    /// The keys of the `scion` tools' `--format json`, and more.
    Json,
}

/// Flags of `natsd ping`.
#[cfg(feature = "scion")]
#[derive(Clone, Debug, clap::Args)]
pub struct PingFlags {
    /// The host, such as 1-ff00:0:112,127.0.0.1
    #[arg(value_name = "ISD-AS,HOST", value_parser = scion_host)]
    pub destination: (natsd_path::IsdAs, std::net::IpAddr),
    /// How many times
    #[arg(short = 'c', long, value_name = "N", default_value_t = 3)]
    pub count: u16,
    /// Between two requests
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = crate::config::duration::parse)]
    pub interval: std::time::Duration,
    /// How long an answer may take
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = crate::config::duration::parse)]
    pub timeout: std::time::Duration,
    /// Bytes behind the header of the request
    #[arg(short = 's', long, value_name = "BYTES", default_value_t = 0)]
    pub payload_size: u16,
    /// Go over the path with this fingerprint, as `natsd paths` shows it [default: the best one that answers]
    #[arg(long, value_name = "FINGERPRINT", conflicts_with = "rank")]
    pub path: Option<String>,
    /// Go over the path of this rank
    #[arg(long, value_name = "N")]
    pub rank: Option<std::num::NonZeroUsize>,
    /// Lines for people as answers come, or one JSON document at the end
    #[arg(long, value_enum, default_value = "human")]
    pub format: OutputFormat,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub scion: ScionFlags,
}

/// Flags of `natsd link`.
#[cfg(feature = "scion")]
#[derive(Clone, Debug, clap::Args)]
pub struct LinkFlags {
    /// Where the server takes clients, scion://[ISD-AS,HOST]:PORT; of several the first that answers
    #[arg(long, value_name = "URL", required = true, num_args = 1.., value_parser = scion_url)]
    pub to: Vec<natsd_path::ScionAddr>,
    /// Where clients come in, host:port; port -1 is any free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:4222", value_parser = crate::config::address::host_port)]
    pub listen: (String, u16),
    /// Who vouches for the server, PEM [default: the authority that natsd has made on this machine]
    #[arg(long, value_name = "FILE")]
    pub ca: Option<std::path::PathBuf>,
    /// A certificate to show to a server that asks for one, PEM
    #[arg(long, value_name = "FILE", requires = "key")]
    pub cert: Option<std::path::PathBuf>,
    /// Its key, PEM
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Option<std::path::PathBuf>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub source: super::source::SourceFlags,
    /// What makes a path a better one, most important first: latency, bandwidth, hops, mtu, cost, carbon
    #[arg(long, value_name = "LIST", default_value_t)]
    pub preference: natsd_path::Preference,
}

#[cfg(feature = "scion")]
fn scion_url(text: &str) -> Result<natsd_path::ScionAddr, natsd_path::AddrError> {
    text.strip_prefix("scion://").unwrap_or(text).parse()
}

#[cfg(feature = "scion")]
fn scion_host(text: &str) -> Result<(natsd_path::IsdAs, std::net::IpAddr), String> {
    let (isd_as, host) = text.split_once(',').ok_or("expected ISD-AS,host such as 1-ff00:0:112,127.0.0.1")?;
    let isd_as = isd_as.parse().map_err(|e: natsd_path::AddrError| e.to_string())?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Ok((isd_as, host.parse().map_err(|_| format!("{host:?} is not an IPv4 or IPv6 address"))?))
}

/// Flags of `natsd lab`.
#[cfg(feature = "lab")]
#[derive(Clone, Debug, clap::Args)]
pub struct LabFlags {
    /// The network [default: a built-in one of five ASes, topology/default.toml]
    #[arg(long, value_name = "FILE")]
    pub topology: Option<std::path::PathBuf>,
    /// What carries the packets
    #[arg(long, value_enum, default_value = "emulator")]
    pub engine: LabEngine,
    /// What makes a path a better one, most important first: latency, bandwidth, hops, mtu, cost, carbon
    #[arg(long, value_name = "LIST", default_value_t)]
    pub preference: natsd_path::Preference,
    /// Second number of all addresses, 127.N.x.y, so that several labs run side by side
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub net: u8,
    /// Show lines instead of the dashboard, and end after this time, such as 20s
    #[arg(long = "for", value_name = "DURATION", value_parser = crate::config::duration::parse)]
    pub duration: Option<std::time::Duration>,
    /// Cut a link at a time, such as peer@8s; may be given several times
    #[arg(long, value_name = "LINK@TIME", value_parser = timed_cut)]
    pub cut: Vec<TimedCut>,
}

/// What `natsd lab` runs the network on.
#[cfg(feature = "lab")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LabEngine {
    /// In this process.
    Emulator,
    /// SCION's reference programs.
    Reference,
}

/// A link to cut, and when.
#[cfg(feature = "lab")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimedCut {
    /// Name of the link.
    pub link: String,
    /// Since the start of the lab.
    pub at: std::time::Duration,
}

#[cfg(feature = "lab")]
fn timed_cut(text: &str) -> Result<TimedCut, String> {
    let (link, at) = text.split_once('@').ok_or("expected LINK@TIME such as peer@8s")?;
    let at = crate::config::duration::parse(at).map_err(|e| e.to_string())?;
    Ok(TimedCut { link: link.to_owned(), at })
}

/// What the operator asks for.
#[derive(Debug)]
pub enum Command {
    /// Run the server.
    Serve(Box<ServeFlags>),
    /// `-t`: check the configuration.
    Check(Box<ServeFlags>),
    /// `--signal`: tell a running server.
    Signal(SignalRequest),
    /// `natsd certs`.
    Certs(CertsFlags),
    /// `natsd convert`.
    Convert(ConvertFlags),
    /// `-v`: print the version.
    Version,
    /// `natsd top`.
    #[cfg(feature = "tui")]
    Top(TopFlags),
    /// `natsd paths`.
    #[cfg(feature = "scion")]
    Paths(PathsFlags),
    /// `natsd ping`.
    #[cfg(feature = "scion")]
    Ping(PingFlags),
    /// `natsd link`.
    #[cfg(feature = "scion")]
    Link(LinkFlags),
    /// `natsd lab`.
    #[cfg(feature = "lab")]
    Lab(LabFlags),
}

/// Parses the arguments, the first of which is the name of the program. Ends the process with status 2 if they are
/// wrong, and after printing help.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Command {
    try_parse(args).unwrap_or_else(|error| error.exit())
}

/// Parses the arguments, the first of which is the name of the program.
///
/// # Errors
///
/// What to print and the status to exit with; help is among the errors.
pub fn try_parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, clap::Error> {
    let mut command = Cli::command();
    let matches = command.try_get_matches_from_mut(single_dash::normalise(args, &Cli::command()))?;
    let cli = Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
    Ok(match cli.subcommand {
        _ if cli.version => Command::Version,
        Some(Subcommands::Version) => Command::Version,
        Some(Subcommands::Serve(flags)) => serve(*flags),
        Some(Subcommands::Certs(flags)) => Command::Certs(flags),
        Some(Subcommands::Convert(flags)) => Command::Convert(flags),
        #[cfg(feature = "tui")]
        Some(Subcommands::Top(flags)) => Command::Top(flags),
        #[cfg(feature = "scion")]
        Some(Subcommands::Paths(flags)) => Command::Paths(flags),
        #[cfg(feature = "scion")]
        Some(Subcommands::Ping(flags)) => Command::Ping(flags),
        #[cfg(feature = "scion")]
        Some(Subcommands::Link(flags)) => Command::Link(flags),
        #[cfg(feature = "lab")]
        Some(Subcommands::Lab(flags)) => Command::Lab(flags),
        None => match cli.signal {
            Some(request) => Command::Signal(request),
            None => serve(cli.serve),
        },
    })
}

fn serve(flags: ServeFlags) -> Command {
    let check = flags.test;
    let flags = Box::new(flags);
    if check { Command::Check(flags) } else { Command::Serve(flags) }
}

/// The line that `-v` prints.
pub fn version() -> String {
    format!("natsd: v{} (compatible with nats-server 2.15.2)", env!("CARGO_PKG_VERSION"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(args: &str) -> Result<Command, clap::Error> {
        try_parse(args.split(' ').map(OsString::from))
    }

    #[test]
    fn the_definition_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn words_choose_the_command_and_serve_is_the_default() {
        assert!(matches!(parsed("natsd"), Ok(Command::Serve(_))));
        assert!(matches!(parsed("natsd serve -p 4333"), Ok(Command::Serve(_))));
        assert!(matches!(parsed("natsd -t -c x.conf"), Ok(Command::Check(_))));
        for args in ["natsd -v", "natsd --version", "natsd -version", "natsd version"] {
            assert!(matches!(parsed(args), Ok(Command::Version)), "{args}");
        }
        for args in ["natsd -h", "natsd --help", "natsd -help", "natsd help"] {
            let help = parsed(args).expect_err(args);
            assert_eq!(help.exit_code(), 0, "{args}");
        }
    }

    #[test]
    fn an_unknown_flag_is_an_error_with_status_two() {
        for args in ["natsd --bogus", "natsd -cluster_nam x", "natsd --mqtt", "natsd stray", "natsd -t"] {
            assert_eq!(parsed(args).expect_err(args).exit_code(), 2, "{args}");
        }
        let hint = parsed("natsd -cluster_name x --no_advertize").expect_err("misspelt").to_string();
        assert!(hint.contains("--no_advertise"), "{hint}");
    }

    #[cfg(feature = "lab")]
    #[test]
    fn help_names_every_flag_of_the_server() {
        insta::assert_snapshot!(Cli::command().term_width(110).render_help());
    }

    #[cfg(feature = "scion")]
    #[test]
    fn paths_and_ping_take_scion_addresses() {
        let Ok(Command::Paths(flags)) = parsed("natsd paths 1-ff00:0:112 --preference mtu,hops") else {
            panic!("paths")
        };
        assert_eq!(
            (flags.destination.to_string(), flags.scion.preference.to_string()),
            ("1-ff00:0:112".into(), "mtu,hops".into())
        );
        let Ok(Command::Ping(flags)) = parsed("natsd ping 1-ff00:0:112,[::1] -c 5") else { panic!("ping") };
        assert_eq!((flags.destination.1.is_loopback(), flags.count), (true, 5));
        assert!(parsed("natsd ping 1-ff00:0:112").is_err());
        let Ok(Command::Paths(flags)) = parsed("natsd paths 1-ff00:0:112 --sciond [::1]:30255 -e -m 4 -l 127.0.0.1")
        else {
            panic!("paths")
        };
        assert_eq!((flags.scion.source.daemon.as_deref(), flags.maxpaths), (Some("[::1]:30255"), Some(4)));
        let Ok(Command::Paths(flags)) = parsed("natsd paths 1-ff00:0:112 --topology t.json --config n.conf") else {
            panic!("paths")
        };
        assert_eq!(flags.scion.source.topology.as_deref(), Some("t.json".as_ref()));
        assert_eq!(flags.scion.source.config.as_deref(), Some("n.conf".as_ref()));
        assert!(parsed("natsd paths 1-ff00:0:112 --topology t.json --daemon [::1]:1").is_err(), "one of them");
        assert!(parsed("natsd ping 1-ff00:0:112,::1 --path 00 --rank 1").is_err(), "one of them is enough");
        let wrong =
            parsed("natsd ping 1-ff00:0:112,::1 --sequence 1-ff00:0:112#x").expect_err("no interface").to_string();
        assert!(wrong.contains("hop 1, \"1-ff00:0:112#x\": an interface after '#'"), "{wrong}");
    }

    #[test]
    fn certificates_are_made_for_nodes() {
        let Ok(Command::Certs(flags)) = parsed("natsd certs --dir d --node a b=10.0.0.5,b.example --node c --days 90")
        else {
            panic!("certs")
        };
        assert_eq!(flags.node.iter().map(|node| node.name()).collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!((flags.days, flags.renew), (Some(90), false));
        for wrong in ["natsd certs --node a", "natsd certs --dir d --node a/b", "natsd certs --dir d --days 9999"] {
            assert_eq!(parsed(wrong).expect_err(wrong).exit_code(), 2, "{wrong}");
        }
    }

    #[cfg(feature = "lab")]
    #[test]
    fn the_lab_takes_a_script_of_cuts() {
        let Ok(Command::Lab(flags)) = parsed("natsd lab --for 20s --cut peer@8s --engine reference") else {
            panic!("lab")
        };
        assert_eq!(flags.duration, Some(std::time::Duration::from_secs(20)));
        assert_eq!(flags.cut, [TimedCut { link: "peer".into(), at: std::time::Duration::from_secs(8) }]);
        assert_eq!(flags.engine, LabEngine::Reference);
    }
}
