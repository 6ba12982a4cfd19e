//! The connections to other servers.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;

use super::Theme;
use super::list::{self, Column, Columns};
use crate::format::scaled;
use crate::rows::{self, RouteRow};
use crate::state::State;

const COLUMNS: &[Column] = &[
    Column { title: list::SERVER, width: 8, right: false, keep: 2 },
    Column { title: "PEER", width: 12, right: false, keep: 10 },
    Column { title: "OVER", width: 5, right: false, keep: 8 },
    Column { title: "DIAL", width: 4, right: false, keep: 1 },
    Column { title: "RTT", width: 10, right: true, keep: 9 },
    Column { title: "IN", width: 5, right: true, keep: 7 },
    Column { title: "OUT", width: 5, right: true, keep: 6 },
    Column { title: "PEND", width: 5, right: true, keep: 5 },
    Column { title: "SUBS", width: 5, right: true, keep: 4 },
    Column { title: "ADDRESS", width: 12, right: false, keep: 3 },
];

pub(super) fn draw(frame: &mut Frame, area: Rect, state: &State, theme: Theme) {
    let rows = rows::routes(state);
    let columns = Columns::fit(COLUMNS, area.width, list::hidden_column(state));
    let mut lines: Vec<_> = rows.iter().map(|row| line(row, &columns, theme)).collect();
    let mut selected = rows::selected(state, &rows);
    if lines.is_empty() {
        lines.push(Line::raw("no routes"));
        selected = usize::MAX;
    }
    list::draw(frame, area, columns.titles(theme), lines, selected, theme);
}

fn line(row: &RouteRow<'_>, columns: &Columns, theme: Theme) -> Line<'static> {
    let RouteRow { server, route } = row;
    let plain = |text: String| (text, Style::new());
    let (over, style, address) = if route.isd_as.is_empty() {
        ("TCP", Style::new(), format!("{}:{}", route.ip, route.port))
    } else {
        ("SCION", theme.good(), format!("[{},{}]:{}", route.isd_as, route.ip, route.port))
    };
    columns.row(&[
        plain(server.label()),
        plain(route.remote_name.clone()),
        (over.into(), style),
        plain(if route.did_solicit { "out" } else { "in" }.into()),
        plain(if route.rtt.is_empty() { "?".into() } else { route.rtt.clone() }),
        plain(scaled(route.in_msgs as f64)),
        plain(scaled(route.out_msgs as f64)),
        plain(scaled(route.pending_size as f64)),
        plain(route.subscriptions.to_string()),
        plain(address),
    ])
}
