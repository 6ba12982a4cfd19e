use std::io;

use super::Position;

/// Why a configuration could not be parsed, and where.
#[derive(Debug, thiserror::Error)]
#[error("{at}: {problem}")]
pub struct LanguageError {
    /// Where it was noticed.
    pub at: Position,
    /// What was noticed.
    pub problem: Problem,
}

/// What is wrong with the text.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// `=` or `:` where a key should start.
    #[error("{0:?} stands where a key should; write a key before it")]
    SeparatorWithoutKey(char),
    /// A key and nothing after it.
    #[error("key {0:?} has no value")]
    KeyWithoutValue(String),
    /// The quote of a key is never closed.
    #[error("the quote that starts this key is never closed")]
    OpenKey,
    /// The quote of a string is never closed.
    #[error("the quote that starts this string is never closed")]
    OpenString,
    /// No `)` on a line of its own.
    #[error("this block is never closed; put a ')' alone on a line after it")]
    OpenBlock,
    /// No `}`.
    #[error("this map is never closed; a '}}' is missing")]
    OpenMap,
    /// One slash.
    #[error("a single '/' means nothing here; a comment starts with '//' or '#'")]
    LoneSlash,
    /// `]` where a key of a map should start.
    #[error("']' stands where a key of a map should; the map is still open")]
    ListEndInMap,
    /// Line end after `=` or `:`.
    #[error("the value must start on the line of its '=' or ':'")]
    ValueOnNextLine,
    /// `,` right after `[` or another `,`.
    #[error("a value is missing before this ','")]
    EmptyListItem,
    /// Two values without anything between them.
    #[error("expected the value to end with a new line, ',', ';' or '}}', found {}", found(*.0))]
    AfterPair(Option<char>),
    /// Two values of a list without anything between them.
    #[error(
        "expected ',' or ']' after a value of a list, found {}{}",
        found(*.after),
        if *.glued { "; an integer needs a blank before ']'" } else { "" }
    )]
    AfterItem {
        /// What came, `None` at the end of the file.
        after: Option<char>,
        /// The value is an integer and the `]` that was to end the list.
        glued: bool,
    },
    /// A minus without a number.
    #[error("expected a digit after '-', found {}", found(*.0))]
    MinusWithoutDigit(Option<char>),
    /// `.5`
    #[error("a number must start with a digit; write 0.5 for .5")]
    FloatWithoutInteger,
    /// `5.`
    #[error("expected a digit after '.', found {}", found(*.0))]
    FloatWithoutFraction(Option<char>),
    /// `1_000…` of digits and a dot, beyond what a double holds.
    #[error("{0} is too large for a number")]
    FloatRange(String),
    /// More than 64 bits.
    #[error("integer {0} is out of the range of 64 bits")]
    IntRange(String),
    /// `1kbb`
    #[error("{0:?} has an unknown suffix; use k m g t p e (powers of 1000) or kb mb gb tb pb eb (powers of 1024)")]
    IntSuffix(String),
    /// `18-ffaa:1:10bf`, `2016-05-04`
    #[error(
        "a value that starts with digits and '-' must be a date such as 2016-05-04T18:53:41Z; put SCION addresses \
         in double quotes"
    )]
    Date,
    /// `\q`
    #[error(
        r#"'\' must be followed by t, n, r, '"', '\' or x and two hexadecimal digits, found {}"#,
        found(*.0)
    )]
    Escape(Option<char>),
    /// Bytes of `\x` escapes are no text.
    #[error(r"the \x escapes of this string do not give valid UTF-8")]
    EscapeUtf8,
    /// `include` without a file name.
    #[error("include must be followed by a file name; quote it if it starts with a digit or a special character")]
    IncludeName,
    /// A file cannot be read.
    #[error("cannot include {path:?}: {error}")]
    Include {
        /// The file.
        path: String,
        /// What the operating system says.
        error: io::Error,
    },
    /// Too much text.
    #[error("the included files are too many or too large: at most {files} files and {bytes} bytes in total")]
    IncludeBudget {
        /// Limit.
        files: usize,
        /// Limit.
        bytes: usize,
    },
    /// Nothing of that name.
    #[error("variable ${0} is defined neither above in an enclosing map nor in the environment")]
    UnknownVariable(String),
    /// `A='$B' B='$A'` in the environment.
    #[error("variable ${0} of the environment refers to itself")]
    VariableCycle(String),
    /// The environment's text is no value.
    #[error("variable ${name} of the environment cannot be parsed: {error}")]
    Variable {
        /// Its name.
        name: String,
        /// What is wrong with its text.
        error: Box<LanguageError>,
    },
    /// Maps in lists in maps in includes …
    #[error("maps, lists, includes and variables are nested more than {0} deep")]
    TooDeep(usize),
    /// References that multiply.
    #[error("the configuration has more than {0} values once its variables are replaced")]
    TooManyValues(usize),
}

fn found(c: Option<char>) -> String {
    c.map_or("the end of the file".into(), |c| format!("{c:?}"))
}
