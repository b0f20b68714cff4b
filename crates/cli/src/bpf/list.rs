// SPDX-License-Identifier: GPL-2.0-or-later
//! `rota bpf progs`, `maps`, `links`, `struct_ops` and `btf`.

use crate::exit::Exit;
use crate::output::{self, Format};
use anyhow::Result;
use rota_inspect::bpf::Listing;

/// Arguments of a list.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Only those with these numbers or names [default: all]
    #[arg(value_name = "ID|NAME")]
    wanted: Vec<String>,
    /// A table for people, or JSON in the field names of bpftool
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// What is listed, and what one of it is called.
type What = (Listing, &'static str);

pub(super) const PROGRAMS: What = (Listing::Programs, "program");
pub(super) const MAPS: What = (Listing::Maps, "map");
pub(super) const LINKS: What = (Listing::Links, "link");
pub(super) const TABLES: What = (Listing::Tables, "table of callbacks");
pub(super) const TYPES: What = (Listing::Types, "set of types");

/// Prints one of the lists.
pub(super) fn run(args: &Args, (listing, what): What) -> Result<Exit> {
    let mut objects = super::objects()?;
    if listing == Listing::Tables && objects.maps.iter().any(|map| map.kernel_value_type != 0) {
        super::name_tables(&mut objects, &super::kernel_types()?);
    }
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
