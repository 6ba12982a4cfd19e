//! `leafnodes {}`.

use super::*;

#[test]
fn leaf_nodes_and_hubs() {
    let leafnodes =
        |text: &str| options(&format!("accounts {{ A {{}} }}\nleafnodes {{ {text} }}")).leafnodes.expect("given");
    let read = leafnodes(
        "port: -1, reconnect: \"5s\", compression: off\n\
         authorization { users: [{ user: u, password: p, account: A }], timeout: 0.5 }\n\
         remotes: [{ urls: [\"nats-leaf://u:p@h\", \"tls://h:1\"], account: A, deny_import: \"a.>\", hub: true, disabled: true }]",
    );
    assert_eq!(read.listen, [tcp("0.0.0.0", 0)]);
    assert_eq!((read.reconnect, read.auth_timeout), (Duration::from_secs(5), Duration::from_millis(500)));
    let user = read.directory.as_ref().and_then(|users| users.get("u")).expect("listed");
    assert_eq!(&*user.account, "A");
    let [remote] = &read.remotes[..] else { panic!("one remote") };
    assert_eq!(remote.to_string(), "[nats-leaf://h:7422, tls://h:1] for account \"A\"");
    assert!(remote.hub && remote.disabled && !remote.denied.may_subscribe(b"a.b", None));
    let users = |text: &str| leafnodes(&format!("authorization {{ {text} }}")).directory.expect("given");
    let some = users("users: [{ user: u, proxy_required: true }, { user: v }]");
    assert!(["u", "v"].map(|name| some.get(name).expect("listed").proxy_required) == [true, false]);
    assert!(users("users: [{ user: u }], proxy_required: true").get("u").expect("listed").proxy_required);
    assert!(users("account: A, proxy_required: true").anonymous().expect("anybody").proxy_required);
    let proxy = |text: &str| {
        let read = leafnodes(&format!("remotes: [{{ url: \"ws://h\", proxy {{ {text} }} }}]"));
        read.remotes[0].proxy.clone()
    };
    let led = proxy("url: \"HTTPS://p/\", username: me, password: hidden, timeout: \"3s\"").expect("given");
    assert_eq!((led.to_string().as_str(), led.timeout), ("https://p:443", Some(Duration::from_secs(3))));
    assert!(
        led.login.as_ref().is_some_and(|(_, secret)| secret.0 == "hidden") && !format!("{led:?}").contains("hidden")
    );
    let bare = proxy("url: \"http://[::1]\"").expect("given");
    assert_eq!((bare.host.as_str(), bare.port, bare.https), ("::1", 80, false));
    assert_eq!((proxy("url: \"http://p:3128\"").expect("given").port, proxy("")), (3128, None));
    let anybody = leafnodes("authorization { account: A }").directory.expect("given");
    assert!(anybody.is_open() && anybody.anonymous().is_some_and(|user| *user.account == *"A"));

    for (text, problem) in [
        ("authorization { account: B }", "leafnodes.authorization: there is no account \"B\""),
        ("remotes: [{ url: \"nats-leaf://h\", account: B }]", "leafnodes.remotes: there is no account \"B\""),
        ("remotes: [{ account: A }]", "urls is missing"),
        ("remotes: [{ url: \"nats-leaf://h\" }, { url: \"nats-leaf://h:7422\" }]", "is listed twice"),
        ("remotes: [{ urls: [\"ws://h\", \"tls://h\"] }]", "urls of one remote are either all over WebSocket"),
        ("remotes: [{ url: \"nats-leaf://h\", nkey: hidden }]", "this is not the seed of a user"),
        ("compression: zstd", "\"zstd\" is not"),
        ("remotes: [{ url: \"nats-leaf://h\", compression: { rtts: [\"1s\", \"1ms\"] } }]", "in ascending order"),
        ("min_version: \"2.7.0\"", "\"2.7.0\" is not a version from 2.8.0 on"),
        ("authorization { user: a, users: [{ user: b }] }", "a user cannot be beside users"),
        ("authorization { proxy_required: true }", "proxy_required is for the users or the account beside it"),
        ("host: h", "a port is missing"),
        ("remotes: [{ url: \"nats-leaf://h\", proxy { url: \"ftp://p\" } }]", "\"ftp://p\" is not the URL of a proxy"),
        (
            "remotes: [{ url: \"nats-leaf://h\", proxy { url: \"http://me:hidden@p\" } }]",
            "\"p\" is not the URL of a proxy",
        ),
        ("remotes: [{ url: \"nats-leaf://h\", proxy { url: \"http://p\", username: me } }]", "give both or none"),
        ("remotes: [{ url: \"nats-leaf://h\", proxy { username: me, password: hidden } }]", "url is missing"),
        (
            "remotes: [{ url: \"nats-leaf://h\", proxy { url: \"http://p\", tls { insecure: true } } }]",
            "is for https://",
        ),
        (
            "remotes: [{ url: \"nats-leaf://[1-ff00:0:112,127.0.0.1]:1\", proxy { url: \"http://p\" } }]",
            "nowhere over SCION",
        ),
    ] {
        let errors = loaded(&format!("leafnodes {{ {text} }}")).map(|options| options.0.check().map(|()| "nothing"));
        let said = match errors {
            Err(errors) => errors.to_string(),
            Ok(Err(error)) => error.to_string(),
            Ok(Ok(_)) => panic!("{text} is taken"),
        };
        assert!(said.contains(problem) && !said.contains("hidden"), "{text}: {said}");
    }
}
