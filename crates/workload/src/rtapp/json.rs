// SPDX-License-Identifier: GPL-2.0-or-later
//! JSON with places: what a value is, or a remark on what it is not.
//!
//! As people write rt-app's files: with comments, a comma behind the last element, and the same key
//! again and again in one object, in which the order counts.

use super::{Position, Remark, RtAppError};
use jsonc_parser::ast::{Object, Value};
use jsonc_parser::common::Ranged;
use jsonc_parser::errors::ParseErrorKind;
use jsonc_parser::{CollectOptions, CommentCollectionStrategy, ParseOptions, parse_to_ast};

/// What was found out so far about a file.
pub(super) struct Reader<'a> {
    lines: Lines<'a>,
    pub(super) mistakes: Vec<Remark>,
    pub(super) warnings: Vec<Remark>,
}

/// Rota reads JSON with comments and commas at the end, and nothing else that is not JSON.
const OPTIONS: ParseOptions = ParseOptions {
    allow_comments: true,
    allow_trailing_commas: true,
    allow_loose_object_property_names: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

/// The lines of a text, for places in it.
struct Lines<'a> {
    text: &'a str,
    /// Where each begins.
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        let after = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(i, _)| i + 1);
        Self { text, starts: std::iter::once(0).chain(after).collect() }
    }

    /// The place of a byte.
    fn position(&self, byte: usize) -> Position {
        let mut end = byte.min(self.text.len());
        while !self.text.is_char_boundary(end) {
            end -= 1;
        }
        let line = self.starts.partition_point(|start| *start <= end);
        let start = self.starts[line.saturating_sub(1)];
        let column = self.text[start..end].chars().count() as u32 + 1;
        Position { line: line as u32, column }
    }
}

/// The value of a file.
pub(super) fn parse(text: &str) -> Result<Option<Value<'_>>, RtAppError> {
    let collect = CollectOptions { comments: CommentCollectionStrategy::Off, tokens: false };
    parse_to_ast(text, &collect, &OPTIONS).map(|parsed| parsed.value).map_err(|error| {
        let at = Lines::new(text).position(error.range().start);
        let text = match error.kind() {
            ParseErrorKind::ExpectedColonAfterObjectKey => {
                "expected : and a value behind the key; one that needs none has \"\"".to_owned()
            }
            kind => {
                // As all other messages begin.
                let words = kind.to_string();
                let mut letters = words.chars();
                let first = letters.next().map(|letter| letter.to_ascii_lowercase());
                first.into_iter().chain(letters).collect()
            }
        };
        RtAppError(vec![Remark { at, text }])
    })
}

/// What a value is, in words.
fn kind(value: &Value<'_>) -> &'static str {
    match value {
        Value::StringLit(_) => "a text",
        Value::NumberLit(_) => "a number",
        Value::BooleanLit(_) => "true or false",
        Value::Object(_) => "an object",
        Value::Array(_) => "a list",
        Value::NullKeyword(_) => "null",
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { lines: Lines::new(text), mistakes: Vec::new(), warnings: Vec::new() }
    }

    /// The place of something.
    pub(super) fn at(&self, of: &impl Ranged) -> Position {
        self.lines.position(of.start())
    }

    /// Something is wrong.
    pub(super) fn wrong(&mut self, of: &impl Ranged, text: impl Into<String>) {
        let at = self.at(of);
        self.mistakes.push(Remark { at, text: text.into() });
    }

    /// Something may not be what was meant.
    pub(super) fn warn(&mut self, of: &impl Ranged, text: impl Into<String>) {
        let at = self.at(of);
        self.warnings.push(Remark { at, text: text.into() });
    }

    /// An object.
    pub(super) fn object<'v>(&mut self, key: &str, value: &'v Value<'a>) -> Option<&'v Object<'a>> {
        let found = value.as_object();
        if found.is_none() {
            self.wrong(value, format!("{key} is an object, not {}", kind(value)));
        }
        found
    }

    /// A text.
    pub(super) fn text(&mut self, key: &str, value: &Value<'a>) -> Option<String> {
        let found = value.as_string_lit();
        if found.is_none() {
            self.wrong(value, format!("{key} is a text, not {}", kind(value)));
        }
        found.map(|text| text.value.to_string())
    }

    /// True or false.
    pub(super) fn truth(&mut self, key: &str, value: &Value<'a>) -> Option<bool> {
        let found = value.as_boolean_lit();
        if found.is_none() {
            self.wrong(value, format!("{key} is true or false, not {}", kind(value)));
        }
        found.map(|truth| truth.value)
    }

    /// A whole number of a range.
    pub(super) fn number(
        &mut self,
        key: &str,
        value: &Value<'a>,
        (least, most): (i64, i64),
    ) -> Option<i64> {
        let Some(number) = value.as_number_lit() else {
            self.wrong(value, format!("{key} is a number, not {}", kind(value)));
            return None;
        };
        let found = number.value.parse::<i64>().ok();
        let found = found.filter(|found| (least..=most).contains(found));
        if found.is_none() {
            let given = number.value;
            let text = format!("{key} is a whole number from {least} to {most}, not {given}");
            self.wrong(value, text);
        }
        found
    }

    /// A list of whole numbers.
    pub(super) fn numbers(&mut self, key: &str, value: &Value<'a>) -> Option<Vec<u32>> {
        let Some(list) = value.as_array() else {
            self.wrong(value, format!("{key} is a list of numbers, not {}", kind(value)));
            return None;
        };
        let of = format!("a number in {key}");
        let number = |element: &Value<'a>| self.number(&of, element, (0, 8191));
        let found: Vec<_> = list.elements.iter().map(number).collect();
        found.into_iter().map(|number| number.map(|number| number as u32)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_characters() {
        let text = "ä\nbö\n\nc";
        let lines = Lines::new(text);
        let at = |byte| lines.position(byte);
        assert_eq!(at(0), Position { line: 1, column: 1 });
        assert_eq!(at(5), Position { line: 2, column: 2 }, "in the midst of a letter");
        assert_eq!(at(6), Position { line: 2, column: 3 });
        assert_eq!(at(text.len()), Position { line: 4, column: 2 });
        assert_eq!(at(1000), Position { line: 4, column: 2 });
    }

    #[test]
    fn deep_nesting_is_a_mistake() {
        for bracket in ["[", "{\"a\":"] {
            assert!(parse(&bracket.repeat(100_000)).is_err());
        }
    }
}
