// SPDX-License-Identifier: GPL-2.0-or-later
//! One machine with one object on it.

use crate::kernel::{self, KernelFunction};
use crate::maps::Map;
use crate::random::Random;
use rota_bytecode::{
    Callee, Code, CodeError, CompileError, Instance, InstanceError, KERNEL, KERNEL_BYTES, Memory,
    MemoryError, Mode, Protection, STACK_BYTES,
};
use rota_object::{FunctionId, Image, Operand};
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

/// Where the addresses of functions start: at the end of the kernel's part of a machine's memory,
/// which never holds anything, so that to read or write there is a trap.
const FUNCTIONS: u64 = KERNEL + KERNEL_BYTES - (64 << 20);
/// Executions inside one another that the memory for stacks is made for.
const STACKS: u64 = 16;

/// What a machine is like.
#[derive(Debug, Clone)]
pub struct Shape {
    /// Number of CPUs.
    pub cpus: u32,
    /// Seed of the random numbers.
    pub seed: u64,
    /// How code is executed.
    pub mode: Mode,
    /// How many instructions one call may execute.
    pub budget: u64,
}

impl Default for Shape {
    fn default() -> Self {
        Self { cpus: 4, seed: 0, mode: Mode::Jit, budget: 1 << 32 }
    }
}

/// Why an image can't be put on a machine.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It has instructions that no kernel takes.
    #[error(transparent)]
    Code(#[from] CodeError),
    /// It can't be compiled.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// There is no memory for it.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// It has a map of a kind that is not simulated.
    #[error("map {0}: maps of kind {1} are not simulated yet")]
    Map(String, u32),
    /// What maps hold at first does not fit into them.
    #[error("map {0}: {1}")]
    Contents(String, String),
    /// The addresses do not belong to the code.
    #[error(transparent)]
    Instance(#[from] InstanceError),
}

/// A machine.
pub struct Machine {
    pub(crate) shape: Shape,
    pub(crate) memory: Rc<Memory>,
    pub(crate) maps: Vec<Map>,
    pub(crate) random: Random,
    /// The CPU that executes.
    pub(crate) cpu: u32,
    /// Time since boot, in ns.
    pub(crate) now_ns: u64,
    /// Maps by the address that programs know them by.
    map_at: BTreeMap<u64, usize>,
    kfuncs: Vec<(String, Option<KernelFunction>)>,
    functions: u64,
    stacks: u64,
    instance: Rc<Instance>,
}

impl Machine {
    /// Puts an image on a new machine.
    ///
    /// # Errors
    /// [`LoadError`] says what of the image can't be had here.
    pub fn load(shape: Shape, image: &Image) -> Result<Self, LoadError> {
        let code = Arc::new(Code::new(&image.functions)?);
        if shape.mode == Mode::Jit {
            code.compile()?;
        }
        let memory = Rc::new(Memory::new()?);
        let stacks = memory.alloc(STACKS * STACK_BYTES, 8, Protection::ReadWrite)?;
        let mut maps = Vec::new();
        let mut map_at = BTreeMap::new();
        for definition in &image.maps {
            let map = Map::new(&memory, definition, shape.cpus)?;
            map_at.insert(map.address, maps.len());
            maps.push(map);
        }
        for (outer, definition) in image.maps.iter().enumerate() {
            for &(index, inner) in &definition.slots {
                let inner = maps.get(inner.0 as usize).map_or(0, |m| m.address);
                let filled = maps[outer].set_inner(&memory, index, inner);
                filled.map_err(|e| LoadError::Contents(definition.name.clone(), e))?;
            }
        }
        let addresses = code.operands().iter().map(|operand| match *operand {
            Operand::Map(id) => maps.get(id.0 as usize).map_or(0, |m| m.address),
            Operand::MapValue(id, offset) => {
                maps.get(id.0 as usize).map_or(0, |m| m.values + offset)
            }
            Operand::Function(id) => FUNCTIONS + u64::from(id.0),
            // A program asks only whether the function is there.
            Operand::Kfunc(id) => {
                let known = image.kfuncs.get(id.0 as usize).is_some_and(|k| k.func.is_some());
                u64::from(known) * (FUNCTIONS + (1 << 24) + u64::from(id.0))
            }
            Operand::Variable(_) => 0,
        });
        let addresses = addresses.collect();
        let arena = maps.iter().find_map(Map::arena_base).unwrap_or(0);
        let instance = Rc::new(Instance::new(code, Rc::clone(&memory), addresses, arena)?);
        let kfuncs = image.kfuncs.iter().map(|k| (k.name.clone(), kernel::kfunc(&k.name)));
        Ok(Self {
            random: Random::new(shape.seed),
            memory,
            maps,
            cpu: 0,
            now_ns: 1,
            map_at,
            kfuncs: kfuncs.collect(),
            functions: image.functions.len() as u64,
            stacks,
            instance,
            shape,
        })
    }

    /// Code and memory.
    pub(crate) fn instance(&self) -> &Rc<Instance> {
        &self.instance
    }

    /// The map that a program names by this address.
    pub(crate) fn map(&mut self, address: u64) -> Option<(&Memory, &mut Map)> {
        let index = *self.map_at.get(&address)?;
        Some((&self.memory, self.maps.get_mut(index)?))
    }

    /// The function with this address.
    pub(crate) fn function_at(&self, address: u64) -> Option<FunctionId> {
        let number = address.checked_sub(FUNCTIONS).filter(|n| *n < self.functions)?;
        Some(FunctionId(number as u32))
    }

    /// The stack of the execution that is this deep inside others. Beyond what there is memory
    /// for, it is none, and an execution refuses it.
    pub(crate) fn stack(&self, depth: usize) -> Range<u64> {
        let start = self.stacks + (depth as u64).min(STACKS) * STACK_BYTES;
        start..(start + STACK_BYTES).min(self.stacks + STACKS * STACK_BYTES)
    }

    /// Name and simulation of a helper or kernel function.
    pub(crate) fn find(&self, callee: Callee) -> (String, Option<KernelFunction>) {
        match callee {
            Callee::Helper(number) => kernel::helper(number),
            Callee::Kfunc(id) => self.kfuncs.get(id.0 as usize).cloned().unwrap_or_default(),
        }
    }
}
