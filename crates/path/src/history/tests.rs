use super::*;

const SECOND: Duration = Duration::from_secs(1);

#[expect(clippy::disallowed_methods, reason = "a jumping clock has to start somewhere")]
fn recorder() -> (Instant, Recorder) {
    let start = Instant::now();
    let mut recorder = Recorder::default();
    recorder.stands(start, State::Probing);
    (start, recorder)
}

fn states(states: &[State]) -> States {
    states.iter().copied().collect()
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn a_second_says_what_was_measured_and_sent_in_it() {
    let (start, mut recorder) = recorder();
    recorder.stands(start + ms(100), State::Active);
    for rtt in [30, 10, 23] {
        recorder.answered(start + ms(200), ms(rtt));
    }
    recorder.missed(start + ms(300));
    recorder.sent(start + ms(400), 1200);
    recorder.sent(start + ms(999), 50);
    recorder.traffic(start + ms(999), 7, 1);
    assert_eq!(recorder.samples(start + ms(999)), (vec![], vec![]), "it is not over");

    let (seconds, minutes) = recorder.samples(start + ms(1500));
    let wanted = Sample {
        age: ms(1500),
        rtt: Some(RttRange { min: ms(10), mean: ms(21), max: ms(30) }),
        answered: 3,
        lost: 1,
        packets: 7,
        packets_lost: 1,
        bytes: 1250,
        states: states(&[State::Probing, State::Active]),
    };
    assert_eq!((seconds, minutes), (vec![wanted], vec![]));
    let (_, minutes) = recorder.samples(start + SECOND * 61);
    assert_eq!(minutes, [Sample { age: SECOND * 61, ..wanted }], "a minute is the sum of its seconds");
}

#[test]
fn minutes_are_the_sum_of_their_seconds() {
    let (start, mut recorder) = recorder();
    for second in 0..180 {
        recorder.answered(start + SECOND * second, ms(10 + u64::from(second)));
        recorder.sent(start + SECOND * second, 1000);
    }
    let (seconds, minutes) = recorder.samples(start + SECOND * 180);
    assert_eq!(seconds.len(), 180);
    let told: Vec<_> =
        minutes.iter().map(|minute| (minute.age, minute.rtt.map(|rtt| rtt.mean), minute.bytes)).collect();
    let wanted = [(180, 39_500), (120, 99_500), (60, 159_500)];
    assert_eq!(told, wanted.map(|(age, mean)| (SECOND * age, Some(Duration::from_micros(mean)), 60_000)));
}

#[test]
fn a_quiet_time_has_no_samples_and_a_state_lasts_beyond_it() {
    let (start, mut recorder) = recorder();
    recorder.stands(start, State::Dead);
    recorder.missed(start + SECOND * 20);
    let (seconds, _) = recorder.samples(start + SECOND * 30);
    let told: Vec<_> = seconds.iter().map(|second| (second.age.as_secs(), second.states)).collect();
    assert_eq!(told, [(30, states(&[State::Probing, State::Dead])), (10, states(&[State::Dead]))]);
}

#[test]
fn the_old_is_forgotten_and_room_is_never_made_again() {
    let (start, mut recorder) = recorder();
    let room = (recorder.seconds.capacity(), recorder.minutes.capacity());
    for second in 0..100_000 {
        recorder.sent(start + SECOND * second, 1);
    }
    let (seconds, minutes) = recorder.samples(start + SECOND * 100_000);
    assert_eq!((seconds.len(), minutes.len()), (300, 360));
    assert_eq!(seconds[0].age, SECOND * 300);
    assert_eq!((recorder.seconds.capacity(), recorder.minutes.capacity()), room);
    let (seconds, minutes) = recorder.samples(start + SECOND * 103_600);
    assert_eq!((seconds.len(), minutes.len()), (0, 301), "after an hour without a sign");
}

#[test]
fn a_path_that_was_never_probed_costs_nothing() {
    let (start, _) = recorder();
    let mut recorder = Recorder::default();
    recorder.stands(start, State::Candidate);
    recorder.sent(start, 100);
    assert_eq!((recorder.seconds.capacity(), recorder.samples(start + SECOND * 2)), (0, (vec![], vec![])));
}

#[test]
fn paths_that_are_gone_are_remembered_for_an_hour_and_only_so_many() {
    let (start, _) = recorder();
    let mut archive = Archive::default();
    let put = |archive: &mut Archive, at, name: u8| {
        let mut recorder = Recorder::default();
        recorder.stands(at, State::Standby);
        archive.put(at, Fingerprint([name; 8]), recorder);
    };
    let knows = |recorder: Recorder| recorder.epoch.is_some();
    put(&mut archive, start, 0);
    assert!(knows(archive.take(start + SECOND * 3599, Fingerprint([0; 8]))));
    assert!(!knows(archive.take(start + SECOND * 3599, Fingerprint([0; 8]))), "it is taken");
    put(&mut archive, start, 0);
    assert!(!knows(archive.take(start + SECOND * 3600, Fingerprint([0; 8]))), "too late");
    for name in 0..40 {
        put(&mut archive, start, name);
    }
    assert!(!knows(archive.take(start, Fingerprint([7; 8]))));
    assert!(knows(archive.take(start, Fingerprint([8; 8]))));
}

#[test]
fn incidents_are_bounded_and_an_outage_ends_once() {
    let (start, _) = recorder();
    let mut chronicle = Chronicle::default();
    let path = Fingerprint([1; 8]);
    chronicle.answers(start, path);
    chronicle.note(start, IncidentKind::NoPath { gap: SECOND });
    chronicle.answers(start + SECOND * 3, path);
    chronicle.answers(start + SECOND * 4, path);
    let kinds: Vec<_> = chronicle.incidents(start + SECOND * 4).into_iter().map(|i| (i.age, i.kind)).collect();
    let ended = IncidentKind::Answers { path, after: SECOND * 3 };
    assert_eq!(kinds, [(SECOND * 4, IncidentKind::NoPath { gap: SECOND }), (SECOND, ended)]);
    for _ in 0..1000 {
        chronicle.note(start, IncidentKind::Back { path, after: SECOND });
    }
    assert_eq!(chronicle.incidents(start).len(), 128);
}
