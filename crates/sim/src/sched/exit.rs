// SPDX-License-Identifier: GPL-2.0-or-later
//! How a scheduler ends (kernel: `scx_exit`, `scx_disable`).

use crate::machine::Machine;
use rota_object::ExitInfo;

/// Kinds of exit (kernel: `enum scx_exit_kind`).
pub(crate) const BPF: u64 = 65;
pub(crate) const ERROR: u64 = 1024;
pub(crate) const BPF_ERROR: u64 = 1025;
pub(crate) const STALL: u64 = 1026;

impl Machine {
    /// Ends the scheduler.
    pub(crate) fn end(&mut self, kind: u64, code: i64, msg: String) {
        let reason = match kind {
            BPF => "unregistered from BPF",
            ERROR => "runtime error",
            BPF_ERROR => "scx_bpf_error",
            _ => "runnable task stall",
        };
        self.record_detach(kind, code, &msg);
        let cpu = Some(self.cpu);
        let (reason, dump) = (reason.to_owned(), String::new());
        self.sched.exit.get_or_insert(ExitInfo { kind, code, cpu, reason, msg, dump });
    }

    /// Ends the scheduler, which has broken a rule.
    pub(crate) fn error(&mut self, msg: String) {
        self.end(ERROR, 0, msg);
    }
}
