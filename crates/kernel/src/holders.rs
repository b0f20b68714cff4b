// SPDX-License-Identifier: GPL-2.0-or-later
//! Which processes keep a scheduler attached.

use crate::host::Host;
use libbpf_rs::MapType;
use libbpf_rs::query::MapInfoIter;
use std::collections::{BTreeMap, BTreeSet};

/// The kind of map that holds a table of callbacks.
const STRUCT_OPS: u32 = MapType::StructOps as u32;

/// A process with a file descriptor of a table of callbacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its process id.
    pub pid: u32,
    /// Its command name.
    pub comm: String,
    /// The map that holds the table.
    pub map_id: u32,
    /// Whether it holds the link that keeps the table attached, and not just the map.
    pub link: bool,
}

/// What a walk through the descriptors of all processes gave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holders {
    /// Every process that holds a table of callbacks, by process id.
    pub found: Vec<Holder>,
    /// How many processes could not be looked into.
    pub hidden: usize,
}

/// What a descriptor of BPF is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BpfKind {
    /// A program.
    Program,
    /// A map.
    Map,
    /// A link.
    Link,
    /// Types.
    Types,
}

/// The processes that have descriptors of BPF, by what and its number: process ids and names.
pub type BpfHolders = BTreeMap<(BpfKind, u32), BTreeSet<(u32, String)>>;

/// A field of a descriptor's `fdinfo`.
fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    let mut fields = info.lines().filter_map(|line| line.split_once(':'));
    fields.find(|(key, _)| *key == name).map(|(_, value)| value.trim())
}

/// What the `fdinfo` of a descriptor of BPF names, and its number.
pub(crate) fn object_in(info: &str) -> Option<(BpfKind, u32)> {
    let field = |name| field(info, name);
    let (kind, id) = match field("link_type") {
        Some(_) => (BpfKind::Link, field("link_id")),
        None if field("prog_type").is_some() => (BpfKind::Program, field("prog_id")),
        None if field("map_type").is_some() => (BpfKind::Map, field("map_id")),
        None => (BpfKind::Types, field("btf_id")),
    };
    Some((kind, id?.parse().ok()?))
}

impl Host {
    /// The processes that have descriptors of BPF. Those that can't be looked into are left out.
    pub fn bpf_holders(&self) -> BpfHolders {
        let mut holders = BpfHolders::new();
        let pids = self.proc_names("").unwrap_or_default();
        for pid in pids.iter().filter_map(|name| name.parse::<u32>().ok()) {
            for descriptor in self.proc_names(&format!("{pid}/fdinfo")).unwrap_or_default() {
                let info = self.proc_text(&format!("{pid}/fdinfo/{descriptor}"));
                let Some(object) = info.and_then(|info| object_in(&info)) else { continue };
                let comm = self.proc_text(&format!("{pid}/comm")).unwrap_or_default();
                holders.entry(object).or_default().insert((pid, comm));
            }
        }
        holders
    }

    /// The processes that hold tables of callbacks, whatever these are for.
    pub fn struct_ops_holders(&self) -> Holders {
        let mut holders = Holders::default();
        let mut pids: Vec<u32> =
            self.proc_names("").iter().flatten().filter_map(|n| n.parse().ok()).collect();
        pids.sort_unstable();
        for pid in pids {
            let Some(descriptors) = self.proc_names(&format!("{pid}/fdinfo")) else {
                // A process that has just ended is not hidden.
                holders.hidden += usize::from(self.proc_has(&pid.to_string()));
                continue;
            };
            for descriptor in descriptors {
                let info = self.proc_text(&format!("{pid}/fdinfo/{descriptor}"));
                let Some((map_id, link)) = info.and_then(|i| table_in(&i)) else { continue };
                let comm = self.proc_text(&format!("{pid}/comm")).unwrap_or_default();
                holders.found.push(Holder { pid, comm, map_id, link });
            }
        }
        holders.found.dedup();
        holders
    }
}

/// Number and name of every map whose value has this type of the kernel's, such as
/// `bpf_struct_ops_sched_ext_ops`. Empty without the permission to ask (`CAP_SYS_ADMIN`).
pub fn maps_of_kernel_type(type_id: u32) -> Vec<(u32, String)> {
    MapInfoIter::default()
        .filter(|map| map.btf_vmlinux_value_type_id == type_id)
        .map(|map| (map.id, map.name.to_string_lossy().into_owned()))
        .collect()
}

/// The map that the `fdinfo` of a link to a table of callbacks, or of such a map, names.
fn table_in(info: &str) -> Option<(u32, bool)> {
    let field = |name| field(info, name);
    let link = field("link_type") == Some("struct_ops");
    let map = field("map_type").and_then(|t| t.parse().ok()) == Some(STRUCT_OPS);
    let id = field("map_id")?.parse().ok()?;
    (link || map).then_some((id, link))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    const LINK: &str = "pos:\t0\nflags:\t02000002\nlink_type:\tstruct_ops\nlink_id:\t4\n\
                        prog_tag:\t0000000000000000\nmap_id:\t12\n";
    const MAP: &str = "pos:\t0\nflags:\t02000002\nmap_type:\t26\nkey_size:\t4\nmap_id:\t12\n";

    #[test]
    fn descriptors_of_links_and_maps() {
        assert_eq!(table_in(LINK), Some((12, true)));
        assert_eq!(table_in(MAP), Some((12, false)));
        assert_eq!(table_in("link_type:\ttracing\nprog_id:\t3\nmap_id:\t1\n"), None);
        assert_eq!(table_in("map_type:\t2\nmap_id:\t1\n"), None);
        assert_eq!(table_in("pos:\t0\nflags:\t02\n"), None);
    }

    #[test]
    fn descriptors_of_all_kinds() {
        let program = "pos:\t0\nprog_type:\t26\nprog_jited:\t1\nmemlock:\t8192\nprog_id:\t7\n";
        let tracing = "link_type:\ttracing\nlink_id:\t9\nprog_tag:\t0\nprog_id:\t7\n";
        assert_eq!(object_in(program), Some((BpfKind::Program, 7)));
        assert_eq!(object_in(tracing), Some((BpfKind::Link, 9)));
        assert_eq!(object_in(LINK), Some((BpfKind::Link, 4)));
        assert_eq!(object_in(MAP), Some((BpfKind::Map, 12)));
        assert_eq!(object_in("pos:\t0\nbtf_id:\t3\n"), Some((BpfKind::Types, 3)));
        assert_eq!(object_in("pos:\t0\nflags:\t02\n"), None);
        assert_eq!(object_in("prog_type:\t26\nprog_id:\tx\n"), None);
    }

    fn process(proc: &Path, pid: u32, comm: &str, descriptors: &[&str]) {
        let dir = proc.join(format!("{pid}/fdinfo"));
        fs::create_dir_all(&dir).unwrap();
        fs::write(proc.join(format!("{pid}/comm")), format!("{comm}\n")).unwrap();
        for (number, info) in descriptors.iter().enumerate() {
            fs::write(dir.join(number.to_string()), info).unwrap();
        }
    }

    #[test]
    fn processes_are_found_by_their_descriptors() {
        let proc = tempfile::tempdir().unwrap();
        process(proc.path(), 20, "rota", &["pos:\t0\n", LINK, LINK]);
        process(proc.path(), 3, "bpftool", &[MAP]);
        process(proc.path(), 4, "sh", &["pos:\t0\n"]);
        fs::create_dir_all(proc.path().join("5")).unwrap();
        fs::create_dir_all(proc.path().join("self")).unwrap();
        let holders = Host::new("/nowhere", proc.path()).struct_ops_holders();
        let expected = [
            Holder { pid: 3, comm: "bpftool".into(), map_id: 12, link: false },
            Holder { pid: 20, comm: "rota".into(), map_id: 12, link: true },
        ];
        assert_eq!(holders.found, expected);
        assert_eq!(holders.hidden, 1);
    }
}
