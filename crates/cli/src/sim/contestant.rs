// SPDX-License-Identifier: GPL-2.0-or-later
//! What schedules on a simulated machine: a scheduler of sched_ext, or the kernel's own.

use super::input::{self, Pair};
use crate::choice;
use anyhow::{Result, bail};
use rota_object::KernelTypes;
use rota_sched::{Choice, SessionError};
use rota_sim::{EEVDF_LEAVES_OUT, Shape, Simulation};
use rota_topology::Topology;

/// The name of the kernel's own scheduler, as a model.
pub(crate) const EEVDF: &str = "eevdf";

/// What it is.
pub(crate) const EEVDF_IS: &str = "a model of the kernel's default scheduler";

/// What readers have to know of the kernel's own scheduler.
pub(crate) fn eevdf_note() -> String {
    let leaves_out = EEVDF_LEAVES_OUT.join("; ");
    format!("{EEVDF} is {EEVDF_IS}, which leaves out: {leaves_out}")
}

/// Who schedules.
pub(crate) enum Contestant {
    /// A scheduler, with the global variables that are set beside its settings.
    Scheduler(Box<Choice>, Vec<Pair>),
    /// The kernel's own.
    Eevdf,
}

impl Contestant {
    /// Finds it, and takes its settings: those of the short form, and these.
    pub(crate) fn resolve(text: &str, set: &[Pair], flags: &[Pair]) -> Result<Self> {
        if text == EEVDF {
            // As it was typed.
            let set = set.iter().map(|(name, _)| format!("--set {name}"));
            let flags = flags.iter().map(|(name, _)| format!("--{name}"));
            return match set.chain(flags).next() {
                None => Ok(Self::Eevdf),
                Some(given) => bail!("{given}: {EEVDF} has no settings"),
            };
        }
        if text.strip_prefix(EEVDF).is_some_and(|more| more.starts_with(':')) {
            bail!("{text}: {EEVDF} has no settings");
        }
        let mut choice = choice::resolve(text).map_err(|error| match error.downcast_ref() {
            Some(SessionError::Unknown { name, known }) => {
                let known = known.iter().copied().chain([EEVDF]).collect();
                SessionError::Unknown { name: name.clone(), known }.into()
            }
            _ => error,
        })?;
        let globals = input::sort_settings(&mut choice, set, flags)?;
        Ok(Self::Scheduler(Box::new(choice), globals))
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Scheduler(choice, _) => &choice.name,
            Self::Eevdf => EEVDF,
        }
    }

    /// The scheduler, if it is one of sched_ext.
    pub(crate) fn choice(&self) -> Option<&Choice> {
        match self {
            Self::Scheduler(choice, _) => Some(choice),
            Self::Eevdf => None,
        }
    }

    /// Whether it has a plan of moves between domains, of which a snapshot can be kept.
    pub(crate) fn plans_moves(&self) -> Result<bool> {
        Ok(match self {
            Self::Scheduler(choice, _) => choice.half()?.plans_moves(),
            Self::Eevdf => false,
        })
    }

    /// Puts it on a machine, with its variables set.
    pub(crate) fn open(
        &self,
        kernel: &KernelTypes,
        topology: &Topology,
        shape: &Shape,
    ) -> Result<Simulation> {
        let Self::Scheduler(choice, globals) = self else {
            return Ok(Simulation::fair(kernel, topology, shape)?);
        };
        let opened = Simulation::new(&choice.object, kernel, topology, shape);
        let mut world = opened.map_err(|errors| {
            // One line; `rota object` shows all of them.
            let more = errors.0.len().saturating_sub(1);
            let more =
                if more > 0 { format!(" (and {more} more: rota object)") } else { String::new() };
            let first = errors.0.first().map(ToString::to_string).unwrap_or_default();
            anyhow::anyhow!("{}: {first}{more}", choice.name)
        })?;
        input::set_globals(&mut world, choice, globals)?;
        Ok(world)
    }
}
