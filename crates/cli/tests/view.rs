// SPDX-License-Identifier: GPL-2.0-or-later
//! `rota view`: what it shows of a whole file, of a damaged one, and of what is none.

use rota_events::{
    CpuNumber, CpuPlace, Event, Leaves, MachineFacts, Tables, TaskInfo, TaskRef, What, Writer,
};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// A recording: two tasks take turns on CPU 0, 10 ms each.
fn recording() -> Vec<u8> {
    let mut tables = Tables::default();
    let mut task = |pid, name: &str| {
        let (name, group) = (tables.text(name), tables.text("pair"));
        tables.task(TaskInfo { pid, tgid: pid, start_ns: 0, name, group })
    };
    let both = [task(11, "ping"), task(12, "pong")];
    let cpus = vec![CpuPlace::default(); 2];
    let machine = MachineFacts {
        kernel: "7.3".to_owned(),
        clock: "virtual".to_owned(),
        cpus,
        ..MachineFacts::default()
    };
    let mut writer = Writer::new(Vec::new(), &machine).unwrap();
    let mut from = TaskRef::NONE;
    for turn in 0..10_000_u64 {
        let task = both[turn as usize % 2];
        let what = What::Switch { from, leaves: Leaves::plain(turn > 0) };
        writer.write(&tables, &[Event::new(turn * 10_000_000, CpuNumber(0), task, what)]).unwrap();
        from = task;
    }
    writer.finish().unwrap()
}

fn view(file: &Path, args: &str) -> Output {
    let mut rota = Command::new(env!("CARGO_BIN_EXE_rota"));
    rota.arg("view").arg(file).args(args.split_whitespace()).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The one line that a call ends with that does not work.
fn refusal(output: &Output) -> String {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!((output.status.code(), text.lines().count()), (Some(2), 1), "{text}");
    assert!(output.stdout.is_empty());
    text
}

#[test]
fn events_are_shown_and_sifted() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.rota");
    fs::write(&file, recording()).unwrap();
    let all = view(&file, "");
    let text = stdout(&all);
    assert_eq!((all.status.code(), text.lines().count()), (Some(0), 10_002));
    let last = text.lines().last().unwrap();
    assert_eq!(
        last,
        "    99.990000000    0  switch        pong[12]               from=ping[11] runnable=yes"
    );
    let lines = |args| stdout(&view(&file, args)).lines().count() - 2;
    assert_eq!(lines("--from 1s --to 2s"), 100);
    assert_eq!([lines("--cpus 1"), lines("--event waking")], [0, 0]);
    // A switch is about both tasks; the first one comes from none.
    assert_eq!([lines("--task ping"), lines("--task 12"), lines("--task x")], [10_000, 9_999, 0]);
    // What is not there is said, and what may have been meant.
    let said = |args| String::from_utf8(view(&file, args).stderr).unwrap();
    assert_eq!(said("--task pig"), "rota: no task pig; did you mean ping?\n");
    assert_eq!(said("--task po --task 12"), "rota: no task po; did you mean pong?\n");
    assert_eq!(said("--task nosuch"), "rota: no task nosuch; there are: ping, pong\n");
    assert_eq!(said("--event waking"), "rota: no event is as these options want it\n");
    assert_eq!([said("--task ping"), said("--from 1s"), said("")], ["", "", ""]);
    let json = stdout(&view(&file, "--as json --to 15ms"));
    let event: serde_json::Value = serde_json::from_str(json.lines().nth(2).unwrap()).unwrap();
    assert_eq!((&event["task"]["comm"], &event["from"]["pid"]), (&"pong".into(), &11.into()));
}

#[test]
fn summaries_and_traces() {
    let dir = tempfile::tempdir().unwrap();
    let (file, trace) = (dir.path().join("a.rota"), dir.path().join("a.pftrace"));
    fs::write(&file, recording()).unwrap();
    let text = stdout(&view(&file, "--as summary"));
    let pair = text.lines().find(|line| line.starts_with("pair")).unwrap();
    let cells: Vec<_> = pair.split_whitespace().collect();
    assert_eq!(cells[1..4], ["2", "99.99s", "99.98s"], "{text}");
    let json = stdout(&view(&file, "--as summary-json"));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["all"]["preemptions"], 9_999);
    assert_eq!(json["all"]["latency"]["max_ns"], 10_000_000);
    let perfetto = view(&file, &format!("--as perfetto --output {}", trace.display()));
    assert_eq!((perfetto.status.code(), perfetto.stdout.len()), (Some(0), 0));
    // It can be read again.
    let timehist = |file| stdout(&view(file, "--as timehist"));
    assert_eq!(timehist(&trace), timehist(&file));
    let arrows = view(&file, &format!("--as perfetto --arrows --output {}", trace.display()));
    assert!(arrows.status.success());
    assert_eq!(timehist(&trace), timehist(&file));
}

#[test]
fn a_damaged_file_is_shown_as_far_as_it_goes() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.rota");
    let mut bytes = recording();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    fs::write(&file, &bytes).unwrap();
    let shown = view(&file, "");
    assert_eq!(shown.status.code(), Some(1));
    // One chunk of 4096 events is missing.
    assert_eq!(stdout(&shown).lines().count(), 10_002 - 4096);
    let text = String::from_utf8(shown.stderr).unwrap();
    assert!(text.contains("a.rota: byte ") && text.contains("4096 events are missing"), "{text}");
}

#[test]
fn standard_input_and_closed_pipes() {
    let mut rota = Command::new(env!("CARGO_BIN_EXE_rota"));
    rota.args(["view", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = rota.spawn().unwrap();
    // Nobody reads what is shown.
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().unwrap();
    // It goes away when it has noticed, perhaps before it has read everything.
    let _ = stdin.write_all(&recording());
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
}

#[test]
fn what_can_not_be_shown_is_said_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let (file, good) = (dir.path().join("a.rota"), dir.path().join("good.rota"));
    fs::write(&file, "no recording").unwrap();
    fs::write(&good, recording()).unwrap();
    let unknown = "a.rota: not a recording that Rota reads: its own event files, perf.data, \
                   trace.dat, traces of Perfetto, and the text of ftrace, trace-cmd report and perf \
                   script\n";
    assert!(refusal(&view(&file, "")).ends_with(unknown));
    assert!(refusal(&view(dir.path(), "")).contains("Is a directory"));
    assert!(refusal(&view(&dir.path().join("none"), "")).contains("none: No such file"));
    assert!(refusal(&view(&good, "--as summary --task ping")).contains("metrics need all of them"));
    let into = format!("--as perfetto --output {}/missing/x", dir.path().display());
    assert!(refusal(&view(&good, &into)).contains("missing/x: No such file"));
    let late = refusal(&view(&good, "--from 2s --to 1s"));
    assert!(late.contains("--from is later than --to"), "{late}");
    let cpus = refusal(&view(&good, "--cpus 1-2"));
    assert!(cpus.contains("--cpus: the recording has no CPU 2, but 0-1"), "{cpus}");
    let over = refusal(&view(&good, &format!("--output {}", good.display())));
    assert!(over.contains("would be lost") && fs::read(&good).unwrap() == recording(), "{over}");
    for (kind, words) in [("swich", "did you mean switch?"), ("x", "there are: switch, waking")] {
        let kind = view(&good, &format!("--event {kind}"));
        let text = String::from_utf8(kind.stderr).unwrap();
        assert!(kind.status.code() == Some(2) && text.contains(words), "{text}");
    }
    // What Rota writes for others.
    let other = dir.path().join("a.json");
    assert!(view(&good, &format!("--as json --output {}", other.display())).status.success());
    let refused = refusal(&view(&other, ""));
    assert!(
        refused.contains("text or JSON") && refused.contains("sim SCHED --trace FILE.rota"),
        "{refused}"
    );
}
