// SPDX-License-Identifier: GPL-2.0-or-later
//! What a simulation is made of, from the words of the command line.

use super::contestant::Contestant;
use super::value;
use crate::{file, object, output};
use anyhow::{Context, Result, anyhow, bail};
use rota_object::{EngineError, KernelTypes, Setup};
use rota_sched::Choice;
use rota_sim::{Model, Simulation};
use rota_workload::rtapp::{Remark, RtApp};
use rota_workload::{Capacity, TASKS_MAX, Workload, WorkloadError};
use std::path::{Path, PathBuf};

/// A name and the text of its value.
pub(crate) type Pair = (String, String);

/// Takes the scheduler's settings out of what is set, and gives them to the choice; what is left
/// are global variables.
pub(crate) fn sort_settings(
    choice: &mut Choice,
    set: &[Pair],
    flags: &[Pair],
) -> Result<Vec<Pair>> {
    let mut globals = Vec::new();
    for (name, text) in set {
        match choice.find_setting(name) {
            Ok(setting) if setting.flag == *name => {
                choice.settings.push((name.clone(), text.clone()));
            }
            _ if choice.object.global(name).is_some() => {
                globals.push((name.clone(), text.clone()));
            }
            Err(_) if choice.texts().iter().any(|text| text.flag == name) => {
                choice.settings.push((name.clone(), text.clone()));
            }
            Ok(_) => choice.settings.push((name.clone(), text.clone())),
            Err(error) => bail!(
                "--set {name}: no global variable of that name (rota object shows them), and {error}"
            ),
        }
    }
    choice.settings.extend(flags.iter().cloned());
    // Wrong settings are said before anything else is done.
    choice.half()?;
    Ok(globals)
}

/// A `name=number` argument.
pub(crate) fn name_number(text: &str) -> Result<(String, u32), String> {
    let (name, number) = crate::args::name_value(text)?;
    let number = number.parse().map_err(|_| format!("'{number}' is no number"))?;
    Ok((name, number))
}

/// Options by which the machine has a kernel.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct KernelArgs {
    /// The machine's kernel: 6.16, 6.18, 7.0 or 7.3 [default: of a recording, the newest of these
    /// that is not newer than its own; else 7.3]
    #[arg(long, value_name = "VERSION", conflicts_with = "btf")]
    kernel: Option<String>,
    /// A kernel by its types: /sys/kernel/btf/vmlinux, a copy of it, or a vmlinux
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub(crate) btf: Option<PathBuf>,
}

impl KernelArgs {
    /// The kernel of the machine; `recorded` is that of the recording that is the workload.
    pub(crate) fn types(&self, recorded: Option<&str>) -> Result<KernelTypes> {
        match (&self.btf, &self.kernel) {
            (Some(file), _) => {
                object::types_from_file(file).with_context(|| file.display().to_string())
            }
            (None, Some(name)) => Ok(KernelTypes::builtin(name)?),
            (None, None) => Ok(KernelTypes::nearest(recorded.unwrap_or_default())?),
        }
    }
}

/// All workloads together. What a file says that is not modelled is told on the way.
pub(crate) fn workload(texts: &[String], model: &Model) -> Result<Workload> {
    let cpus = model.topology.possible().last().map_or(0, |last| last.0 + 1);
    workload_for("--workload ", texts, cpus, &model.capacity())
}

/// The same for so many CPUs, which can do so much. The option is what stands before the texts.
pub(crate) fn workload_for(
    option: &str,
    texts: &[String],
    cpus: u32,
    capacity: &Capacity,
) -> Result<Workload> {
    let mut all = Workload::default();
    let parts = texts.iter().flat_map(|text| text.split('+').map(move |part| (text, part.trim())));
    for (text, part) in parts {
        let more = if part.ends_with(".json") {
            let (workload, warnings) = workload_file(Path::new(part), cpus)?;
            warnings.iter().for_each(|warning| output::note(&format!("rota: {part}:{warning}")));
            workload
        } else {
            Workload::parse_for(part, capacity).map_err(|error| match error {
                WorkloadError::Missing => anyhow!("{option}{text}: {error}"),
                other => other.into(),
            })?
        };
        if let Some(group) = more.groups.iter().find(|group| RESERVED.contains(&&*group.name)) {
            let name = &group.name;
            bail!(
                "workload {part}: a group called '{name}' would be taken for another; give it a name"
            );
        }
        all = all.joined(more);
    }
    let tasks = all.starts.len();
    if tasks as u64 > TASKS_MAX {
        bail!("{tasks} tasks in all; a machine can have {TASKS_MAX}");
    }
    Ok(all)
}

/// Names of groups that stand for something else in results: the whole machine, what disturbs it.
pub(crate) const RESERVED: [&str; 2] = [rota_compare::ALL, rota_sim::NOISE];

/// A workload file in rt-app's grammar, with what is not modelled of it.
fn workload_file(path: &Path, cpus: u32) -> Result<(Workload, Vec<Remark>)> {
    let shown = || path.display().to_string();
    let text = file::read_text(path)?;
    let file = RtApp::parse(&text).map_err(|error| anyhow!("{}:{error}", shown()))?;
    file.workload(cpus).map_err(|error| anyhow!("{}:{error}", shown()))
}

/// Sets global variables.
pub(crate) fn set_globals(world: &mut Simulation, choice: &Choice, globals: &[Pair]) -> Result<()> {
    for (name, text) in globals {
        let Some(global) = choice.object.global(name) else { continue };
        let bytes = value::bytes(choice.object.btf(), global, text);
        let bytes = bytes.map_err(|problem| anyhow!("--set {name}: {problem}"))?;
        let longer = bytes.len() as u64 > global.size;
        let written = match longer {
            true => world.write_longer(name, &bytes),
            false => world.write_global(name, &bytes),
        };
        written.map_err(|error| match error {
            EngineError::Size { given, expected, .. } => {
                anyhow!("--set {name}: {given} bytes are more than the {expected} that it has")
            }
            other => anyhow!("--set {name}: {other}"),
        })?;
    }
    Ok(())
}

/// What somebody who believes the results should know.
pub(crate) fn warnings(
    contestant: &Contestant,
    kernel: &KernelTypes,
    world: &Simulation,
) -> Vec<String> {
    let mut warnings = Vec::new();
    let Some(choice) = contestant.choice() else { return warnings };
    let name = &choice.name;
    let unset = rota_sim::unset_fields(&choice.object, kernel);
    if !unset.is_empty() {
        warnings.push(format!(
            "{name} reads fields of the kernel that are never set here, and are zero: {}",
            unset.join(", ")
        ));
    }
    let missing: Vec<_> =
        world.kfuncs().into_iter().filter_map(|(k, calls)| calls.is_none().then_some(k)).collect();
    if !missing.is_empty() {
        warnings.push(format!(
            "{name} names functions that are not simulated, at whose first call it would be \
             stopped: {}",
            missing.join(", ")
        ));
    }
    if choice.is_built_in() {
        return warnings;
    }
    warnings.push(format!(
        "{name} is unverified: no kernel has been asked whether it would load it (rota verify)"
    ));
    let called: Vec<_> =
        choice.object.programs().iter().filter(|p| p.section == "syscall").collect();
    if !called.is_empty() {
        let names: Vec<_> = called.iter().map(|p| p.name.as_str()).collect();
        warnings.push(format!(
            "{name} has programs that its user half would call, which is not here: {}",
            names.join(", ")
        ));
    }
    let others = choice.object.programs().iter().filter(|p| {
        let called = ["struct_ops", "syscall", ".text"].iter().any(|s| p.section.starts_with(s));
        !called && !rota_sim::has_hook(&p.section)
    });
    let others: Vec<_> = others.map(|p| format!("{} ({})", p.name, p.section)).collect();
    if !others.is_empty() {
        warnings
            .push(format!("{name} has programs that nothing calls here: {}", others.join(", ")));
    }
    warnings
}
