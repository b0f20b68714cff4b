// SPDX-License-Identifier: GPL-2.0-or-later
//! Machines on the command line: a name, a machine file, or anything that is a topology.

use crate::output::{self, Format};
use crate::{file, topology};
use anyhow::{Result, anyhow};
use rota_sim::{Model, ModelError};
use serde_json::json;
use std::path::Path;

/// The machine that the text names.
pub(crate) fn read(text: &str) -> Result<Model> {
    if let Some(model) = from_file(text)? {
        return Ok(model);
    }
    Ok(Model::of(topology::read_places(text)?)?)
}

/// The machine of that name, or of the machine file; `None` if it is neither.
pub(crate) fn from_file(text: &str) -> Result<Option<Model>> {
    let path = Path::new(text);
    if let Some(model) = Model::named(text).filter(|_| !path.exists()) {
        return model.map(Some).map_err(|e| anyhow!("machine {text}: {e}"));
    }
    let is_file = path.extension().is_some_and(|end| end == "toml");
    if !is_file {
        return Ok(None);
    }
    let dir = path.parent().unwrap_or(Path::new(""));
    let find = |name: &str| {
        // A file stands beside the one that names it.
        let beside = dir.join(name);
        if let Some(model) = Model::named(name).filter(|_| !beside.exists()) {
            return model.map(|model| model.topology).map_err(|e| e.to_string());
        }
        let named =
            if beside.exists() { beside.to_string_lossy().into_owned() } else { name.to_owned() };
        topology::read_places(&named).map_err(|e| format!("{e:#}"))
    };
    let model = Model::parse(&file::read_text(path)?, &find);
    model.map(Some).map_err(|e: ModelError| anyhow!("{text}:{e}"))
}

/// Shows a machine's numbers with their sources.
pub(crate) fn show_sources(model: &Model, format: Format) -> Result<()> {
    match format {
        Format::Table => {
            output::line(&model.about)?;
            for source in &model.sources {
                output::line(&format!(
                    "\n{} = {}\n    {}",
                    source.name, source.value, source.text
                ))?;
            }
        }
        Format::Json => {
            let sources = model.sources.iter().map(|source| {
                json!({ "name": source.name, "value": source.value, "source": source.text })
            });
            let sources: Vec<_> = sources.collect();
            let all =
                json!({ "schema": "rota-machine/1", "about": model.about, "sources": sources });
            output::line(&all.to_string())?;
        }
    }
    Ok(())
}
