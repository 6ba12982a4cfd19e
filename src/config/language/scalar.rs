//! Values without structure: numbers, dates, strings, booleans and references to variables.

use super::Value;
use super::cursor::{Cursor, is_blank, is_line_end};
use super::error::Problem;

/// What a scalar says.
#[derive(Debug, PartialEq)]
pub(super) enum Scalar {
    Value(Value),
    /// `$name`
    Variable(String),
}

impl From<Value> for Scalar {
    fn from(value: Value) -> Self {
        Scalar::Value(value)
    }
}

/// Reads the scalar at the cursor, which is not white space.
pub(super) fn scalar(cursor: &mut Cursor<'_>) -> Result<Scalar, Problem> {
    match cursor.peek() {
        Some('"') => double_quoted(cursor).map(Scalar::from),
        Some('\'') => single_quoted(cursor).map(Scalar::from),
        Some('(') => block(cursor).map(Scalar::from),
        Some('-') => negative(cursor),
        Some('.') => Err(Problem::FloatWithoutInteger),
        Some('0'..='9') => positive(cursor),
        _ => unquoted(cursor, String::new()),
    }
}

/// A number, unless something in it makes it a date, an address or any other string.
fn positive(cursor: &mut Cursor<'_>) -> Result<Scalar, Problem> {
    let digits = cursor.take_while(is_digit);
    match cursor.peek() {
        Some('-') => date(cursor, digits).map(Scalar::from),
        Some('.') => float_or_address(cursor, digits.to_owned()).map(Scalar::from),
        Some(c) if is_suffix(c) => scaled_integer(cursor, digits.to_owned()),
        _ if at_end_of_number(cursor) => integer(digits.to_owned()).map(Scalar::from),
        // Whatever it is that makes this a string belongs to it, even ']'.
        _ => {
            let mut text = digits.to_owned();
            text.extend(cursor.next());
            unquoted(cursor, text)
        }
    }
}

fn negative(cursor: &mut Cursor<'_>) -> Result<Scalar, Problem> {
    cursor.next();
    let digits = cursor.take_while(is_digit);
    match cursor.peek() {
        Some('.') if digits.is_empty() => Err(Problem::FloatWithoutInteger),
        found if digits.is_empty() => Err(Problem::MinusWithoutDigit(found)),
        Some('.') => float_or_address(cursor, format!("-{digits}")).map(Scalar::from),
        Some(c) if is_suffix(c) => scaled_integer(cursor, format!("-{digits}")),
        _ => integer(format!("-{digits}")).map(Scalar::from),
    }
}

/// `1k` is a number, `1kg` a string.
fn scaled_integer(cursor: &mut Cursor<'_>, mut number: String) -> Result<Scalar, Problem> {
    number.extend(cursor.next());
    number.push_str(cursor.take_while(|c| matches!(c, 'b' | 'B' | 'i' | 'I')));
    if at_end_of_number(cursor) { integer(number).map(Scalar::from) } else { unquoted(cursor, number) }
}

/// `1.5` is a number, `10.0.0.1:4222` a string.
fn float_or_address(cursor: &mut Cursor<'_>, mut text: String) -> Result<Value, Problem> {
    cursor.next();
    text.push('.');
    let fraction = cursor.take_while(is_digit);
    if fraction.is_empty() {
        return Err(Problem::FloatWithoutFraction(cursor.peek()));
    }
    text.push_str(fraction);
    if cursor.peek() == Some('.') {
        text.push_str(cursor.take_while(|c| is_digit(c) || matches!(c, '.' | ':' | '-')));
        return Ok(Value::Text(text));
    }
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(Value::Float(number)),
        _ => Err(Problem::FloatRange(text)),
    }
}

fn date(cursor: &mut Cursor<'_>, year: &str) -> Result<Value, Problem> {
    let rest = cursor.take_while(|c| is_digit(c) || matches!(c, '-' | ':' | 'T'));
    let text = format!("{year}{rest}Z");
    let shape = |(c, want): (char, char)| if want == '0' { is_digit(c) } else { c == want };
    let template = "0000-00-00T00:00:00Z";
    let well_formed = cursor.eat('Z') && text.len() == template.len() && text.chars().zip(template.chars()).all(shape);
    let parsed = text.trim_end_matches('Z').parse::<jiff::civil::DateTime>();
    if well_formed && parsed.is_ok_and(|at| !text.ends_with(":60Z") && at.year() >= 0) {
        Ok(Value::Date(text))
    } else {
        Err(Problem::Date)
    }
}

/// `text` is an optional '-', digits and an optional suffix.
fn integer(text: String) -> Result<Value, Problem> {
    let (digits, suffix) = text.split_at(text.find(is_suffix).unwrap_or(text.len()));
    let (base, power) = match suffix.to_ascii_lowercase().as_bytes() {
        [] => (1, 0),
        [unit] => (1000, exponent(*unit)),
        [unit, b'b' | b'i'] | [unit, b'i', b'b'] => (1024, exponent(*unit)),
        _ => return Err(Problem::IntSuffix(text)),
    };
    let scaled = digits.parse::<i64>().ok().and_then(|number| number.checked_mul(i64::pow(base, power)));
    scaled.map(Value::Int).ok_or(Problem::IntRange(text))
}

fn exponent(unit: u8) -> u32 {
    match unit {
        b'k' => 1,
        b'm' => 2,
        b'g' => 3,
        b't' => 4,
        b'p' => 5,
        _ => 6,
    }
}

fn is_suffix(c: char) -> bool {
    matches!(c.to_ascii_lowercase(), 'k' | 'm' | 'g' | 't' | 'p' | 'e')
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit()
}

/// `]` is not among them: nats-server takes `3]` for a string, and so refuses `[1,2,3]`.
fn at_end_of_number(cursor: &Cursor<'_>) -> bool {
    cursor.peek().is_none_or(|c| is_line_end(c) || is_blank(c) || matches!(c, '}' | ';' | ','))
}

/// The rest of a string without quotes that starts with `text`, a boolean word, or a reference.
fn unquoted(cursor: &mut Cursor<'_>, text: String) -> Result<Scalar, Problem> {
    let mut bytes = text.into_bytes();
    // Escapes and a quote at the end make sure that it is a string.
    let mut literal = false;
    loop {
        match cursor.peek() {
            Some('\\') => {
                literal = true;
                bytes.push(escape(cursor)?);
            }
            Some('\'') => {
                cursor.next();
                literal = true;
                break;
            }
            Some(c) if !(is_line_end(c) || is_blank(c) || matches!(c, ';' | ',' | ']' | '}')) => {
                cursor.next();
                push(&mut bytes, c);
            }
            _ => break,
        }
    }
    let text = utf8(bytes)?;
    if literal {
        return Ok(Value::Text(text).into());
    }
    Ok(match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" => Value::Bool(true).into(),
        "false" | "no" | "off" => Value::Bool(false).into(),
        _ => match text.strip_prefix('$') {
            Some(name) if !name.starts_with("2a$") => Scalar::Variable(name.to_owned()),
            // A bcrypt hash.
            _ => Value::Text(text).into(),
        },
    })
}

fn double_quoted(cursor: &mut Cursor<'_>) -> Result<Value, Problem> {
    cursor.next();
    let mut bytes = Vec::new();
    loop {
        match cursor.peek() {
            None => return Err(Problem::OpenString),
            Some('\\') => bytes.push(escape(cursor)?),
            Some(c) => {
                cursor.next();
                if c == '"' {
                    return utf8(bytes).map(Value::Text);
                }
                push(&mut bytes, c);
            }
        }
    }
}

fn single_quoted(cursor: &mut Cursor<'_>) -> Result<Value, Problem> {
    cursor.next();
    cursor.take_through('\'').map(|text| Value::Text(text.to_owned())).ok_or(Problem::OpenString)
}

/// `(`, raw lines, and `)` alone on a line.
fn block(cursor: &mut Cursor<'_>) -> Result<Value, Problem> {
    cursor.next();
    let mut text = String::new();
    loop {
        if text.ends_with('\n') && (cursor.looking_at(")\n") || cursor.looking_at(")\r\n") || cursor.is_at_last(')')) {
            cursor.next();
            return Ok(Value::Text(text));
        }
        text.push(cursor.next().ok_or(Problem::OpenBlock)?);
    }
}

/// The byte that an escape stands for.
fn escape(cursor: &mut Cursor<'_>) -> Result<u8, Problem> {
    cursor.next();
    let byte = match cursor.peek() {
        Some('t') => b'\t',
        Some('n') => b'\n',
        Some('r') => b'\r',
        Some('"') => b'"',
        Some('\\') => b'\\',
        Some('x') => {
            cursor.next();
            let high = hexadecimal(cursor)?;
            cursor.next();
            high << 4 | hexadecimal(cursor)?
        }
        other => return Err(Problem::Escape(other)),
    };
    cursor.next();
    Ok(byte)
}

fn hexadecimal(cursor: &Cursor<'_>) -> Result<u8, Problem> {
    let found = cursor.peek();
    found.and_then(|c| c.to_digit(16)).and_then(|digit| u8::try_from(digit).ok()).ok_or(Problem::Escape(found))
}

fn push(bytes: &mut Vec<u8>, c: char) {
    bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

fn utf8(bytes: Vec<u8>) -> Result<String, Problem> {
    String::from_utf8(bytes).map_err(|_| Problem::EscapeUtf8)
}
