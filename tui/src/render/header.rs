//! The servers, one line each, and the tabs.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::Theme;
use crate::format::scaled;
use crate::state::{State, View};
use crate::world::{Server, Trouble};

/// Most servers that are shown.
const SERVERS: usize = 6;

pub(super) fn height(state: &State) -> u16 {
    state.world().servers.len().min(SERVERS) as u16
}

pub(super) fn draw(frame: &mut Frame, area: Rect, state: &State, theme: Theme) {
    let lines: Vec<_> = state.world().servers.iter().take(SERVERS).map(|server| line(server, state, theme)).collect();
    frame.render_widget(Paragraph::new(lines), area);
}

fn line<'a>(server: &'a Server, state: &State, theme: Theme) -> Line<'a> {
    if let Some(Trouble { text, since, attempts }) = &server.trouble {
        let seconds = state.now.duration_since(*since).unwrap_or_default().as_secs();
        let text = format!("no answer for {seconds} s, retrying (attempt {attempts}): {text}");
        return Line::styled(text, theme.bad());
    }
    let Some(snapshot) = &server.latest else {
        return Line::raw(format!("asking {} ...", server.url));
    };
    let (varz, rates) = (&snapshot.varz, server.rates);
    let own_version = if varz.natsd.is_empty() { &varz.version } else { &varz.natsd };
    Line::from(vec![
        Span::styled(server.label(), theme.heading()),
        Span::raw(format!(
            " {own_version} up {} in {}/s {}B/s out {}/s {}B/s conns {} cpu {:.0}% mem {}B subs {} {}",
            varz.uptime,
            scaled(rates.in_msgs),
            scaled(rates.in_bytes),
            scaled(rates.out_msgs),
            scaled(rates.out_bytes),
            varz.connections,
            varz.cpu,
            scaled(varz.mem as f64),
            varz.subscriptions,
            server.url,
        )),
    ])
}

pub(super) fn draw_tabs(frame: &mut Frame, area: Rect, state: &State, theme: Theme) {
    let mut spans = Vec::new();
    for (number, view) in View::ALL.into_iter().enumerate() {
        let style = if view == state.view { theme.selected() } else { theme.label() };
        spans.push(Span::styled(format!(" {} {} ", number + 1, view.title()), style));
    }
    spans.push(Span::raw(format!("  by {}", state.sort(state.view))));
    if state.editing_filter {
        spans.push(Span::styled(format!("  filter: {}_", state.filter), theme.notable()));
    } else if !state.filter.is_empty() {
        spans.push(Span::styled(format!("  filter: {}", state.filter), theme.notable()));
    }
    if state.frozen.is_some() {
        spans.push(Span::styled("  FROZEN", theme.notable()));
    }
    frame.render_widget(Line::from(spans), area);
}
