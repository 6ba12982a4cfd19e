//! `compression` of routes and leaf connections.

use natsd_core::compression::{Level, Mode, Thresholds};

use super::*;

fn of_cluster(value: &str) -> Mode {
    options(&format!("cluster {{ listen: 6222, compression: {value} }}")).cluster.expect("given").compression
}

fn of_leafnodes(value: &str) -> Mode {
    options(&format!("leafnodes {{ port: -1, compression: {value} }}")).leafnodes.expect("given").compression
}

fn auto(milliseconds: &[u64]) -> Mode {
    let times = milliseconds.iter().map(|time| Duration::from_millis(*time)).collect();
    Mode::Auto(Thresholds::new(times).expect("valid"))
}

#[test]
fn modes_have_the_names_of_nats_server() {
    for (written, mode) in [
        ("off", Mode::Off),
        ("Disabled", Mode::Off),
        ("false", Mode::Off),
        ("accept", Mode::Accept),
        ("\"not supported\"", Mode::Unsupported),
        ("fast", Mode::Always(Level::Fast)),
        ("s2_better", Mode::Always(Level::Better)),
        ("S2_BEST", Mode::Always(Level::Best)),
        ("s2_uncompressed", Mode::Always(Level::Uncompressed)),
        ("auto", auto(&[10, 50, 100])),
        ("{ mode: s2_auto, rtt_thresholds: [\"0s\", \"5ms\"] }", auto(&[0, 5])),
        ("{ mode: s2_fast, rtts: [\"5ms\"] }", Mode::Always(Level::Fast)),
    ] {
        assert_eq!(of_cluster(written), mode, "{written}");
        assert_eq!(of_leafnodes(written), mode, "{written}");
    }
    for on in ["true", "on", "enabled"] {
        assert_eq!(of_cluster(on), Mode::Always(Level::Fast));
        assert_eq!(of_leafnodes(on), auto(&[10, 50, 100]));
    }
    assert_eq!(of_cluster("{ rtt: [\"5ms\"] }"), Mode::Accept, "it has no use for them");
    assert_eq!(of_leafnodes("{ rtt: [\"5ms\"] }"), auto(&[5]));
    let remote = options("leafnodes { remotes: [{ url: \"nats-leaf://h\", compression: s2_best }] }").leafnodes;
    assert_eq!(remote.expect("given").remotes[0].compression, Mode::Always(Level::Best));
}

#[test]
fn what_means_nothing_is_refused_where_it_stands() {
    for (written, problem) in [
        ("zstd", "\"zstd\" is not"),
        ("5", "expected a mode, true, false, or a map of mode and rtt_thresholds"),
        ("{ mode: s2_auto, rtt_thresholds: [\"2ms\", \"1ms\"] }", "in ascending order"),
        ("{ mode: s2_auto, rtt_thresholds: [\"0s\"] }", "at least one RTT threshold is greater than 0"),
        ("{ mode: s2_auto, rtt_thresholds: [5 ] }", "expected a string"),
        ("{ mode: s2_auto, level: 5 }", "level"),
    ] {
        let errors = loaded(&format!("cluster {{ listen: 6222\ncompression: {written} }}")).expect_err(written);
        let errors = errors.to_string();
        assert!(errors.contains(problem) && errors.contains(":2:"), "{written}: {errors}");
    }
}
