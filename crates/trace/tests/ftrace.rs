// SPDX-License-Identifier: GPL-2.0-or-later
//! Text of ftrace: what is written is read again.

use proptest::prelude::*;
use rota_events::{CpuNumber, Event, Leaves, MachineFacts, Tables, TaskInfo, TaskRef, What};
use rota_trace::{Form, Input, Output, Recording};
use std::io::Cursor;

fn read(text: &[u8]) -> (Tables, Vec<Event>, Vec<String>) {
    let mut recording = Recording::open(Input::file(Cursor::new(text.to_vec()))).unwrap();
    let mut events = Vec::new();
    while let Some(some) = recording.next_events().unwrap() {
        events.extend(some);
    }
    let problems = recording.problems().list().iter().map(ToString::to_string).collect();
    (recording.tables().clone(), events, problems)
}

/// Who an event is about, in words that do not depend on tables.
fn told(event: &Event, tables: &Tables) -> String {
    let name = |task| tables.task_name(task);
    let what = match event.what() {
        What::Switch { from, leaves } => format!("switch {} {}", name(from), leaves.letter()),
        What::Waking { waker } => format!("waking {}", name(waker)),
        What::Wakeup { on, waker } => format!("wakeup {} {}", on.0, name(waker)),
        What::Migrate { from, to } => format!("migrate {} {}", from.0, to.0),
        What::Fork { parent, .. } => format!("fork {}", name(parent)),
        What::Exit => "exit".to_owned(),
        What::Lost { events } => format!("lost {events}"),
        What::Counter { name, value } => format!("{} {value}", tables.text_of(name)),
        other => format!("{other:?}"),
    };
    // A line that tells a loss has no time.
    let is_loss = matches!(event.what(), What::Lost { .. });
    let time_ns = if is_loss { 0 } else { event.time_ns };
    format!("{time_ns} cpu {} {} {what}", event.cpu.0, name(event.task))
}

/// Names that could be taken for something else.
const NAMES: [&str; 8] = [
    "worker",
    "a b",
    "kworker/0:1-[x]",
    "[000] d..2. 1.5:",
    "x prev_pid=3",
    "a==>b",
    "comm=",
    "a:5 [12",
];

fn events() -> impl Strategy<Value = (Tables, Vec<Event>)> {
    let one = (0..8_u8, 0..4_u32, 0..8_u32, 0..8_u32, 0..12_usize, 1..2_000_000_000_u64);
    prop::collection::vec(one, 1..60).prop_map(|all| {
        let mut tables = Tables::default();
        for (i, name) in NAMES.iter().enumerate() {
            let (name, pid) = (tables.text(name), i as i32 + 10);
            tables.task(TaskInfo { pid, tgid: 10, name, ..TaskInfo::default() });
        }
        let letters = ["S", "R", "D", "R+", "T", "t", "X", "Z", "P", "I", "S", "R"];
        let (mut now, mut events, mut born) = (0, Vec::new(), 9);
        for (kind, cpu, a, b, letter, ns) in all {
            now += ns;
            let (cpu, task, other) = (CpuNumber(cpu), TaskRef(a), TaskRef(b));
            let what = match kind {
                // Nobody leaves a CPU in some way.
                0 if other == TaskRef::NONE => {
                    What::Switch { from: other, leaves: Leaves::Runnable }
                }
                0 => What::Switch { from: other, leaves: Leaves::from_letter(letters[letter]) },
                1 => What::Waking { waker: other },
                2 => What::Wakeup { on: CpuNumber(b), waker: other },
                3 => What::Migrate { from: cpu, to: CpuNumber(b) },
                4 => What::Exit,
                5 => What::Lost { events: ns },
                6 => What::Counter { name: tables.text("cpu_frequency"), value: ns },
                _ => What::Fork { parent: other, partners: 0 },
            };
            let task = match what {
                What::Lost { .. } | What::Counter { .. } => TaskRef::NONE,
                What::Switch { .. } => task,
                What::Fork { .. } => {
                    born += 1;
                    let name = tables.text("child");
                    let (pid, start_ns) = (born + 100, now);
                    tables.task(TaskInfo { pid, tgid: pid, start_ns, name, ..TaskInfo::default() })
                }
                _ if task == TaskRef::NONE => TaskRef(1),
                _ => task,
            };
            events.push(Event::new(now, cpu, task, what));
        }
        (tables, events)
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read((tables, events) in events()) {
        let mut output = Output::new(Form::Ftrace, Vec::new(), &MachineFacts::default()).unwrap();
        output.write(&tables, &events).unwrap();
        let text = output.finish().unwrap();
        let (found_tables, found, problems) = read(&text);
        prop_assert_eq!(problems, Vec::<String>::new());
        let expected: Vec<_> = events.iter().map(|event| told(event, &tables)).collect();
        let found: Vec<_> = found.iter().map(|event| told(event, &found_tables)).collect();
        prop_assert_eq!(found, expected, "{}", String::from_utf8_lossy(&text));
    }

    #[test]
    fn damaged_text_does_no_harm(
        (tables, events) in events(), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..9),
    ) {
        let mut output = Output::new(Form::Ftrace, Vec::new(), &MachineFacts::default()).unwrap();
        output.write(&tables, &events).unwrap();
        let mut text = output.finish().unwrap();
        let head = b"# tracer: nop\n".len();
        for (at, byte) in changes {
            let at = head + at.index(text.len() - head);
            text[at] = byte;
        }
        let (_, found, _) = read(&text);
        prop_assert!(found.len() <= events.len() + 9);
    }
}

#[test]
fn what_can_not_be_read_is_told_with_its_place() {
    let text = "# tracer: nop\n  a-5 [000] d..2. 1.000000: sched_switch: prev_comm=a\n\
                b-6 [000] d..2. 0.500000: sched_waking: comm=c pid=7 prio=120 target_cpu=000\n\
                b-6 [000] d..2. 0.400000: sched_waking: comm=c pid=7 prio=120 target_cpu=000\n";
    let (_, events, problems) = read(text.as_bytes());
    assert_eq!(events.len(), 2);
    let end = text.len();
    let late = format!("byte {end}: 1 events stand after younger ones");
    assert_eq!(problems, ["byte 14: sched_switch says something else than usual", &late]);
    let long = format!(
        "# tracer: nop\n{}\nb-6 [000] 1.5: sched_process_exit: comm=c pid=7 p\n",
        "x".repeat(100_000)
    );
    let (_, events, problems) = read(long.as_bytes());
    assert_eq!((events.len(), problems.len()), (1, 1));
}

#[test]
fn only_who_was_born_is_woken_as_new_and_on_the_cpu_where_it_was() {
    let mut tables = Tables::default();
    let mut task = |pid, name: &str| {
        let name = tables.text(name);
        tables.task(TaskInfo { pid, tgid: pid, name, ..TaskInfo::default() })
    };
    let (a, b, none) = (task(5, "a"), task(6, "b"), TaskRef::NONE);
    let at = |ns, cpu, task, what| Event::new(ns, CpuNumber(cpu), task, what);
    let wakeup = |waker| What::Wakeup { on: CpuNumber(1), waker };
    let events = [
        at(1, 3, a, What::Switch { from: none, leaves: Leaves::Runnable }),
        at(2, 3, none, What::Switch { from: a, leaves: Leaves::Sleeping }),
        at(3, 0, a, wakeup(none)),
        at(4, 1, b, What::Fork { parent: a, partners: 0 }),
        at(5, 1, b, wakeup(a)),
        at(6, 0, a, What::Waking { waker: none }),
    ];
    let mut output = Output::new(Form::Ftrace, Vec::new(), &MachineFacts::default()).unwrap();
    output.write(&tables, &events).unwrap();
    let text = String::from_utf8(output.finish().unwrap()).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let says: Vec<&str> = lines.map(|line| line.split_once(": ").unwrap().1).collect();
    assert_eq!(says[2], "sched_wakeup: comm=a pid=5 prio=120 target_cpu=001");
    assert_eq!(says[4], "sched_wakeup_new: comm=b pid=6 prio=120 target_cpu=001");
    assert_eq!(says[5], "sched_waking: comm=a pid=5 prio=120 target_cpu=001");
}
