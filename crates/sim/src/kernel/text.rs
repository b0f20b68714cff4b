// SPDX-License-Identifier: GPL-2.0-or-later
//! Text: comparing, measuring, searching (kernel: `kernel/bpf/helpers.c`). Texts may lie anywhere,
//! even where nothing can be read.

use super::memory::probe;
use super::{Answer, value};
use crate::errno::Errno;
use crate::machine::Machine;
use rota_bytecode::Fault;

/// The longest text (kernel: `XATTR_SIZE_MAX`).
const TEXT_MAX: u64 = 1 << 16;

/// A text, at most so long, without the zero at its end.
fn load(machine: &Machine, at: u64, most: u64) -> Result<Vec<u8>, Errno> {
    let mut text = Vec::new();
    for i in 0..most.min(TEXT_MAX) {
        let mut byte = [0];
        probe(machine, at.wrapping_add(i), &mut byte)?;
        if byte == [0] {
            return Ok(text);
        }
        text.push(byte[0]);
    }
    if most < TEXT_MAX { Ok(text) } else { Err(Errno::TooBig) }
}

/// Two texts.
fn both(machine: &Machine, [one, other]: [u64; 2]) -> Result<[Vec<u8>; 2], Errno> {
    Ok([load(machine, one, TEXT_MAX)?, load(machine, other, TEXT_MAX)?])
}

fn answer(result: Result<u64, Errno>) -> Result<Answer, Fault> {
    value(result.unwrap_or_else(Errno::value))
}

fn place(found: Option<usize>) -> Result<u64, Errno> {
    found.map(|at| at as u64).ok_or(Errno::NoEntry)
}

fn order(machine: &Machine, texts: [u64; 2], most: u64, fold: bool) -> Result<u64, Errno> {
    let mut loaded = [Vec::new(), Vec::new()];
    for (text, at) in loaded.iter_mut().zip(texts) {
        *text = load(machine, at, most)?;
        if fold {
            text.make_ascii_lowercase();
        }
    }
    Ok((loaded[0].cmp(&loaded[1]) as i64).cast_unsigned())
}

/// `bpf_strcmp(one, other)`: which comes later.
pub(super) fn compare(machine: &mut Machine, [a, b, ..]: [u64; 5]) -> Result<Answer, Fault> {
    answer(order(machine, [a, b], TEXT_MAX, false))
}

/// `bpf_strcasecmp(one, other)`.
pub(super) fn compare_folded(machine: &mut Machine, [a, b, ..]: [u64; 5]) -> Result<Answer, Fault> {
    answer(order(machine, [a, b], TEXT_MAX, true))
}

/// `bpf_strncasecmp(one, other, len)`.
pub(super) fn compare_start_folded(
    machine: &mut Machine,
    [a, b, len, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    answer(order(machine, [a, b], len, true))
}

/// `bpf_strlen(text)`.
pub(super) fn length(machine: &mut Machine, [text, ..]: [u64; 5]) -> Result<Answer, Fault> {
    answer(load(machine, text, TEXT_MAX).map(|text| text.len() as u64))
}

/// `bpf_strnlen(text, most)`.
pub(super) fn length_within(
    machine: &mut Machine,
    [text, most, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    answer(load(machine, text, most).map(|text| text.len() as u64))
}

/// Where a character is first: the zero at the end counts as one, if it is within reach.
fn find_char(machine: &Machine, text: u64, most: u64, c: u64) -> Result<u64, Errno> {
    let mut text = load(machine, text, most)?;
    if (text.len() as u64) < most {
        text.push(0);
    }
    place(text.iter().position(|byte| *byte == c as u8))
}

/// `bpf_strchr(text, c)`.
pub(super) fn find(machine: &mut Machine, [text, c, ..]: [u64; 5]) -> Result<Answer, Fault> {
    answer(find_char(machine, text, TEXT_MAX, c))
}

/// `bpf_strnchr(text, most, c)`.
pub(super) fn find_within(
    machine: &mut Machine,
    [text, most, c, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    answer(find_char(machine, text, most, c))
}

/// `bpf_strchrnul(text, c)`: the end, if it is nowhere.
pub(super) fn find_or_end(machine: &mut Machine, [text, c, ..]: [u64; 5]) -> Result<Answer, Fault> {
    let text = load(machine, text, TEXT_MAX);
    answer(text.map(|text| {
        let found = text.iter().position(|byte| *byte == c as u8);
        found.unwrap_or(text.len()) as u64
    }))
}

/// `bpf_strrchr(text, c)`.
pub(super) fn find_last(machine: &mut Machine, [text, c, ..]: [u64; 5]) -> Result<Answer, Fault> {
    let text = load(machine, text, TEXT_MAX);
    answer(text.and_then(|mut text| {
        text.push(0);
        place(text.iter().rposition(|byte| *byte == c as u8))
    }))
}

/// How long the start of a text is whose characters are, or are not, in another one.
fn start_of(machine: &Machine, texts: [u64; 2], inside: bool) -> Result<u64, Errno> {
    let [text, set] = both(machine, texts)?;
    let ends = text.iter().position(|byte| set.contains(byte) != inside);
    Ok(ends.unwrap_or(text.len()) as u64)
}

/// `bpf_strspn(text, accepted)`.
pub(super) fn span(machine: &mut Machine, [text, set, ..]: [u64; 5]) -> Result<Answer, Fault> {
    answer(start_of(machine, [text, set], true))
}

/// `bpf_strcspn(text, rejected)`.
pub(super) fn span_without(
    machine: &mut Machine,
    [text, set, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    answer(start_of(machine, [text, set], false))
}

/// Where a text is in the start of another one.
fn search_in(machine: &Machine, texts: [u64; 2], most: u64, fold: bool) -> Result<u64, Errno> {
    let mut text = load(machine, texts[0], most)?;
    let mut wanted = load(machine, texts[1], TEXT_MAX)?;
    if fold {
        text.make_ascii_lowercase();
        wanted.make_ascii_lowercase();
    }
    if wanted.is_empty() {
        return Ok(0);
    }
    place(text.windows(wanted.len()).position(|part| part == wanted))
}

/// `bpf_strstr(text, wanted)`.
pub(super) fn search(machine: &mut Machine, [a, b, ..]: [u64; 5]) -> Result<Answer, Fault> {
    answer(search_in(machine, [a, b], TEXT_MAX, false))
}

/// `bpf_strcasestr(text, wanted)`.
pub(super) fn search_folded(machine: &mut Machine, [a, b, ..]: [u64; 5]) -> Result<Answer, Fault> {
    answer(search_in(machine, [a, b], TEXT_MAX, true))
}

/// `bpf_strnstr(text, wanted, most)`.
pub(super) fn search_within(
    machine: &mut Machine,
    [a, b, most, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    answer(search_in(machine, [a, b], most, false))
}

/// `bpf_strncasestr(text, wanted, most)`.
pub(super) fn search_within_folded(
    machine: &mut Machine,
    [a, b, most, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    answer(search_in(machine, [a, b], most, true))
}
