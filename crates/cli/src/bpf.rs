// SPDX-License-Identifier: GPL-2.0-or-later
//! `rota bpf`.

mod dump;
mod list;
mod sched;
mod top;

use crate::exit::Exit;
use anyhow::{Context, Result};
use rota_inspect::bpf::{Objects, Scheduler, table_name};
use rota_kernel::{
    BpfValue, Host, boot_ns, bpf_links, bpf_map_entries, bpf_maps, bpf_programs, bpf_types,
};
use rota_object::Btf;
use std::fs;
use std::ops::ControlFlow;

/// The kernel's own types.
const KERNEL_TYPES: &str = "/sys/kernel/btf/vmlinux";

/// Arguments of `rota bpf`.
#[derive(clap::Args)]
#[command(after_long_help = "Examples:\n  \
    rota bpf sched                     the attached scheduler: callbacks, maps\n  \
    rota bpf progs                     all programs, what they use, who holds them\n  \
    rota bpf maps lost 17              two maps, by name and by number\n  \
    rota bpf map dump tasks            what is in a map, by its types\n  \
    rota bpf top                       programs by what they cost, once a second\n  \
    rota bpf links --format json       in the field names of bpftool -j\n\n\
    It takes root. The exit code is 1 if something that is named is not there.")]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// The schedulers of sched_ext that are loaded, as trees
    Sched(sched::Args),
    /// Programs
    Progs(list::Args),
    /// Maps
    Maps(list::Args),
    /// Links, which keep programs attached
    Links(list::Args),
    /// Tables of callbacks, of schedulers and others
    #[command(name = "struct_ops")]
    StructOps(list::Args),
    /// Types of programs, of the kernel and of its modules
    Btf(list::Args),
    /// What is in a map
    #[command(subcommand)]
    Map(MapVerb),
    /// Programs by what they cost, the most expensive first, again and again
    Top(top::Args),
}

#[derive(clap::Subcommand)]
enum MapVerb {
    /// All entries, by the types of keys and values
    Dump(dump::Args),
}

/// Says what the kernel has of BPF.
pub(crate) fn run(args: &Args) -> Result<Exit> {
    match &args.verb {
        Verb::Sched(args) => sched::run(args),
        Verb::Progs(args) => list::run(args, list::PROGRAMS),
        Verb::Maps(args) => list::run(args, list::MAPS),
        Verb::Links(args) => list::run(args, list::LINKS),
        Verb::StructOps(args) => list::run(args, list::TABLES),
        Verb::Btf(args) => list::run(args, list::TYPES),
        Verb::Map(MapVerb::Dump(args)) => dump::run(args),
        Verb::Top(args) => top::run(args),
    }
}

/// All that there is. What comes or goes meanwhile may be in one list and not in the other.
pub(crate) fn objects() -> Result<Objects> {
    let host = Host::default();
    let root = "root may list them";
    Ok(Objects {
        programs: bpf_programs().context(root)?,
        maps: bpf_maps().context(root)?,
        links: bpf_links().context(root)?,
        types: bpf_types().context(root)?,
        holders: host.bpf_holders(),
        pins: host.bpf_pins(),
        boot_ns: boot_ns(),
        ..Objects::default()
    })
}

/// The kernel's own types.
pub(crate) fn kernel_types() -> Result<Btf> {
    let bytes = fs::read(KERNEL_TYPES).context(KERNEL_TYPES)?;
    Btf::parse(&bytes).context(KERNEL_TYPES)
}

/// Names what tables of callbacks are for.
fn name_tables(objects: &mut Objects, kernel: &Btf) {
    let tables = objects.maps.iter().filter(|map| map.kernel_value_type != 0);
    let names = tables.filter_map(|map| Some((map.kernel_value_type, table_name(kernel, map)?)));
    objects.table_names = names.collect();
}

/// The schedulers of sched_ext that are loaded.
pub(crate) fn schedulers(objects: &Objects, kernel: &Btf) -> Vec<Scheduler> {
    let state = Host::default().sched_ext();
    let enabled = state.filter(|it| it.state == "enabled").and_then(|it| it.scheduler);
    objects.schedulers(kernel, enabled.as_deref(), first_value)
}

/// What a map has at its first key.
fn first_value(id: u32) -> Option<Vec<u8>> {
    let mut found = None;
    // A map that goes meanwhile is none.
    let _ = bpf_map_entries(id, |entry| {
        if let BpfValue::One(value) = entry.value {
            found = Some(value);
        }
        ControlFlow::Break(())
    });
    found
}
