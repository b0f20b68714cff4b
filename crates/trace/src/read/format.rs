// SPDX-License-Identifier: GPL-2.0-or-later
//! How the kernel describes a tracepoint (`events/SYSTEM/NAME/format` of tracefs): where each field
//! is, and how it is printed, which for switches says what the bits of a state mean.

use super::order::Order;
use rota_events::Leaves;

/// The description of a tracepoint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Format {
    /// Its name, without that of its system.
    pub(super) name: String,
    /// The number by which records name it.
    pub(super) id: u16,
    fields: Vec<(String, Field)>,
    print: String,
}

/// Where a field is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Field {
    offset: usize,
    size: usize,
    signed: bool,
    /// The field says where the text is, and how long.
    elsewhere: bool,
}

impl Format {
    /// Reads a description; `None` if it is none.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut format = Self::default();
        let mut has_id = false;
        for line in text.lines() {
            let line = line.trim();
            if let Some(name) = line.strip_prefix("name:") {
                format.name = name.trim().to_owned();
            } else if let Some(id) = line.strip_prefix("ID:") {
                format.id = id.trim().parse().ok()?;
                has_id = true;
            } else if let Some(field) = line.strip_prefix("field:") {
                format.fields.extend(parse_field(field));
            } else if let Some(print) = line.strip_prefix("print fmt:") {
                format.print = print.trim().to_owned();
            }
        }
        (has_id && !format.name.is_empty()).then_some(format)
    }

    /// A field by its name.
    pub(super) fn field(&self, name: &str) -> Option<Field> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, field)| *field)
    }

    /// What the bits of a task's state mean.
    pub(super) fn states(&self) -> States {
        States::parse(&self.print)
    }
}

/// `TYPE NAME[LENGTH]; offset:8; size:16; signed:0;`
fn parse_field(text: &str) -> Option<(String, Field)> {
    let mut parts = text.split(';').map(str::trim);
    let declared = parts.next()?;
    let (mut offset, mut size, mut signed) = (None, None, false);
    for part in parts {
        match part.split_once(':') {
            Some(("offset", value)) => offset = value.parse().ok(),
            Some(("size", value)) => size = value.parse().ok(),
            Some(("signed", value)) => signed = value == "1",
            _ => {}
        }
    }
    let elsewhere = declared.starts_with("__data_loc");
    let name = declared.rsplit([' ', '*']).next()?;
    let name = name.split('[').next()?;
    let field = Field { offset: offset?, size: size?, signed, elsewhere };
    Some((name.to_owned(), field))
}

impl Field {
    /// Where it begins, and how many bytes it has.
    pub(super) fn place(self) -> (usize, usize) {
        (self.offset, self.size)
    }

    /// The number in a record.
    pub(super) fn number(self, record: &[u8], order: Order) -> Option<i64> {
        let number = order.number(record, self.offset, self.size)?;
        let unused = 64 - 8 * self.size as u32;
        let number = number.cast_signed();
        Some(if self.signed && unused < 64 { number << unused >> unused } else { number })
    }

    /// The text in a record, without its zeroes.
    pub(super) fn text(self, record: &[u8], order: Order) -> Option<&[u8]> {
        let (offset, size) = if self.elsewhere {
            let place = order.u32(record, self.offset)?;
            ((place & 0xffff) as usize, (place >> 16) as usize)
        } else {
            (self.offset, self.size)
        };
        let text = record.get(offset..offset.checked_add(size)?)?;
        Some(&text[..before_zero(text)])
    }
}

/// How many bytes there are before the first zero, found eight at a time.
fn before_zero(text: &[u8]) -> usize {
    const LOW: u64 = u64::from_le_bytes([1; 8]);
    const HIGH: u64 = LOW << 7;
    let mut before = 0;
    while let Some(word) = text[before..].first_chunk() {
        let word = u64::from_le_bytes(*word);
        // The lowest of these bits is that of the first zero (Warren, Hacker's Delight, 6-1).
        let zeroes = word.wrapping_sub(LOW) & !word & HIGH;
        if zeroes != 0 {
            return before + zeroes.trailing_zeros() as usize / 8;
        }
        before += 8;
    }
    let rest = text[before..].iter().position(|byte| *byte == 0);
    rest.map_or(text.len(), |more| before + more)
}

/// What the bits of a task's state mean at a switch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct States {
    /// Bits with the letters that the kernel prints for them, in its order.
    letters: Vec<(u64, Leaves)>,
    /// The bit of a task that was preempted.
    preempted: u64,
}

impl States {
    /// Reads them from how `sched_switch` is printed: `{ 0x01, "S" }, ...`, and `STATE & BIT ? "+"`.
    fn parse(print: &str) -> Self {
        let flags = print.split("__print_flags(").nth(1).unwrap_or("");
        let pairs = flags.split('{').skip(1).filter_map(|pair| {
            let (bits, rest) = pair.split_once(',')?;
            let letter = rest.split('"').nth(1)?;
            Some((evaluate(bits)?, Leaves::from_letter(letter)))
        });
        let before_plus = print.split("? \"+\"").next().filter(|before| *before != print);
        let mask = before_plus.and_then(|before| before.rsplit_once("prev_state &"));
        let preempted = mask.and_then(|(_, mask)| evaluate(mask)).unwrap_or(0);
        Self { letters: pairs.collect(), preempted }
    }

    /// How a task with this state leaves its CPU.
    pub(super) fn leaves(&self, state: u64) -> Leaves {
        if self.preempted != 0 && state & self.preempted != 0 {
            return Leaves::Preempted;
        }
        if state == 0 {
            return Leaves::Runnable;
        }
        // Several, such as `D|K`: the first says it.
        let letter = self.letters.iter().find(|(bits, _)| state & bits != 0);
        letter.map_or(Leaves::Other, |(_, leaves)| *leaves)
    }
}

/// The value of a constant expression as C has them: numbers, brackets, and `+ - << >> & | *`.
fn evaluate(text: &str) -> Option<u64> {
    let mut rest = text.trim();
    let value = Evaluation { rest: &mut rest, depth: 0 }.above(0)?;
    rest.trim_start().is_empty().then_some(value)
}

struct Evaluation<'a, 'b> {
    rest: &'b mut &'a str,
    depth: u32,
}

/// Operators by how strongly they bind.
const OPERATORS: [&[&str]; 5] = [&["|"], &["&"], &["<<", ">>"], &["+", "-"], &["*"]];
/// So deep brackets may be.
const DEPTH_MAX: u32 = 100;

impl Evaluation<'_, '_> {
    fn take(&mut self, word: &str) -> bool {
        let rest = self.rest.trim_start().strip_prefix(word);
        *self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// What operators of this strength and stronger ones join.
    fn above(&mut self, strength: usize) -> Option<u64> {
        let Some(operators) = OPERATORS.get(strength) else { return self.term() };
        let mut value = self.above(strength + 1)?;
        while let Some(operator) = operators.iter().find(|operator| self.take(operator)) {
            let right = self.above(strength + 1)?;
            value = match *operator {
                "|" => value | right,
                "&" => value & right,
                "<<" => value.checked_shl(right.try_into().ok()?)?,
                ">>" => value.checked_shr(right.try_into().ok()?)?,
                "+" => value.wrapping_add(right),
                "-" => value.wrapping_sub(right),
                _ => value.wrapping_mul(right),
            };
        }
        Some(value)
    }

    fn term(&mut self) -> Option<u64> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return None;
        }
        let value = if self.take("(") {
            let value = self.above(0)?;
            self.take(")").then_some(value)?
        } else {
            self.number()?
        };
        self.depth -= 1;
        Some(value)
    }

    fn number(&mut self) -> Option<u64> {
        let text = self.rest.trim_start();
        let end = text.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(text.len());
        let (word, rest) = text.split_at(end);
        *self.rest = rest;
        let word = word.trim_end_matches(['u', 'U', 'l', 'L']);
        match word.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).ok(),
            None => word.parse().ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SWITCH: &str = "name: sched_switch\nID: 316\nformat:\n\
        \tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\
        \tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n\
        \tfield:char prev_comm[16];\toffset:8;\tsize:16;\tsigned:0;\n\
        \tfield:pid_t prev_pid;\toffset:24;\tsize:4;\tsigned:1;\n\
        \tfield:long prev_state;\toffset:32;\tsize:8;\tsigned:1;\n\
        \tfield:__data_loc char[] comm;\toffset:40;\tsize:4;\tsigned:0;\n\n\
        print fmt: \"prev_state=%s%s\", (REC->prev_state & ((((0x0000 | 0x0001 | 0x0002 | 0x0080) + 1) << 1) - 1)) ? \
        __print_flags(REC->prev_state & ((((0x0 | 0x80) + 1) << 1) - 1), \"|\", { 0x0001, \"S\" }, { 0x0002, \"D\" }, \
        { 0x0080, \"I\" }) : \"R\", REC->prev_state & (((0x00000000 | 0x00000001 | 0x00000002 | 0x00000004 | 0x00000008 | \
        0x00000010 | 0x00000020 | 0x00000040) + 1) << 1) ? \"+\" : \"\", REC->next_comm\n";

    #[test]
    fn fields_are_where_the_kernel_says() {
        let format = Format::parse(SWITCH).unwrap();
        assert_eq!((format.name.as_str(), format.id), ("sched_switch", 316));
        let mut record = vec![0; 60];
        record[8..13].copy_from_slice(b"a b\0x");
        record[24..28].copy_from_slice(&(-2_i32).to_le_bytes());
        record[40..44].copy_from_slice(&(50_u32 | 4 << 16).to_le_bytes());
        record[50..53].copy_from_slice(b"far");
        let number = |name: &str| format.field(name).unwrap().number(&record, Order::Little);
        let text = |name: &str| format.field(name).unwrap().text(&record, Order::Little);
        assert_eq!((number("prev_pid"), text("prev_comm")), (Some(-2), Some(&b"a b"[..])));
        assert_eq!((text("comm"), format.field("no")), (Some(&b"far"[..]), None));
        assert_eq!(format.field("prev_pid").unwrap().number(&record[..26], Order::Little), None);
    }

    #[test]
    fn texts_end_before_the_first_zero() {
        for length in 0..40 {
            for zero in 0..=length {
                let mut text = vec![1; length];
                text[zero..].fill(0);
                assert_eq!(before_zero(&text), zero, "{text:?}");
                // What is behind it does not count, nor are other bytes taken for it.
                text[zero..].iter_mut().skip(1).for_each(|byte| *byte = 0x80);
                assert_eq!(before_zero(&text), zero, "{text:?}");
            }
        }
    }

    #[test]
    fn letters_come_from_how_it_is_printed() {
        let states = Format::parse(SWITCH).unwrap().states();
        assert_eq!(states.preempted, 0x100);
        let letters =
            [0, 1, 2, 0x80, 0x82, 0x100, 0x101, 0x400].map(|state| states.leaves(state).letter());
        assert_eq!(letters, ["R", "S", "D", "I", "D", "R+", "R+", "?"]);
        // As kernels before 4.14 print it.
        let old = "\"%s\", REC->prev_state & (2048-1) ? __print_flags(REC->prev_state & (2048-1), \"|\", { 1, \"S\"} , \
                   { 2, \"D\" }, { 64, \"x\" }) : \"R\", REC->prev_state & 2048 ? \"+\" : \"\"";
        let states = States::parse(old);
        assert_eq!(
            [1, 2, 64, 2048].map(|state| states.leaves(state).letter()),
            ["S", "D", "?", "R+"]
        );
    }

    #[test]
    fn expressions_are_those_of_c() {
        for (text, value) in [
            ("1 | 2 + 3 << 1", Some(1 | ((2 + 3) << 1))),
            ("(1|2)&6", Some(2)),
            ("0x10UL - 1", Some(15)),
            ("2*3+4", Some(10)),
            ("", None),
            ("(1", None),
            ("x", None),
            ("1 1", None),
            ("1 << 70", None),
        ] {
            assert_eq!(evaluate(text), value, "{text}");
        }
        assert_eq!(evaluate(&"(".repeat(100_000)), None);
    }
}
