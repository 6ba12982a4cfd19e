//! A list with columns, one selected row, and headings.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::Theme;
use crate::state::State;

/// A column.
pub(super) struct Column {
    pub(super) title: &'static str,
    /// Cells. The last column shown takes what is left as well.
    pub(super) width: u16,
    /// Numbers are aligned to the right.
    pub(super) right: bool,
    /// Columns with the lowest number go first when there is no room.
    pub(super) keep: u8,
}

/// A cell: text and style.
pub(super) type Cell = (String, Style);

/// Which columns fit, and how wide they are.
pub(super) struct Columns {
    fit: Vec<(usize, &'static Column, usize)>,
}

impl Columns {
    /// Those of `columns` that fit into `width`, without the one titled `hidden`.
    pub(super) fn fit(columns: &'static [Column], width: u16, hidden: Option<&str>) -> Self {
        let width = usize::from(width);
        let wanted = columns.iter().enumerate().filter(|(_, column)| Some(column.title) != hidden);
        let mut fit: Vec<_> = wanted.map(|(i, c)| (i, c, usize::from(c.width))).collect();
        let total = |fit: &[(usize, &Column, usize)]| fit.iter().map(|(.., width)| width + 1).sum::<usize>();
        while fit.len() > 1 && total(&fit) > width + 1 {
            let least = (0..fit.len()).min_by_key(|&i| fit[i].1.keep).expect("not empty");
            fit.remove(least);
        }
        let used = total(&fit);
        if let Some((.., last)) = fit.last_mut() {
            *last = (*last + width + 1).saturating_sub(used).min(width);
        }
        Self { fit }
    }

    /// Width of that column; 0 when it is hidden.
    pub(super) fn width(&self, column: usize) -> usize {
        self.fit.iter().find(|(index, ..)| *index == column).map_or(0, |(.., width)| *width)
    }

    pub(super) fn titles(&self, theme: Theme) -> Line<'static> {
        let titles = self.fit.iter().map(|(_, c, width)| pad(c.title, *width, c.right) + " ");
        Line::styled(titles.collect::<String>(), theme.label())
    }

    /// `cells` in the order of the columns.
    pub(super) fn row(&self, cells: &[Cell]) -> Line<'static> {
        let mut spans = Vec::with_capacity(self.fit.len() * 2);
        for (index, column, width) in &self.fit {
            let (text, style) = &cells[*index];
            spans.push(Span::styled(pad(text, *width, column.right), *style));
            spans.push(Span::raw(" "));
        }
        Line::from(spans)
    }
}

/// The title of the column that says which server; hidden while there is only one.
pub(super) const SERVER: &str = "SERVER";

pub(super) fn hidden_column(state: &State) -> Option<&'static str> {
    (state.world().servers.len() < 2).then_some(SERVER)
}

/// Draws `lines` below `titles`, scrolled so that the line `selected` shows, which is reversed.
pub(super) fn draw(
    frame: &mut Frame,
    area: Rect,
    titles: Line<'_>,
    mut lines: Vec<Line<'_>>,
    selected: usize,
    theme: Theme,
) {
    if area.is_empty() {
        return;
    }
    let height = usize::from(area.height - 1);
    if let Some(line) = lines.get_mut(selected) {
        let text: String = line.iter().map(|span| span.content.as_ref()).collect();
        *line = Line::styled(pad(text.trim_end(), area.width.into(), false), theme.selected());
    }
    let from = selected.saturating_sub(height / 2).min(lines.len().saturating_sub(height));
    let shown = lines.into_iter().skip(from).take(height);
    frame.render_widget(Paragraph::new([titles].into_iter().chain(shown).collect::<Vec<_>>()), area);
}

/// `text` in exactly `width` cells; what does not fit ends in `…`.
pub(super) fn pad(text: &str, width: usize, right: bool) -> String {
    let text: String = text.chars().filter(|c| !c.is_control()).collect();
    let cells = Span::raw(text.as_str()).width();
    if cells <= width {
        let blanks = " ".repeat(width - cells);
        return if right { blanks + &text } else { text + &blanks };
    }
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        let cell = Span::raw(c.to_string()).width();
        if used + cell + 1 > width {
            break;
        }
        used += cell;
        out.push(c);
    }
    if used < width {
        out.push('…');
        out.push_str(&" ".repeat(width - used - 1));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_or_filled_to_its_cells() {
        for (text, width, right, want) in [
            ("abc", 5, false, "abc  "),
            ("abc", 5, true, "  abc"),
            ("abcdef", 4, true, "abc…"),
            ("漢字漢字", 4, false, "漢… "),
            ("abc", 0, false, ""),
            ("a\x1bb", 2, false, "ab"),
        ] {
            assert_eq!(pad(text, width, right), want);
        }
    }

    #[test]
    fn the_least_wanted_columns_give_way() {
        const COLUMNS: &[Column] = &[
            Column { title: "A", width: 4, right: false, keep: 9 },
            Column { title: "B", width: 4, right: false, keep: 1 },
            Column { title: "C", width: 4, right: false, keep: 5 },
        ];
        let widths = |width| [0, 1, 2].map(|column| Columns::fit(COLUMNS, width, None).width(column));
        assert_eq!(widths(20), [4, 4, 10]);
        assert_eq!(widths(14), [4, 4, 4]);
        assert_eq!(widths(13), [4, 0, 8]);
        assert_eq!(widths(5), [5, 0, 0]);
        assert_eq!(widths(1), [1, 0, 0]);
        assert_eq!(Columns::fit(COLUMNS, 20, Some("C")).width(1), 15);
    }
}
