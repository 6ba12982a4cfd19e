//! `gateway {}`.

use super::*;

#[test]
fn a_cluster_and_others() {
    let read = options(
        "gateway { name: A, host: h, port: -1, advertise: \"x:1\", connect_retries: 3, connect_backoff: true, reject_unknown: true\n\
         authorization { user: u, pass: p, timeout: 0.5 }, write_timeout: close, write_deadline: \"3s\"\n\
         gateways: [{ name: A, url: \"nats://a:1\" }, { name: B, urls: [\"nats://u:p@b:1\", \"tls://c:2\"], url: \"nats://d:3\" }] }\n\
         cluster { listen: 6222 }",
    );
    read.check().expect("they go together");
    let gateway = read.gateway.expect("given");
    assert_eq!((gateway.name.as_str(), &gateway.listen), ("A", &vec![tcp("h", 0)]));
    assert_eq!((gateway.connect_retries, gateway.connect_backoff, gateway.reject_unknown), (3, true, true));
    assert_eq!(gateway.login.as_ref().map(|login| login.user.as_str()), Some("u"));
    assert_eq!(gateway.auth_timeout, Duration::from_millis(500));
    let others: Vec<_> = gateway.others().map(ToString::to_string).collect();
    assert_eq!(others, ["B [b:1, c:2, d:3]"], "we are no other cluster");
}

#[test]
fn what_makes_no_sense_is_refused_where_it_stands() {
    for (text, problem) in [
        ("gateway { port: 1 }", "1:1: gateway: name is missing"),
        ("gateway { name: A }", "1:1: gateway: a port is missing"),
        ("gateway { name: \"A B\", port: 1 }", "1:11: name: \"A B\" is not a name"),
        ("gateway { name: _, port: 1 }", "1:11: name: \"_\" cannot be the name of a cluster"),
        ("gateway { name: A, port: 1, gateways: [{ url: \"nats://b:1\" }] }", "name is missing"),
        ("gateway { name: A, port: 1, gateways: [{ name: B }] }", "urls is missing"),
        (
            "gateway { name: A, port: 1, gateways: [{ name: B, url: \"http://u:secret@b:1\" }] }",
            "\"http://b:1\" is not the URL of a gateway",
        ),
        ("gateway { name: A, port: 1, gateways: [{ name: B, url: \"nats://b\" }] }", "is not the URL of a gateway"),
        (
            "gateway { name: A, port: 1, gateways: [{ name: B, url: \"nats://b:1\" }, { name: B, url: \"nats://c:1\" }] }",
            "the cluster \"B\" is listed twice",
        ),
        ("gateway { name: A, port: 1, authorization { users: [] } }", "servers of other clusters are one user here"),
        (
            "gateway { name: A, port: 1, authorization { token: secret } }",
            "servers of other clusters are one user here",
        ),
        ("gateway { name: A, port: 1, authorization { password: secret } }", "user is missing"),
        ("gateway { name: A, port: 1, reject_unkown: true }", "unknown field \"reject_unkown\""),
        ("gateway: false", "expected a map"),
        (
            "gateway { name: A, port: 1 }\ncluster { name: B, listen: 6222 }",
            "gateway.name is \"A\", and cluster.name \"B\"",
        ),
        (
            "gateway { name: A, port: 1 }\nleafnodes { port: 1 }",
            "gateway and leafnodes together need an account of the servers",
        ),
        ("gateway { name: A, listen: \"[1-ff00:0:110,127.0.0.1]:7222\" }", "SCION is off"),
    ] {
        let said = match loaded(text).map(|options| options.0.check()) {
            Err(errors) => errors.to_string(),
            Ok(Err(error)) => error.to_string(),
            Ok(Ok(())) => panic!("{text} is taken"),
        };
        assert!(said.contains(problem) && !said.contains("secret"), "{text}: {said}");
    }
    let with_account = "gateway { name: A, port: 1 }\nleafnodes { port: 1 }\naccounts { S {} }\nsystem_account: S";
    options(with_account).check().expect("they go together");
}
