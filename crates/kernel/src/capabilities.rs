// SPDX-License-Identifier: GPL-2.0-or-later
//! What the caller may do.

use crate::host::Host;

/// A capability that matters to schedulers and tracers (kernel: `uapi/linux/capability.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Capability {
    /// Nearly everything; contains `Perfmon` and `Bpf`.
    SysAdmin,
    /// Raising priorities, setting real-time policies and affinities.
    SysNice,
    /// Exceeding resource limits, such as locked memory.
    SysResource,
    /// Tracing and performance counters.
    Perfmon,
    /// Loading BPF programs.
    Bpf,
}

/// The effective capabilities of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities(u64);

impl Capability {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 5] =
        [Self::SysAdmin, Self::SysNice, Self::SysResource, Self::Perfmon, Self::Bpf];

    /// Its name, as in `capabilities(7)`.
    pub fn name(self) -> &'static str {
        match self {
            Self::SysAdmin => "CAP_SYS_ADMIN",
            Self::SysNice => "CAP_SYS_NICE",
            Self::SysResource => "CAP_SYS_RESOURCE",
            Self::Perfmon => "CAP_PERFMON",
            Self::Bpf => "CAP_BPF",
        }
    }

    fn bit(self) -> u64 {
        1 << match self {
            Self::SysAdmin => 21,
            Self::SysNice => 23,
            Self::SysResource => 24,
            Self::Perfmon => 38,
            Self::Bpf => 39,
        }
    }
}

impl Capabilities {
    /// The line `CapEff:` of `/proc/self/status`, or such a file as a whole.
    pub fn from_status(status: &str) -> Option<Self> {
        let hex = status.lines().find_map(|l| l.strip_prefix("CapEff:"))?;
        u64::from_str_radix(hex.trim(), 16).ok().map(Self)
    }

    /// Whether this one is among them.
    pub fn has(self, capability: Capability) -> bool {
        self.0 & capability.bit() != 0
    }

    /// Whether they suffice to load a scheduler: `CAP_SYS_ADMIN`, or `CAP_PERFMON` with `CAP_BPF`.
    pub fn may_load(self) -> bool {
        self.has(Capability::SysAdmin)
            || (self.has(Capability::Perfmon) && self.has(Capability::Bpf))
    }
}

impl Host {
    /// The effective capabilities of this process; `None` without `/proc`.
    pub fn capabilities(&self) -> Option<Capabilities> {
        Capabilities::from_status(&self.proc_text("self/status")?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_proc_status() {
        let check = |hex: &str| Capabilities::from_status(&format!("Name:\tx\nCapEff:\t{hex}\n"));
        assert!(check("000001ffffffffff").unwrap().may_load());
        assert!(check("000000c000000000").unwrap().may_load());
        assert!(check("0000000000200000").unwrap().has(Capability::SysAdmin));
        assert!(!check("0000008000000000").unwrap().may_load());
        assert!(!check("0000000000000000").unwrap().may_load());
        assert_eq!(check("nonsense"), None);
        assert_eq!(Capabilities::from_status("Name:\tx\n"), None);
    }
}
