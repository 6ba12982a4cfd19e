//! Draws the state. One file an area.

mod connections;
mod detail;
mod events;
mod footer;
mod header;
mod help;
mod lab;
mod list;
mod paths;
mod routes;
mod theme;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};

use crate::state::{State, View};
pub(crate) use theme::Theme;

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
        View::Paths => draw_paths(frame, body, state, theme),
        View::Routes => routes::draw(frame, body, state, theme),
        View::Connections => connections::draw(frame, body, state, theme),
        View::Events => events::draw(frame, body, state, theme),
    }
    footer::draw(frame, foot, state, theme);
    if state.help {
        help::draw(frame, frame.area(), state, theme);
    }
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

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use ratatui::buffer::Buffer;
    use ratatui::style::Color;

    use super::*;
    use crate::testing;

    const COLOR: Theme = Theme { color: true };

    fn screen(state: &State, width: u16, height: u16, theme: Theme) -> Terminal<TestBackend> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, state, theme)).unwrap();
        terminal
    }

    fn text(state: &State, width: u16, height: u16) -> String {
        screen(state, width, height, COLOR).backend().to_string()
    }

    fn viewing(view: View) -> State {
        State { view, ..testing::state() }
    }

    #[test]
    fn paths_80x24() {
        insta::assert_snapshot!(text(&viewing(View::Paths), 80, 24));
    }

    #[test]
    fn paths_132x40() {
        insta::assert_snapshot!(text(&viewing(View::Paths), 132, 40));
    }

    #[test]
    fn paths_40x12() {
        insta::assert_snapshot!(text(&viewing(View::Paths), 40, 12));
    }

    #[test]
    fn routes_80x24() {
        insta::assert_snapshot!(text(&viewing(View::Routes), 80, 24));
    }

    #[test]
    fn connections_80x24() {
        insta::assert_snapshot!(text(&viewing(View::Connections), 80, 24));
    }

    #[test]
    fn events_80x24() {
        insta::assert_snapshot!(text(&viewing(View::Events), 80, 24));
    }

    #[test]
    fn help_80x24() {
        insta::assert_snapshot!(text(&State { help: true, ..testing::lab_state() }, 80, 24));
    }

    #[test]
    fn lab_100x30() {
        insta::assert_snapshot!(text(&testing::lab_state(), 100, 30));
    }

    #[test]
    fn lab_80x24_with_the_next_letter_a_black_hole() {
        insta::assert_snapshot!(text(&State { black_hole_next: true, ..testing::lab_state() }, 80, 24));
    }

    #[test]
    fn a_server_in_trouble_80x24() {
        insta::assert_snapshot!(text(&testing::troubled_state(), 80, 24));
    }

    #[test]
    fn no_scion_80x24() {
        let mut snapshot = testing::snapshot();
        snapshot.pathz = None;
        let mut state = testing::state();
        state.live.observe(0, testing::at(61), Ok(snapshot));
        insta::assert_snapshot!(text(&state, 80, 24));
    }

    #[test]
    fn a_dead_daemon_and_a_filter_80x24() {
        let mut snapshot = testing::snapshot();
        let daemon = &mut snapshot.pathz.as_mut().unwrap().daemon;
        daemon.state = natsd_api::DaemonState::Down;
        daemon.error = Some("connection refused".into());
        let mut state = State { filter: "dead".into(), editing_filter: true, ..testing::state() };
        state.live.observe(0, testing::at(61), Ok(snapshot));
        state.frozen = Some(state.live.clone());
        insta::assert_snapshot!(text(&state, 80, 24));
    }

    fn states() -> Vec<State> {
        let mut states: Vec<_> = View::ALL.map(viewing).into();
        states.extend(View::ALL.map(|view| State { view, ..testing::lab_state() }));
        states.push(State { help: true, ..testing::lab_state() });
        states.push(testing::troubled_state());
        states.push(State::new(crate::world::World::default(), None, testing::at(0)));
        states
    }

    #[test]
    fn no_size_is_too_small() {
        for state in states() {
            for width in [0, 1, 2, 3, 5, 8, 13, 20, 31, 45, 60, 80, 133, 300] {
                for height in [0, 1, 2, 3, 4, 6, 8, 10, 13, 17, 24, 50] {
                    screen(&state, width, height, COLOR);
                }
            }
        }
    }

    #[test]
    fn hostile_answers_do_no_harm() {
        let mut snapshot = testing::snapshot();
        let evil = "\x1b[2J\u{202e}e\u{301}\u{1f468}\u{200d}\u{1f469}漢字\0\n".repeat(9);
        snapshot.varz.server_name = evil.clone();
        snapshot.varz.cpu = f64::INFINITY;
        snapshot.varz.mem = u64::MAX;
        let peer = &mut snapshot.pathz.as_mut().unwrap().peers[0];
        peer.remote_as = evil.clone();
        peer.paths[0].fingerprint = evil.clone();
        peer.paths[0].why = evil.clone();
        peer.paths[0].measured.rtt_ms = Some(f64::NAN);
        peer.paths[0].measured.jitter_ms = Some(-1e300);
        peer.paths[0].interfaces = vec![evil.clone(); 500];
        snapshot.routez.routes[0].remote_name = evil.clone();
        snapshot.connz.connections[0].name = evil;
        for view in View::ALL {
            let mut state = viewing(view);
            state.live.observe(0, testing::at(61), Ok(snapshot.clone()));
            for width in [1, 7, 80] {
                assert!(!text(&state, width, 24).contains('\x1b'));
            }
        }
    }

    #[test]
    fn without_colours_the_selection_is_still_seen() {
        let terminal = screen(&viewing(View::Paths), 80, 24, Theme { color: false });
        let buffer: &Buffer = terminal.backend().buffer();
        assert!(buffer.content.iter().all(|cell| (cell.fg, cell.bg) == (Color::Reset, Color::Reset)));
        let reversed = buffer.content.iter().filter(|cell| cell.modifier.contains(ratatui::style::Modifier::REVERSED));
        assert!(reversed.count() >= 80);
    }
}
