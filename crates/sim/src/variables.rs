// SPDX-License-Identifier: GPL-2.0-or-later
//! Variables of the kernel that programs read: zeroed memory, once for each CPU where every CPU
//! has its own.

use crate::machine::Machine;
use crate::objects::What;
use crate::sched::Shown;
use rota_bytecode::{Memory, MemoryError, Protection};
use rota_object::{Variable, VariableId};

/// A variable in memory.
#[derive(Debug)]
struct Place {
    /// Where the first CPU's is; 0 of one that the kernel does not have.
    start: u64,
    stride: u64,
    per_cpu: bool,
}

/// All variables that an object reads.
#[derive(Debug, Default)]
pub(crate) struct Variables(Vec<Place>);

impl Variables {
    pub(crate) fn new(
        memory: &Memory,
        variables: &[Variable],
        cpus: u32,
        shown: &Shown,
    ) -> Result<Self, MemoryError> {
        let place = |variable: &Variable| {
            if variable.name == "runqueues" && variable.var.is_some() {
                return Ok(Place { start: shown.rqs, stride: shown.rq_stride, per_cpu: true });
            }
            let stride = variable.size.next_multiple_of(64).max(64);
            let count = if variable.per_cpu { u64::from(cpus) } else { 1 };
            let size = stride.saturating_mul(count);
            let start = match variable.var {
                Some(_) => memory.alloc(size, 64, Protection::ReadWrite)?,
                None => 0,
            };
            Ok(Place { start, stride, per_cpu: variable.per_cpu })
        };
        Ok(Self(variables.iter().map(place).collect::<Result<_, MemoryError>>()?))
    }

    /// What a program knows a variable by.
    pub(crate) fn address(&self, id: VariableId) -> u64 {
        self.0.get(id.0 as usize).map_or(0, |place| place.start)
    }
}

impl Machine {
    /// From one CPU's instance of something to the next one's, by a pointer to the first.
    pub(crate) fn stride(&self, pointer: u64) -> Option<u64> {
        let within = |place: &&Place| {
            place.per_cpu
                && place.start != 0
                && (place.start..place.start + place.stride).contains(&pointer)
        };
        if let Some(place) = self.variables.0.iter().find(within) {
            return Some(place.stride);
        }
        match self.what(self.pool.start_of(pointer)?)? {
            What::PerCpu(ty) => Some(self.structures.get(&ty)?.size.next_multiple_of(8)),
            _ => None,
        }
    }
}
