//! Draws the state. One file an area.

mod accounts;
#[cfg(test)]
mod agreement;
mod ascii;
mod connections;
mod detail;
mod events;
mod footer;
mod header;
mod help;
mod lab;
mod list;
mod map;
mod paths;
mod routes;
#[cfg(test)]
mod screens;
#[cfg(test)]
mod tests;
mod theme;
mod why;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};

use crate::state::{State, View};
pub(crate) use theme::Theme;

/// Cells of a line of [`pretty`].
const PRETTY: u16 = 132;
/// Rows of a list that must stay before anything is drawn below it.
const LIST: u16 = 8;

/// Draws all of `state`. Any size of the frame is fine.
pub(crate) fn draw(frame: &mut Frame, state: &State, theme: Theme) {
    let top = header::height(state).min(frame.area().height / 3);
    let [head, tabs, body, foot] =
        Layout::vertical([Constraint::Length(top), Constraint::Length(1), Constraint::Fill(1), Constraint::Length(1)])
            .areas(frame.area());
    header::draw(frame, head, state, theme);
    header::draw_tabs(frame, tabs, state, theme);
    let body = match &state.lab {
        Some(view) => {
            let [rest, panel] = split_below(body, lab::height(view).min(body.height / 2));
            lab::draw(frame, panel, view, state.black_hole_next, theme);
            rest
        }
        None => body,
    };
    match state.view {
        _ if state.why => why::draw(frame, body, state, theme),
        View::Paths => draw_paths(frame, body, state, theme),
        View::Routes => routes::draw(frame, body, state, theme),
        View::Connections => connections::draw(frame, body, state, theme),
        View::Events => events::draw(frame, body, state, theme),
        View::Map => map::draw(frame, body, state, theme),
        View::Accounts => accounts::draw(frame, body, state, theme),
    }
    footer::draw(frame, foot, state, theme);
    if state.help {
        help::draw(frame, frame.area(), state, theme);
    }
    if theme.ascii {
        ascii::replace(frame.buffer_mut());
    }
}

/// The paths of all servers as a table, without a terminal.
pub(crate) fn pretty(state: &State, ascii: bool) -> String {
    let text = paths::text(state, PRETTY, Theme { color: false, ascii });
    if ascii { ascii::text(&text) } else { text }
}

/// The list of paths, the selected one in full, and what happened last, as far as there is room.
fn draw_paths(frame: &mut Frame, area: Rect, state: &State, theme: Theme) {
    let spare = area.height.saturating_sub(LIST);
    let detail = if spare >= detail::HEIGHT { detail::HEIGHT } else { 0 };
    let log = match spare - detail {
        0..3 => 0,
        rows => rows.min(events::RECENT_HEIGHT),
    };
    let [list, detail_area, log_area] =
        Layout::vertical([Constraint::Fill(1), Constraint::Length(detail), Constraint::Length(log)]).areas(area);
    paths::draw(frame, list, state, theme);
    detail::draw(frame, detail_area, state, theme);
    events::draw_recent(frame, log_area, state, theme);
}

fn split_below(area: Rect, height: u16) -> [Rect; 2] {
    Layout::vertical([Constraint::Fill(1), Constraint::Length(height)]).areas(area)
}
