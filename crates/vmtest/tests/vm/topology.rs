// SPDX-License-Identifier: GPL-2.0-or-later
//! `rota topology` against `lscpu`, which reads the same kernel in its own way.

use crate::guest::{Guest, ensure};
use libtest_mimic::Failed;
use rota_topology::{CpuId, CpuMask, Level, Topology};
use std::collections::BTreeMap;

pub(crate) fn agrees_with_lscpu(guest: &mut Guest) -> Result<(), Failed> {
    let ours = guest.expect(0, "rota topology --format json")?;
    let ours = Topology::from_json(&ours)?;
    let theirs = guest.expect(0, "lscpu --parse=CPU,CORE,SOCKET,NODE,CACHE")?;
    let rows: Vec<Vec<String>> = theirs
        .lines()
        .filter(|l| !l.starts_with('#'))
        .map(|l| l.split([',', ':']).map(str::to_owned).collect())
        .collect();
    let columns = [(1, Level::Core), (2, Level::Package), (3, Level::Node)];
    for (column, level) in columns {
        compare(&ours, level, &partition(&rows, column))?;
    }
    // The caches are L1d, L1i, L2 and L3 where there are four.
    if rows.iter().all(|r| r.len() == 8) {
        compare(&ours, Level::Llc, &partition(&rows, 7))?;
    }
    let online: CpuMask = rows.iter().filter_map(|r| r[0].parse().ok().map(CpuId)).collect();
    ensure(*ours.online() == online, || format!("{} online, lscpu says {online}", ours.online()))?;
    let saved = guest.expect(0, "rota topology --save /tmp/m.json && rota topology /tmp/m.json")?;
    let live = guest.expect(0, "rota topology")?;
    ensure(saved == live, || format!("the snapshot shows\n{saved}\nthe machine shows\n{live}"))
}

/// CPUs with the same value in a column, by lowest CPU. An empty value is one of its own.
fn partition(rows: &[Vec<String>], column: usize) -> Vec<CpuMask> {
    let mut groups: BTreeMap<&str, CpuMask> = BTreeMap::new();
    for row in rows {
        if let Ok(cpu) = row[0].parse() {
            groups.entry(row[column].as_str()).or_default().insert(CpuId(cpu));
        }
    }
    let mut masks: Vec<_> = groups.into_values().collect();
    masks.sort_by_key(CpuMask::first);
    masks
}

fn compare(ours: &Topology, level: Level, theirs: &[CpuMask]) -> Result<(), Failed> {
    let ours = ours.groups(level);
    ensure(ours == theirs, || format!("{level:?}: rota has {ours:?}, lscpu has {theirs:?}"))
}
