//! Colours, none of which carries a meaning alone.

use natsd_api::PathState;
use ratatui::style::{Color, Modifier, Style};

use crate::LinkState;
use crate::world::Weight;

/// How things look. All colours are of the terminal's own sixteen, so that they suit its background.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Theme {
    /// Use colours at all.
    pub(crate) color: bool,
    /// Draw with ASCII alone.
    pub(crate) ascii: bool,
}

impl Theme {
    fn fg(self, color: Color) -> Style {
        if self.color { Style::new().fg(color) } else { Style::new() }
    }

    pub(super) fn good(self) -> Style {
        self.fg(Color::Green).add_modifier(Modifier::BOLD)
    }

    pub(super) fn notable(self) -> Style {
        self.fg(Color::Yellow).add_modifier(Modifier::BOLD)
    }

    pub(super) fn bad(self) -> Style {
        self.fg(Color::Red).add_modifier(Modifier::BOLD)
    }

    /// What frames the content: titles of columns, keys.
    pub(super) fn label(self) -> Style {
        self.fg(Color::Cyan)
    }

    pub(super) fn heading(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    pub(super) fn selected(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    pub(super) fn path(self, state: PathState) -> Style {
        match state {
            PathState::Active => self.good(),
            PathState::Suspect | PathState::Probation => self.notable(),
            PathState::Dead => self.bad(),
            PathState::Excluded => Style::new().add_modifier(Modifier::DIM),
            _ => Style::new(),
        }
    }

    pub(super) fn link(self, state: LinkState) -> Style {
        match state {
            LinkState::Up => self.fg(Color::Green),
            LinkState::Cut | LinkState::BlackHole => self.bad(),
        }
    }

    pub(super) fn weight(self, weight: Weight) -> Style {
        match weight {
            Weight::Plain => Style::new(),
            Weight::Good => self.good(),
            Weight::Notable => self.notable(),
            Weight::Bad => self.bad(),
        }
    }
}
