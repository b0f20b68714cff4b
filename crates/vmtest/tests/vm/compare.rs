// SPDX-License-Identifier: GPL-2.0-or-later
//! `rota compare --live`: real schedulers take turns on a real kernel.

use crate::guest::{Guest, contains, ensure};
use crate::run::script;
use libtest_mimic::Failed;
use serde_json::Value;

/// Two tasks that want a fifth of the CPU in short pieces, and two that want all of it.
const WORK: &str = r#"{ "tasks": {
    "nap": { "instance": 2, "run": 1000, "timer": { "ref": "unique", "period": 10000 } },
    "hog": { "instance": 2, "run": 1000 } } }"#;

/// How often sched_ext was put in charge since boot.
fn times_in_charge(guest: &mut Guest) -> Result<u64, Failed> {
    Ok(guest.expect(0, "cat /sys/kernel/sched_ext/enable_seq")?.trim().parse()?)
}

fn is_free(guest: &mut Guest) -> Result<(), Failed> {
    contains(&guest.expect(0, "cat /sys/kernel/sched_ext/state")?, &["disabled"])
}

/// The measure of a group: what it says of each scheduler, in their order.
fn cells<'a>(report: &'a Value, group: &str, measure: &str) -> Result<&'a [Value], Failed> {
    let named = |list: &'a Value, member: &str, name: &str| {
        list.as_array().into_iter().flatten().find(|it| it[member] == name)
    };
    let row = named(&report["groups"], "group", group)
        .and_then(|group| named(&group["measures"], "measure", measure));
    let cells = row.and_then(|row| row["contestants"].as_array());
    cells.map(Vec::as_slice).ok_or_else(|| format!("{group}: {measure} in {report}").into())
}

fn median(cell: &Value) -> f64 {
    cell["median"].as_f64().unwrap_or(f64::NAN)
}

/// Each runs as often as it should, all do the work that there is time for, and a scheduler that
/// lets hogs have 20 ms at a time without looking is told from those that do not.
pub(crate) fn schedulers_take_turns(guest: &mut Guest) -> Result<(), Failed> {
    let work = guest.put("work.json", WORK.as_bytes())?;
    let before = times_in_charge(guest)?;
    let line = format!(
        "rota compare --live eevdf simple:fifo,slice=20ms domains --workload {work} --seeds 6 \
         --for 600ms --warm-up 200ms --format json"
    );
    let report: Value = serde_json::from_str(&guest.expect(0, &line)?)?;
    ensure(times_in_charge(guest)? == before + 12, || "not in charge 12 times".to_owned())?;
    is_free(guest)?;
    let told = || report.to_string();
    for group in ["nap", "hog"] {
        let work = cells(&report, group, "work_per_s")?;
        let whole = |cell: &Value| cell["values"].as_array().is_some_and(|all| all.len() == 6);
        ensure(work.len() == 3 && work.iter().all(whole), told)?;
    }
    let naps = cells(&report, "nap", "work_per_s")?;
    let latency = cells(&report, "nap", "latency_p50_ns")?;
    for of in [0, 2] {
        ensure((190.0..=201.0).contains(&median(&naps[of])), told)?;
        ensure(median(&latency[1]) > 2.0 * median(&latency[of]), told)?;
    }
    ensure(latency[1]["difference_to_first"]["verdict"] == "worse", told)?;
    ensure(report["experiment"]["live"]["warm_up_ns"] == 200_000_000, told)?;
    ensure(
        report["noise"]["spread"]["work_per_s"]["part"].as_f64().is_some_and(|it| it < 0.1),
        told,
    )?;
    let notes = report["notes"].to_string();
    contains(&notes, &["counts instructions instead of time", "eevdf is the kernel's default"])
}

/// What was ejected is told, and the others are measured all the same.
pub(crate) fn who_gives_up_wins_nothing(guest: &mut Guest) -> Result<(), Failed> {
    let object = guest.put("give_up.bpf.o", rota_programs::test::GIVE_UP)?;
    let line = format!(
        "rota compare --live {object} eevdf --workload cpu:tasks=6 --seeds 6 --for 300ms \
         --warm-up 100ms --format json"
    );
    let report: Value = serde_json::from_str(&guest.expect(1, &line)?)?;
    let ended = report["ended"].as_array().map_or(&[][..], Vec::as_slice);
    let why = |it: &Value| it["why"].as_str().is_some_and(|why| why.contains("gave up at task"));
    ensure(ended.len() == 6 && ended.iter().all(why), || report.to_string())?;
    let work = cells(&report, "all", "work_per_s")?;
    ensure(median(&work[0]).is_nan() && median(&work[1]) > 50.0, || report.to_string())?;
    is_free(guest)
}

/// Nobody is measured beside another scheduler, and nothing stays behind Ctrl-C.
pub(crate) fn one_at_a_time(guest: &mut Guest) -> Result<(), Failed> {
    let text = guest.expect(
        0,
        &script(
            "rota run simple >/dev/null 2>&1 & pid=$!; up simple
             rota compare --live eevdf domains --for 300ms 2>&1; echo status $?
             kill -INT $pid; wait $pid
             rota compare --live simple domains --seeds 50 --for 300ms --warm-up 0s >/tmp/out 2>&1 &
             pid=$!; sleep 6; kill -INT $pid; wait $pid; echo status $?; cat /tmp/out; state",
        ),
    )?;
    contains(&text, &["another scheduler is in charge: simple", "status 2"])?;
    contains(&text, &["status 1", "interrupted: of 50 rounds, the ", "disabled"])
}
