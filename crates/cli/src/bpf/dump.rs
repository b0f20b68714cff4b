// SPDX-License-Identifier: GPL-2.0-or-later
//! `rota bpf map dump`.

use crate::exit::Exit;
use crate::output::{self, Format};
use anyhow::{Context, Result};
use rota_inspect::bpf::Layout;
use rota_kernel::{
    BpfEntry, BpfKind, BpfMap, bpf_map_entries, bpf_maps, bpf_pinned, bpf_type_bytes,
};
use rota_object::Btf;
use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::path::Path;

/// Arguments of `rota bpf map dump`.
#[derive(clap::Args)]
#[command(after_long_help = "Examples:\n  \
    rota bpf map dump tasks            by name, if only one map has it\n  \
    rota bpf map dump 17               by number\n  \
    rota bpf map dump /sys/fs/bpf/x    by a file that keeps it\n\n\
    Variables of an object are in its maps .data, .bss and .rodata.")]
pub(super) struct Args {
    /// Which map
    #[arg(value_name = "ID|NAME|FILE")]
    map: String,
    /// Text for people, or JSON as bpftool -j map dump has it
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// Prints what is in a map.
pub(super) fn run(args: &Args) -> Result<Exit> {
    let map = match find(&args.map)? {
        Ok(map) => map,
        Err(why) => {
            output::error(&why);
            return Ok(Exit::Negative);
        }
    };
    let types = match (map.kernel_value_type, map.btf_id) {
        (0, 0) => None,
        (0, id) => {
            let bytes = bpf_type_bytes(id)?;
            Some(Btf::parse(&bytes).with_context(|| format!("types {id} of BPF"))?)
        }
        _ => Some(super::kernel_types()?),
    };
    let layout = Layout::of(&map, types);
    let mut out = BufWriter::new(io::stdout().lock());
    match args.format {
        Format::Table => each(map.id, |entry| out.write_all(layout.text(entry).as_bytes()))?,
        Format::Json => {
            let mut before = "[";
            each(map.id, |entry| {
                write!(out, "{before}{}", layout.json(entry))?;
                before = ",";
                Ok(())
            })?;
            writeln!(out, "{}]", if before == "[" { "[" } else { "" })?;
        }
    }
    out.flush()?;
    Ok(Exit::Done)
}

/// Shows each entry, until that fails.
fn each(id: u32, mut show: impl FnMut(&BpfEntry) -> io::Result<()>) -> Result<()> {
    let mut shown = Ok(());
    bpf_map_entries(id, |entry| {
        shown = show(&entry);
        if shown.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(shown?)
}

/// The map with a number or a name, or that a file keeps; or why there is none.
fn find(wanted: &str) -> Result<Result<BpfMap, String>> {
    let mut maps = bpf_maps().context("root may read maps")?;
    if wanted.contains('/') {
        let (kind, id) = bpf_pinned(Path::new(wanted)).with_context(|| wanted.to_owned())?;
        maps.retain(|map| kind == BpfKind::Map && map.id == id);
        return Ok(maps.pop().ok_or_else(|| format!("{wanted} keeps no map")));
    }
    if let Some(place) = maps.iter().position(|map| map.id.to_string() == wanted) {
        return Ok(Ok(maps.swap_remove(place)));
    }
    maps.retain(|map| map.name == wanted);
    Ok(match maps.len() {
        0 => Err(format!("there is no map '{wanted}'; 'rota bpf maps' lists them")),
        1 => Ok(maps.remove(0)),
        many => {
            let ids: Vec<_> = maps.iter().map(|map| map.id.to_string()).collect();
            Err(format!("{many} maps are called '{wanted}'; take a number: {}", ids.join(", ")))
        }
    })
}
