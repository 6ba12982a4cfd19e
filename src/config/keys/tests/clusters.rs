//! `cluster {}`.

use super::*;

#[test]
fn servers_of_a_cluster_are_one_user_to_each_other() {
    let cluster = |text: &str| options(&format!("cluster {{ listen: 6222, {text} }}")).cluster.expect(text);
    let login = |text| cluster(text).login.map(|login| (login.user, login.password.0));
    assert_eq!(login("authorization { username: u, pass: p }"), Some(("u".into(), "p".into())));
    assert_eq!(login("authorization { user: u }"), Some(("u".into(), String::new())));
    assert_eq!(login("authorization { timeout: 3 }"), None);
    assert_eq!(cluster("authorization { timeout: 0.5 }").auth_timeout, Duration::from_millis(500));
    let both = r#"permissions { import: [a, "b.>"], export { deny: c } }"#;
    let expected = cluster(both).permissions.expect("some");
    assert!(expected.may_import(b"b.x") && !expected.may_import(b"c"));
    assert!(expected.may_export(b"b.x") && !expected.may_export(b"c"));
    let (inner, warnings) = loaded(&format!("cluster {{ listen: 6222, authorization {{ {both} }} }}")).expect("valid");
    assert_eq!(inner.cluster.expect("on").permissions, Some(expected));
    assert!(warnings.to_string().contains("1:41: permissions within the authorization of a cluster"), "{warnings}");
    let outer = "authorization { permissions { import: x } }, permissions { import: y }";
    let (outer, _) = loaded(&format!("cluster {{ listen: 6222, {outer} }}")).expect("valid");
    assert!(outer.cluster.expect("on").permissions.expect("some").may_import(b"y"));
    for (text, reason) in [
        ("authorization { password: hidden }", "authorization: user is missing"),
        ("authorization { token: hidden, user: u }", "a token is in place of user and password"),
        ("authorization { users: [] }", "users: servers of a cluster are one user to each other"),
        ("authorization { users: [{user: a}] }", "users: servers of a cluster are one user"),
        ("authorization { nkey: hidden }", "unknown field \"nkey\""),
        ("permissions { import: a, allow_responses: true }", "allow_responses means nothing between servers"),
        ("permissions { export: \"a q\" }", "\"a q\" names a queue group"),
        ("permissions { import: \"a q\" }", "\"a q\" names a queue group"),
        ("permissions { import: \"a..b\" }", "\"a..b\" is not a subject"),
    ] {
        let errors = loaded(&format!("cluster {{ listen: 6222, {text} }}")).expect_err(text).to_string();
        assert!(errors.contains(reason) && !errors.contains("hidden"), "{text}: {errors}");
    }
}

#[test]
fn a_passive_server_is_dialled_and_dials_nobody() {
    let cluster = options("cluster { listen: 6222, passive: true }").cluster.expect("on");
    assert!(cluster.passive && !options("cluster { listen: 6222 }").cluster.expect("on").passive);
    for (text, reason) in [
        ("listen: 6222, passive: true, routes: [\"nats://a:1\"]", "remove routes, or passive"),
        ("passive: true", "add listen, or remove passive"),
        ("listen: 6222, passive: sometimes", "expected true or false"),
    ] {
        let text = format!("cluster {{ {text} }}");
        let error = match loaded(&text) {
            Ok((options, _)) => options.check().expect_err(&text).to_string(),
            Err(errors) => errors.to_string(),
        };
        assert!(error.contains(reason), "{text}: {error}");
    }
}

#[test]
fn slow_writes_are_put_up_with_or_not() {
    let set = options("write_timeout: retry\ncluster { listen: 6222, write_timeout: close, write_deadline: \"3s\" }");
    let cluster = set.cluster.expect("on");
    assert_eq!((set.write_timeout, cluster.write_timeout), (WriteTimeout::Retry, WriteTimeout::Close));
    assert_eq!(cluster.write_deadline, Some(Duration::from_secs(3)));
    let set = options("write_timeout: default\ncluster { listen: 6222 }\nno_sublist_cache: true");
    assert_eq!((set.write_timeout, set.cluster.expect("on").write_deadline), (WriteTimeout::Default, None));
    for (text, reason) in [
        ("write_timeout: never", "\"never\" is not known; use \"default\", \"close\" or \"retry\""),
        ("write_timeout: true", "expected a string, found a boolean"),
        ("disable_sublist_cache: 1", "expected true or false"),
    ] {
        let errors = loaded(text).expect_err(text).to_string();
        assert!(errors.contains(reason), "{text}: {errors}");
    }
}

#[test]
fn routes_are_pinged_every_thirty_seconds_at_least() {
    let (options, warnings) = loaded("cluster { listen: 6222, ping_interval: \"2m\" }").expect("valid");
    assert_eq!(options.cluster.expect("cluster").ping_interval, Duration::from_secs(30));
    assert!(warnings.to_string().contains("1:25: ping_interval of a cluster"), "{warnings}");
}

#[test]
fn a_cluster_listens_dials_and_pools() {
    let cluster = options(
        "cluster {\n name: c, net: 127.0.0.1, port: 6222\n pool_size: -1\n connect_retries: 5, connect_backoff: true\n\
         cluster_advertise: \"pub.example:6222\", no_advertise: true, ping_max: 3\n\
         routes = [ \"nats-route://u:p@a:6222\", [\"nats://b:1\", \"nats://c:2\"] ] }",
    );
    let cluster = cluster.cluster.expect("cluster");
    assert_eq!(cluster.name.as_deref(), Some("c"));
    assert_eq!(cluster.listen, [tcp("127.0.0.1", 6222)]);
    assert_eq!((cluster.pool_size, cluster.connect_retries, cluster.ping_max), (None, 5, 3));
    assert!(cluster.connect_backoff && cluster.no_advertise);
    assert_eq!(cluster.advertise.as_deref(), Some("pub.example:6222"));
    let urls: Vec<Vec<_>> = cluster.routes.iter().map(|r| r.urls.iter().map(ToString::to_string).collect()).collect();
    assert_eq!(urls, [vec!["nats-route://a:6222"], vec!["nats-route://b:1", "nats-route://c:2"]]);
    assert_eq!(cluster.routes[0].urls[0].password.as_deref(), Some("p"));
}
