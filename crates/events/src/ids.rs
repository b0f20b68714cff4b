// SPDX-License-Identifier: GPL-2.0-or-later
//! What events name: CPUs, tasks, texts, schedulers. Each is a number with a type of its own.

use std::fmt;

/// A CPU, by the kernel's number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct CpuNumber(pub u32);

/// A CPU by its topological number (kernel: cid, from 7.1 on). Not the kernel's own number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cid(pub u32);

/// A CPU that a scheduler has named in one of the two ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// By the kernel's number.
    Cpu(CpuNumber),
    /// By its topological number.
    Cid(Cid),
}

/// A task, by its place in the table of tasks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct TaskRef(pub u32);

impl TaskRef {
    /// No task: nobody, or the idle task of a CPU.
    pub const NONE: Self = Self(0);

    /// Whether it is a task.
    pub fn is_some(self) -> bool {
        self != Self::NONE
    }
}

/// A text, by its place in the table of texts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct TextRef(pub u32);

impl TextRef {
    /// The empty text.
    pub const EMPTY: Self = Self(0);
}

/// A scheduler of the tree of schedulers. Today's trees have one, the root.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct SchedulerRef(pub u8);

/// A dispatch queue, by its number (kernel: `enum scx_dsq_id_flags`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct DsqId(pub u64);

impl DsqId {
    const BUILTIN: u64 = 1 << 63;
    const ON: u64 = 1 << 62;
    /// The global queue.
    pub const GLOBAL: Self = Self(Self::BUILTIN | 1);

    /// The local queue of a CPU.
    pub fn local(cpu: CpuNumber) -> Self {
        Self(Self::BUILTIN | Self::ON | cpu.0 as u64)
    }

    /// The CPU whose local queue it is.
    pub fn cpu(self) -> Option<CpuNumber> {
        let is_local = self.0 >> 32 == (Self::BUILTIN | Self::ON) >> 32;
        is_local.then_some(CpuNumber(self.0 as u32))
    }
}

impl fmt::Display for DsqId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (*self, self.cpu()) {
            (_, Some(cpu)) => write!(f, "local {}", cpu.0),
            (Self::GLOBAL, _) => f.write_str("global"),
            (Self(number), _) => write!(f, "{number:#x}"),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu(cpu) => write!(f, "{}", cpu.0),
            Self::Cid(cid) => write!(f, "cid {}", cid.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_have_names() {
        let names = [DsqId::local(CpuNumber(7)), DsqId::GLOBAL, DsqId(16)].map(|q| q.to_string());
        assert_eq!(names, ["local 7", "global", "0x10"]);
        assert_eq!(DsqId::local(CpuNumber(4095)).cpu(), Some(CpuNumber(4095)));
        assert_eq!([DsqId::GLOBAL.cpu(), DsqId(3).cpu()], [None; 2]);
    }
}
