//! The path manager: which of the paths to a destination carries the traffic, and when it moves.
//!
//! SCION shows an end host every path to a destination, with what the ASes announce about each. One [`Manager`] per
//! destination AS keeps these paths, asks them whether they live, and names the active one. It does no IO, reads no
//! clock and draws no randomness: all of that belongs to its driver, so that a test plays hours in milliseconds.
//!
//! # The life of a path
//!
//! A lookup lists a path; from then on it has a [`PathId`] and is a **candidate**. The best sixteen by what is
//! announced are **probing**: a probe goes out at once, and its token comes back if the path works in both directions.
//! Traffic does not wait for that. The first choice is made the moment the first lookup arrives; only if it turns out
//! not to answer while another path does is it exchanged.
//!
//! A path that answered is on **standby**, probed twice a second if it is among the best three, every two seconds
//! otherwise; one of them is **active** and carries the traffic. Probes measure round-trip time, its variation and
//! loss. Those of the active path are as large as the traffic, so that an MTU hole shows.
//!
//! ## Suspicion
//!
//! Data went out over a path and nothing came back: that silence is judged for each path by its own measure, its
//! *patience*, clamp(2 × srtt + 4 × rttvar + 25 ms, 60 ms, 500 ms), where srtt is that of the way there and the way that
//! the peer's packets take back. Half of it makes the path a **suspect** (or srtt + 2 × rttvar + 20 ms if that is
//! longer, because acknowledgements, timers and schedulers are that late even when all is well). A lost probe, a
//! router's error message, a failed local send, and what the peer does (below) make a suspect too. A suspect is asked
//! with probes as large as the data that got no answer, every eighth of its patience; if it is the active one, up to
//! three others are asked along with it: the best, and those that share the fewest interfaces with the suspect.
//!
//! From the first answer of another path until judgement falls, traffic goes over both: the suspect and the best that
//! answered, the [`hedge`](Manager::hedge). A false suspicion then costs some datagrams that arrive twice, and a true one
//! is over for the application before it is judged.
//!
//! A suspect is acquitted by any packet that comes over it if only small datagrams are unanswered, otherwise by the
//! reply to a probe as large. It is condemned if all of this holds:
//!
//! * its patience is over (this applies to silence only);
//! * enough of its own probes are unanswered, for as long as an answer may take (srtt + 4 × rttvar, at least 10 ms
//!   more than srtt): two on a clean path, up to eight on one that is known to lose probes, so that bad luck is not
//!   taken for death (one chance in a hundred thousand). After a router's word one on a clean path, and 1.2 × srtt; none after a
//!   failed local send;
//! * another path answered a probe sent since the suspicion began, and the suspect has had its own answer time since
//!   that probe, so that a shorter path cannot win by being quicker.
//!
//! The last point makes the difference between a dead path and a dead peer. Without a witness nothing is left or
//! condemned: the manager says [`EventKind::NoPath`] once and asks all paths in rounds, from every 100 ms to every
//! second, until one answers.
//!
//! Router messages are not authenticated. They only open a case, for all paths that share the broken interface; a path
//! that answers is acquitted whatever routers say, and hearsay opens cases ever more rarely (100 ms to 5 s apart).
//!
//! ## The direction that we do not see
//!
//! Who only acknowledges gets no answers that could be missing. The peer misses them: its probes in a silence say so
//! ([`Probe::unanswered`]), and make our active path a suspect, hedged at once by the path that the probe came over. So
//! does a peer that has gone over to another path: two packets in a row over that, and nothing over its old path and our
//! active one for 20 ms (a peer that hedges sends over both). Neither is authenticated: they open a case as rarely as
//! once a second if earlier ones came to nothing, and never decide it. The two ends need not use the same path.
//!
//! ## Death and return
//!
//! A condemned path is **dead**; traffic goes at once to the best path that answered. A standby path
//! that misses three probes in a row becomes a suspect and is judged in the same way, the active path being asked as the
//! witness; a new path that misses three while another answers is dead without ado. The dead are still asked,
//! ever more rarely (250 ms to 5 s; at most 1 s while no SCION path works). One that answers is on **probation**: it
//! has to answer every 200 ms for a second, the last five probes in a row, before it is on standby again. Each failure
//! within a minute of the last doubles that second, up to thirty. While nothing else answers, a path on probation is
//! good enough.
//!
//! Paths expire; the active one is left five seconds before, and no path is taken up in its last ten seconds.
//!
//! ## Better paths
//!
//! Traffic also moves when nothing is wrong but another standby path is clearly better, for three seconds on end. The
//! operator's [`Preference`] is gone through metric by metric, and what is clearly worse than the best drops out: in
//! latency by 10 ms or a fifth (half of that for a path that does not carry the traffic), in bandwidth by a class
//! (powers of two), in hops and MTU by any difference. What remains after the last metric is equal, and among equals
//! traffic stays. Latency is the measured round trip, twice the announced one-way latency before that; the unknown
//! comes last. Bandwidth is what the path gave when traffic filled it ([`handle_delivery`](Manager::handle_delivery)), before that what is
//! announced, or what it has delivered if that is more. Ties are broken by hops, then by fingerprint, but ties move no traffic.
//!
//! A path whose large packets vanish while small ones pass has an *MTU hole*. Traffic leaves it for a path that carries them. Where there
//! is none, it is searched by halves what passes, from QUIC's 1200 bytes up: if that is enough the path is acquitted and goes on
//! with it, as one that comes after all that carry what they announce. So is one that was left, when it comes back. More
//! is asked for again after five minutes, and after twice as long each time that comes to nothing.
//!
//! Before all that, a path that loses much of what it carries is worse than one that does not: 10 % of the traffic by
//! QUIC's count ([`handle_loss`](Manager::handle_loss)), or 30 % of the last 64 probes. It is trusted again after a while of
//! losing next to nothing. Then the fewer of the operator's [`Limits`] it breaks, the better. What the [`Rules`] exclude is
//! no path at all: it is only reported.
//!
//! ## TCP/IP
//!
//! The TCP/IP fallback of a peer is a path of [`Kind::Tcp`]. It ranks after all others and is not even probed while a
//! SCION path works; its first probe tells the driver to connect. Traffic leaves it as soon as a SCION path is on
//! standby.
//!
//! ## What probes cost
//!
//! Regular probes to one peer take no more bytes a second than [`Config::probe_budget`] on average; if there is less than they want, all
//! become rarer alike. Those that ask a suspect never wait, and the regular ones make up for it, by a second of pause at most. Rounds that ask
//! all paths keep to the budget once they are a second apart.
//!
//! ## Peers that answer no probes
//!
//! If traffic flows but no probe is answered on any path, the peer does not know them ([`EventKind::Unprobeable`]).
//! Then silence is all there is: after a full patience of it traffic moves to a path over which the peer was heard
//! meanwhile, or blindly to the next best. Router messages and failed sends change nothing then, because nothing could
//! confirm them.
//!
//! ## Lanes
//!
//! Several connections to one AS may each have a manager, a *lane*, so that they use several paths at once. A lane is
//! told which interfaces the others use ([`Manager::handle_crowd`]); of two paths that live, the one that shares less
//! with them is better, before any metric is looked at. [`Lanes`] keeps who uses what.
//!
//! ## Memory
//!
//! What was measured of a path is kept by the second for five minutes and by the minute for six hours, with the states that it was
//! in and the bytes that it carried; what mattered to the traffic (moves, deaths, returns, outages) as a list
//! ([`Manager::history`]). A path that lookups drop and list again within an hour goes on where it was.
//!
//! # Driving it
//!
//! ```
//! use std::time::Instant;
//! use natsd_path::{Candidate, Config, EventKind, Manager};
//!
//! fn drive(manager: &mut Manager) -> Option<Instant> {
//!     while let Some(event) = manager.poll_event() {
//!         if let EventKind::Switch { to, .. } = event.kind {
//!             // Swap the header template for that of `to`, then replay the last datagrams.
//!         }
//!         // Log event.kind.
//!     }
//!     while let Some(probe) = manager.poll_probe() {
//!         // Send a datagram padded to probe.size with probe.token (and probe.unanswered) over probe.path.
//!     }
//!     manager.poll_timeout() // Call handle_timeout then.
//! }
//!
//! # #[allow(clippy::disallowed_methods)]
//! # let now = Instant::now();
//! let mut manager = Manager::new(Config::default(), 0x5eed);
//! manager.handle_paths(now, &[Candidate::tcp()]);
//! assert!(drive(&mut manager).is_some());
//! ```

mod address;
mod arrivals;
mod bandwidth;
mod budget;
mod candidate;
mod config;
mod event;
mod flight;
mod history;
mod hop;
mod lanes;
mod limit;
mod loss;
mod lossiness;
mod manager;
mod measured;
mod mtu;
mod path;
mod plain;
mod policy;
mod preference;
mod rank;
mod recent;
mod report;
mod rtt;
mod scmp;
mod sequence;
mod silence;
mod siphash;
mod survey;
mod suspicion;
mod token;
mod why;

pub use address::{AddrError, IsdAs, ScionAddr};
pub use bandwidth::Delivery;
pub use candidate::{Candidate, Fingerprint, FingerprintError, Interface, InterfaceError, Kind};
pub use config::Config;
pub use event::{Event, EventKind, PathId, Probe, Reason};
pub use history::{History, Incident, IncidentKind, PathHistory, RttRange, Sample, States};
pub use lanes::Lanes;
pub use manager::Manager;
pub use plain::{PlainAddr, PlainAddrError};
pub use policy::{
    Accepted, Acl, AclError, Avoided, Class, Limits, Listener, Part, Policy, Prices, Refinement, Rule, Rules, Tariff,
    TariffError, ToldError, Wishes,
};
pub use preference::{Metric, Preference, PreferenceError};
pub use report::{PathReport, Rtt, State};
pub use scmp::Scmp;
pub use sequence::{Sequence, SequenceError, ases};
pub use survey::{Answer, Ranked, survey};
