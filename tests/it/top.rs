//! The dashboard on servers that run.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::harness::network::{Ground, Pair};

fn printed(pair: &Pair, mode: &str) -> String {
    let url = format!("http://127.0.0.1:{}", pair.monitor_port(0));
    let mut command = Command::new(env!("CARGO_BIN_EXE_natsd"));
    command.args(["top", "--connect", &url, "--cycles", "1", "--ascii", "--mode", mode]).stdin(Stdio::null());
    let output = command.output().expect("started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

fn paths(pair: &Pair) -> Vec<Value> {
    pair.paths(0)["paths"].as_array().cloned().expect("paths")
}

#[test]
fn what_is_printed_agrees_with_monitoring() {
    let pair = Pair::start(Ground::emulated(), "latency", false);
    pair.settle();
    let text = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    // Of a path that is in use, what changes all the time is left out.
    let known = |path: &Value| {
        let announced = &path["announced"];
        let values =
            [&path["fingerprint"], &path["hops"], &path["mtu"], &announced["latency_ms"], &announced["bandwidth_kbps"]];
        values.map(text)
    };
    let mut wanted: Vec<_> = paths(&pair).iter().map(known).collect();
    let csv = printed(&pair, "csv");
    let mut lines = csv.lines();
    let head: Vec<&str> = lines.next().expect("a head").split(',').collect();
    let mut printed_paths: Vec<_> = lines
        .map(|line| {
            // The sequence alone has commas, within quotes.
            let mut quoted = false;
            let mask = |c: char| {
                quoted ^= c == '"';
                if quoted && c == ',' { ';' } else { c }
            };
            let line: String = line.chars().map(mask).collect();
            let cells: Vec<&str> = line.split(',').collect();
            let cell = |name| cells[head.iter().position(|column| *column == name).expect("a column")].to_owned();
            ["fingerprint", "hops", "mtu", "announced_latency_ms", "announced_bandwidth_kbps"].map(cell)
        })
        .collect();
    wanted.sort();
    printed_paths.sort();
    assert_eq!(printed_paths, wanted);

    let graph = printed(&pair, "dot");
    assert!(graph.contains("\"1-ff00:0:111\" -- ") && graph.contains("style=bold"), "{graph}");
    let table = printed(&pair, "pretty");
    assert!(table.is_ascii() && wanted.iter().all(|path| table.contains(&path[0][..8])), "{table}");
}

/// The page for browsers, run by Node.js on a document of its own, if there is one.
#[cfg(feature = "interop")]
#[test]
fn the_page_shows_what_monitoring_says() {
    let pair = Pair::start(Ground::emulated(), "latency", false);
    pair.settle();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/page.mjs");
    let base = format!("http://127.0.0.1:{}", pair.monitor_port(0));
    let Ok(output) = Command::new("node").args([script, &base]).output() else {
        eprintln!("Node.js is missing: the page is not tried");
        return;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let page = String::from_utf8(output.stdout).expect("text");
    let (peer, known) = (pair.paths(0), paths(&pair));
    assert!(page.contains("== trouble\n\n"), "{page}");
    for path in &known {
        let name = format!("#{} {}", path["id"], &path["fingerprint"].as_str().expect("a name")[..8]);
        let row = page.lines().find(|line| line.contains(&name)).unwrap_or_else(|| panic!("{name} is not in {page}"));
        let cells: Vec<&str> = row.split('\t').collect();
        assert_eq!((cells[0], cells[1]), ("1-ff00:0:112", path["rank"].to_string().as_str()), "{row}");
        let announced = &path["announced"];
        let latency = announced["latency_ms"].as_f64().map_or("?".to_owned(), |ms| format!("{ms} ms"));
        let bandwidth = announced["bandwidth_kbps"].as_u64().map_or("?".to_owned(), |kbps| kbps.to_string());
        assert_eq!((cells[7], cells[8]), (latency.as_str(), bandwidth.as_str()), "{row}");
    }
    let active = known.iter().find(|path| path["fingerprint"] == peer["active"]).expect("one is active");
    let [first, second] = [0, 1].map(|n| active["interfaces"][n].as_str().expect("an interface"));
    assert!(page.contains(&format!("active {first} - {second}: active\n")), "{page}");
    assert!(page.contains("\tjoin\t") && page.contains("== routes\nServer\t"), "{page}");
}

/// The dashboard as people use it, if there is a tmux.
#[cfg(feature = "interop")]
mod keys {
    use std::time::{Duration, SystemTime};

    use natsd_lab::link::Cut;

    use super::*;
    use crate::harness::network::wait_for;

    /// A terminal with the dashboard in it.
    struct Terminal(String);

    impl Terminal {
        /// `None` without tmux.
        fn open(url: &str) -> Option<Self> {
            Command::new("tmux").arg("-V").output().ok()?;
            let terminal = Self(format!("natsd-{}-{}", std::process::id(), url.rsplit(':').next()?));
            let top = format!("LC_ALL=C.UTF-8 {} top --connect {url}", env!("CARGO_BIN_EXE_natsd"));
            terminal.tmux(&["-f", "/dev/null", "new-session", "-d", "-s", "top", "-x", "80", "-y", "24", &top]);
            Some(terminal)
        }

        fn tmux(&self, args: &[&str]) -> String {
            let output = Command::new("tmux").args(["-u", "-L", &self.0]).args(args).output().expect("tmux is there");
            String::from_utf8_lossy(&output.stdout).into_owned()
        }

        fn press(&self, key: &str) {
            self.tmux(&["send-keys", "-t", "top", key]);
        }

        fn screen(&self) -> String {
            self.tmux(&["capture-pane", "-p", "-t", "top"])
        }

        fn shows(&self, text: &str) -> bool {
            self.screen().contains(text)
        }
    }

    impl Drop for Terminal {
        fn drop(&mut self) {
            self.tmux(&["kill-server"]);
        }
    }

    #[test]
    fn one_key_says_why_and_a_failover_is_on_the_screen_within_a_second() {
        let pair = Pair::start(Ground::emulated(), "latency", false);
        pair.settle();
        let best = pair.paths(0)["active"].as_str().expect("a path").to_owned();
        let Some(terminal) = Terminal::open(&format!("http://127.0.0.1:{}", pair.monitor_port(0))) else {
            eprintln!("tmux is missing: the keys of the dashboard are not tried");
            return;
        };
        wait_for("the paths", || terminal.shows(&best[..8]));
        terminal.press("Enter");
        wait_for("why", || terminal.shows("why is path #") && terminal.shows("< decides"));
        terminal.press("Escape");
        terminal.press("5");
        wait_for("the map", || terminal.shows("[1-ff00:0:111]") && terminal.shows("━"));
        terminal.press("4");

        let (mut here, mut there) = (pair.client(0), pair.client(1));
        there.subscribe("tick", "1");
        here.wait_for_interest("tick", true);
        wait_for("the paths to be known", || terminal.shows("join"));
        let switched = || {
            let events = pair.read(0, "/eventz?stream=0&kind=switch");
            events["events"].as_array().cloned().unwrap_or_default().into_iter().find(|event| event["gap_ms"].is_f64())
        };
        pair.ground.engine.cut("peer", Cut::BlackHole, None).expect("there is such a link");
        wait_for("a failover", || {
            here.publish("tick", "x");
            there.next();
            switched().is_some()
        });
        let event = switched().expect("it was waited for");
        let gap = event["gap_ms"].as_f64().expect("a gap");
        wait_for("the failover on the screen", || terminal.shows(" switch "));
        let time: jiff::Timestamp = event["time"].as_str().and_then(|time| time.parse().ok()).expect("a time");
        let late = SystemTime::now().duration_since(time.into()).unwrap_or_default();
        assert!(late < Duration::from_secs(1), "seen {late:?} after it happened");
        let shown = if gap < 99.95 { format!("{gap:.1}ms") } else { format!("{gap:.0}ms") };
        wait_for("its gap", || terminal.shows(&shown));

        terminal.press("q");
        wait_for("the end", || !terminal.tmux(&["list-sessions"]).contains("top"));
    }
}
