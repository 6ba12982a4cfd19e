//! Where connections are accepted, and what is wanted of the paths of those.

use std::fmt;

use super::Refinement;

/// What takes connections over SCION.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Listener {
    /// Clients come there.
    Clients,
    /// Servers of the same cluster.
    Cluster,
    /// Leaf nodes.
    Leafnodes,
    /// Servers of other clusters.
    Gateway,
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Clients => "clients",
            Self::Cluster => "cluster",
            Self::Leafnodes => "leafnodes",
            Self::Gateway => "gateway",
        })
    }
}

/// What is wanted of the paths of connections that a listener has accepted, on top of what holds for all and for the destination.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// Of what is sent there.
    pub wanted: Refinement,
    /// Who comes by a way that breaks the rules is turned away.
    pub strict: bool,
}

impl fmt::Display for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.wanted.fmt(f)?;
        if self.strict { f.write_str("; strict") } else { Ok(()) }
    }
}
