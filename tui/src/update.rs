//! What a message changes.

use std::time::SystemTime;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::rows;
use crate::state::{State, View};
use crate::world::Weight;
use crate::{LabAction, LabView, LinkState, Snapshot};

/// Longest filter, characters.
const FILTER: usize = 64;
/// Rows that a page key moves by.
const PAGE: isize = 10;

/// Something that happened outside.
#[derive(Debug)]
pub(crate) enum Message {
    /// The user pressed a key.
    Key(KeyEvent),
    /// A server was read.
    Read {
        /// Its index.
        server: usize,
        /// When.
        at: SystemTime,
        /// What it said, or why it said nothing.
        reading: Box<Result<Snapshot, String>>,
    },
    /// Time passed.
    Tick {
        /// The time.
        now: SystemTime,
        /// The lab at this time, if there is one.
        lab: Option<LabView>,
    },
    /// The lab refused an action.
    Refused(String),
    /// The terminal has another size.
    Resized,
}

/// What the world has to do about it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Quit,
    Lab(LabAction),
}

/// Changes `state` as `message` demands.
pub(crate) fn update(state: &mut State, message: Message) -> Option<Effect> {
    match message {
        Message::Key(key) => return press(state, key),
        Message::Read { server, at, reading } => {
            state.live.observe(server, at, *reading);
        }
        Message::Tick { now, lab } => {
            state.now = now;
            state.lab = lab;
        }
        Message::Refused(text) => state.live.note(state.now, "lab", Weight::Bad, text),
        Message::Resized => {}
    }
    None
}

fn press(state: &mut State, key: KeyEvent) -> Option<Effect> {
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return (key.code == KeyCode::Char('c')).then_some(Effect::Quit);
    }
    if state.editing_filter {
        edit_filter(state, key.code);
        return None;
    }
    if state.help {
        state.help = false;
        return None;
    }
    if state.lab.is_some() {
        let black_hole = std::mem::take(&mut state.black_hole_next);
        match key.code {
            KeyCode::Char(letter @ 'A'..='Z') => return toggle_link(state, letter, black_hole),
            KeyCode::Char('b') => {
                state.black_hole_next = true;
                return None;
            }
            KeyCode::Char('r') => return Some(act(state, LabAction::RestoreAll)),
            _ => {}
        }
    }
    if state.why && matches!(key.code, KeyCode::Enter | KeyCode::Esc) {
        state.why = false;
        return None;
    }
    match key.code {
        KeyCode::Char('q') => return Some(Effect::Quit),
        KeyCode::Char('?') => state.help = true,
        KeyCode::Char(digit @ '1'..='9') => {
            if let Some(view) = View::ALL.get(digit as usize - '1' as usize) {
                state.show(*view);
            }
        }
        KeyCode::Tab | KeyCode::Right => state.show(state.view.next(1)),
        KeyCode::BackTab | KeyCode::Left => state.show(state.view.next(View::ALL.len() - 1)),
        KeyCode::Down | KeyCode::Char('j') => move_selection(state, 1),
        KeyCode::Up | KeyCode::Char('k') => move_selection(state, -1),
        KeyCode::PageDown => move_selection(state, PAGE),
        KeyCode::PageUp => move_selection(state, -PAGE),
        KeyCode::Home | KeyCode::Char('g') => move_selection(state, isize::MIN),
        KeyCode::End | KeyCode::Char('G') => move_selection(state, isize::MAX),
        KeyCode::Char('s') => state.next_sort(),
        KeyCode::Char('f') => {
            state.frozen = if state.frozen.is_some() { None } else { Some(state.live.clone()) };
        }
        KeyCode::Enter if matches!(state.view, View::Paths | View::Map) => state.explain(),
        KeyCode::Char('/') => state.editing_filter = true,
        KeyCode::Esc => state.filter.clear(),
        _ => {}
    }
    None
}

fn edit_filter(state: &mut State, key: KeyCode) {
    match key {
        KeyCode::Enter => state.editing_filter = false,
        KeyCode::Esc => {
            state.editing_filter = false;
            state.filter.clear();
        }
        KeyCode::Backspace => {
            state.filter.pop();
        }
        KeyCode::Char(c) if state.filter.chars().count() < FILTER => state.filter.push(c),
        _ => {}
    }
}

fn move_selection(state: &mut State, by: isize) {
    let ids = rows::ids(state);
    let Some(last) = ids.len().checked_sub(1) else { return };
    let current = state.selected().and_then(|id| ids.iter().position(|other| other == id)).unwrap_or(0);
    let next = current.saturating_add_signed(by).min(last);
    state.select(ids[next].clone());
}

/// Breaks the link of that letter, or restores it when it is broken.
fn toggle_link(state: &mut State, letter: char, black_hole: bool) -> Option<Effect> {
    let link = state.lab.as_ref()?.links.get(letter as usize - 'A' as usize)?;
    let name = link.name.clone();
    let action = match link.state {
        LinkState::Up if black_hole => LabAction::BlackHole(name),
        LinkState::Up => LabAction::Cut(name),
        LinkState::Cut | LinkState::BlackHole => LabAction::Restore(name),
    };
    Some(act(state, action))
}

/// Notes in the log what the user does, so that the failover that follows can be read beside it.
fn act(state: &mut State, action: LabAction) -> Effect {
    let (weight, text) = match &action {
        LabAction::Cut(link) => (Weight::Notable, format!("cutting {link}; its routers will notice")),
        LabAction::BlackHole(link) => (Weight::Notable, format!("{link} drops packets without a word")),
        LabAction::Restore(link) => (Weight::Good, format!("restoring {link}")),
        LabAction::RestoreAll => (Weight::Good, "restoring all links".into()),
    };
    state.live.note(state.now, "lab", weight, text);
    Effect::Lab(action)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, at};

    fn key(code: KeyCode) -> Message {
        Message::Key(KeyEvent::new(code, KeyModifiers::NONE))
    }

    fn type_keys(state: &mut State, keys: &str) -> Option<Effect> {
        keys.chars().fold(None, |_, c| update(state, key(KeyCode::Char(c))))
    }

    #[test]
    fn q_and_control_c_quit() {
        let mut state = testing::state();
        assert_eq!(type_keys(&mut state, "q"), Some(Effect::Quit));
        let control_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        state.editing_filter = true;
        assert_eq!(update(&mut state, Message::Key(control_c)), Some(Effect::Quit));
    }

    #[test]
    fn digits_and_tab_choose_the_view() {
        let mut state = testing::state();
        type_keys(&mut state, "4");
        assert_eq!(state.view, View::Events);
        type_keys(&mut state, "9");
        assert_eq!(state.view, View::Events, "there is no such view");
        let last = *View::ALL.last().expect("views");
        type_keys(&mut state, "1");
        update(&mut state, key(KeyCode::BackTab));
        assert_eq!(state.view, last);
        update(&mut state, key(KeyCode::Tab));
        assert_eq!(state.view, View::Paths);
    }

    #[test]
    fn the_selection_stays_with_its_row_when_the_order_changes() {
        let mut state = testing::state();
        type_keys(&mut state, "jj");
        let chosen = state.selected().expect("selected").to_owned();
        type_keys(&mut state, "ss");
        assert_eq!(state.selected(), Some(chosen.as_str()));
        type_keys(&mut state, "jjjjjjjjjjjj");
        assert_eq!(state.selected(), rows::ids(&state).last().map(String::as_str));
        update(&mut state, key(KeyCode::Home));
        assert_eq!(state.selected(), rows::ids(&state).first().map(String::as_str));
    }

    #[test]
    fn enter_says_why_a_path_is_where_it_is_with_one_key_or_two() {
        let mut state = testing::state();
        update(&mut state, key(KeyCode::Enter));
        assert!(state.why && rows::selected(&state, &rows::paths(&state)) == 0, "of the first path, at once");
        update(&mut state, key(KeyCode::Down));
        assert!(state.why && rows::selected(&state, &rows::paths(&state)) == 1, "its neighbour");
        update(&mut state, key(KeyCode::Esc));
        assert!(!state.why);
        type_keys(&mut state, "5j");
        let on_the_map = state.selected().map(str::to_owned);
        update(&mut state, key(KeyCode::Enter));
        assert!(state.why && state.view == View::Paths && state.selected() == on_the_map.as_deref());
        type_keys(&mut state, "4");
        update(&mut state, key(KeyCode::Enter));
        assert!(!state.why, "events have no rank");
    }

    #[test]
    fn the_filter_takes_all_letters_until_enter() {
        let mut state = testing::state();
        type_keys(&mut state, "/qx");
        update(&mut state, key(KeyCode::Backspace));
        update(&mut state, key(KeyCode::Enter));
        assert_eq!((state.filter.as_str(), state.editing_filter), ("q", false));
        update(&mut state, key(KeyCode::Esc));
        assert_eq!(state.filter, "");
    }

    #[test]
    fn a_frozen_screen_keeps_collecting() {
        let mut state = testing::state();
        type_keys(&mut state, "f");
        let reading = Box::new(Err("refused".into()));
        update(&mut state, Message::Read { server: 0, at: at(90), reading });
        assert!(state.world().servers[0].trouble.is_none());
        type_keys(&mut state, "f");
        assert!(state.world().servers[0].trouble.is_some());
    }

    #[test]
    fn letters_break_and_restore_links() {
        let mut state = testing::lab_state();
        let name = |n: usize| testing::lab().links[n].name.clone();
        assert_eq!(type_keys(&mut state, "A"), Some(Effect::Lab(LabAction::Cut(name(0)))));
        assert_eq!(type_keys(&mut state, "bA"), Some(Effect::Lab(LabAction::BlackHole(name(0)))));
        assert_eq!(type_keys(&mut state, "A"), Some(Effect::Lab(LabAction::Cut(name(0)))));
        assert_eq!(type_keys(&mut state, "B"), Some(Effect::Lab(LabAction::Restore(name(1)))));
        assert_eq!(type_keys(&mut state, "Z"), None);
        assert_eq!(type_keys(&mut state, "r"), Some(Effect::Lab(LabAction::RestoreAll)));
        assert_eq!(state.live.log.back().map(|entry| entry.text.as_str()), Some("restoring all links"));
    }

    #[test]
    fn without_a_lab_these_letters_do_nothing() {
        assert_eq!(type_keys(&mut testing::state(), "AbAr"), None);
    }
}
