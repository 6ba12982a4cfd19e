use natsd_core::route::hello::Secret;

use super::*;
use crate::config::address;
use crate::config::options::RouteLogin;

#[test]
fn equal_options_change_nothing() {
    assert_eq!(changes(&Options::default(), &Options::default()), Ok(Vec::new()));
}

#[test]
fn what_can_change_is_told_as_go_would() {
    let new = Options {
        ping_interval: std::time::Duration::from_secs(90),
        max_connections: None,
        log_file: Some("n.log".into()),
        ..Options::default()
    };
    let change = |key, old: &str, new: &str| Change { key, old: old.into(), new: new.into() };
    let expected = vec![
        change("max_connections", "65536", "0"),
        change("ping_interval", "2m0s", "1m30s"),
        change("log_file", "", "n.log"),
    ];
    assert_eq!(changes(&Options::default(), &new), Ok(expected));
}

#[test]
fn what_cannot_is_refused_all_together() {
    let new = Options {
        listen: vec![address::listen("127.0.0.1:4333").expect("an address")],
        debug: true,
        cluster: Some(ClusterOptions::default()),
        ..Options::default()
    };
    let refusal = changes(&Options::default(), &new).expect_err("fixed").to_string();
    assert_eq!(
        refusal,
        "config reload not supported for listen: old=0.0.0.0:4222, new=127.0.0.1:4333; config reload not supported for \
         cluster: old=off, new=on; nothing is changed, restart natsd for that"
    );
}

#[test]
fn other_users_are_a_change_that_shows_nothing_of_them() {
    let with = |password: &str| {
        let mut options = Options::default();
        let (user, password) = (Some("u".to_owned()), Some(password.to_owned()));
        let builder = natsd_auth::DirectoryBuilder { user, password, ..natsd_auth::DirectoryBuilder::default() };
        options.authorization.directory = builder.build().expect("one user");
        options
    };
    assert_eq!(changes(&with("one"), &with("one")), Ok(Vec::new()));
    let required = || "required".to_owned();
    let change = Change { key: "authorization", old: required(), new: required() };
    assert_eq!(changes(&with("one"), &with("two")), Ok(vec![change]));
}

#[test]
fn another_login_for_monitoring_is_refused_without_a_word_about_it() {
    let with =
        |password: &str| Options { http_login: Some(natsd_auth::Login::new("u", password)), ..Options::default() };
    assert_eq!(changes(&with("one"), &with("one")), Ok(Vec::new()));
    let refusal = changes(&with("one"), &with("two")).expect_err("fixed").to_string();
    assert!(refusal.starts_with("config reload not supported for http.user: old=required, new=required;"), "{refusal}");
    assert!(changes(&Options::default(), &with("one")).is_err());
}

#[test]
fn nothing_of_websocket_changes_while_it_runs() {
    let with = |change: fn(&mut WebsocketOptions)| {
        let mut websocket = WebsocketOptions { no_tls: true, port: 8080, ..WebsocketOptions::default() };
        change(&mut websocket);
        Options { websocket: Some(websocket), ..Options::default() }
    };
    let old = with(|_| {});
    assert_eq!(changes(&old, &with(|_| {})), Ok(Vec::new()));
    let refusal = |change| changes(&old, &with(change)).expect_err("fixed").to_string();
    let said = refusal(|websocket| websocket.compression = true);
    assert!(said.contains("config reload not supported for websocket.compression: old=false, new=true"), "{said}");
    let said = refusal(|websocket| {
        let token = Some("hidden".to_owned());
        let builder = natsd_auth::DirectoryBuilder { token, ..natsd_auth::DirectoryBuilder::default() };
        websocket.directory = builder.build().ok();
    });
    assert!(said.contains("websocket.authorization: old=of the server, new=its own"), "{said}");
    assert!(!said.contains("hidden"), "{said}");
}

#[test]
fn other_rules_for_routes_are_shown_but_not_their_user() {
    let with = |password: &str, permissions| {
        let login = RouteLogin { user: "hidden".into(), password: Secret(password.into()) };
        let cluster = ClusterOptions { login: Some(login), permissions, ..ClusterOptions::default() };
        Options { cluster: Some(cluster), ..Options::default() }
    };
    let import = Rules { allow: vec!["a".parse().expect("a rule")], deny: vec!["b.>".parse().expect("a rule")] };
    let permissions = RoutePermissions { import, ..RoutePermissions::default() };
    let change = |key, old: &str, new: &str| Change { key, old: old.into(), new: new.into() };
    let expected = vec![
        change("cluster.authorization", "required", "required"),
        change("cluster.permissions", "", "import allow a deny b.>"),
    ];
    assert_eq!(changes(&with("one", None), &with("two", Some(permissions))), Ok(expected));
}

#[test]
fn another_budget_for_probes_takes_effect_at_once() {
    let with = |probe_budget| {
        let scion = crate::config::options::ScionOptions { probe_budget, ..Default::default() };
        Options { scion: Some(scion), ..Options::default() }
    };
    let changed = changes(&with(None), &with(Some(2048))).expect("it can");
    assert_eq!(changed, [Change { key: "scion.probe_budget", old: String::new(), new: "2048".into() }]);
}

#[test]
fn another_password_is_a_change_that_shows_none() {
    let with = |url: &str| {
        let routes = vec![Remote { urls: vec![address::route(url).expect(url)] }];
        Options { cluster: Some(ClusterOptions { routes, ..ClusterOptions::default() }), ..Options::default() }
    };
    let changed = changes(&with("nats://u:one@h:1"), &with("nats://u:two@h:1")).expect("routes change");
    let url = "nats-route://h:1".to_owned();
    assert_eq!(changed, [Change { key: "cluster.routes", old: url.clone(), new: url }]);
}
