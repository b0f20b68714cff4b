// SPDX-License-Identifier: GPL-2.0-or-later
//! Weights decide how CPU time is shared.

use crate::guest::{Guest, ensure, say};
use crate::run::script;
use libtest_mimic::Failed;

/// Weights of nice 0 and nice -5 in the kernel's table, on which sched_ext's weights rest.
const NICE_0: f64 = 1024.0;
const NICE_MINUS_5: f64 = 3121.0;
const TOLERANCE: f64 = 0.10;

/// Eight hogs of nice 0 and eight of nice -5 on four CPUs. Their CPU clocks (the first number of
/// schedstat, in ns) are read at both ends of the same span.
pub(crate) fn weights_decide(guest: &mut Guest) -> Result<(), Failed> {
    let text = guest.expect(
        0,
        &script(
            "rota run simple >/tmp/out 2>&1 & pid=$!; up simple
             hog='while :; do :; done'; pids=
             for i in 1 2 3 4 5 6 7 8; do
                 nice -n 0 sh -c \"$hog\" & pids=\"$pids $!\"
                 nice -n -5 sh -c \"$hog\" & pids=\"$pids $!\"
             done
             sleep 3
             for p in $pids; do read -r ran rest </proc/$p/schedstat; echo $ran; done
             sleep 20
             for p in $pids; do read -r ran rest </proc/$p/schedstat; echo $ran; done
             kill $pids; kill -INT $pid; wait $pid || { cat /tmp/out; exit 3; }",
        ),
    )?;
    let ran: Vec<f64> = text.lines().filter_map(|l| l.parse().ok()).collect();
    ensure(ran.len() == 32, || text.clone())?;
    let (before, after) = ran.split_at(16);
    let spent: Vec<f64> = after.iter().zip(before).map(|(a, b)| a - b).collect();
    let light: f64 = spent.iter().step_by(2).sum();
    let heavy: f64 = spent.iter().skip(1).step_by(2).sum();
    let error = heavy / light / (NICE_MINUS_5 / NICE_0) - 1.0;
    let ratio = heavy / light;
    say(&format!("{}: ratio {ratio:.3}, off by {:+.1} %", guest.series, 100.0 * error));
    ensure(error.abs() <= TOLERANCE, || {
        format!("nice -5 got {ratio:.3} times nice 0 (off by {error:+.3}): {spent:?}")
    })
}
