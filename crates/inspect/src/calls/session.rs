// SPDX-License-Identifier: GPL-2.0-or-later
//! Calls put together from records.

use super::Function;
use rota_kernel::{AboutCall, CALL_ARGS, CallRecord, CallText};
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
    /// Texts that arguments point to.
    pub texts: Vec<CallText>,
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
    /// From the entry to the innermost, each with how many are around it.
    open: Vec<(usize, Call)>,
    /// Of the error that is told next: depth, function and stack.
    error: Option<(usize, u32, Vec<u64>)>,
    /// Of the call that begins next, with its depth and function.
    texts: Vec<(usize, u32, CallText)>,
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
                thread.error = Some((depth, record.function, stack));
                None
            }
            AboutCall::Text(text) => {
                thread.texts.push((depth, record.function, text));
                None
            }
            AboutCall::Enters { args, comm } => {
                let told = thread.error.take();
                let texts = thread.texts_of(depth, record.function);
                if depth > 0 && thread.open.is_empty() {
                    // The begin of the session is missing.
                    self.strays += 1;
                    return None;
                }
                // What was open here has not been seen to end.
                let before = if depth == 0 { thread.close(record.pid) } else { None };
                thread.fold(depth);
                if depth == 0 {
                    thread.head = Some((record.tgid, comm, record.cpu));
                    thread.stack = told.map(|(.., stack)| stack).unwrap_or_default();
                }
                let call = Call {
                    function: record.function,
                    began_ns: record.time_ns,
                    ended: None,
                    args,
                    texts,
                    calls: Vec::new(),
                    stack: Vec::new(),
                };
                thread.open.push((depth, call));
                before
            }
            AboutCall::Leaves { result } => {
                let told = thread.error.take();
                let of_this = |(at, function, _): &(usize, u32, Vec<u64>)| {
                    (*at, *function) == (depth, record.function)
                };
                thread.fold(depth + 1);
                match thread.open.last_mut() {
                    Some((at, call)) if (*at, call.function) == (depth, record.function) => {
                        call.ended = Some((record.time_ns, result));
                        call.stack = told.filter(of_this).map(|(.., it)| it).unwrap_or_default();
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
    /// The texts of a call that begins. Those of another are of one whose begin was lost.
    fn texts_of(&mut self, depth: usize, function: u32) -> Vec<CallText> {
        let texts = std::mem::take(&mut self.texts).into_iter();
        let own = texts.filter(|(at, of, _)| (*at, *of) == (depth, function));
        own.map(|(.., text)| text).collect()
    }

    /// Puts the innermost calls, so deep or deeper, into those around them; the first stays.
    fn fold(&mut self, depth: usize) {
        while self.open.len() > 1 && self.open.last().is_some_and(|(at, _)| *at >= depth) {
            if let (Some((_, inner)), Some((_, outer))) = (self.open.pop(), self.open.last_mut()) {
                outer.calls.push(inner);
            }
        }
    }

    fn close(&mut self, pid: i32) -> Option<Session> {
        self.fold(1);
        let (_, root) = self.open.pop()?;
        let (tgid, comm, cpu) = self.head.take().unwrap_or_default();
        Some(Session { pid, tgid, comm, cpu, root, stack: std::mem::take(&mut self.stack) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rota_kernel::{CallTarget, Returns};

    /// Numbers that look random, the same each time.
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, most: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (self.0 >> 33) % most
        }
    }

    fn texts(dice: &mut Dice) -> Vec<CallText> {
        let text = |arg| CallText { arg, text: format!("text {arg}"), cut: arg == 1 };
        (0..dice.below(4).saturating_sub(1) as u32).map(text).collect()
    }

    fn call(dice: &mut Dice, clock: &mut u64, depth: u64) -> Call {
        let mut tick = || {
            *clock += 1 + dice.below(100);
            *clock
        };
        let began_ns = tick();
        let inner = if depth < 6 { dice.below(4) } else { 0 };
        let calls = (0..inner).map(|_| call(dice, clock, depth + 1)).collect();
        *clock += 1;
        let (function, result) = (dice.below(5) as u32, dice.below(3));
        let args = [dice.below(9); CALL_ARGS];
        let texts = texts(dice);
        let ended = Some((*clock, result));
        Call { function, began_ns, ended, args, texts, calls, stack: Vec::new() }
    }

    /// What the kernel would tell of a call.
    fn records(call: &Call, pid: i32, depth: u8, all: &mut Vec<CallRecord>) {
        let record = |time_ns, about| {
            let (function, cpu) = (call.function, 3);
            CallRecord { time_ns, pid, tgid: pid, cpu, function, depth, about }
        };
        let comm = format!("task{pid}");
        for text in &call.texts {
            all.push(record(call.began_ns, AboutCall::Text(text.clone())));
        }
        all.push(record(call.began_ns, AboutCall::Enters { args: call.args, comm }));
        for call in &call.calls {
            records(call, pid, depth + 1, all);
        }
        let (end, result) = call.ended.unwrap();
        all.push(record(end, AboutCall::Leaves { result }));
    }

    #[test]
    fn what_was_called_comes_back() {
        for seed in 0..200 {
            let mut dice = Dice(seed);
            let mut clock = 0;
            let roots: Vec<_> = (0..4).map(|_| call(&mut dice, &mut clock, 0)).collect();
            let mut threads: Vec<Vec<CallRecord>> = Vec::new();
            for (pid, root) in (1..).zip(&roots) {
                let mut all = Vec::new();
                records(root, pid, 0, &mut all);
                all.reverse();
                threads.push(all);
            }
            // Threads take turns in any way.
            let mut sessions = Sessions::default();
            let mut found = BTreeMap::new();
            while threads.iter().any(|left| !left.is_empty()) {
                let thread = dice.below(4) as usize;
                let session = threads[thread].pop().and_then(|record| sessions.add(record));
                found.extend(session.map(|session| (session.pid, session.root)));
            }
            assert_eq!(sessions.strays, 0);
            assert_eq!(found.into_values().collect::<Vec<_>>(), roots);
            assert!(sessions.finish().is_empty());
        }
    }

    fn count(call: &Call) -> usize {
        1 + call.calls.iter().map(count).sum::<usize>()
    }

    #[test]
    fn what_is_left_of_records_makes_sessions() {
        for seed in 0..500 {
            let mut dice = Dice(seed);
            let mut clock = 0;
            let mut all = Vec::new();
            for _ in 0..5 {
                records(&call(&mut dice, &mut clock, 0), 7, 0, &mut all);
            }
            all.retain(|_| dice.below(5) > 0);
            let begins = |record: &&CallRecord| matches!(record.about, AboutCall::Enters { .. });
            let begun = all.iter().filter(begins).count();
            let mut sessions = Sessions::default();
            let mut found: Vec<_> =
                all.into_iter().filter_map(|record| sessions.add(record)).collect();
            let strays = sessions.strays;
            found.extend(sessions.finish());
            // Each begin that was told is in one session, but for those whose session's is missing.
            let found: usize = found.iter().map(|it| count(&it.root)).sum();
            assert!(found <= begun && found + strays as usize >= begun, "{found} {strays} {begun}");
        }
    }

    #[test]
    fn an_error_is_followed_to_where_it_came_from() {
        let target = |name: &str| CallTarget {
            name: name.to_owned(),
            program_id: None,
            is_entry: false,
            returns: Returns::Int,
            args_behind: false,
            texts: 0,
        };
        let int = crate::calls::Kind::Integer { bits: 32, signed: true };
        let function = |name| Function {
            target: target(name),
            module: None,
            callback: None,
            signature: Some(crate::calls::Signature { params: Vec::new(), ret: int.clone() }),
        };
        let functions = ["outer", "fine", "inner"].map(function);
        let leaf = |function, result: i64| Call {
            function,
            began_ns: 1,
            ended: Some((2, result.cast_unsigned())),
            args: [0; CALL_ARGS],
            texts: Vec::new(),
            calls: Vec::new(),
            stack: Vec::new(),
        };
        // It tried twice, and gave up at the second error.
        let calls = vec![leaf(2, -2), leaf(2, -22), leaf(1, 0)];
        let outer = Call { calls, ..leaf(0, -22) };
        let path: Vec<_> = outer.failing(&functions).iter().map(|call| call.function).collect();
        assert_eq!((path, outer.error(&functions)), (vec![0, 2], Some(22)));
        assert!(leaf(1, 0).failing(&functions).is_empty());
    }
}
