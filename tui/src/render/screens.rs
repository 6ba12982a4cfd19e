//! The screens in the documentation are drawn by these tests.

use std::path::PathBuf;

use super::Theme;
use super::tests::{screen, views};
use crate::state::State;

const PLAIN: Theme = Theme { color: false, ascii: false };

/// What stands in `docs/top.md` between `<!-- NAME -->` and the end of the block of code that follows.
fn with_screens(document: &str) -> String {
    let mut out = String::new();
    let mut lines = document.lines().peekable();
    while let Some(line) = lines.next() {
        out.push_str(line);
        out.push('\n');
        let name = line.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->"));
        let Some((_, state)) = name.and_then(|name| views().into_iter().find(|(view, _)| *view == name)) else {
            continue;
        };
        out += &format!("```text\n{}```\n", text(&state));
        if lines.next_if(|line| line.starts_with("```")).is_some() {
            lines.by_ref().find(|line| *line == "```");
        }
    }
    out
}

fn text(state: &State) -> String {
    let terminal = screen(state, 80, 24, PLAIN);
    let buffer = terminal.backend().buffer();
    let rows = buffer.content.chunks(80).map(|row| row.iter().map(|cell| cell.symbol()).collect::<String>());
    rows.map(|row| row.trim_end().to_owned() + "\n").collect()
}

/// Draws them anew with `INSTA_UPDATE=always`, as snapshots are.
#[test]
fn the_documentation_shows_what_is_drawn() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/top.md");
    let document = std::fs::read_to_string(&path).expect("docs/top.md");
    let drawn = with_screens(&document);
    for (name, _) in views() {
        assert!(drawn.contains(&format!("<!-- {name} -->\n```text\n")), "docs/top.md does not show {name}");
    }
    if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
        std::fs::write(&path, &drawn).expect("written");
    } else {
        assert_eq!(document, drawn, "docs/top.md shows other screens than are drawn; INSTA_UPDATE=always mends it");
    }
}
