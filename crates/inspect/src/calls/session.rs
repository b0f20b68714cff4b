// SPDX-License-Identifier: GPL-2.0-or-later
//! Calls put together from records.

use super::Function;
use rota_kernel::{AboutCall, CALL_ARGS, CallRecord};
use std::collections::BTreeMap;

/// A call, and those within it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The function's place among those that are traced.
    pub function: u32,
    /// When it began, by the monotonic clock, in ns.
    pub began_ns: u64,
    /// When it returned, and with what; `None` if that was not seen.
    pub ended: Option<(u64, u64)>,
    /// Registers or words of arguments.
    pub args: [u64; CALL_ARGS],
    /// Calls within it, in order.
    pub calls: Vec<Call>,
    /// The kernel's functions around it, the innermost first, if it failed.
    pub stack: Vec<u64>,
}

/// A call of an entry with all that was called within it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The thread; 0 for the idle task of a CPU.
    pub pid: i32,
    /// Its process.
    pub tgid: i32,
    /// The thread's name.
    pub comm: String,
    /// The CPU where it began.
    pub cpu: u16,
    /// The call of the entry.
    pub root: Call,
    /// The kernel's functions around it, the innermost first.
    pub stack: Vec<u64>,
}

/// What a thread is in.
#[derive(Debug, Default)]
struct Thread {
    head: Option<(i32, String, u16)>,
    /// Around the session.
    stack: Vec<u64>,
    /// From the entry to the innermost.
    open: Vec<Call>,
    /// Of the error that is told next.
    error_stack: Vec<u64>,
}

/// Puts calls together.
#[derive(Debug, Default)]
pub struct Sessions {
    threads: BTreeMap<(i32, u16), Thread>,
    /// Returns whose begin was not seen.
    pub strays: u64,
}

impl Call {
    /// How long it took, in ns.
    pub fn ns(&self) -> Option<u64> {
        Some(self.ended?.0.saturating_sub(self.began_ns))
    }

    /// The positive number of the error that it returned.
    pub fn error(&self, functions: &[Function]) -> Option<i64> {
        let signature = functions.get(self.function as usize)?.signature.as_ref()?;
        signature.ret.error(self.ended?.1)
    }

    /// The calls from this on that failed, each the last within the one before.
    pub fn failing(&self, functions: &[Function]) -> Vec<&Self> {
        let mut path = Vec::new();
        let mut next = self.error(functions).map(|_| self);
        while let Some(call) = next {
            path.push(call);
            next = call.calls.iter().rev().find(|call| call.error(functions).is_some());
        }
        path
    }
}

impl Sessions {
    /// Takes a record; a session that is complete by it.
    pub fn add(&mut self, record: CallRecord) -> Option<Session> {
        // Each CPU has an idle task of its own, with the same number.
        let key = (record.pid, if record.pid == 0 { record.cpu } else { 0 });
        let thread = self.threads.entry(key).or_default();
        let depth = usize::from(record.depth);
        match record.about {
            AboutCall::Stack(stack) => {
                if depth == 0 && thread.open.is_empty() {
                    thread.stack = stack;
                } else {
                    thread.error_stack = stack;
                }
                None
            }
            AboutCall::Enters { args, comm } => {
                // What was open here has not been seen to end.
                let before = if depth == 0 { thread.close(record.pid) } else { None };
                thread.fold(depth);
                if depth == 0 {
                    thread.head = Some((record.tgid, comm, record.cpu));
                }
                thread.open.push(Call {
                    function: record.function,
                    began_ns: record.time_ns,
                    ended: None,
                    args,
                    calls: Vec::new(),
                    stack: Vec::new(),
                });
                before
            }
            AboutCall::Leaves { result } => {
                let stack = std::mem::take(&mut thread.error_stack);
                thread.fold(depth + 1);
                match thread.open.last_mut() {
                    Some(call) if call.function == record.function => {
                        call.ended = Some((record.time_ns, result));
                        call.stack = stack;
                    }
                    _ => self.strays += 1,
                }
                thread.fold(depth.max(1));
                if depth > 0 {
                    return None;
                }
                let session = thread.close(record.pid);
                self.threads.remove(&key);
                session
            }
        }
    }

    /// Sessions that have not come to an end.
    pub fn finish(self) -> Vec<Session> {
        let threads = self.threads.into_iter();
        threads.filter_map(|((pid, _), mut thread)| thread.close(pid)).collect()
    }
}

impl Thread {
    /// Puts the innermost calls into those around them, until so many are left.
    fn fold(&mut self, left: usize) {
        while self.open.len() > left.max(1) {
            if let (Some(inner), Some(outer)) = (self.open.pop(), self.open.last_mut()) {
                outer.calls.push(inner);
            }
        }
    }

    fn close(&mut self, pid: i32) -> Option<Session> {
        self.fold(1);
        let root = self.open.pop()?;
        let (tgid, comm, cpu) = self.head.take().unwrap_or_default();
        Some(Session { pid, tgid, comm, cpu, root, stack: std::mem::take(&mut self.stack) })
    }
}
