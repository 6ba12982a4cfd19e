//! What happened.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::Line;
use ratatui::widgets::{Block, Borders, Paragraph, Wrap};

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
    Column { title: "WHAT", width: 13, right: false, keep: 9 },
    Column { title: "GAP", width: 6, right: true, keep: 3 },
    Column { title: "EVENT", width: 24, right: false, keep: 10 },
];
/// Rows of [`draw_recent`], its title included.
pub(super) const RECENT_HEIGHT: u16 = 8;

/// Rows of the selected event in full, its title included, and of the list at least above it.
const DETAIL: (u16, u16) = (4, 6);

/// The whole log, and the selected entry in full.
pub(super) fn draw(frame: &mut Frame, area: Rect, state: &State, theme: Theme) {
    let rows = rows::events(state);
    let height = if area.height >= DETAIL.0 + DETAIL.1 { DETAIL.0 } else { 0 };
    let [area, detail] = Layout::vertical([Constraint::Fill(1), Constraint::Length(height)]).areas(area);
    if let Some(entry) = rows.get(rows::selected(state, &rows)) {
        draw_detail(frame, detail, entry, theme);
    }
    let columns = Columns::fit(COLUMNS, area.width, list::hidden_column(state));
    let mut lines: Vec<_> = rows.iter().map(|entry| line(entry, &columns, theme)).collect();
    let mut selected = rows::selected(state, &rows);
    if lines.is_empty() {
        lines.push(Line::raw("nothing happened yet"));
        selected = usize::MAX;
    }
    list::draw(frame, area, columns.titles(theme), lines, selected, theme);
}

fn draw_detail(frame: &mut Frame, area: Rect, entry: &Entry, theme: Theme) {
    let gap = entry.gap_ms.map(|ms| format!(", after {ms} ms of silence")).unwrap_or_default();
    let text = [format!("{}{gap}", entry.text), entry.detail.clone()];
    let lines: Vec<_> = text.into_iter().filter(|text| !text.is_empty()).map(Line::raw).collect();
    let title = format!(" {} {} ", entry.kind, entry.time);
    let block = Block::new().borders(Borders::TOP).border_style(theme.label()).title(title);
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }).block(block), area);
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
