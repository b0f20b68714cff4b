// SPDX-License-Identifier: GPL-2.0-or-later
//! What an event says, as the kernel prints it (`name=value`) and as trace-cmd does.

use crate::read::kernel::{Named, Point};
use rota_events::Leaves;

/// What an event says.
#[derive(Debug, Clone, Copy)]
pub(super) enum Parsed<'a> {
    /// One that is wanted.
    Point(Point<Named<'a>>),
    /// Nothing that is wanted here.
    Other,
    /// It should be one that is wanted, but can't be read.
    Damaged,
}

/// Reads what an event says.
pub(super) fn parse<'a>(event: &str, says: &'a str) -> Parsed<'a> {
    let point = match event {
        "sched_switch" => switch(says),
        "sched_waking" => woken(says).map(|(task, _)| Point::Waking { task }),
        "sched_wakeup" => woken(says).map(|(task, on)| Point::Wakeup { task, on }),
        "sched_wakeup_new" => woken(says).map(|(task, on)| Point::WakeupNew { task, on }),
        "sched_migrate_task" => migrate(says),
        "sched_process_fork" => fork(says),
        "sched_process_exit" => exit(says),
        "task_rename" => rename(says),
        "cpu_frequency" => frequency(says),
        _ => return Parsed::Other,
    };
    point.map_or(Parsed::Damaged, Parsed::Point)
}

/// The CPU and the number of events of a line that says that some are lost; 1 if it does not say
/// how many. The name of a buffer may stand before it.
pub(super) fn lost(line: &str) -> Option<(u32, u64)> {
    let line = line.trim();
    let line = line.split_once(": ").map_or(line, |(_, rest)| rest);
    let (cpu, rest) = line.strip_prefix("CPU:")?.split_once(' ')?;
    let words = rest.trim().strip_prefix('[')?.strip_suffix(']')?;
    let rest = words.strip_prefix("LOST ").or_else(|| words.strip_suffix(" DROPPED"))?;
    let count = rest.trim_end_matches("EVENTS").trim();
    Some((cpu.parse().ok()?, if count.is_empty() { 1 } else { count.parse().ok()? }))
}

/// The number at the start of a text.
fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(text.len());
    text[..end].parse().ok()
}

/// The value of a field that is one word.
fn field<T: std::str::FromStr>(says: &str, name: &str) -> Option<T> {
    let value = says.split_once(name).map(|(_, value)| value)?;
    number(value)
}

/// The task of `PREFIXcomm=NAME PREFIXpid=PID`, where the name may have anything in it.
fn named<'a>(says: &'a str, comm: &str, pid: &str) -> Option<Named<'a>> {
    let (_, rest) = says.split_once(comm)?;
    let (name, after) = rest.rsplit_once(pid)?;
    Some(Named { pid: number(after)?, name: name.as_bytes() })
}

/// The task of trace-cmd's `NAME:PID`, and what follows.
fn short(text: &str) -> Option<(Named<'_>, &str)> {
    // The name may have colons in it, and brackets; the priority follows in brackets.
    let at = text.match_indices(" [").map(|(at, _)| at).find(|at| {
        let (before, after) = (&text[..*at], &text[at + 2..]);
        let pid = before.rsplit_once(':').map(|(_, pid)| pid.parse::<i32>().is_ok());
        pid == Some(true) && after.split_once(']').is_some_and(|(p, _)| p.parse::<i32>().is_ok())
    })?;
    let (name, pid) = text[..at].rsplit_once(':')?;
    let (_, rest) = text[at..].split_once(']')?;
    Some((Named { pid: pid.parse().ok()?, name: name.as_bytes() }, rest.trim()))
}

/// How a task leaves, by the letters that the kernel or trace-cmd prints.
fn leaves(text: &str) -> Leaves {
    let word = text.split_whitespace().next().unwrap_or("");
    let known = Leaves::from_letter(word);
    if known != Leaves::Other {
        return known;
    }
    // Several, such as `D|W`: the first says it.
    word.get(..1).map_or(Leaves::Other, Leaves::from_letter)
}

fn switch(says: &str) -> Option<Point<Named<'_>>> {
    let Some(rest) = says.strip_prefix("prev_comm=") else {
        let (from, rest) = short(says)?;
        let (state, to) = rest.split_once("==>")?;
        let to = to.trim();
        return Some(Point::Switch { from, leaves: leaves(state), to: short(to)?.0 });
    };
    // A name may be that of a field, so the last `==>` that makes sense is the one.
    rest.rmatch_indices("==>").find_map(|(at, arrow)| {
        let (from, to) = (&says[..says.len() - rest.len() + at], &rest[at + arrow.len()..]);
        let state = from.rsplit_once("prev_state=")?.1;
        Some(Point::Switch {
            from: named(from, "prev_comm=", " prev_pid=")?,
            leaves: leaves(state),
            to: named(to, "next_comm=", " next_pid=")?,
        })
    })
}

/// The task that is woken up, and on which CPU.
fn woken(says: &str) -> Option<(Named<'_>, u32)> {
    if says.starts_with("comm=") {
        return Some((named(says, "comm=", " pid=")?, field(says, " target_cpu=")?));
    }
    let (task, rest) = short(says)?;
    let on = rest.split_once("CPU:").and_then(|(_, cpu)| number(cpu));
    Some((task, on.unwrap_or_default()))
}

fn migrate(says: &str) -> Option<Point<Named<'_>>> {
    let task = named(says, "comm=", " pid=")?;
    let (from, to) = (field(says, " orig_cpu=")?, field(says, " dest_cpu=")?);
    Some(Point::Migrate { task, from, to })
}

fn fork(says: &str) -> Option<Point<Named<'_>>> {
    let (parent, child) = says.rsplit_once(" child_comm=")?;
    let parent = named(parent, "comm=", " pid=")?;
    let (name, pid) = child.rsplit_once(" child_pid=")?;
    Some(Point::Fork { parent, child: Named { pid: number(pid)?, name: name.as_bytes() } })
}

fn exit(says: &str) -> Option<Point<Named<'_>>> {
    Some(Point::Exit { task: named(says, "comm=", " pid=")? })
}

fn rename(says: &str) -> Option<Point<Named<'_>>> {
    let pid = field(says, "pid=")?;
    let (_, name) = says.split_once(" newcomm=")?;
    let name = name.rsplit_once(" oom_score_adj=").map_or(name, |(name, _)| name);
    Some(Point::Rename { task: Named { pid, name: name.as_bytes() } })
}

fn frequency(says: &str) -> Option<Point<Named<'_>>> {
    let (cpu, khz) = (field(says, "cpu_id=")?, field(says, "state=")?);
    Some(Point::Frequency { cpu, khz })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(event: &str, says: &str) -> String {
        let name =
            |named: Named<'_>| format!("{}[{}]", String::from_utf8_lossy(named.name), named.pid);
        match parse(event, says) {
            Parsed::Other => "other".to_owned(),
            Parsed::Damaged => "damaged".to_owned(),
            Parsed::Point(point) => match point {
                Point::Switch { from, leaves, to } => {
                    format!("{} {} {}", name(from), leaves.letter(), name(to))
                }
                Point::Waking { task } => format!("waking {}", name(task)),
                Point::Wakeup { task, on } => format!("wakeup {} {on}", name(task)),
                Point::WakeupNew { task, on } => format!("new {} {on}", name(task)),
                Point::Migrate { task, from, to } => format!("{} {from} {to}", name(task)),
                Point::Fork { parent, child } => format!("{} {}", name(parent), name(child)),
                Point::Rename { task } | Point::Exit { task } => name(task),
                Point::Frequency { cpu, khz } => format!("{khz} kHz on {cpu}"),
                Point::Lost { events } => events.to_string(),
            },
        }
    }

    #[test]
    fn events_of_the_kernel_and_of_trace_cmd() {
        let switch = "prev_comm=a b prev_pid=5 prev_prio=120 prev_state=R+ ==> next_comm=x==>y next_pid=6 next_prio=120";
        for (event, says, expected) in [
            ("sched_switch", switch, "a b[5] R+ x==>y[6]"),
            (
                "sched_switch",
                "prev_comm=a prev_pid=5 prev_prio=120 prev_state=D|K ==> next_comm=swapper/0 next_pid=0 next_prio=120",
                "a[5] D swapper/0[0]",
            ),
            (
                "sched_switch",
                "a:b:5 [120] S ==> kworker/0:1 [x]:6 [120]",
                "a:b[5] S kworker/0:1 [x][6]",
            ),
            ("sched_switch", "prev_comm=a", "damaged"),
            ("sched_waking", "comm=a pid=5 prio=120 target_cpu=003", "waking a[5]"),
            ("sched_wakeup", "comm=a pid=5 prio=120 target_cpu=003", "wakeup a[5] 3"),
            ("sched_wakeup", "comm=a pid=5 prio=120 success=1 target_cpu=003", "wakeup a[5] 3"),
            ("sched_wakeup", "a:5 [120] CPU:003", "wakeup a[5] 3"),
            ("sched_wakeup_new", "a:5 [120]<CANT FIND FIELD success> CPU:001", "new a[5] 1"),
            ("sched_migrate_task", "comm=a pid=5 prio=120 orig_cpu=0 dest_cpu=12", "a[5] 0 12"),
            ("sched_process_fork", "comm=sh pid=5 child_comm=sh child_pid=6", "sh[5] sh[6]"),
            ("sched_process_exit", "comm=a pid=5 prio=120 group_dead=true", "a[5]"),
            ("task_rename", "pid=5 oldcomm=a newcomm=b c oom_score_adj=0", "b c[5]"),
            ("cpu_frequency", "state=2400000 cpu_id=3", "2400000 kHz on 3"),
            ("cpu_frequency", "state=2400000", "damaged"),
            ("sched_stat_runtime", "comm=a pid=5 runtime=1 [ns]", "other"),
        ] {
            assert_eq!(said(event, says), expected, "{event}: {says}");
        }
    }

    #[test]
    fn losses_are_seen() {
        assert_eq!(lost("CPU:12 [LOST 345 EVENTS]"), Some((12, 345)));
        assert_eq!(lost("CPU:1 [345 EVENTS DROPPED]"), Some((1, 345)));
        assert_eq!(lost("CPU:1 [EVENTS DROPPED]"), Some((1, 1)));
        assert_eq!(lost("a-b: CPU:1 [7 EVENTS DROPPED]"), Some((1, 7)));
        for other in ["", "CPU:1", "CPU:1 x", "CPU:x [LOST 1 EVENTS]", "CPU:1 [LOST x EVENTS]"] {
            assert_eq!(lost(other), None, "{other}");
        }
    }
}
