//! The way back to a peer as long as the path manager knows none: that by which its packets come, reversed.
//!
//! Nothing of a packet is proven when it arrives, and QUIC does not say which ones it believes. So that neither a replay nor a
//! forgery over another path moves where answers go, the first way stays as long as it is heard. If nothing comes over it any
//! more, answers go by the way of the next packet at once. But before the peer has answered a probe there, no more than three times
//! what came goes that way: it may be somebody else, who has asked for nothing. A first way that answers no probes is left for one
//! that does, too: it may have been made up.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::peers::Route;

/// The first way counts as silent after this long, milliseconds.
const QUIET: u64 = 500;
/// Between probes over a way, milliseconds.
const ASK_AGAIN: u64 = 100;
/// After as many that nobody answered, another way may prove itself although the first is heard.
const ASKED_ENOUGH: u8 = 5;
/// RFC 9000 section 8: so many times what came may go to an address that nothing proves.
const AMPLIFICATION: u64 = 3;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct WaysBack {
    home: Option<Way>,
    visit: Option<Visit>,
}

#[derive(Debug)]
struct Way {
    interfaces: Box<[u16]>,
    /// The router that hands its packets over.
    from: SocketAddr,
    route: Arc<Route>,
    heard: u64,
    token: u64,
    /// When it was asked last, and how often.
    asked: (u64, u8),
    proven: bool,
}

/// Another way than the first, not proven yet.
#[derive(Debug)]
struct Visit {
    way: Way,
    /// Bytes.
    received: u64,
    sent: u64,
    /// Answers go there.
    used: bool,
}

/// What a packet calls for.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    /// Answers go this way from now on.
    pub(crate) route: Option<Arc<Route>>,
    /// A probe with this token is to be sent this way.
    pub(crate) ask: Option<(u64, Arc<Route>)>,
}

impl Way {
    fn is(&self, interfaces: &[u16], from: SocketAddr) -> bool {
        *self.interfaces == *interfaces && self.from == from
    }

    /// Notes a packet; returns what to ask.
    fn heard(&mut self, now: u64) -> Option<(u64, Arc<Route>)> {
        self.heard = now;
        let (last, times) = self.asked;
        let due = times == 0 || now.saturating_sub(last) >= ASK_AGAIN;
        if self.proven || !due {
            return None;
        }
        self.asked = (now, times.saturating_add(1).min(ASKED_ENOUGH));
        (times < ASKED_ENOUGH).then(|| (self.token, self.route.clone()))
    }

    fn is_silent(&self, now: u64) -> bool {
        now.saturating_sub(self.heard) >= QUIET
    }
}

impl WaysBack {
    /// A packet of `len` bytes came at `now` (milliseconds of any clock) over these interfaces, of the way back, from the router
    /// `from`. `route` makes a route of that; a way without one is none.
    pub(crate) fn heard(
        &mut self,
        now: u64,
        interfaces: &[u16],
        from: SocketAddr,
        len: usize,
        route: impl FnOnce() -> Option<Route>,
    ) -> Turn {
        let new = |route| Way {
            interfaces: interfaces.into(),
            from,
            route: Arc::new(route),
            heard: now,
            token: fastrand::u64(..),
            asked: (0, 0),
            proven: false,
        };
        let Some(home) = &mut self.home else {
            self.home = route().map(new);
            return Turn { route: self.home.as_ref().map(|home| home.route.clone()), ask: None };
        };
        if home.is(interfaces, from) {
            let back = self.visit.take_if(|visit| visit.used).is_some();
            return Turn { route: back.then(|| home.route.clone()), ask: home.heard(now) };
        }
        let silent = home.is_silent(now);
        if !silent && (home.proven || home.asked.1 < ASKED_ENOUGH) {
            return Turn::default();
        }
        let same = self.visit.as_ref().is_some_and(|visit| visit.way.is(interfaces, from));
        if !same && self.visit.as_ref().is_none_or(|visit| visit.way.is_silent(now)) {
            self.visit = route().map(|route| Visit { way: new(route), received: 0, sent: 0, used: false });
        } else if !same {
            return Turn::default();
        }
        self.visit.as_mut().map(|visit| visit.heard(now, len, silent)).unwrap_or_default()
    }

    /// The first way, by its interfaces.
    pub(crate) fn first(&self) -> Option<&[u16]> {
        self.home.as_ref().map(|home| &*home.interfaces)
    }

    /// A probe was answered. If it proves another way than the first, which it takes the place of: the route to take. `None` for
    /// tokens of others.
    pub(crate) fn answered(&mut self, token: u64) -> Option<Option<Arc<Route>>> {
        if let Some(visit) = self.visit.take_if(|visit| visit.way.token == token) {
            let home = self.home.insert(Way { proven: true, ..visit.way });
            return Some(Some(home.route.clone()));
        }
        let home = self.home.as_mut().filter(|home| home.token == token)?;
        home.proven = true;
        Some(None)
    }

    /// Whether answers go a way that nothing proves.
    pub(crate) fn is_unproven(&self) -> bool {
        self.visit.as_ref().is_some_and(|visit| visit.used)
    }

    /// Whether `len` bytes more may go that way; counts them if so.
    pub(crate) fn may_send(&mut self, len: usize) -> bool {
        let Some(visit) = self.visit.as_mut().filter(|visit| visit.used) else { return true };
        let sent = visit.sent.saturating_add(len as u64);
        let may = sent <= visit.received.saturating_mul(AMPLIFICATION);
        if may {
            visit.sent = sent;
        }
        may
    }
}

impl Visit {
    fn heard(&mut self, now: u64, len: usize, home_is_silent: bool) -> Turn {
        self.received = self.received.saturating_add(len as u64);
        let goes = home_is_silent && !self.used;
        self.used |= home_is_silent;
        let ask = self.way.heard(now);
        Turn { route: goes.then(|| self.way.route.clone()), ask }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: &[u16] = &[1, 2];
    const THERE: &[u16] = &[3, 4];

    fn router(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn heard(ways: &mut WaysBack, now: u64, interfaces: &[u16]) -> Turn {
        ways.heard(now, interfaces, router(1), 100, || Some(Route::Tcp(None)))
    }

    #[test]
    fn the_first_way_stays_as_long_as_it_is_heard() {
        let mut ways = WaysBack::default();
        assert!(heard(&mut ways, 0, HERE).route.is_some());
        for now in 1..5000 {
            assert!(heard(&mut ways, now, HERE).route.is_none());
            assert!(heard(&mut ways, now, THERE).route.is_none(), "at {now}");
        }
        assert!(!ways.is_unproven() && ways.may_send(usize::MAX));
    }

    #[test]
    fn a_way_is_another_one_when_another_router_hands_it_over() {
        let mut ways = WaysBack::default();
        heard(&mut ways, 0, HERE);
        assert!(ways.heard(1, HERE, router(2), 100, || Some(Route::Tcp(None))).route.is_none());
        assert!(ways.heard(QUIET, HERE, router(2), 100, || Some(Route::Tcp(None))).route.is_some());
    }

    #[test]
    fn no_more_than_thrice_what_came_goes_where_nothing_is_proven() {
        let mut ways = WaysBack::default();
        heard(&mut ways, 0, HERE);
        assert!(heard(&mut ways, QUIET, THERE).route.is_some() && ways.is_unproven());
        assert!(ways.may_send(200) && ways.may_send(100) && !ways.may_send(1));
        assert!(heard(&mut ways, QUIET + 1, THERE).route.is_none());
        assert!(!ways.may_send(301) && ways.may_send(300));
        assert!(heard(&mut ways, QUIET + 2, HERE).route.is_some(), "the first way is back");
        assert!(!ways.is_unproven());
        assert!(heard(&mut ways, QUIET * 2 + 2, THERE).route.is_some());
        assert!(!ways.may_send(301), "what came before does not count again");
    }

    #[test]
    fn a_proven_way_takes_the_place_of_one_that_is_silent() {
        let mut ways = WaysBack::default();
        heard(&mut ways, 0, HERE);
        let (token, _) = heard(&mut ways, QUIET, THERE).ask.expect("it is asked");
        assert!(ways.answered(token.wrapping_add(1)).is_none());
        assert!(ways.answered(token).flatten().is_some() && !ways.is_unproven());
        assert!(ways.may_send(usize::MAX));
        for now in QUIET..QUIET * 4 {
            let turn = heard(&mut ways, now, HERE);
            assert!(turn.route.is_none() && turn.ask.is_none(), "nothing takes it from there while it is heard");
            heard(&mut ways, now, THERE);
        }
    }

    #[test]
    fn the_first_way_is_asked_too_and_gives_way_if_it_does_not_answer() {
        let mut ways = WaysBack::default();
        heard(&mut ways, 0, HERE);
        let mut asked = 0;
        for now in 1..=1000 {
            asked += usize::from(heard(&mut ways, now, HERE).ask.is_some());
            let turn = heard(&mut ways, now, THERE);
            assert!(turn.route.is_none() && turn.ask.is_none_or(|_| asked == 5), "at {now}");
        }
        assert_eq!(asked, 5);
        let token = ways.visit.as_ref().expect("the other way is asked").way.token;
        assert!(ways.answered(token).flatten().is_some());
    }

    #[test]
    fn a_first_way_that_has_answered_is_left_for_no_other() {
        let mut ways = WaysBack::default();
        heard(&mut ways, 0, HERE);
        let (token, _) = heard(&mut ways, 1, HERE).ask.expect("it is asked");
        assert!(ways.answered(token).is_some_and(|route| route.is_none()));
        for now in 2..5000 {
            heard(&mut ways, now, HERE);
            let turn = heard(&mut ways, now, THERE);
            assert!(turn.route.is_none() && turn.ask.is_none());
        }
    }

    #[test]
    fn one_other_way_is_asked_at_a_time() {
        let mut ways = WaysBack::default();
        heard(&mut ways, 0, HERE);
        assert!(heard(&mut ways, QUIET, THERE).ask.is_some());
        assert!(heard(&mut ways, QUIET + 1, THERE).ask.is_none(), "not so soon again");
        assert!(heard(&mut ways, QUIET + 2, &[5, 6]).ask.is_none(), "one at a time");
        assert!(heard(&mut ways, QUIET * 3, &[5, 6]).ask.is_some());
    }
}
