// SPDX-License-Identifier: GPL-2.0-or-later
//! The queue against a real kernel's: what came in, went out and ran there is done to the model,
//! which must come to the same virtual times, deadlines and lags, and pick the same tasks.

mod trace;

pub use trace::{FairTrace, TraceError};

use super::super::TaskId;
use super::entity::{Entity, NICE_0};
use super::groups::{Contents, GroupId, Groups};
use super::queue::{Picked, Queue};
use super::rules::Rules;
use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use trace::Seen;

/// Flags of tasks that come and go (kernel: `DEQUEUE_SLEEP`, `DEQUEUE_SPECIAL`,
/// `ENQUEUE_INITIAL`, `WF_FORK`), as in Linux 7.3.
const SLEEP: i64 = 1;
const SPECIAL: i64 = 0x1_0000;
const INITIAL: i64 = 0x8_0000;
const FORK: i64 = 4;

/// How far model and kernel agreed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Agreement {
    /// Events that were compared.
    pub events: usize,
    /// How often a task was picked.
    pub picks: usize,
    /// How often the CPU switched.
    pub switches: usize,
    /// How often a task came in.
    pub arrivals: usize,
    /// How many of these were delayed ones that woke up.
    pub delayed_wakes: usize,
    /// How often a task that came took the place of the one that ran.
    pub preemptions: usize,
    /// By how much the kernel's timer was late where it ended a slice, in ns, the shortest first.
    pub late_ns: Vec<i64>,
}

impl fmt::Display for Agreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { events, picks, switches, arrivals, delayed_wakes, preemptions, late_ns } = self;
        write!(f, "{events} events, {picks} picks, {switches} switches, {arrivals} arrivals, ")?;
        write!(f, "{delayed_wakes} of delayed tasks, {preemptions} preemptions")?;
        let middle = late_ns.get(late_ns.len() / 2).zip(late_ns.last());
        let Some((middle, last)) = middle else { return Ok(()) };
        let us = |ns: &i64| ns / 1000;
        write!(f, "; {} slices ended {} us late, at most {}", late_ns.len(), us(middle), us(last))
    }
}

/// Where they did not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("event {event}, {seen}: {what} is {kernel} in the kernel, {model} in the model")]
pub struct Disagreement {
    /// Counted from 1.
    pub event: usize,
    /// The event.
    pub seen: String,
    /// What is different.
    pub what: &'static str,
    /// As the kernel has it.
    pub kernel: String,
    /// As the model has it.
    pub model: String,
}

/// The model, and what is known of the kernel's tasks.
struct Replay {
    /// Whether the kernel notes the lag of who is delayed, and goes on from the average of a queue that
    /// was empty.
    notes: bool,
    queue: Queue,
    all: Vec<Entity>,
    groups: Groups,
    /// What is in the group around all others.
    top: Contents,
    tasks: BTreeMap<i32, TaskId>,
    /// The flags of what is about to happen.
    flags: i64,
    /// How far past its deadline who runs was when it got a new one.
    late_ns: Option<i64>,
    agreement: Agreement,
}

impl FairTrace {
    /// Does to the model what was done to a kernel of a series, such as `7.3`, on a machine with one CPU.
    ///
    /// # Errors
    /// [`Disagreement`] is the first.
    pub fn replay(&self, series: &str) -> Result<Agreement, Disagreement> {
        let rules = Rules::of_series(series);
        self.replay_by(rules, rules.debt_is_kept)
    }

    /// By these rules; and whether the kernel notes the lag of who is delayed, as it does where debt is
    /// kept.
    fn replay_by(&self, rules: Rules, notes: bool) -> Result<Agreement, Disagreement> {
        let mut replay = Replay {
            notes,
            queue: Queue::new(super::slice_ns(1), rules),
            all: Vec::new(),
            groups: Groups::new(1),
            top: Contents::default(),
            tasks: BTreeMap::new(),
            flags: 0,
            late_ns: None,
            agreement: Agreement::default(),
        };
        for (at, seen) in self.events.iter().enumerate() {
            replay.step(*seen).map_err(|(what, kernel, model)| Disagreement {
                event: at + 1,
                seen: format!("{seen:?}"),
                what,
                kernel,
                model,
            })?;
        }
        replay.agreement.events = self.events.len();
        replay.agreement.late_ns.sort_unstable();
        Ok(replay.agreement)
    }
}

type Checked = Result<(), (&'static str, String, String)>;

fn same<T: PartialEq + Debug + Copy>(what: &'static str, kernel: T, model: T) -> Checked {
    if kernel == model {
        return Ok(());
    }
    Err((what, format!("{kernel:?}"), format!("{model:?}")))
}

impl Replay {
    fn entity(&mut self, task: TaskId) -> &mut Entity {
        &mut self.all[task.0 as usize]
    }

    fn step(&mut self, seen: Seen) -> Checked {
        match seen {
            Seen::Come { pid, flags, delayed, lag, weight, group } => {
                self.flags = flags;
                self.comes(pid, delayed != 0, lag, weight)?;
                self.comes_in(pid, group)
            }
            Seen::Came { pid, v, deadline, weight } => self.came(pid, [v, deadline], weight),
            Seen::Go { flags, .. } => {
                self.flags = flags;
                Ok(())
            }
            Seen::Gone { pid, lag, left } => self.gone(pid, lag, left != 0),
            Seen::Ran { pid, ns } => {
                self.ran(pid, ns);
                Ok(())
            }
            Seen::Pick { pid } => self.picked(pid),
            Seen::Next { pid, v, deadline, protected, first, weight } => {
                self.next(pid, [v, deadline, protected], first != 0, weight)
            }
            Seen::Put { pid } => {
                if self.queue.current == self.tasks.get(&pid).copied() {
                    self.queue.put_current(&mut self.all);
                }
                Ok(())
            }
            Seen::Woken { pid, flags, protected } => self.woken(pid, flags & FORK != 0, protected),
            Seen::Tick { pid, timer, v, deadline, protected, weight } => {
                let late_ns = self.late_ns.take().filter(|_| timer != 0);
                self.agreement.late_ns.extend(late_ns);
                self.ticked(pid, [v, deadline, protected], weight)
            }
            Seen::Yield { pid, v, deadline } => {
                self.queue.yields(&mut self.all);
                self.same_times(pid, v, deadline)
            }
            Seen::Switch { .. } => {
                self.agreement.switches += 1;
                Ok(())
            }
            Seen::Group { group, around } => {
                let around = self.group(around)?;
                let made = self.groups.make(around);
                same("a group's number", group, made.0.into())
            }
            Seen::Weigh { group, weight } => {
                let group = self.group(group)?;
                self.groups.set_weight(group, weight);
                self.groups.renew_all(group, 0, &mut self.top);
                Ok(())
            }
        }
    }

    /// The group with a number.
    fn group(&self, number: i64) -> Result<GroupId, (&'static str, String, String)> {
        let group = u32::try_from(number).ok().map(GroupId);
        let known = group.filter(|group| self.groups.has(*group));
        known.ok_or_else(|| ("a group", number.to_string(), "unknown".to_owned()))
    }

    /// A task is about to come. What was not seen before has the kernel's lag.
    fn comes(&mut self, pid: i32, delayed: bool, lag: i64, weight: i64) -> Checked {
        let task = match self.tasks.get(&pid) {
            Some(task) if self.flags & INITIAL == 0 => *task,
            _ => {
                let task = TaskId(self.all.len() as u32);
                self.all.push(Entity { vlag: lag, ..Entity::new(weight) });
                self.tasks.insert(pid, task);
                task
            }
        };
        same("whether it is delayed", delayed, self.entity(task).delayed)?;
        if !self.notes && !self.entity(task).on_rq {
            // It was weighed where it was.
            self.queue.reweight(&mut self.all, task, weight);
        }
        if !delayed || self.notes {
            same("its lag", lag, self.entity(task).vlag)?;
        }
        self.entity(task).own_weight = weight;
        Ok(())
    }

    /// The same task comes in a group.
    fn comes_in(&mut self, pid: i32, group: i64) -> Checked {
        let group = self.group(group)?;
        let Some(task) = self.tasks.get(&pid).copied() else { return Ok(()) };
        self.entity(task).group = group;
        Ok(())
    }

    fn came(&mut self, pid: i32, [v, deadline]: [i64; 2], weight: i64) -> Checked {
        let Some(task) = self.tasks.get(&pid).copied() else { return Ok(()) };
        // Where an empty queue goes on is of no consequence, and is another place in 6.18.
        let anew = self.queue.queued == 0 && !self.notes;
        if self.agreement.arrivals == 0 || anew {
            self.queue.begin_at(v);
        }
        self.agreement.arrivals += 1;
        let Entity { delayed, on_rq, group, own_weight, .. } = self.entity(task).clone();
        self.agreement.delayed_wakes += usize::from(delayed && on_rq);
        if on_rq {
            self.groups.count(group, 0, true);
        } else {
            self.groups.enter(group, 0, own_weight, !delayed, &mut self.top);
            self.reweigh(task);
        }
        self.queue.enqueue(&mut self.all, task, self.flags & INITIAL != 0);
        same("what it weighs", weight, self.entity(task).weight)?;
        self.same_times(pid, v, deadline)
    }

    /// A task learns what it weighs in the queue.
    fn reweigh(&mut self, task: TaskId) {
        let Entity { group, own_weight, .. } = self.entity(task).clone();
        let weight = self.groups.in_queue(group, 0, own_weight);
        self.queue.reweight(&mut self.all, task, weight);
    }

    /// A tick, or the timer, has come while a task ran.
    fn ticked(&mut self, pid: i32, [v, deadline, protected]: [i64; 3], weight: i64) -> Checked {
        let task = self.queue.current.filter(|task| self.tasks.get(&pid) == Some(task));
        let Some(task) = task.filter(|task| self.all[task.0 as usize].on_rq) else {
            return Ok(());
        };
        let group = self.entity(task).group;
        self.groups.renew_all(group, 0, &mut self.top);
        self.reweigh(task);
        same("what it weighs", weight, self.entity(task).weight)?;
        same("until when it is protected", protected, self.entity(task).protected)?;
        self.same_times(pid, v, deadline)
    }

    fn same_times(&mut self, pid: i32, v: i64, deadline: i64) -> Checked {
        let Some(task) = self.tasks.get(&pid).copied() else { return Ok(()) };
        let entity = self.entity(task);
        let (own_v, own_deadline) = (entity.vruntime, entity.deadline);
        same("its virtual time", v, own_v)?;
        same("its deadline", deadline, own_deadline)
    }

    fn gone(&mut self, pid: i32, lag: i64, left: bool) -> Checked {
        let Some(task) = self.tasks.get(&pid).copied() else { return Ok(()) };
        let Entity { delayed, group, own_weight, .. } = self.entity(task).clone();
        let leaves = if self.flags & SLEEP != 0 {
            self.queue.sleep(&mut self.all, task, self.flags & SPECIAL != 0)
        } else {
            self.queue.take(&mut self.all, task);
            true
        };
        if leaves {
            self.groups.leave(group, 0, own_weight, !delayed, &mut self.top);
        } else {
            self.groups.count(group, 0, false);
        }
        if leaves || self.notes {
            same("its lag", lag, self.entity(task).vlag)?;
        }
        same("whether it leaves", left, leaves)
    }

    fn ran(&mut self, pid: i32, ns: i64) {
        let Some(task) = self.queue.current.filter(|t| self.tasks.get(&pid) == Some(t)) else {
            return;
        };
        let before = self.entity(task).deadline;
        self.queue.ran(&mut self.all, ns);
        let entity = self.entity(task);
        let late = i128::from(entity.vruntime - before) * i128::from(entity.weight);
        let late_ns = (late / i128::from(NICE_0)) as i64;
        self.late_ns = (entity.deadline != before).then_some(late_ns);
    }

    /// A task that is delayed leaves for good.
    fn finish(&mut self, task: TaskId) {
        self.queue.finish_delayed(&mut self.all, task);
        let Entity { group, own_weight, .. } = self.entity(task).clone();
        self.groups.leave(group, 0, own_weight, false, &mut self.top);
    }

    fn picked(&mut self, pid: i32) -> Checked {
        let picked = loop {
            match self.queue.pick_next(&self.all) {
                Picked::Task(task) => break Some(task),
                Picked::Delayed(task) => self.finish(task),
                Picked::Nothing => break None,
            }
        };
        self.agreement.picks += 1;
        let own = self.tasks.iter().find(|(_, task)| Some(**task) == picked);
        same("who is picked", pid, own.map_or(0, |(pid, _)| *pid))
    }

    fn next(
        &mut self,
        pid: i32,
        [v, deadline, protected]: [i64; 3],
        first: bool,
        weight: i64,
    ) -> Checked {
        let Some(task) = self.tasks.get(&pid).copied() else { return Ok(()) };
        let before = self.entity(task).protected;
        self.queue.set_current(&mut self.all, task);
        self.entity(task).protected = before;
        if self.entity(task).on_rq {
            self.reweigh(task);
            same("what it weighs", weight, self.entity(task).weight)?;
        }
        if first {
            self.queue.protect(&mut self.all, task);
        }
        self.same_times(pid, v, deadline)?;
        let own = self.entity(task).protected;
        if first { same("until when it is protected", protected, own) } else { Ok(()) }
    }

    fn woken(&mut self, pid: i32, new: bool, protected: i64) -> Checked {
        let Some(task) = self.tasks.get(&pid).copied() else { return Ok(()) };
        let Some(current) = self.queue.current else { return Ok(()) };
        let preempts = loop {
            match self.queue.preempts(&mut self.all, task, new) {
                Ok(preempts) => break preempts,
                Err(delayed) => self.finish(delayed),
            }
        };
        self.agreement.preemptions += usize::from(preempts);
        same("until when who runs is protected", protected, self.entity(current).protected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_as_it_is_written() {
        let text = "switch 0\ngroup 1 0\nweigh 1 2097152\ncome 7 9 0 -5 1048576 1\n\
                    came 7 100 350100 2097152\npick 7\n\
                    next 7 100 350100 350100 1 2097152\nstat_runtime 7 30\n\
                    tick 7 1 115 350100 350100 2097152\ngo 7 9\ngone 7 0 1\n";
        let trace = FairTrace::parse(text).unwrap();
        assert_eq!(trace.to_string(), text);
        let wrong = FairTrace::parse("pick 7\npick\n").unwrap_err();
        assert_eq!(wrong.to_string(), "line 2 is no event of the fair class: pick");
        let unknown = FairTrace::parse("group 1 2\n").unwrap().replay("7.3").unwrap_err();
        assert_eq!((unknown.what, unknown.kernel.as_str()), ("a group", "2"));
        assert_eq!(trace.replay("7.3").unwrap().picks, 1);
        let other = text.replace("came 7 100 ", "came 7 101 ");
        let disagreement = FairTrace::parse(&other).unwrap().replay("7.3").unwrap_err();
        assert_eq!((disagreement.event, disagreement.what), (5, "its deadline"));
    }

    #[test]
    fn recordings_show_every_rule() {
        let texts = [
            include_str!("../../../../../../tests/fair/6.18/burst.txt"),
            include_str!("../../../../../../tests/fair/6.18/mixed.txt"),
            include_str!("../../../../../../tests/fair/6.18/pipe.txt"),
            include_str!("../../../../../../tests/fair/6.18/sleepers.txt"),
            include_str!("../../../../../../tests/fair/6.18/yield.txt"),
        ];
        let traces = texts.map(|text| FairTrace::parse(text).unwrap());
        let right = Rules::of_series("6.18");
        let agree = |rules: Rules| {
            traces.iter().filter(|t| t.replay_by(rules, right.debt_is_kept).is_ok()).count()
        };
        assert_eq!(agree(right), traces.len());
        for rules in right.with_each_as_newest() {
            assert!(agree(rules) < traces.len(), "nothing shows {rules:?}");
        }
    }

    #[test]
    fn groups_get_numbers_as_they_are_made() {
        let told = ["sched_switch: next_pid=0", "group: tg=5 parent=0", "group: tg=6 parent=5"];
        let more =
            ["weigh: tg=5 w=7", "group: tg=5 parent=6", "weigh: tg=5 w=8", "weigh: tg=0 w=9"];
        let lines = told.iter().chain(&more).map(|line| format!("sh-1 1.5: {line}\n"));
        let trace = FairTrace::from_ftrace(&lines.collect::<String>());
        let text = "switch 0\ngroup 1 0\ngroup 2 1\nweigh 1 7\ngroup 3 2\nweigh 3 8\nweigh 0 9\n";
        assert_eq!(trace.to_string(), text);
    }
}
