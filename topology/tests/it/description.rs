//! Descriptions: those that come with the lab, and the error that each mistake gives.

use std::path::Path;

use natsd_lab::description::{LinkKind, Network};

const TWO_ASES: &str = r#"
[[as]]
ia = "1-ff00:0:110"
core = true

[[as]]
ia = "1-ff00:0:111"
"#;

fn error(text: &str) -> String {
    Network::parse(text).expect_err("the description is wrong").to_string()
}

fn link_error(fields: &str) -> String {
    error(&format!("{TWO_ASES}\n[[link]]\n{fields}"))
}

#[test]
fn the_descriptions_of_the_repository_are_correct() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (file, ases, links) in [("default", 5, 9), ("small", 3, 3), ("scionlab", 9, 12)] {
        let network = Network::read(&dir.join(format!("{file}.toml"))).expect(file);
        assert_eq!((network.ases.len(), network.links.len()), (ases, links), "{file}");
    }
    assert_eq!(Network::default_network().links[6].kind, LinkKind::Peer);
}

#[test]
fn addresses_follow_the_last_group_of_the_as_number_or_the_next_free_octet() {
    let octets = |text: &str| -> Vec<u8> {
        let network = Network::parse(text).expect("a correct description");
        network.ases.iter().map(|a| a.octet).collect()
    };
    assert_eq!(octets(TWO_ASES), [110, 111]);
    let mixed =
        "[[as]]\nia = \"17-ffaa:0:1101\"\ncore = true\n[[as]]\nia = \"17-ffaa:1:1\"\n[[as]]\nia = \"17-ffaa:1:b\"";
    assert_eq!(octets(mixed), [1, 2, 3]);
}

#[test]
fn mistakes_in_ases() {
    insta::assert_snapshot!(
        "ases",
        [
            error(""),
            error("[[as]]\nia = 7"),
            error("[[as]]\nia = \"1-ff00:0:110\"\ncolour = \"red\""),
            error("[[as]]\nia = \"ff00:0:110\"\ncore = true"),
            error("[[as]]\nia = \"1-ff00:0:110\""),
            error(&format!("{TWO_ASES}\n[[as]]\nia = \"1-ff00:0:110\"")),
            error(&format!("{TWO_ASES}\n[[as]]\nia = \"2-ff00:0:210\"")),
            error(&format!("{TWO_ASES}\n[[as]]\nia = \"1-ff00:0:5\"\noctet = 111")),
            error(&format!("{TWO_ASES}\n[[as]]\nia = \"1-ff00:0:5\"\noctet = 300")),
            error(&format!("{TWO_ASES}\n[[as]]\nia = \"1-ff00:0:5\"\nmtu = 500")),
            error(&format!("{TWO_ASES}\n[[as]]\nia = \"1-ff00:0:5\"\nhost = \"fd00::1\"")),
        ]
        .join("\n---\n")
    );
}

#[test]
fn mistakes_in_links() {
    let good = "name = \"x\"\na = \"1-ff00:0:110#1\"\nb = \"1-ff00:0:111#1\"\ntype = \"child\"";
    let change = |from: &str, to: &str| link_error(&good.replace(from, to));
    insta::assert_snapshot!(
        "links",
        [
            change("name = \"x\"", "name = \"two words\""),
            link_error(&format!("{good}\n[[link]]\n{good}")),
            link_error(&format!("{good}\n[[link]]\n{}", good.replace("\"x\"", "\"y\""))),
            change("110#1", "110"),
            change("110#1", "110#0"),
            change("0:110#1", "0:119#1"),
            change("0:111#1", "0:110#2"),
            change("child", "core"),
            link_error("name = \"x\"\na = \"1-ff00:0:111#1\"\nb = \"1-ff00:0:110#1\"\ntype = \"child\""),
            change("child", "sibling"),
            link_error(&format!("{good}\nlatency_ms = -1")),
            link_error(&format!("{good}\nloss_pct = 101")),
            link_error(&format!("{good}\nmtu = 70000")),
        ]
        .join("\n---\n")
    );
}

#[test]
fn the_file_is_named() {
    let missing = Network::read(Path::new("no/such.toml")).expect_err("there is none");
    insta::assert_snapshot!(missing.to_string(), @"no/such.toml: cannot read it: No such file or directory (os error 2)");
}
