//! What passes in accounts.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;

use super::Theme;
use super::list::{self, Column, Columns};
use crate::format::{UNKNOWN, scaled};
use crate::rows::{self, AccountRow};
use crate::state::State;

const COLUMNS: &[Column] = &[
    Column { title: list::SERVER, width: 8, right: false, keep: 1 },
    Column { title: "ACCOUNT", width: 16, right: false, keep: 10 },
    Column { title: "CONNS", width: 5, right: true, keep: 9 },
    Column { title: "LEAFS", width: 5, right: true, keep: 4 },
    Column { title: "SUBS", width: 5, right: true, keep: 6 },
    Column { title: "IN/S", width: 5, right: true, keep: 8 },
    Column { title: "OUT/S", width: 5, right: true, keep: 7 },
    Column { title: "MSGS IN", width: 7, right: true, keep: 5 },
    Column { title: "OUT", width: 5, right: true, keep: 5 },
    Column { title: "BYTES IN", width: 8, right: true, keep: 2 },
    Column { title: "OUT", width: 5, right: true, keep: 2 },
    Column { title: "SLOW", width: 4, right: true, keep: 3 },
];

pub(super) fn draw(frame: &mut Frame, area: Rect, state: &State, theme: Theme) {
    let rows = rows::accounts(state);
    let columns = Columns::fit(COLUMNS, area.width, list::hidden_column(state));
    let mut lines: Vec<_> = rows.iter().map(|row| line(row, &columns, theme)).collect();
    let mut selected = rows::selected(state, &rows);
    if lines.is_empty() {
        lines.push(Line::raw("no accounts have clients"));
        selected = usize::MAX;
    }
    list::draw(frame, area, columns.titles(theme), lines, selected, theme);
}

fn line(row: &AccountRow<'_>, columns: &Columns, theme: Theme) -> Line<'static> {
    let AccountRow { server, stat } = row;
    let plain = |text: String| (text, Style::new());
    let rate = server.traffic.rate("account", &stat.account);
    let name = if stat.name.is_empty() { &stat.account } else { &stat.name };
    columns.row(&[
        plain(server.label()),
        plain(name.clone()),
        plain(stat.conns.to_string()),
        plain(stat.leafnodes.to_string()),
        plain(scaled(stat.num_subscriptions as f64)),
        plain(rate.map_or(UNKNOWN.into(), |(received, _)| scaled(received))),
        plain(rate.map_or(UNKNOWN.into(), |(_, sent)| scaled(sent))),
        plain(scaled(stat.received.msgs as f64)),
        plain(scaled(stat.sent.msgs as f64)),
        plain(scaled(stat.received.bytes as f64)),
        plain(scaled(stat.sent.bytes as f64)),
        (stat.slow_consumers.to_string(), if stat.slow_consumers > 0 { theme.notable() } else { Style::new() }),
    ])
}
