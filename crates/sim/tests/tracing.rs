// SPDX-License-Identifier: GPL-2.0-or-later
//! Programs on tracepoints beside a scheduler see what its callbacks see. [`Plain`] attaches them,
//! in this world as in the other.

use rota_object::{Engine, EngineError, KernelTypes, Object, Setup};
use rota_programs::test::TRACED;
use rota_sched::{Plain, Session};
use rota_sim::{Shape, Simulation, has_hook};
use rota_topology::Spec;
use rota_workload::Workload;

/// Runs a workload; reads a number afterwards.
fn run(workload: &str) -> impl Fn(&str) -> u64 {
    let object = Object::parse(TRACED).unwrap();
    let types = KernelTypes::builtin("7.3").unwrap();
    let topology = "2c".parse::<Spec>().unwrap().topology();
    let mut world = Simulation::new(&object, &types, &topology, &Shape::default()).unwrap();
    let half = Box::new(Plain::new(&object, &[]).unwrap());
    let session = Session::start(half, 0, &mut world).unwrap();
    world.add(&Workload::parse(workload, 2).unwrap()).unwrap();
    world.run_until(2_000_000_000).unwrap();
    drop(session);
    move |name| u64::from_le_bytes(world.read_global(name).unwrap().try_into().unwrap())
}

#[test]
fn tracepoints_are_told_what_callbacks_are_told() {
    let count = run("cpu:tasks=3+pingpong");
    for (name, least) in [("running", 100), ("stopping", 100), ("waking", 10)] {
        assert!(count(name) > least, "{name}: {}", count(name));
    }
    assert_eq!(count("switched_to"), count("running"));
    assert_eq!(count("switched_away"), count("stopping"));
    assert_eq!(count("waking"), count("woken"));
    assert_eq!([count("wrong_previous"), count("exited")], [0, 0]);
    let count = run("forkstorm");
    assert!(count("exited") > 10, "{}", count("exited"));
}

#[test]
fn what_is_not_there_is_named() {
    let object = Object::parse(TRACED).unwrap();
    let types = KernelTypes::builtin("7.3").unwrap();
    let topology = "1c".parse::<Spec>().unwrap().topology();
    let mut world = Simulation::new(&object, &types, &topology, &Shape::default()).unwrap();
    let early = world.attach_program("on_switch");
    assert!(matches!(early, Err(EngineError::Phase { .. })), "{early:?}");
    world.load().unwrap();
    let hook = "fentry/scx_bpf_create_dsq".to_owned();
    let error = EngineError::NoHook { program: "on_call".to_owned(), hook };
    assert_eq!(world.attach_program("on_call"), Err(error));
    assert!(has_hook("raw_tp/sched_wakeup") && !has_hook("tp_btf/block_rq_issue"));
}
