// SPDX-License-Identifier: GPL-2.0-or-later
//! Loops: by callback, and over numbers.

use super::{Answer, value};
use crate::errno::Errno;
use crate::machine::Machine;
use crate::run::{Callbacks, Next};
use rota_bytecode::Fault;

/// The most that a loop may take (kernel: `BPF_MAX_LOOPS`).
const LOOPS_MAX: u64 = 8 << 20;

/// `bpf_loop(count, callback, context, flags)`: how often it called.
pub(super) fn repeat(
    _: &mut Machine,
    [count, callback, context, flags, _]: [u64; 5],
) -> Result<Answer, Fault> {
    let count = count & 0xffff_ffff;
    if flags != 0 {
        return value(Errno::Invalid.value());
    }
    if count > LOOPS_MAX {
        return value(Errno::TooBig.value());
    }
    Ok(Answer::Callbacks(Box::new(Repeat { count, callback, context, done: 0 })))
}

struct Repeat {
    count: u64,
    callback: u64,
    context: u64,
    done: u64,
}

impl Callbacks for Repeat {
    fn next(&mut self, _: &mut Machine, returned: Option<u64>) -> Result<Next, Fault> {
        if self.done == self.count || returned.unwrap_or(0) != 0 {
            return Ok(Next::Done(self.done));
        }
        self.done += 1;
        Ok(Next::Call(self.callback, [self.done - 1, self.context, 0, 0, 0]))
    }
}

/// An iterator over numbers: the one that next() returned last, and the end.
fn bounds(machine: &Machine, it: u64) -> Result<(i32, i32), Fault> {
    let word = machine.memory.read_u64(it)?;
    Ok((word as i32, (word >> 32) as i32))
}

fn set_bounds(machine: &Machine, it: u64, at: i32, end: i32) -> Result<(), Fault> {
    let word = u64::from(at.cast_unsigned()) | u64::from(end.cast_unsigned()) << 32;
    machine.memory.write_u64(it, word)
}

/// `bpf_iter_num_new(it, start, end)`.
pub(super) fn number_new(
    machine: &mut Machine,
    [it, start, end, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    let (start, end) = (start as i32, end as i32);
    let refused = if start > end {
        Some(Errno::Invalid)
    } else if i64::from(end) - i64::from(start) > LOOPS_MAX as i64 {
        Some(Errno::TooBig)
    } else {
        None
    };
    match refused {
        Some(error) => {
            set_bounds(machine, it, 0, 0)?;
            value(error.value())
        }
        None => {
            set_bounds(machine, it, start.wrapping_sub(1), end)?;
            value(0)
        }
    }
}

/// `bpf_iter_num_next(it)`: where the number is, or NULL.
pub(super) fn number_next(machine: &mut Machine, [it, ..]: [u64; 5]) -> Result<Answer, Fault> {
    let (at, end) = bounds(machine, it)?;
    if at.wrapping_add(1) >= end {
        set_bounds(machine, it, 0, 0)?;
        return value(0);
    }
    set_bounds(machine, it, at.wrapping_add(1), end)?;
    value(it)
}

/// `bpf_iter_num_destroy(it)`.
pub(super) fn number_done(machine: &mut Machine, [it, ..]: [u64; 5]) -> Result<Answer, Fault> {
    set_bounds(machine, it, 0, 0)?;
    value(0)
}
