use proptest::prelude::*;

use super::*;

/// What `subject` becomes; the numbers that were measured on nats-server 2.15.2.
fn becomes(source: &str, destination: &str, subject: &str) -> Option<String> {
    let transform = Transform::new(source, destination).expect("a transform");
    let mut out = Vec::new();
    let applies = transform.apply(subject.as_bytes(), &mut |below| below - 1, &mut out);
    applies.then(|| String::from_utf8(out).expect("text"))
}

#[test]
fn subjects_become_what_nats_server_makes_of_them() {
    let cases = [
        ("foo", "bar", "foo", "bar"),
        ("a.*", "b", "a.x", "b"),
        ("a.>", "b.>", "a.x.y", "b.x.y"),
        ("a.*.>", "b.$1.>", "a.x.y.z", "b.x.y.z"),
        ("a.*.*", "b.$2.$1", "a.x.y", "b.y.x"),
        ("a.*.*", "b.{{wildcard(2)}}.{{ Wildcard( 1 ) }}", "a.x.y", "b.y.x"),
        ("a.*", "b.$1.{{wildcard(1)}}.c$1.$x", "a.b", "b.b.b.c$1.$x"),
        ("a.*", "b.x{{wildcard(1)}}", "a.y", "b.x{{wildcard(1)}}"),
        ("a.*", "b.{{partition(3,1)}}", "a.a", "b.1"),
        ("a.*", "b.{{partition(3,1)}}", "a.b", "b.1"),
        ("a.*", "b.{{partition(3,1)}}", "a.c", "b.2"),
        ("a.*.*", "b.{{partition(10,1,2)}}.$1.$2", "a.a.b", "b.6.a.b"),
        ("a.*.*", "b.{{ partition( 10 , 1 , 2 ) }}", "a.foo.bar", "b.0"),
        ("a.*.*", "b.{{partition(10)}}", "a.a.b", "b.7"),
        ("a.*", "b.{{split(1,-)}}", "a.x-y-z", "b.x.y.z"),
        ("a.*", "b.{{split(1,-)}}", "a.-x-", "b.x"),
        ("a.*", "b.{{split(1,-)}}", "a.xyz", "b.xyz"),
        ("a.*", "b.{{SplitFromLeft(1,3)}}", "a.abcdefg", "b.abc.defg"),
        ("a.*", "b.{{SplitFromLeft(1,3)}}", "a.abc", "b.abc"),
        ("a.*", "b.{{splitfromright(1,3)}}", "a.abcdefg", "b.abcd.efg"),
        ("a.*", "b.{{slicefromleft(1,3)}}", "a.abcdefg", "b.abc.def.g"),
        ("a.*", "b.{{slicefromleft(1,3)}}", "a.abcdef", "b.abc.def"),
        ("a.*", "b.{{SliceFromRight(1,3)}}", "a.abcdefg", "b.a.bcd.efg"),
        ("a.*", "b.{{SliceFromRight(1,3)}}", "a.ab", "b.ab"),
        ("a.*", "b.{{left(1,3)}}.{{right(1,2)}}", "a.abcdefg", "b.abc.fg"),
        ("a.*", "b.{{left(1,3)}}.{{right(1,2)}}", "a.a", "b.a.a"),
        ("a.*", "b.{{left(1,0)}}", "a.y", "b.y"),
        ("a.*", "b.{{random(3)}}", "a.x", "b.2"),
    ];
    for (source, destination, subject, expected) in cases {
        assert_eq!(becomes(source, destination, subject).as_deref(), Some(expected), "{source} -> {destination}");
    }
    assert_eq!(becomes("foo", "bar", "foo.x"), None);
}

#[test]
fn errors_name_what_is_wrong() {
    let cases = [
        ("a..b", "c"),
        ("a", "c..d"),
        ("a.*", "b.*"),
        ("a.>", "b"),
        ("a", "b.>"),
        ("a.>", "b.>.c"),
        ("a.*", "b.{{nothing(2)}}"),
        ("a.*", "b.{{wildcard(2)}}"),
        ("a.*", "b.$2"),
        ("a.*", "b.$0"),
        ("a.*", "b.{{wildcard()}}"),
        ("a.*", "b.{{wildcard}}"),
        ("a.*", "b.{{partition()}}"),
        ("a.*", "b.{{partition(0)}}"),
        ("a.*", "b.{{split(1)}}"),
        ("a.*", "b.{{splitfromleft(1,x)}}"),
        ("a.*", "b c"),
    ];
    let error = |(source, destination): (&str, &str)| {
        format!("{source} -> {destination}: {}", Transform::new(source, destination).expect_err(destination))
    };
    insta::assert_snapshot!(cases.map(error).join("\n"));
}

fn destination(source: &str, to: &str, weight: u8, cluster: Option<&str>) -> Destination {
    let transform = Transform::new(source, to).expect("a transform");
    Destination { transform, weight, cluster: cluster.map(str::to_owned) }
}

fn shares(mappings: &Mappings, cluster: Option<&str>) -> Vec<(String, usize)> {
    let mut shares = std::collections::BTreeMap::<String, usize>::new();
    for drawn in 0..100 {
        let mut out = Vec::new();
        let changed = mappings.apply(b"a.x", cluster, &mut |_| drawn, &mut out);
        *shares.entry(if changed { String::from_utf8(out).expect("text") } else { "a.x".into() }).or_default() += 1;
    }
    shares.into_iter().collect()
}

#[test]
fn messages_are_shared_by_weight_and_the_rest_keep_their_subject() {
    let list = vec![destination("a.*", "b", 30, None), destination("a.*", "c.$1", 20, None)];
    let mappings = Mappings::new(vec![Mapping::new("a.*", list).expect("a mapping")]);
    assert_eq!(shares(&mappings, None), [("a.x".into(), 50), ("b".into(), 30), ("c.x".into(), 20)]);
}

#[test]
fn destinations_of_the_own_cluster_count_alone() {
    let list = vec![destination("a.*", "b", 100, None), destination("a.*", "c", 25, Some("east"))];
    let mappings = Mappings::new(vec![Mapping::new("a.*", list).expect("a mapping")]);
    assert_eq!(shares(&mappings, None), [("b".into(), 100)]);
    assert_eq!(shares(&mappings, Some("west")), [("b".into(), 100)]);
    assert_eq!(shares(&mappings, Some("east")), [("a.x".into(), 75), ("c".into(), 25)]);
}

#[test]
fn the_first_mapping_that_matches_counts() {
    let one =
        |source: &str, to: &str| Mapping::new(source, vec![destination(source, to, 100, None)]).expect("a mapping");
    let mappings = Mappings::new(vec![one("*.x", "first"), one("a.x", "second")]);
    assert_eq!(shares(&mappings, None), [("first".into(), 100)]);
}

#[test]
fn a_mapping_gives_no_more_than_all_and_to_nobody_twice() {
    let error = |list| Mapping::new("a.*", list).expect_err("refused").to_string();
    let (b, c) = (destination("a.*", "b", 60, None), destination("a.*", "c", 50, None));
    assert_eq!(error(vec![b.clone(), c]), "the weights add up to more than 100");
    let less = Destination { weight: 10, ..b.clone() };
    assert_eq!(error(vec![b, less]), "\"b\" is listed twice");
}

proptest! {
    #[test]
    fn no_text_panics(source: String, destination: String, subject: Vec<u8>) {
        if let Ok(transform) = Transform::new(&source, &destination) {
            transform.apply(&subject, &mut |_| 0, &mut Vec::new());
        }
    }

    #[test]
    fn calls_of_any_arguments_work_or_are_refused(
        name in "wildcard|partition|split|left|right|splitFromLeft|splitFromRight|sliceFromLeft|sliceFromRight|random",
        arguments in "[0-9a,-]{0,6}",
        token in "[a-z-]{1,9}",
    ) {
        if let Ok(transform) = Transform::new("a.*", &format!("b.{{{{{name}({arguments})}}}}")) {
            let mut out = Vec::new();
            let subject = format!("a.{token}");
            prop_assert!(transform.apply(subject.as_bytes(), &mut |_| 0, &mut out));
            prop_assert!(out.starts_with(b"b."));
        }
    }
}
