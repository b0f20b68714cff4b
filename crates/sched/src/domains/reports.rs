// SPDX-License-Identifier: GPL-2.0-or-later
//! What BPF tells of tasks, as the planner wants it.

use crate::half::HalfError;
use rota_balance::{DomainSet, Entity, Snapshot, Task};
use rota_object::World;
use rota_programs::domains::{Average, DomainsReport};
use std::collections::BTreeMap;
use zerocopy::FromBytes;

/// What an average is at most (BPF: `AVERAGE_ONE`).
const ONE: f64 = 65_536.0;
/// Weight that stands for 1 (kernel: nice 0 has a weight of 100).
const WEIGHT: f64 = 100.0;

/// A task of the snapshot, and the slot that it is told of in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    pub(super) id: u64,
    pub(super) slot: u32,
}

/// Reads all reports and adds their tasks to a snapshot that has its domains; where each is told
/// of, in the order of their numbers.
pub(super) fn read(
    snapshot: &mut Snapshot,
    now_ns: u64,
    half_life_ns: u64,
    world: &dyn World,
) -> Result<Vec<Told>, HalfError> {
    let used = world.read_global("slots_used")?;
    let used = <[u8; 4]>::try_from(used.as_slice()).map_or(0, u32::from_le_bytes);
    let words = snapshot.domains.len().div_ceil(64) as u32;
    let mut sets: BTreeMap<DomainSet, usize> = BTreeMap::new();
    let mut told = Vec::new();
    for slot in 0..used {
        let Some(bytes) = world.map_lookup("reports", &slot.to_le_bytes())? else { break };
        let Ok((report, _)) = DomainsReport::read_from_prefix(&bytes) else { break };
        if report.task == 0 || report.domain as usize >= snapshot.domains.len() {
            continue;
        }
        let allowed = match report.confined {
            0 => None,
            _ => {
                let set = allowed(slot, words, world)?;
                let next = sets.len();
                Some(*sets.entry(set).or_insert(next))
            }
        };
        let duty = duty(&report.duty, now_ns, half_life_ns);
        snapshot.tasks.push(Task {
            id: report.task,
            domain: report.domain as usize,
            entity: Entity { weight: f64::from(report.weight.max(1)) / WEIGHT, duty },
            allowed,
            footprint_bytes: 0,
            stayed_ns: now_ns.saturating_sub(report.moved_at_ns),
        });
        told.push(Told { id: report.task, slot });
    }
    let mut by_number: Vec<(usize, DomainSet)> = sets.into_iter().map(|(s, n)| (n, s)).collect();
    by_number.sort_by_key(|(number, _)| *number);
    snapshot.sets = by_number.into_iter().map(|(_, set)| set).collect();
    told.sort_by_key(|told| told.id);
    Ok(told)
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

/// A running average, counted on until now.
fn duty(average: &Average, now_ns: u64, half_life_ns: u64) -> f64 {
    let so = if average.on == 0 { 0.0 } else { 1.0 };
    let halves = now_ns.saturating_sub(average.at_ns) as f64 / half_life_ns.max(1) as f64;
    let duty = so + (f64::from(average.parts) / ONE - so) * libm::exp2(-halves);
    duty.clamp(0.0, 1.0)
}
