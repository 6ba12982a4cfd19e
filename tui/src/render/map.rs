//! The ASes and links that paths pass, with those lit that carry traffic.

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::Theme;
use crate::format::millis;
use crate::map::{Edge, Map, Node, Use};
use crate::rows::{self, PathRow};
use crate::state::State;

/// Rows below the map.
const LEGEND: u16 = 3;
/// Cells of the longest name of an AS, brackets included, and of the label of an interface.
const NAME: usize = 21;
const LABEL: usize = 15;

const UP: u8 = 1;
const DOWN: u8 = 2;
const LEFT: u8 = 4;
const RIGHT: u8 = 8;

pub(super) fn draw(frame: &mut Frame, area: Rect, state: &State, theme: Theme) {
    let rows = rows::paths(state);
    let Some(row) = rows.get(rows::selected(state, &rows)) else {
        return frame.render_widget(Line::raw("there are no paths"), area);
    };
    let Some(pathz) = row.server.pathz() else { return };
    let [drawing, legend] = Layout::vertical([Constraint::Fill(1), Constraint::Length(LEGEND)]).areas(area);
    let map = Map::of(pathz, Some((row.peer, &row.path.fingerprint)));
    let grid = Grid::of(&map, drawing);
    grid.draw(frame.buffer_mut(), drawing, theme);
    frame.render_widget(Paragraph::new(describe(row, &map, &grid, theme)), legend);
}

fn describe(row: &PathRow<'_>, map: &Map, grid: &Grid, theme: Theme) -> Vec<Line<'static>> {
    let PathRow { path, peer, .. } = row;
    let more = if map.cut || grid.cut { "; not all of it fits" } else { "" };
    let selected =
        format!("#{} {} to {}, rtt {}", path.id, path.state.as_str(), peer.heading(), millis(path.measured.rtt_ms));
    let line = |usage: Use| grid.line(usage, LEFT | RIGHT).to_string().repeat(2);
    vec![
        Line::from(vec![
            Span::styled(line(Use::Active), theme.good()),
            Span::raw(" carries traffic  "),
            Span::raw(line(Use::Idle)),
            Span::raw(" could  "),
            Span::raw(line(Use::Dead)),
            Span::raw(format!(" dead or excluded  numbers are interfaces{more}")),
        ]),
        Line::from(vec![Span::styled("selected ", theme.label()), Span::styled(selected, theme.notable())]),
        Line::raw(path.via()),
    ]
}

/// A cell of the map.
#[derive(Clone, Copy, Default)]
struct Cell {
    /// The directions in which lines leave it, and how those are used.
    lines: [Option<Use>; 4],
    selected: bool,
    text: Option<char>,
    node: Option<Use>,
}

struct Grid {
    width: usize,
    cells: Vec<Cell>,
    cut: bool,
}

impl Grid {
    fn of(map: &Map, area: Rect) -> Self {
        let (width, height) = (usize::from(area.width), usize::from(area.height));
        let mut grid = Self { width, cells: vec![Cell::default(); width * height], cut: map.height() > height };
        let places = Places::of(map, width);
        grid.cut |= places.cut;
        let mut tracks = vec![0; map.columns()];
        for edge in &map.edges {
            let column = map.nodes[edge.from].column;
            let track = &mut tracks[column];
            *track += 1;
            grid.edge(map, edge, &places, *track - 1);
        }
        for node in &map.nodes {
            grid.node(node, &places);
        }
        grid
    }

    fn cell(&mut self, x: usize, y: usize) -> Option<&mut Cell> {
        if x < self.width { self.cells.get_mut(y * self.width + x) } else { None }
    }

    fn add(&mut self, x: usize, y: usize, directions: u8, edge: &Edge) {
        if let Some(cell) = self.cell(x, y) {
            for (bit, line) in cell.lines.iter_mut().enumerate() {
                if directions & (1 << bit) != 0 {
                    *line = (*line).max(Some(edge.usage));
                }
            }
            cell.selected |= edge.selected;
        }
    }

    /// From the right end of a node to a track of the link's own, up or down there, and on to the other node.
    fn edge(&mut self, map: &Map, edge: &Edge, places: &Places, track: usize) {
        let (from, to) = (&map.nodes[edge.from], &map.nodes[edge.to]);
        let start = places.right(from);
        let end = places.left(to);
        let turn = places.track(from.column, track);
        let (above, below) = edge.rows;
        if above == below {
            (start..end).for_each(|x| self.add(x, above, LEFT | RIGHT, edge));
        } else {
            (start..turn).for_each(|x| self.add(x, above, LEFT | RIGHT, edge));
            (turn + 1..end).for_each(|x| self.add(x, below, LEFT | RIGHT, edge));
            let (leave, arrive) = if above < below { (DOWN, UP) } else { (UP, DOWN) };
            self.add(turn, above, LEFT | leave, edge);
            self.add(turn, below, arrive | RIGHT, edge);
            (above.min(below) + 1..above.max(below)).for_each(|y| self.add(turn, y, UP | DOWN, edge));
        }
        self.write(start, above, &edge.labels.0);
        let width = edge.labels.1.chars().count().min(LABEL);
        self.write(end.saturating_sub(width), below, &edge.labels.1);
    }

    fn node(&mut self, node: &Node, places: &Places) {
        let x = places.columns[node.column];
        if node.name.is_empty() {
            return;
        }
        for line in 0..node.height {
            let name = if line == 0 { node.name.as_str() } else { "" };
            let inner = places.width(node.column) - 2;
            let text = format!("[{}]", super::list::pad(name, inner, false));
            for (offset, c) in text.chars().enumerate() {
                if let Some(cell) = self.cell(x + offset, node.row + line) {
                    *cell = Cell { text: Some(c), node: Some(node.usage), ..Cell::default() };
                }
            }
        }
    }

    fn write(&mut self, x: usize, y: usize, text: &str) {
        for (offset, c) in text.chars().filter(|c| !c.is_control()).take(LABEL).enumerate() {
            if let Some(cell) = self.cell(x + offset, y) {
                cell.text = Some(c);
            }
        }
    }

    fn line(&self, usage: Use, directions: u8) -> char {
        let light = ['╵', '╷', '│', '╴', '┘', '┐', '┤', '╶', '└', '┌', '├', '─', '┴', '┬', '┼'];
        let heavy = ['╹', '╻', '┃', '╸', '┛', '┓', '┫', '╺', '┗', '┏', '┣', '━', '┻', '┳', '╋'];
        let shape = usize::from(directions.clamp(1, 15)) - 1;
        match (usage, directions) {
            (Use::Active, _) => heavy[shape],
            (Use::Dead, directions) if directions == LEFT | RIGHT => '╌',
            (Use::Dead, directions) if directions == UP | DOWN => '╎',
            _ => light[shape],
        }
    }

    fn symbol(&self, cell: &Cell) -> Option<(char, Option<Use>)> {
        let directions = (0..4).filter(|bit| cell.lines[*bit].is_some()).fold(0, |all, bit| all | 1 << bit);
        let most = cell.lines.iter().flatten().max().copied();
        if let Some(c) = cell.text {
            return Some((c, cell.node.or(most)));
        }
        let [vertical, horizontal] = [cell.lines[0], cell.lines[2]].map(|line| line == Some(Use::Active));
        match (most?, directions) {
            // Two links cross: each keeps its look.
            (Use::Active, 15) if vertical != horizontal => Some((if vertical { '╂' } else { '┿' }, most)),
            (usage, directions) => Some((self.line(usage, directions), most)),
        }
    }

    fn draw(&self, buffer: &mut Buffer, area: Rect, theme: Theme) {
        for (index, cell) in self.cells.iter().enumerate() {
            let Some((symbol, usage)) = self.symbol(cell) else { continue };
            let (x, y) = (area.x + (index % self.width) as u16, area.y + (index / self.width) as u16);
            let style = match usage {
                Some(Use::Active) if cell.node.is_some() => theme.good().patch(theme.heading()),
                Some(Use::Active) => theme.good(),
                _ if cell.selected => theme.notable(),
                _ => Style::new(),
            };
            if let Some(target) = buffer.cell_mut((x, y)) {
                target.set_char(symbol).set_style(style);
            }
        }
    }
}

/// Where columns begin, and how wide they are.
struct Places {
    columns: Vec<usize>,
    widths: Vec<usize>,
    /// Where links begin to go up or down.
    tracks: Vec<usize>,
    cut: bool,
}

impl Places {
    fn of(map: &Map, width: usize) -> Self {
        let columns = map.columns();
        let widest = |column| {
            let names = map.nodes.iter().filter(|node| node.column == column).map(|node| node.name.chars().count() + 2);
            names.max().unwrap_or(2).clamp(3, NAME)
        };
        let widths: Vec<usize> = (0..columns).map(widest).collect();
        let leaving = |column| map.edges.iter().filter(move |edge| map.nodes[edge.from].column == column);
        let longest = |column, of: fn(&Edge) -> &String| {
            leaving(column).map(|edge| of(edge).chars().count()).max().unwrap_or(0).min(LABEL)
        };
        let (mut starts, mut tracks, mut at) = (Vec::new(), Vec::new(), 0);
        for (column, width) in widths.iter().enumerate() {
            starts.push(at);
            tracks.push(at + width + longest(column, |edge| &edge.labels.0) + 1);
            let links = leaving(column).count() + longest(column, |edge| &edge.labels.1) + 1;
            at = if column + 1 < columns { tracks[column] + links } else { at + width };
        }
        Self { columns: starts, widths, tracks, cut: at > width }
    }

    fn width(&self, column: usize) -> usize {
        self.widths[column]
    }

    /// Where links leave a node; those that only pass begin where it would.
    fn right(&self, node: &Node) -> usize {
        self.columns[node.column] + self.widths[node.column]
    }

    /// Where links come to a node. Those that pass go through.
    fn left(&self, node: &Node) -> usize {
        if node.name.is_empty() { self.right(node) } else { self.columns[node.column] }
    }

    /// The column of cells in which a link goes up or down.
    fn track(&self, column: usize, track: usize) -> usize {
        self.tracks[column] + track
    }
}
