//! The clients.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;

use super::Theme;
use super::list::{self, Column, Columns};
use crate::format::{UNKNOWN, scaled};
use crate::rows::{self, ConnRow};
use crate::state::State;

const COLUMNS: &[Column] = &[
    Column { title: list::SERVER, width: 8, right: false, keep: 1 },
    Column { title: "CID", width: 5, right: true, keep: 10 },
    Column { title: "ADDRESS", width: 28, right: false, keep: 9 },
    Column { title: "SUBS", width: 4, right: true, keep: 5 },
    Column { title: "PEND", width: 4, right: true, keep: 4 },
    Column { title: "IN/S", width: 4, right: true, keep: 7 },
    Column { title: "OUT/S", width: 5, right: true, keep: 6 },
    Column { title: "MSG IN", width: 6, right: true, keep: 2 },
    Column { title: "OUT", width: 4, right: true, keep: 2 },
    Column { title: "STALLS", width: 6, right: true, keep: 1 },
    Column { title: "RTT", width: 8, right: true, keep: 3 },
    Column { title: "UPTIME", width: 8, right: true, keep: 2 },
    Column { title: "NAME", width: 8, right: false, keep: 8 },
];

pub(super) fn draw(frame: &mut Frame, area: Rect, state: &State, theme: Theme) {
    let rows = rows::connections(state);
    let columns = Columns::fit(COLUMNS, area.width, list::hidden_column(state));
    let mut lines: Vec<_> = rows.iter().map(|row| line(row, &columns)).collect();
    let mut selected = rows::selected(state, &rows);
    if lines.is_empty() {
        lines.push(Line::raw("no connections"));
        selected = usize::MAX;
    }
    list::draw(frame, area, columns.titles(theme), lines, selected, theme);
}

fn line(row: &ConnRow<'_>, columns: &Columns) -> Line<'static> {
    let ConnRow { server, conn } = row;
    let address = if conn.isd_as.is_empty() {
        format!("{}:{}", conn.ip, conn.port)
    } else {
        format!("[{},{}]:{}", conn.isd_as, conn.ip, conn.port)
    };
    let library = format!("{} {}", conn.lang, conn.version);
    let name = [conn.name.as_str(), library.trim()].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>();
    let rate = server.traffic.rate("client", conn.cid);
    let cells = [
        server.label(),
        conn.cid.to_string(),
        address,
        conn.subscriptions.to_string(),
        scaled(conn.pending_bytes as f64),
        rate.map_or(UNKNOWN.into(), |(received, _)| scaled(received)),
        rate.map_or(UNKNOWN.into(), |(_, sent)| scaled(sent)),
        scaled(conn.in_msgs as f64),
        scaled(conn.out_msgs as f64),
        conn.stalls.to_string(),
        if conn.rtt.is_empty() { "?".into() } else { conn.rtt.clone() },
        conn.uptime.clone(),
        name.join(", "),
    ];
    columns.row(&cells.map(|text| (text, Style::new())))
}
