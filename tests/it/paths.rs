//! The commands that look at paths: `natsd paths` and `natsd ping`.

use std::process::Output;

use natsd_lab::link::Cut;
use serde_json::Value;

use crate::harness::network::{ASES, Ground};
use crate::harness::server::natsd;

/// The configuration of a server in the AS of the first one.
fn file(dir: &std::path::Path, text: &str) -> String {
    let file = dir.join("natsd.conf");
    std::fs::write(&file, text).expect("a file");
    file.display().to_string()
}

#[test]
fn a_configuration_says_what_is_wanted_of_paths() {
    let ground = Ground::emulated();
    let dir = tempfile::tempdir().expect("a directory");
    let at = ground.addresses(ASES[0]);
    let text = format!(
        "listen: \"[{},{}]:4222\"\nclient_path_rules {{ prefer: hops, avoid: \"1-ff00:0:111#3\" }}\n\
         scion {{ daemon: \"{}\", local: \"{}\", prefer: \"cost,latency\"\n\
         costs {{ \"1-ff00:0:111#3\": 5, \"0-0\": 1 }}\n\
         accounts {{ GOV {{ avoid: [\"1-ff00:0:111#1\", \"1-ff00:0:111#2\"] }} }}\n\
         paths {{ \"orders.>\": {{ prefer: latency }}, \"orders.new\": {{ max_cost: 3 }} }} }}",
        ASES[0], at.host, at.daemon, at.host
    );
    let file = file(dir.path(), &text);
    let listed = |traffic: &[&str], status| {
        let flags = [&["paths", ASES[1], "--config", &file, "--format", "json"], traffic].concat();
        let output = natsd(&flags);
        assert_eq!(output.status.code(), Some(status), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).expect("JSON")
    };
    const DIRECT: &str = "1-ff00:0:111#0,3 1-ff00:0:112#3,0";
    let all = listed(&[], 0);
    assert_eq!(all["path_preference"], serde_json::json!(["cost", "latency"]));
    let first = &all["paths"][0];
    assert_eq!((&first["cost"], first["sequence"] == DIRECT), (&3.into(), false), "{first}");
    let direct = all["paths"].as_array().expect("a list").iter().find(|path| path["sequence"] == DIRECT);
    let direct = direct.expect("it is listed");
    assert_eq!((&direct["cost"], &direct["status"]), (&7.into(), &"alive".into()));
    assert_eq!(listed(&["--for", "subject:orders.old"], 0)["paths"][0]["sequence"], DIRECT);

    let limited = listed(&["--for", "subject:orders.new"], 0);
    assert_eq!(limited["rules"], serde_json::json!(["max_cost 3"]));
    let mut dear = limited["paths"].as_array().expect("a list").iter().filter(|path| path["cost"].as_u64() > Some(3));
    let why = dear.next().expect("some cost more")["why"].as_str().unwrap_or_default();
    assert!(why.starts_with("breaks max_cost 3; #") && why.ends_with(" breaks none"), "{why}");

    let gov = listed(&["--for", "account:GOV"], 0);
    let excluded: Vec<_> = gov["paths"].as_array().expect("a list")[1..].iter().collect();
    assert_eq!((&gov["paths"][0]["sequence"], excluded.len()), (&DIRECT.into(), 6));
    let why = |path: &&Value| path["why"].as_str().is_some_and(|why| why.starts_with("avoid \"1-ff00:0:111#"));
    assert!(excluded.iter().all(|path| path["status"] == "excluded" && why(path)), "{gov}");

    let accepted = listed(&["--for", "clients"], 0);
    assert_eq!(accepted["path_preference"], serde_json::json!(["hops"]));
    assert_eq!(accepted["paths"][6]["why"], "avoid \"1-ff00:0:111#3\" is crossed");
    let table = natsd(&["paths", ASES[1], "--config", &file, "--for", "clients"]);
    let table = String::from_utf8_lossy(&table.stdout);
    assert!(table.contains("For what is accepted at clients, by "), "{table}");
    assert!(table.contains("\n      avoid \"1-ff00:0:111#3\"\n"), "{table}");
    assert!(table.lines().any(|line| line.starts_with("7     excluded  unknown")), "{table}");
}

#[test]
fn a_configuration_that_says_nothing_of_paths_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let says = |text: &str, traffic: &str, wanted: &str| {
        let output = natsd(&["paths", ASES[1], "--config", &file(dir.path(), text), "--for", traffic]);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(wanted), "{error}");
    };
    says("port: 4222", "route", "SCION is off there; add a scion {} block");
    says("scion { acl: [\"- 2\"] }", "route", "end it with \"+\"");
    says("scion {}", "accounts:X", "use route, account:NAME, subject:SUBJECT");
}

/// Runs a command in the AS of the first server.
fn command(ground: &Ground, args: &[&str]) -> Output {
    let at = ground.addresses(ASES[0]);
    let (daemon, local) = (at.daemon.to_string(), at.host.to_string());
    natsd(&[args, &["--daemon", &daemon, "--local", &local]].concat())
}

fn listed(ground: &Ground, preference: &str) -> Value {
    let output = command(ground, &["paths", ASES[1], "--format", "json", "--preference", preference]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn paths_are_ranked_by_preference_and_asked_whether_they_live() {
    let ground = Ground::emulated();
    let by_latency = listed(&ground, "latency");
    assert_eq!((&by_latency["local_isd_as"], &by_latency["destination"]), (&ASES[0].into(), &ASES[1].into()));
    let first = &by_latency["paths"][0];
    assert_eq!(first["sequence"], "1-ff00:0:111#0,3 1-ff00:0:112#3,0");
    assert_eq!((&first["status"], &first["rank"], &first["why"]), (&"alive".into(), &1.into(), &"the best".into()));
    assert_eq!((&first["mtu"], &first["latency"][0]), (&1400.into(), &4_000_000.into()));
    assert_eq!(by_latency["paths"].as_array().map(Vec::len), Some(7));

    let widest = &listed(&ground, "bandwidth,latency")["paths"][0];
    assert_eq!(widest["sequence"], "1-ff00:0:111#0,2 1-ff00:0:120#11,12 1-ff00:0:112#2,0");
    assert_eq!(widest["announced"]["bandwidth_kbps"], 40_000);

    ground.engine.cut("peer", Cut::BlackHole, None).expect("there is such a link");
    let cut = command(&ground, &["paths", ASES[1], "--timeout", "500ms"]);
    let table = String::from_utf8_lossy(&cut.stdout);
    assert_eq!(cut.status.code(), Some(0), "others live");
    assert!(table.lines().any(|line| line.starts_with("7     timeout  unknown")), "{table}");

    ground.for_all_links(|engine, link| engine.cut(link, Cut::BlackHole, None).expect("there is such a link"));
    assert_eq!(command(&ground, &["paths", ASES[1], "--timeout", "100ms"]).status.code(), Some(1), "none lives");
    assert_eq!(command(&ground, &["paths", ASES[1], "--no-probe"]).status.code(), Some(0), "none was asked");
}

#[test]
fn hosts_are_pinged_over_the_path_that_is_chosen() {
    let ground = Ground::emulated();
    let host = format!("{},{}", ASES[1], ground.addresses(ASES[1]).host);
    let answered = command(&ground, &["ping", &host, "-c", "2", "--interval", "1ms"]);
    let text = String::from_utf8_lossy(&answered.stdout);
    assert_eq!(answered.status.code(), Some(0), "{}", String::from_utf8_lossy(&answered.stderr));
    assert!(text.starts_with(&format!("PING {host} over 1-ff00:0:111 3>3 1-ff00:0:112\n")), "{text}");
    assert!(text.contains("seq=1 time=") && text.contains("2 sent, 2 answered, 0 % lost; min/avg/max "), "{text}");

    let wide = listed(&ground, "bandwidth,latency")["paths"][0]["fingerprint"].clone();
    let wide = wide.as_str().expect("a text");
    let chosen = command(&ground, &["ping", &host, "-c", "1", "--path", wide]);
    let text = String::from_utf8_lossy(&chosen.stdout);
    assert!(text.starts_with(&format!("PING {host} over 1-ff00:0:111 2>11 1-ff00:0:120 12>2 ")), "{text}");

    let nobody = format!("{},127.0.0.9", ASES[1]);
    let silent = command(&ground, &["ping", &nobody, "-c", "1", "--timeout", "100ms"]);
    assert_eq!(silent.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&silent.stdout).contains("1 sent, 0 answered, 100 % lost"));
}

#[test]
fn a_sequence_leaves_only_the_paths_over_its_hops() {
    let ground = Ground::emulated();
    let wide = "1-ff00:0:111#2 0? 1-ff00:0:112#2";
    let output = command(&ground, &["paths", ASES[1], "--format", "json", "--sequence", wide]);
    let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let sequences: Vec<_> =
        document["paths"].as_array().expect("a list").iter().map(|path| &path["sequence"]).collect();
    assert_eq!(sequences, ["1-ff00:0:111#0,2 1-ff00:0:120#11,12 1-ff00:0:112#2,0"]);

    let host = format!("{},{}", ASES[1], ground.addresses(ASES[1]).host);
    let answered = command(&ground, &["ping", &host, "-c", "1", "--sequence", wide]);
    let text = String::from_utf8_lossy(&answered.stdout);
    assert_eq!(answered.status.code(), Some(0), "{}", String::from_utf8_lossy(&answered.stderr));
    assert!(text.starts_with(&format!("PING {host} over 1-ff00:0:111 2>11 1-ff00:0:120 12>2 ")), "{text}");

    let none = command(&ground, &["ping", &host, "--sequence", "0-0#0 1-ff00:0:120 0-0#1"]);
    let error = String::from_utf8_lossy(&none.stderr);
    assert_eq!(none.status.code(), Some(2), "{error}");
    assert!(error.contains("none of the 7 paths to 1-ff00:0:112 is \"0-0#0 1-ff00:0:120 0-0#1\""), "{error}");
}

#[test]
fn a_ping_is_told_as_json() {
    let ground = Ground::emulated();
    let at = ground.addresses(ASES[0]);
    let ping = |host: &str, flags: &[&str], status| {
        let flags = [&["ping", host, "--format", "json", "--interval", "1ms"], flags].concat();
        let output = command(&ground, &flags);
        assert_eq!(output.status.code(), Some(status), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).expect("one JSON document")
    };
    let host = format!("{},{}", ASES[1], ground.addresses(ASES[1]).host);
    let told = ping(&host, &["-c", "2", "-s", "10", "--sequence", "0-0#3 0"], 0);
    let path = &told["path"];
    assert_eq!(path["sequence"], "1-ff00:0:111#0,3 1-ff00:0:112#3,0");
    assert_eq!(path["hops"][1], serde_json::json!({ "interface": 3, "isd_as": ASES[1] }));
    assert_eq!((&path["local_ip"], &path["next_hop"]), (&at.host.to_string().into(), &at.router.to_string().into()));
    // What `scion ping` tells of the same request.
    assert_eq!((&told["payload_size"], &told["scion_packet_size"]), (&10.into(), &98.into()));
    assert_eq!((&told["replies"][1]["scmp_seq"], &told["replies"][1]["source"]), (&1.into(), &host.into()));
    let statistics = &told["statistics"];
    assert_eq!((&statistics["sent"], &statistics["received"]), (&2.into(), &2.into()));
    let time = |key: &str| statistics[key].as_f64().expect(key);
    assert!(8.0 <= time("min_rtt") && time("min_rtt") <= time("avg_rtt") && time("avg_rtt") <= time("max_rtt"));

    let silent = ping(&format!("{},127.0.0.9", ASES[1]), &["-c", "1", "--timeout", "100ms"], 1);
    assert_eq!((&silent["statistics"]["packet_loss"], &silent["replies"]), (&100.0.into(), &Value::Array(Vec::new())));
    assert_eq!((&silent["statistics"]["min_rtt"], &silent["unanswered"][0]["scmp_seq"]), (&Value::Null, &0.into()));
}

#[test]
fn commands_say_why_there_is_nothing_to_show() {
    let ground = Ground::emulated();
    let says = |output: Output, wanted: &str| {
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(wanted), "{error}");
    };
    says(command(&ground, &["paths", ASES[0]]), "natsd paths: 1-ff00:0:111 is the AS of this host");
    says(command(&ground, &["paths", "1-ff00:0:999"]), "1-ff00:0:999");
    let host = format!("{},127.0.0.1", ASES[1]);
    says(command(&ground, &["ping", &host, "--rank", "8"]), "no path of rank 8 to 1-ff00:0:112: 7 are known");
    says(command(&ground, &["ping", &host, "--path", "00"]), "no path to 1-ff00:0:112 has the fingerprint 00");
    let missing = natsd(&["paths", ASES[1], "--daemon", "127.0.0.1:1"]);
    says(missing, "the SCION daemon at 127.0.0.1:1 did not answer");
    says(natsd(&["ping", &host, "--sciond", "127.0.0.1:1"]), "say where it is with --daemon or $SCION_DAEMON");
}

#[test]
fn commands_work_over_ipv6() {
    let ground = Ground::with_ipv6(&ASES, ASES);
    assert_eq!(listed(&ground, "latency")["paths"][0]["status"], "alive");
    for to in ASES {
        let host = format!("{to},[::1]");
        let answered = command(&ground, &["ping", &host, "-c", "1"]);
        assert_eq!(answered.status.code(), Some(0), "{}", String::from_utf8_lossy(&answered.stderr));
    }
}
