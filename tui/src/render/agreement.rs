//! What is shown is what monitoring says, number by number.

use natsd_api::{Pathz, to_json};
use serde_json::Value;

use super::tests::text;
use crate::state::State;
use crate::{testing, world::World};

/// Milliseconds, bits a second or a share that a cell shows, and by how much it may differ for want of digits.
fn number(cell: &str) -> Option<(f64, f64)> {
    let cell = cell.trim_start_matches('>').trim_end_matches('!');
    let digits = cell.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == '%');
    let scale = match &cell[digits.len()..] {
        "" | "ms" => 1.0,
        "s" => 1e3,
        "%" => 1e-2,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        _ => return None,
    };
    let last = digits.split_once('.').map_or(1.0, |(_, decimals)| 0.1_f64.powi(decimals.len() as i32));
    Some((digits.parse::<f64>().ok()? * scale, 0.51 * last * scale))
}

/// The cells of the row of a path below each title.
fn row(screen: &str, id: u64, fingerprint: &str) -> Vec<(String, String)> {
    let lines: Vec<&str> = screen.lines().map(|line| line.trim_matches('"')).collect();
    let titles = lines.iter().find(|line| line.starts_with("RANK")).expect("titles");
    let name = format!(" #{id} {} ", &fingerprint[..8]);
    let line: Vec<char> = lines.iter().find(|line| line.contains(&name)).expect("the path").chars().collect();
    let columns = ["RANK", "RTT", "JITTER", "LOSS", "ONE-WAY", "BANDW", "GIVES", "MTU"];
    let shown = columns.into_iter().filter_map(|title| {
        let end =
            titles.find(&format!(" {title} ")).map(|at| at + 1 + title.len()).or((title == "RANK").then_some(4))?;
        let text: String = line[..end].iter().collect();
        Some((title.to_owned(), text.rsplit(' ').next().unwrap_or_default().to_owned()))
    });
    shown.collect()
}

/// What the document says, in the units of `number`; `None` is `null`.
fn said(path: &Value, title: &str) -> Option<f64> {
    let (announced, measured) = (&path["announced"], &path["measured"]);
    match title {
        "RANK" => path["rank"].as_f64(),
        "RTT" => measured["rtt_ms"].as_f64(),
        "JITTER" => measured["jitter_ms"].as_f64(),
        "LOSS" => measured["loss"].as_f64(),
        "ONE-WAY" => announced["latency_ms"].as_f64(),
        "BANDW" => announced["bandwidth_kbps"].as_f64().map(|kbps| kbps * 1e3),
        "GIVES" => measured["bandwidth_kbps"].as_f64().or(measured["delivered_kbps"].as_f64()).map(|kbps| kbps * 1e3),
        "MTU" => measured["mtu"].as_f64().or(path["mtu"].as_f64()),
        _ => unreachable!("no such title"),
    }
}

/// A document with numbers of all sizes, some of them missing.
fn pathz(seed: u64) -> Pathz {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut pathz = testing::pathz();
    for path in &mut pathz.peers[0].paths {
        let mut some = |most: u64| Some(random() % most).filter(|value| value % 5 != 0);
        let millis = |micros: Option<u64>| micros.map(|micros| micros as f64 / 1e3);
        path.measured.rtt_ms = millis(some(3_000_000));
        path.measured.jitter_ms = millis(some(40_000));
        path.measured.loss = some(1000).map(|per_mille| per_mille as f64 / 1e3);
        path.announced.latency_ms = millis(some(900_000));
        path.announced.bandwidth_kbps = some(40_000_000);
        path.measured.bandwidth_kbps = some(9_000_000);
        path.measured.delivered_kbps = some(9_000);
        path.measured.mtu = some(1400).map(|mtu| mtu as u32);
    }
    pathz
}

#[test]
fn each_number_of_a_path_is_that_of_the_document() {
    let mut seen = 0;
    for seed in 0..200 {
        let pathz = pathz(seed);
        let document: Value = serde_json::from_str(&to_json(&pathz)).expect("JSON");
        let mut world = World::new(["http://127.0.0.1:8222".parse().unwrap()]);
        let snapshot = crate::Snapshot { pathz: Some(pathz), ..testing::snapshot() };
        world.observe(0, testing::at(60), Ok(snapshot));
        let screen = text(&State::new(world, None, testing::at(60)), 132, 40);
        for path in document["peers"][0]["paths"].as_array().expect("paths") {
            let (id, fingerprint) = (path["id"].as_u64().expect("id"), path["fingerprint"].as_str().expect("name"));
            for (title, cell) in row(&screen, id, fingerprint) {
                match (said(path, &title), number(&cell)) {
                    (None, None) => assert_eq!(cell, "?", "{title} of #{id}"),
                    (Some(said), Some((shown, within))) => {
                        assert!((said - shown).abs() <= within, "{title} of #{id}: {cell} for {said}");
                    }
                    (said, _) => panic!("{title} of #{id}: {cell:?} for {said:?}"),
                }
                seen += 1;
            }
        }
    }
    assert_eq!(seen, 200 * 4 * 8);
}
