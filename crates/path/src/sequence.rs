//! Sequences: which ASes and interfaces a path must cross, in the language of the `scion` tools.
//!
//! A sequence is a regular expression over the ASes of a path. It is compiled to the program of a machine that tries all
//! ways at once, so that no sequence, however it is nested, takes longer than its length times that of the path.

use std::fmt;
use std::str::FromStr;

use crate::hop::Hop;
use crate::{Interface, IsdAs};

#[cfg(test)]
mod tests;

/// The longest text, in bytes.
const LONGEST: usize = 4096;
/// The most parentheses within each other.
const DEEPEST: u8 = 32;

/// What a path must cross, as in `1-ff00:0:111#3 0* 1-ff00:0:112`. The empty sequence is that of every path.
///
/// Each hop stands for one AS: `ISD`, `ISD-AS`, `ISD-AS#IF` (entered or left by this interface) or `ISD-AS#IN,OUT`; 0 is
/// any. A path enters its first AS and leaves its last one by interface 0. Behind a hop or parentheses `?` means at most
/// once, `+` at least once, `*` any number of times; `|` between two means either, and binds more tightly than the order
/// of hops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sequence {
    text: String,
    program: Vec<Step>,
}

/// Why a text is no sequence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a sequence: {what}")]
pub struct SequenceError {
    text: String,
    what: String,
}

/// A step of the machine. Jumps are relative to the step itself, so that programs can be put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Takes one AS.
    Hop(Hop),
    /// Goes on at both.
    Fork(isize, isize),
    /// Goes on there.
    Jump(isize),
}

/// The ASes that these interfaces of a path lead through, each with those that it is entered and left by; 0 stands for
/// the ends of the path.
pub fn ases(interfaces: &[Interface]) -> impl Iterator<Item = (IsdAs, u16, u16)> {
    let entered = std::iter::once(None).chain(interfaces.iter().skip(1).step_by(2).map(Some));
    let left = interfaces.iter().step_by(2).map(Some).chain(std::iter::once(None));
    let id = |interface: Option<&Interface>| interface.map_or(0, |interface| interface.id);
    let both = entered.zip(left);
    both.filter_map(move |(entered, left)| Some((entered.or(left)?.isd_as, id(entered), id(left))))
}

impl Sequence {
    /// The sequence of one path alone, as text: each AS with the interfaces it is entered and left by.
    pub fn of(interfaces: &[Interface]) -> String {
        let hop = |(isd_as, entered, left)| format!("{isd_as}#{entered},{left}");
        ases(interfaces).map(hop).collect::<Vec<_>>().join(" ")
    }

    /// Whether the path over these interfaces (two a link, in travel order) is one of those meant.
    pub fn matches(&self, interfaces: &[Interface]) -> bool {
        if self.program.is_empty() {
            return true;
        }
        let mut at = vec![false; self.program.len() + 1];
        self.reach(&mut at, 0);
        for (isd_as, entered, left) in ases(interfaces) {
            let mut next = vec![false; at.len()];
            for (index, step) in self.program.iter().enumerate().filter(|(index, _)| at[*index]) {
                if matches!(step, Step::Hop(hop) if hop.matches(isd_as, entered, left)) {
                    self.reach(&mut next, index + 1);
                }
            }
            at = next;
        }
        at[self.program.len()]
    }

    /// Marks `from` and all steps to be had from there without taking an AS.
    fn reach(&self, at: &mut [bool], from: usize) {
        let mut open = vec![from];
        while let Some(index) = open.pop() {
            if std::mem::replace(&mut at[index], true) {
                continue;
            }
            match self.program.get(index) {
                Some(Step::Jump(by)) => open.push(index.wrapping_add_signed(*by)),
                Some(Step::Fork(one, other)) => open.extend([one, other].map(|by| index.wrapping_add_signed(*by))),
                Some(Step::Hop(_)) | None => {}
            }
        }
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Sequence {
    type Err = SequenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = |what| SequenceError { text: text.to_owned(), what };
        if text.len() > LONGEST {
            let start = text.chars().take(20).chain("...".chars()).collect();
            return Err(SequenceError { text: start, what: format!("it is longer than {LONGEST} bytes") });
        }
        let mut parser = Parser { rest: text, hops: 0, depth: 0 };
        let program = parser.order().map_err(bad)?;
        match parser.peek() {
            None => Ok(Self { text: text.to_owned(), program }),
            Some(_) => Err(bad(format!("the ')' {} has no '('", parser.place()))),
        }
    }
}

struct Parser<'a> {
    rest: &'a str,
    /// How many have been read.
    hops: usize,
    depth: u8,
}

type Program = Result<Vec<Step>, String>;

impl<'a> Parser<'a> {
    fn peek(&mut self) -> Option<char> {
        self.rest = self.rest.trim_start();
        self.rest.chars().next()
    }

    /// Takes the next character, which is ASCII.
    fn skip(&mut self) {
        self.rest = &self.rest[1..];
    }

    /// Where we are, for people.
    fn place(&self) -> String {
        match self.hops {
            0 => "before the first hop".to_owned(),
            hops => format!("after hop {hops}"),
        }
    }

    /// Parts one behind the other, up to the end or a ')'.
    fn order(&mut self) -> Program {
        let mut program = Vec::new();
        while self.peek().is_some_and(|c| c != ')') {
            program.extend(self.choice()?);
        }
        Ok(program)
    }

    fn choice(&mut self) -> Program {
        let mut program = self.repeated()?;
        while self.peek() == Some('|') {
            self.skip();
            let other = self.repeated()?;
            program.insert(0, Step::Fork(1, program.len() as isize + 2));
            program.push(Step::Jump(other.len() as isize + 1));
            program.extend(other);
        }
        Ok(program)
    }

    fn repeated(&mut self) -> Program {
        let mut program = self.single()?;
        while let Some(operator @ ('?' | '+' | '*')) = self.peek() {
            self.skip();
            let len = program.len() as isize;
            if operator != '?' {
                program.push(Step::Fork(-len, 1));
            }
            if operator != '+' {
                program.insert(0, Step::Fork(1, program.len() as isize + 1));
            }
        }
        Ok(program)
    }

    fn single(&mut self) -> Program {
        match self.peek() {
            Some('(') => self.parentheses(),
            Some(operator @ ('?' | '+' | '*' | '|')) => {
                Err(format!("the '{operator}' {} stands where a hop must be", self.place()))
            }
            Some(c) if c != ')' => Ok(vec![Step::Hop(self.hop()?)]),
            _ => Err(format!("{} a hop is missing", self.place())),
        }
    }

    fn parentheses(&mut self) -> Program {
        let place = self.place();
        self.skip();
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(format!("the '(' {place} is within {DEEPEST} others, which is too deep"));
        }
        let program = self.order()?;
        if self.peek().is_none() {
            return Err(format!("the '(' {place} has no ')'"));
        }
        self.skip();
        self.depth -= 1;
        match program.is_empty() {
            true => Err(format!("the parentheses {place} hold no hop")),
            false => Ok(program),
        }
    }

    fn hop(&mut self) -> Result<Hop, String> {
        let end = self.rest.find(|c: char| c.is_whitespace() || "?+*|()".contains(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        self.hops += 1;
        word.parse().map_err(|what| format!("hop {}, {word:?}: {what}", self.hops))
    }
}
