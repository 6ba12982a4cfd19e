//! What a destination can say in `{{ }}`.

use thiserror::Error;

use crate::subject;

/// A function with its arguments. Tokens of the subject are counted from 0, wildcards in the source text from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Function {
    /// `wildcard(n)`, `$n`.
    Token(usize),
    /// `partition(buckets, n…)`: the hash of these tokens, or of the whole subject if there are none.
    Partition { buckets: u32, tokens: Box<[usize]> },
    /// `split(n, text)`: the parts between `text` become tokens; empty ones do not.
    Split { token: usize, at: Box<[u8]> },
    /// `left(n, bytes)` and its likes.
    Cut { token: usize, how: Cut, bytes: usize },
    /// `random(n)`: a number from 0 to n - 1.
    Random(u32),
}

/// Where a token is cut. One that is no longer than the cut stays whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// Keep so many first bytes.
    Left,
    /// Keep so many last bytes.
    Right,
    /// Two tokens, the first of so many bytes.
    SplitFromLeft,
    /// Two tokens, the last of so many bytes.
    SplitFromRight,
    /// Tokens of so many bytes, the last with the rest.
    SliceFromLeft,
    /// Tokens of so many bytes, the first with the rest.
    SliceFromRight,
}

/// Why a call means nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FunctionError {
    /// No such function.
    #[error(
        "no such function; there are wildcard, partition, split, left, right, splitFromLeft, splitFromRight, \
         sliceFromLeft, sliceFromRight and random"
    )]
    Unknown,
    /// Not as many arguments as it takes.
    #[error("this function takes {0}")]
    Count(&'static str),
    /// An argument that is no number, or too small a one.
    #[error("{0:?} is not a number that it takes")]
    Number(String),
    /// The source has no such wildcard.
    #[error("wildcard {asked} is asked for, the source has {present} of \"*\"")]
    Wildcard {
        /// As written.
        asked: usize,
        /// How many `*` the source has.
        present: usize,
    },
}

impl Function {
    pub(super) fn wildcard(number: &str, wildcards: &[usize]) -> Result<Self, FunctionError> {
        token(number, wildcards).map(Self::Token)
    }

    /// `call` is what stands between the braces. Names are taken in any case.
    pub(super) fn parse(call: &str, wildcards: &[usize]) -> Result<Self, FunctionError> {
        let (name, arguments) =
            call.trim().strip_suffix(')').and_then(|c| c.split_once('(')).ok_or(FunctionError::Unknown)?;
        let arguments: Vec<&str> = match arguments.trim() {
            "" => Vec::new(),
            arguments => arguments.split(',').map(str::trim).collect(),
        };
        let one = || match arguments[..] {
            [only] => Ok(only),
            _ => Err(FunctionError::Count("one number")),
        };
        let two = |takes| match arguments[..] {
            [first, second] => Ok((first, second)),
            _ => Err(FunctionError::Count(takes)),
        };
        let cut = |how| {
            let (which, bytes) = two("a wildcard and a number of bytes")?;
            Ok(Self::Cut { token: token(which, wildcards)?, how, bytes: number(bytes, 0)? as usize })
        };
        match name.trim().to_ascii_lowercase().as_str() {
            "wildcard" => Self::wildcard(one()?, wildcards),
            "random" => Ok(Self::Random(number(one()?, 1)?)),
            "partition" => {
                let (buckets, tokens) =
                    arguments.split_first().ok_or(FunctionError::Count("a number of partitions"))?;
                let tokens = tokens.iter().map(|which| token(which, wildcards)).collect::<Result<_, _>>()?;
                Ok(Self::Partition { buckets: number(buckets, 1)?, tokens })
            }
            "split" => {
                let (which, at) = two("a wildcard and what to split at")?;
                if at.is_empty() {
                    return Err(FunctionError::Count("a wildcard and what to split at"));
                }
                Ok(Self::Split { token: token(which, wildcards)?, at: at.as_bytes().into() })
            }
            "left" => cut(Cut::Left),
            "right" => cut(Cut::Right),
            "splitfromleft" => cut(Cut::SplitFromLeft),
            "splitfromright" => cut(Cut::SplitFromRight),
            "slicefromleft" => cut(Cut::SliceFromLeft),
            "slicefromright" => cut(Cut::SliceFromRight),
            _ => Err(FunctionError::Unknown),
        }
    }

    /// Writes what it makes of `subject`.
    pub(super) fn write(&self, subject: &[u8], random: &mut impl FnMut(u32) -> u32, out: &mut Vec<u8>) {
        let token = |at: usize| subject::tokens(subject).nth(at).unwrap_or_default();
        match self {
            Self::Token(at) => out.extend_from_slice(token(*at)),
            Self::Partition { buckets, tokens } if tokens.is_empty() => {
                write_number(fnv1a(subject.iter()) % buckets, out);
            }
            Self::Partition { buckets, tokens } => {
                write_number(fnv1a(tokens.iter().flat_map(|at| token(*at))) % buckets, out);
            }
            Self::Split { token: which, at } => write_tokens(split(token(*which), at), out),
            Self::Cut { token: which, how, bytes } => how.write(token(*which), *bytes, out),
            Self::Random(below) => write_number(random(*below), out),
        }
    }
}

impl Cut {
    fn write(self, token: &[u8], bytes: usize, out: &mut Vec<u8>) {
        if bytes == 0 || token.len() <= bytes {
            return out.extend_from_slice(token);
        }
        let from_right = token.len() - bytes;
        match self {
            Self::Left => out.extend_from_slice(&token[..bytes]),
            Self::Right => out.extend_from_slice(&token[from_right..]),
            Self::SplitFromLeft => write_tokens([&token[..bytes], &token[bytes..]].into_iter(), out),
            Self::SplitFromRight => write_tokens([&token[..from_right], &token[from_right..]].into_iter(), out),
            Self::SliceFromLeft => write_tokens(token.chunks(bytes), out),
            Self::SliceFromRight => {
                let (first, rest) = token.split_at(token.len() % bytes);
                write_tokens(std::iter::once(first).filter(|first| !first.is_empty()).chain(rest.chunks(bytes)), out);
            }
        }
    }
}

fn number(text: &str, least: u32) -> Result<u32, FunctionError> {
    let number = text.parse().ok().filter(|n| (least..=i32::MAX as u32).contains(n));
    number.ok_or_else(|| FunctionError::Number(text.to_owned()))
}

/// The token of a subject that the wildcard of this number stands for.
fn token(number: &str, wildcards: &[usize]) -> Result<usize, FunctionError> {
    let asked: usize = number.parse().map_err(|_| FunctionError::Number(number.to_owned()))?;
    let at = asked.checked_sub(1).and_then(|at| wildcards.get(at));
    at.copied().ok_or(FunctionError::Wildcard { asked, present: wildcards.len() })
}

fn split<'a>(token: &'a [u8], at: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = Some(token);
    let parts = std::iter::from_fn(move || {
        let left = rest?;
        match left.windows(at.len()).position(|window| window == at) {
            Some(found) => {
                rest = Some(&left[found + at.len()..]);
                Some(&left[..found])
            }
            None => rest.take(),
        }
    });
    parts.filter(|part| !part.is_empty())
}

fn write_tokens<'a>(tokens: impl Iterator<Item = &'a [u8]>, out: &mut Vec<u8>) {
    for (at, token) in tokens.enumerate() {
        if at > 0 {
            out.push(b'.');
        }
        out.extend_from_slice(token);
    }
}

fn write_number(number: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(number.to_string().as_bytes());
}

/// FNV-1a of 32 bits, which nats-server numbers partitions by.
fn fnv1a<'a>(bytes: impl Iterator<Item = &'a u8>) -> u32 {
    bytes.fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}
