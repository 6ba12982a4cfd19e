use crossterm::event::KeyCode;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::style::Color;

use super::*;
use crate::testing;
use crate::update::{Message, update};

const COLOR: Theme = Theme { color: true, ascii: false };

pub(super) fn screen(state: &State, width: u16, height: u16, theme: Theme) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, state, theme)).unwrap();
    terminal
}

pub(super) fn text(state: &State, width: u16, height: u16) -> String {
    screen(state, width, height, COLOR).backend().to_string()
}

fn viewing(view: View) -> State {
    State { view, ..testing::state() }
}

/// All that can be looked at, by name.
pub(super) fn views() -> Vec<(&'static str, State)> {
    let mut views: Vec<_> = View::ALL.map(|view| (view.title(), viewing(view))).into();
    let mut why = viewing(View::Paths);
    update(&mut why, Message::Key(KeyCode::Enter.into()));
    views.push(("Why", why));
    views
}

#[test]
fn every_view_at_five_sizes() {
    for (name, state) in views() {
        for (width, height) in [(40, 12), (80, 24), (100, 30), (132, 40), (200, 60)] {
            insta::assert_snapshot!(format!("{}_{width}x{height}", name.to_lowercase()), text(&state, width, height));
        }
    }
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

/// All small sizes, and some of every height and width up to 300 by 100; every other one in ASCII.
#[test]
fn no_size_is_too_small_and_ascii_is_ascii() {
    let states: Vec<_> = states().into_iter().chain(views().into_iter().map(|(_, state)| state)).collect();
    let small = (1..=60).flat_map(|width| (1..=26).map(move |height| (width, height)));
    let large = (0..300).map(|n| (1 + n * 7 % 300, 1 + n * 37 % 100));
    for (n, (width, height)) in small.chain(large).enumerate() {
        let ascii = n.is_multiple_of(2);
        let terminal = screen(&states[n % states.len()], width, height, Theme { color: true, ascii });
        let drawn = &terminal.backend().buffer().content;
        assert!(!ascii || drawn.iter().all(|cell| cell.symbol().is_ascii()), "{width}x{height}");
    }
}

#[test]
fn an_area_of_nothing_is_no_matter() {
    for state in states() {
        for (width, height) in [(0, 0), (0, 9), (9, 0)] {
            screen(&state, width, height, COLOR);
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
    let terminal = screen(&viewing(View::Paths), 80, 24, Theme { color: false, ascii: false });
    let buffer: &Buffer = terminal.backend().buffer();
    assert!(buffer.content.iter().all(|cell| (cell.fg, cell.bg) == (Color::Reset, Color::Reset)));
    let reversed = buffer.content.iter().filter(|cell| cell.modifier.contains(ratatui::style::Modifier::REVERSED));
    assert!(reversed.count() >= 80);
}

/// A server with 1,000 clients as far as they are shown, 500 paths with two minutes of history, and 200 routes.
fn crowded() -> State {
    let mut snapshot = testing::snapshot();
    let conn = snapshot.connz.connections[0].clone();
    snapshot.connz.connections = (0..1000).map(|cid| natsd_api::ConnInfo { cid, ..conn.clone() }).collect();
    let route = snapshot.routez.routes[0].clone();
    snapshot.routez.routes = (0..200).map(|rid| natsd_api::RouteInfo { rid, ..route.clone() }).collect();
    let pathz = snapshot.pathz.as_mut().expect("paths");
    let peer = pathz.peers[0].clone();
    let sample = |second| natsd_api::PathSample {
        time: testing::at(second).into(),
        rtt_ms: Some(second as f64),
        answered: 1,
        ..natsd_api::PathSample::default()
    };
    let seconds: Vec<_> = (0..60).map(sample).collect();
    let path = |peer_number: u32, n: u32| natsd_api::PathInfo {
        rank: n + 1,
        id: peer_number * 100 + n,
        fingerprint: format!("{:016x}", u64::from(peer_number) * 100 + u64::from(n)),
        history: Some(natsd_api::PathHistory { seconds: seconds.clone(), minutes: Vec::new() }),
        ..peer.paths[1].clone()
    };
    pathz.peers = (0..50)
        .map(|number| natsd_api::PeerInfo {
            remote_as: format!("1-ff00:0:{number:x}"),
            paths: (0..10).map(|n| path(number, n)).collect(),
            ..peer.clone()
        })
        .collect();
    let mut world = crate::world::World::new(["http://127.0.0.1:8222".parse().unwrap()]);
    world.observe(0, testing::at(60), Ok(snapshot));
    State::new(world, None, testing::at(60))
}

/// A frame of a crowded server takes some milliseconds; ten times what is wanted of an optimized program on a quiet machine
/// is let pass here, and nothing that grows with the square of what there is would be.
#[test]
fn a_crowd_is_drawn_in_time() {
    let mut state = crowded();
    for view in View::ALL {
        state.show(view);
        let draw = |_| {
            let start = std::time::Instant::now();
            screen(&state, 200, 60, COLOR);
            start.elapsed()
        };
        // The quickest: what else the machine does is not our frame.
        let took = (0..15).map(draw).min().unwrap_or_default();
        assert!(took < std::time::Duration::from_millis(160), "{view:?} takes {took:?}");
    }
}
