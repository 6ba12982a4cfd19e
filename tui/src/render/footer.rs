//! Which keys do what, in one line.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::Theme;
use crate::state::State;

pub(super) fn draw(frame: &mut Frame, area: Rect, state: &State, theme: Theme) {
    let text = if state.editing_filter {
        "type to filter   Enter keep   Esc clear"
    } else if state.why {
        "Esc back  jk other path  f freeze  ? help  q quit"
    } else if state.lab.is_some() {
        "q quit  ? help  Enter why  A-Z cut or restore  b A-Z black hole  r restore all"
    } else {
        "q quit  ? help  Enter why  Tab view  jk select  s sort  / filter  f freeze"
    };
    frame.render_widget(Line::styled(text, theme.label()), area);
}
