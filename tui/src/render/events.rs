//! What happened.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;
use ratatui::widgets::{Block, Borders, Paragraph};

use super::Theme;
use super::list::{self, Column, Columns};
use crate::format::millis;
use crate::rows;
use crate::state::State;
use crate::world::Entry;

const COLUMNS: &[Column] = &[
    Column { title: "UTC", width: 8, right: false, keep: 8 },
    Column { title: list::SERVER, width: 8, right: false, keep: 1 },
    Column { title: "PEER", width: 14, right: false, keep: 2 },
    Column { title: "WHAT", width: 9, right: false, keep: 9 },
    Column { title: "GAP", width: 6, right: true, keep: 3 },
    Column { title: "EVENT", width: 24, right: false, keep: 10 },
];
/// Rows of [`draw_recent`], its title included.
pub(super) const RECENT_HEIGHT: u16 = 8;

/// The whole log.
pub(super) fn draw(frame: &mut Frame, area: Rect, state: &State, theme: Theme) {
    let rows = rows::events(state);
    let columns = Columns::fit(COLUMNS, area.width, list::hidden_column(state));
    let mut lines: Vec<_> = rows.iter().map(|entry| line(entry, &columns, theme)).collect();
    let mut selected = rows::selected(state, &rows);
    if lines.is_empty() {
        lines.push(Line::raw("nothing happened yet"));
        selected = usize::MAX;
    }
    list::draw(frame, area, columns.titles(theme), lines, selected, theme);
}

/// The last entries, newest first.
pub(super) fn draw_recent(frame: &mut Frame, area: Rect, state: &State, theme: Theme) {
    let columns = Columns::fit(COLUMNS, area.width, list::hidden_column(state));
    let count = area.height.saturating_sub(1).into();
    let lines: Vec<_> = state.world().log.iter().rev().take(count).map(|entry| line(entry, &columns, theme)).collect();
    let block = Block::new().borders(Borders::TOP).border_style(theme.label()).title(" events ");
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

fn line(entry: &Entry, columns: &Columns, theme: Theme) -> Line<'static> {
    let plain = |text: String| (text, Style::new());
    columns.row(&[
        plain(entry.time.time_of_day()),
        plain(entry.server.clone()),
        plain(entry.heading.clone()),
        (entry.kind.into(), theme.weight(entry.weight)),
        plain(entry.gap_ms.map_or(String::new(), |ms| millis(Some(ms)))),
        plain(entry.text.clone()),
    ])
}
