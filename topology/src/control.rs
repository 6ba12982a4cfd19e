//! Commands to a running lab, a line each: from a terminal, or over TCP from scripts.
//!
//! ```text
//! cut LINK [--dir ab|ba] [--keep-bfd]        routers notice (or, with --keep-bfd, never do)
//! restore LINK [--dir ab|ba]
//! set LINK [--dir ab|ba] [--latency MS] [--jitter MS] [--rate MBIT] [--loss PCT] [--queue MS] [--mtu BYTES]
//! stop router|daemon|control IA
//! start router|daemon|control IA
//! links                                      all links as JSON
//! ```
//!
//! The answer is one line: `ok`, JSON, or `error: …`.

use std::{
    collections::VecDeque,
    net::{Ipv4Addr, SocketAddrV4},
    sync::Arc,
    time::Duration,
};

use sciparse::identifier::isd_asn::IsdAsn;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::{
    engine::{Engine, LabError, Unit},
    link::{Cut, LinkChange},
    links::Way,
};

/// Longest command line that is read, in bytes.
const MAX_LINE: u64 = 4096;

/// A command.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Cut a link.
    Cut {
        /// Name of the link.
        link: String,
        /// How it fails.
        how: Cut,
        /// One direction, or both.
        way: Option<Way>,
    },
    /// Mend a link.
    Restore {
        /// Name of the link.
        link: String,
        /// One direction, or both.
        way: Option<Way>,
    },
    /// Change how a link behaves.
    Set {
        /// Name of the link.
        link: String,
        /// The new values.
        change: LinkChange,
        /// One direction, or both.
        way: Option<Way>,
    },
    /// Stop a part of an AS.
    Stop(Unit, IsdAsn),
    /// Start it again.
    Start(Unit, IsdAsn),
    /// Tell about all links.
    Links,
}

/// A line that is no command.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what each is")]
pub enum CommandError {
    #[error("`{0}` is no command: use cut, restore, set, stop, start, links")]
    Unknown(String),
    #[error("`{0}` needs {1}")]
    Missing(&'static str, &'static str),
    #[error("`{0}` is not understood here")]
    Unexpected(String),
    #[error("{0} `{1}`: use a number from 0 to {2}")]
    Number(String, String, f64),
    #[error("--dir `{0}`: use ab or ba")]
    Way(String),
    #[error("`{0}` is not an ISD-AS number: write it like 1-ff00:0:110")]
    Ia(String),
    #[error(transparent)]
    Lab(#[from] LabError),
}

impl Command {
    /// Reads a command line.
    ///
    /// # Errors
    /// [`CommandError`] says what to write instead.
    pub fn parse(line: &str) -> Result<Self, CommandError> {
        let mut words: VecDeque<&str> = line.split_whitespace().collect();
        let verb = words.pop_front().unwrap_or_default();
        match verb {
            "cut" => {
                let (link, way, rest) = link_and_way("cut", words)?;
                let how = match rest.as_slice() {
                    [] => Cut::Cable,
                    ["--keep-bfd"] => Cut::BlackHole,
                    [other, ..] => return Err(CommandError::Unexpected((*other).to_owned())),
                };
                Ok(Self::Cut { link, how, way })
            }
            "restore" => {
                let (link, way, rest) = link_and_way("restore", words)?;
                match rest.first() {
                    None => Ok(Self::Restore { link, way }),
                    Some(other) => Err(CommandError::Unexpected((*other).to_owned())),
                }
            }
            "set" => {
                let (link, way, rest) = link_and_way("set", words)?;
                let change = link_change(&rest)?;
                Ok(Self::Set { link, change, way })
            }
            "stop" => unit_of("stop", words).map(|(unit, ia)| Self::Stop(unit, ia)),
            "start" => unit_of("start", words).map(|(unit, ia)| Self::Start(unit, ia)),
            "links" => Ok(Self::Links),
            other => Err(CommandError::Unknown(other.to_owned())),
        }
    }

    /// Does what the command says and returns the answer.
    ///
    /// # Errors
    /// What the lab answers.
    pub async fn run(&self, lab: &dyn Engine) -> Result<String, LabError> {
        match self {
            Self::Cut { link, how, way } => lab.cut(link, *how, *way)?,
            Self::Restore { link, way } => lab.restore(link, *way)?,
            Self::Set { link, change, way } => lab.set(link, change, *way)?,
            Self::Stop(unit, ia) => lab.stop_unit(*unit, *ia).await?,
            Self::Start(unit, ia) => lab.start_unit(*unit, *ia).await?,
            Self::Links => {
                return Ok(serde_json::to_string(&lab.links()).expect("link states have only string keys"));
            }
        }
        Ok("ok".to_owned())
    }
}

/// The answer to a line: `ok`, JSON, or `error: …`.
pub async fn answer(lab: &dyn Engine, line: &str) -> String {
    let result = match Command::parse(line) {
        Ok(command) => command.run(lab).await.map_err(CommandError::from),
        Err(e) => Err(e),
    };
    result.unwrap_or_else(|e| format!("error: {e}"))
}

/// Where the lab with this network number takes commands.
pub fn address(net: u8) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(127, net, 0, 1), 31000)
}

/// Takes commands over TCP until the task is aborted.
///
/// # Errors
/// If the address is taken.
pub async fn listen(lab: Arc<dyn Engine>, net: u8) -> std::io::Result<JoinHandle<()>> {
    let listener = TcpListener::bind(address(net)).await?;
    Ok(tokio::spawn(async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let lab = Arc::clone(&lab);
                    tokio::spawn(async move {
                        if let Err(e) = converse(lab.as_ref(), stream).await {
                            log::debug!("control connection: {e}");
                        }
                    });
                }
                Err(e) => {
                    log::warn!("control connection not accepted: {e}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }))
}

async fn converse(lab: &dyn Engine, mut stream: TcpStream) -> std::io::Result<()> {
    let (read, mut write) = stream.split();
    let mut reader = BufReader::new(read);
    let mut line = String::new();
    loop {
        line.clear();
        if (&mut reader).take(MAX_LINE).read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let mut reply = answer(lab, &line).await;
        reply.push('\n');
        write.write_all(reply.as_bytes()).await?;
    }
}

type LinkAndWay<'a> = (String, Option<Way>, Vec<&'a str>);

fn link_and_way<'a>(verb: &'static str, mut words: VecDeque<&'a str>) -> Result<LinkAndWay<'a>, CommandError> {
    let link = words.pop_front().ok_or(CommandError::Missing(verb, "the name of a link"))?;
    let mut way = None;
    let mut rest = Vec::new();
    while let Some(word) = words.pop_front() {
        if word != "--dir" {
            rest.push(word);
            continue;
        }
        way = match words.pop_front() {
            Some("ab") => Some(Way::Ab),
            Some("ba") => Some(Way::Ba),
            other => return Err(CommandError::Way(other.unwrap_or_default().to_owned())),
        };
    }
    Ok((link.to_owned(), way, rest))
}

fn link_change(words: &[&str]) -> Result<LinkChange, CommandError> {
    let mut change = LinkChange::default();
    for pair in words.chunks(2) {
        let option = pair[0];
        let text = pair.get(1).copied().unwrap_or_default();
        let max = match option {
            "--loss" => 100.0,
            "--rate" => 1e6,
            "--latency" | "--jitter" | "--queue" => 60_000.0,
            "--mtu" => f64::from(u16::MAX),
            other => return Err(CommandError::Unexpected(other.to_owned())),
        };
        let value: f64 = text
            .parse()
            .ok()
            .filter(|value| (0.0..=max).contains(value))
            .ok_or_else(|| CommandError::Number(option.to_owned(), text.to_owned(), max))?;
        let ms = || Some(Duration::from_secs_f64(value / 1e3));
        match option {
            "--loss" => change.loss_pct = Some(value),
            "--rate" => change.bandwidth_bps = Some((value * 1e6) as u64),
            "--latency" => change.latency = ms(),
            "--jitter" => change.jitter = ms(),
            "--mtu" => change.mtu = Some(value as u16),
            _ => change.queue = ms(),
        }
    }
    Ok(change)
}

fn unit_of(verb: &'static str, mut words: VecDeque<&str>) -> Result<(Unit, IsdAsn), CommandError> {
    let unit = words.pop_front().ok_or(CommandError::Missing(verb, "router, daemon or control"))?.parse()?;
    let ia = words.pop_front().ok_or(CommandError::Missing(verb, "an ISD-AS number"))?;
    let ia = ia.parse().map_err(|_| CommandError::Ia(ia.to_owned()))?;
    match words.pop_front() {
        None => Ok((unit, ia)),
        Some(other) => Err(CommandError::Unexpected(other.to_owned())),
    }
}
