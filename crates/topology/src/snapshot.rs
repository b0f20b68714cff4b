// SPDX-License-Identifier: GPL-2.0-or-later
//! A topology as versioned JSON.
//!
//! Groups list their CPUs, and each CPU repeats the numbers of its groups, so that neither
//! direction needs a join. When a snapshot is loaded the lists of the groups count; a number
//! that a CPU states must agree, and may be left out in a file written by hand. Fields that are
//! not known to this version are refused: they would be typing errors.
//!
//! ```json
//! {
//!   "schema": "rota-topology/1",
//!   "possible": "0-1",
//!   "capacity_source": "assumed",
//!   "core_type_source": "assumed",
//!   "packages": [
//!     {"package":0,"cpus":"0-1"}
//!   ],
//!   "nodes": [
//!     {"node":0,"cpus":"0-1","distances":[10]}
//!   ],
//!   "llcs": [
//!     {"llc":0,"cpus":"0-1","origin":"cache","level":3,"size_bytes":33554432}
//!   ],
//!   "clusters": [],
//!   "cores": [
//!     {"core":0,"cpus":"0-1"}
//!   ],
//!   "cpus": [
//!     {"cpu":0,"online":true,"core":0,"llc":0,"package":0,"node":0,"capacity":1024},
//!     {"cpu":1,"online":true,"core":0,"llc":0,"package":0,"node":0,"capacity":1024}
//!   ]
//! }
//! ```

use serde::{Deserialize, Serialize};

use crate::assemble::Parts;
use crate::model::{
    Cluster, Core, CoreType, Cpu, Level, Llc, LlcOrigin, Node, Package, Source, Topology,
};
use crate::{
    CAPACITY_FULL, CPUS_MAX, ClusterId, CoreId, CpuId, CpuMask, LlcId, MaskError, ModelError,
    NODES_MAX, NodeId, PackageId,
};

/// The `schema` field of a snapshot.
pub const SCHEMA: &str = "rota-topology/1";

/// Far above the snapshot of the largest machine that is taken.
const TEXT_BYTES_MAX: usize = 64 << 20;

/// Why a text is no snapshot of a topology.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// No JSON, or a field is missing, unknown or of the wrong type. The message has the line and
    /// the column.
    #[error("topology snapshot: {0}")]
    Json(#[from] serde_json::Error),
    /// JSON of something else, or of another version.
    #[error("topology snapshot: the schema is {found:?}, expected {SCHEMA:?}")]
    Schema {
        /// What the text states; empty if nothing.
        found: String,
    },
    /// The text is larger than any snapshot.
    #[error("topology snapshot: {bytes} bytes, at most {TEXT_BYTES_MAX} are taken")]
    TooLong {
        /// The size of the text.
        bytes: usize,
    },
    /// A list of CPUs cannot be understood.
    #[error("topology snapshot: {place}: {error}")]
    Mask {
        /// Where it stands, such as `llcs[3].cpus`.
        place: String,
        /// What is wrong with it.
        error: MaskError,
    },
    /// A list with more entries than any machine has.
    #[error("topology snapshot: {count} entries in {list}, at most {most} are taken")]
    TooMany {
        /// The list.
        list: &'static str,
        /// Its length.
        count: usize,
        /// The longest that is taken.
        most: usize,
    },
    /// The parts make no machine.
    #[error("topology snapshot: {0}")]
    Model(#[from] ModelError),
    /// A CPU states another group than the one that lists it.
    #[error("topology snapshot: CPU {cpu} says {level} {stated}, {}", listed.map_or(
        format!("but no {level} lists it"),
        |listed| format!("but {level} {listed} lists it"),
    ))]
    Disagrees {
        /// The CPU.
        cpu: CpuId,
        /// The kind of group.
        level: Level,
        /// What the CPU says.
        stated: u32,
        /// Which group lists it.
        listed: Option<u32>,
    },
}

impl Topology {
    /// The snapshot as JSON, one CPU or group a line.
    pub fn to_json(&self) -> String {
        let mut text = String::from("{\n");
        let mut field = |name: &str, value: String, last: bool| {
            let comma = if last { "" } else { "," };
            text.push_str(&format!("  \"{name}\": {value}{comma}\n"));
        };
        field("schema", json(&SCHEMA), false);
        field("possible", json(&self.possible), false);
        field("capacity_source", json(&self.capacity_source), false);
        field("core_type_source", json(&self.core_type_source), false);
        field("packages", rows(self.packages.iter().map(PackageRow::from)), false);
        field("nodes", rows(self.nodes.iter().map(NodeRow::from)), false);
        field("llcs", rows(self.llcs.iter().map(LlcRow::from)), false);
        field("clusters", rows(self.clusters.iter().map(ClusterRow::from)), false);
        field("cores", rows(self.cores.iter().map(CoreRow::from)), false);
        field("cpus", rows(self.cpus.iter().map(CpuRow::from)), true);
        text.push_str("}\n");
        text
    }

    /// Loads a snapshot and checks all of it.
    pub fn from_json(text: &str) -> Result<Self, SnapshotError> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(SnapshotError::TooLong { bytes: text.len() });
        }
        // The schema first, as a later version is best told by its name and not by the first
        // field that is new in it.
        let head: Head = serde_json::from_str(text)?;
        if head.schema.as_deref() != Some(SCHEMA) {
            return Err(SnapshotError::Schema { found: head.schema.unwrap_or_default() });
        }
        let file: File = serde_json::from_str(text)?;
        file.topology()
    }
}

#[derive(Deserialize)]
struct Head {
    schema: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "schema")]
    _schema: String,
    possible: String,
    capacity_source: Source,
    core_type_source: Source,
    packages: Vec<PackageRow>,
    nodes: Vec<NodeRow>,
    llcs: Vec<LlcRow>,
    #[serde(default)]
    clusters: Vec<ClusterRow>,
    cores: Vec<CoreRow>,
    cpus: Vec<CpuRow>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PackageRow {
    package: PackageId,
    cpus: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kernel_id: Option<u32>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NodeRow {
    node: NodeId,
    cpus: String,
    distances: Vec<u32>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LlcRow {
    llc: LlcId,
    cpus: String,
    origin: LlcOrigin,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    level: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    size_bytes: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kernel_id: Option<u32>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClusterRow {
    cluster: ClusterId,
    cpus: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kernel_id: Option<u32>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CoreRow {
    core: CoreId,
    cpus: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kernel_id: Option<u32>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CpuRow {
    cpu: CpuId,
    online: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    core: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cluster: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    llc: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    package: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    node: Option<u32>,
    #[serde(default = "full")]
    capacity: u32,
    #[serde(default = "uniform")]
    core_type: CoreType,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    freq_min_khz: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    freq_max_khz: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    freq_base_khz: Option<u64>,
}

fn full() -> u32 {
    CAPACITY_FULL
}

fn uniform() -> CoreType {
    CoreType::Uniform
}

impl File {
    fn topology(self) -> Result<Topology, SnapshotError> {
        self.check_lengths()?;
        let mut packages = Vec::new();
        for (n, row) in self.packages.iter().enumerate() {
            let cpus = mask("packages", n, &row.cpus)?;
            packages.push(Package { id: row.package, cpus, kernel_id: row.kernel_id });
        }
        let mut nodes = Vec::new();
        for (n, row) in self.nodes.into_iter().enumerate() {
            let cpus = mask("nodes", n, &row.cpus)?;
            nodes.push(Node { id: row.node, cpus, distances: row.distances });
        }
        let mut llcs = Vec::new();
        for (n, row) in self.llcs.iter().enumerate() {
            llcs.push(Llc {
                id: row.llc,
                cpus: mask("llcs", n, &row.cpus)?,
                origin: row.origin,
                level: row.level,
                size_bytes: row.size_bytes,
                kernel_id: row.kernel_id,
            });
        }
        let mut clusters = Vec::new();
        for (n, row) in self.clusters.iter().enumerate() {
            let cpus = mask("clusters", n, &row.cpus)?;
            clusters.push(Cluster { id: row.cluster, cpus, kernel_id: row.kernel_id });
        }
        let mut cores = Vec::new();
        for (n, row) in self.cores.iter().enumerate() {
            let cpus = mask("cores", n, &row.cpus)?;
            cores.push(Core { id: row.core, cpus, kernel_id: row.kernel_id });
        }
        let possible = CpuMask::from_list(&self.possible)
            .map_err(|error| SnapshotError::Mask { place: "possible".to_owned(), error })?;
        let parts = Parts {
            possible,
            cpus: self.cpus.iter().map(CpuRow::cpu).collect(),
            cores,
            clusters,
            llcs,
            packages,
            nodes,
            capacity_source: self.capacity_source,
            core_type_source: self.core_type_source,
        };
        let topology = parts.build()?;
        for (row, cpu) in self.cpus.iter().zip(topology.cpus()) {
            row.check(cpu)?;
        }
        Ok(topology)
    }

    /// No list may be longer than a machine can be. Checked before the masks are made.
    fn check_lengths(&self) -> Result<(), SnapshotError> {
        let lists = [
            ("packages", self.packages.len(), CPUS_MAX),
            ("nodes", self.nodes.len(), NODES_MAX),
            ("llcs", self.llcs.len(), CPUS_MAX),
            ("clusters", self.clusters.len(), CPUS_MAX),
            ("cores", self.cores.len(), CPUS_MAX),
            ("cpus", self.cpus.len(), CPUS_MAX),
        ];
        match lists.into_iter().find(|(_, count, most)| count > most) {
            Some((list, count, most)) => Err(SnapshotError::TooMany { list, count, most }),
            None => Ok(()),
        }
    }
}

impl CpuRow {
    fn cpu(&self) -> Cpu {
        Cpu {
            capacity: self.capacity,
            core_type: self.core_type,
            freq_min_khz: self.freq_min_khz,
            freq_max_khz: self.freq_max_khz,
            freq_base_khz: self.freq_base_khz,
            ..Cpu::unknown(self.cpu, self.online)
        }
    }

    /// The groups that a CPU states must be those that list it.
    fn check(&self, cpu: &Cpu) -> Result<(), SnapshotError> {
        let place = cpu.place;
        let pairs = [
            (Level::Core, self.core, place.map(|place| place.core.0)),
            (Level::Cluster, self.cluster, place.and_then(|place| place.cluster).map(|c| c.0)),
            (Level::Llc, self.llc, place.map(|place| place.llc.0)),
            (Level::Package, self.package, place.map(|place| place.package.0)),
            (Level::Node, self.node, place.map(|place| place.node.0)),
        ];
        for (level, stated, listed) in pairs {
            if let Some(stated) = stated.filter(|_| stated != listed) {
                return Err(SnapshotError::Disagrees { cpu: cpu.id, level, stated, listed });
            }
        }
        Ok(())
    }
}

impl From<&Package> for PackageRow {
    fn from(group: &Package) -> Self {
        Self { package: group.id, cpus: group.cpus.to_string(), kernel_id: group.kernel_id }
    }
}

impl From<&Node> for NodeRow {
    fn from(node: &Node) -> Self {
        let distances = node.distances.clone();
        Self { node: node.id, cpus: node.cpus.to_string(), distances }
    }
}

impl From<&Llc> for LlcRow {
    fn from(llc: &Llc) -> Self {
        Self {
            llc: llc.id,
            cpus: llc.cpus.to_string(),
            origin: llc.origin,
            level: llc.level,
            size_bytes: llc.size_bytes,
            kernel_id: llc.kernel_id,
        }
    }
}

impl From<&Cluster> for ClusterRow {
    fn from(group: &Cluster) -> Self {
        Self { cluster: group.id, cpus: group.cpus.to_string(), kernel_id: group.kernel_id }
    }
}

impl From<&Core> for CoreRow {
    fn from(group: &Core) -> Self {
        Self { core: group.id, cpus: group.cpus.to_string(), kernel_id: group.kernel_id }
    }
}

impl From<&Cpu> for CpuRow {
    fn from(cpu: &Cpu) -> Self {
        let place = cpu.place;
        Self {
            cpu: cpu.id,
            online: cpu.online,
            core: place.map(|place| place.core.0),
            cluster: place.and_then(|place| place.cluster).map(|cluster| cluster.0),
            llc: place.map(|place| place.llc.0),
            package: place.map(|place| place.package.0),
            node: place.map(|place| place.node.0),
            capacity: cpu.capacity,
            core_type: cpu.core_type,
            freq_min_khz: cpu.freq_min_khz,
            freq_max_khz: cpu.freq_max_khz,
            freq_base_khz: cpu.freq_base_khz,
        }
    }
}

fn mask(list: &str, position: usize, text: &str) -> Result<CpuMask, SnapshotError> {
    let place = || format!("{list}[{position}].cpus");
    let mask =
        CpuMask::from_list(text).map_err(|error| SnapshotError::Mask { place: place(), error })?;
    Ok(mask)
}

fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("rows of numbers and strings always make JSON")
}

fn rows<T: Serialize>(rows: impl Iterator<Item = T>) -> String {
    let lines: Vec<String> = rows.map(|row| format!("    {}", json(&row))).collect();
    if lines.is_empty() { "[]".to_owned() } else { format!("[\n{}\n  ]", lines.join(",\n")) }
}
