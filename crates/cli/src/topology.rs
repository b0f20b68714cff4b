// SPDX-License-Identifier: GPL-2.0-or-later
//! `rota topology`.

use crate::exit::Exit;
use crate::output::{self, Format};
use crate::{file, machine};
use anyhow::{Context, Result, anyhow};
use rota_events::hint_and;
use rota_kernel::Host;
use rota_sim::Model;
use rota_topology::{MemoryTree, Spec, SpecError, Topology};
use std::path::{Path, PathBuf};

/// Arguments of `rota topology`.
#[derive(clap::Args)]
#[command(after_long_help = "A MACHINE is one of:\n  \
    2s:4l:8c:2t    sockets, LLCs a socket, cores an LLC, threads a core; what is left out is 1\n  \
    2n:16c         NUMA nodes a socket come between sockets (s) and LLCs (l)\n  \
    desktop16      a machine with a name: laptop, desktop16, server256, server1024\n  \
    machine.toml   a machine file; its costs, power and noise with --sources\n  \
    machine.json   a snapshot made with --save\n  \
    DIRECTORY      a sysfs tree: /sys itself, or a copy\n  \
    tree.txt       a sysfs tree as text, a line `path = value` for each file")]
pub(crate) struct Args {
    /// The machine to show; without it, this one
    #[arg(value_hint = clap::ValueHint::AnyPath)]
    machine: Option<String>,
    /// A tree for people, or JSON
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Show where a machine's costs, power and noise come from, instead of its CPUs
    #[arg(long, requires = "machine", conflicts_with = "save")]
    sources: bool,
    /// Keep a snapshot in this file, which everything that takes a machine reads
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
}

/// Shows or keeps a machine.
pub(crate) fn run(args: &Args) -> Result<Exit> {
    if let (true, Some(name)) = (args.sources, &args.machine) {
        return machine::show_sources(&machine::read(name)?, args.format).map(|()| Exit::Done);
    }
    let topology = read(args.machine.as_deref())?;
    if let Some(path) = &args.save {
        file::save(path, topology.to_json())?;
    }
    match args.format {
        Format::Table if args.save.is_none() => output::text(&topology.tree())?,
        Format::Table => {}
        Format::Json => output::text(&topology.to_json())?,
    }
    Ok(Exit::Done)
}

/// The machine that the text names; what was odd about it is said on standard error.
pub(crate) fn read(machine: Option<&str>) -> Result<Topology> {
    let Some(machine) = machine else {
        return from_sysfs(&Host::default(), "/sys");
    };
    match machine::from_file(machine)? {
        Some(model) => Ok(model.topology),
        None => read_places(machine),
    }
}

/// The CPUs that the text names, which is no machine file.
pub(crate) fn read_places(machine: &str) -> Result<Topology> {
    let path = Path::new(machine);
    if path.is_dir() {
        return from_sysfs(&Host::new(path, "/proc"), machine);
    }
    if !path.exists() && !machine.contains(['/', '.']) {
        let spec = machine.parse::<Spec>();
        return spec.map(|spec| spec.topology()).map_err(|error| no_machine(machine, &error));
    }
    let text = file::read_text(path)?;
    if text.trim_start().starts_with('{') {
        return Topology::from_json(&text).with_context(|| machine.to_owned());
    }
    let tree = MemoryTree::from_text(&text).with_context(|| machine.to_owned())?;
    from_sysfs(&tree, machine)
}

/// What is said of a text that is neither the name of a machine nor a short form.
fn no_machine(text: &str, error: &SpecError) -> anyhow::Error {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return anyhow!("{error}");
    }
    let names: Vec<_> = Model::names().collect();
    let more = "Or describe one: 2l:8c has 2 caches of 8 cores.";
    anyhow!("no machine '{text}'{}", hint_and(text, &names, more))
}

fn from_sysfs(tree: &dyn rota_topology::Tree, name: &str) -> Result<Topology> {
    let reading = Topology::from_sysfs(tree).with_context(|| name.to_owned())?;
    for warning in &reading.warnings {
        output::note(&format!("rota: {name}: {warning}"));
    }
    Ok(reading.topology)
}
