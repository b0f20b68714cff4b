// SPDX-License-Identifier: GPL-2.0-or-later
//! What BPF tells of tasks.

use crate::half::HalfError;
use rota_balance::{DomainSet, Entity, Snapshot, Task};
use rota_object::World;
use rota_programs::domains::{Average, DomainsReport};
use std::collections::BTreeMap;
use zerocopy::FromBytes;

/// What an average is at most (BPF: `AVERAGE_ONE`).
const ONE: f64 = 65_536.0;
/// What an average counts as on, and what it leaves out (BPF: `AVERAGE_ON`, `AVERAGE_LEFT_OUT`).
const ON: u32 = 1;
const LEFT_OUT: u32 = 2;
/// Weight that stands for 1 (kernel: nice 0 has a weight of 100).
pub(super) const WEIGHT: f64 = 100.0;

/// A task that BPF tells of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    pub(super) slot: u32,
    /// Its number.
    pub(super) id: u64,
    pub(super) domain: u32,
    /// Its own weight, by its nice value, and what part of a CPU it could use.
    pub(super) entity: Entity,
    /// The place of its cgroup.
    pub(super) group: u32,
    confined: bool,
    moved_at_ns: u64,
    pid: u32,
}

/// All tasks, in the order of their slots.
pub(super) fn read(
    now_ns: u64,
    half_life_ns: u64,
    world: &dyn World,
) -> Result<Vec<Told>, HalfError> {
    let used = super::number(&world.read_global("slots_used")?) as u32;
    let mut told = Vec::new();
    for slot in 0..used {
        let Some(bytes) = world.map_lookup("reports", &slot.to_le_bytes())? else { break };
        let Ok((report, _)) = DomainsReport::read_from_prefix(&bytes) else { break };
        if report.task == 0 {
            continue;
        }
        told.push(Told {
            slot,
            id: report.task,
            domain: report.domain,
            entity: Entity {
                weight: f64::from(report.weight.max(1)) / WEIGHT,
                duty: duty(&report.duty, now_ns, half_life_ns),
            },
            group: report.group,
            confined: report.confined != 0,
            moved_at_ns: report.moved_at_ns,
            pid: report.pid,
        });
    }
    Ok(told)
}

/// Adds tasks to a snapshot that has its domains, with weights as they count in their cgroups.
pub(super) fn add(
    snapshot: &mut Snapshot,
    told: &[Told],
    factors: &BTreeMap<u32, f64>,
    now_ns: u64,
    world: &dyn World,
) -> Result<(), HalfError> {
    let words = snapshot.domains.len().div_ceil(64) as u32;
    let mut sets: BTreeMap<DomainSet, usize> = BTreeMap::new();
    for task in told {
        if task.domain as usize >= snapshot.domains.len() {
            continue;
        }
        let allowed = if task.confined {
            let set = allowed(task.slot, words, world)?;
            let next = sets.len();
            Some(*sets.entry(set).or_insert(next))
        } else {
            None
        };
        let factor = factors.get(&task.group).copied().unwrap_or(1.0);
        snapshot.tasks.push(Task {
            id: task.id,
            domain: task.domain as usize,
            entity: Entity { weight: task.entity.weight * factor, ..task.entity },
            allowed,
            footprint_bytes: 0,
            stayed_ns: now_ns.saturating_sub(task.moved_at_ns),
            pid: Some(task.pid),
        });
    }
    let mut by_number: Vec<(usize, DomainSet)> = sets.into_iter().map(|(s, n)| (n, s)).collect();
    by_number.sort_by_key(|(number, _)| *number);
    snapshot.sets = by_number.into_iter().map(|(_, set)| set).collect();
    Ok(())
}

/// The domains that the task in a slot may use.
fn allowed(slot: u32, words: u32, world: &dyn World) -> Result<DomainSet, HalfError> {
    let mut set = DomainSet::new();
    for word in 0..words {
        let key = (slot * words + word).to_le_bytes();
        let Some(bytes) = world.map_lookup("allowed", &key)? else { continue };
        let bits = <[u8; 8]>::try_from(bytes.as_slice()).map_or(0, u64::from_le_bytes);
        for bit in (0..64).filter(|bit| bits >> bit & 1 == 1) {
            set.insert((word * 64 + bit) as usize);
        }
    }
    Ok(set)
}

/// A running average until now, of the time that it has seen: a young one has not seen the time
/// before it began, which would count as nothing. No finer than BPF counts.
fn duty(average: &Average, now_ns: u64, half_life_ns: u64) -> f64 {
    let (mut gathered, mut on) = (average.gathered_ns, average.gathered_on);
    let since = now_ns.saturating_sub(average.at_ns);
    if average.state != LEFT_OUT {
        gathered += since;
        on += if average.state == ON { since } else { 0 };
    }
    let half_life = half_life_ns.max(1) as f64;
    let left = |ns: u64| libm::exp2(-(ns as f64) / half_life);
    let so = if gathered == 0 { 0.0 } else { on as f64 / gathered as f64 };
    let sum = so + (f64::from(average.parts) / ONE - so) * left(gathered);
    let seen = 1.0 - left(average.counted_ns + gathered);
    let duty = if seen > 0.0 { (sum / seen).clamp(0.0, 1.0) } else { 0.0 };
    libm::round(duty * ONE) / ONE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn average(counted_ns: u64, parts: u32, state: u32) -> Average {
        Average { at_ns: 1000, counted_ns, gathered_ns: 0, gathered_on: 0, parts, state }
    }

    #[test]
    fn a_duty_goes_by_what_was_seen() {
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-4, "{a} is not {b}");
        // Nothing was seen, and one that always runs is so from the first moment.
        near(duty(&average(0, 0, ON), 1000, 500), 0.0);
        near(duty(&average(0, 0, ON), 1001, 500), 1.0);
        near(duty(&average(0, 0, ON), 9000, 500), 1.0);
        // After half a life of one half: what is in it is 1/2 of 1/2.
        near(duty(&average(500, 16_384, LEFT_OUT), 5000, 500), 0.5);
        // Old, and now off for a half-life.
        near(duty(&average(1_000_000, 65_536, 0), 1500, 500), 0.5);
    }
}
