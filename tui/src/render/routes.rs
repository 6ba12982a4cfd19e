//! The connections to other servers.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;

use super::Theme;
use super::list::{self, Column, Columns};
use crate::format::{UNKNOWN, scaled};
use crate::rows::{self, LinkRow};
use crate::state::State;

const COLUMNS: &[Column] = &[
    Column { title: list::SERVER, width: 8, right: false, keep: 3 },
    Column { title: "PEER", width: 12, right: false, keep: 20 },
    Column { title: "KIND", width: 6, right: false, keep: 14 },
    Column { title: "OVER", width: 5, right: false, keep: 18 },
    Column { title: "PATH", width: 8, right: false, keep: 13 },
    Column { title: "DIAL", width: 4, right: false, keep: 1 },
    Column { title: "RTT", width: 8, right: true, keep: 19 },
    Column { title: "IN/S", width: 5, right: true, keep: 17 },
    Column { title: "OUT/S", width: 5, right: true, keep: 16 },
    Column { title: "IN", width: 5, right: true, keep: 5 },
    Column { title: "OUT", width: 5, right: true, keep: 4 },
    Column { title: "PEND", width: 5, right: true, keep: 15 },
    Column { title: "SUBS", width: 5, right: true, keep: 12 },
    Column { title: "COMPRESSED", width: 10, right: false, keep: 6 },
    Column { title: "FOR", width: 10, right: false, keep: 7 },
    Column { title: "ADDRESS", width: 12, right: false, keep: 2 },
];

pub(super) fn draw(frame: &mut Frame, area: Rect, state: &State, theme: Theme) {
    let rows = rows::links(state);
    let columns = Columns::fit(COLUMNS, area.width, list::hidden_column(state));
    let mut lines: Vec<_> = rows.iter().map(|row| line(row, &columns, theme)).collect();
    let mut selected = rows::selected(state, &rows);
    if lines.is_empty() {
        lines.push(Line::raw("no connections to other servers"));
        selected = usize::MAX;
    }
    list::draw(frame, area, columns.titles(theme), lines, selected, theme);
}

fn line(row: &LinkRow<'_>, columns: &Columns, theme: Theme) -> Line<'static> {
    let LinkRow { server, link } = row;
    let plain = |text: String| (text, Style::new());
    let (over, style) = match (link.isd_as.as_str(), link.path.is_empty()) {
        ("", true) => ("TCP", Style::new()),
        ("", false) => ("UDP", Style::new()),
        _ => ("SCION", theme.good()),
    };
    let rate = server.traffic.rate(link.kind, link.id);
    let known = |text: &str| if text.is_empty() { UNKNOWN.into() } else { text.to_owned() };
    columns.row(&[
        plain(server.label()),
        plain(link.peer.clone()),
        plain(link.what.into()),
        (over.into(), style),
        plain(link.path.chars().take(8).collect()),
        plain(link.dial.into()),
        plain(known(&link.rtt)),
        plain(rate.map_or(UNKNOWN.into(), |(received, _)| scaled(received))),
        plain(rate.map_or(UNKNOWN.into(), |(_, sent)| scaled(sent))),
        plain(scaled(link.in_msgs as f64)),
        plain(scaled(link.out_msgs as f64)),
        plain(link.pending.map_or(UNKNOWN.into(), |bytes| scaled(bytes as f64))),
        plain(link.subscriptions.to_string()),
        plain(known(&link.compression)),
        plain(link.purpose.clone()),
        plain(link.address()),
    ])
}
