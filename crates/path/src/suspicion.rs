//! The case against a path: what is suspected, what was asked, when judgement may fall.

use std::time::{Duration, Instant};

use crate::{PathId, Reason};

/// What ends a suspicion in the path's favour.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Acquittal {
    /// Any packet of the peer.
    AnyPacket,
    /// The reply to a probe of at least this size, sent since the suspicion began.
    Reply(u16),
}

/// An open case against one path.
pub(crate) struct Suspicion {
    /// Only probes sent from here on count, for the path and against it.
    pub(crate) began: Instant,
    pub(crate) reason: Reason,
    pub(crate) acquittal: Acquittal,
    /// How many of its own probes must go unanswered.
    pub(crate) evidence: usize,
    /// How long an answer may take.
    pub(crate) answer_time: Duration,
    /// No judgement before this.
    pub(crate) not_before: Instant,
    /// When its own probes were sent, the first ones.
    asked: Vec<Instant>,
    /// When to ask again; `None` when the regular probes do.
    pub(crate) next_round: Option<Instant>,
    /// Between rounds.
    pub(crate) round: Duration,
    /// The paths asked along with it: possible successors of the active path, or the active path as a witness.
    pub(crate) challengers: Vec<PathId>,
    /// How long the slowest of them may take to answer.
    pub(crate) challengers_time: Duration,
    /// Where datagrams go as well until judgement falls.
    pub(crate) hedge: Option<PathId>,
    /// When the first probe was sent that another path answered.
    pub(crate) witnessed: Option<Instant>,
    /// How often the case was opened anew because our own process had stalled.
    reopened: u8,
}

/// More probes than this are never needed as evidence.
pub(crate) const MOST_EVIDENCE: usize = 8;

impl Suspicion {
    pub(crate) fn new(now: Instant, reason: Reason, acquittal: Acquittal) -> Self {
        Self {
            began: now,
            reason,
            acquittal,
            evidence: 1,
            answer_time: Duration::ZERO,
            not_before: now,
            asked: Vec::with_capacity(MOST_EVIDENCE),
            next_round: Some(now),
            round: Duration::ZERO,
            challengers: Vec::new(),
            challengers_time: Duration::ZERO,
            hedge: None,
            witnessed: None,
            reopened: 0,
        }
    }

    pub(crate) fn asked(&mut self, now: Instant) {
        if self.asked.len() < MOST_EVIDENCE {
            self.asked.push(now);
        }
    }

    pub(crate) fn asked_enough(&self) -> bool {
        self.asked.len() >= self.evidence
    }

    /// When the path has had its chance to answer; `None` while it has not been asked often enough.
    pub(crate) fn judgement(&self) -> Option<Instant> {
        if self.evidence == 0 {
            return Some(self.not_before);
        }
        let asked = self.asked.get(self.evidence - 1)?;
        Some(self.not_before.max(*asked + self.answer_time))
    }

    /// When the path may be left: it had its chance, and as long as the witness had to answer.
    pub(crate) fn leave_at(&self) -> Option<Instant> {
        let witnessed = self.witnessed?;
        Some(if self.evidence == 0 { self.not_before } else { self.judgement()?.max(witnessed + self.answer_time) })
    }

    /// When it is clear that no other path answers either.
    pub(crate) fn hopeless_at(&self) -> Option<Instant> {
        Some(self.judgement()?.max(self.began + self.challengers_time))
    }

    /// Further evidence: fewer probes and a shorter wait suffice.
    pub(crate) fn press(&mut self, now: Instant, reason: Reason, evidence: usize, answer_time: Duration) {
        self.reason = reason;
        self.evidence = self.evidence.min(evidence);
        self.answer_time = self.answer_time.min(answer_time);
        self.not_before = self.not_before.min(now);
    }

    /// Starts over because our own process had stalled and answers may still be unread. At most twice.
    pub(crate) fn reopen(&mut self, now: Instant) {
        if self.reopened < 2 {
            self.reopened += 1;
            self.began = now;
            self.asked.clear();
            self.witnessed = None;
            self.next_round = Some(now);
        }
    }
}
