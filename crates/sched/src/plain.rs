// SPDX-License-Identifier: GPL-2.0-or-later
//! The half of a scheduler that leaves everything to BPF.

use crate::half::{HalfError, UserHalf};
use rota_events::{Metric, Sample};
use rota_object::{EngineError, Object, Setup, World};

/// Puts settings into read-only data, attaches tracing programs, and takes statistics out of the
/// map `stats`.
///
/// This works for every object that describes itself with `rota/describe.h`; one that doesn't has
/// no settings and no statistics, and runs all the same.
#[derive(Debug, Clone)]
pub struct Plain {
    settings: Vec<(String, Vec<u8>)>,
    auxiliary: Vec<String>,
    map: &'static str,
    metrics: Vec<Metric>,
    offsets: Vec<usize>,
}

impl Plain {
    /// A half for this object with these settings, given as (name, value) texts.
    ///
    /// # Errors
    /// [`HalfError::Setting`] for one that the object does not have or does not take.
    pub fn new(object: &Object, settings: &[(String, String)]) -> Result<Self, HalfError> {
        let mut chosen = Vec::new();
        for (name, text) in settings {
            let setting = object.find_setting(name)?;
            let value = setting.parse(text)?;
            chosen.push((setting.variable.clone(), setting.bytes(value)));
        }
        let stats = object.stats();
        let (map, fields) = stats.map_or(("stats", Vec::new()), |s| (s.map, s.fields));
        let (metrics, offsets) = fields.into_iter().unzip();
        let auxiliary = object.auxiliary_programs().map(|program| program.name.clone()).collect();
        Ok(Self { settings: chosen, auxiliary, map, metrics, offsets })
    }

    /// The statistics structure of every CPU.
    pub(crate) fn per_cpu(&self, world: &dyn World) -> Result<Vec<Vec<u8>>, HalfError> {
        Ok(world.map_lookup_percpu(self.map, &0u32.to_le_bytes())?.unwrap_or_default())
    }
}

impl UserHalf for Plain {
    fn configure(&mut self, setup: &mut dyn Setup) -> Result<(), HalfError> {
        for (variable, bytes) in &self.settings {
            setup.write_global(variable, bytes)?;
        }
        Ok(())
    }

    fn prepare(&mut self, world: &mut dyn World) -> Result<(), HalfError> {
        for name in &self.auxiliary {
            match world.attach_program(name) {
                // What a world has not, a program there can't miss.
                Ok(()) | Err(EngineError::NoHook { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn metrics(&self) -> &[Metric] {
        &self.metrics
    }

    fn sample(&mut self, now_ns: u64, world: &mut dyn World) -> Result<Sample, HalfError> {
        if self.offsets.is_empty() {
            return Ok(Sample { at_ns: now_ns, values: Vec::new() });
        }
        let cpus = self.per_cpu(world)?;
        let sum = |offset: &usize| {
            cpus.iter().fold(0u64, |total, bytes| total.wrapping_add(word(bytes, *offset)))
        };
        Ok(Sample { at_ns: now_ns, values: self.offsets.iter().map(sum).collect() })
    }
}

fn word(bytes: &[u8], offset: usize) -> u64 {
    let word = bytes.get(offset..offset + 8).and_then(|w| w.try_into().ok());
    word.map_or(0, u64::from_le_bytes)
}
