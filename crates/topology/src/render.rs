// SPDX-License-Identifier: GPL-2.0-or-later
//! A topology as plain text, for people.
//!
//! ```text
//! 8 CPUs online (0-7): 1 package, 1 node, 2 LLCs, 4 cores, 2 threads a core
//! package 0: CPUs 0-7
//!   node 0: CPUs 0-7
//!     LLC 0 (L3 32 MiB): CPUs 0-1,4-5
//!       core 0: CPUs 0,4
//!       core 1: CPUs 1,5
//!     LLC 1 (L3 32 MiB): CPUs 2-3,6-7
//!       core 2: CPUs 2,6
//!       core 3: CPUs 3,7
//! ```
//!
//! Three or more neighbours that differ only in their numbers, and by the same step, share a line,
//! so that a machine of 1,024 CPUs fits on a screen: `cores 0-7: CPUs 0,512 1,513 … 7,519`.
//!
//! A node may span packages and an LLC may span nodes. Such a group is shown in each place with the
//! CPUs it has there, and `(part)`.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::model::{Core, Cpu, Level, Llc, LlcOrigin, Node, Package, Topology};
use crate::{CpuMask, LlcId};

/// Nodes up to which the matrix of distances is printed.
const MATRIX_NODES_MAX: usize = 16;
/// Neighbours from which on one line stands for all.
const RUN_MIN: usize = 3;
/// Length of a list of CPUs that is printed whole.
const LIST_BYTES_MAX: usize = 64;

impl Topology {
    /// The machine as a tree of packages, nodes, LLCs, cores and CPUs.
    pub fn tree(&self) -> String {
        let mut out = Out { text: String::new(), differs: Differs::of(self) };
        out.line(0, &self.summary());
        for package in self.packages() {
            out.package(self, package);
        }
        let memory_only = self.nodes().iter().filter(|node| node.cpus.is_empty());
        for node in memory_only {
            out.line(0, &format!("node {}: memory only", node.id));
        }
        let offline = self.offline();
        if !offline.is_empty() {
            let unknown: CpuMask =
                self.cpus().iter().filter(|cpu| cpu.place.is_none()).map(|cpu| cpu.id).collect();
            let place = match unknown == offline {
                true => " (the kernel does not tell where they sit)",
                false => "",
            };
            out.line(0, &format!("offline: {}{place}", cpus_text(&offline)));
        }
        out.distances(self.nodes());
        out.sources(self);
        out.text
    }

    /// CPUs and what they share in a few words: `16 CPUs, 2 last-level caches`. What there is one of
    /// is not said.
    pub fn in_words(&self) -> String {
        let mut parts = vec![counted(self.online().count(), "CPU")];
        if self.threads_max() > 1 {
            parts.push(self.threads_a_core());
        }
        let shared = [(self.llcs().len(), "last-level cache"), (self.nodes().len(), "node")];
        parts.extend(shared.iter().filter(|(n, _)| *n > 1).map(|(n, name)| counted(*n, name)));
        parts.join(", ")
    }

    fn threads_a_core(&self) -> String {
        let threads = || self.cores().iter().map(|core| core.cpus.count());
        let least = threads().min().unwrap_or(1);
        match self.threads_max() {
            most if most == least => format!("{} a core", counted(most, "thread")),
            most => format!("{least} to {most} threads a core"),
        }
    }

    fn summary(&self) -> String {
        let mut parts = vec![
            counted(self.packages().len(), "package"),
            counted(self.nodes().len(), "node"),
            counted(self.llcs().len(), "LLC"),
        ];
        if !self.clusters().is_empty() {
            parts.push(counted(self.clusters().len(), "cluster"));
        }
        parts.push(counted(self.cores().len(), "core"));
        parts.push(self.threads_a_core());
        let online = self.online();
        let cpus = counted(online.count(), "CPU");
        format!("{cpus} online ({online}): {}", parts.join(", "))
    }

    fn cpus_of<'a>(&'a self, mask: &'a CpuMask) -> impl Iterator<Item = &'a Cpu> {
        mask.iter().filter_map(|id| self.cpu(id))
    }
}

/// What is worth printing, as it is not the same everywhere.
struct Differs {
    core_type: bool,
    capacity: bool,
    freq_max: bool,
    /// Some cluster is larger than a core and smaller than an LLC.
    clusters: bool,
}

impl Differs {
    fn of(topology: &Topology) -> Self {
        let placed: Vec<&Cpu> = topology.cpus().iter().filter(|cpu| cpu.place.is_some()).collect();
        let differ = |value: &dyn Fn(&Cpu) -> u64| {
            placed.windows(2).any(|pair| value(pair[0]) != value(pair[1]))
        };
        let (cores, llcs) = (topology.groups(Level::Core), topology.groups(Level::Llc));
        let clusters = topology.groups(Level::Cluster);
        Self {
            core_type: topology.is_hybrid(),
            capacity: differ(&|cpu| cpu.capacity.into()),
            freq_max: differ(&|cpu| cpu.freq_max_khz.unwrap_or(0)),
            clusters: clusters != cores && !clusters.iter().all(|cluster| llcs.contains(cluster)),
        }
    }
}

/// A core, and what must be equal or step evenly for cores to share a line.
struct CoreLine {
    id: u32,
    cpus: Vec<u32>,
    notes: String,
}

impl CoreLine {
    /// The step of ids and of CPUs to the next core; `None` if they don't share a line.
    fn step(&self, next: &Self) -> Option<(u32, u32)> {
        let ids = next.id.checked_sub(self.id)?;
        let cpus = next.cpus.first()?.checked_sub(*self.cpus.first()?)?;
        let even = self.cpus.len() == next.cpus.len()
            && self.cpus.iter().zip(&next.cpus).all(|(a, b)| b.checked_sub(*a) == Some(cpus));
        (even && self.notes == next.notes).then_some((ids, cpus))
    }

    fn cpus_text(&self) -> String {
        let cpus: Vec<String> = self.cpus.iter().map(u32::to_string).collect();
        cpus.join(",")
    }
}

/// How many lines from the first on step evenly.
fn run_length(lines: &[CoreLine]) -> usize {
    let [first, second, ..] = lines else { return lines.len() };
    let step = first.step(second);
    if step.is_none() {
        return 1;
    }
    1 + lines.windows(2).take_while(|pair| pair[0].step(&pair[1]) == step).count()
}

struct Out {
    text: String,
    differs: Differs,
}

impl Out {
    fn line(&mut self, depth: usize, line: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "{:1$}{line}", "", 2 * depth);
    }

    fn package(&mut self, topology: &Topology, package: &Package) {
        self.line(0, &format!("package {}: {}", package.id, cpus_text(&package.cpus)));
        for node in topology.nodes() {
            let cpus = &node.cpus & &package.cpus;
            if !cpus.is_empty() {
                let part = part(&cpus, &node.cpus);
                self.line(1, &format!("node {}{part}: {}", node.id, cpus_text(&cpus)));
                self.llcs(topology, &cpus);
            }
        }
    }

    fn llcs(&mut self, topology: &Topology, inside: &CpuMask) {
        let ids: BTreeSet<LlcId> =
            topology.cpus_of(inside).filter_map(|cpu| Some(cpu.place?.llc)).collect();
        let llcs: Vec<&Llc> = ids.into_iter().map(|id| &topology.llcs()[id.index()]).collect();
        let mut llcs = llcs.as_slice();
        while let Some((first, others)) = llcs.split_first() {
            let mut cores = self.cores(topology, &(&first.cpus & inside));
            let size = cores.len();
            let mut alike = 1;
            for other in others {
                let kept = cores.len();
                // The last two give the step, so a long run need not be looked at again.
                let tail = kept.saturating_sub(2);
                cores.extend(self.cores(topology, &(&other.cpus & inside)));
                let same = cores.len() - kept == size
                    && other.id.0 == first.id.0 + alike as u32
                    && kind(first) == kind(other)
                    && first.cpus.is_subset(inside)
                    && other.cpus.is_subset(inside)
                    && run_length(&cores[tail..]) == cores.len() - tail;
                if !same {
                    cores.truncate(kept);
                    break;
                }
                alike += 1;
            }
            if alike < RUN_MIN {
                alike = 1;
                cores.truncate(size);
            }
            self.llc_line(&llcs[..alike], inside, size);
            self.core_lines(&cores);
            llcs = &llcs[alike..];
        }
    }

    /// One LLC, or several that are alike.
    fn llc_line(&mut self, llcs: &[&Llc], inside: &CpuMask, cores: usize) {
        let [first, .., last] = llcs else {
            for llc in llcs {
                let cpus = &llc.cpus & inside;
                let (kind, part) = (kind(llc), part(&cpus, &llc.cpus));
                self.line(2, &format!("LLC {}{kind}{part}: {}", llc.id, cpus_text(&cpus)));
            }
            return;
        };
        let cpus = llcs.iter().fold(CpuMask::new(), |all, llc| &all | &llc.cpus);
        let (kind, cores) = (kind(first), counted(cores, "core"));
        // The size is that of each, not of all.
        let kind = if first.size_bytes.is_some() { kind.replace(')', " each)") } else { kind };
        let line =
            format!("LLCs {}-{}{kind}, {cores} each: {}", first.id, last.id, cpus_text(&cpus));
        self.line(2, &line);
    }

    fn core_lines(&mut self, mut cores: &[CoreLine]) {
        while let Some(first) = cores.first() {
            let run = run_length(cores);
            if run < RUN_MIN {
                let name = if first.cpus.len() == 1 { "CPU" } else { "CPUs" };
                let (notes, cpus) = (&first.notes, first.cpus_text());
                self.line(3, &format!("core {}{notes}: {name} {cpus}", first.id));
                cores = &cores[1..];
                continue;
            }
            self.run_line(&cores[..run]);
            cores = &cores[run..];
        }
    }

    /// Cores that step evenly, at least three.
    fn run_line(&mut self, run: &[CoreLine]) {
        let [first, second, middle @ .., last] = run else { return };
        let (consecutive, single) = (second.id == first.id + 1, first.cpus.len() == 1);
        let ids = match consecutive {
            true => format!("{}-{}", first.id, last.id),
            false => format!("{},{} … {}", first.id, second.id, last.id),
        };
        let cpus = if single && first.cpus[0] + 1 == second.cpus[0] {
            format!("{}-{}", first.cpus_text(), last.cpus_text())
        } else {
            let gap = if middle.is_empty() { "" } else { "… " };
            format!("{} {} {gap}{}", first.cpus_text(), second.cpus_text(), last.cpus_text())
        };
        self.line(3, &format!("cores {ids}{}: CPUs {cpus}", first.notes));
    }

    fn cores(&self, topology: &Topology, cpus: &CpuMask) -> Vec<CoreLine> {
        let mut lines: Vec<CoreLine> = Vec::new();
        for (cpu, place) in topology.cpus_of(cpus).filter_map(|cpu| Some((cpu, cpu.place?))) {
            if place.thread != 0 {
                continue;
            }
            let core: &Core = &topology.cores()[place.core.index()];
            lines.push(CoreLine {
                id: core.id.0,
                cpus: core.cpus.iter().map(|id| id.0).collect(),
                notes: self.notes(topology, cpu, core),
            });
        }
        lines
    }

    /// What tells this core from others: ` (performance, capacity 1024)`.
    fn notes(&self, topology: &Topology, cpu: &Cpu, core: &Core) -> String {
        let mut notes = Vec::new();
        if self.differs.core_type {
            notes.push(cpu.core_type.to_string());
        }
        if self.differs.capacity {
            notes.push(format!("capacity {}", cpu.capacity));
        }
        if let Some(khz) = cpu.freq_max_khz.filter(|_| self.differs.freq_max) {
            notes.push(format!("up to {}", freq_text(khz)));
        }
        let cluster = cpu.place.and_then(|place| place.cluster);
        if let Some(id) = cluster.filter(|_| self.differs.clusters)
            && topology.clusters()[id.index()].cpus != core.cpus
        {
            notes.push(format!("cluster {id}"));
        }
        if notes.is_empty() { String::new() } else { format!(" ({})", notes.join(", ")) }
    }

    fn distances(&mut self, nodes: &[Node]) {
        if nodes.len() < 2 {
            return;
        }
        if nodes.len() > MATRIX_NODES_MAX {
            let all = nodes.iter().flat_map(|node| node.distances.iter().copied());
            let (least, most) = all.fold((u32::MAX, 0), |(l, m), d| (l.min(d), m.max(d)));
            self.line(0, &format!("node distances: {least} to {most}"));
            return;
        }
        self.line(0, "node distances:");
        let header: String = nodes.iter().map(|node| format!("{:>5}", node.id)).collect();
        self.line(1, &format!("{:>4}{header}", ""));
        for node in nodes {
            let row: String = node.distances.iter().map(|d| format!("{d:>5}")).collect();
            self.line(1, &format!("{:>4}{row}", node.id));
        }
    }

    fn sources(&mut self, topology: &Topology) {
        if self.differs.core_type {
            self.line(0, &format!("core types from: {}", topology.core_type_source()));
        }
        if self.differs.capacity {
            self.line(0, &format!("capacities from: {}", topology.capacity_source()));
        }
    }
}

/// ` (L3 32 MiB)`, or what stands for the cache.
fn kind(llc: &Llc) -> String {
    let size = llc.size_bytes.map_or(String::new(), |bytes| format!(" {}", size_text(bytes)));
    match (llc.origin, llc.level) {
        (LlcOrigin::Cache, Some(level)) => format!(" (L{level}{size})"),
        (LlcOrigin::Cache, None) => format!(" (cache{size})"),
        (LlcOrigin::Die, _) => " (the die; no cache told)".to_owned(),
        (LlcOrigin::Package, _) => " (the package; no cache told)".to_owned(),
        (LlcOrigin::Cluster, _) => " (the cluster; no cache told)".to_owned(),
    }
}

fn part(here: &CpuMask, whole: &CpuMask) -> &'static str {
    if here == whole { "" } else { " (part)" }
}

fn counted(count: usize, name: &str) -> String {
    format!("{count} {name}{}", if count == 1 { "" } else { "s" })
}

/// `CPUs 0-7`; a list that would fill lines is cut in the middle.
fn cpus_text(cpus: &CpuMask) -> String {
    let list = cpus.to_string();
    let count = cpus.count();
    let name = if count == 1 { "CPU" } else { "CPUs" };
    let entries: Vec<&str> = list.split(',').collect();
    match entries.as_slice() {
        [a, b, c, .., z] if list.len() > LIST_BYTES_MAX => {
            format!("{name} {a},{b},{c} … {z} ({count} CPUs)")
        }
        _ => format!("{name} {list}"),
    }
}

/// The largest binary unit that leaves a whole number.
fn size_text(bytes: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    let whole = units.into_iter().find(|(shift, _)| bytes != 0 && bytes.is_multiple_of(1 << shift));
    whole.map_or(format!("{bytes} bytes"), |(shift, unit)| format!("{} {unit}", bytes >> shift))
}

/// `5.2 GHz`, `800 MHz`; three digits after the point at most, cut off.
fn freq_text(khz: u64) -> String {
    if khz < 1_000_000 {
        return format!("{} MHz", khz / 1000);
    }
    let text = format!("{}.{:03}", khz / 1_000_000, khz / 1000 % 1000);
    format!("{} GHz", text.trim_end_matches('0').trim_end_matches('.'))
}
