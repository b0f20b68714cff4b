// SPDX-License-Identifier: GPL-2.0-or-later
//! Which CPUs are in which domain, how near domains are, and what they can do.

use crate::half::HalfError;
use rota_balance::Snapshot;
use rota_object::{SettingError, Setup, World};
use rota_programs::domains::DomainsCpu;
use rota_topology::{CAPACITY_FULL, CpuId, CpuMask, Level, Llc, NodeId, Topology};
use zerocopy::{FromBytes, FromZeros, IntoBytes};

/// What stands for no domain and no node (BPF: `NONE`).
const NONE: u32 = u32::MAX;

/// A group of CPUs with a queue of its own.
struct Domain {
    cpus: CpuMask,
    node: Option<NodeId>,
    /// Its part of last-level caches, in bytes; 0 if nobody knows their size.
    cache_bytes: u64,
}

/// The CPUs of a machine, in domains.
#[derive(Default)]
pub(super) struct Machine {
    domains: Vec<Domain>,
    /// What each CPU had done at the last plan, in the order of their numbers.
    before: Option<Asked>,
}

/// What CPUs have done up to a time.
pub(super) struct Asked {
    at_ns: u64,
    /// For each CPU: for how long it was busy, and with tasks that BPF tells of.
    done: Vec<(u64, u64)>,
}

/// A CPU, as BPF knows it.
fn cpu(world: &dyn World, number: u32) -> Result<Option<DomainsCpu>, HalfError> {
    let bytes = world.map_lookup("cpus", &number.to_le_bytes())?;
    Ok(bytes.and_then(|bytes| DomainsCpu::read_from_bytes(&bytes).ok()))
}

/// How strong a CPU is; the strongest that there can be is 1.
fn strength(topology: &Topology, cpu: CpuId) -> f64 {
    let capacity = topology.cpu(cpu).map_or(CAPACITY_FULL, |cpu| cpu.capacity);
    f64::from(capacity) / f64::from(CAPACITY_FULL)
}

/// The CPUs of lists such as `0-3/4-7`, each of which is a domain.
fn from_lists(text: &str, possible: &CpuMask) -> Result<Vec<CpuMask>, HalfError> {
    let wrong = |problem: String| {
        HalfError::Setting(SettingError::Value { flag: "domains".to_owned(), problem })
    };
    let mut all = CpuMask::new();
    let mut lists = Vec::new();
    for list in text.split('/') {
        let cpus = CpuMask::from_list(list).map_err(|error| wrong(format!("'{list}': {error}")))?;
        let strange = cpus.difference(possible);
        if let Some(cpu) = strange.first() {
            return Err(wrong(format!("'{list}': this machine has no CPU {cpu}")));
        }
        if let Some(cpu) = all.intersection(&cpus).first() {
            return Err(wrong(format!("CPU {cpu} is in two domains")));
        }
        if cpus.is_empty() {
            return Err(wrong("a domain has no CPU: expected lists such as 0-3/4-7".to_owned()));
        }
        all = all.union(&cpus);
        lists.push(cpus);
    }
    match possible.difference(&all).first() {
        Some(cpu) => Err(wrong(format!("CPU {cpu} is in no domain"))),
        None => Ok(lists),
    }
}

/// What CPUs have of last-level caches that others share: as large a part as they are of those CPUs.
fn cache_bytes(topology: &Topology, cpus: &CpuMask) -> u64 {
    let part = |llc: &Llc| {
        let (own, all) = (llc.cpus.intersection(cpus).count() as u64, llc.cpus.count() as u64);
        llc.size_bytes.unwrap_or(0) * own / all.max(1)
    };
    topology.llcs().iter().map(part).sum()
}

impl Machine {
    /// A machine with one domain for each last-level cache, or these.
    pub(super) fn new(topology: &Topology, lists: Option<&str>) -> Result<Self, HalfError> {
        let node =
            |cpus: &CpuMask| cpus.first().and_then(|cpu| topology.place(cpu)).map(|p| p.node);
        let groups = match lists {
            Some(text) => from_lists(text, topology.possible())?,
            None => topology.groups(Level::Llc),
        };
        let domain = |cpus: CpuMask| Domain {
            node: node(&cpus),
            cache_bytes: cache_bytes(topology, &cpus),
            cpus,
        };
        Ok(Self { domains: groups.into_iter().map(domain).collect(), before: None })
    }

    /// The cache of each domain, in bytes; 0 if nobody knows.
    pub(super) fn cache_bytes(&self) -> Vec<u64> {
        self.domains.iter().map(|domain| domain.cache_bytes).collect()
    }

    /// How many domains there are.
    pub(super) fn count(&self) -> u32 {
        self.domains.len() as u32
    }

    /// Prepares BPF's side for so many CPUs and domains.
    pub(super) fn configure(&self, setup: &mut dyn Setup) -> Result<(), HalfError> {
        let topology = setup.topology();
        let cpus = topology.possible().last().map_or(1, |cpu| cpu.0 + 1);
        let possible = topology.possible().count() as u32;
        let mut strengths = topology.possible().iter().map(|cpu| strength(topology, cpu));
        let first = strengths.next().unwrap_or(1.0);
        let unequal = strengths.any(|other| other != first);
        let count = self.count();
        for (name, number) in
            [("domain_count", count), ("cpu_count", cpus), ("possible_count", possible)]
        {
            setup.write_global(name, &number.to_le_bytes())?;
        }
        setup.write_global("unequal", &[u8::from(unequal)])?;
        setup.resize_map("cpus", cpus)?;
        setup.resize_map("domains", count)?;
        setup.resize_map("nodes", count)?;
        setup.resize_map("waiting", count.div_ceil(64))?;
        setup.resize_map("others", (count * (count - 1)).max(1))?;
        Ok(())
    }

    /// Tells BPF where CPUs are and which domains are near.
    pub(super) fn prepare(&self, world: &mut dyn World) -> Result<(), HalfError> {
        let topology = world.topology().clone();
        let all = topology.possible();
        let strongest = all.iter().map(|cpu| strength(&topology, cpu)).fold(0.0, f64::max);
        for number in 0..all.last().map_or(1, |cpu| cpu.0 + 1) {
            let id = CpuId(number);
            let domain = self.domains.iter().position(|domain| domain.cpus.contains(id));
            let place = DomainsCpu {
                domain: domain.map_or(NONE, |domain| domain as u32),
                online: topology.online().contains(id).into(),
                strong: u32::from(strength(&topology, id) >= strongest),
                ..DomainsCpu::new_zeroed()
            };
            world.map_update("cpus", &number.to_le_bytes(), place.as_bytes())?;
        }
        let mut key = 0_u32;
        for (number, domain) in (0_u32..).zip(&self.domains) {
            let node = domain.node.map_or(NONE, |node| node.0);
            world.map_update("nodes", &number.to_le_bytes(), &node.to_le_bytes())?;
            for other in self.others(&topology, number as usize) {
                world.map_update("others", &key.to_le_bytes(), &other.to_le_bytes())?;
                key += 1;
            }
        }
        Ok(())
    }

    /// All domains but one, the nearest first; equally near ones in the order of numbers, from that
    /// one's on, so that not all look into the same.
    fn others(&self, topology: &Topology, of: usize) -> Vec<u32> {
        let count = self.domains.len();
        let distance =
            |other: usize| topology.distance(self.domains[of].node?, self.domains[other].node?);
        let mut others: Vec<usize> = (1..count).map(|next| (of + next) % count).collect();
        others.sort_by_key(|other| distance(*other).unwrap_or(u32::MAX));
        others.into_iter().map(|other| other as u32).collect()
    }

    /// From now on, what CPUs do counts from there.
    pub(super) fn keep(&mut self, asked: Asked) {
        self.before = Some(asked);
    }

    /// The machine as it is now, without tasks, and what its CPUs have done.
    pub(super) fn look(
        &self,
        now_ns: u64,
        world: &dyn World,
    ) -> Result<(Snapshot, Asked), HalfError> {
        let topology = world.topology();
        let cpus: Vec<Option<DomainsCpu>> = (0..topology.possible().last().map_or(1, |c| c.0 + 1))
            .map(|number| cpu(world, number))
            .collect::<Result<_, _>>()?;
        let online = |id: &CpuId| {
            cpus.get(id.0 as usize).and_then(Option::as_ref).is_some_and(|cpu| cpu.online != 0)
        };
        let (other, asked) = self.other(now_ns, &cpus, world)?;
        let nodes = topology.nodes();
        let node = |id: Option<NodeId>| nodes.iter().position(|node| Some(node.id) == id);
        let domains = self.domains.iter().map(|domain| {
            let there: Vec<CpuId> = domain.cpus.iter().filter(online).collect();
            let strengths = there.iter().map(|cpu| strength(topology, *cpu));
            rota_balance::Domain {
                capacity: strengths.clone().sum(),
                strongest: strengths.fold(0.0, f64::max),
                node: node(domain.node).unwrap_or(0),
                other: there.iter().filter_map(|cpu| other.get(cpu.0 as usize)).sum(),
            }
        });
        let snapshot = Snapshot {
            domains: domains.collect(),
            distances: nodes.iter().map(|node| node.distances.clone()).collect(),
            ..Snapshot::default()
        };
        Ok((snapshot, asked))
    }

    /// For each CPU the part of the time since what was kept for which it was busy with what BPF does
    /// not tell of: interrupts, tasks of other classes. And what all have done.
    fn other(
        &self,
        now_ns: u64,
        cpus: &[Option<DomainsCpu>],
        world: &dyn World,
    ) -> Result<(Vec<f64>, Asked), HalfError> {
        let mut done = vec![(0, 0); cpus.len()];
        for time in world.cpu_times()? {
            if let Some(done) = done.get_mut(time.cpu as usize) {
                done.0 = time.busy_ns;
            }
        }
        for (done, cpu) in done.iter_mut().zip(cpus) {
            let Some(cpu) = cpu else { continue };
            let runs_ns = if cpu.since_ns == 0 { 0 } else { now_ns.saturating_sub(cpu.since_ns) };
            done.1 = cpu.ran_ns + runs_ns;
        }
        let Some(before) = self.before.as_ref().filter(|before| before.at_ns < now_ns) else {
            return Ok((vec![0.0; cpus.len()], Asked { at_ns: now_ns, done }));
        };
        let time_ns = (now_ns - before.at_ns) as f64;
        let part = |(now, before): (&(u64, u64), &(u64, u64))| {
            let (busy, told) = (now.0.saturating_sub(before.0), now.1.saturating_sub(before.1));
            // A CPU that was away has counted less.
            (busy.saturating_sub(told) as f64 / time_ns).min(1.0)
        };
        let other = done.iter().zip(&before.done).map(part).collect();
        Ok((other, Asked { at_ns: now_ns, done }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_share_a_cache_by_their_cpus() {
        let laptop = include_str!("../../../../data/machines/laptop.json");
        let sized = laptop.replacen("\"level\":3", "\"level\":3,\"size_bytes\":16000000", 1);
        assert_ne!(sized, laptop);
        let bytes = |text: &str, lists| {
            let topology = Topology::from_json(text).unwrap();
            Machine::new(&topology, lists).unwrap().cache_bytes()
        };
        assert_eq!(bytes(&sized, None), [16_000_000]);
        assert_eq!(bytes(&sized, Some("0-3/4-15")), [4_000_000, 12_000_000]);
        assert_eq!(bytes(laptop, Some("0-3/4-15")), [0, 0]);
    }
}
