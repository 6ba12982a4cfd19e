use super::*;

fn ms(times: &[u64]) -> Vec<Duration> {
    times.iter().map(|time| Duration::from_millis(*time)).collect()
}

fn auto() -> Mode {
    Mode::Auto(Thresholds::default())
}

/// What the side that dials and the one that accepts come to, each knowing what nats-server would tell it.
fn both(dialer: &Mode, acceptor: &Mode) -> [Agreement; 2] {
    let chosen = dialer.agree(acceptor.name()).expect("known");
    let said = if *dialer == Mode::Unsupported { "" } else { chosen.name() };
    [chosen, acceptor.agree(said).expect("known")]
}

#[test]
fn nothing_is_compressed_that_one_side_does_not_want() {
    let modes = [Mode::Unsupported, Mode::Off, Mode::Accept, auto(), Mode::Always(Level::Best)];
    for dialer in &modes {
        for acceptor in &modes {
            let plain = both(dialer, acceptor).map(|agreement| matches!(agreement, Agreement::Plain(_)));
            let wanted = dialer.is_negotiable() && acceptor.is_negotiable();
            let somebody_asks = [dialer, acceptor].iter().any(|mode| !matches!(mode, Mode::Accept));
            assert_eq!(plain, [!(wanted && somebody_asks); 2], "{dialer:?} dials {acceptor:?}");
        }
    }
}

#[test]
fn each_side_has_its_own_level() {
    let (best, fast) = (Mode::Always(Level::Best), Mode::Always(Level::Fast));
    assert_eq!(both(&best, &fast), [Agreement::Level(Level::Best), Agreement::Level(Level::Fast)]);
    assert_eq!(both(&Mode::Accept, &best), [Agreement::Level(Level::Best); 2], "who accepts does as the other");
    assert_eq!(both(&best, &Mode::Accept), [Agreement::Level(Level::Best); 2]);
    assert_eq!(both(&auto(), &Mode::Accept), [Agreement::Auto, Agreement::Level(Level::Fast)]);
    assert_eq!(both(&Mode::Accept, &auto()), [Agreement::Level(Level::Fast), Agreement::Auto]);
    assert_eq!(auto().agree("zstd").expect_err("unknown").to_string(), "unsupported route compression mode \"zstd\"");
    assert_eq!(Mode::Off.agree("zstd"), Ok(Agreement::Plain(Status::Off)), "it does not matter");
}

#[test]
fn the_level_is_that_of_the_first_threshold_that_is_not_passed() {
    let level = |times: &[u64], rtt| Thresholds::new(ms(times)).expect("valid").level(Duration::from_millis(rtt));
    use Level::{Best, Better, Fast, Uncompressed};
    let by_default = [0, 10, 11, 50, 51, 100, 101].map(|rtt| Thresholds::default().level(Duration::from_millis(rtt)));
    assert_eq!(by_default, [Uncompressed, Uncompressed, Fast, Fast, Better, Better, Best]);
    assert_eq!([1, 25, 35].map(|rtt| level(&[0, 0, 20, 30], rtt)), [Better, Best, Best]);
    assert_eq!([1, 25].map(|rtt| level(&[0, 20], rtt)), [Fast, Fast], "the last one that there is");
    assert_eq!([1, 25].map(|rtt| level(&[20, 0, 0], rtt)), [Uncompressed, Uncompressed]);
}

#[test]
fn thresholds_make_sense() {
    assert_eq!(Thresholds::new(ms(&[20, 10])), Err(ThresholdsError::Order));
    assert_eq!(Thresholds::new(ms(&[20, 0, 10])), Err(ThresholdsError::Order));
    assert_eq!(Thresholds::new(ms(&[1, 2, 3, 4, 5])), Err(ThresholdsError::TooMany));
    assert_eq!(Thresholds::new(ms(&[0, 0])), Err(ThresholdsError::None));
    assert_eq!(Thresholds::new(ms(&[1, 0, 3, 0, 0])).expect("valid").times(), ms(&[1, 0, 3]));
}

#[test]
fn a_connection_is_made_anew_only_where_the_other_side_has_to_know() {
    let near = Duration::ZERO;
    let on = Status::On(Level::Fast);
    assert_eq!(Mode::Always(Level::Best).change(on, near), Change::Level(Level::Best));
    assert_eq!(Mode::Always(Level::Fast).change(on, near), Change::None);
    assert_eq!(auto().change(on, near), Change::Level(Level::Uncompressed));
    assert_eq!(Mode::Off.change(on, near), Change::Renegotiate);
    assert_eq!(Mode::Accept.change(on, near), Change::Renegotiate);
    assert_eq!(Mode::Always(Level::Best).change(Status::Off, near), Change::Renegotiate);
    assert_eq!(Mode::Off.change(Status::Off, near), Change::None);
    assert_eq!(auto().change(Status::Unsupported, near), Change::None, "it would be the same again");
}
