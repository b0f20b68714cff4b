// SPDX-License-Identifier: GPL-2.0-or-later
//! A short recording in every form.

use rota_events::{
    Activity, CpuNumber, CpuPlace, DsqId, Event, Leaves, MachineFacts, Reader, Tables, Target,
    TaskInfo, TaskRef, What,
};
use rota_trace::{Form, Output, summary_json, summary_text};
use serde_json::Value;

const NONE: TaskRef = TaskRef::NONE;

fn machine() -> MachineFacts {
    let cpus = vec![CpuPlace::default(); 2];
    MachineFacts {
        kernel: "7.3".to_owned(),
        clock: "virtual".to_owned(),
        cpus,
        ..MachineFacts::default()
    }
}

/// Two tasks: one wakes the other, which waits in a queue and then runs on another CPU.
fn recording() -> (Tables, Vec<Event>) {
    let mut tables = Tables::default();
    let mut task = |pid, name: &str, group: &str| {
        let (name, group) = (tables.text(name), tables.text(group));
        tables.task(TaskInfo { pid, tgid: 5, start_ns: 1, name, group })
    };
    let (a, b) = (task(5, "waker", "pairs"), task(6, "sleeper", "pairs"));
    let (scheduler, message) = (tables.text("simple"), tables.text("it \"ended\""));
    let at = |time, cpu, task, what| Event::new(time, CpuNumber(cpu), task, what);
    let shared = DsqId(0x10);
    let events = vec![
        at(1, 0, NONE, What::Attach { scheduler }),
        at(1_000, 0, a, What::Switch { from: NONE, leaves: Leaves::Sleeping }),
        at(2_000, 0, b, What::Waking { waker: a }),
        at(2_000, 0, b, What::Enqueue { flags: 1 }),
        at(2_000, 0, b, What::Insert { dsq: shared, depth: 1, vtime: Some(7), at_head: false }),
        at(2_000, 0, b, What::Wakeup { on: CpuNumber(1), waker: a }),
        at(2_500, 0, NONE, What::Kick { target: Target::Cpu(CpuNumber(1)), flags: 2 }),
        at(3_000, 1, b, What::Remove { dsq: shared, depth: 0 }),
        at(3_000, 1, b, What::Switch { from: NONE, leaves: Leaves::Sleeping }),
        at(9_000, 1, NONE, What::Switch { from: b, leaves: Leaves::Sleeping }),
        at(9_500, 0, b, What::Switch { from: a, leaves: Leaves::Runnable }),
        at(1_000_000_000, 0, NONE, What::Detach { message, kind: 1024, code: -1 }),
    ];
    (tables, events)
}

fn written(form: Form) -> Vec<u8> {
    let (tables, events) = recording();
    let mut output = Output::new(form, Vec::new(), &machine()).unwrap();
    let (first, second) = events.split_at(5);
    output.write(&tables, first).unwrap();
    output.write(&tables, second).unwrap();
    output.finish().unwrap()
}

#[test]
fn as_text() {
    let text = String::from_utf8(written(Form::Text)).unwrap();
    let expected = "\
# kernel 7.3, virtual clock, 2 CPUs
#         time_s  cpu  event         task
     0.000000001    0  attach        -                      scheduler=\"simple\"
     0.000001000    0  switch        waker[5]               from=idle runnable=no
     0.000002000    0  waking        sleeper[6]             waker=waker[5]
     0.000002000    0  enqueue       sleeper[6]             flags=0x1
     0.000002000    0  insert        sleeper[6]             dsq=0x10 depth=1 vtime=7
     0.000002000    0  wakeup        sleeper[6]             on_cpu=1 waker=waker[5]
     0.000002500    0  kick          -                      target_cpu=1 flags=0x2
     0.000003000    1  remove        sleeper[6]             dsq=0x10 depth=0
     0.000003000    1  switch        sleeper[6]             from=idle runnable=no
     0.000009000    1  switch        -                      from=sleeper[6] runnable=no
     0.000009500    0  switch        sleeper[6]             from=waker[5] runnable=yes
     1.000000000    0  detach        -                      exit_kind=1024 exit_code=-1 message=\"it \\\"ended\\\"\"
";
    assert_eq!(text, expected);
}

#[test]
fn as_json() {
    let text = String::from_utf8(written(Form::Json)).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 13);
    assert_eq!(lines[0]["schema"], "rota-events/1");
    assert_eq!(lines[0]["cpus"], 2);
    let insert = &lines[5];
    assert_eq!((&insert["event"], &insert["dsq"]), (&"insert".into(), &"0x10".into()));
    assert_eq!((&insert["depth"], &insert["vtime"]), (&1.into(), &7.into()));
    assert_eq!(insert["task"], serde_json::json!({ "comm": "sleeper", "pid": 6 }));
    assert_eq!(lines[2]["from"], Value::Null);
    assert_eq!(lines[12]["exit_code"], -1);
}

#[test]
fn as_events() {
    let bytes = written(Form::Events);
    let mut reader = Reader::open(&bytes[..]).unwrap();
    let mut events = Vec::new();
    while let Some(some) = reader.next_events().unwrap() {
        events.extend(some);
    }
    let (tables, expected) = recording();
    assert_eq!((reader.tables(), events), (&tables, expected));
}

#[test]
fn names_say_the_form() {
    let forms = ["a.txt", "a.pftrace", "a.perfetto-trace", "a.json", "a.rota", "a", "txt"];
    let found = forms.map(Form::of_name);
    let expected = [
        Form::Text,
        Form::Perfetto,
        Form::Perfetto,
        Form::Json,
        Form::Events,
        Form::Events,
        Form::Events,
    ];
    assert_eq!(found, expected);
}

#[test]
fn summaries() {
    let (tables, events) = recording();
    let mut activity = Activity::new(&machine().cpus);
    events.iter().for_each(|event| activity.add(event));
    let summary = activity.summary(0);
    let text = summary_text(&summary, &tables, &machine());
    let row = |first: &str| {
        let line = text.lines().find(|line| line.starts_with(first)).unwrap();
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(text.starts_with("kernel 7.3, virtual clock, 2 CPUs 50.0% busy; 999.9ms, 12 events\n"));
    let all = [
        "all", "2", "1.000s", "999.9ms", "1.000us", "1.000us", "1.000us", "1.000us", "999.9ms",
        "1", "3", "1", "1",
    ];
    assert_eq!(row("all"), all);
    assert_eq!(row("pairs")[1..], all[1..]);
    assert_eq!(row("sleeper[6]")[9..], ["2", "0", "1"], "{text}");
    assert_eq!(row("waker[5]")[3..7], ["-"; 4], "{text}");
    let json = summary_json(&summary, &tables, &machine());
    assert_eq!(json["schema"], "rota-summary/1");
    assert_eq!(json["all"]["latency"]["p99_ns"], 1000);
    assert_eq!(json["all"]["waiting_ns"], 1_000_000_000u64 - 9_500);
    assert_eq!(json["tasks"][1]["comm"], "sleeper");
    assert_eq!(json["tasks"][1]["migrations"]["core"], 1);
    assert_eq!(json["cpus"][1]["busy_ns"], 6_000);
    assert_eq!(json["events"]["switch"], 4);
}
