//! What the dashboard needs of a lab to show and break its links.

use std::time::Duration;

use serde::Serialize;

/// A lab whose links can be watched and broken. Implemented by `natsd lab`.
pub trait LabControl: Send + 'static {
    /// The links and counters now. Called a few times a second; must not block.
    fn view(&self) -> LabView;

    /// Starts `action` and returns at once.
    ///
    /// # Errors
    /// A sentence for the user when the action is not possible.
    fn act(&self, action: LabAction) -> Result<(), String>;
}

/// What a lab shows.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LabView {
    /// All links, always in the same order: the first is bound to the key A, and so on.
    pub links: Vec<LabLink>,
    /// The load that runs over the lab's servers.
    pub load: LabLoad,
}

/// One link between two ASes.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LabLink {
    /// Name of the link in the topology, unique.
    pub name: String,
    /// One end, `1-ff00:0:110#11`.
    pub a: String,
    /// The other end.
    pub b: String,
    /// One way.
    pub latency: Duration,
    /// Whether it carries packets.
    pub state: LinkState,
    /// Bits a second now, both directions together.
    pub bits_per_second: u64,
}

/// Whether a link carries packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkState {
    /// It does.
    #[default]
    Up,
    /// It does not, and the routers report so by SCMP.
    Cut,
    /// It drops packets without a word.
    BlackHole,
}

/// Counters of the load generator since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct LabLoad {
    /// Messages sent.
    pub sent: u64,
    /// Messages received, duplicates not counted.
    pub received: u64,
    /// Messages given up for lost.
    pub lost: u64,
    /// Messages received more than once.
    pub duplicated: u64,
    /// Messages received a second, lately.
    pub rate: f64,
    /// Longest time without a message.
    pub longest_gap: Duration,
}

/// What the user does to the lab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LabAction {
    /// Cut the link of that name; routers notice.
    Cut(String),
    /// Let the link of that name drop packets without a word.
    BlackHole(String),
    /// Let the link of that name work again.
    Restore(String),
    /// Let all links work again.
    RestoreAll,
}

impl LinkState {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            LinkState::Up => "up",
            LinkState::Cut => "cut",
            LinkState::BlackHole => "black hole",
        }
    }
}
