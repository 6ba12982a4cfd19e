//! Why the selected path stands where it does.

use natsd_api::{PathInfo, PathState};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Paragraph, Wrap};

use super::Theme;
use super::list::pad;
use super::paths::{data_rates, mtu_in_words, time_left};
use crate::format::{Mark, millis, percent, sparkline};
use crate::past::Slice;
use crate::reasons::{Comparison, traffic_class};
use crate::rows::{self, PathRow};
use crate::state::State;

/// Cells of the names of what counts.
const TITLES: usize = 18;

pub(super) fn draw(frame: &mut Frame, area: Rect, state: &State, theme: Theme) {
    let rows = rows::paths(state);
    let Some(row) = rows.get(rows::selected(state, &rows)) else {
        return frame.render_widget(Line::raw("there is no path"), area);
    };
    let path = row.path;
    let title = format!(" why is path #{} number {} to {}? ", path.id, path.rank, row.peer.heading());
    let block = Block::new().borders(Borders::TOP).border_style(theme.label()).title(title);
    let inner = block.inner(area);
    frame.render_widget(block, area);

    let width = inner.width.into();
    let mut lines = answer(row, theme);
    lines.extend(table(row, width, theme));
    lines.extend(past(row, width, theme));
    lines.extend(facts(row, theme));
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }), inner);
}

/// The answer in words.
fn answer(row: &PathRow<'_>, theme: Theme) -> Vec<Line<'static>> {
    let PathRow { server, peer, path } = row;
    let peers = server.pathz().map(|pathz| pathz.peers.as_slice()).unwrap_or_default();
    let class = traffic_class(peer, peers);
    let carries = match peer.active.as_deref() {
        Some(active) if active == path.fingerprint => format!(" and carries {class}"),
        _ => String::new(),
    };
    let mut lines = vec![Line::from(vec![
        Span::raw(format!("#{} is ", path.id)),
        Span::styled(path.state.as_str(), theme.path(path.state)),
        Span::raw(format!("{carries}, number {} of {}: ", path.rank, peer.paths.len())),
        Span::styled(path.why.clone(), theme.heading()),
    ])];
    let comparison = Comparison::of(path, peer);
    if let Some(next) = comparison.other.filter(|next| std::ptr::eq(*next, comparison.loser)) {
        lines.push(Line::raw(format!("Next is #{}: {}", next.id, next.why)));
    }
    if let Some(condition) = &path.condition {
        lines.push(Line::styled(format!("! {condition}"), theme.bad()));
    }
    if row.peer.unprobeable {
        lines.push(Line::raw("The peer answers no probes: announcements and silence decide."));
    }
    lines
}

/// All that counts, most important first, of this path and of the one it is compared to.
fn table(row: &PathRow<'_>, width: usize, theme: Theme) -> Vec<Line<'static>> {
    let PathRow { server, peer, path } = row;
    if path.state == PathState::Excluded {
        return Vec::new();
    }
    let comparison = Comparison::of(path, peer);
    let column = width.saturating_sub(TITLES + 12) / 2;
    let heading = |path: &PathInfo, what: &str| pad(&format!("#{} {what}", path.id), column, false);
    let other =
        comparison.other.map(|other| heading(other, if other.rank > path.rank { "the next" } else { "the one above" }));
    let titles = [pad("WHAT COUNTS", TITLES, false), heading(path, "this path"), other.unwrap_or_default()];
    let mut lines = vec![Line::styled(titles.join(" "), theme.label())];
    let preference = match peer.path_preference.as_slice() {
        [] => server.pathz().map(|pathz| pathz.path_preference.clone()).unwrap_or_default(),
        words => words.to_vec(),
    };
    for criterion in comparison.criteria(&preference) {
        let [here, there] = criterion.values.map(|value| pad(&value, column, false));
        let text = format!("{} {here} {there}", pad(&criterion.title, TITLES, false));
        let mark = if criterion.decides { " < decides" } else { "" };
        let style = if criterion.decides { theme.notable() } else { Style::new() };
        lines.push(Line::styled(text + mark, style));
    }
    lines
}

/// What was measured in the last two minutes.
fn past(row: &PathRow<'_>, width: usize, theme: Theme) -> Vec<Line<'static>> {
    let parts = width.saturating_sub(TITLES + 22).min(60);
    let measured = row.path.measured;
    let line = |name: &str, now: String, of: fn(Slice) -> Mark| {
        let line = sparkline(&row.server.past(row.peer, &row.path.fingerprint, parts, of));
        let name = Span::styled(pad(name, TITLES, false), theme.label());
        Line::from(vec![name, Span::raw(format!(" {} {line}", pad(&now, 20, false)))])
    };
    let head = Line::styled(format!("{:TITLES$} {:20} THE LAST 2 MINUTES", "MEASURED", "NOW"), theme.label());
    vec![
        head,
        line("round trip", millis(measured.rtt_ms), Slice::rtt),
        line("jitter", millis(measured.jitter_ms), Slice::spread),
        line("loss", percent(measured.loss), Slice::loss),
        line("traffic", data_rates(row.path), Slice::traffic),
    ]
}

fn facts(row: &PathRow<'_>, theme: Theme) -> Vec<Line<'static>> {
    let path = row.path;
    let mut facts = vec![
        ("packets", format!("{}; the path ends in {}", mtu_in_words(path), time_left(path, row.server))),
        ("way", path.via()),
    ];
    if !row.peer.rules.is_empty() {
        facts.push(("rules", row.peer.rules.join("; ")));
    }
    let fact = |(name, text): (&str, String)| {
        Line::from(vec![Span::styled(format!("{name:TITLES$} "), theme.label()), Span::raw(text)])
    };
    facts.into_iter().map(fact).collect()
}
