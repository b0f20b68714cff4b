// SPDX-License-Identifier: GPL-2.0-or-later
//! Metrics against cases by hand, and against a second, slow computation of them.

use proptest::prelude::*;
use rota_events::{
    Activity, CpuNumber, CpuPlace, Distance, Event, Histogram, Leaves, SpanKind, Spans, Summary,
    Tables, TaskInfo, TaskRef, TextRef, What,
};
use std::collections::BTreeMap;

const NONE: TaskRef = TaskRef::NONE;
const A: TaskRef = TaskRef(1);
const B: TaskRef = TaskRef(2);

/// Four CPUs: two threads of a core, another core beside it, and one on another node.
fn places() -> Vec<CpuPlace> {
    let place = |core, llc, node| CpuPlace { core, llc, node };
    vec![place(0, 0, 0), place(0, 0, 0), place(1, 0, 0), place(2, 1, 1)]
}

fn at(time_ns: u64, cpu: u32, task: TaskRef, what: What) -> Event {
    Event::new(time_ns, CpuNumber(cpu), task, what)
}

fn wake(time_ns: u64, task: TaskRef) -> Event {
    at(time_ns, 0, task, What::Waking { waker: NONE })
}

/// A switch away from a task that goes to sleep, or from none.
fn sleep(time_ns: u64, cpu: u32, from: TaskRef, to: TaskRef) -> Event {
    at(time_ns, cpu, to, What::Switch { from, leaves: Leaves::Sleeping })
}

/// A switch away from a task that still wants to run.
fn preempt(time_ns: u64, cpu: u32, from: TaskRef, to: TaskRef) -> Event {
    at(time_ns, cpu, to, What::Switch { from, leaves: Leaves::Runnable })
}

fn summary(events: &[Event], end_ns: u64) -> Summary {
    let mut activity = Activity::new(&places());
    events.iter().for_each(|event| activity.add(event));
    activity.summary(end_ns)
}

#[test]
fn latency_is_from_runnable_to_running() {
    let events = [
        wake(0, A),
        at(3, 0, A, What::Wakeup { on: CpuNumber(0), waker: NONE }),
        sleep(10, 0, NONE, A),
        wake(20, B),
        wake(25, B),
        preempt(50, 0, A, B),
        sleep(80, 0, B, A),
        sleep(90, 0, A, NONE),
    ];
    let found = summary(&events, 100);
    let (a, b) = (&found.tasks[&A], &found.tasks[&B]);
    assert_eq!((a.run_ns, a.wait_ns, a.wakeups, a.switches, a.preemptions), (50, 40, 1, 2, 1));
    assert_eq!((b.run_ns, b.wait_ns, b.wakeups, b.switches, b.preemptions), (30, 30, 1, 1, 0));
    assert_eq!(a.latency.buckets().collect::<Vec<_>>(), [(10, 1), (30, 1)]);
    let cpus: Vec<_> = found.cpus.values().map(|cpu| (cpu.busy_ns, cpu.idle_ns)).collect();
    assert_eq!(cpus, [(80, 20), (0, 100), (0, 100), (0, 100)]);
    assert_eq!(found.machine().utilisation(), 0.2);
}

#[test]
fn what_ran_at_the_start_has_run_from_the_start() {
    let events = [wake(10, B), sleep(30, 1, A, NONE), preempt(40, 0, NONE, B)];
    let found = summary(&events, 60);
    assert_eq!((found.tasks[&A].run_ns, found.tasks[&A].switches), (20, 0));
    assert_eq!((found.tasks[&B].run_ns, found.tasks[&B].preemptions), (20, 0));
    assert_eq!(found.cpus[&CpuNumber(1)].busy_ns, 20);
}

#[test]
fn a_wait_without_an_end_is_told() {
    let found = summary(&[wake(0, A), wake(100, B), sleep(150, 0, NONE, B)], 400);
    let (a, total) = (&found.tasks[&A], found.total());
    assert_eq!((a.waiting_ns, a.wait_ns, a.latency.count()), (400, 400, 0));
    assert_eq!((total.waiting_ns, total.wait_ns, total.latency.count()), (400, 450, 1));
}

#[test]
fn giving_way_is_no_preemption() {
    let yields = at(20, 0, A, What::Yield { to: NONE });
    let tick = at(30, 0, A, What::Tick { slice_ns: 0 });
    let given_way = [sleep(0, 0, NONE, A), yields, preempt(20, 0, A, B)];
    let went_on = [sleep(0, 0, NONE, A), yields, tick, preempt(40, 0, A, B)];
    let counts = |events| {
        let found = summary(events, 50);
        (found.tasks[&A].yields, found.tasks[&A].preemptions)
    };
    assert_eq!([counts(&given_way), counts(&went_on)], [(1, 0), (1, 1)]);
}

#[test]
fn migrations_have_distances() {
    let hops = [0, 1, 2, 3, 3, 9].map(|cpu| {
        let time = 10 * u64::from(cpu);
        [wake(time, A), sleep(time, cpu, NONE, A), sleep(time + 5, cpu, A, NONE)]
    });
    let found = summary(hops.as_flattened(), 100);
    assert_eq!(found.tasks[&A].migrations, [1, 1, 0, 1, 1]);
    assert_eq!(found.tasks[&A].migrations_all(), 4);
    let same_node = Distance::between(
        &[CpuPlace::default(), CpuPlace { core: 1, llc: 1, node: 0 }],
        CpuNumber(0),
        CpuNumber(1),
    );
    assert_eq!(same_node.name(), "node");
}

#[test]
fn what_is_lost_is_not_made_up() {
    let lost = at(50, 0, NONE, What::Lost { events: 7 });
    let events = [sleep(0, 0, NONE, A), wake(10, B), lost, sleep(80, 0, B, A), wake(90, B)];
    let found = summary(&events, 100);
    let cpu = found.cpus[&CpuNumber(0)];
    assert_eq!((cpu.busy_ns, cpu.unknown_ns, found.lost), (70, 30, 7));
    assert_eq!((found.total().latency.count(), found.tasks[&B].waiting_ns), (0, 10));
}

#[test]
fn waits_go_on_where_a_switch_is_hidden() {
    // Somebody has taken the CPU from A at some time before 50, and hands it to B.
    let hidden = at(50, 0, A, What::Hidden);
    let events = [sleep(0, 0, NONE, A), wake(10, B), hidden, sleep(50, 0, TaskRef(3), B)];
    let found = summary(&events, 100);
    assert_eq!((found.total().latency.quantile(1, 1), found.lost), (40, 0));
    // How much of the 50 it had is not known.
    let cpu = found.cpus[&CpuNumber(0)];
    assert_eq!((cpu.busy_ns, cpu.unknown_ns, cpu.idle_ns), (50, 50, 0));
    assert_eq!((found.tasks[&A].run_ns, found.tasks[&B].run_ns), (0, 50));
    let mut waits = Vec::new();
    let mut spans = Spans::default();
    for event in events {
        spans.add(&event, &mut |span| waits.push((span.kind, span.ns, span.task)));
    }
    assert_eq!(waits, [(SpanKind::RunQueue, 40, B), (SpanKind::Wake, 40, B)]);
    // Where it runs by then, it goes on, and an idle CPU was not idle for sure.
    let events = [
        sleep(0, 0, NONE, A),
        wake(0, A),
        sleep(20, 1, NONE, A),
        hidden,
        sleep(50, 0, TaskRef(3), NONE),
        at(70, 0, NONE, What::Hidden),
        sleep(70, 0, TaskRef(3), NONE),
        sleep(90, 1, A, NONE),
    ];
    let found = summary(&events, 100);
    assert_eq!(found.tasks[&A].run_ns, 70);
    assert_eq!((found.cpus[&CpuNumber(0)].unknown_ns, found.cpus[&CpuNumber(0)].idle_ns), (70, 30));
    let (mut ran, mut spans) = (Vec::new(), Spans::default());
    for event in events {
        spans.add(&event, &mut |span| ran.push((span.kind, span.ns, span.task)));
    }
    assert!(ran.contains(&(SpanKind::OnCpu, 70, A)), "{ran:?}");
}

#[test]
fn a_cpu_that_is_offline_is_not_idle() {
    let hotplug = |time, online| at(time, 2, NONE, What::Hotplug { online });
    let found = summary(&[wake(0, A), hotplug(10, false), hotplug(40, true)], 100);
    assert_eq!(found.cpus[&CpuNumber(2)].idle_ns, 70);
}

/// Two tasks on one CPU, one of them three times as heavy, and a CPU that nobody uses.
#[test]
fn who_fell_short_of_its_share_is_told() {
    let heavy = at(0, 0, B, What::Weight { nice: -5, weight: 300 });
    let one = [CpuPlace::default()];
    let events = [heavy, wake(0, A), wake(0, B), sleep(0, 0, NONE, A), preempt(50, 0, A, B)];
    let mut activity = Activity::new(&one);
    events.iter().for_each(|event| activity.add(event));
    let found = activity.summary(100);
    let (a, b) = (&found.tasks[&A], &found.tasks[&B]);
    assert_eq!((a.ideal_ns, a.short_ns, b.ideal_ns, b.short_ns), (25, 0, 75, 25));
    assert_eq!((found.unfairness(), found.lost_idle_ns), (0.25, 0));
    // With three CPUs more, both could have had one all the time: who waited, waited for nothing.
    let found = summary(&events, 100);
    assert_eq!((found.tasks[&A].ideal_ns, found.lost_idle_ns), (100, 100));
    // Who sleeps in the end had all that it wanted, however late.
    let asleep = [events.as_slice(), &[sleep(60, 0, B, A), wake(90, B)]].concat();
    let mut activity = Activity::new(&one);
    asleep.iter().for_each(|event| activity.add(event));
    let b = &activity.summary(90).tasks[&B];
    assert_eq!((b.run_ns, b.ideal_ns, b.short_ns), (10, 10, 0));
    // Who is in a cgroup is not in the ideal shares, and who may not use every CPU in neither.
    let grouped = at(0, 0, A, What::Group { group: TextRef::EMPTY, id: 2 });
    let found = summary(&[[grouped].as_slice(), &events].concat(), 100);
    assert_eq!((found.tasks[&A].ideal_ns, found.lost_idle_ns), (50, 100));
    let bound = at(0, 0, A, What::Affinity { cpus: 1, first: 1 });
    let found = summary(&[[bound].as_slice(), &events].concat(), 100);
    assert_eq!((found.tasks[&A].ideal_ns, found.lost_idle_ns), (50, 50));
}

/// A new task has the weight of the one that made it, and may use the same CPUs.
#[test]
fn a_fork_is_counted_like_its_parent() {
    let parent = at(0, 0, A, What::Weight { nice: -5, weight: 300 });
    let fork = at(0, 0, B, What::Fork { parent: A, partners: 0 });
    let other = TaskRef(3);
    let run = [wake(0, B), wake(0, other), sleep(0, 0, NONE, other)];
    let mut activity = Activity::new(&[CpuPlace::default()]);
    [&[parent, fork], run.as_slice()].concat().iter().for_each(|event| activity.add(event));
    assert_eq!(activity.summary(100).tasks[&B].ideal_ns, 75);
    let bound = at(0, 0, A, What::Affinity { cpus: 1, first: 1 });
    let found = summary(&[&[bound, fork], run.as_slice()].concat(), 100);
    assert_eq!((found.lost_idle_ns, found.tasks[&B].ideal_ns), (0, 0));
}

#[test]
fn groups_add_up() {
    let mut tables = Tables::default();
    let group = tables.text("workers");
    let task = |pid| TaskInfo { pid, group, ..TaskInfo::default() };
    let (a, b) = (tables.task(task(5)), tables.task(task(6)));
    assert_eq!((a, b), (A, B));
    let other = TaskRef(9);
    let events = [0, 10, 20].map(|time| {
        let task = [a, b, other][time as usize / 10];
        [wake(time, task), sleep(time + 1, 0, NONE, task), sleep(time + 5, 0, task, NONE)]
    });
    let groups = summary(events.as_flattened(), 30).groups(&tables);
    let (count, used) = &groups["workers"];
    assert_eq!((*count, used.run_ns, used.latency.count()), (2, 8, 2));
    assert_eq!(groups[""].0, 1);
}

/// A stream that could be: what runs where, who waits, what weighs how much.
fn streams() -> impl Strategy<Value = Vec<Event>> {
    prop::collection::vec((0_u64..50, 0_u32..3, 1_u32..6, any::<bool>()), 1..200).prop_map(
        |steps| {
            let mut time = 5;
            let first = steps.first().map_or(0, |step| step.2);
            let (mut running, mut waiting) = ([NONE; 3], Vec::new());
            let mut events = Vec::new();
            for (step, cpu, task, flag) in steps {
                time += step;
                if step == 49 {
                    let weight = [20, 100, 300, 4000, 100][task as usize - 1] * first;
                    events.push(at(time, cpu, TaskRef(task), What::Weight { nice: 0, weight }));
                    continue;
                }
                let task = TaskRef(task);
                let (from, awake) = (running[cpu as usize], waiting.contains(&task));
                if flag && !awake && !running.contains(&task) {
                    events.push(wake(time, task));
                    waiting.push(task);
                    continue;
                }
                let to = if waiting.is_empty() { NONE } else { waiting.remove(0) };
                if to == from {
                    continue;
                }
                let runnable = flag && from != NONE;
                events.push(at(
                    time,
                    cpu,
                    to,
                    What::Switch { from, leaves: Leaves::plain(runnable) },
                ));
                running[cpu as usize] = to;
                if runnable {
                    waiting.push(from);
                }
            }
            events
        },
    )
}

/// Run time and latencies of a task, computed by looking at its own events only.
fn slowly(events: &[Event], task: TaskRef, end_ns: u64) -> (u64, Vec<u64>) {
    let (mut run_ns, mut latencies, mut runnable, mut running) = (0, Vec::new(), None, None);
    for event in events {
        match event.what() {
            What::Waking { .. } if event.task == task => runnable = Some(event.time_ns),
            What::Switch { .. } if event.task == task => {
                latencies.extend(runnable.take().map(|since| event.time_ns - since));
                running = Some(event.time_ns);
            }
            What::Switch { from, leaves } if from == task => {
                run_ns += event.time_ns - running.take().unwrap();
                runnable = leaves.is_runnable().then_some(event.time_ns);
            }
            _ => {}
        }
    }
    (run_ns + running.map_or(0, |since| end_ns - since), latencies)
}

/// Every time of a kind, by looking at one task's events only.
fn spans_slowly(events: &[Event], kind: SpanKind, task: TaskRef) -> Vec<u64> {
    let at = |wanted: &dyn Fn(&Event) -> bool| -> Vec<u64> {
        events.iter().filter(|event| wanted(event)).map(|event| event.time_ns).collect()
    };
    let to = |event: &Event| event.task == task && matches!(event.what(), What::Switch { .. });
    let away = |event: &Event| matches!(event.what(), What::Switch { from, .. } if from == task);
    let (on, off) = (at(&to), at(&away));
    match kind {
        SpanKind::OnCpu => on.iter().zip(&off).map(|(on, off)| off - on).collect(),
        SpanKind::OffCpu => on.iter().skip(1).zip(&off).map(|(on, off)| on - off).collect(),
        _ => {
            // In the order of the stream: several may be at one time.
            let start = |event: &Event| match event.what() {
                What::Waking { .. } if event.task == task => Some((event.time_ns, true)),
                What::Switch { from, leaves } if from == task && leaves.is_runnable() => {
                    Some((event.time_ns, false))
                }
                _ => None,
            };
            let starts: Vec<(u64, bool)> = events.iter().filter_map(start).collect();
            let times = starts.iter().zip(&on).map(|((from, woke), on)| (on - from, *woke));
            times
                .filter(|(_, woke)| kind == SpanKind::RunQueue || *woke)
                .map(|(ns, _)| ns)
                .collect()
        }
    }
}

/// What CPUs lost while they were idle and tasks waited, and what each task would have got by its
/// weight, at most what it used until it slept: ns by ns, with everything looked for in all events
/// before. Shares are found by giving whole CPUs to whoever would get more, until nobody does.
fn ns_by_ns(events: &[Event], cpus: usize, end_ns: u64) -> (u64, BTreeMap<TaskRef, f64>) {
    let (mut lost_ns, mut ideals) = (0, BTreeMap::<TaskRef, f64>::new());
    // What is settled as of the last sleep, and what the task has run since.
    let (mut settled, mut ran) = (BTreeMap::<TaskRef, f64>::new(), BTreeMap::<TaskRef, f64>::new());
    let mut running = vec![NONE; cpus];
    let (mut waiting, mut weights) = (Vec::new(), BTreeMap::new());
    let mut next = events.iter().peekable();
    for now in events[0].time_ns..end_ns {
        while let Some(event) = next.next_if(|event| event.time_ns == now) {
            match event.what() {
                What::Waking { .. } => waiting.push(event.task),
                What::Weight { weight, .. } => drop(weights.insert(event.task, weight)),
                What::Switch { from, leaves } => {
                    let runnable = leaves.is_runnable();
                    if !runnable && from != NONE {
                        let before = settled.get(&from).copied().unwrap_or(0.0);
                        let awake = ideals.get(&from).copied().unwrap_or(0.0) - before;
                        let now = before + awake.min(ran.remove(&from).unwrap_or(0.0));
                        ideals.insert(from, now);
                        settled.insert(from, now);
                    }
                    running[event.cpu.0 as usize] = event.task;
                    waiting.retain(|task| *task != event.task);
                    waiting.extend(runnable.then_some(from));
                }
                _ => {}
            }
        }
        lost_ns += running.iter().filter(|task| **task == NONE).count().min(waiting.len()) as u64;
        for task in running.iter().filter(|task| **task != NONE) {
            *ran.entry(*task).or_insert(0.0) += 1.0;
        }
        let want = running.iter().chain(&waiting).filter(|task| **task != NONE);
        let mut open: Vec<_> =
            want.map(|task| (*task, f64::from(*weights.get(task).unwrap_or(&100)))).collect();
        let mut left = cpus as f64;
        loop {
            let all: f64 = open.iter().map(|(_, weight)| weight).sum();
            let full = open.iter().position(|(_, weight)| weight * left >= all);
            let Some(full) = full else { break };
            *ideals.entry(open.remove(full).0).or_insert(0.0) += 1.0;
            left -= 1.0;
        }
        let all: f64 = open.iter().map(|(_, weight)| weight).sum();
        for (task, weight) in open {
            *ideals.entry(task).or_insert(0.0) += weight * left / all;
        }
    }
    (lost_ns, ideals)
}

proptest! {
    #[test]
    fn spans_are_as_each_task_sees_them(events in streams()) {
        let (mut spans, mut found) = (Spans::default(), Vec::new());
        events.iter().for_each(|event| spans.add(event, &mut |span| found.push(span)));
        for kind in [SpanKind::RunQueue, SpanKind::Wake, SpanKind::OnCpu, SpanKind::OffCpu] {
            for task in (1..6).map(TaskRef) {
                let of = found.iter().filter(|span| span.kind == kind && span.task == task);
                let found: Vec<u64> = of.map(|span| span.ns).collect();
                prop_assert_eq!(found, spans_slowly(&events, kind, task), "{:?}", kind);
            }
        }
        // The latencies are those of the metrics.
        let mut activity = Activity::new(&[CpuPlace::default(); 3]);
        events.iter().for_each(|event| activity.add(event));
        let mut all = Histogram::default();
        let of = found.iter().filter(|span| span.kind == SpanKind::RunQueue);
        of.for_each(|span| all.add(span.ns));
        prop_assert_eq!(activity.summary(0).total().latency, all);
    }

    #[test]
    fn shares_and_losses_equal_those_found_ns_by_ns(events in streams()) {
        prop_assume!(!events.is_empty());
        let end_ns = events[events.len() - 1].time_ns + 10;
        let found = summary(&events, end_ns);
        let (lost_ns, ideals) = ns_by_ns(&events, places().len(), end_ns);
        prop_assert_eq!(found.lost_idle_ns, lost_ns);
        let mut short_ns = 0;
        for (task, used) in &found.tasks {
            let ideal_ns = ideals.get(task).copied().unwrap_or(0.0);
            let off = used.ideal_ns as f64 - ideal_ns;
            prop_assert!((-1.01..0.01).contains(&off), "{:?}: {} {ideal_ns}", task, used.ideal_ns);
            short_ns += used.ideal_ns.saturating_sub(used.run_ns);
        }
        let run_ns = found.total().run_ns.max(1);
        prop_assert_eq!(found.unfairness(), short_ns as f64 / run_ns as f64);
    }

    #[test]
    fn equal_a_slow_computation(events in streams()) {
        prop_assume!(!events.is_empty());
        let end_ns = events[events.len() - 1].time_ns + 10;
        let found = summary(&events, end_ns);
        for (task, used) in &found.tasks {
            let (run_ns, mut latencies) = slowly(&events, *task, end_ns);
            prop_assert_eq!(used.run_ns, run_ns);
            latencies.sort_unstable();
            prop_assert_eq!(used.latency.count(), latencies.len() as u64);
            prop_assert_eq!(used.latency.sum(), latencies.iter().sum::<u64>().into());
            for (i, exact) in latencies.iter().enumerate() {
                let value = used.latency.quantile(i as u64 + 1, latencies.len() as u64);
                prop_assert!((*exact..=exact + exact / 32).contains(&value), "{value} {exact}");
            }
        }
        // Each CPU's time is told in full, and what ran, ran on CPUs.
        let times: BTreeMap<_, _> = found.cpus.iter().map(|(c, u)| (c, u.busy_ns + u.idle_ns)).collect();
        prop_assert!(times.values().all(|time| *time == end_ns - events[0].time_ns));
        prop_assert_eq!(found.machine().busy_ns, found.total().run_ns);
    }
}
