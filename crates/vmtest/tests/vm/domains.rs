// SPDX-License-Identifier: GPL-2.0-or-later
//! The scheduler `domains` on a real kernel, on 8 CPUs of four caches and two nodes.

use crate::guest::{Guest, contains};
use crate::run::script;
use libtest_mimic::Failed;

/// Under load, while CPUs go and come: it stays in charge, and the kernel has nothing to say.
pub(crate) fn survives_hotplug(guest: &mut Guest) -> Result<(), Failed> {
    let text = guest.expect(
        0,
        &script(
            "rota run domains --stats 5s >/tmp/out 2>&1 & pid=$!; up domains
             stress-ng --cpu 6 --switch 2 --fork 2 --pipe 2 --timeout 20 --temp-path /tmp \
                 >/tmp/stress 2>&1 & load=$!
             n=0; while kill -0 $load 2>/dev/null; do
                 cpu=/sys/devices/system/cpu/cpu$((n % 7 + 1))/online
                 echo 0 >$cpu || exit 3; sleep 0.2; echo 1 >$cpu || exit 4; sleep 0.1
                 n=$((n + 1))
             done
             wait $load || { cat /tmp/stress; exit 5; }
             [ \"$(state) $(ops)\" = 'enabled domains' ] || { cat /tmp/out; exit 6; }
             kill -INT $pid; wait $pid; echo status $?; echo went and came $n times; cat /tmp/out; down",
        ),
    )?;
    contains(&text, &["status 0", "domains schedules 8 CPUs of Linux", "was taken off", "Ctrl-C"])?;
    guest.kernel_is_well()
}
