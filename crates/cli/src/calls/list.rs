// SPDX-License-Identifier: GPL-2.0-or-later
//! What would be traced.

use crate::exit::Exit;
use crate::output;
use anyhow::Result;
use rota_inspect::calls::{Function, Lines, Symbols};

/// The functions that would be traced, a line each.
pub(super) fn list(functions: &[Function], symbols: &Symbols, lines: &Lines) -> Result<Exit> {
    for it in functions {
        let name = &it.target.name;
        let what = match (&it.target.program_id, &it.callback, &it.module) {
            (Some(id), Some(callback), _) => format!(" (program {id}, callback {callback})"),
            (Some(id), None, _) => format!(" (program {id})"),
            (None, _, Some(module)) => format!(" [{module}]"),
            _ => String::new(),
        };
        let entry = if it.target.is_entry { "" } else { "  within" };
        let place = lines.of_function(it, symbols).map(|place| format!("  {place}"));
        output::line(&format!("{name}{what}{entry}{}", place.unwrap_or_default()))?;
    }
    Ok(Exit::Done)
}
