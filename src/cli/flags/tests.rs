use super::*;
use crate::cli::args::{Command, try_parse};
use std::ffi::OsString;

fn flags(args: &str) -> ServeFlags {
    let args = std::iter::once("natsd").chain(args.split_whitespace()).map(OsString::from);
    match try_parse(args) {
        Ok(Command::Serve(flags) | Command::Check(flags)) => *flags,
        other => panic!("{other:?}"),
    }
}

fn options(args: &str) -> Options {
    flags(args).options().unwrap_or_else(|error| panic!("{args}: {error}")).0
}

/// The options of a file and flags.
fn options_over(file: &str, args: &str) -> Result<Options, StartError> {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("test.conf");
    std::fs::write(&path, file).expect("test.conf");
    flags(&format!("-c {} {args}", path.display())).options().map(|(options, _)| options)
}

fn tcp(host: &str, port: u16) -> Listen {
    Listen::Tcp { host: host.into(), port }
}

#[test]
fn without_flags_the_defaults_hold() {
    assert_eq!(format!("{:?}", options("")), format!("{:?}", Options::default()));
}

#[test]
fn address_and_port() {
    for (args, expected) in [
        ("-p 4333", tcp("0.0.0.0", 4333)),
        ("-p -1", tcp("0.0.0.0", 0)),
        ("-p 0", tcp("0.0.0.0", 4222)),
        ("--port=4333 --addr 127.0.0.1", tcp("127.0.0.1", 4333)),
        ("-a 127.0.0.1", tcp("127.0.0.1", 4222)),
        ("-net 127.0.0.1", tcp("127.0.0.1", 4222)),
    ] {
        assert_eq!(options(args).listen, [expected], "{args}");
    }
}

#[test]
fn they_replace_those_of_the_file_one_by_one() {
    let listen = |file, args| options_over(file, args).expect(file).listen;
    assert_eq!(listen("listen: \"127.0.0.1:4333\"", "-p 4444"), [tcp("127.0.0.1", 4444)]);
    assert_eq!(listen("listen: \"127.0.0.1:4333\"", "-a localhost"), [tcp("localhost", 4333)]);
    let scion = "scion: true\nlisten: [\"[1-ff00:0:110,10.0.0.1]:1\", 4333 ]";
    assert_eq!(listen(scion, "-p 4444")[1], tcp("0.0.0.0", 4444));
    let several = options_over("listen: [1, 2 ]", "-p 3").expect_err("ambiguous");
    assert!(several.to_string().contains("2 TCP addresses"), "{several}");
}

#[test]
fn monitoring_follows_the_address() {
    assert_eq!(options("-m 8222").http, Some(("0.0.0.0".into(), 8222)));
    assert_eq!(options("-a 127.0.0.1 -m -1").http, Some(("127.0.0.1".into(), 0)));
    let http = |file, args| options_over(file, args).expect(file).http;
    assert_eq!(http("http: \"127.0.0.1:8222\"", "-m 8333"), Some(("127.0.0.1".into(), 8333)));
    assert_eq!(http("http_port: 8222", "-a localhost"), Some(("localhost".into(), 8222)));
    assert_eq!(http("http_port: 8222", "-m 0"), None);
}

#[test]
fn tls_by_flags() {
    let dir = tempfile::tempdir().expect("a directory");
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let (cert, key) = (dir.path().join("c.pem"), dir.path().join("k.pem"));
    std::fs::write(&cert, made.cert.pem()).expect("c.pem");
    std::fs::write(&key, made.signing_key.serialize_pem()).expect("k.pem");
    let files = format!("--tlscert {} --tlskey {}", cert.display(), key.display());
    let tls = options(&format!("--tls {files} -ms 8222"));
    assert_eq!(tls.https, Some(("0.0.0.0".into(), 8222)));
    assert_eq!(tls.tls.map(|tls| (tls.cert_file, tls.verify)), Some((Some(cert.clone()), false)));
    let verify = options(&format!("{files} -tlsverify --tlscacert {}", cert.display()));
    assert!(verify.tls.expect("on").verify);
    let missing = flags("--tls").options().expect_err("no certificate").to_string();
    assert!(missing.starts_with("tls: missing 'cert_file'"), "{missing}");
}

#[test]
fn names_files_and_logging() {
    let set = options(
        "-n s1 -P n.pid -l n.log -T=false --logtime_utc -DV --max_traced_msg_len 64 --client_advertise pub:4222",
    );
    assert_eq!(set.server_name.as_deref(), Some("s1"));
    assert_eq!(set.client_advertise.as_deref(), Some("pub:4222"));
    assert_eq!((set.pid_file, set.log_file), (Some("n.pid".into()), Some("n.log".into())));
    assert_eq!((set.logtime, set.logtime_utc, set.debug, set.trace), (false, true, true, true));
    assert_eq!(set.max_traced_msg_len, 64);
    assert_eq!(options("--ports_file_dir /run").ports_file_dir, Some("/run".into()));
    let logs = options("-s -r udp://localhost:514 --log_size_limit 1000");
    assert_eq!((logs.syslog, logs.log_size_limit), (true, 1000));
    assert_eq!(logs.syslog_address(), Some(SyslogAddr::Udp { host: "localhost".into(), port: 514 }));
    assert_eq!(options("-s").syslog_address(), Some(SyslogAddr::Local));
    assert!(!options_over("debug: true", "-D=false").expect("valid").debug);
    let levels = |args| {
        let set = options(args);
        (set.debug, set.trace, set.trace_verbose)
    };
    assert_eq!((levels("-V"), levels("-VV")), ((false, true, false), (false, true, true)));
    assert_eq!((levels("-DV"), levels("--DVV")), ((true, true, false), (true, true, true)));
}

#[test]
fn flags_of_the_ruby_server_are_taken() {
    let set = options("-a 127.0.0.1 -p 4333 -S nats --cluster_port 6222 --no_epoll --no_kqueue -T");
    assert_eq!((set.listen, set.syslog, set.logtime), (vec![tcp("127.0.0.1", 4333)], true, true));
    assert_eq!(set.cluster.map(|cluster| cluster.listen), Some(vec![tcp("127.0.0.1", 6222)]));
    let error = flags("--ssl").options().expect_err("no certificate").to_string();
    assert!(error.starts_with("tls: missing 'cert_file'"), "{error}");
    let error = flags("-d").options().expect_err("it stays").to_string();
    assert!(error.starts_with("-d: natsd does not go to the background"), "{error}");
}

#[test]
fn users_by_flags() {
    assert!(options("--user u --pass p").authorization.is_required());
    assert!(options("--auth t").authorization.is_required());
    assert!(options_over("authorization { token: x }", "--user u --pass p").is_ok());
    let text = "authorization { users: [{user: a, password: b}] }";
    for args in ["--user u --pass p", "--auth t"] {
        let error = options_over(text, args).expect_err(args).to_string();
        assert!(error.contains("change the file instead"), "{error}");
    }
}

#[test]
fn a_cluster_by_flags() {
    let cluster = options(
        "--cluster nats://127.0.0.1:-1 --cluster_name c --routes nats://a:1,nats-route://b:2 --no_advertise \
         --connect_retries 3 --cluster_advertise pub:6222",
    );
    let cluster = cluster.cluster.expect("cluster");
    assert_eq!(cluster.listen, [tcp("127.0.0.1", 0)]);
    assert_eq!(cluster.routes.len(), 2);
    assert_eq!((cluster.name.as_deref(), cluster.advertise.as_deref()), (Some("c"), Some("pub:6222")));
    assert_eq!((cluster.no_advertise, cluster.connect_retries), (true, 3));
    let login = |args: &str| {
        let file = "cluster { authorization { user: f, password: p } }";
        let login = options_over(file, args).expect("valid").cluster.expect("cluster").login.expect("some");
        (login.user, login.password.0)
    };
    assert_eq!(login("--cluster nats://r%40:a%3Ab@127.0.0.1:-1"), ("r@".into(), "a:b".into()));
    assert_eq!(login("--cluster nats://127.0.0.1:-1"), ("f".into(), "p".into()));
    let over = options_over("cluster { listen: 6222, name: x }", "--cluster_name y").expect("valid");
    let cluster = over.cluster.expect("cluster");
    assert_eq!((cluster.listen, cluster.name.as_deref()), (vec![tcp("0.0.0.0", 6222)], Some("y")));
}

#[test]
fn scion_addresses_need_the_flag_or_the_file() {
    let args = "--cluster nats://18-ffaa:1:10bf,127.0.0.1:4248 \
                --routes nats-route://[18-ffaa:1:10a0,127.0.0.1]:5248,nats-route://[18-ffaa:1:10a1,127.0.0.1]:5248";
    assert!(flags(args).options().is_err());
    assert_eq!(options(&format!("--scion {args}")).cluster.expect("cluster").routes.len(), 2);
    let preference = options_over("scion { path_preference: hops }", "--scion").expect("valid").scion;
    assert_eq!(
        preference.expect("scion").wishes.policy.preference.to_string(),
        "hops",
        "the flag keeps what the file says"
    );
}

#[test]
fn flags_for_what_there_is_not_say_so() {
    assert!(flags("-sd /tmp/x -jetstream=false -profile 0").options().is_ok());
    for (args, reason) in [("-js", "natsd keeps no streams yet"), ("-profile 6060", "natsd serves no profiles")] {
        assert!(flags(args).options().expect_err(args).to_string().contains(reason), "{args}");
    }
}
