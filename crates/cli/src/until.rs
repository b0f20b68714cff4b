// SPDX-License-Identifier: GPL-2.0-or-later
//! What ends a recording: a time between events that is too long.

use rota_events::{Event, Span, SpanKind, Spans, Tables};

/// A condition, such as `latency>10ms` or `latency[worker]>10ms`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Until {
    kind: SpanKind,
    /// Only of tasks with this name or thread id.
    task: Option<String>,
    more_than_ns: u64,
}

/// The kinds of times by name.
const KINDS: [(&str, SpanKind); 5] = [
    ("latency", SpanKind::RunQueue),
    ("wake", SpanKind::Wake),
    ("oncpu", SpanKind::OnCpu),
    ("offcpu", SpanKind::OffCpu),
    ("dsq", SpanKind::Dsq),
];

impl Until {
    /// Reads a condition.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let form = "wanted is KIND>DURATION or KIND[TASK]>DURATION, such as latency>10ms; KIND is \
                    latency, wake, oncpu, offcpu or dsq";
        let (what, long) = text.split_once('>').ok_or(form)?;
        let (kind, task) = match what.trim().split_once('[') {
            Some((kind, task)) => (kind, Some(task.strip_suffix(']').ok_or(form)?.to_owned())),
            None => (what.trim(), None),
        };
        let kind = KINDS.iter().find(|(name, _)| *name == kind).ok_or(form)?.1;
        let more_than_ns = crate::args::duration(long.trim())?;
        Ok(Self { kind, task: task.filter(|task| !task.is_empty()), more_than_ns })
    }

    /// Whether a time is what was waited for.
    fn is_met(&self, span: &Span, tables: &Tables) -> bool {
        let is_wanted = |name: &String| {
            let info = tables.task_of(span.task);
            info.is_some_and(|info| {
                tables.text_of(info.name) == name || info.pid.to_string() == *name
            })
        };
        span.kind == self.kind
            && span.ns > self.more_than_ns
            && self.task.as_ref().is_none_or(is_wanted)
    }
}

/// Waits for a condition.
#[derive(Debug)]
pub(crate) struct Watch {
    until: Until,
    spans: Spans,
}

impl Watch {
    pub(crate) fn new(until: Until) -> Self {
        Self { until, spans: Spans::default() }
    }

    /// Takes events, and says in words what has met the condition first.
    pub(crate) fn add(&mut self, events: &[Event], tables: &Tables) -> Option<String> {
        let mut met = None;
        for event in events {
            let until = &self.until;
            self.spans.add(event, &mut |span| {
                if met.is_none() && until.is_met(&span, tables) {
                    met = Some((event.time_ns, span));
                }
            });
        }
        let (time_ns, span) = met?;
        let name = KINDS.iter().find(|(_, kind)| *kind == span.kind).map_or("", |kind| kind.0);
        let (task, ms) = (tables.task_name(span.task), span.ns as f64 / 1e6);
        let s = time_ns as f64 / 1e9;
        Some(format!("{name} of {task} was {ms:.3} ms, on CPU {} at {s:.6} s", span.cpu.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rota_events::{CpuNumber, Leaves, TaskInfo, TaskRef, What};

    #[test]
    fn conditions_are_read() {
        let until = Until::parse("latency[a b] > 10ms").unwrap();
        let task = Some("a b".to_owned());
        assert_eq!(until, Until { kind: SpanKind::RunQueue, task, more_than_ns: 10_000_000 });
        assert_eq!(Until::parse("offcpu>1s").unwrap().task, None);
        for bad in ["", "latency", "late>1s", "latency<1s", "latency[x>1s", "wake>x", "wake>"] {
            assert!(Until::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_first_that_is_too_long_is_told() {
        let mut tables = Tables::default();
        let mut task = |pid, name: &str| {
            let name = tables.text(name);
            tables.task(TaskInfo { pid, tgid: pid, name, ..TaskInfo::default() })
        };
        let (a, b) = (task(1, "a"), task(2, "b"));
        let event = |time_ns, task, what| Event::new(time_ns, CpuNumber(3), task, what);
        let waking = What::Waking { waker: TaskRef::NONE };
        let switch = |from| What::Switch { from, leaves: Leaves::Sleeping };
        let events = [
            event(1_000, a, waking),
            event(2_000, b, waking),
            event(1_002_000, a, switch(TaskRef::NONE)),
            event(2_003_000, b, switch(a)),
        ];
        let first = |text| {
            let mut watch = Watch::new(Until::parse(text).unwrap());
            watch.add(&events, &tables)
        };
        let said = "latency of a[1] was 1.001 ms, on CPU 3 at 0.001002 s";
        assert_eq!(first("latency>1ms").unwrap(), said);
        assert!(first("latency[b]>1ms").unwrap().starts_with("latency of b[2] was 2.001 ms"));
        assert!(first("wake[2]>1ms").unwrap().starts_with("wake of b[2]"));
        assert_eq!(first("latency>2001us"), None);
        assert_eq!(first("latency[c]>1us"), None);
    }
}
