//! All that is known of the selected path.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Paragraph, Wrap};

use super::Theme;
use super::paths::{data_rates, mtu_in_words, time_left};
use crate::format::{age, millis, percent};
use crate::rows::{self, PathRow};
use crate::state::State;

pub(super) const HEIGHT: u16 = 7;

pub(super) fn draw(frame: &mut Frame, area: Rect, state: &State, theme: Theme) {
    let rows = rows::paths(state);
    let Some(row) = rows.get(rows::selected(state, &rows)) else { return };
    let PathRow { path, peer, .. } = row;
    let title = format!(" path #{} {} to {} ", path.id, path.fingerprint, peer.heading());
    let block = Block::new().borders(Borders::TOP).border_style(theme.label()).title(title);
    let lines = [("why", why(row)), ("time", time(row)), ("data", data(row)), ("via", path.via())];
    let lines: Vec<_> = lines
        .into_iter()
        .map(|(name, text)| Line::from(vec![Span::styled(format!("{name:5}"), theme.label()), Span::raw(text)]))
        .collect();
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }).block(block), area);
}

fn why(row: &PathRow<'_>) -> String {
    let path = row.path;
    let mut text = format!("{}, rank {}: {}", path.state.as_str(), path.rank, path.why);
    if row.peer.unprobeable {
        text += "; the peer answers no probes";
    }
    if !path.unknown.is_empty() {
        text += &format!("; unknown: {}", path.unknown.join(", "));
    }
    if let Some(condition) = &path.condition {
        text += &format!("; ! {condition}");
    }
    text
}

fn time(row: &PathRow<'_>) -> String {
    let measured = row.path.measured;
    format!(
        "rtt {}, jitter {}, least {}; announced {} one way",
        millis(measured.rtt_ms),
        millis(measured.jitter_ms),
        millis(measured.min_ms),
        millis(row.path.announced.latency_ms),
    )
}

fn data(row: &PathRow<'_>) -> String {
    let path = row.path;
    let heard = path.last_received_ms.map_or("never heard".into(), |ms| format!("heard {} ago", age(ms)));
    format!(
        "{}/{} probes answered, loss {}, {heard}, failures {}; gives {}; {}; ends in {}",
        path.probes.answered,
        path.probes.sent,
        percent(path.measured.loss),
        path.failures,
        data_rates(path),
        mtu_in_words(path),
        time_left(path, row.server),
    )
}
