//! Turns what was drawn into ASCII, for terminals and fonts that have nothing else.

use ratatui::buffer::Buffer;

use crate::format::BLOCKS;

/// The heights of a sparkline in ASCII.
const HEIGHTS: [&str; 8] = ["_", ".", ":", "-", "=", "+", "*", "#"];

/// Replaces all that is not ASCII. Every cell stays one cell.
pub(super) fn replace(buffer: &mut Buffer) {
    for cell in &mut buffer.content {
        if !cell.symbol().is_ascii() {
            let symbol = substitute(cell.symbol());
            cell.set_symbol(symbol);
        }
    }
}

/// As [`replace`], of lines of text.
pub(super) fn text(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii() { c.to_string() } else { substitute(&c.to_string()).to_owned() }).collect()
}

fn substitute(symbol: &str) -> &'static str {
    let mut chars = symbol.chars();
    let (Some(c), None) = (chars.next(), chars.next()) else { return "?" };
    if let Some(height) = BLOCKS.iter().position(|block| *block == c) {
        return HEIGHTS[height];
    }
    match c {
        '─' => "-",
        '╌' | '╎' => ".",
        '━' => "=",
        '│' => "|",
        '┃' | '┏' | '┓' | '┗' | '┛' | '┣' | '┫' | '┳' | '┻' | '╋' => "#",
        '\u{2500}'..='\u{257f}' => "+",
        '…' => "~",
        '·' => "x",
        _ => "?",
    }
}

#[cfg(test)]
mod tests {
    use ratatui::layout::Rect;

    use super::*;

    #[test]
    fn all_that_is_drawn_has_a_substitute() {
        let text = "─━│┃┌┏┼╋ ▁█ … · é漢a";
        let mut buffer = Buffer::with_lines([text]);
        replace(&mut buffer);
        let shown: String = buffer.content.iter().map(|cell| cell.symbol()).collect();
        assert_eq!(shown, "-=|#+#+# _# ~ x ?? a");
        assert_eq!(buffer.area, Rect::new(0, 0, 20, 1));
    }
}
