// SPDX-License-Identifier: GPL-2.0-or-later
//! `rota sim --replay` and `rota compare --replay`: simulations that are recorded and replayed, and
//! wrong calls. What becomes of recordings of a kernel needs one, and is a test of its own.

use rota_events::{Event, Kind, Tables};
use rota_object::KernelTypes;
use rota_sim::{Shape, Simulation};
use rota_topology::Spec;
use rota_trace::{Replay, ReplayOptions};
use rota_workload::Workload;
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

fn rota(folder: &Path, line: &str) -> Output {
    let mut rota = Command::new(env!("CARGO_BIN_EXE_rota"));
    rota.args(line.split(' ')).current_dir(folder).output().unwrap()
}

/// Records a simulation of one second, and replays it; what the replay says of both.
fn both(sched: &str, workload: &str, costs: &str) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let line = format!(
        "sim {sched} --machine 4c --workload {workload} --for 1s --costs {costs} --no-noise --trace a.rota"
    );
    let made = rota(folder.path(), &line);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let again = rota(folder.path(), &format!("sim {sched} --replay a.rota --format json"));
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
    let json: Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!((&json["cpus"], &json["workload"][0]), (&4.into(), &"replay of a.rota".into()));
    json["replay"].clone()
}

fn close(both: &Value, name: &str, percent: f64) {
    let of = |side: &str| both[side][name].as_f64().unwrap();
    let (before, after) = (of("recorded"), of("replayed"));
    let most = before * percent / 100.0;
    assert!((after - before).abs() <= most, "{name}: {before}, then {after}: {both}");
}

#[test]
fn a_replay_is_like_the_recording() {
    for workload in ["pingpong:pairs=2", "periodic", "web", "pingpong:pairs=2+periodic+cpu"] {
        let both = both("eevdf", workload, "none");
        assert!(both["share"].as_f64().unwrap() >= 0.95, "{workload}: {both}");
        close(&both, "switches", 10.0);
        close(&both, "run_time", 2.0);
        close(&both, "utilisation", 2.0);
    }
}

/// What happens when a machine without costs runs a workload, messages included.
fn recorded(workload: &Workload) -> (Vec<Event>, Tables) {
    let types = KernelTypes::builtin("6.18").unwrap();
    let topology = "2c".parse::<Spec>().unwrap().topology();
    let shape = Shape { messages: true, ..Shape::default() };
    let mut world = Simulation::fair(&types, &topology, &shape).unwrap();
    world.start_recording();
    world.add(workload).unwrap();
    world.run_until(1_000_000_000).unwrap();
    let events = world.take_events();
    (events, world.tables().unwrap().clone())
}

/// Who ran when and where, and who woke whom.
fn decisions(events: &[Event]) -> Vec<&Event> {
    events.iter().filter(|event| matches!(event.kind, Kind::Switch | Kind::Waking)).collect()
}

#[test]
fn where_messages_are_recorded_every_switch_comes_back() {
    for groups in [1, 3] {
        let work = format!("messaging:groups={groups},loops=100,room=100000");
        let work = work.as_str();
        let (events, tables) = recorded(&Workload::parse(work, 2).unwrap());
        let mut replay = Replay::default();
        events.iter().for_each(|event| replay.add(event));
        let again = replay.workload(&tables, &ReplayOptions::default()).unwrap();
        let (again, _) = recorded(&again);
        let (before, after) = (decisions(&events), decisions(&again));
        assert!(before.len() > 80, "{work}: {} events", before.len());
        let apart = before.iter().zip(&after).position(|(before, after)| before != after);
        let (at, few) =
            (apart.unwrap_or(0), |all: &[&Event]| format!("{:?}", &all[..all.len().min(3)]));
        assert_eq!(apart, None, "{work}: {} then {}", few(&before[at..]), few(&after[at..]));
        assert_eq!(before.len(), after.len(), "{work}");
    }
}

#[test]
fn what_a_machine_costs_is_not_paid_twice() {
    let both = both("eevdf", "pingpong:pairs=4+cpu", "machine");
    close(&both, "run_time", 5.0);
    close(&both, "switches", 15.0);
}

#[test]
fn schedulers_are_compared_under_a_recording() {
    let folder = tempfile::tempdir().unwrap();
    let line = "sim eevdf --machine 2c --workload periodic --for 200ms --trace a.rota";
    assert!(rota(folder.path(), line).status.success());
    let line = "compare simple eevdf --replay a.rota --seeds 6 --costs 1 --format json";
    let output = rota(folder.path(), line);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("replay of a.rota"), "{text}");
}

#[test]
fn a_part_of_a_recording_is_no_success() {
    let folder = tempfile::tempdir().unwrap();
    let line = "sim eevdf --machine 2c --workload pingpong:pairs=4 --for 200ms --trace a.rota";
    assert!(rota(folder.path(), line).status.success());
    let file = folder.path().join("a.rota");
    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&file, &whole[..whole.len() * 3 / 4]).unwrap();
    for line in
        ["sim eevdf --replay a.rota", "compare simple eevdf --replay a.rota --seeds 6 --costs 1"]
    {
        let output = rota(folder.path(), line);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && said.contains("a.rota: byte"), "{line}: {said}");
    }
}

#[test]
fn mistakes_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let line = "sim eevdf --machine 2c --workload periodic --for 50ms --trace a.rota";
    assert!(rota(folder.path(), line).status.success());
    std::fs::write(folder.path().join("text"), "nothing of the kind").unwrap();
    for (line, words) in [
        ("sim eevdf --replay none.rota", "none.rota"),
        ("sim eevdf --replay text", "text: not a recording"),
        (
            "sim eevdf --replay a.rota --nice nobody=3",
            "no task of the recording is called 'nobody'",
        ),
        ("sim eevdf --replay a.rota --nice nobody=30", "'30' is no nice value"),
        ("sim eevdf --replay a.rota --workload web", "cannot be used with"),
    ] {
        let output = rota(folder.path(), line);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{line}: {text}");
        assert!(text.contains(words), "{line}: {text}");
    }
}
