//! Configurations that change while the server runs.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use crate::harness::client::Client;
use crate::harness::node::{Node, Setup};
use crate::harness::server::{Program, TestServer, programs, wait_for};

#[test]
fn what_changes_is_told_and_holds_for_clients_that_are_there() {
    for program in programs() {
        let mut server = TestServer::start(program, "max_payload: 100");
        let mut client = server.client();
        client.send("SUB foo 1\r\n");
        client.expect_nothing();
        server.reconfigure("max_payload: 4\nping_interval: \"90s\"\nping_max: 7\nwrite_deadline: \"3s\"");
        server.wait_for_line("[INF] Reloaded server configuration (sha256:");
        for change in ["max_payload = 4", "ping_interval = 1m30s", "ping_max = 7", "write_deadline = 3s"] {
            let told = server.log().iter().filter(|line| line.ends_with(&format!("[INF] Reloaded: {change}"))).count();
            assert_eq!(told, 1, "{program:?}: {change}");
        }
        client.send("PUB foo 4\r\nfour\r\n");
        client.expect("MSG foo 1 4\r\nfour\r\n");
        client.send("PUB foo 5\r\nfives\r\n");
        client.expect("-ERR 'Maximum Payload Violation'\r\n");
        assert_eq!(server.connect().info["max_payload"], 4, "{program:?}");
    }
}

/// Clients check the size of their messages themselves, so they should know of a new limit.
#[test]
fn clients_hear_of_a_new_limit() {
    let server = TestServer::natsd("max_payload: 100");
    let mut client = Client::connect(server.port);
    while client.next_info()["connect_info"] != true {}
    server.reconfigure("max_payload: 4");
    assert_eq!(client.next_info()["max_payload"], 4);
}

/// An operation that has begun is not cut by a limit that is lowered before its end.
#[test]
fn a_message_on_its_way_is_not_lost() {
    for program in programs() {
        let mut server = TestServer::start(program, "max_payload: 100");
        let mut client = server.client();
        // What is sent at once is read at once: with the PING, the beginning of the message.
        client.send("SUB foo 1\r\nPING\r\nPUB foo 10\r\n01234");
        client.expect("PONG\r\n");
        server.reconfigure("max_payload: 4");
        server.wait_for_line("Reloaded server configuration");
        client.send("56789\r\n");
        client.expect("MSG foo 1 10\r\n0123456789\r\n");
        client.send("PUB foo 10\r\n");
        client.expect("-ERR 'Maximum Payload Violation'\r\n");
    }
}

#[test]
fn a_configuration_that_is_wrong_or_cannot_be_changes_nothing() {
    for program in programs() {
        let mut server = TestServer::start(program, "max_payload: 100");
        for (config, why) in [
            ("max_payload: 4\nbogus: 1", "unknown field \"bogus\""),
            ("max_payload: 4\nserver_name: other", "config reload not supported for "),
            ("max_payload: 4\nhttp: \"127.0.0.1:-1\"", "config reload not supported for "),
            ("max_payload: 4\nmax_pending: 10000000", "config reload not supported for "),
            ("max_payload: 4\nno_header_support: true", "config reload not supported for "),
            ("max_payload: 100000000", "max_payload (100000000) cannot be higher than max_pending (67108864)"),
        ] {
            server.reconfigure(config);
            let line = server.wait_for_line("[ERR] Failed to reload server configuration: ");
            assert!(line.contains(why), "{program:?}: {line}");
            assert_eq!(server.connect().info["max_payload"], 100, "{program:?}: {config}");
        }
        std::fs::remove_file(server.dir().join("server.conf")).expect("it was there");
        server.signal("HUP");
        server.wait_for_line("[ERR] Failed to reload server configuration: ");
        server.client().expect_pong();
    }
}

#[test]
fn files_that_cannot_be_written_leave_all_as_it_was() {
    let mut server = TestServer::natsd("max_payload: 100\npid_file: \"{dir}/n.pid\"");
    for wrong in ["log_file: \"/no/such.log\"", "pid_file: \"/no/such.pid\"", "ports_file_dir: \"/no/such\""] {
        server.reconfigure(&format!("max_payload: 4\n{wrong}"));
        let line = server.wait_for_line("Failed to reload server configuration: cannot ");
        assert!(line.contains("/no/such"), "{line}");
        assert_eq!(server.connect().info["max_payload"], 100);
        assert!(server.dir().join("n.pid").exists());
    }
    server.reconfigure("max_payload: 4\npid_file: \"{dir}/other.pid\"\nlog_file: \"{dir}/n.log\"");
    server.wait_for_file("n.log", "Reloaded server configuration");
    assert!(!server.dir().join("n.pid").exists());
    server.wait_for_file("other.pid", &server.pid().to_string());
}

#[test]
fn without_a_file_there_is_nothing_to_reload() {
    let dir = tempfile::tempdir().expect("a directory");
    let log = dir.path().join("n.log");
    let mut server = std::process::Command::new(Program::Natsd.path())
        .args(["-a", "127.0.0.1", "-p", "-1", "-l"])
        .arg(&log)
        .spawn()
        .expect("natsd runs");
    let logged = |text: &str| {
        wait_for(text, || std::fs::read_to_string(&log).ok().filter(|log| log.contains(text)));
    };
    logged("Server is ready");
    let signal = |command: &str| {
        let request = format!("{command}={}", server.id());
        let told = std::process::Command::new(Program::Natsd.path()).args(["--signal", &request]).status();
        assert!(told.expect("natsd runs").success());
    };
    signal("reload");
    logged("[ERR] Failed to reload server configuration: there is no file to read again; start natsd with -c");
    signal("term");
    assert!(server.wait().expect("it ends").success());
}

#[test]
fn the_youngest_clients_go_when_there_may_be_fewer() {
    let mut server = TestServer::natsd("");
    let mut clients: Vec<_> = std::iter::repeat_with(|| server.client()).take(4).collect();
    clients.iter_mut().for_each(|client| client.expect_pong());
    server.reconfigure("max_connections: 2");
    server.wait_for_line("Reloaded server configuration");
    for client in &mut clients[2..] {
        client.expect("-ERR 'maximum connections exceeded'\r\n");
        client.expect_closed();
    }
    clients[..2].iter_mut().for_each(|client| client.expect_nothing());
    let mut surplus = server.connect();
    surplus.expect("-ERR 'maximum connections exceeded'\r\n");
}

#[test]
fn routes_come_and_go_with_the_configuration() {
    for program in programs() {
        let peers = [Node::start(program, "x", Setup::default()), Node::start(program, "y", Setup::default())];
        let subscribed = |(number, peer): (usize, &Node)| {
            let mut client = peer.client();
            client.subscribe(&format!("at.{number}"), "1");
            client.flush();
            client
        };
        let _subscribers: Vec<_> = peers.iter().enumerate().map(subscribed).collect();
        let config = |routes: &[&Node]| {
            let urls: Vec<_> = routes.iter().map(|n| format!("\"nats-route://127.0.0.1:{}\"", n.route_port)).collect();
            format!("server_name: s\ncluster {{ name: c1, listen: \"127.0.0.1:-1\", routes: [{}] }}", urls.join(", "))
        };
        let server = TestServer::natsd(&config(&[]));
        let mut client = Client::connect(server.port);
        let [x, y] = &peers;
        for (step, routes) in [&[x][..], &[y], &[], &[x, y], &[y]].into_iter().enumerate() {
            server.reconfigure(&config(routes));
            for (number, peer) in peers.iter().enumerate() {
                let routed = routes.iter().any(|route| std::ptr::eq(*route, peer));
                // Once the peers have met through this server they stay together, and one may come back to it.
                if routed || step < 3 {
                    client.wait_for_interest(&format!("at.{number}"), routed);
                }
            }
        }
    }
}

/// Traffic moves to the path that is the better one now, within the connections that there are.
#[cfg(feature = "lab")]
#[test]
fn another_preference_moves_the_traffic() {
    use crate::harness::network::{Ground, Pair};

    let mut pair = Pair::start(Ground::emulated(), "latency", false);
    pair.settle();
    let (routes, path) = (pair.routes(), pair.active(0));
    let options = pair.ground.options(0, "bandwidth", false);
    pair.reload(0, options);
    assert_eq!(pair.read(0, "/pathz")["path_preference"], serde_json::json!(["bandwidth"]));
    wait_for("another path", || Some(()).filter(|()| pair.active(0) != path));
    assert_eq!(pair.routes(), routes);
}

/// What is open in a process.
fn open_files(pid: u32) -> usize {
    std::fs::read_dir(Path::new("/proc").join(pid.to_string()).join("fd")).expect("it runs").count()
}

fn threads(pid: u32) -> usize {
    std::fs::read_dir(Path::new("/proc").join(pid.to_string()).join("task")).expect("it runs").count()
}

/// Five pairs of clients: one of each publishes numbers, and the other one gets them all in their order.
fn exchange(port: u16, name: usize, ready: &AtomicUsize, stop: &AtomicBool) -> usize {
    const BURST: usize = 20;
    let mut pairs: Vec<_> = (0..5).map(|_| (Client::connect(port), Client::connect(port))).collect();
    for (pair, (_, receiver)) in pairs.iter_mut().enumerate() {
        receiver.subscribe(&format!("load.{name}.{pair}"), "1");
        receiver.flush();
    }
    ready.fetch_add(1, Relaxed);
    let mut sent = 0;
    while !stop.load(Relaxed) {
        for (pair, (sender, _)) in pairs.iter_mut().enumerate() {
            let subject = format!("load.{name}.{pair}");
            (sent..sent + BURST).for_each(|number| sender.publish(&subject, &number.to_string()));
        }
        for (_, receiver) in &mut pairs {
            let got: Vec<_> = receiver.take(BURST).into_iter().map(|message| message.payload).collect();
            let expected: Vec<_> = (sent..sent + BURST).map(|number| number.to_string()).collect();
            assert_eq!(got, expected);
        }
        sent += BURST;
    }
    for (_, receiver) in &mut pairs {
        assert!(receiver.drain().is_empty(), "nothing comes twice");
    }
    sent
}

/// All that can change does so a hundred times, while fifty clients exchange messages.
#[test]
fn a_hundred_reloads_lose_nothing() {
    let config = |round: usize| {
        let odd = round % 2;
        let mut text = format!(
            "log_file: \"{{dir}}/{odd}.log\"\npid_file: \"{{dir}}/{odd}.pid\"\nmax_payload: {}\nmax_control_line: {}\n\
             ping_interval: \"{}s\"\nping_max: {}\nmax_connections: {}\nmax_subscriptions: {}\nwrite_deadline: \"{}s\"\n",
            1000 + odd,
            1000 + odd,
            60 + odd,
            3 + odd,
            100 + odd,
            50 + odd,
            9 + odd
        );
        let route = format!("routes: [\"nats-route://127.0.0.1:{}\"]", 1 + odd);
        write!(text, "debug: {}\nserver_name: s\n", odd == 1).expect("a String takes all");
        write!(text, "cluster {{ name: c1, listen: \"127.0.0.1:-1\", connect_retries: {odd}, {route} }}")
            .expect("a String takes all");
        text
    };
    let server = TestServer::quiet(Program::Natsd, &config(0), &[]);
    let (ready, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let reloads = |first: usize, count: usize| {
        for round in first..first + count {
            server.reconfigure(&config(round));
            let log = server.dir().join(format!("{}.log", round % 2));
            wait_for("the reload", || {
                let log = std::fs::read_to_string(&log).ok()?;
                Some(()).filter(|()| log.matches("Reloaded server configuration").count() == round.div_ceil(2))
            });
        }
    };
    std::thread::scope(|scope| {
        let load: Vec<_> = (0..5)
            .map(|name| {
                scope.spawn({
                    let (port, ready, stop) = (server.port, &ready, &stop);
                    move || exchange(port, name, ready, stop)
                })
            })
            .collect();
        // A thread of the load that fails must not leave the others running.
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wait_for("all clients", || Some(()).filter(|()| ready.load(Relaxed) == 5));
            reloads(1, 2);
            let before = (open_files(server.pid()), threads(server.pid()));
            reloads(3, 98);
            (before, (open_files(server.pid()), threads(server.pid())))
        }));
        stop.store(true, Relaxed);
        let sent: Vec<_> = load.into_iter().map(|thread| thread.join().expect("nothing is lost")).collect();
        let ((files, threads), (files_after, threads_after)) = done.expect("every reload is done");
        assert!(sent.iter().all(|sent| *sent > 0), "{sent:?}");
        assert!(files_after <= files + 2, "{files} open files became {files_after}");
        assert!(threads_after <= threads, "{threads} threads became {threads_after}");
    });
}
