// SPDX-License-Identifier: GPL-2.0-or-later
//! The user half of `domains`: which CPUs are in which domain, and which domains are near.

mod reports;

use crate::half::{HalfError, UserHalf, Wake};
use crate::plain::Plain;
use rota_balance::{Policy, Snapshot, plan};
use rota_events::{Metric, Sample};
use rota_object::{Object, Setup, World};
use rota_programs::domains::{DomainsCpu, DomainsOrder};
use rota_topology::{CAPACITY_FULL, CpuMask, Level, NodeId, Topology};
use zerocopy::{FromZeros, IntoBytes};

/// A group of CPUs with a queue of its own.
struct Domain {
    cpus: CpuMask,
    node: Option<NodeId>,
}

/// How often tasks are moved between domains, in ns.
const PERIOD_NS: u64 = 1_000_000_000;

struct Domains {
    plain: Plain,
    domains: Vec<Domain>,
    half_life_ns: u64,
    policy: Policy,
}

/// A number out of read-only data.
fn number(setup: &dyn Setup, name: &str) -> Result<u64, HalfError> {
    let bytes = setup.read_global(name)?;
    Ok(bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)))
}

/// The half of `domains` with these settings.
pub(crate) fn new(
    object: &Object,
    settings: &[(String, String)],
) -> Result<Box<dyn UserHalf>, HalfError> {
    Ok(Box::new(Domains {
        plain: Plain::new(object, settings)?,
        domains: Vec::new(),
        half_life_ns: 0,
        policy: Policy::default(),
    }))
}

/// One domain for each last-level cache.
fn by_cache(topology: &Topology) -> Vec<Domain> {
    let node = |cpus: &CpuMask| cpus.first().and_then(|cpu| topology.place(cpu)).map(|p| p.node);
    let groups = topology.groups(Level::Llc).into_iter();
    groups.map(|cpus| Domain { node: node(&cpus), cpus }).collect()
}

impl Domains {
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

    /// The machine as it is now, without tasks.
    fn machine(&self, topology: &Topology) -> Snapshot {
        let strength = |cpu| {
            let online = topology.online().contains(cpu);
            let capacity = topology.cpu(cpu).map_or(CAPACITY_FULL, |cpu| cpu.capacity);
            if online { f64::from(capacity) / f64::from(CAPACITY_FULL) } else { 0.0 }
        };
        let nodes = topology.nodes();
        let node = |id: Option<NodeId>| nodes.iter().position(|node| Some(node.id) == id);
        let domains = self.domains.iter().map(|domain| rota_balance::Domain {
            capacity: domain.cpus.iter().map(strength).sum(),
            strongest: domain.cpus.iter().map(strength).fold(0.0, f64::max),
            node: node(domain.node).unwrap_or(0),
            other: 0.0,
        });
        Snapshot {
            domains: domains.collect(),
            distances: nodes.iter().map(|node| node.distances.clone()).collect(),
            ..Snapshot::default()
        }
    }

    /// Plans moves, and tells BPF of them. Without a plan, tasks stay where they are.
    fn balance(&self, now_ns: u64, world: &mut dyn World) -> Result<(), HalfError> {
        let mut snapshot = self.machine(world.topology());
        let told = reports::read(&mut snapshot, now_ns, self.half_life_ns, world)?;
        let Ok(plan) = plan(&snapshot, &self.policy) else { return Ok(()) };
        for one in &plan.moves {
            let Ok(at) = told.binary_search_by_key(&one.id, |told| told.id) else { continue };
            let order = DomainsOrder { task: one.id, domain: one.to as u32, reserved: 0 };
            world.map_update("orders", &told[at].slot.to_le_bytes(), order.as_bytes())?;
        }
        Ok(())
    }
}

impl UserHalf for Domains {
    fn configure(&mut self, setup: &mut dyn Setup) -> Result<(), HalfError> {
        self.plain.configure(setup)?;
        self.domains = by_cache(setup.topology());
        let count = self.domains.len() as u32;
        let cpus = setup.topology().possible().last().map_or(1, |cpu| cpu.0 + 1);
        setup.write_global("domain_count", &count.to_le_bytes())?;
        setup.write_global("cpu_count", &cpus.to_le_bytes())?;
        setup.resize_map("cpus", cpus)?;
        setup.resize_map("domains", count)?;
        setup.resize_map("others", (count * (count - 1)).max(1))?;
        self.half_life_ns = number(setup, "half_life_ns")?;
        let tasks = (number(setup, "tasks_max")? as u32).max(1);
        for map in ["reports", "orders", "free_slots"] {
            setup.resize_map(map, tasks)?;
        }
        setup.resize_map("allowed", tasks.saturating_mul(count.div_ceil(64)))?;
        Ok(())
    }

    fn prepare(&mut self, world: &mut dyn World) -> Result<(), HalfError> {
        for (number, domain) in (0..).zip(&self.domains) {
            for cpu in domain.cpus.iter() {
                let place = DomainsCpu { domain: number, ..DomainsCpu::new_zeroed() };
                world.map_update("cpus", &cpu.0.to_le_bytes(), place.as_bytes())?;
            }
        }
        let mut key = 0_u32;
        for number in 0..self.domains.len() {
            for other in self.others(world.topology(), number) {
                world.map_update("others", &key.to_le_bytes(), &other.to_le_bytes())?;
                key += 1;
            }
        }
        self.plain.prepare(world)
    }

    fn start(&mut self, now_ns: u64, world: &mut dyn World) -> Result<Wake, HalfError> {
        let _ = world;
        Ok(Wake::At(now_ns + PERIOD_NS))
    }

    fn step(&mut self, now_ns: u64, world: &mut dyn World) -> Result<Wake, HalfError> {
        self.balance(now_ns, world)?;
        Ok(Wake::At(now_ns + PERIOD_NS))
    }

    fn metrics(&self) -> &[Metric] {
        self.plain.metrics()
    }

    fn sample(&mut self, now_ns: u64, world: &mut dyn World) -> Result<Sample, HalfError> {
        self.plain.sample(now_ns, world)
    }
}
