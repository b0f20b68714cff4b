// SPDX-License-Identifier: GPL-2.0-or-later
//! Formatting (kernel: `bpf_bprintf_prepare()` in `kernel/bpf/helpers.c`, `lib/vsprintf.c`).

use super::memory::text;
use super::{Answer, value};
use crate::errno::Errno;
use crate::machine::Machine;
use rota_bytecode::Fault;

/// `bpf_snprintf(out, size, format, words, bytes)`: the length that the whole has, with the zero
/// at its end.
pub(super) fn snprintf(
    machine: &mut Machine,
    [out, size, format, words, len]: [u64; 5],
) -> Result<Answer, Fault> {
    let format = text(machine, format)?;
    let Some(words) = values(machine, words, len)? else { return value(Errno::Invalid.value()) };
    let Some(line) = print(machine, &format, &words)? else {
        return value(Errno::Invalid.value());
    };
    let size = (size & 0xffff_ffff) as usize;
    if size > 0 {
        let mut bytes = line.clone().into_bytes();
        bytes.truncate(size - 1);
        bytes.push(0);
        machine.memory.write(out, &bytes)?;
    }
    value(line.len() as u64 + 1)
}

/// `bpf_trace_printk(format, size, …)`, with up to three values.
pub(super) fn trace_printk(
    machine: &mut Machine,
    [format, _, a, b, c]: [u64; 5],
) -> Result<Answer, Fault> {
    trace(machine, format, &[a, b, c])
}

/// `bpf_trace_vprintk(format, size, words, bytes)`.
pub(super) fn trace_vprintk(
    machine: &mut Machine,
    [format, _, words, len, _]: [u64; 5],
) -> Result<Answer, Fault> {
    let Some(words) = values(machine, words, len)? else { return value(Errno::Invalid.value()) };
    trace(machine, format, &words)
}

/// Streams that a program can print to (kernel: `BPF_STDOUT`, `BPF_STDERR`).
const STREAMS: std::ops::RangeInclusive<u64> = 1..=2;

/// `bpf_stream_vprintk(stream, format, words, bytes)`.
pub(super) fn stream(
    machine: &mut Machine,
    [stream, format, words, len, _]: [u64; 5],
) -> Result<Answer, Fault> {
    if !STREAMS.contains(&(stream & 0xffff_ffff)) {
        return value(Errno::NoEntry.value());
    }
    match trace_vprintk(machine, [format, 0, words, len, 0])? {
        Answer::Value(len) if len.cast_signed() >= 0 => value(0),
        refused => Ok(refused),
    }
}

/// The most values of a format, and the longest text of one (kernel: `MAX_BPRINTF_VARARGS`,
/// `MAX_BPRINTF_BIN_ARGS`).
const VALUES_MAX: u64 = 12;
const TEXT_MAX: usize = 512;
/// The longest line that is printed (kernel: `MAX_BPRINTF_BUF`).
const LINE_MAX: usize = 1024;

/// The values of a format; `None` for what the kernel refuses.
pub(super) fn values(machine: &Machine, from: u64, len: u64) -> Result<Option<Vec<u64>>, Fault> {
    let len = len & 0xffff_ffff;
    if !len.is_multiple_of(8) || len / 8 > VALUES_MAX {
        return Ok(None);
    }
    let words = (0..len / 8).map(|i| machine.memory.read_u64(from.wrapping_add(8 * i)));
    words.collect::<Result<Vec<_>, _>>().map(Some)
}

/// Adds a line to what was printed; its length.
fn trace(machine: &mut Machine, format: u64, words: &[u64]) -> Result<Answer, Fault> {
    let format = text(machine, format)?;
    let Some(mut line) = print(machine, &format, words)? else {
        return value(Errno::Invalid.value());
    };
    line.truncate(line.floor_char_boundary(LINE_MAX - 1));
    let len = line.len() as u64;
    machine.print(line);
    value(len)
}

/// The text, or `None` for a format that the kernel refuses.
pub(super) fn print(
    machine: &Machine,
    format: &str,
    words: &[u64],
) -> Result<Option<String>, Fault> {
    let mut out = String::new();
    let mut words = words.iter();
    let mut rest = format.chars().peekable();
    while let Some(c) = rest.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut spec = Spec::default();
        while let Some(&c) = rest.peek() {
            match c {
                '-' => spec.left = true,
                '0' if spec.width == 0 => spec.zeros = true,
                '#' => spec.prefix = true,
                '+' | ' ' => {}
                '0'..='9' => spec.width = (spec.width * 10 + (c as usize - '0' as usize)).min(512),
                'l' => spec.long = true,
                _ => break,
            }
            rest.next();
        }
        let Some(kind) = rest.next() else { return Ok(None) };
        if kind == '%' {
            out.push('%');
            continue;
        }
        let Some(&word) = words.next() else { return Ok(None) };
        let number = if spec.long { word } else { word & 0xffff_ffff };
        let plain = match kind {
            'd' | 'i' if spec.long => word.cast_signed().to_string(),
            'd' | 'i' => (word as i32).to_string(),
            'u' => number.to_string(),
            'x' if spec.prefix => format!("{number:#x}"),
            'x' => format!("{number:x}"),
            'X' => format!("{number:X}"),
            'c' => char::from(word as u8).to_string(),
            's' => {
                let mut text = text(machine, word)?;
                text.truncate(text.floor_char_boundary(TEXT_MAX - 1));
                text
            }
            'p' => {
                // What follows says how to print the pointer; all forms are its value here.
                while rest.peek().is_some_and(char::is_ascii_alphanumeric) {
                    rest.next();
                }
                format!("{word:016x}")
            }
            _ => return Ok(None),
        };
        out += &spec.pad(&plain, kind != 's' && kind != 'c');
    }
    Ok(Some(out))
}

/// What stands between the percent sign and the kind.
#[derive(Default)]
struct Spec {
    left: bool,
    zeros: bool,
    prefix: bool,
    long: bool,
    width: usize,
}

impl Spec {
    fn pad(&self, text: &str, is_number: bool) -> String {
        let width = self.width;
        match (self.left, self.zeros && is_number, text.strip_prefix('-')) {
            (true, ..) => format!("{text:<width$}"),
            (false, true, Some(digits)) => format!("-{digits:0>0$}", width.saturating_sub(1)),
            (false, true, None) => format!("{text:0>width$}"),
            (false, false, _) => format!("{text:>width$}"),
        }
    }
}
