//! What the manager remembers of paths.

use natsd_path::{EventKind, History, IncidentKind, PathHistory, Reason, State, States};

use crate::world::{Link, World, ms, secs};

/// What host 0 remembers.
fn history(world: &mut World) -> History {
    world.hosts[0].manager.history(world.now)
}

fn only(state: State) -> States {
    [state].into_iter().collect()
}

fn of_link(world: &mut World, link: usize) -> PathHistory {
    let fingerprint = world.report(0, link).fingerprint;
    let paths = history(world).paths.into_iter();
    paths.into_iter().find(|path| path.fingerprint == fingerprint).expect("it was probed")
}

#[test]
fn a_path_has_a_sample_of_each_second_and_minute() {
    let mut world = World::new(vec![Link { jitter: ms(10), ..Link::rtt(ms(20)) }, Link::rtt(ms(60))]);
    world.traffic(0, ms(10), 500);
    world.run(secs(400));
    let busy = of_link(&mut world, 0);
    assert_eq!((busy.seconds.len(), busy.minutes.len()), (300, 6));
    for second in &busy.seconds {
        assert_eq!((second.bytes, second.states), (50_000, only(State::Active)), "{second:?}");
        assert!(second.age <= secs(301), "{second:?}");
    }
    for minute in &busy.minutes {
        let rtt = minute.rtt.expect("it is probed once a second");
        assert!(ms(20) <= rtt.min && rtt.min < rtt.mean && rtt.mean < rtt.max && rtt.max <= ms(40), "{rtt:?}");
        assert!((45..=65).contains(&minute.answered), "{minute:?}");
    }
    assert_eq!(busy.minutes[3].bytes, 3_000_000);
    let idle = of_link(&mut world, 1);
    assert_eq!(idle.minutes.iter().map(|minute| minute.bytes).sum::<u64>(), 0);
    assert_eq!(idle.minutes[2].states, only(State::Standby));
}

#[test]
fn failures_are_told_with_what_they_cost() {
    let mut world = World::new(vec![Link::rtt(ms(20)), Link::rtt(ms(60))]);
    let [first, second] = [0, 1].map(|link| world.report(0, link).fingerprint);
    world.traffic(0, ms(5), 200);
    world.run(secs(10));
    world.cut(0);
    world.run(secs(10));
    world.restore(0);
    world.run(secs(20));
    let kinds: Vec<_> = history(&mut world).incidents.into_iter().map(|incident| incident.kind).collect();
    let [start, down, moved, back, home] = kinds[..] else { panic!("{kinds:?}") };
    assert!(matches!(start, IncidentKind::Switch { from: None, to, .. } if to == first), "{start:?}");
    assert!(matches!(down, IncidentKind::Down { path, reason: Reason::Silence(_) } if path == first), "{down:?}");
    let IncidentKind::Switch { from: Some(from), to, gap, .. } = moved else { panic!("{moved:?}") };
    assert_eq!((from, to), (first, second));
    assert!(ms(20) <= gap && gap <= ms(200), "{gap:?}");
    let IncidentKind::Back { path, after } = back else { panic!("{back:?}") };
    assert_eq!(path, first);
    assert!(secs(11) <= after && after <= secs(20), "ten seconds dead, and a probation: {after:?}");
    assert!(matches!(home, IncidentKind::Switch { to, reason: Reason::Better(_), .. } if to == first), "{home:?}");

    let dead = of_link(&mut world, 0);
    assert!(dead.seconds.iter().any(|second| second.states == only(State::Dead) && second.lost > 0), "{dead:#?}");
    let all = &dead.minutes;
    assert!(all.is_empty(), "the first minute is not over: {all:?}");
}

#[test]
fn an_outage_has_a_begin_and_an_end() {
    let mut world = World::new(vec![Link::rtt(ms(20)), Link::rtt(ms(60))]);
    world.traffic(0, ms(5), 200);
    world.run(secs(5));
    (0..2).for_each(|link| world.cut(link));
    world.run_until(secs(5), |world| world.hosts[0].events.iter().any(|e| matches!(e.kind, EventKind::NoPath { .. })));
    world.run(secs(5));
    (0..2).for_each(|link| world.restore(link));
    world.run(secs(5));
    let incidents = history(&mut world).incidents;
    let ends: Vec<_> = incidents
        .iter()
        .filter_map(|incident| match incident.kind {
            IncidentKind::Answers { after, .. } => Some(after),
            _ => None,
        })
        .collect();
    assert_eq!(ends.len(), 1, "{incidents:?}");
    assert!(secs(5) <= ends[0] && ends[0] <= ms(6500), "{ends:?}");
}

#[test]
fn a_path_that_lookups_drop_for_a_while_goes_on_where_it_was() {
    let mut world = World::new(vec![Link::rtt(ms(20)), Link::rtt(ms(60))]);
    world.run(secs(130));
    assert_eq!(of_link(&mut world, 1).minutes.len(), 2);
    world.offer(&[0]);
    world.run(secs(600));
    assert_eq!(history(&mut world).paths.len(), 1, "it is gone");
    world.lookup();
    world.run(secs(130));
    let ages: Vec<_> = of_link(&mut world, 1).minutes.iter().map(|minute| minute.age.as_secs() / 60).collect();
    assert!(ages.starts_with(&[14, 13]) && ages.ends_with(&[2, 1]) && ages.len() < 7, "{ages:?}");
}
