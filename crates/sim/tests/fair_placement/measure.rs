// SPDX-License-Identifier: GPL-2.0-or-later
//! Where tasks are put and how they are balanced, in numbers, of a kernel and of the model alike.

use std::collections::{BTreeMap, BTreeSet};

/// What happens on a CPU at a time in µs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) us: u64,
    pub(crate) cpu: u32,
    pub(crate) what: What,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum What {
    /// A new task is put on a CPU, by a task on this one.
    New { task: u32, on: u32 },
    /// This one runs from now on, if it is a task that counts.
    Runs { task: Option<u32> },
    /// A task that slept is put on a CPU.
    Woken { task: u32, on: u32 },
    /// A task is moved to another CPU.
    Moves { task: u32 },
}

/// The scenarios: name, machine, tasks that the parent makes.
pub(crate) const SCENARIOS: &[(&str, &str, usize)] = &[
    ("spread", "2s:2l:2c", 4),
    ("full", "2s:2l:2c", 8),
    ("shared", "2s:2l:2c", 12),
    ("pair", "2s:2l:2c", 1),
    ("burst", "2s:2l:2c", 8),
    ("spread", "2s:2c:2t", 4),
    ("full", "2s:2c:2t", 8),
    ("shared", "2s:2c:2t", 12),
    ("pair", "2s:2c:2t", 1),
    ("burst", "2s:2c:2t", 8),
];

/// After so many µs what was made has settled; and for so many more it is looked at.
const SETTLED_US: u64 = 50_000;
const LOOK_US: u64 = 200_000;
const LOOK_LONG_US: u64 = 600_000;

/// CPUs of a cache, and of a core.
fn group(machine: &str, cpu: u32) -> u32 {
    // Two CPUs are a cache on the first machine, a core on the other.
    if machine == "2s:2l:2c" || machine == "2s:2c:2t" { cpu / 2 } else { cpu }
}

/// The numbers of a scenario, by what they are.
pub(crate) fn measure(
    (name, machine, count): (&str, &str, usize),
    moments: &[Moment],
) -> Vec<(&'static str, i64)> {
    let new: Vec<(u64, u32, u32, u32)> = moments
        .iter()
        .filter_map(|m| match m.what {
            What::New { task, on } => Some((m.us, m.cpu, task, on)),
            _ => None,
        })
        .take(count)
        .collect();
    let tasks: BTreeSet<u32> = new.iter().map(|n| n.2).collect();
    let start = new.last().map_or(0, |n| n.0) + SETTLED_US;
    match name {
        "spread" => {
            // The groups of the parent and of the first three.
            let mut groups: BTreeSet<u32> =
                new.iter().take(3).map(|n| group(machine, n.3)).collect();
            groups.extend(new.first().map(|n| group(machine, n.1)));
            vec![("groups", groups.len() as i64)]
        }
        "full" => {
            let ran = ran(moments, &tasks, start, start + LOOK_US);
            let most =
                |cpu: u32| ran.iter().filter(|((_, c), _)| *c == cpu).map(|r| *r.1).sum::<u64>();
            let busy = (0..8).filter(|cpu| most(*cpu) > LOOK_US * 8 / 10).count();
            vec![("busy CPUs", busy as i64)]
        }
        "shared" => {
            let end = start + LOOK_LONG_US;
            let ran = ran(moments, &tasks, start, end);
            let mut each: BTreeMap<u32, u64> = tasks.iter().map(|task| (*task, 0)).collect();
            ran.iter().for_each(|((task, _), us)| *each.entry(*task).or_default() += us);
            let all: u64 = each.values().sum();
            let percent = |us: u64| (us * 100 * each.len() as u64 / all.max(1)) as i64;
            let moves = moments.iter().filter(|m| {
                let of = |task| tasks.contains(&task) && (start..end).contains(&m.us);
                matches!(m.what, What::Moves { task } if of(task))
            });
            vec![
                ("moves", moves.count() as i64),
                ("least percent", percent(each.values().copied().min().unwrap_or(0))),
                ("most percent", percent(each.values().copied().max().unwrap_or(0))),
                ("used percent", (all * 100 / (8 * LOOK_LONG_US)) as i64),
            ]
        }
        "pair" => {
            // Where both were woken last: the cache, which on the other machine is a socket.
            let mut last = BTreeMap::new();
            for moment in moments {
                if let What::Woken { task, on } = moment.what {
                    last.insert(task, on);
                }
            }
            let cpus: BTreeSet<u32> = last.values().copied().collect();
            let size = if machine == "2s:2l:2c" { 2 } else { 4 };
            let caches: BTreeSet<u32> = cpus.iter().map(|cpu| cpu / size).collect();
            vec![("CPUs", cpus.len() as i64), ("caches", caches.len() as i64)]
        }
        _ => {
            let tenths = cpus_of_bursts(moments, &tasks, start);
            vec![("CPUs of a burst, tenths", tenths)]
        }
    }
}

/// How many CPUs the tasks of a burst are put on, in tenths, on average.
fn cpus_of_bursts(moments: &[Moment], tasks: &BTreeSet<u32>, start: u64) -> i64 {
    let mut bursts: Vec<(u64, BTreeSet<u32>)> = Vec::new();
    for moment in moments.iter().filter(|m| m.us > start) {
        let What::Woken { task, on } = moment.what else { continue };
        if !tasks.contains(&task) {
            continue;
        }
        if bursts.last().is_none_or(|last| moment.us > last.0 + 5_000) {
            bursts.push((moment.us, BTreeSet::new()));
        }
        bursts.last_mut().unwrap().1.insert(on);
    }
    let whole: Vec<usize> = bursts.iter().map(|b| b.1.len()).filter(|n| *n > 1).collect();
    (whole.iter().sum::<usize>() * 10 / whole.len().max(1)) as i64
}

/// How long each task ran on each CPU in a time, in µs.
fn ran(
    moments: &[Moment],
    tasks: &BTreeSet<u32>,
    start: u64,
    end: u64,
) -> BTreeMap<(u32, u32), u64> {
    let mut on: BTreeMap<u32, (u32, u64)> = BTreeMap::new();
    let mut ran = BTreeMap::new();
    let mut add = |cpu: u32, (task, since): (u32, u64), until: u64| {
        let us = until.min(end).saturating_sub(since.max(start));
        *ran.entry((task, cpu)).or_default() += us;
    };
    for moment in moments {
        let What::Runs { task } = moment.what else { continue };
        if let Some(before) = on.remove(&moment.cpu) {
            add(moment.cpu, before, moment.us);
        }
        if let Some(task) = task.filter(|task| tasks.contains(task)) {
            on.insert(moment.cpu, (task, moment.us));
        }
    }
    on.into_iter().for_each(|(cpu, before)| add(cpu, before, end));
    ran
}

/// By how much a number may be outside of what was seen, in each direction.
pub(crate) fn slack(what: &str) -> i64 {
    match what {
        "moves" => 10,
        "busy CPUs" => 2,
        // A virtual machine on a host with much to do was seen with 59 instead of 73 to 80.
        "least percent" | "most percent" => 20,
        "used percent" => 8,
        "CPUs of a burst, tenths" => 12,
        _ => 0,
    }
}
