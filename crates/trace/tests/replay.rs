// SPDX-License-Identifier: GPL-2.0-or-later
//! Recordings as workloads: what each task does again, and streams that make no sense.

use proptest::prelude::*;
use rota_events::{CpuNumber, Event, Kind, Leaves, Tables, TaskInfo, TaskRef, TextRef, What};
use rota_topology::{CPUS_MAX, CpuMask};
use rota_trace::{Replay, ReplayError, ReplayOptions};
use rota_workload::{AWAY, EventId, Span, Step, TemplateId, Workload, away};

const NONE: TaskRef = TaskRef::NONE;

/// Tasks 1 to 3, called a, b and c.
fn tables() -> Tables {
    let mut tables = Tables::default();
    for (pid, name) in (1..).zip(["a", "b", "c"]) {
        let name = tables.text(name);
        tables.task(TaskInfo { pid, tgid: pid, name, ..TaskInfo::default() });
    }
    tables
}

fn event(ns: u64, cpu: u32, task: u32, what: What) -> Event {
    Event::new(ns, CpuNumber(cpu), TaskRef(task), what)
}

fn switch(ns: u64, cpu: u32, from: u32, to: u32, leaves: Leaves) -> Event {
    event(ns, cpu, to, What::Switch { from: TaskRef(from), leaves })
}

fn waking(ns: u64, cpu: u32, task: u32, waker: TaskRef) -> Event {
    event(ns, cpu, task, What::Waking { waker })
}

fn replay(events: &[Event]) -> Replay {
    let mut replay = Replay::default();
    events.iter().for_each(|event| replay.add(event));
    replay
}

fn workload(events: &[Event]) -> Workload {
    replay(events).workload(&tables(), &ReplayOptions::default()).unwrap()
}

fn run(ns: u64) -> Step {
    Step::Run(Span::Fixed(ns))
}

fn sleep(ns: u64) -> Step {
    Step::Sleep(Span::Fixed(ns))
}

#[test]
fn a_wake_up_happens_at_the_wakers_cpu_time_whoever_takes_its_cpu() {
    use Leaves::{Preempted, Sleeping};
    let none = NONE.0;
    let events = [
        switch(0, 0, none, 1, Sleeping),
        switch(0, 1, 2, none, Sleeping),
        // Another one takes the CPU for a while.
        switch(30, 0, 1, 3, Preempted),
        switch(50, 0, 3, 1, Preempted),
        waking(60, 0, 2, TaskRef(1)),
        switch(65, 1, none, 2, Sleeping),
        switch(75, 1, 2, none, Sleeping),
        switch(100, 0, 1, 3, Sleeping),
        waking(300, 1, 1, NONE),
        switch(300, 1, none, 1, Sleeping),
        switch(310, 1, 1, none, Sleeping),
    ];
    let found = workload(&events);
    let steps = |at: usize| found.templates[at].program.steps();
    let (a, b) = (EventId(0), EventId(1));
    let again = [run(40), Step::Signal(b, 1), run(40), sleep(200), run(10), Step::Wait(a)];
    assert_eq!(steps(0), again);
    assert_eq!(steps(1), [Step::Wait(b), run(10), Step::Wait(b)]);
    let counts = replay(&events).counts();
    assert_eq!((counts.by_tasks, counts.dependencies, counts.by_interrupts), (1, 1, 1));
}

#[test]
fn who_is_woken_on_the_way_to_sleep_does_not_wait_in_vain() {
    let none = NONE.0;
    let events = [
        switch(0, 0, none, 1, Leaves::Sleeping),
        switch(0, 1, none, 2, Leaves::Sleeping),
        waking(10, 0, 2, TaskRef(1)),
        switch(11, 1, 2, none, Leaves::Sleeping),
        switch(12, 1, none, 2, Leaves::Sleeping),
        switch(20, 1, 2, none, Leaves::Sleeping),
    ];
    let found = workload(&events);
    let (a, b) = (EventId(0), EventId(1));
    let signals = [run(10), Step::Signal(b, 1), run(10), Step::Wait(a)];
    assert_eq!(found.templates[0].program.steps(), signals);
    let waits = [run(11), Step::Wait(b), run(8), Step::Wait(b)];
    assert_eq!(found.templates[1].program.steps(), waits);
}

#[test]
fn who_wakes_others_up_gives_way_at_the_end_of_its_system_call() {
    use Leaves::{Preempted, Sleeping};
    let none = NONE.0;
    let events = |late: u64| {
        [
            switch(0, 1, 2, none, Sleeping),
            switch(0, 0, 3, 1, Sleeping),
            waking(10, 0, 2, TaskRef(1)),
            waking(15, 0, 3, TaskRef(1)),
            switch(15 + late, 0, 1, 3, Preempted),
            switch(20 + late, 0, 3, 2, Sleeping),
            switch(25 + late, 0, 2, 1, Sleeping),
            switch(45 + late, 0, 1, none, Sleeping),
        ]
    };
    let steps = |late| {
        let found = workload(&events(late));
        found.templates[0].program.steps().to_vec()
    };
    let (b, c) = (Step::Signal(EventId(1), 1), Step::Signal(EventId(2), 1));
    let end = Step::Wait(EventId(0));
    // Two wake-ups so close to one another are made by one call.
    assert_eq!(steps(3), [run(10), Step::Call(8), b, run(5), c, run(23), end]);
    // Who is preempted at once is so in its call, and who is so much later is so by something else.
    assert_eq!(steps(0), [run(10), b, run(5), c, run(20), end]);
    assert_eq!(steps(30_000), [run(10), b, run(5), c, run(30_020), end]);
}

#[test]
fn interrupts_do_not_end_a_system_call() {
    // One that wakes others up, so much later each, and gives way to the last.
    let calls = |gaps_ns: &[u64]| {
        let mut events = vec![switch(0, 0, NONE.0, 1, Leaves::Sleeping)];
        let mut at = 10;
        for (gap_ns, woken) in gaps_ns.iter().zip(2..) {
            at += gap_ns;
            events.push(waking(at, 0, woken, TaskRef(1)));
        }
        let last = gaps_ns.len() as u32 + 1;
        events.push(switch(at + 3, 0, 1, last, Leaves::Preempted));
        events.push(switch(at + 5, 0, last, 1, Leaves::Sleeping));
        let call = |step: &Step| match step {
            Step::Call(ns) => Some(*ns - 3),
            _ => None,
        };
        let found = workload(&events);
        found.templates[0].program.steps().iter().filter_map(call).collect::<Vec<_>>()
    };
    let (near, apart) = (2_000, 90_000);
    let many = [[near; 16].as_slice(), &[apart], &[near; 15], &[apart], &[near]].concat();
    assert_eq!(calls(&many), [31 * near + 2 * apart]);
    // Too early, too often, and too far apart: then it is another call.
    assert_eq!(calls(&[&[near; 15], [apart].as_slice()].concat()), [14 * near, 0]);
    assert_eq!(
        calls(&[&[near; 17], [apart].as_slice(), &[apart]].concat()),
        [16 * near + apart, 0]
    );
    assert_eq!(calls(&[&[near; 17], [101_000].as_slice()].concat()), [16 * near, 0]);
}

/// Task 1 wakes task 2, which takes its CPU and sleeps, so many times; in between, it wakes task 3 as
/// often as asked.
fn asks(times: u64, also: u64) -> Vec<Event> {
    use Leaves::{Preempted, Sleeping};
    let mut events = vec![switch(0, 1, 3, NONE.0, Sleeping), switch(0, 0, 2, 1, Sleeping)];
    for i in 0..times {
        let at = 1000 * i;
        events.push(waking(at + 10, 0, 2, TaskRef(1)));
        if i < also {
            events.push(waking(at + 15, 0, 3, TaskRef(1)));
            events.push(switch(at + 16, 1, NONE.0, 3, Sleeping));
            events.push(switch(at + 17, 1, 3, NONE.0, Sleeping));
        }
        events.push(switch(at + 20, 0, 1, 2, Preempted));
        events.push(switch(at + 50, 0, 2, 1, Sleeping));
    }
    events
}

#[test]
fn who_is_preempted_by_whom_it_woke_is_answered() {
    let (a, b) = (EventId(0), EventId(1));
    let events = asks(30, 0);
    let found = workload(&events);
    let steps = |at: usize| found.templates[at].program.steps();
    let again = [run(10), Step::Call(10), Step::Signal(b, 1), run(10), Step::Wait(a)];
    assert_eq!(steps(0)[..5], again);
    let answers = [Step::Wait(b), run(30), Step::Call(10), Step::Signal(a, 1), Step::Wait(b)];
    assert_eq!(steps(1)[..5], answers);
    let counts = replay(&events).counts();
    assert_eq!((counts.answers, counts.by_tasks, counts.dependencies), (30, 30, 30));
    // Twice in thirty it does something else first, which is too often; and ten times show nothing.
    for events in [asks(30, 2), asks(10, 0)] {
        assert_eq!(replay(&events).counts().answers, 0);
        let found = workload(&events);
        let waits = |step: &&Step| **step == Step::Wait(a);
        // But for the end.
        assert_eq!(found.templates[0].program.steps().iter().filter(waits).count(), 1);
    }
}

#[test]
fn who_is_made_in_the_recording_is_made_again() {
    let events = [
        switch(0, 0, NONE.0, 1, Leaves::Sleeping),
        event(10, 0, 2, What::Fork { parent: TaskRef(1), partners: 0 }),
        waking(10, 0, 2, TaskRef(1)),
        switch(15, 0, 1, 2, Leaves::Sleeping),
        event(19, 0, 2, What::Exit),
        switch(20, 0, 2, NONE.0, Leaves::Zombie),
    ];
    let found = workload(&events);
    assert_eq!(found.starts, [TemplateId(0)]);
    let parent = [run(10), Step::Fork(TemplateId(1)), run(5), Step::Wait(EventId(0))];
    assert_eq!(found.templates[0].program.steps(), parent);
    assert_eq!(found.templates[1].program.steps(), [run(5)], "and ends");
}

#[test]
fn sleeps_that_end_by_the_clock_keep_their_times() {
    // Awake each 1,000 ns, for longer and longer.
    let mut events = vec![switch(0, 0, NONE.0, 1, Leaves::Sleeping)];
    for turn in 0..20 {
        let at = turn * 1000;
        events.push(switch(at + 10 + 20 * turn, 0, 1, NONE.0, Leaves::Sleeping));
        events.push(waking(at + 1000, 0, 1, NONE));
        events.push(switch(at + 1000, 0, NONE.0, 1, Leaves::Sleeping));
    }
    let found = workload(&events);
    let steps = found.templates[0].program.steps();
    let timers = steps.iter().filter(|step| matches!(step, Step::Timer(_, p) if p.ns == 1000));
    assert_eq!(timers.count(), 20, "{steps:?}");
}

#[test]
fn who_leaves_unseen_has_slept() {
    let none = NONE.0;
    let events = [
        switch(0, 0, none, 1, Leaves::Sleeping),
        event(50, 0, 1, What::Hidden),
        switch(50, 0, 3, 2, Leaves::Sleeping),
        waking(60, 0, 1, NONE),
        switch(70, 0, 2, 1, Leaves::Sleeping),
        switch(80, 0, 1, none, Leaves::Sleeping),
    ];
    let ran = |at: usize| -> u64 {
        let found = workload(&events);
        let runs = found.templates[at].program.steps().iter().filter_map(|step| match step {
            Step::Run(Span::Fixed(ns)) => Some(*ns),
            _ => None,
        });
        runs.sum()
    };
    assert_eq!((ran(0), ran(1)), (10, 20));
    // Nobody has had the CPU since the recording began, whom it was taken from unseen.
    let third = workload(&events).templates.iter().any(|template| template.name == "c");
    assert!(!third);
}

#[test]
fn cpus_are_those_of_the_recording() {
    let none = NONE.0;
    let may = |ns, task, cpus, first| event(ns, 0, task, What::Affinity { cpus, first });
    let events = [
        may(0, 1, 1, 2),
        switch(0, 0, none, 1, Leaves::Sleeping),
        // It has its parent's, and then all; those of the third go on beyond the 64 that are told.
        event(10, 0, 2, What::Fork { parent: TaskRef(1), partners: 0 }),
        may(20, 3, 66, 7),
        event(20, 0, 3, What::Fork { parent: TaskRef(1), partners: 0 }),
        switch(30, 0, 1, 2, Leaves::Sleeping),
        switch(40, 0, 2, 3, Leaves::Preempted),
        may(50, 2, 70, u64::MAX),
        switch(50, 0, 3, 2, Leaves::Sleeping),
        may(60, 3, 2, 5),
        switch(60, 0, 2, 3, Leaves::Sleeping),
        switch(70, 0, 3, none, Leaves::Sleeping),
    ];
    let found = workload(&events);
    let list = |mask: &CpuMask| mask.to_string();
    let at_first = [0, 1, 2].map(|at| found.templates[at].cpus.as_ref().map(list));
    assert_eq!(at_first, [Some("1".to_owned()), Some("1".to_owned()), None]);
    let then = [1, 2].map(|at| found.templates[at].program.mask(0).map(CpuMask::count));
    assert_eq!(then, [Some(CPUS_MAX), Some(2)]);
    assert!(found.templates[0].program.mask(0).is_none());
    let b = [run(10), Step::Cpus(0), run(10), Step::Wait(EventId(1))];
    assert_eq!(found.templates[1].program.steps(), b);
}

#[test]
fn nice_values_are_those_of_the_recording() {
    let none = NONE.0;
    let weight = |ns, task, nice, weight| event(ns, 0, task, What::Weight { nice, weight });
    let events = [
        weight(0, 1, 5, 33),
        switch(0, 0, none, 1, Leaves::Sleeping),
        event(10, 0, 2, What::Fork { parent: TaskRef(1), partners: 0 }),
        // What is told of a child before its birth is known of it.
        weight(20, 3, 0, 1),
        event(20, 0, 3, What::Fork { parent: TaskRef(2), partners: 0 }),
        switch(30, 0, 1, 2, Leaves::Sleeping),
        weight(40, 2, 7, 21),
        switch(40, 0, 2, 3, Leaves::Preempted),
        weight(50, 2, -90, 9999),
        switch(50, 0, 3, 2, Leaves::Sleeping),
        switch(60, 0, 2, none, Leaves::Sleeping),
    ];
    let found = workload(&events);
    assert_eq!([0, 1, 2].map(|at| found.templates[at].nice), [5, 7, 19]);
    let b = [run(10), Step::Nice(-20), run(10), Step::Wait(EventId(1))];
    assert_eq!(found.templates[1].program.steps(), b);
    // Who comes before all of them does so from its beginning, unless another nice value is wanted.
    let mut first = events.to_vec();
    first.insert(7, weight(40, 2, -70, 0));
    assert_eq!([0, 1, 2].map(|at| workload(&first).templates[at].realtime), [false, true, false]);
    let options = ReplayOptions { nice: vec![("b".into(), 1)], ..ReplayOptions::default() };
    let other = replay(&first).workload(&tables(), &options).unwrap();
    assert_eq!((other.templates[1].realtime, other.templates[1].nice), (false, 1));
    // Who is not told of has its parent's.
    let born: Vec<_> =
        events.iter().filter(|e| e.kind != Kind::Weight || e.task.0 == 1).copied().collect();
    assert_eq!([0, 1].map(|at| workload(&born).templates[at].nice), [5, 5]);
    let options = ReplayOptions { nice: vec![("b".into(), 1)], ..ReplayOptions::default() };
    let other = replay(&events).workload(&tables(), &options).unwrap();
    assert_eq!([0, 1, 2].map(|at| other.templates[at].nice), [5, 1, 19]);
    assert!(!other.templates[1].program.steps().iter().any(|step| matches!(step, Step::Nice(_))));
}

#[test]
fn who_is_made_has_the_partners_of_its_maker() {
    let none = NONE.0;
    let events = [
        switch(0, 0, none, 1, Leaves::Sleeping),
        event(10, 0, 2, What::Fork { parent: TaskRef(1), partners: 14 }),
        switch(20, 0, 1, 2, Leaves::Sleeping),
        switch(30, 0, 2, none, Leaves::Sleeping),
    ];
    let found = workload(&events);
    assert_eq!([0, 1].map(|at| found.templates[at].partners), [0, 14]);
}

/// Task 2 is woken up on CPU 1 while task 1 runs on CPU 0, and runs there so many ns later.
fn woken_from_afar(late_ns: impl Fn(u64) -> u64) -> bool {
    let none = NONE.0;
    let mut events = Vec::new();
    for turn in 0..25 {
        let at = turn * 10_000_000;
        let runs = at + late_ns(turn);
        events.extend([
            switch(at, 0, none, 1, Leaves::Sleeping),
            event(at + 1000, 1, 2, What::Waking { waker: NONE }),
            switch(runs, 0, 1, 2, Leaves::Preempted),
            switch(runs + 1000, 0, 2, 1, Leaves::Sleeping),
            switch(at + 9_000_000, 0, 1, none, Leaves::Sleeping),
        ]);
    }
    replay(&events).preempts_at_once()
}

#[test]
fn whether_a_kernel_preempts_at_once_is_seen() {
    assert!(woken_from_afar(|_| 30_000));
    assert!(!woken_from_afar(|turn| 100_000 + turn * 160_000), "at the next tick");
    assert!(!woken_from_afar(|turn| if turn < 19 { 30_000 } else { 8_500_000 }), "too few");
    assert!(woken_from_afar(|turn| if turn < 20 { 30_000 } else { 4_000_000 }));
}

#[test]
fn whoever_ran_meanwhile_or_was_chosen_by_a_scheduler_shows_nothing() {
    let none = NONE.0;
    let between = |what: What, cpu: u32| {
        let mut events = vec![event(0, cpu, none, what)];
        for turn in 1..30 {
            let at = turn * 10_000_000;
            events.extend([
                switch(at, 0, none, 1, Leaves::Sleeping),
                event(at + 1000, cpu, 2, What::Waking { waker: NONE }),
                event(at + 2000, 0, none, what),
                switch(at + 3000, 0, 1, 2, Leaves::Preempted),
                switch(at + 4000, 0, 2, none, Leaves::Sleeping),
            ]);
        }
        replay(&events).preempts_at_once()
    };
    assert!(between(What::Idle, 1));
    assert!(!between(What::Idle, 0), "by an interrupt of the same CPU");
    assert!(!between(What::Lost { events: 1 }, 1));
    assert!(!between(What::Attach { scheduler: TextRef(0) }, 1));
}

#[test]
fn what_can_not_be_replayed_is_said() {
    let empty = Replay::default().workload(&tables(), &ReplayOptions::default());
    assert_eq!(empty, Err(ReplayError::Empty));
    let events =
        [switch(0, 0, 1, NONE.0, Leaves::Sleeping), switch(9, 0, NONE.0, 1, Leaves::Sleeping)];
    let more = [switch(20, 0, 1, NONE.0, Leaves::Sleeping)];
    let options = ReplayOptions { nice: vec![("z".into(), 1)], ..ReplayOptions::default() };
    let wrong = replay(&[&events[..], &more].concat()).workload(&tables(), &options);
    assert_eq!(wrong, Err(ReplayError::NoTask("z".into())));
}

fn send(ns: u64, cpu: u32, task: u32, bytes: u32) -> Event {
    event(ns, cpu, task, What::Send { channel: 9, bytes })
}

fn receive(ns: u64, cpu: u32, task: u32, bytes: u32) -> Event {
    event(ns, cpu, task, What::Receive { channel: 9, bytes })
}

#[test]
fn who_receives_waits_for_what_was_sent_asleep_or_not() {
    use Leaves::Sleeping;
    let none = NONE.0;
    let events = [
        switch(0, 0, none, 1, Sleeping),
        switch(0, 1, 2, none, Sleeping),
        // The first one wakes the receiver up, which finds the second one, and a half of the third.
        waking(10, 0, 2, TaskRef(1)),
        send(12, 0, 1, 100),
        switch(15, 1, none, 2, Sleeping),
        send(30, 0, 1, 100),
        send(40, 0, 1, 100),
        receive(50, 1, 2, 100),
        receive(60, 1, 2, 150),
        receive(70, 1, 2, 50),
        switch(75, 1, 2, none, Sleeping),
        switch(90, 0, 1, none, Sleeping),
    ];
    let found = workload(&events);
    let (a, b, messages) = (EventId(0), EventId(1), EventId(2));
    let (sent, wait) = (Step::Signal(messages, 1), Step::Wait(messages));
    let sender = [run(10), sent, run(2), run(18), sent, run(10), sent, run(50), Step::Wait(a)];
    assert_eq!(found.templates[0].program.steps(), sender);
    let receiver = [wait, run(35), run(10), wait, wait, run(10), run(5), Step::Wait(b)];
    assert_eq!(found.templates[1].program.steps(), receiver);
    let mut again = replay(&events);
    again.finish();
    let counts = again.counts();
    assert_eq!((counts.by_tasks, counts.dependencies, counts.messages), (1, 1, 2));
}

/// Task 1 on CPU 0 sends two messages a turn, of 1 us each, and by the second wakes up task 2 on CPU 1,
/// which takes it 3 us more. Task 2 receives both, 1 us each, and having slept takes it 2 us more. In
/// each other turn task 3, which runs on CPU 1, is interrupted for that: 10 us more for task 1, and 20
/// for task 3.
fn costly_turn(turn: u64) -> Vec<Event> {
    use Leaves::{Preempted, Sleeping};
    let (at, kicks) = (turn * 200_000, turn.is_multiple_of(2));
    let wake = at + 1_500;
    let sent = wake + 500 + 3_000 + if kicks { 10_000 } else { 0 };
    let (runs, leaves) = if kicks { (wake + 20_000, Preempted) } else { (wake + 60_000, Sleeping) };
    let received = runs + 500 + 2_000;
    let mut events = vec![
        switch(at, 0, 4, 1, Preempted),
        send(at + 1_000, 0, 1, 1),
        waking(wake, 0, 2, TaskRef(1)),
        send(sent, 0, 1, 1),
        switch(sent, 0, 1, 4, Preempted),
        switch(runs, 1, 3, 2, leaves),
        receive(received, 1, 2, 1),
        receive(received + 1_000, 1, 2, 1),
        switch(received + 1_500, 1, 2, 3, Sleeping),
    ];
    if !kicks {
        events.push(waking(received, 1, 3, NONE));
    }
    events.sort_by_key(|event| event.time_ns);
    events
}

/// How long a task runs in all.
fn ran_ns(workload: &Workload, task: usize) -> u64 {
    let ran = workload.templates[task].program.steps().iter().map(|step| match step {
        Step::Run(Span::Fixed(ns)) => *ns,
        _ => 0,
    });
    ran.sum()
}

#[test]
fn what_waking_and_sleeping_take_is_not_in_run_times() {
    let turns: Vec<Event> = (0..100).flat_map(costly_turn).collect();
    let mut seen = replay(&turns);
    seen.finish();
    let costs = seen.costs();
    assert_eq!((costs.kick_ns, costs.kicked_ns), (10_000, 20_000));
    assert_eq!((costs.wake_ns, costs.sleep_ns), ([0, 3_000], [[0; AWAY], [2_000; AWAY]]));
    assert_eq!(costs.free_ns, costs.wake_ns, "nobody made room");
    let found = workload(&turns);
    let (message, before) = (found.events[4], found.events[0]);
    assert_eq!((message.wake_ns, message.sleep_ns), (costs.wake_ns, costs.sleep_ns));
    assert_eq!((before.wake_ns, before.sleep_ns), ([0; 2], [[0; AWAY]; 2]), "only messages");
    for at in [0, 1] {
        let ran = ran_ns(&found, at);
        assert!(ran.abs_diff(100 * 2_000) <= 5_000, "task {at} runs {ran} ns");
    }
    let few: Vec<Event> = (0..30).flat_map(costly_turn).collect();
    let mut seen = replay(&few);
    seen.finish();
    assert_eq!((seen.costs().kick_ns, seen.costs().kicked_ns), (0, 0), "15 are too few");
}

/// Task 1 sends two messages a turn, of 1 us each, and by the second wakes up task 2 on the same CPU,
/// which receives both, 1 us each; having slept takes it so much more.
fn turn_after_sleep(at: u64, slept_ns: u64) -> Vec<Event> {
    use Leaves::Sleeping;
    let received = at + 10_000 + 500 + slept_ns;
    vec![
        switch(at, 0, NONE.0, 1, Sleeping),
        send(at + 1_500, 0, 1, 1),
        waking(at + 2_000, 0, 2, TaskRef(1)),
        send(at + 2_500, 0, 1, 1),
        switch(at + 10_000, 0, 1, 2, Sleeping),
        receive(received, 0, 2, 1),
        receive(received + 1_000, 0, 2, 1),
        switch(received + 1_500, 0, 2, NONE.0, Sleeping),
        waking(received + 90_000, 0, 1, NONE),
    ]
}

/// Having slept for 1 ms takes 1 us, and for 31 ms, as in each third turn, 5 us.
#[test]
fn who_slept_for_longer_takes_longer() {
    let turn = |turn: u64| {
        let at = turn * 1_000_000 + turn.div_ceil(3) * 30_000_000;
        turn_after_sleep(at, if turn % 3 == 1 { 5_000 } else { 1_000 })
    };
    let turns: Vec<Event> = (0..90).flat_map(turn).collect();
    let mut seen = replay(&turns);
    seen.finish();
    let [here, elsewhere] = seen.costs().sleep_ns;
    let (short, long) = (away(990_000), away(30_990_000));
    assert!(short + 1 < long);
    assert!(here[short].abs_diff(1_000) <= 500, "{here:?}");
    assert_eq!(here[long] - here[short], 4_000, "{here:?}");
    assert!(here[..long].iter().all(|ns| *ns == here[short]), "the shorter one fills: {here:?}");
    assert!(here[long..].iter().all(|ns| *ns == here[long]), "{here:?}");
    assert_eq!(elsewhere, [0; AWAY]);
}

/// Having slept takes 1 us, each fourth time 9, and once 500: that is an interrupt.
#[test]
fn what_is_taken_out_of_run_times_is_taken_again() {
    let slept_ns = |turn: u64| match turn {
        50 => 500_000,
        _ if turn.is_multiple_of(4) => 9_000,
        _ => 1_000,
    };
    let turns: Vec<Event> =
        (0..64).flat_map(|turn| turn_after_sleep(turn * 1_000_000, slept_ns(turn))).collect();
    let mut seen = replay(&turns);
    seen.finish();
    let [here, _] = seen.costs().sleep_ns;
    let cost_ns = u64::from(here[away(990_000)]);
    // The mean of all but that is 2.9 us. Of who took 1 us more, 2 us in all can be taken.
    assert!((2_000..2_700).contains(&cost_ns), "{cost_ns}");
    assert!(here.iter().all(|ns| u64::from(*ns) == cost_ns), "it fills the others: {here:?}");
    let ran = ran_ns(&workload(&turns), 1);
    let whole: u64 = (0..64).map(|turn| 2_000 + slept_ns(turn)).sum();
    let again: u64 = ran + 64 * cost_ns;
    assert!(again.abs_diff(whole) <= 64, "{again} of {whole}, each {cost_ns}");
}

/// Task 2 receives messages from 6 tasks that sleep until there is room, and wakes them up one after the
/// other, which takes 2 us of each that is on its own CPU, and 3 us of the others.
#[test]
fn making_room_takes_what_it_takes_between_two_who_wake_up() {
    use Leaves::{Preempted, Sleeping};
    let mut events = Vec::new();
    for turn in 0..30_u64 {
        let at = turn * 1_000_000;
        let mut now = at + 500_000;
        for sender in 11..=16 {
            let cpu = 1 + sender % 2;
            let time = at + 1_000 * u64::from(sender);
            events.push(switch(time, cpu, NONE.0, sender, Sleeping));
            events.push(send(time + 500, cpu, sender, 7));
            events.push(switch(time + 600, cpu, sender, NONE.0, Sleeping));
        }
        events.push(switch(now, 1, NONE.0, 2, Sleeping));
        for sender in 11..=16 {
            now += 2_000;
            events.push(waking(now, 1, sender, TaskRef(2)));
            now += if sender % 2 == 0 { 0 } else { 1_000 };
        }
        events.extend((0..6).map(|n| receive(now + 100 + n, 1, 2, 7)));
        events.push(switch(now + 1_000, 1, 2, NONE.0, Preempted));
    }
    events.sort_by_key(|event| event.time_ns);
    let mut seen = replay(&events);
    seen.finish();
    assert_eq!(seen.costs().free_ns, [2_000, 3_000]);
}

#[test]
fn who_had_no_room_waits_for_room_where_there_is_none() {
    use Leaves::Sleeping;
    // Task 1 sends 8 messages, and sleeps until task 2 has received 6 of them.
    let mut events = vec![switch(0, 0, NONE.0, 1, Sleeping), switch(0, 1, NONE.0, 2, Sleeping)];
    events.extend((1..=8).map(|n| send(10 * n, 0, 1, 7)));
    events.push(switch(85, 0, 1, NONE.0, Sleeping));
    events.extend((1..=5).map(|n| receive(100 + n, 1, 2, 7)));
    events.extend([waking(106, 1, 1, TaskRef(2)), receive(107, 1, 2, 7)]);
    events.push(switch(110, 0, NONE.0, 1, Sleeping));
    events.push(send(115, 0, 1, 7));
    events.extend((1..=3).map(|n| receive(120 + n, 1, 2, 7)));
    events.push(switch(130, 0, 1, NONE.0, Sleeping));
    let found = workload(&events);
    let room = found.events[3];
    assert_eq!((room.initial, room.wakes_at), (8, 5), "what is received counts when it is");
    let steps = found.templates[0].program.steps();
    let (taken, sent) = (Step::Wait(EventId(3)), Step::Signal(EventId(2), 1));
    assert_eq!(steps[..3], [taken, run(10), sent]);
    let end = [run(5), taken, run(5), sent, run(15), Step::Wait(EventId(0))];
    assert_eq!(steps[steps.len() - 6..], end);
    let freed = found.templates[1].program.steps().iter();
    assert_eq!(freed.filter(|step| **step == Step::Signal(EventId(3), 1)).count(), 9);
}

#[test]
fn who_is_slow_to_say_that_it_has_sent_has_sent_before() {
    // Task 2 receives what task 1 says only later, and what was sent before the recording.
    let switches =
        [switch(0, 0, NONE.0, 1, Leaves::Sleeping), switch(0, 1, NONE.0, 2, Leaves::Sleeping)];
    let ends = [
        switch(200_000, 0, 1, NONE.0, Leaves::Sleeping),
        switch(200_000, 1, 2, NONE.0, Leaves::Sleeping),
    ];
    let waits = |messages: &[Event]| {
        let found = workload(&[&switches[..], messages, &ends].concat());
        let steps = found.templates[1].program.steps().iter();
        steps.filter(|step| **step == Step::Wait(EventId(2))).count()
    };
    assert_eq!(waits(&[receive(100, 1, 2, 5), send(110, 0, 1, 5)]), 1);
    assert_eq!(waits(&[receive(100, 1, 2, 5), send(100_000, 0, 1, 5)]), 0, "too late");
    let other = send(105, 0, 1, 5);
    assert_eq!(waits(&[receive(100, 1, 2, 5), other, send(110, 0, 1, 5)]), 1, "of the first");
}

#[test]
fn who_is_interrupted_between_waking_up_and_sending_has_sent_before() {
    use Leaves::Sleeping;
    let none = NONE.0;
    // The receiver has what it was woken up for long before the sender says so, and the next message.
    let events = [
        switch(0, 0, none, 1, Sleeping),
        switch(0, 1, 2, none, Sleeping),
        waking(10, 0, 2, TaskRef(1)),
        switch(15, 1, none, 2, Sleeping),
        receive(20, 1, 2, 5),
        switch(30, 1, 2, none, Sleeping),
        send(1_400_000, 0, 1, 5),
        waking(1_400_010, 0, 2, TaskRef(1)),
        send(1_400_012, 0, 1, 5),
        switch(1_400_020, 1, none, 2, Sleeping),
        receive(1_400_025, 1, 2, 5),
        switch(1_400_030, 1, 2, none, Sleeping),
        switch(1_400_040, 0, 1, none, Sleeping),
    ];
    let found = workload(&events);
    let wait = Step::Wait(EventId(2));
    let receiver = [wait, run(5), run(10), wait, run(5), run(5), Step::Wait(EventId(1))];
    assert_eq!(found.templates[1].program.steps(), receiver);
    let sent = found.templates[0].program.steps().iter();
    assert_eq!(sent.filter(|step| **step == Step::Signal(EventId(2), 1)).count(), 2);
}

fn any_bytes() -> impl Strategy<Value = u32> {
    prop_oneof![8 => 0..5_u32, 1 => any::<u32>()]
}

fn any_event() -> impl Strategy<Value = Event> {
    let task = || prop_oneof![8 => 0..6_u32, 1 => any::<u32>()];
    let leaves = prop_oneof![
        Just(Leaves::Sleeping),
        Just(Leaves::Runnable),
        Just(Leaves::Preempted),
        Just(Leaves::Zombie)
    ];
    let what = prop_oneof![
        4 => (task(), leaves).prop_map(|(from, leaves)| What::Switch { from: TaskRef(from), leaves }),
        4 => task().prop_map(|waker| What::Waking { waker: TaskRef(waker) }),
        1 => (task(), 0..40_u32)
            .prop_map(|(parent, partners)| What::Fork { parent: TaskRef(parent), partners }),
        1 => Just(What::Exit),
        1 => any::<u64>().prop_map(|events| What::Lost { events }),
        1 => Just(What::Hidden),
        1 => (0..70_u32, any::<u64>()).prop_map(|(cpus, first)| What::Affinity { cpus, first }),
        2 => (0..3_u64, any_bytes()).prop_map(|(channel, bytes)| What::Send { channel, bytes }),
        2 => (0..3_u64, any_bytes()).prop_map(|(channel, bytes)| What::Receive { channel, bytes }),
        1 => (any::<i32>(), 0..200_u32).prop_map(|(nice, weight)| What::Weight { nice, weight }),
    ];
    let time = prop_oneof![8 => 0..10_000_u64, 1 => any::<u64>()];
    (time, 0..4_u32, task(), what).prop_map(|(ns, cpu, task, what)| event(ns, cpu, task, what))
}

proptest! {
    /// Any stream: no panic, at most so many pieces for an event, every name stands for something, and
    /// nobody waits for what never comes.
    #[test]
    fn whatever_a_stream_says(events in prop::collection::vec(any_event(), 0..300), sorted: bool) {
        let mut events = events;
        if sorted {
            events.sort_by_key(|event| event.time_ns);
        }
        let mut made = replay(&events);
        made.finish();
        let counts = made.counts();
        prop_assert!(counts.dependencies <= counts.by_tasks);
        let Ok(found) = made.workload(&tables(), &ReplayOptions::default()) else { return Ok(()) };
        let mut left: Vec<i64> = found.events.iter().map(|event| event.initial.into()).collect();
        let (mut all, mut signals) = (0, 0);
        for step in found.templates.iter().flat_map(|template| template.program.steps()) {
            all += 1;
            match step {
                Step::Wait(event) => {
                    prop_assert!((event.0 as usize) < found.events.len());
                    left[event.0 as usize] -= 1;
                }
                Step::Signal(event, times) => {
                    prop_assert!((event.0 as usize) < found.events.len());
                    left[event.0 as usize] += i64::from(*times);
                    signals += u64::from((event.0 as usize) < found.templates.len());
                }
                Step::Fork(kind) => prop_assert!((kind.0 as usize) < found.templates.len()),
                _ => {}
            }
        }
        prop_assert!(all <= 6 * events.len() + found.templates.len());
        // Who was there at the end waits once more.
        let own = |event: usize| if event < found.templates.len() { -1 } else { 0 };
        prop_assert!(left.iter().enumerate().all(|(event, left)| *left >= own(event)), "{left:?}");
        let messages = |event: &Event| matches!(event.what(), What::Receive { .. });
        prop_assert!(signals <= counts.dependencies);
        prop_assert!(signals == counts.dependencies || events.iter().any(messages));
    }
}
