// SPDX-License-Identifier: GPL-2.0-or-later
//! Weights decide how CPU time is shared.

use crate::guest::{Guest, ensure, say};
use crate::run::script;
use libtest_mimic::Failed;

/// Weights of nice 0 and nice -5 in the kernel's table, on which sched_ext's weights rest.
const NICE_0: f64 = 1024.0;
const NICE_MINUS_5: f64 = 3121.0;
const TOLERANCE: f64 = 0.10;

/// What each hog of a group gets may differ from the group's mean by this much.
const SPREAD: f64 = 0.35;

pub(crate) fn weights_decide(guest: &mut Guest) -> Result<(), Failed> {
    let (light, heavy) = hogs(guest, "simple", 8, 6, "")?;
    let off = mean(&heavy) / mean(&light) / (NICE_MINUS_5 / NICE_0) - 1.0;
    within(guest, "nice -5 to nice 0", off, TOLERANCE, &light, &heavy)
}

pub(crate) fn fifo_ignores_weights(guest: &mut Guest) -> Result<(), Failed> {
    let (light, heavy) = hogs(guest, "simple:fifo", 4, 6, "")?;
    let off = mean(&heavy) / mean(&light) - 1.0;
    within(guest, "fifo, nice -5 to nice 0", off, TOLERANCE, &light, &heavy)
}

/// Somebody changes nice values of running tasks from outside, which makes the kernel call back
/// on another CPU than the tasks'. Afterwards the weights still decide.
pub(crate) fn changes_from_outside(guest: &mut Guest) -> Result<(), Failed> {
    let change = "for nice in 7 0 3 0; do renice -n $nice -p $pids; done >/dev/null
                  renice -n -5 -p $heavy >/dev/null";
    let (light, heavy) = hogs(guest, "simple", 4, 6, change)?;
    let off = mean(&heavy) / mean(&light) / (NICE_MINUS_5 / NICE_0) - 1.0;
    within(guest, "after changes, nice -5 to nice 0", off, TOLERANCE, &light, &heavy)
}

/// One hog of nice 19 among five of nice -20: its turn comes before the watchdog's. Its debt counts
/// for 50 ms of virtual time, for which such a hog runs 50 ms * 8668 / 100 = 4.3 s; five of them on
/// four CPUs need 5.4 s for it. What it owes in truth, 400 ms after a tick, would take them 43 s.
pub(crate) fn the_lightest_is_served(guest: &mut Guest) -> Result<(), Failed> {
    let text = guest.expect(
        0,
        &script(
            "rota run simple --watchdog 10s >/tmp/out 2>&1 & pid=$!; up simple
             hog='while :; do :; done'; pids=
             for i in 1 2 3 4 5; do nice -n -20 sh -c \"$hog\" & pids=\"$pids $!\"; done
             nice -n 19 sh -c \"$hog\" & light=$!
             sleep 13; read -r ran rest </proc/$light/schedstat; echo ran $ran
             kill $pids $light; kill -INT $pid; wait $pid; echo status $?; cat /tmp/out",
        ),
    )?;
    ensure(text.contains("status 0") && !text.contains("ran 0"), || text.clone())
}

/// A task that slept, and one that was in a real-time class meanwhile, come back to what the others
/// get: they are neither paid for the time nor punished for it.
pub(crate) fn who_comes_back_gets_no_more(guest: &mut Guest) -> Result<(), Failed> {
    // One process, there before the real-time task is: starting another would need the file system
    // of the host, whose answers may have to wait for the CPU that the real-time task has.
    // 144 is sched_setscheduler.
    let real_time = r#"
sub class { syscall(144, $ARGV[0] + 0, $_[0], pack("i", $_[1])) == 0 or die "$!" }
class(1, 1);
sleep 2;
class(0, 0);
"#;
    let real_time = guest.put("real_time.pl", real_time.as_bytes())?;
    let text = guest.expect(
        0,
        &script(&format!(
            "rota run simple >/tmp/out 2>&1 & pid=$!; up simple
             hog='while :; do :; done'; pids=
             for i in 1 2 3 4 5 6; do sh -c \"$hog\" & pids=\"$pids $!\"; done
             rm -f /tmp/wake; mkfifo /tmp/wake
             sh -c \"read -r word </tmp/wake; $hog\" & pids=\"$! $pids\"
             sh -c \"$hog\" & real=$!; pids=\"$real $pids\"
             sleep 2; perl {real_time} $real || exit 5
             for p in $pids; do read -r ran rest </proc/$p/schedstat; echo $ran; done
             echo now >/tmp/wake; sleep 4
             for p in $pids; do read -r ran rest </proc/$p/schedstat; echo $ran; done
             kill $pids; kill -INT $pid; wait $pid || {{ cat /tmp/out; exit 3; }}"
        )),
    )?;
    let ran: Vec<f64> = text.lines().filter_map(|l| l.parse().ok()).collect();
    ensure(ran.len() == 16, || text.clone())?;
    let (before, after) = ran.split_at(8);
    let spent: Vec<f64> = after.iter().zip(before).map(|(a, b)| a - b).collect();
    let (back, others) = spent.split_at(2);
    let even = back.iter().all(|x| (x / mean(others) - 1.0).abs() <= SPREAD);
    ensure(even, || format!("those who came back: {back:?}, the others: {others:?}"))
}

/// Runs a scheduler with so many hogs of nice 0 and as many of nice -5 on four CPUs, and after a
/// script of changes reads their CPU clocks (the first number of schedstat, in ns) at both ends
/// of a span in seconds. What each hog got: those of nice 0, and those of nice -5.
fn hogs(
    guest: &mut Guest,
    scheduler: &str,
    pairs: usize,
    span: u32,
    change: &str,
) -> Result<(Vec<f64>, Vec<f64>), Failed> {
    let text = guest.expect(
        0,
        &script(&format!(
            "rota run {scheduler} >/tmp/out 2>&1 & pid=$!; up simple
             hog='while :; do :; done'; pids= heavy=
             for i in $(seq {pairs}); do
                 nice -n 0 sh -c \"$hog\" & pids=\"$pids $!\"
                 nice -n -5 sh -c \"$hog\" & pids=\"$pids $!\" heavy=\"$heavy $!\"
             done
             sleep 3
             {change}
             for p in $pids; do read -r ran rest </proc/$p/schedstat; echo $ran; done
             sleep {span}
             for p in $pids; do read -r ran rest </proc/$p/schedstat; echo $ran; done
             kill $pids; kill -INT $pid; wait $pid || {{ cat /tmp/out; exit 3; }}"
        )),
    )?;
    let ran: Vec<f64> = text.lines().filter_map(|l| l.parse().ok()).collect();
    ensure(ran.len() == 4 * pairs, || text.clone())?;
    let (before, after) = ran.split_at(2 * pairs);
    let spent: Vec<f64> = after.iter().zip(before).map(|(a, b)| a - b).collect();
    let every_other = |first: usize| spent.iter().skip(first).step_by(2).copied().collect();
    Ok((every_other(0), every_other(1)))
}

fn mean(group: &[f64]) -> f64 {
    group.iter().sum::<f64>() / group.len() as f64
}

fn within(
    guest: &Guest,
    what: &str,
    off: f64,
    tolerance: f64,
    light: &[f64],
    heavy: &[f64],
) -> Result<(), Failed> {
    say(&format!("{}: {what}: off by {:+.1} %", guest.series, 100.0 * off));
    let told = || format!("{what}: off by {off:+.3}: {light:?} {heavy:?}");
    ensure(off.abs() <= tolerance, told)?;
    for group in [light, heavy] {
        let even = group.iter().all(|x| (x / mean(group) - 1.0).abs() <= SPREAD);
        ensure(even, told)?;
    }
    Ok(())
}
