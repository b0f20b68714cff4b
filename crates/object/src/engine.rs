// SPDX-License-Identifier: GPL-2.0-or-later
//! The machine as the user half of a scheduler sees it.
//!
//! A user half is a state machine: the world calls it, it does its work through [`World`] and
//! says when it wants to be called again. It never blocks, reads no clock and opens no file, so
//! the same code runs on a live kernel and inside the simulator.
//!
//! The order of calls is: read-only data and members of the callback table are set ([`Setup`],
//! which is all that there is where an object is only verified), [`load`], auxiliary programs are
//! attached, [`attach`]; from then on maps, globals, rings and `syscall` programs are used until
//! [`detach`] or an exit.
//!
//! [`load`]: Engine::load
//! [`attach`]: Engine::attach
//! [`detach`]: Engine::detach

use crate::exit::ExitInfo;
use rota_topology::Topology;
use thiserror::Error;

/// Why a kernel refuses a scheduler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The kernel has no sched_ext.
    NoSchedExt,
    /// The kernel offers no type information of its own.
    NoBtf,
    /// The caller lacks a capability.
    Permission,
    /// Another scheduler is attached; its name where known.
    Busy(Option<String>),
    /// The verifier refused a program.
    Verifier {
        /// The program.
        program: String,
        /// What the verifier printed.
        log: String,
    },
    /// The scheduler was loaded, but ended while it was being attached.
    Exit(Box<ExitInfo>),
    /// Something else; the text is the loader's.
    Other(String),
}

/// What can go wrong between a user half and its machine.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EngineError {
    /// The object has no such map, global, program or member.
    #[error("the object has no {what} '{name}'")]
    Missing {
        /// Map, global, program or member.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// A key or value of another size than the object's.
    #[error("{name}: {given} bytes given, {expected} expected")]
    Size {
        /// The map or global.
        name: String,
        /// What was given, in bytes.
        given: usize,
        /// What the object has, in bytes.
        expected: usize,
    },
    /// A call at the wrong time: read-only data after loading, a map before.
    #[error("{name}: {problem}")]
    Phase {
        /// What was to be used.
        name: String,
        /// Why not now.
        problem: &'static str,
    },
    /// The machine never calls programs of this kind.
    #[error("{program}: nothing calls programs of the section {hook} here")]
    NoHook {
        /// The program.
        program: String,
        /// Its section, which names what it sits on.
        hook: String,
    },
    /// The machine refuses the scheduler.
    #[error("{}", refusal_text(.0))]
    Refused(Refusal),
    /// The operating system refused a call.
    #[error("{what}: {error}")]
    System {
        /// What was tried.
        what: String,
        /// The system's words.
        error: String,
    },
}

fn refusal_text(refusal: &Refusal) -> String {
    match refusal {
        Refusal::NoSchedExt => {
            "this kernel has no sched_ext (CONFIG_SCHED_CLASS_EXT); it needs Linux 6.12 or later \
             built with it"
                .into()
        }
        Refusal::NoBtf => "this kernel has no type information (/sys/kernel/btf/vmlinux, \
                           CONFIG_DEBUG_INFO_BTF), without which no scheduler can be loaded"
            .into(),
        Refusal::Permission => "no permission to load a scheduler: it takes root, or CAP_BPF with \
                                CAP_PERFMON"
            .into(),
        Refusal::Busy(Some(name)) => format!("another scheduler is attached: {name}"),
        Refusal::Busy(None) => "another scheduler is attached".into(),
        Refusal::Verifier { program, .. } => format!("the verifier refused the program {program}"),
        Refusal::Exit(info) => {
            format!("it ended while being attached: {} ({})", info.reason, info.msg)
        }
        Refusal::Other(text) => text.clone(),
    }
}

/// Time that one CPU spent, since boot, in nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CpuTime {
    /// The CPU.
    pub cpu: u32,
    /// Running anything at all, interrupts included.
    pub busy_ns: u64,
    /// Idle, waiting for input and output included.
    pub idle_ns: u64,
}

/// An object and the machine that it is meant for: what can be done before it is loaded.
pub trait Setup {
    /// Sets a global variable. One in read-only data can be set before loading only.
    ///
    /// # Errors
    /// [`EngineError::Missing`], [`EngineError::Size`] or [`EngineError::Phase`].
    fn write_global(&mut self, name: &str, bytes: &[u8]) -> Result<(), EngineError>;

    /// Reads a global variable.
    ///
    /// # Errors
    /// [`EngineError::Missing`].
    fn read_global(&self, name: &str) -> Result<Vec<u8>, EngineError>;

    /// Sets a number in the table of callbacks, such as `timeout_ms`, before loading.
    ///
    /// # Errors
    /// [`EngineError::Missing`], [`EngineError::Size`] or [`EngineError::Phase`].
    fn set_ops_member(&mut self, member: &str, value: u64) -> Result<(), EngineError>;

    /// Sets the number of entries of a map, before loading.
    ///
    /// # Errors
    /// [`EngineError::Missing`] or [`EngineError::Phase`].
    fn resize_map(&mut self, map: &str, entries: u32) -> Result<(), EngineError>;

    /// CPUs, caches and nodes, as of the present hotplug generation.
    fn topology(&self) -> &Topology;

    /// A number that changes whenever a CPU comes or goes.
    fn hotplug_generation(&self) -> u64;
}

/// One object on one machine, from being loaded to being taken off.
pub trait Engine: Setup {
    /// Verifies and loads all programs. Nothing is scheduled yet.
    ///
    /// # Errors
    /// [`EngineError::Refused`] with the verifier's log.
    fn load(&mut self) -> Result<(), EngineError>;

    /// Attaches an auxiliary program (a tracepoint, an iterator), by its name.
    ///
    /// # Errors
    /// [`EngineError::Missing`], [`EngineError::System`], or [`EngineError::NoHook`] in a world
    /// that has not what it sits on.
    fn attach_program(&mut self, name: &str) -> Result<(), EngineError>;

    /// Puts the scheduler in charge.
    ///
    /// # Errors
    /// [`EngineError::Refused`]; nothing stays attached then.
    fn attach(&mut self) -> Result<(), EngineError>;

    /// Takes the scheduler off. Without one attached, nothing happens.
    ///
    /// # Errors
    /// [`EngineError::System`].
    fn detach(&mut self) -> Result<(), EngineError>;

    /// Why the scheduler ended; `None` while it is in charge. An object that keeps no exit
    /// information still ends, for the reason 0 and with words that say so.
    ///
    /// # Errors
    /// [`EngineError::Phase`] before loading.
    fn exit_info(&self) -> Result<Option<ExitInfo>, EngineError>;

    /// Runs a `syscall` program with a context, which it may change. Returns its result.
    ///
    /// # Errors
    /// [`EngineError::Missing`] or [`EngineError::System`].
    fn run_program(&mut self, name: &str, context: &mut [u8]) -> Result<i32, EngineError>;

    /// The value of a key.
    ///
    /// # Errors
    /// [`EngineError::Missing`] or [`EngineError::Size`].
    fn map_lookup(&self, map: &str, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError>;

    /// The values of a key in a per-CPU map, one for each possible CPU.
    ///
    /// # Errors
    /// [`EngineError::Missing`] or [`EngineError::Size`].
    fn map_lookup_percpu(&self, map: &str, key: &[u8])
    -> Result<Option<Vec<Vec<u8>>>, EngineError>;

    /// Sets the value of a key.
    ///
    /// # Errors
    /// [`EngineError::Missing`], [`EngineError::Size`] or [`EngineError::System`] (a full map).
    fn map_update(&mut self, map: &str, key: &[u8], value: &[u8]) -> Result<(), EngineError>;

    /// Removes a key. Returns whether it was there.
    ///
    /// # Errors
    /// [`EngineError::Missing`] or [`EngineError::Size`].
    fn map_delete(&mut self, map: &str, key: &[u8]) -> Result<bool, EngineError>;

    /// The key after this one, or the first, in the map's own order.
    ///
    /// # Errors
    /// [`EngineError::Missing`] or [`EngineError::Size`].
    fn map_next_key(&self, map: &str, after: Option<&[u8]>)
    -> Result<Option<Vec<u8>>, EngineError>;

    /// Copies from an arena, at an offset from its start.
    ///
    /// # Errors
    /// [`EngineError::Missing`] or [`EngineError::Size`] beyond its end.
    fn arena_read(&self, map: &str, offset: u64, into: &mut [u8]) -> Result<(), EngineError>;

    /// Copies into an arena, at an offset from its start.
    ///
    /// # Errors
    /// [`EngineError::Missing`] or [`EngineError::Size`] beyond its end.
    fn arena_write(&mut self, map: &str, offset: u64, bytes: &[u8]) -> Result<(), EngineError>;

    /// Hands over every record that waits in a ring buffer. Returns their number.
    ///
    /// # Errors
    /// [`EngineError::Missing`] or [`EngineError::System`].
    fn ring_drain(&mut self, map: &str, each: &mut dyn FnMut(&[u8])) -> Result<u64, EngineError>;

    /// Puts a record into a user ring buffer, for the BPF side to drain.
    ///
    /// # Errors
    /// [`EngineError::Missing`] or [`EngineError::System`] if it is full.
    fn ring_push(&mut self, map: &str, record: &[u8]) -> Result<(), EngineError>;
}

/// An [`Engine`] with the facts of the machine that it runs on.
pub trait World: Engine {
    /// What each online CPU spent so far.
    ///
    /// # Errors
    /// [`EngineError::System`].
    fn cpu_times(&self) -> Result<Vec<CpuTime>, EngineError>;

    /// Settings that were changed since the last call, by name, as text.
    fn changed_settings(&mut self) -> Vec<(String, String)>;
}
