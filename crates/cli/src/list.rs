// SPDX-License-Identifier: GPL-2.0-or-later
//! `rota list`.

use crate::exit::Exit;
use crate::output::{self, Format};
use anyhow::Result;
use rota_object::{Object, SettingKind};
use rota_sched::{SCHEDULERS, TextSetting};

/// Arguments of `rota list`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A table for people, or JSON
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// Prints a line for each scheduler.
pub(crate) fn run(args: &Args) -> Result<Exit> {
    let width = SCHEDULERS.iter().map(|e| e.name.len()).max().unwrap_or(0);
    let mut list = Vec::new();
    for entry in SCHEDULERS {
        let object = Object::parse(entry.object)?;
        let summary = object.summary().unwrap_or_default();
        match args.format {
            Format::Table => output::line(&format!("{:width$}  {summary}", entry.name))?,
            Format::Json => list.push(serde_json::json!({
                "name": entry.name,
                "summary": summary,
                "settings": settings(&object, entry.texts),
            })),
        }
    }
    if args.format == Format::Json {
        let all = serde_json::json!({ "schema": "rota-list/1", "schedulers": list });
        output::line(&serde_json::to_string_pretty(&all)?)?;
    }
    Ok(Exit::Done)
}

fn settings(object: &Object, texts: &[TextSetting]) -> Vec<serde_json::Value> {
    let kind = |kind| match kind {
        SettingKind::Bool => "bool",
        SettingKind::Duration => "duration",
        SettingKind::Bytes => "size",
        SettingKind::Number => "number",
    };
    let settings = object.settings().into_iter().map(|s| {
        serde_json::json!({
            "flag": s.flag,
            "kind": kind(s.default.kind),
            "default": s.default.to_string(),
            "help": s.help,
        })
    });
    let texts = texts.iter().map(|text| {
        serde_json::json!({
            "flag": text.flag,
            "kind": "text",
            "default": text.default,
            "help": text.help,
        })
    });
    settings.chain(texts).collect()
}
