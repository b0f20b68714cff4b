// SPDX-License-Identifier: GPL-2.0-or-later
//! What comes from outside: a thread for each source, which signals an event again and again.
//!
//! It stands for a device whose interrupts come to a CPU: it runs there, before all others if that
//! is allowed. Signals are due at times that do not depend on when it gets to run, and whoever
//! answers is asked from when the signal was due.

use crate::job::{REALTIME, run_on};
use crate::sleeper::Sleeper;
use crate::usage::Usage;
use crate::world::{World, lock};
use rota_events::TaskUse;
use rota_kernel::{ThreadPolicy, set_thread_policy};
use rota_topology::{CpuId, CpuMask};
use rota_workload::Random;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Signals until the end, by the calling thread.
pub(crate) fn signal(world: &Arc<World>, place: u64, sleeper: &Sleeper, ready: impl FnOnce()) {
    let source = world.workload.sources[place as usize];
    let cpu = CpuId(source.cpu);
    if world.allowed.contains(cpu) {
        // It signals from elsewhere if it must.
        let _ = run_on(&CpuMask::of(cpu));
    }
    // Without leave it is as others are.
    let _ = set_thread_policy(ThreadPolicy::Fifo(REALTIME + 1));
    let before = Usage::now();
    ready();
    let mut used = TaskUse::default();
    if sleeper.wait(|| world.end_ns()).is_some() {
        let mut random = Random::of_source(world.seed, place);
        let mut due_ns = world.start_ns();
        loop {
            due_ns = due_ns.saturating_add(source.every.draw(&mut random));
            let Some(now) = Sleeper::sleep(due_ns, || world.end_ns()) else { break };
            used.wakeups += 1;
            used.latency.add(now - due_ns);
            world.event(source.event).signal(1, due_ns);
        }
    }
    let spent = Usage::now().since(before);
    used.run_ns = spent.run_ns;
    (used.wait_ns, used.switches) = spent.waited.unwrap_or_default();
    if spent.waited.is_none() {
        world.counted.store(false, Ordering::Relaxed);
    }
    used.preemptions = spent.involuntary;
    let mut outside = lock(&world.outside);
    outside.0 += 1;
    outside.1.merge(&used);
}
