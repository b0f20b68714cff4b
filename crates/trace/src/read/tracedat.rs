// SPDX-License-Identifier: GPL-2.0-or-later
//! trace.dat, as trace-cmd writes it: what the kernel had in its ring buffers, CPU by CPU. The CPUs'
//! records are merged by their times.

mod head;
mod ring;
mod stream;
mod unpack;

use super::kernel::{Kernel, Point, Traced};
use super::{Input, ReadError, Seekable, Source, tracing};
use head::Head;
use rota_events::{Event, MachineFacts, Problems, Tables};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use stream::{Next, Stream};

/// So many events are handed over at once.
const EVENTS_AT_ONCE: usize = 1 << 14;

/// Whether the start of a file is that of trace-cmd.
pub(super) fn is_trace_dat(head: &[u8]) -> bool {
    head.starts_with(tracing::MAGIC)
}

/// Reads trace.dat.
pub(super) struct TraceDat {
    file: Box<dyn Seekable>,
    head: Head,
    kernel: Kernel,
    problems: Problems,
    streams: Vec<Stream>,
    /// What each CPU wrote next, by its time.
    turns: BinaryHeap<Reverse<(u64, usize)>>,
    next: Vec<Next>,
    last_ns: u64,
    late: u64,
}

impl TraceDat {
    pub(super) fn open(input: Input) -> Result<Self, ReadError> {
        let mut file = input.into_seekable()?;
        let mut problems = Problems::default();
        let head = Head::read(&mut file, &mut problems)?;
        let extents = head.extents.clone();
        let of = |extent| Stream::new(extent, extents.len(), &head);
        let streams: Vec<Stream> = extents.iter().copied().map(of).collect();
        let mut opened = Self {
            file,
            kernel: Kernel::default(),
            problems,
            next: vec![Next::Lost(0); streams.len()],
            streams,
            turns: BinaryHeap::new(),
            head,
            last_ns: 0,
            late: 0,
        };
        for i in 0..opened.streams.len() {
            let turn = opened.advance(i)?;
            opened.turns.extend(turn.map(|time| Reverse((time, i))));
        }
        Ok(opened)
    }

    /// Goes to what a CPU wrote next, and says when that was.
    fn advance(&mut self, i: usize) -> io::Result<Option<u64>> {
        let Self { file, head, problems, streams, next, .. } = self;
        Ok(streams[i].next(file, head, problems)?.map(|(time, what)| {
            next[i] = what;
            time
        }))
    }

    /// Makes an event of what a CPU wrote.
    fn take(&mut self, i: usize, time: u64, events: &mut Vec<Event>) {
        let Self { head, kernel, problems, streams, next, .. } = self;
        let stream = &streams[i];
        let (time_ns, cpu) = (head.clock.ns(time), stream.cpu);
        let mut traced =
            Traced { time_ns, cpu, current: 0, interrupt: false, point: Point::Lost { events: 0 } };
        match &next[i] {
            Next::Lost(events) => traced.point = Point::Lost { events: *events },
            Next::Record(range) => {
                let record = stream.bytes(range.clone());
                match head.points.read(record, head.order) {
                    Ok(Some(found)) => {
                        (traced.point, traced.interrupt) = (found.point, found.interrupt);
                        traced.current = found.current.unwrap_or(0);
                    }
                    Ok(None) => return,
                    Err(()) => return problems.add(stream.at(), "a record that is cut off"),
                }
            }
        }
        let (name, tgid) = (head.names.remove(&traced.current), head.tgids.get(&traced.current));
        if name.is_some() || tgid.is_some() {
            kernel.thread(traced.current, tgid.copied(), &name.unwrap_or_default());
        }
        if let Point::Fork { child, .. } = traced.point
            && let Some(tgid) = head.tgids.get(&child.pid)
        {
            kernel.forked(child.pid, *tgid);
        }
        self.late += u64::from(time_ns < self.last_ns);
        self.last_ns = self.last_ns.max(time_ns);
        kernel.add(&traced, events);
    }
}

impl Source for TraceDat {
    fn machine(&self) -> &MachineFacts {
        &self.head.machine
    }

    fn tables(&self) -> &Tables {
        self.kernel.tables()
    }

    fn problems(&self) -> &Problems {
        &self.problems
    }

    fn next_events(&mut self) -> io::Result<Option<Vec<Event>>> {
        let mut events = Vec::new();
        while events.len() < EVENTS_AT_ONCE {
            let Some(Reverse((time, i))) = self.turns.pop() else { break };
            self.take(i, time, &mut events);
            if let Some(later) = self.advance(i)? {
                self.turns.push(Reverse((later, i)));
            }
        }
        if self.turns.is_empty() && self.late > 0 {
            let late = std::mem::take(&mut self.late);
            self.problems.add(0, format!("{late} events stand after younger ones"));
        }
        Ok((!events.is_empty()).then_some(events))
    }
}
