//! Which segments are needed to get somewhere, one question after the other.
//!
//! A daemon knows from trust material which ASes are core ones. Without it, the answers tell: a control service answers
//! for all core ASes of an ISD, under the type of the segments, and core segments begin and end at core ASes.

use natsd_path::IsdAs;

use super::{Kind, Segment};

/// A question to the control service: segments from one AS to another; AS 0 stands for all core ASes of the ISD.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Request {
    pub(crate) from: IsdAs,
    pub(crate) to: IsdAs,
}

/// A search for the segments of paths between two ASes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Search {
    pub(crate) from: IsdAs,
    /// Whether `from` is a core AS.
    pub(crate) core: bool,
    pub(crate) to: IsdAs,
}

/// How often there are more questions after answers.
pub(crate) const ROUNDS: usize = 3;

/// All core ASes of its ISD.
fn cores(of: IsdAs) -> IsdAs {
    IsdAs(of.0 >> 48 << 48)
}

impl Search {
    /// What to ask at once in this round, from 0 to [`ROUNDS`], after all answers of earlier ones.
    pub(crate) fn round(&self, round: usize, found: &[&Segment]) -> Vec<Request> {
        let near = if self.core { self.from } else { cores(self.from) };
        let up = (!self.core).then_some(Request { from: self.from, to: cores(self.from) });
        let across = Request { from: near, to: cores(self.to) };
        // The answer is of core segments if the destination is a core AS of our own ISD, and of down segments else.
        let down = Request { from: cores(self.to), to: self.to };
        let abroad = self.from.isd() != self.to.isd();
        match round {
            0 if abroad => up.into_iter().chain([across]).collect(),
            0 => up.into_iter().chain([across, down]).collect(),
            // Core ASes abroad have no down segments, and to ask for some is an error there.
            1 if abroad && !self.reaches(found, Kind::Core) => vec![down],
            2 if abroad && !self.reaches(found, Kind::Core) && !self.reaches(found, Kind::Down) => {
                vec![Request { from: near, to: self.to }]
            }
            _ => Vec::new(),
        }
    }

    fn reaches(&self, found: &[&Segment], kind: Kind) -> bool {
        let end = |segment: &Segment| if kind == Kind::Core { segment.first() } else { segment.last() };
        found.iter().any(|segment| segment.kind == kind && end(segment) == self.to)
    }

    /// Those of `found` that can be part of a path.
    pub(crate) fn useful<'a>(&self, found: &[&'a Segment]) -> Vec<&'a Segment> {
        let of = |kind, leaf: IsdAs| {
            found.iter().copied().filter(move |segment| segment.kind == kind && segment.last() == leaf)
        };
        let up: Vec<_> = of(Kind::Up, self.from).filter(|_| !self.core).collect();
        let down: Vec<_> = of(Kind::Down, self.to).collect();
        let is_near = |isd_as| if self.core { isd_as == self.from } else { up.iter().any(|up| up.first() == isd_as) };
        let is_far = |isd_as| isd_as == self.to || down.iter().any(|down| down.first() == isd_as);
        // Beacons come from where the packets go to.
        let joins = |core: &&Segment| core.kind == Kind::Core && is_near(core.last()) && is_far(core.first());
        let across: Vec<_> = found.iter().copied().filter(joins).collect();
        [up, across, down].concat()
    }
}
