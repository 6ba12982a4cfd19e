//! The paths to every peer, best first.

use natsd_api::{DaemonState, LinkKind, PathInfo, Pathz, Transport};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::Theme;
use super::list::{self, Cell, Column, Columns};
use crate::format::{UNKNOWN, bandwidth, millis, percent, printable, span, sparkline};
use crate::past::Slice;
use crate::reasons::traffic_class;
use crate::rows::{self, PathRow};
use crate::state::State;
use crate::world::Server;

const COLUMNS: &[Column] = &[
    Column { title: "RANK", width: 4, right: true, keep: 11 },
    Column { title: "STATE", width: 9, right: false, keep: 12 },
    Column { title: "PATH", width: 11, right: false, keep: 13 },
    Column { title: "HOPS", width: 4, right: true, keep: 2 },
    Column { title: "RTT", width: 7, right: true, keep: 10 },
    Column { title: "JITTER", width: 6, right: true, keep: 6 },
    Column { title: "LOSS", width: 5, right: true, keep: 8 },
    Column { title: "ONE-WAY", width: 7, right: true, keep: 1 },
    Column { title: "BANDW", width: 5, right: true, keep: 4 },
    Column { title: "GIVES", width: 5, right: true, keep: 7 },
    Column { title: "MTU", width: 5, right: true, keep: 3 },
    Column { title: "ENDS", width: 4, right: true, keep: 5 },
    Column { title: "RTT 2MIN", width: 8, right: false, keep: 9 },
];
const HISTORY: usize = 12;

pub(super) fn draw(frame: &mut Frame, area: Rect, state: &State, theme: Theme) {
    let Table { titles, lines, selected } = table(state, area.width, theme);
    list::draw(frame, area, titles, lines, selected, theme);
}

/// The list as lines of text of `width` cells.
pub(super) fn text(state: &State, width: u16, theme: Theme) -> String {
    let Table { titles, lines, .. } = table(state, width, theme);
    let text = |line: Line<'_>| line.iter().map(|span| span.content.as_ref()).collect::<String>();
    let lines = [titles].into_iter().chain(lines).map(text);
    lines.map(|line| printable(line.trim_end()) + "\n").collect()
}

struct Table {
    titles: Line<'static>,
    lines: Vec<Line<'static>>,
    selected: usize,
}

fn table(state: &State, width: u16, theme: Theme) -> Table {
    let rows = rows::paths(state);
    let columns = Columns::fit(COLUMNS, width, None);
    let selected = rows::selected(state, &rows);
    let (mut lines, mut selected_line) = (Vec::new(), 0);
    let mut index = 0;
    for server in &state.world().servers {
        lines.extend(server_notice(server, theme));
        let mut peer = None;
        for row in rows.iter().filter(|row| std::ptr::eq(row.server, server)) {
            if peer.replace(row.peer.heading()) != Some(row.peer.heading()) {
                lines.push(peer_heading(row, theme));
            }
            if index == selected {
                selected_line = lines.len();
            }
            lines.push(columns.row(&cells(row, columns.width(HISTORY), theme)));
            let condition = row.path.condition.as_ref().map(|condition| format!("     ! {condition}"));
            lines.extend(condition.map(|text| Line::styled(text, theme.notable())));
            index += 1;
        }
    }
    // With nothing to select, nothing is reversed.
    let selected = if rows.is_empty() { usize::MAX } else { selected_line };
    Table { titles: columns.titles(theme), lines, selected }
}

/// What there is to say of a server besides its paths.
fn server_notice(server: &Server, theme: Theme) -> Option<Line<'static>> {
    let label = server.label();
    match &server.latest.as_ref()?.pathz {
        None => Some(Line::raw(format!("{label} runs without SCION: it has no /pathz"))),
        Some(Pathz { daemon, .. }) if daemon.state == DaemonState::Down => {
            let error = daemon.error.as_deref().unwrap_or("no answer");
            let text = format!("SCION daemon of {label} at {}: {error}; known paths stay in use", daemon.address);
            Some(Line::styled(text, theme.bad()))
        }
        Some(Pathz { local_as: None, daemon, .. }) if !daemon.address.is_empty() => {
            Some(Line::raw(format!("{label} waits for its SCION daemon")))
        }
        Some(Pathz { peers, .. }) if peers.is_empty() => {
            Some(Line::raw(format!("{label} has no link over SCION yet, so it looks up no paths")))
        }
        Some(_) => None,
    }
}

fn peer_heading(row: &PathRow<'_>, theme: Theme) -> Line<'static> {
    let pathz = row.server.latest.as_ref().and_then(|snapshot| snapshot.pathz.as_ref());
    let local_as = pathz.and_then(|pathz| pathz.local_as.as_deref()).unwrap_or("?");
    let label = match row.peer.paths.iter().any(|path| path.transport == Transport::Udp) {
        true => row.server.label().to_string(),
        false => format!("{} {local_as}", row.server.label()),
    };
    let peer = row.peer;
    let preference = match (peer.path_preference.as_slice(), pathz) {
        ([], Some(pathz)) => pathz.path_preference.join(","),
        (words, _) => words.join(","),
    };
    let class = traffic_class(peer, pathz.map(|pathz| pathz.peers.as_slice()).unwrap_or_default());
    let over = match peer.transport {
        _ if peer.active.is_none() => Span::styled("no path", theme.bad()),
        Transport::Tcp => Span::styled("over TCP/IP", theme.notable()),
        Transport::Udp => Span::raw("over UDP/IP"),
        Transport::Scion | Transport::Unknown => Span::raw("over SCION"),
    };
    Line::from(vec![
        Span::styled(format!("{label} > {} ", peer.remote_as), theme.heading()),
        over,
        Span::raw(format!(": {class}, {}; {} paths by {preference}", links(&peer.links), peer.paths.len())),
    ])
}

/// `2 routes, 1 client`.
fn links(links: &[natsd_api::Link]) -> String {
    let kinds = [
        (LinkKind::Route, "route"),
        (LinkKind::Gateway, "gateway"),
        (LinkKind::Leaf, "leaf"),
        (LinkKind::Client, "client"),
        (LinkKind::Unknown, "link"),
    ];
    let counted = kinds.map(|(kind, name)| (links.iter().filter(|link| link.kind == kind).count(), name));
    let counted = counted.into_iter().filter(|(count, _)| *count > 0);
    let words: Vec<_> =
        counted.map(|(count, name)| format!("{count} {name}{}", if count == 1 { "" } else { "s" })).collect();
    if words.is_empty() { "no links".into() } else { words.join(", ") }
}

fn cells(row: &PathRow<'_>, history: usize, theme: Theme) -> [Cell; 13] {
    let PathRow { server, peer, path } = row;
    let plain = |text: String| (text, Style::new());
    let name = match path.transport {
        Transport::Tcp => format!("#{} TCP/IP", path.id),
        _ => format!("#{} {}", path.id, path.fingerprint.chars().take(8).collect::<String>()),
    };
    let loss = path.measured.loss;
    let loss_style = if loss.is_some_and(|loss| loss >= 0.05) { theme.notable() } else { Style::new() };
    [
        plain(path.rank.to_string()),
        (path.state.as_str().into(), theme.path(path.state)),
        plain(name),
        plain(path.hops.to_string()),
        plain(millis(path.measured.rtt_ms)),
        plain(millis(path.measured.jitter_ms)),
        (percent(loss), loss_style),
        plain(millis(path.announced.latency_ms)),
        plain(bandwidth(path.announced.bandwidth_kbps)),
        plain(gives(path)),
        (mtu(path), if path.measured.mtu.is_some() { theme.notable() } else { Style::new() }),
        plain(time_left(path, server)),
        plain(sparkline(&server.past(peer, &path.fingerprint, history, Slice::rtt))),
    ]
}

/// What it gave when it was full; else `>` and the most that it delivered.
fn gives(path: &PathInfo) -> String {
    match (path.measured.bandwidth_kbps, path.measured.delivered_kbps) {
        (None, Some(delivered)) => format!(">{}", bandwidth(Some(delivered))),
        (measured, _) => bandwidth(measured),
    }
}

/// What it gave, and what is announced, in words.
pub(super) fn data_rates(path: &PathInfo) -> String {
    format!("{} of {}", gives(path), bandwidth(path.announced.bandwidth_kbps))
}

/// What passes; with `!` if that is less than announced.
fn mtu(path: &PathInfo) -> String {
    match (path.measured.mtu, path.mtu) {
        (Some(passes), _) => format!("{passes}!"),
        (None, announced) => announced.map_or(UNKNOWN.into(), |mtu| mtu.to_string()),
    }
}

pub(super) fn mtu_in_words(path: &PathInfo) -> String {
    let announced = path.mtu.map_or(UNKNOWN.into(), |mtu| mtu.to_string());
    match path.measured.mtu {
        Some(passes) => format!("{passes} bytes pass, {announced} are announced"),
        None => format!("up to {announced} bytes"),
    }
}

/// Until the path ends, by the server's clock.
pub(super) fn time_left(path: &PathInfo, server: &Server) -> String {
    path.expiry.map_or("-".into(), |expiry| span(expiry.since(server.paths_at())))
}
