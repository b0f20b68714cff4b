// SPDX-License-Identifier: GPL-2.0-or-later
//! A snapshot as BPF would have told it: on a simulated machine, for the user half of `domains` to
//! plan from.

use rota_balance::{Policy, Snapshot, Task, explain, plan, report};
use rota_object::{Engine, KernelTypes, Object, Setup};
use rota_programs::domains::{Average, DomainsOrder, DomainsReport, OBJECT};
use rota_sched::{Session, Wake, find};
use rota_sim::{Shape, Simulation};
use rota_topology::Topology;
use std::collections::BTreeMap;
use zerocopy::{FromBytes, FromZeros, IntoBytes};

/// What an average is at most, that it leaves out the time from now on, and the weight that counts as 1
/// (`sched::domains`).
const ONE: f64 = 65_536.0;
const LEFT_OUT: u32 = 2;
const WEIGHT: f64 = 100.0;

/// What the user half does on a simulated machine.
pub(crate) struct Planned {
    /// What it plans from, and what comes of it, as `rota balance explain` prints it.
    pub(crate) report: String,
    /// The orders that it gives BPF: the domain that a task is to go to.
    pub(crate) orders: BTreeMap<u64, usize>,
}

/// What `rota balance explain --format json` prints.
pub(crate) fn explained(snapshot: &Snapshot, policy: &Policy) -> String {
    let plan = plan(snapshot, policy).unwrap();
    let verdicts = explain(snapshot, policy, &plan).unwrap();
    serde_json::to_string_pretty(&report(snapshot, policy, &plan, &verdicts)).unwrap()
}

/// A snapshot without what CPUs do besides, which the user half finds out from the CPUs themselves.
pub(crate) fn tasks_alone(mut snapshot: Snapshot) -> Snapshot {
    snapshot.domains.iter_mut().for_each(|domain| domain.other = 0.0);
    snapshot
}

/// Has the tasks of a snapshot told to the user half on a machine of this shape, whose CPUs have done
/// nothing yet.
pub(crate) fn planned(snapshot: &Snapshot, topology: &Topology) -> Planned {
    let object = Object::parse(OBJECT).unwrap();
    let types = KernelTypes::builtin("7.3").unwrap();
    let mut world = Simulation::new(&object, &types, topology, &Shape::default()).unwrap();
    let half = (find("domains").unwrap().new)(&object, &[]).unwrap();
    let mut session = Session::start(half, world.now_ns(), &mut world).unwrap();
    let Wake::At(due_ns) = session.wake() else { panic!("it balances") };
    // Late enough that a plan is due and everyone can have been there for so long.
    let stayed = snapshot.tasks.iter().map(|task| task.stayed_ns).max();
    let now_ns = due_ns.max(stayed.unwrap_or(0)) + 60_000_000_000;
    world.write_global("slots_used", &(snapshot.tasks.len() as u32).to_le_bytes()).unwrap();
    for (slot, task) in (0..).zip(&snapshot.tasks) {
        tell(&mut world, snapshot, slot, task, now_ns);
    }
    let (seen, policy) = session.snapshot(now_ns, &world).unwrap().unwrap();
    session.step(now_ns, &mut world).unwrap();
    let mut orders = BTreeMap::new();
    for slot in 0..snapshot.tasks.len() as u32 {
        let bytes = world.map_lookup("orders", &slot.to_le_bytes()).unwrap().unwrap();
        let order = DomainsOrder::read_from_bytes(&bytes).unwrap();
        if order.task != 0 {
            orders.insert(order.task, order.domain as usize);
        }
    }
    Planned { report: explained(&seen, &policy), orders }
}

/// Puts a task where BPF tells of it.
fn tell(world: &mut Simulation, snapshot: &Snapshot, slot: u32, task: &Task, now_ns: u64) {
    let told = DomainsReport {
        task: task.id,
        duty: Average {
            at_ns: now_ns,
            counted_ns: 1 << 60,
            parts: (task.entity.duty * ONE) as u32,
            state: LEFT_OUT,
            ..Average::new_zeroed()
        },
        moved_at_ns: now_ns - task.stayed_ns,
        pid: task.pid.unwrap_or(0),
        weight: (task.entity.weight * WEIGHT).round() as u32,
        domain: task.domain as u32,
        confined: u32::from(task.allowed.is_some()),
        ..DomainsReport::new_zeroed()
    };
    world.map_update("reports", &slot.to_le_bytes(), told.as_bytes()).unwrap();
    let Some(set) = task.allowed else { return };
    let words = snapshot.domains.len().div_ceil(64);
    for word in 0..words {
        let bits = (0..64).filter(|bit| snapshot.sets[set].contains(word * 64 + bit));
        let bits = bits.fold(0_u64, |bits, bit| bits | 1 << bit);
        let key = slot * words as u32 + word as u32;
        world.map_update("allowed", &key.to_le_bytes(), &bits.to_le_bytes()).unwrap();
    }
}
