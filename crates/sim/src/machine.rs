// SPDX-License-Identifier: GPL-2.0-or-later
//! One machine with one object on it.

use crate::cgroups::Cgroups;
use crate::containers::Containers;
use crate::hardware::{Costs, Hardware, Platform};
use crate::interleave::{Interleaving, Room};
use crate::kernel::{self, Known};
use crate::layout::{Layout, LayoutError};
use crate::maps::Map;
use crate::objects::Owned;
use crate::pool::Pool;
use crate::recorder::Recorder;
use crate::references::References;
use crate::sched::{Sched, Shown};
use crate::starts::Starts;
use crate::tasks::Tasks;
use crate::timers::Timers;
use crate::tracing::Tracing;
use crate::variables::Variables;
use crate::work::Work;
use rota_bytecode::{
    Callee, Code, CodeError, CompileError, Execution, Instance, InstanceError, KERNEL,
    KERNEL_BYTES, Memory, MemoryError, Mode, Place, STACK_BYTES, Spot,
};
use rota_object::{FunctionId, Image, KernelTypes, Operand, Structure, TypeId};
use rota_workload::Random;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

/// Where the addresses of functions start: at the end of the kernel's part of a machine's memory,
/// which never holds anything, so that to read or write there is a trap.
const FUNCTIONS: u64 = KERNEL + KERNEL_BYTES - (64 << 20);
/// Executions inside one another that the memory for stacks is made for.
pub(crate) const STACKS: usize = 16;

/// So many lines are kept that programs print.
const PRINTED_MAX: usize = 1 << 14;
/// The most CPUs of a machine: the kernels here are built for as many.
pub(crate) const CPUS_MAX: u32 = 8192;
/// Room for the arguments of a callback.
pub(crate) const CONTEXT_BYTES: u64 = 64;

/// What a machine is like.
#[derive(Debug, Clone)]
pub struct Shape {
    /// Number of CPUs.
    pub cpus: u32,
    /// Seed of the random numbers.
    pub seed: u64,
    /// How code is executed.
    pub mode: Mode,
    /// What things take.
    pub costs: Costs,
    /// Idle states, power and noise.
    pub platform: Arc<Platform>,
    /// How many instructions one call may execute, with all that it calls back.
    pub budget: u64,
    /// Time since boot at the start, in ns. Programs may compare it with zeros in their data.
    pub start_ns: u64,
    /// The seed of interleaving: with one, CPUs stand still within callbacks while others go on.
    pub interleave: Option<u64>,
    /// Recordings have the signals of events that count without end, as messages.
    pub messages: bool,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            cpus: 4,
            seed: 0,
            mode: Mode::Jit,
            costs: Costs::NONE,
            platform: Arc::default(),
            budget: 1 << 32,
            start_ns: 1,
            interleave: None,
            messages: false,
        }
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
    /// It has no CPU, or more than a kernel is built for.
    #[error("a machine of {0} CPUs; it has 1 to {CPUS_MAX}")]
    Cpus(u32),
    /// The kernel's types lack something.
    #[error(transparent)]
    Layout(#[from] LayoutError),
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
    /// Objects that have owners.
    pub(crate) pool: Pool<Owned>,
    /// The structures that programs can allocate.
    pub(crate) structures: BTreeMap<TypeId, Structure>,
    pub(crate) containers: Containers,
    pub(crate) timers: Timers,
    /// Programs on the scheduler's tracepoints.
    pub(crate) tracing: Tracing,
    pub(crate) variables: Variables,
    /// What the programs that run hold, and how deep inside others the next one runs.
    pub(crate) references: References,
    pub(crate) depth: usize,
    /// What CPUs are in the middle of, if they are interleaved.
    pub(crate) interleaving: Option<Box<Interleaving>>,
    pub(crate) maps: Vec<Map>,
    pub(crate) random: Random,
    pub(crate) layout: Layout,
    pub(crate) tasks: Tasks,
    pub(crate) cgroups: Cgroups,
    pub(crate) sched: Sched,
    pub(crate) work: Work,
    pub(crate) hardware: Hardware,
    /// Instructions executed since somebody last counted.
    pub(crate) insns: u64,
    /// Calls of helpers and kernel functions since the outermost execution began.
    pub(crate) calls: u64,
    /// How long it has stood still since, for queues that CPUs share, in ns.
    pub(crate) stood_ns: u64,
    /// Whether queues cost something that CPUs share, which is asked for each time one is used.
    pub(crate) queues_cost: bool,
    /// The latest time that a program was told.
    pub(crate) shown_ns: u64,
    /// What is recorded, if anything is.
    pub(crate) recorder: Option<Box<Recorder>>,
    pub(crate) shown: Shown,
    /// Whether iterators over cgroups can be asked for what is directly in one: Linux 7.0.
    pub(crate) has_children_order: bool,
    /// The last lines that programs have printed.
    printed: VecDeque<String>,
    /// The CPU that executes.
    pub(crate) cpu: u32,
    /// Time since boot, in ns.
    pub(crate) now_ns: u64,
    /// Maps by the address that programs know them by.
    map_at: Starts<usize>,
    kfuncs: Vec<(String, Option<Known>)>,
    /// How often each of them was called.
    pub(crate) kfunc_calls: Vec<u64>,
    /// By number.
    helpers: Vec<Option<Known>>,
    /// Programs by their names.
    pub(crate) programs: BTreeMap<String, FunctionId>,
    functions: u64,
    /// Where stacks are, and arguments of callbacks.
    pub(crate) room: Room,
    instance: Rc<Instance>,
    /// Executions that have come to an end, to be started again.
    #[expect(clippy::vec_box, reason = "they move between this list and the frames that run")]
    pub(crate) executions: Vec<Box<Execution>>,
}

/// The maps of an image, and which of them is at an address.
fn make_maps(
    memory: &Memory,
    image: &Image,
    cpus: u32,
) -> Result<(Vec<Map>, Starts<usize>), LoadError> {
    let mut maps = Vec::new();
    let mut map_at = Starts::default();
    for definition in &image.maps {
        let map = Map::new(memory, definition, cpus)?;
        map_at.insert(map.address, maps.len());
        maps.push(map);
    }
    for (outer, definition) in image.maps.iter().enumerate() {
        for &(index, inner) in &definition.slots {
            let inner = maps.get(inner.0 as usize).map_or(0, |m: &Map| m.address);
            let filled = maps[outer].set_inner(memory, index, inner);
            filled.map_err(|e| LoadError::Contents(definition.name.clone(), e))?;
        }
    }
    Ok((maps, map_at))
}

/// Where everything lies that instructions name.
fn addresses(code: &Code, image: &Image, maps: &[Map], variables: &Variables) -> Vec<u64> {
    let address = |operand: &Operand| match *operand {
        Operand::Map(id) => maps.get(id.0 as usize).map_or(0, |m| m.address),
        Operand::MapValue(id, offset) => {
            maps.get(id.0 as usize).map_or(0, |m| m.values.wrapping_add(offset))
        }
        Operand::Function(id) => FUNCTIONS + u64::from(id.0),
        // A program asks only whether the function is there.
        Operand::Kfunc(id) => {
            let known = image.kfuncs.get(id.0 as usize).is_some_and(|k| k.func.is_some());
            u64::from(known) * (FUNCTIONS + (1 << 24) + u64::from(id.0))
        }
        Operand::Variable(id) => variables.address(id),
    };
    code.operands().iter().map(address).collect()
}

impl Machine {
    /// Puts an image on a new machine with a kernel, the one that it was linked against.
    ///
    /// # Errors
    /// [`LoadError`] says what of the image can't be had here.
    pub fn load(shape: Shape, image: &Image, types: &KernelTypes) -> Result<Self, LoadError> {
        if !(1..=CPUS_MAX).contains(&shape.cpus) {
            return Err(LoadError::Cpus(shape.cpus));
        }
        let layout = Layout::find(types)?;
        let code = Arc::new(Code::new(&image.functions)?);
        if shape.mode == Mode::Jit {
            code.compile()?;
        }
        let memory = Rc::new(Memory::new()?);
        let room = Room::new(&memory)?;
        let (maps, map_at) = make_maps(&memory, image, shape.cpus)?;
        let shown = Shown::new(&memory, &layout, image, shape.cpus)?;
        let variables = Variables::new(&memory, &image.variables, shape.cpus, &shown)?;
        let addresses = addresses(&code, image, &maps, &variables);
        let arena = maps.iter().find_map(Map::arena_base).unwrap_or(0);
        let instance = Rc::new(Instance::new(code, Rc::clone(&memory), addresses, arena)?);
        let kfuncs = image.kfuncs.iter().map(|k| (k.name.clone(), kernel::kfunc(&k.name)));
        let mut machine = Self {
            random: Random::new(shape.seed),
            layout,
            tasks: Tasks::default(),
            cgroups: Cgroups::default(),
            sched: Sched::none(shape.cpus, types),
            work: Work::default(),
            hardware: Hardware::default(),
            insns: 0,
            calls: 0,
            stood_ns: 0,
            queues_cost: shape.costs.queues_cost(),
            shown_ns: 0,
            recorder: None,
            pool: Pool::default(),
            structures: image.structures.clone(),
            containers: Containers::default(),
            timers: Timers::default(),
            tracing: Tracing::default(),
            shown,
            variables,
            references: References::default(),
            depth: 0,
            interleaving: shape
                .interleave
                .map(|seed| Box::new(Interleaving::new(seed, shape.cpus))),
            printed: VecDeque::new(),
            has_children_order: types.enumerator("BPF_CGROUP_ITER_CHILDREN").is_some(),
            memory,
            maps,
            cpu: 0,
            now_ns: shape.start_ns,
            map_at,
            kfuncs: kfuncs.collect(),
            kfunc_calls: vec![0; image.kfuncs.len()],
            helpers: kernel::helpers(),
            programs: image.entries.iter().map(|e| (e.name.clone(), e.function)).collect(),
            functions: image.functions.len() as u64,
            room,
            instance,
            executions: Vec::new(),
            shape,
        };
        machine.make_first_tasks()?;
        Ok(machine)
    }

    /// A machine that nobody looks at: it stands in the place of one that is elsewhere.
    pub(crate) fn hollow(&self) -> Self {
        Self {
            shape: self.shape.clone(),
            memory: Rc::clone(&self.memory),
            pool: Pool::default(),
            structures: BTreeMap::new(),
            containers: Containers::default(),
            timers: Timers::default(),
            tracing: Tracing::default(),
            variables: Variables::default(),
            references: References::default(),
            depth: 0,
            interleaving: None,
            maps: Vec::new(),
            random: Random::new(0),
            layout: self.layout.clone(),
            tasks: Tasks::default(),
            cgroups: Cgroups::default(),
            sched: self.sched.hollow(),
            work: Work::default(),
            hardware: Hardware::default(),
            insns: 0,
            calls: 0,
            stood_ns: 0,
            queues_cost: false,
            shown_ns: 0,
            recorder: None,
            shown: self.shown,
            has_children_order: false,
            printed: VecDeque::new(),
            cpu: 0,
            now_ns: 0,
            map_at: Starts::default(),
            kfuncs: Vec::new(),
            kfunc_calls: Vec::new(),
            helpers: Vec::new(),
            programs: BTreeMap::new(),
            functions: 0,
            room: self.room,
            instance: Rc::clone(&self.instance),
            executions: Vec::new(),
        }
    }

    /// The lines that programs have printed since the last call. Of very many the first are
    /// gone, as in the kernel's own buffer.
    pub fn take_printed(&mut self) -> Vec<String> {
        std::mem::take(&mut self.printed).into()
    }

    /// Keeps a line that a program prints.
    pub(crate) fn print(&mut self, line: String) {
        if self.printed.len() == PRINTED_MAX {
            self.printed.pop_front();
        }
        self.printed.push_back(line);
    }

    /// Code and memory.
    pub(crate) fn instance(&self) -> &Rc<Instance> {
        &self.instance
    }

    /// The map that a program names by this address.
    pub(crate) fn map(&mut self, address: u64) -> Option<(&Memory, &mut Map)> {
        let index = self.map_at.get(address)?;
        Some((&self.memory, self.maps.get_mut(index)?))
    }

    /// The function with this address.
    pub(crate) fn function_at(&self, address: u64) -> Option<FunctionId> {
        let number = address.checked_sub(FUNCTIONS).filter(|n| *n < self.functions)?;
        Some(FunctionId(number as u32))
    }

    /// The stack of the execution that is this deep inside others, if there is memory for it.
    pub(crate) fn stack(&self, depth: usize) -> Option<Range<u64>> {
        let start = self.room.stacks + depth as u64 * STACK_BYTES;
        (depth < STACKS).then_some(start..start + STACK_BYTES)
    }

    /// Where a callback that is this deep inside others finds its arguments.
    pub(crate) fn context(&self, depth: usize) -> u64 {
        self.room.contexts + depth.min(STACKS - 1) as u64 * CONTEXT_BYTES
    }

    /// A helper or kernel function, if it is simulated.
    #[inline]
    pub(crate) fn find(&self, callee: Callee) -> Option<Known> {
        match callee {
            Callee::Helper(number) => *self.helpers.get(usize::try_from(number).ok()?)?,
            Callee::Kfunc(id) => self.kfuncs.get(id.0 as usize)?.1,
        }
    }

    /// The name of what is not simulated.
    pub(crate) fn unknown(&self, callee: Callee) -> String {
        match callee {
            Callee::Helper(number) => format!("helper {number}"),
            Callee::Kfunc(id) => {
                self.kfuncs.get(id.0 as usize).map(|kfunc| kfunc.0.clone()).unwrap_or_default()
            }
        }
    }

    /// The place of a call.
    pub(crate) fn place(&self, spot: Spot) -> Place {
        self.instance.code().place_of(spot)
    }
}
