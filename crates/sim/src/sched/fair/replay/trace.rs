// SPDX-License-Identifier: GPL-2.0-or-later
//! What a kernel's fair class was seen to do on one CPU, and its text.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

/// What happened. Virtual times are the kernel's own, in ns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// A task is about to come into the queue, with its flags, its lag, its weight, and whether it
    /// is there already, delayed; and the group that it is in.
    Come { pid: i32, flags: i64, delayed: i64, lag: i64, weight: i64, group: i64 },
    /// It has come, and weighs so much there.
    Came { pid: i32, v: i64, deadline: i64, weight: i64 },
    /// A task is about to leave the queue.
    Go { pid: i32, flags: i64 },
    /// It has been noted, and has left or not.
    Gone { pid: i32, lag: i64, left: i64 },
    /// Who runs has run for so many ns more.
    Ran { pid: i32, ns: i64 },
    /// This one was picked to run; 0 for none.
    Pick { pid: i32 },
    /// It begins to run, for the `first` time since it was picked.
    Next { pid: i32, v: i64, deadline: i64, protected: i64, first: i64, weight: i64 },
    /// A task does not run any more.
    Put { pid: i32 },
    /// A task that has come may have taken the place of the one that runs, which is protected.
    Woken { pid: i32, flags: i64, protected: i64 },
    /// A tick, or the timer that ends slices; after it.
    Tick { pid: i32, timer: i64, v: i64, deadline: i64, protected: i64, weight: i64 },
    /// A task gave way.
    Yield { pid: i32, v: i64, deadline: i64 },
    /// A CPU switched to a task; 0 is the idle one.
    Switch { pid: i32 },
    /// A group was made in another one; 0 is the one around all others.
    Group { group: i64, around: i64 },
    /// A group has got a weight.
    Weigh { group: i64, weight: i64 },
}

/// How an event is called, in ftrace and in the short form, and its numbers in ftrace.
const NAMES: &[(&str, &[&str])] = &[
    ("come", &["pid", "flags", "delayed", "vlag", "w", "tg"]),
    ("came", &["pid", "v", "d", "h"]),
    ("go", &["pid", "flags"]),
    ("gone", &["pid", "vlag", "left"]),
    ("sched_stat_runtime", &["pid", "runtime"]),
    ("pick", &["pid", "task"]),
    ("next", &["pid", "v", "d", "safe", "first", "h"]),
    ("put", &["pid"]),
    ("woken", &["pid", "flags", "safe"]),
    ("tick", &["pid", "timer", "v", "d", "safe", "h"]),
    ("yield", &["pid", "v", "d"]),
    ("sched_switch", &["next_pid"]),
    ("group", &["tg", "parent"]),
    ("weigh", &["tg", "w"]),
];

/// A text is no trace, from this line on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} is no event of the fair class: {text}")]
pub struct TraceError {
    /// Counted from 1.
    pub line: usize,
    /// What stands there.
    pub text: String,
}

/// What a kernel's fair class did on one CPU.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FairTrace {
    pub(super) events: Vec<Seen>,
}

/// Numbers of groups by their addresses, of which one may be another group's later.
#[derive(Default)]
struct Numbers {
    known: BTreeMap<i64, i64>,
    last: i64,
}

impl Numbers {
    /// That of the group at an address; an unknown one is the one around all others.
    fn of(&self, address: i64) -> i64 {
        self.known.get(&address).copied().unwrap_or(0)
    }

    /// That of a group that is made there.
    fn next(&mut self, address: i64) -> i64 {
        self.last += 1;
        self.known.insert(address, self.last);
        self.last
    }
}

impl Seen {
    fn new(name: &str, numbers: &[i64]) -> Option<Self> {
        match (name, numbers) {
            ("group", &[group, around]) => return Some(Self::Group { group, around }),
            ("weigh", &[group, weight]) => return Some(Self::Weigh { group, weight }),
            _ => {}
        }
        let pid = i32::try_from(*numbers.first()?).ok()?;
        Some(match (name, &numbers[1..]) {
            ("come", &[flags, delayed, lag, weight, group]) => {
                Self::Come { pid, flags, delayed, lag, weight, group }
            }
            ("came", &[v, deadline, weight]) => Self::Came { pid, v, deadline, weight },
            ("go", &[flags]) => Self::Go { pid, flags },
            ("gone", &[lag, left]) => Self::Gone { pid, lag, left },
            ("sched_stat_runtime", &[ns]) => Self::Ran { pid, ns },
            ("pick", []) => Self::Pick { pid },
            // Without a task, its number is whatever stands there.
            ("pick", &[task]) => Self::Pick { pid: if task == 0 { 0 } else { pid } },
            ("next", &[v, deadline, protected, first, weight]) => {
                Self::Next { pid, v, deadline, protected, first, weight }
            }
            ("put", []) => Self::Put { pid },
            ("woken", &[flags, protected]) => Self::Woken { pid, flags, protected },
            ("tick", &[timer, v, deadline, protected, weight]) => {
                Self::Tick { pid, timer, v, deadline, protected, weight }
            }
            ("yield", &[v, deadline]) => Self::Yield { pid, v, deadline },
            ("sched_switch", []) => Self::Switch { pid },
            _ => return None,
        })
    }

    /// Virtual times count from another one.
    fn rebase(&mut self, from: i64) {
        match self {
            Self::Came { v, deadline, .. } | Self::Yield { v, deadline, .. } => {
                (*v, *deadline) = (v.wrapping_sub(from), deadline.wrapping_sub(from));
            }
            Self::Next { v, deadline, protected, .. }
            | Self::Tick { v, deadline, protected, .. } => {
                (*v, *deadline) = (v.wrapping_sub(from), deadline.wrapping_sub(from));
                *protected = protected.wrapping_sub(from);
            }
            Self::Woken { protected, .. } => *protected = protected.wrapping_sub(from),
            _ => {}
        }
    }

    /// Groups have numbers, not addresses.
    fn number_group(&mut self, numbers: &mut Numbers) {
        match self {
            Self::Group { group, around } => {
                *around = numbers.of(*around);
                *group = numbers.next(*group);
            }
            Self::Weigh { group, .. } | Self::Come { group, .. } => *group = numbers.of(*group),
            _ => {}
        }
    }

    /// Name and numbers.
    fn words(self) -> (&'static str, Vec<i64>) {
        match self {
            Self::Come { pid, flags, delayed, lag, weight, group } => {
                ("come", vec![pid.into(), flags, delayed, lag, weight, group])
            }
            Self::Came { pid, v, deadline, weight } => {
                ("came", vec![pid.into(), v, deadline, weight])
            }
            Self::Go { pid, flags } => ("go", vec![pid.into(), flags]),
            Self::Gone { pid, lag, left } => ("gone", vec![pid.into(), lag, left]),
            Self::Ran { pid, ns } => ("sched_stat_runtime", vec![pid.into(), ns]),
            Self::Pick { pid } => ("pick", vec![pid.into()]),
            Self::Next { pid, v, deadline, protected, first, weight } => {
                ("next", vec![pid.into(), v, deadline, protected, first, weight])
            }
            Self::Put { pid } => ("put", vec![pid.into()]),
            Self::Woken { pid, flags, protected } => ("woken", vec![pid.into(), flags, protected]),
            Self::Tick { pid, timer, v, deadline, protected, weight } => {
                ("tick", vec![pid.into(), timer, v, deadline, protected, weight])
            }
            Self::Yield { pid, v, deadline } => ("yield", vec![pid.into(), v, deadline]),
            Self::Switch { pid } => ("sched_switch", vec![pid.into()]),
            Self::Group { group, around } => ("group", vec![group, around]),
            Self::Weigh { group, weight } => ("weigh", vec![group, weight]),
        }
    }
}

impl FairTrace {
    /// Reads what ftrace printed. Events of other names are passed over, and what came before the
    /// CPU was first idle, when the queue was empty; if groups are made, before it was last idle
    /// until then. Virtual times count from there. Groups get numbers as they are made; one that was
    /// there before is the one around all others.
    pub fn from_ftrace(text: &str) -> Self {
        let events = text.lines().filter_map(from_ftrace);
        let idle = |seen: &Seen| matches!(seen, Seen::Switch { pid: 0 });
        let mut events: Vec<Seen> = events.skip_while(|seen| !idle(seen)).collect();
        if let Some(made) = events.iter().position(|seen| matches!(seen, Seen::Group { .. })) {
            let from = events[..made].iter().rposition(idle).unwrap_or(0);
            events.drain(..from);
        }
        let first = events.iter().find_map(|seen| match seen {
            Seen::Came { v, .. } => Some(*v),
            _ => None,
        });
        let mut groups = Numbers::default();
        for seen in &mut events {
            seen.rebase(first.unwrap_or(0));
            seen.number_group(&mut groups);
        }
        Self { events }
    }

    /// Reads the short form.
    ///
    /// # Errors
    /// [`TraceError`] has the first line that is none.
    pub fn parse(text: &str) -> Result<Self, TraceError> {
        let mut events = Vec::new();
        for (line, text) in (1..).zip(text.lines()) {
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let mut words = text.split(' ');
            let name = words.next().unwrap_or_default();
            let known = NAMES.iter().find(|(known, _)| known.trim_start_matches("sched_") == name);
            let numbers: Option<Vec<i64>> = words.map(|word| word.parse().ok()).collect();
            let seen = known.zip(numbers).and_then(|(known, numbers)| Seen::new(known.0, &numbers));
            let wrong = || TraceError { line, text: text.to_owned() };
            events.push(seen.ok_or_else(wrong)?);
        }
        Ok(Self { events })
    }

    /// The first so many events.
    #[must_use]
    pub fn first(mut self, count: usize) -> Self {
        self.events.truncate(count);
        self
    }

    /// Whether nothing was seen.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }
}

/// The short form: a line for each event, its name and its numbers.
impl fmt::Display for FairTrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for seen in &self.events {
            let (name, numbers) = seen.words();
            f.write_str(name.trim_start_matches("sched_"))?;
            numbers.iter().try_for_each(|number| write!(f, " {number}"))?;
            f.write_char('\n')?;
        }
        Ok(())
    }
}

/// One line of ftrace.
fn from_ftrace(line: &str) -> Option<Seen> {
    let (before, after) = line.split_once(": ")?;
    // The time stands before the first colon, and the name before the second.
    before.rsplit(' ').next()?.parse::<f64>().ok()?;
    let (name, rest) = after.split_once(": ")?;
    let (_, fields) = NAMES.iter().find(|(known, _)| *known == name)?;
    let number = |field: &&str| {
        let value = rest.split(' ').find_map(|word| word.strip_prefix(*field)?.strip_prefix('='));
        // There was no task to ask.
        let value = value.unwrap_or("0");
        let as_signed = value.parse::<u64>().map(u64::cast_signed);
        value.parse().or(as_signed).unwrap_or(0)
    };
    Seen::new(name, &fields.iter().map(number).collect::<Vec<i64>>())
}
