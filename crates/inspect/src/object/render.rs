// SPDX-License-Identifier: GPL-2.0-or-later
//! A description as text for people.

use crate::object::{Description, Fit};
use rota_object::Taken;
use std::fmt::Write;

/// The kind of map that gets as many entries as the machine has CPUs (kernel: `enum bpf_map_type`).
const PERF_EVENT_ARRAY: u32 = 4;

/// The description of an object, ending in a line break.
pub fn table(found: &Description) -> String {
    let mut out = String::new();
    match &found.summary {
        Some(summary) => line(&mut out, &format!("{}: {summary}", found.name)),
        None => line(&mut out, &found.name),
    }
    for table in &found.tables {
        let shown = if table.shown_name.is_empty() {
            String::new()
        } else {
            format!(", shown as {}", table.shown_name)
        };
        let title = format!("callbacks: {} ({}{shown})", table.name, table.kernel_type);
        let rows = table.callbacks.iter().map(|(m, p)| vec![m.clone(), p.clone()]);
        section(&mut out, &title, &rows.collect::<Vec<_>>());
    }
    let rows = found.needs.parts.iter().map(|part| {
        vec![part.name.clone(), part.section.clone(), format!("{} insns", part.instructions)]
    });
    section(&mut out, "functions", &rows.collect::<Vec<_>>());
    let rows = found.needs.maps.iter().map(|map| {
        let kind = found.map_kinds.get(&map.kind).cloned().unwrap_or_default();
        let kind = if map.data { "data".to_owned() } else { kind };
        let sizes = format!("key {} B, value {} B", map.key_size, map.value_size);
        let entries = match (map.kind, map.max_entries) {
            (PERF_EVENT_ARRAY, 0) => "an entry for each CPU".to_owned(),
            (_, entries) => format!("{entries} entries"),
        };
        vec![map.name.clone(), kind, sizes, entries]
    });
    section(&mut out, "maps", &rows.collect::<Vec<_>>());
    let rows = found.globals.iter().map(|global| {
        let value = format!("= {}", global.value);
        vec![global.name.clone(), global.section.clone(), global.ty.clone(), value]
    });
    section(&mut out, "globals", &rows.collect::<Vec<_>>());
    section(&mut out, "kfuncs", &taken(&found.needs.kfuncs));
    section(&mut out, "kernel variables", &taken(&found.needs.variables));
    section(&mut out, "configuration", &taken(&found.needs.config));
    let rows = found.helpers.iter().map(|(id, name)| vec![name.clone(), format!("helper {id}")]);
    section(&mut out, "helpers", &rows.collect::<Vec<_>>());
    let rows = found.needs.types.iter().map(|name| vec![name.clone()]);
    section(&mut out, "kernel types (CO-RE)", &rows.collect::<Vec<_>>());
    for fit in &found.kernels {
        kernel(&mut out, fit);
    }
    out
}

fn kernel(out: &mut String, fit: &Fit) {
    let verdict = match fit.loads() {
        Some(true) => "has all that it needs",
        Some(false) => "cannot load it",
        None => "may have all that it needs",
    };
    line(out, &format!("{}: {verdict}", fit.kernel));
    fit.missing.iter().for_each(|words| line(out, &format!("  {words}")));
    fit.unknown.iter().for_each(|words| line(out, &format!("  not known: {words}")));
    fit.without.iter().for_each(|words| line(out, &format!("  without: {words}")));
}

fn taken(list: &[Taken]) -> Vec<Vec<String>> {
    let word = |weak| if weak { "if there" } else { "needed" };
    list.iter().map(|t| vec![t.name.clone(), word(t.weak).to_owned()]).collect()
}

/// A title and rows, whose columns are as wide as their widest entry.
fn section(out: &mut String, title: &str, rows: &[Vec<String>]) {
    if rows.is_empty() {
        return;
    }
    line(out, &format!("{title}:"));
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |i: usize| rows.iter().filter_map(|r| r.get(i)).map(|c| c.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|i| width(i).unwrap_or(0)).collect();
    for row in rows {
        let mut text = String::from(" ");
        for (cell, width) in row.iter().zip(&widths) {
            // Writing to a string cannot fail.
            let _ = write!(text, " {cell:width$}");
        }
        line(out, text.trim_end());
    }
}

fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}
