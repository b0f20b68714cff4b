// SPDX-License-Identifier: GPL-2.0-or-later
//! A description as JSON.

use crate::object::Description;
use rota_object::{MapDef, Taken};
use serde_json::{Value, json};

/// Version of the form.
pub const SCHEMA: &str = "rota-object/1";

/// The description of an object, ending in a line break.
pub fn to_json(found: &Description) -> String {
    let tables = found.tables.iter().map(|table| {
        let callbacks = table
            .callbacks
            .iter()
            .map(|(member, program)| json!({ "member": member, "program": program }));
        json!({
            "name": table.name,
            "kernel_type": table.kernel_type,
            "shown_name": table.shown_name,
            "callbacks": callbacks.collect::<Value>(),
        })
    });
    let functions = found.needs.parts.iter().map(|part| {
        json!({
            "name": part.name,
            "section": part.section,
            "instructions": part.instructions,
        })
    });
    let globals = found.globals.iter().map(|global| {
        json!({
            "name": global.name,
            "section": global.section,
            "type": global.ty,
            "size_bytes": global.size,
            "value": global.value,
        })
    });
    let helpers = found.helpers.iter().map(|(id, name)| json!({ "id": id, "name": name }));
    let kernels = found.kernels.iter().map(|kernel| {
        json!({
            "kernel": kernel.kernel,
            "loads": kernel.loads(),
            "missing": kernel.missing,
            "unknown": kernel.unknown,
            "without": kernel.without,
        })
    });
    let all = json!({
        "schema": SCHEMA,
        "name": found.name,
        "summary": found.summary,
        "tables": tables.collect::<Value>(),
        "functions": functions.collect::<Value>(),
        "maps": found.needs.maps.iter().map(|m| map(found, m)).collect::<Value>(),
        "globals": globals.collect::<Value>(),
        "kfuncs": taken(&found.needs.kfuncs),
        "kernel_variables": taken(&found.needs.variables),
        "config": taken(&found.needs.config),
        "helpers": helpers.collect::<Value>(),
        "kernel_types": found.needs.types,
        "kernels": kernels.collect::<Value>(),
    });
    // A value made of lists, texts and numbers can always be written.
    serde_json::to_string_pretty(&all).unwrap_or_default() + "\n"
}

fn map(found: &Description, map: &MapDef) -> Value {
    json!({
        "name": map.name,
        "kind": found.map_kinds.get(&map.kind),
        "key_size_bytes": map.key_size,
        "value_size_bytes": map.value_size,
        "max_entries": map.max_entries,
        "flags": map.flags,
        "read_only": map.read_only,
        "data_section": map.data,
    })
}

fn taken(list: &[Taken]) -> Value {
    list.iter().map(|taken| json!({ "name": taken.name, "weak": taken.weak })).collect()
}
