// SPDX-License-Identifier: GPL-2.0-or-later
//! Text of the kernel's tracing: `trace` and `trace_pipe` of tracefs, `trace-cmd report`, and
//! `perf script`, which differ in how a line begins and, for trace-cmd, in what events say.
//!
//! A line is: who ran, `[CPU]`, flags, the time in seconds, the event, and what it says. With `-l`, trace-cmd
//! has the CPU and flags in one word.

mod line;
mod point;

use super::Source;
use super::kernel::{Kernel, Point, Traced};
use line::Line;
use rota_events::{Event, MachineFacts, Problems, Tables};
use std::io::{self, BufRead, BufReader, Read};

/// The longest line that is looked at whole: names of tasks and files are far shorter.
const LINE_BYTES_MAX: u64 = 1 << 16;
/// So many events are handed over at once.
const EVENTS_AT_ONCE: usize = 1 << 14;

/// Whether the start of a file is such text: it says so, or has a line that is an event.
pub(super) fn is_ftrace(head: &[u8]) -> bool {
    if head.starts_with(b"# tracer:") {
        return true;
    }
    let is_event = |line: &[u8]| Line::parse(&String::from_utf8_lossy(line)).is_some();
    !head.contains(&0) && head.split(|byte| *byte == b'\n').any(is_event)
}

/// Reads text, line after line.
pub(super) struct FtraceText<R> {
    input: BufReader<R>,
    at: u64,
    machine: MachineFacts,
    kernel: Kernel,
    problems: Problems,
    last_ns: u64,
    late: u64,
    done: bool,
}

impl<R: Read> FtraceText<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            input: BufReader::with_capacity(1 << 16, input),
            at: 0,
            machine: MachineFacts { clock: "trace".to_owned(), ..MachineFacts::default() },
            kernel: Kernel::default(),
            problems: Problems::default(),
            last_ns: 0,
            late: 0,
            done: false,
        }
    }

    /// The next line without its end, and how many bytes it has; none at the end of the file.
    fn line(&mut self, line: &mut Vec<u8>) -> io::Result<u64> {
        line.clear();
        let mut bytes = self.input.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', line)? as u64;
        if bytes == LINE_BYTES_MAX && line.last() != Some(&b'\n') {
            self.problems.add(self.at, format!("a line of more than {LINE_BYTES_MAX} bytes"));
            line.clear();
            bytes += self.input.skip_until(b'\n')? as u64;
        }
        while line.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
            line.pop();
        }
        Ok(bytes)
    }

    /// Takes a line.
    fn take(&mut self, line: &str, events: &mut Vec<Event>) {
        if let Some((cpu, lost)) = point::lost(line) {
            let (time_ns, point) = (self.last_ns, Point::Lost { events: lost });
            let traced = Traced { time_ns, cpu, current: 0, interrupt: false, point };
            return self.kernel.add(&traced, events);
        }
        let Some(found) = Line::parse(line) else { return };
        self.kernel.thread(found.pid, found.tgid, found.name.as_bytes());
        match point::parse(found.event, found.says) {
            point::Parsed::Point(point) => {
                let Line { time_ns, cpu, pid: current, interrupt, .. } = found;
                self.late += u64::from(time_ns < self.last_ns);
                self.last_ns = self.last_ns.max(time_ns);
                self.kernel.add(&Traced { time_ns, cpu, current, interrupt, point }, events);
            }
            point::Parsed::Other => {}
            point::Parsed::Damaged => {
                self.problems
                    .add(self.at, format!("{} says something else than usual", found.event));
            }
        }
    }
}

impl<R: Read> Source for FtraceText<R> {
    fn machine(&self) -> &MachineFacts {
        &self.machine
    }

    fn tables(&self) -> &Tables {
        self.kernel.tables()
    }

    fn problems(&self) -> &Problems {
        &self.problems
    }

    fn next_events(&mut self) -> io::Result<Option<Vec<Event>>> {
        let (mut events, mut line) = (Vec::new(), Vec::new());
        while !self.done && events.len() < EVENTS_AT_ONCE {
            let bytes = self.line(&mut line)?;
            if bytes == 0 {
                self.done = true;
                if self.late > 0 {
                    let late = self.late;
                    self.problems.add(self.at, format!("{late} events stand after younger ones"));
                }
                break;
            }
            self.take(&String::from_utf8_lossy(&line), &mut events);
            self.at += bytes;
        }
        Ok((!self.done || !events.is_empty()).then_some(events))
    }
}
