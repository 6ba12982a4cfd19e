//! nats-server's own answers to 151 inputs, and the behaviour that they leave open.

use std::path::Path;

use proptest::prelude::*;

use super::digest::to_json;
use super::{LanguageError, Map, parse};

/// An input as a JSON string, then `=> ` and nats-server's value as JSON, or `=> ERROR ` and its message.
const VECTORS: &str = include_str!("../../../tests/data/config_vectors.txt");

fn environment(name: &str) -> Option<String> {
    let text = match name {
        "SPEC_NUM" => "4K",
        "SPEC_STR" => "hello",
        "SPEC_BOOL" => "true",
        "SPEC_CYC" => "$SPEC_CYC",
        _ => return None,
    };
    Some(text.to_owned())
}

fn read(text: &str) -> Result<Map, LanguageError> {
    parse(text, Path::new("test.conf"), &environment)
}

fn vectors() -> Vec<(String, &'static str)> {
    let mut lines = VECTORS.lines().filter(|line| !line.starts_with('#'));
    let mut vectors = Vec::new();
    while let (Some(input), Some(output)) = (lines.next(), lines.next()) {
        let input = serde_json::from_str(input).expect(input);
        vectors.push((input, output.strip_prefix("   => ").expect(output)));
    }
    vectors
}

/// The line that nats-server's message is about. A missing value is missing on the line before the one it names.
fn line_of(message: &str) -> Option<u32> {
    let (_, rest) = message.split_once("on line ")?;
    let line: u32 = rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
    Some(if message.contains("but found new line") { line - 1 } else { line })
}

#[test]
fn every_vector_gives_the_same_value_or_is_refused_on_the_same_line() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 151);
    for (input, expected) in vectors {
        match (read(&input), expected.strip_prefix("ERROR ")) {
            (Ok(map), None) => assert_eq!(to_json(&map), expected, "{input:?}"),
            (Err(error), Some(message)) => {
                assert_eq!(Some(error.at.line), line_of(message).or(Some(error.at.line)), "{input:?}: {error}");
            }
            (Ok(map), Some(message)) => panic!("{input:?} gives {}, expected {message}", to_json(&map)),
            (Err(error), None) => panic!("{input:?} is refused: {error}"),
        }
    }
}

#[test]
fn every_refusal_says_where_and_what_to_do() {
    let refused: Vec<_> = vectors()
        .into_iter()
        .filter_map(|(input, _)| read(&input).err().map(|error| format!("{input:?}\n    {error}")))
        .collect();
    insta::assert_snapshot!(refused.join("\n"));
}

#[test]
fn the_digest_is_nats_servers() {
    let digest = |text: &str| read(text).expect(text).digest();
    // `nats-server -t -c` printed these.
    assert_eq!(
        digest("port=4333\nhttp_port=$port\n"),
        "sha256:c968fa4f773a7a7c2679c235765888c835053f699fd819fe9ea5da8929068f08"
    );
    assert_eq!(
        digest("server_name: \"é<&>\\\\x01\""),
        "sha256:fb4edd69ea1203bd1558d0136556f31f1ac9bc8460ba97a485eb3752e76e9576"
    );
}

#[test]
fn includes_are_relative_to_the_including_file_at_any_level() {
    let dir = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).expect(name);
    std::fs::create_dir(dir.path().join("sub")).expect("sub");
    write("sub/a.conf", "debug: true\ninclude b.conf");
    write("sub/b.conf", "name: B");
    let path = dir.path().join("main.conf");
    let map = parse("include 'sub/a.conf'\ncluster { include \"sub/b.conf\"; port: 1 }\nx=$name", &path, &|_| None);
    let map = map.expect("valid");
    assert_eq!(to_json(&map), r#"{"cluster":{"name":"B","port":1},"debug":true,"name":"B","x":"B"}"#);
}

#[test]
fn an_error_in_an_included_file_names_that_file() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("bad.conf"), "a=1\nb=\"").expect("bad.conf");
    let error = parse("include bad.conf", &dir.path().join("main.conf"), &|_| None).expect_err("open string");
    assert!(error.to_string().contains("bad.conf:2:3: "), "{error}");
}

#[test]
fn a_file_that_includes_itself_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("loop.conf");
    std::fs::write(&path, "a { include loop.conf }").expect("loop.conf");
    let error = parse("include loop.conf", &path, &|_| None).expect_err("endless");
    assert!(error.to_string().contains("more than 64 deep"), "{error}");
}

#[test]
fn files_that_multiply_by_including_each_other_are_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    for n in 0..30 {
        let text = format!("include {0}.conf\ninclude {0}.conf", format_args!("f{}", n + 1));
        std::fs::write(dir.path().join(format!("f{n}.conf")), text).expect("file");
    }
    std::fs::write(dir.path().join("f30.conf"), "a=1").expect("file");
    let error = parse("include f0.conf", &dir.path().join("main.conf"), &|_| None).expect_err("2^30 files");
    assert!(error.to_string().contains("at most 1000 files"), "{error}");
}

#[test]
fn nesting_is_bounded() {
    for open in ["a {", "a=[", "[", "a=[{a="] {
        let error = read(&open.repeat(100_000)).expect_err(open);
        assert!(!error.to_string().is_empty());
    }
    let mut chain = String::from("v0 {}\n");
    for n in 1..100 {
        chain.push_str(&format!("v{n} {{a: $v{}}}\n", n - 1));
    }
    assert!(read(&chain).expect_err("99 deep").to_string().contains("more than 64 deep"));
}

#[test]
fn references_that_multiply_are_refused() {
    let mut text = String::from("v0 {a: 1}\n");
    for n in 1..40 {
        text.push_str(&format!("v{n} {{a: $v{0}, b: $v{0}}}\n", n - 1));
    }
    assert!(read(&text).expect_err("2^40 values").to_string().contains("more than 1000000 values"));
}

#[test]
fn environment_variables_may_refer_to_others() {
    let environment = |name: &str| match name {
        "A" => Some("[$B, 2 ]".to_owned()),
        "B" => Some("{c: 1k}".to_owned()),
        _ => None,
    };
    let map = parse("a=$A", Path::new("test.conf"), &environment).expect("valid");
    assert_eq!(to_json(&map), r#"{"a":[{"c":1000},2]}"#);
}

#[test]
fn a_referenced_key_is_known_as_a_variable() {
    let map = read("X=1\nY=2\nport=$X").expect("valid");
    let referenced: Vec<_> = map.iter().filter(|(_, entry)| entry.referenced).map(|(key, _)| key).collect();
    assert_eq!(referenced, ["X"]);
}

proptest! {
    #[test]
    fn no_text_panics(text in "([a-z0-9 ={}\\[\\]\"'\\\\$():;,.#/\n\r\t-]|include |\\PC){0,60}") {
        let _ = read(&text);
    }

    #[test]
    fn quoted_strings_come_back_whole(text: String) {
        let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
        let map = read(&format!("a=\"{quoted}\"")).expect("valid");
        prop_assert_eq!(&map.get("a").expect("a").value, &super::Value::Text(text));
    }

    #[test]
    fn integers_come_back_whole(n: i64) {
        let map = read(&format!("a={n}")).expect("valid");
        prop_assert_eq!(&map.get("a").expect("a").value, &super::Value::Int(n));
    }
}
