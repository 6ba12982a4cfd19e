//! All keys.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::{Block, Clear, Paragraph};

use super::Theme;
use crate::state::State;

const KEYS: &[&str] = &[
    "1 to 6, Tab      paths, routes, connections, events, map, accounts",
    "j k, arrows      select; PageUp, PageDown, Home, End",
    "Enter            why is this path where it is? Esc closes",
    "s                next order of the rows",
    "/                show only rows with a text; Esc clears",
    "f                freeze the screen; readings go on",
    "?                this help; any key closes it",
    "q, Control-C     quit",
];
const LAB: &[&str] = &[
    "",
    "A ... Z          cut that link, or restore it",
    "b, then A ... Z  let it drop packets without a word",
    "r                restore all links",
];
const LEGEND: &[&str] = &[
    "",
    "RTT, JITTER, LOSS and GIVES are measured; ONE-WAY and BANDW",
    "are what the ASes announce. ? is unknown, never zero; >9M is",
    "at least 9 Mbit/s. MTU 1280! is less than is announced: larger",
    "packets vanish. A dot in the history is a time without answer.",
];

pub(super) fn draw(frame: &mut Frame, area: Rect, state: &State, theme: Theme) {
    let lab = if state.lab.is_some() { LAB } else { &[] };
    let lines: Vec<_> = [KEYS, lab, LEGEND].concat().into_iter().map(Line::raw).collect();
    let width = lines.iter().map(Line::width).max().unwrap_or(0) as u16 + 4;
    let area = area.centered(width.into(), (lines.len() as u16 + 2).into());
    frame.render_widget(Clear, area);
    let block = Block::bordered().title(" Keys ").border_style(theme.label());
    frame.render_widget(Paragraph::new(lines).block(block.padding(ratatui::widgets::Padding::horizontal(1))), area);
}
