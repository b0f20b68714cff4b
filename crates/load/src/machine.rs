// SPDX-License-Identifier: GPL-2.0-or-later
//! What the machine as a whole did meanwhile, whoever it was.

use rota_kernel::Host;

/// What all CPUs spent, in ns, to within the 10 ms in which the kernel tells it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MachineUse {
    /// Not idle.
    pub busy_ns: u64,
    /// Idle, or waiting for a device.
    pub idle_ns: u64,
    /// Of `busy_ns`: taken by whoever runs this virtual machine.
    pub stolen_ns: u64,
}

impl MachineUse {
    /// Since boot; `None` without `/proc/stat`.
    pub(crate) fn now(host: &Host) -> Option<Self> {
        let tick_ns = 1_000_000_000 / rustix::param::clock_ticks_per_second().max(1);
        of_stat(&host.proc_text("stat")?, tick_ns)
    }

    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            busy_ns: self.busy_ns.saturating_sub(before.busy_ns),
            idle_ns: self.idle_ns.saturating_sub(before.idle_ns),
            stolen_ns: self.stolen_ns.saturating_sub(before.stolen_ns),
        }
    }
}

/// The line `cpu user nice system idle iowait irq softirq steal guest guest_nice`; guest time is
/// contained in user time.
fn of_stat(text: &str, tick_ns: u64) -> Option<MachineUse> {
    let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks: Vec<u64> = line.split_ascii_whitespace().map_while(|w| w.parse().ok()).collect();
    let [_, _, _, idle, waiting, _, _, stolen] = *ticks.get(..8)?.first_chunk::<8>()?;
    let all: u64 = ticks[..8].iter().sum();
    Some(MachineUse {
        busy_ns: (all - idle - waiting) * tick_ns,
        idle_ns: (idle + waiting) * tick_ns,
        stolen_ns: stolen * tick_ns,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_of_proc_stat() {
        let text = "cpu  1 2 3 100 20 4 5 6 7 8\ncpu0 1 2 3 100 20 4 5 6 7 8\n";
        let expected = MachineUse { busy_ns: 210, idle_ns: 1200, stolen_ns: 60 };
        assert_eq!(of_stat(text, 10), Some(expected));
        assert_eq!(of_stat("cpu  1 2 3\n", 10), None);
        assert_eq!(of_stat("", 10), None);
    }
}
