// SPDX-License-Identifier: GPL-2.0-or-later
//! The two texts of a CPU mask: the cpulist (`0-3,8`) and hexadecimal words (`ff,ffffffff`).

use std::fmt::Write;

use crate::{CpuId, CpuMask};

const HEX_DIGITS: usize = 8;

/// Why a text is no CPU mask, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("CPU mask, at offset {offset}: {kind}")]
pub struct MaskError {
    /// Byte offset in the text.
    pub offset: usize,
    /// What is wrong there.
    pub kind: MaskErrorKind,
}

/// What is wrong with the text of a CPU mask.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MaskErrorKind {
    /// Something else stands where this was needed.
    #[error("expected {expected}, found {}", found.map_or("the end".to_owned(), |c| format!("{c:?}")))]
    Expected {
        /// What was needed.
        expected: &'static str,
        /// What stands there; nothing at the end of the text.
        found: Option<char>,
    },
    /// The number of a CPU is too large.
    #[error("CPU numbers end at {}", CpuMask::LIMIT - 1)]
    TooLarge,
    /// A range runs backwards.
    #[error("range {first}-{last} runs backwards")]
    Backwards {
        /// Where the range begins.
        first: u32,
        /// Where it ends.
        last: u32,
    },
    /// In `0-10:used/group`, `used` is zero or above `group`.
    #[error("in a group {used}/{group} the first number must be from 1 to the second")]
    Group {
        /// How many CPUs of each group.
        used: u32,
        /// How many CPUs make a group.
        group: u32,
    },
    /// A word between commas has more than 32 bits.
    #[error("a word between commas has at most {HEX_DIGITS} digits")]
    WideWord,
}

pub(crate) fn parse_list(text: &str) -> Result<CpuMask, MaskError> {
    let mut cursor = Cursor { text, at: 0 };
    let mut mask = CpuMask::new();
    cursor.skip_space();
    if cursor.peek().is_none() {
        return Ok(mask);
    }
    loop {
        cursor.skip_space();
        cursor.entry(&mut mask)?;
        cursor.skip_space();
        match cursor.peek() {
            None => return Ok(mask),
            Some(',') => cursor.at += 1,
            Some(_) => return Err(cursor.expected("',' or the end")),
        }
    }
}

pub(crate) fn parse_hex(text: &str) -> Result<CpuMask, MaskError> {
    let body = text.trim();
    let start = text.len() - text.trim_start().len();
    let (body, start) = match body.strip_prefix("0x").or_else(|| body.strip_prefix("0X")) {
        Some(rest) => (rest, start + 2),
        None => (body, start),
    };
    let grouped = body.contains(',');
    let mut mask = CpuMask::new();
    let mut bit: u64 = 0;
    let mut end = body.len();
    for word in body.rsplit(',') {
        let word_start = end - word.len();
        let fail = |at: usize, kind| MaskError { offset: start + word_start + at, kind };
        if word.is_empty() {
            let expected = "a hexadecimal digit";
            let found = body[word_start..].chars().next();
            return Err(fail(0, MaskErrorKind::Expected { expected, found }));
        }
        if let Some((at, found)) = word.char_indices().find(|(_, c)| !c.is_ascii_hexdigit()) {
            let expected = "a hexadecimal digit";
            return Err(fail(at, MaskErrorKind::Expected { expected, found: Some(found) }));
        }
        if grouped && word.len() > HEX_DIGITS {
            return Err(fail(HEX_DIGITS, MaskErrorKind::WideWord));
        }
        for (digit, c) in word.chars().rev().enumerate() {
            let value = u64::from(c.to_digit(16).unwrap_or(0));
            let at = bit + 4 * digit as u64;
            let top = at + 64 - u64::from(value.leading_zeros());
            if value != 0 && top > u64::from(CpuMask::LIMIT) {
                return Err(fail(word.len() - 1 - digit, MaskErrorKind::TooLarge));
            }
            // A digit never straddles two words: its four bits begin at a multiple of four.
            mask.or_word((at / 64) as u32, value << (at % 64));
        }
        bit += 4 * HEX_DIGITS as u64;
        end = word_start.saturating_sub(1);
    }
    Ok(mask)
}

pub(crate) fn print_list(mask: &CpuMask) -> String {
    let mut text = String::new();
    let mut cpus = mask.iter().peekable();
    while let Some(first) = cpus.next() {
        let mut last = first;
        while let Some(cpu) = cpus.next_if(|cpu| cpu.0 == last.0 + 1) {
            last = cpu;
        }
        let comma = if text.is_empty() { "" } else { "," };
        // Writing to a String cannot fail.
        let _ = match last.0 - first.0 {
            0 => write!(text, "{comma}{first}"),
            _ => write!(text, "{comma}{first}-{last}"),
        };
    }
    text
}

pub(crate) fn print_hex(mask: &CpuMask, width: u32) -> String {
    let bits = width.min(CpuMask::LIMIT).max(mask.last().map_or(1, |cpu| cpu.0 + 1));
    let mut text = String::new();
    for chunk in (0..bits.div_ceil(32)).rev() {
        let word = (mask.word(chunk / 2) >> (32 * (chunk % 2))) as u32;
        let top = chunk == bits.div_ceil(32) - 1;
        let digits = match (top, width) {
            (true, 0) => 1,
            (true, _) => (bits - 32 * chunk).div_ceil(4) as usize,
            (false, _) => HEX_DIGITS,
        };
        let comma = if top { "" } else { "," };
        let _ = write!(text, "{comma}{word:0digits$x}");
    }
    text
}

struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl Cursor<'_> {
    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(|c| c.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    fn eat(&mut self, c: char) -> bool {
        let found = self.peek() == Some(c);
        self.at += usize::from(found);
        found
    }

    fn expected(&self, expected: &'static str) -> MaskError {
        self.fail(self.at, MaskErrorKind::Expected { expected, found: self.peek() })
    }

    fn fail(&self, offset: usize, kind: MaskErrorKind) -> MaskError {
        MaskError { offset, kind }
    }

    /// `first`, `first-last` or `first-last:used/group`.
    fn entry(&mut self, mask: &mut CpuMask) -> Result<(), MaskError> {
        let start = self.at;
        let first = self.number("a CPU number")?;
        if !self.eat('-') {
            mask.insert(CpuId(first));
            return Ok(());
        }
        let last = self.number("the last CPU of the range")?;
        if first > last {
            return Err(self.fail(start, MaskErrorKind::Backwards { first, last }));
        }
        if !self.eat(':') {
            mask.insert_range(CpuId(first), CpuId(last));
            return Ok(());
        }
        let group_start = self.at;
        let used = self.number("the number of CPUs used in each group")?;
        if !self.eat('/') {
            return Err(self.expected("'/'"));
        }
        let group = self.number("the size of a group")?;
        if used == 0 || used > group {
            return Err(self.fail(group_start, MaskErrorKind::Group { used, group }));
        }
        for begin in (first..=last).step_by(group as usize) {
            mask.insert_range(CpuId(begin), CpuId(last.min(begin + used - 1)));
        }
        Ok(())
    }

    fn number(&mut self, expected: &'static str) -> Result<u32, MaskError> {
        let rest = &self.text[self.at..];
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return Err(self.expected(expected));
        }
        match rest[..digits].parse::<u32>() {
            Ok(value) if value < CpuMask::LIMIT => {
                self.at += digits;
                Ok(value)
            }
            _ => Err(self.fail(self.at, MaskErrorKind::TooLarge)),
        }
    }
}
