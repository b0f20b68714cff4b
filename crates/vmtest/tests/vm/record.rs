// SPDX-License-Identifier: GPL-2.0-or-later
//! `rota record` while a scheduler of sched_ext runs: what happens in its queues.

use crate::guest::{Guest, contains, ensure, say};
use crate::run::script;
use libtest_mimic::Failed;
use rota_events::{Event, Reader, Tables, What};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;

pub(crate) fn simple(guest: &mut Guest) -> Result<(), Failed> {
    queues(guest, "simple")
}

pub(crate) fn domains(guest: &mut Guest) -> Result<(), Failed> {
    queues(guest, "domains")
}

/// Records a scheduler under load; what comes into a queue leaves it, and as many tasks are told to run
/// as the kernel counts runs of the callback that is told of it.
fn queues(guest: &mut Guest, scheduler: &str) -> Result<(), Failed> {
    let (here, there) = guest.dir(&format!("record-{scheduler}"))?;
    let text = guest.expect(
        0,
        &script(&format!(
            "rota run {scheduler} >/tmp/out 2>&1 & pid=$!; up {scheduler}
             rota record -o {there}/file --buffer 32MiB -- \
                 stress-ng --temp-path /tmp --cpu 5 --switch 1 --pipe 1 --timeout 3 2>&1 || exit 1
             kill -INT $pid; wait $pid; down
             rota hist {there}/file dsq --by dsq; rota hist {there}/file slice
             rota view {there}/file --as timehist --summary"
        )),
    )?;
    contains(&text, &[", 0 lost, ", &format!("; with sched_ext: {scheduler}"), "local 0", "p99"])?;
    let (tables, events) = read(&here.join("file"))?;
    let attached = events.iter().any(|event| match event.what() {
        What::Attach { scheduler: name } => tables.text_of(name) == scheduler,
        _ => false,
    });
    ensure(attached, || "nobody attached".to_owned())?;
    let (inserts, strays) = followed(&events);
    say(&format!("{}: {scheduler}: {inserts} come into queues, {strays} stray", guest.series));
    ensure(inserts > 100 && strays == 0, || {
        format!("{strays} of {inserts} tasks that came into a queue ran without leaving it")
    })?;
    counted(guest, scheduler, &tables, &events)
}

/// A scheduler comes and goes in the middle, and another one gives up: that is told, with the reason.
pub(crate) fn comes_and_goes(guest: &mut Guest) -> Result<(), Failed> {
    let (here, there) = guest.dir("record-comes-and-goes")?;
    let object = guest.put("give_up.bpf.o", rota_programs::test::GIVE_UP)?;
    let text = guest.expect(
        0,
        &script(&format!(
            "rm -f /tmp/end; mkfifo /tmp/end
             rota record -o {there}/file -- sh -c 'read -r end' </tmp/end 2>&1 & recorder=$!
             exec 3>/tmp/end; sleep 1
             rota run simple >/tmp/out 2>&1 & pid=$!; up simple; sleep 1
             kill -INT $pid; wait $pid; down; sleep 1
             rota run {object} --after 500 >/tmp/out 2>&1 & pid=$!; up give_up; sleep 1
             stress-ng --temp-path /tmp --cpu 6 --timeout 60 >/dev/null 2>&1 & load=$!
             wait $pid; kill $load; wait $load; down; sleep 1
             echo >&3; wait $recorder || exit 1
             rota view {there}/file --as json | grep -E '\"(attach|detach)\"'
             rota record --attach raw-tp -o {there}/raw --for 50ms 2>&1"
        )),
    )?;
    contains(&text, &["only raw tracepoints can be used", "; with sched_ext: give_up"])?;
    let (tables, events) = read(&here.join("file"))?;
    let told = events.iter().filter_map(|event| match event.what() {
        What::Attach { scheduler } => Some((true, tables.text_of(scheduler), 0)),
        What::Detach { message, kind, .. } => Some((false, tables.text_of(message), kind)),
        _ => None,
    });
    let told: Vec<_> = told.collect();
    let [comes, goes, comes_too, gives_up] = &told[..] else {
        return Err(format!("{told:?}\n{text}").into());
    };
    let good = *comes == (true, "simple", 0)
        && *goes == (false, "unregistered from user space", 64)
        && *comes_too == (true, "give_up", 0)
        && gives_up.1.starts_with("scx_bpf_error: ")
        && gives_up.1.contains("gave up at task")
        && gives_up.2 == 1025;
    ensure(good, || format!("{told:?}\n{text}"))
}

/// What a file has; it must be whole.
fn read(file: &std::path::Path) -> Result<(Tables, Vec<Event>), Failed> {
    let mut reader = Reader::open(BufReader::new(File::open(file)?))?;
    let mut events = Vec::new();
    while let Some(more) = reader.next_events()? {
        events.extend(more);
    }
    ensure(reader.problems().count() == 0, || format!("{:?}", reader.problems().list()))?;
    Ok((reader.tables().clone(), events))
}

/// How many came into a queue, and how many of them ran, or came into a queue again, without having
/// left it.
fn followed(events: &[Event]) -> (u64, u64) {
    let (mut queued, mut inserts, mut strays) = (BTreeMap::new(), 0, 0);
    for event in events {
        match event.what() {
            What::Insert { dsq, .. } => {
                inserts += 1;
                strays += u64::from(queued.insert(event.task, dsq).is_some());
            }
            What::Remove { dsq, .. } => {
                let known = queued.remove(&event.task);
                strays += u64::from(known.is_some_and(|known| known != dsq));
            }
            What::Running { .. } => strays += u64::from(queued.remove(&event.task).is_some()),
            _ => (),
        }
    }
    (inserts, strays)
}

/// Between two looks at how often the kernel has called `running`, as many tasks are told to run.
fn counted(
    guest: &Guest,
    scheduler: &str,
    tables: &Tables,
    events: &[Event],
) -> Result<(), Failed> {
    let name = format!("callback {scheduler}_running");
    let looks: Vec<_> = events
        .iter()
        .filter_map(|event| match event.what() {
            What::Counter { name: counter, value } => {
                let counter = tables.text_of(counter);
                let is_it = counter.starts_with(&name) && counter.ends_with(" count");
                is_it.then_some((event.time_ns, value))
            }
            _ => None,
        })
        .collect();
    let (Some(first), Some(last)) = (looks.first(), looks.last()) else {
        return Err("nobody counted calls".into());
    };
    let between = events.iter().filter(|event| {
        let is_run = matches!(event.what(), What::Running { .. });
        is_run && (first.0..last.0).contains(&event.time_ns)
    });
    let (runs, calls) = (between.count() as u64, last.1 - first.1);
    say(&format!("{}: {scheduler}: {runs} run, {calls} calls", guest.series));
    // Some may run while the kernel's number is read.
    ensure(calls > 100 && calls.abs_diff(runs) <= 5 + runs / 100, || {
        format!("{runs} tasks run, {calls} calls")
    })
}
