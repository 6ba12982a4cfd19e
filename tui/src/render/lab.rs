//! The links of a lab with the keys that break them, and the counters of its load.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Paragraph};

use super::Theme;
use super::list::{Column, Columns};
use crate::format::{millis, scaled};
use crate::{LabLink, LabLoad, LabView};

const COLUMNS: &[Column] = &[
    Column { title: "", width: 1, right: false, keep: 10 },
    Column { title: "LINK", width: 8, right: false, keep: 9 },
    Column { title: "STATE", width: 10, right: false, keep: 8 },
    Column { title: "LATENCY", width: 7, right: true, keep: 5 },
    Column { title: "BIT/S", width: 5, right: true, keep: 7 },
    Column { title: "BETWEEN", width: 14, right: false, keep: 3 },
];
const COUNTERS: u16 = 21;
/// Lines of the counters, and the border above.
const LEAST: usize = 7;

/// Rows that the panel wants.
pub(super) fn height(view: &LabView) -> u16 {
    (view.links.len() + 2).clamp(LEAST, 30) as u16
}

pub(super) fn draw(frame: &mut Frame, area: Rect, view: &LabView, black_hole_next: bool, theme: Theme) {
    let title =
        if black_hole_next { " lab: which link becomes a black hole? " } else { " lab: letter cuts or restores " };
    let style = if black_hole_next { theme.notable() } else { theme.label() };
    let block = Block::new().borders(Borders::TOP).border_style(style).title(title);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let [links, counters] = Layout::horizontal([Constraint::Fill(1), Constraint::Length(COUNTERS)]).areas(inner);
    draw_links(frame, links, &view.links, theme);
    frame.render_widget(Paragraph::new(counter_lines(&view.load, theme)), counters);
}

fn draw_links(frame: &mut Frame, area: Rect, links: &[LabLink], theme: Theme) {
    let columns = Columns::fit(COLUMNS, area.width.saturating_sub(1), None);
    let rows = ('A'..='Z').map(Some).chain(std::iter::repeat(None)).zip(links).map(|(key, link)| {
        columns.row(&[
            (key.map_or(String::new(), String::from), theme.notable()),
            (link.name.clone(), Style::new()),
            (link.state.as_str().into(), theme.link(link.state)),
            (millis(Some(link.latency.as_secs_f64() * 1e3)), Style::new()),
            (scaled(link.bits_per_second as f64), Style::new()),
            (format!("{} - {}", link.a, link.b), Style::new()),
        ])
    });
    let lines: Vec<_> = [columns.titles(theme)].into_iter().chain(rows).collect();
    frame.render_widget(Paragraph::new(lines), area);
}

fn counter_lines(load: &LabLoad, theme: Theme) -> Vec<Line<'static>> {
    let harm = |count: u64| if count > 0 { theme.bad() } else { theme.good() };
    [
        ("sent", load.sent.to_string(), Style::new()),
        ("received", load.received.to_string(), Style::new()),
        ("lost", load.lost.to_string(), harm(load.lost)),
        ("duplicated", load.duplicated.to_string(), harm(load.duplicated)),
        ("rate", format!("{:.0}/s", load.rate), Style::new()),
        ("longest gap", format!("{} ms", load.longest_gap.as_millis()), Style::new()),
    ]
    .into_iter()
    .map(|(name, value, style)| {
        Line::from(vec![Span::styled(format!("{name:11} "), theme.label()), Span::styled(value, style)])
    })
    .collect()
}
