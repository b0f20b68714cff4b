// SPDX-License-Identifier: GPL-2.0-or-later
//! Snapshots and policies that can't be used.

use rota_balance::{
    Domain, Entity, Move, PlanError, Policy, PolicyError, Snapshot, SnapshotError, Task, explain,
    plan,
};

fn good() -> Snapshot {
    let domain = Domain { capacity: 1.0, strongest: 1.0, node: 0, other: 0.0 };
    let task = Task {
        id: 1,
        domain: 0,
        entity: Entity { weight: 1.0, duty: 1.0 },
        allowed: None,
        footprint_bytes: 0,
        stayed_ns: 0,
        pid: None,
    };
    Snapshot {
        domains: vec![domain; 2],
        distances: vec![vec![10]],
        sets: Vec::new(),
        tasks: vec![task, Task { id: 2, ..task }],
    }
}

fn error(spoil: impl Fn(&mut Snapshot)) -> SnapshotError {
    let mut snapshot = good();
    let fine = plan(&snapshot, &Policy::default()).unwrap();
    spoil(&mut snapshot);
    let error = plan(&snapshot, &Policy::default()).unwrap_err();
    explain(&snapshot, &Policy::default(), &fine).unwrap_err();
    let PlanError::Snapshot(error) = error else { panic!("{error}") };
    error
}

#[test]
fn bad_snapshots() {
    assert!(matches!(
        error(|s| s.tasks[1].entity.weight = f64::NAN),
        SnapshotError::Task { id: 2, .. }
    ));
    assert!(matches!(error(|s| s.tasks[0].entity.duty = -1.0), SnapshotError::Task { id: 1, .. }));
    for number in [f64::NAN, f64::INFINITY, -1.0] {
        let bad = |spoiled: SnapshotError| {
            assert!(matches!(spoiled, SnapshotError::Domain { domain: 1, .. }));
        };
        bad(error(|s| s.domains[1].capacity = number));
        bad(error(|s| s.domains[1].strongest = number));
        bad(error(|s| s.domains[1].other = number));
    }
    let large = |s: &mut Snapshot| s.domains.iter_mut().for_each(|d| d.capacity = 1.6e7);
    assert!(matches!(error(large), SnapshotError::Machine(_)));
    assert_eq!(error(|s| s.domains[0].node = 1), SnapshotError::Node { domain: 0, node: 1 });
    let distances = SnapshotError::Distances { node: 0, found: 2, expected: 1 };
    assert_eq!(error(|s| s.distances[0].push(20)), distances);
    assert_eq!(error(|s| s.tasks[0].domain = 2), SnapshotError::Place { id: 1, domain: 2 });
    assert_eq!(error(|s| s.tasks[0].allowed = Some(0)), SnapshotError::Set { id: 1, set: 0 });
    assert_eq!(error(|s| s.tasks[0].id = 2), SnapshotError::Twice { id: 2 });
}

#[test]
fn bad_policies() {
    let bad = |policy: Policy, expected: &str| {
        let Err(PlanError::Policy(PolicyError { name, .. })) = plan(&good(), &policy) else {
            panic!("{expected} is fine");
        };
        assert_eq!(name, expected);
    };
    let policy = Policy::default();
    bad(Policy { gain_min: 0.0, ..policy }, "gain_min");
    bad(Policy { gain_min: f64::NAN, ..policy }, "gain_min");
    bad(Policy { horizon_ns: 0.0, ..policy }, "horizon_ns");
    bad(Policy { move_ns: -1.0, ..policy }, "move_ns");
    bad(Policy { refill_ns_per_byte: f64::INFINITY, ..policy }, "refill_ns_per_byte");
    bad(Policy { start: -0.1, ..policy }, "start");
    bad(Policy { stop: 0.1, ..policy }, "stop");
    bad(Policy { stop: f64::NAN, ..policy }, "stop");
}

/// Moves of no task or to no domain can't be explained, but do no harm.
#[test]
fn a_plan_of_something_else() {
    let (snapshot, policy) = (good(), Policy::default());
    let mut plan = plan(&snapshot, &policy).unwrap();
    let before = explain(&snapshot, &policy, &plan).unwrap();
    let one = Move { id: 1, from: 0, to: 2, load: 1.0, gain: 1.0, cost: 0.0 };
    plan.moves = vec![one, Move { to: usize::MAX, ..one }, Move { id: 3, to: 1, ..one }];
    assert_eq!(explain(&snapshot, &policy, &plan).unwrap(), before);
}

#[test]
fn nothing_at_all() {
    let plan = plan(&Snapshot::default(), &Policy::default()).unwrap();
    assert_eq!((plan.moves.len(), plan.imbalance_after), (0, 0.0));
}
