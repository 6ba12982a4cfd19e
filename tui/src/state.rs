//! What the user looks at.

use std::time::SystemTime;

use crate::LabView;
use crate::world::World;

/// All that the screen shows.
#[derive(Clone, Debug)]
pub(crate) struct State {
    /// What the servers said.
    pub(crate) live: World,
    /// What is shown in its place while frozen.
    pub(crate) frozen: Option<World>,
    pub(crate) view: View,
    /// Settings of each view, by `View as usize`.
    pub(crate) settings: [Setting; View::ALL.len()],
    /// Rows that do not contain this text are hidden; no matter the case.
    pub(crate) filter: String,
    /// Keys go to the filter.
    pub(crate) editing_filter: bool,
    pub(crate) help: bool,
    /// The selected path is explained, in place of the view.
    pub(crate) why: bool,
    /// Present when a lab can be controlled.
    pub(crate) lab: Option<LabView>,
    /// The next letter makes its link a black hole.
    pub(crate) black_hole_next: bool,
    pub(crate) now: SystemTime,
}

/// What kind of rows is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    Paths,
    Routes,
    Connections,
    Events,
    Map,
    Accounts,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Setting {
    /// Index into `View::sorts`.
    sort: usize,
    /// Id of the selected row; the first one when it is not there.
    selected: Option<String>,
}

impl View {
    pub(crate) const ALL: [View; 6] =
        [View::Paths, View::Routes, View::Connections, View::Events, View::Map, View::Accounts];

    /// The view so many places further on, around the end.
    pub(crate) fn next(self, places: usize) -> Self {
        Self::ALL[(self as usize + places) % Self::ALL.len()]
    }

    pub(crate) fn title(self) -> &'static str {
        match self {
            View::Paths => "Paths",
            View::Routes => "Routes",
            View::Connections => "Connections",
            View::Events => "Events",
            View::Map => "Map",
            View::Accounts => "Accounts",
        }
    }

    /// The orders that rows can have; the first is the default. Those of connections are values of `sort` in
    /// `/connz`.
    pub(crate) fn sorts(self) -> &'static [&'static str] {
        match self {
            // Of the paths that are selected there.
            View::Map => &["rank"],
            View::Paths => &["rank", "rtt", "jitter", "loss", "hops", "bandwidth", "gives", "mtu"],
            View::Routes => &["name", "kind", "rtt", "in", "out", "pending", "subs"],
            View::Accounts => &["name", "conns", "subs", "in", "out", "slow"],
            View::Connections => {
                &["cid", "subs", "pending", "msgs_to", "msgs_from", "bytes_to", "bytes_from", "idle", "uptime", "rtt"]
            }
            View::Events => &["newest", "oldest"],
        }
    }
}

impl State {
    pub(crate) fn new(world: World, lab: Option<LabView>, now: SystemTime) -> Self {
        Self {
            live: world,
            frozen: None,
            view: View::Paths,
            settings: Default::default(),
            filter: String::new(),
            editing_filter: false,
            help: false,
            why: false,
            lab,
            black_hole_next: false,
            now,
        }
    }

    /// What is shown: what the servers said last, or what they said when it was frozen.
    pub(crate) fn world(&self) -> &World {
        self.frozen.as_ref().unwrap_or(&self.live)
    }

    pub(crate) fn show(&mut self, view: View) {
        self.view = view;
        self.why = false;
    }

    /// Opens the explanation of the selected path.
    pub(crate) fn explain(&mut self) {
        if self.view == View::Map {
            let selected = self.settings[View::Map as usize].selected.clone();
            self.settings[View::Paths as usize].selected = selected;
            self.view = View::Paths;
        }
        self.why = true;
    }

    pub(crate) fn sort(&self, view: View) -> &'static str {
        view.sorts()[self.settings[view as usize].sort]
    }

    pub(crate) fn next_sort(&mut self) {
        let sort = &mut self.settings[self.view as usize].sort;
        *sort = (*sort + 1) % self.view.sorts().len();
    }

    /// Id of the selected row of the current view, if one was selected.
    pub(crate) fn selected(&self) -> Option<&str> {
        self.settings[self.view as usize].selected.as_deref()
    }

    pub(crate) fn select(&mut self, id: String) {
        self.settings[self.view as usize].selected = Some(id);
    }
}
