//! From questions to paths.

use std::sync::Arc;
use std::time::{Duration, Instant};

use natsd_path::IsdAs;
use proptest::prelude::*;
use scion_protobuf::buffa::Message;
use scion_protobuf::proto::control_plane::v1::{HopField, SegmentsResponse};

use super::memory::{Answer, Memory};
use super::network::{
    BEGIN, CORE, DOWN, LIFE, Step, answer, asked, body, date, entry, isd_as, routers, segment, segment_from, wire,
};
use super::search::{ROUNDS, Request, Search};
use super::{Kind, MAX_SEGMENTS, Segment, decode, join};
use crate::header;
use crate::metadata::PathInfo;
use crate::source::MAX_PATHS;

/// Asks as a host in `from` does; what was asked in each round, and the paths.
fn look_up(from: &str, to: &str) -> (Vec<Vec<String>>, Vec<PathInfo>) {
    let core = ["1-110", "1-120", "2-210"].contains(&from);
    let search = Search { from: isd_as(from), core, to: isd_as(to) };
    let (mut found, mut rounds) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let requests = search.round(round, &found.iter().collect::<Vec<_>>());
        rounds.push(requests.iter().map(|Request { from, to }| format!("{from}>{to}")).collect());
        found.extend(requests.into_iter().filter_map(|request| asked(from, request)).flatten());
    }
    let all: Vec<_> = found.iter().collect();
    let paths = join::paths(search.from, search.to, &search.useful(&all), &routers(), date(0));
    (rounds, paths)
}

fn hops(paths: &[PathInfo]) -> Vec<String> {
    let one = |path: &PathInfo| path.interfaces.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    paths.iter().map(one).collect()
}

#[test]
fn within_an_isd_all_is_asked_at_once() {
    let (rounds, paths) = look_up("1-111", "1-112");
    assert_eq!(rounds, [vec!["1-111>1-0", "1-0>1-0", "1-0>1-112"], vec![], vec![]]);
    assert_eq!(
        hops(&paths),
        ["1-111#3 1-112#3", "1-111#1 1-110#11 1-110#12 1-112#1", "1-111#2 1-120#11 1-120#1 1-110#1 1-110#12 1-112#1",]
    );
    assert_eq!(paths[0].mtu, 1300, "of the peering link");
    assert_eq!(paths[1].mtu, 1400);
    assert_eq!(paths[1].next_hop, Some(([10, 0, 0, 1], 30042).into()));
    assert_eq!(paths[1].expiry, Some(date(LIFE)));

    assert_eq!(hops(&look_up("1-111", "1-110").1), ["1-111#1 1-110#11", "1-111#2 1-120#11 1-120#1 1-110#1"]);
    assert_eq!(hops(&look_up("1-110", "1-120").1), ["1-110#1 1-120#1"]);
    let (rounds, paths) = look_up("1-120", "1-112");
    assert_eq!(rounds[0], ["1-120>1-0", "1-0>1-112"]);
    assert_eq!(hops(&paths), ["1-120#1 1-110#1 1-110#12 1-112#1"]);
    assert_eq!(hops(&look_up("2-211", "2-210").1), ["2-211#1 2-210#11"]);
}

#[test]
fn abroad_the_core_segments_tell_what_else_to_ask() {
    let (rounds, paths) = look_up("1-112", "2-211");
    assert_eq!(rounds, [vec!["1-112>1-0", "1-0>2-0"], vec!["2-0>2-211"], vec![]]);
    assert_eq!(
        hops(&paths),
        [
            "1-112#1 1-110#12 1-110#5 2-210#5 2-210#11 2-211#1",
            "1-112#1 1-110#12 1-110#1 1-120#1 1-120#6 2-210#6 2-210#11 2-211#1",
        ]
    );
    let (rounds, paths) = look_up("1-112", "2-210");
    assert_eq!(rounds, [vec!["1-112>1-0", "1-0>2-0"], vec![], vec![]], "a core AS has no down segments");
    assert_eq!(paths.len(), 2);
    let (rounds, paths) = look_up("2-210", "1-111");
    assert_eq!(rounds, [vec!["2-210>1-0"], vec!["1-0>1-111"], vec![]]);
    assert_eq!(paths.len(), 3);
    let (rounds, paths) = look_up("1-112", "2-299");
    assert_eq!(rounds[1..], [vec!["2-0>2-299"], vec!["1-0>2-299"]], "it might be a core AS that was not told of");
    assert_eq!(paths.len(), 0);
}

#[test]
fn what_ases_announce_is_added_up() {
    let (_, paths) = look_up("1-111", "1-112");
    let micros = |of: &[u64]| of.iter().map(|n| Some(Duration::from_micros(*n))).collect::<Vec<_>>();
    assert_eq!(paths[0].latencies, micros(&[3000]));
    assert_eq!((paths[0].latency, paths[0].bandwidth), (Some(Duration::from_micros(3000)), Some(3000)));
    // The way within 110 between two of its children is announced by nobody here.
    assert_eq!(paths[1].latencies, [micros(&[11_000]), vec![None], micros(&[12_000])].concat());
    assert_eq!((paths[1].latency, paths[1].bandwidth), (None, Some(11_000)));
}

#[test]
fn of_the_same_way_the_beacon_that_lasts_longest_is_taken() {
    let [up, later] = [BEGIN, BEGIN + 300].map(|begin| segment_from(Kind::Up, DOWN[0], begin));
    let find =
        |segments: &[&Segment], at| join::paths(isd_as("1-111"), isd_as("1-110"), segments, &routers(), date(at));
    let found = find(&[&up, &later, &up], 0);
    assert_eq!((found.len(), found[0].expiry), (1, Some(date(300 + LIFE))));
    assert_eq!(find(&[&up], LIFE).len(), 0, "it has expired");
    let nowhere = Default::default();
    assert!(join::paths(isd_as("1-111"), isd_as("1-110"), &[&up], &nowhere, date(0)).is_empty(), "no router");
}

#[test]
fn more_segments_than_can_be_combined_lose_the_longest() {
    let mut segments = Vec::new();
    for id in 1..=200 {
        let id = id % 16 + 1;
        segments.push(segment(Kind::Up, &[(0, "1-110", id), (id, "1-111", 0)]));
        segments.push(segment(Kind::Down, &[(0, "1-120", id), (id, "1-112", 0)]));
        segments.push(segment(Kind::Core, &[(0, "1-120", id), (id, "1-110", 0)]));
    }
    let long = segment(Kind::Up, &[(0, "1-110", 1), (1, "1-130", 2), (1, "1-111", 0)]);
    segments.push(long);
    let all: Vec<_> = segments.iter().collect();
    let start = Instant::now();
    let found = join::paths(isd_as("1-111"), isd_as("1-112"), &all, &routers(), date(0));
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    assert_eq!(found.len(), MAX_PATHS);
    assert!(found.iter().any(|path| path.interfaces.len() == 6));
}

#[test]
fn segments_that_could_not_be_travelled_are_left_out() {
    let refuses = |reason: &str, segment| {
        let (sound, damaged) = decode::segments(answer(Kind::Up, vec![segment]));
        assert_eq!((sound.len(), damaged), (0, vec![reason]));
    };
    let steps: &[Step] = &[(0, "1-110", 11), (1, "1-111", 2), (3, "1-112", 0)];
    let good = || wire(steps, BEGIN);
    assert_eq!(decode::segments(answer(Kind::Up, vec![good()])).0.len(), 1);
    refuses("it has one AS, or too many", wire(&[(0, "1-110", 0)], BEGIN));
    refuses("its time is out of range", wire(steps, 1 << 32));
    refuses("an AS is in it twice, or is none", wire(&[(0, "1-110", 1), (2, "1-110", 0)], BEGIN));
    refuses("an AS is in it twice, or is none", wire(&[(0, "1-0", 1), (2, "1-110", 0)], BEGIN));
    refuses("a hop has an interface too few or too many", wire(&[(0, "1-110", 0), (2, "1-111", 0)], BEGIN));
    refuses("a hop has an interface too few or too many", wire(&[(0, "1-110", 1), (2, "1-111", 3)], BEGIN));
    let mut cut = good();
    cut.as_entries.remove(1);
    refuses("an AS names another next one than follows", cut);
    let mut empty = good();
    empty.as_entries[0] = Default::default();
    refuses("an AS has no entry", empty);
    let mut other = body(steps, 0);
    other.hop_entry = Default::default();
    let mut hopless = good();
    hopless.as_entries[0] = entry(&other);
    refuses("an AS has no hop", hopless);

    let many = vec![good(); MAX_SEGMENTS + 1];
    assert_eq!(decode::segments(answer(Kind::Up, many)).0.len(), MAX_SEGMENTS);
    let mut unknown = SegmentsResponse::default();
    unknown.segments.insert(9, answer(Kind::Up, vec![good()]).segments.remove(&1).expect("up"));
    assert_eq!(decode::segments(unknown).0.len(), 0);
}

#[test]
fn answers_are_shared_for_a_while_and_outlive_the_control_service() {
    let (now, mut kept) = (Instant::now(), Answer::default());
    let after = |s| now + Duration::from_secs(s);
    assert!(kept.fresh(now, now, false).is_none() && kept.stale(date(0)).is_none());
    kept.learn(now, date(0), vec![segment(Kind::Up, DOWN[0])]);
    assert!(kept.fresh(after(9), after(9), false).is_some() && kept.fresh(after(10), after(10), false).is_none());
    assert!(kept.fresh(after(1), now, true).is_some(), "who waits for another's answer takes it");
    assert!(kept.fresh(after(1), after(1), true).is_none());

    let both = kept.learn(after(20), date(20), vec![segment_from(Kind::Up, DOWN[1], BEGIN + 100)]);
    assert_eq!(both.len(), 2, "an answer with less does not take away what holds");
    let newer = kept.learn(after(30), date(30), vec![segment_from(Kind::Up, DOWN[0], BEGIN + 50)]);
    assert_eq!(newer.len(), 2);
    let end = LIFE;
    assert_eq!(newer.iter().filter(|one| one.expiry == date(end + 50)).count(), 1, "of the same way the newer one");
    assert_eq!(kept.learn(after(40), date(end + 60), Vec::new()).len(), 1, "what has expired is forgotten");
    assert!(kept.stale(date(end + 99)).is_some() && kept.stale(date(end + 100)).is_none());
}

#[test]
fn the_answers_least_used_make_room() {
    let mut memory = Memory::new();
    let request = |n| Request { from: IsdAs(n), to: IsdAs(0) };
    let first = memory.slot(request(0));
    for n in 1..300 {
        memory.slot(request(n));
        assert!(Arc::ptr_eq(&first, &memory.slot(request(0))), "it is in use");
    }
    let old = memory.slot(request(299));
    memory.clear();
    assert!(!Arc::ptr_eq(&old, &memory.slot(request(299))));
}

/// A segment over ASes and interfaces that are few, so that many fit each other; not always one that can be travelled.
fn any_steps() -> impl Strategy<Value = Vec<Step>> {
    let names = ["1-110", "1-120", "1-111", "1-112", "2-210", "2-211", "0-0", "1-0"];
    let step = (0..3_u64, proptest::sample::select(names.to_vec()), 0..3_u64);
    proptest::collection::vec(step, 0..6).prop_map(|mut steps| {
        let last = steps.len().saturating_sub(1);
        // Most of them as they should be at the ends.
        if let Some(first) = steps.first_mut().filter(|step| step.2 > 0) {
            first.0 = 0;
        }
        if let Some(end) = steps.get_mut(last).filter(|step| step.0 > 0) {
            end.2 = 0;
        }
        steps
    })
}

fn check(from: IsdAs, to: IsdAs, paths: &[PathInfo]) {
    assert!(paths.len() <= MAX_PATHS);
    for path in paths {
        let (first, last) = (path.interfaces.first().expect("some"), path.interfaces.last().expect("some"));
        assert_eq!((first.isd_as, last.isd_as), (from, to));
        assert!(path.interfaces.len().is_multiple_of(2) && path.latencies.len() + 1 == path.interfaces.len());
        let crossed = header::interfaces(&path.raw).expect("a path");
        assert_eq!(crossed, path.interfaces.iter().map(|at| at.id).collect::<Vec<_>>());
        assert!(path.expiry > Some(date(0)) && path.next_hop.is_some());
    }
}

proptest! {
    #[test]
    fn whatever_segments_say_paths_can_be_travelled(
        all in proptest::collection::vec((0..3_u8, any_steps(), 0..4_u64), 0..24),
        peers in any::<bool>(),
        ends in (0..6_usize, 0..6_usize),
    ) {
        let names = ["1-110", "1-120", "1-111", "1-112", "2-210", "2-211"];
        let (from, to) = (isd_as(names[ends.0]), isd_as(names[ends.1]));
        let mut found = Vec::new();
        for (kind, steps, age) in &all {
            let kind = [Kind::Up, Kind::Down, Kind::Core][usize::from(*kind)];
            let mut wire = wire(steps, BEGIN + age * 100);
            if !peers {
                for at in 0..steps.len() {
                    let mut body = body(steps, at);
                    body.peer_entries.clear();
                    wire.as_entries[at] = entry(&body);
                }
            }
            found.extend(decode::segments(answer(kind, vec![wire])).0);
        }
        let all: Vec<_> = found.iter().collect();
        check(from, to, &join::paths(from, to, &all, &routers(), date(0)));
        for core in [false, true] {
            let search = Search { from, core, to };
            check(from, to, &join::paths(from, to, &search.useful(&all), &routers(), date(0)));
        }
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), at in any::<usize>(), value in any::<u64>()) {
        if let Ok(answer) = SegmentsResponse::decode_from_slice(&bytes) {
            decode::segments(answer);
        }
        let mut whole = answer(Kind::Core, CORE.iter().map(|steps| wire(steps, BEGIN)).collect()).encode_to_vec();
        let at = at % whole.len();
        whole[at] = value as u8;
        if let Ok(answer) = SegmentsResponse::decode_from_slice(&whole) {
            let (sound, _) = decode::segments(answer);
            let all: Vec<_> = sound.iter().collect();
            check(isd_as("1-110"), isd_as("2-210"),
                &join::paths(isd_as("1-110"), isd_as("2-210"), &all, &routers(), date(0)));
        }
        let mut strange = body(DOWN[0], 0);
        let field = HopField { exp_time: value as u32, ingress: value, egress: value, mac: bytes };
        strange.hop_entry.get_or_insert_default().hop_field = Some(field).into();
        strange.mtu = value as u32;
        let mut segment = wire(DOWN[0], BEGIN);
        segment.as_entries[0] = entry(&strange);
        decode::segments(answer(Kind::Down, vec![segment]));
    }
}
