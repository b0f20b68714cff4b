// SPDX-License-Identifier: GPL-2.0-or-later
//! `rota bpf`.

use crate::exit::Exit;
use crate::output::{self, Format};
use anyhow::{Context, Result};
use rota_inspect::bpf::{Listing, Objects};
use rota_kernel::{Host, boot_ns, bpf_links, bpf_maps, bpf_programs, bpf_types};

/// Arguments of `rota bpf`.
#[derive(clap::Args)]
#[command(after_long_help = "Examples:\n  \
    rota bpf progs                     all programs, what they use, who holds them\n  \
    rota bpf maps lost 17              two maps, by name and by number\n  \
    rota bpf links --format json       in the field names of bpftool -j\n\n\
    It takes root. The exit code is 1 if something that is named is not there.")]
pub(crate) struct Args {
    /// What to list
    #[arg(value_enum)]
    list: List,
    /// Only those with these numbers or names
    #[arg(value_name = "ID|NAME")]
    wanted: Vec<String>,
    /// A table for people, or JSON
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// What can be listed.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum List {
    /// Programs
    Progs,
    /// Maps
    Maps,
    /// Links, which keep programs attached
    Links,
    /// Types of programs, of the kernel and of its modules
    Btf,
}

impl List {
    fn listing(self) -> (Listing, &'static str) {
        match self {
            Self::Progs => (Listing::Programs, "program"),
            Self::Maps => (Listing::Maps, "map"),
            Self::Links => (Listing::Links, "link"),
            Self::Btf => (Listing::Types, "set of types"),
        }
    }
}

/// Prints one of the lists.
pub(crate) fn run(args: &Args) -> Result<Exit> {
    let host = Host::default();
    let objects = objects(&host).context("root may list them")?;
    let (listing, what) = args.list.listing();
    let chosen = match objects.chosen(listing, &args.wanted) {
        Ok(chosen) => chosen,
        Err(missing) => {
            output::error(&format!("there is no {what} '{missing}'; without it, all are listed"));
            return Ok(Exit::Negative);
        }
    };
    let text = match args.format {
        Format::Table => chosen.to_table(listing),
        Format::Json => chosen.to_json(listing).to_string() + "\n",
    };
    output::text(&text)?;
    Ok(Exit::Done)
}

/// All that there is. What comes or goes meanwhile may be in one list and not in the other.
fn objects(host: &Host) -> Result<Objects> {
    Ok(Objects {
        programs: bpf_programs()?,
        maps: bpf_maps()?,
        links: bpf_links()?,
        types: bpf_types()?,
        holders: host.bpf_holders(),
        boot_ns: boot_ns(),
    })
}
