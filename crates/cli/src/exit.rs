// SPDX-License-Identifier: GPL-2.0-or-later
//! Exit codes: one table, which is also in `--help`.

use rota_object::ExitCause;
use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It did what was asked; also after Ctrl-C or the end of `--for`.
    Done,
    /// It came to a negative result, or could read only a part of its input.
    Negative,
    /// It was called wrongly, or its input or environment is unusable.
    Unusable,
    /// The scheduler ended before it was asked to.
    Ejected(ExitCause),
    /// The scheduler was ejected too often in a short time to load it again.
    GaveUp,
}

/// Codes of ejections. Numbers are never reused.
const CAUSES: [(ExitCause, u8, &str); 11] = [
    (ExitCause::Bpf, 10, "the scheduler ended itself (scx_bpf_exit)"),
    (ExitCause::Kernel, 11, "the kernel took it off without an error"),
    (ExitCause::Sysrq, 12, "somebody pressed SysRq-S"),
    (ExitCause::Error, 13, "it broke a rule of the kernel"),
    (ExitCause::BpfError, 14, "it reported an error (scx_bpf_error)"),
    (ExitCause::Stall, 15, "a task was ready for too long without running"),
    (ExitCause::Hotplug, 16, "a CPU came or went, and --no-reload was given"),
    (ExitCause::Detached, 17, "somebody else took it off"),
    (ExitCause::Parent, 18, "the scheduler above it ended"),
    (ExitCause::Reenqueue, 19, "a task was re-enqueued without end"),
    (ExitCause::Rescue, 20, "tasks had to be rescued from it for too long"),
];
const CODE_GAVE_UP: u8 = 30;
const CODE_UNKNOWN: u8 = 31;

impl Exit {
    /// The code that the process returns.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Negative => 1,
            Self::Unusable => 2,
            Self::GaveUp => CODE_GAVE_UP,
            Self::Ejected(cause) => {
                CAUSES.iter().find(|c| c.0 == cause).map_or(CODE_UNKNOWN, |c| c.1)
            }
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// The table, as `--help` shows it.
pub(crate) fn table() -> String {
    let mut text = String::from(
        "Exit codes:\n   0  done (Ctrl-C, SIGTERM, SIGHUP and the end of --for included)\n   \
         1  a negative result, or input of which only a part could be read\n   \
         2  wrong usage, or unusable input or environment\n",
    );
    for (_, code, meaning) in CAUSES {
        text += &format!("  {code}  {meaning}\n");
    }
    text += &format!("  {CODE_GAVE_UP}  ejected too often in a short time to load it again\n");
    text + &format!("  {CODE_UNKNOWN}  ejected for a reason that this version does not know")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_cause_has_its_own_code() {
        let codes: BTreeSet<u8> = CAUSES.iter().map(|c| c.1).collect();
        assert_eq!(codes.len(), CAUSES.len());
        assert!(codes.iter().all(|&c| (10..CODE_GAVE_UP).contains(&c)));
        assert_eq!(Exit::Ejected(ExitCause::Unknown).code(), CODE_UNKNOWN);
    }

    #[test]
    fn the_table_names_every_code() {
        for (_, code, meaning) in CAUSES {
            assert!(table().contains(&format!("{code}  {meaning}")));
        }
    }
}
