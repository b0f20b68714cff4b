// SPDX-License-Identifier: GPL-2.0-or-later
//! `rota run`: coming, staying, telling and going.

use crate::guest::{Guest, contains, ensure};
use libtest_mimic::Failed;

/// Shell functions: `state`, `ops`, and `up NAME`, which waits until a scheduler is in charge.
pub(crate) const SHELL: &str = r#"
state() { cat /sys/kernel/sched_ext/state; }
ops() { cat /sys/kernel/sched_ext/root/ops 2>/dev/null; }
up() {
    n=0
    until [ "$(state)" = enabled ] && [ "$(ops)" = "$1" ]; do
        n=$((n + 1)); [ $n -lt 200 ] || { echo "$1 did not come up"; exit 99; }
        sleep 0.1
    done
}
down() {
    n=0
    until [ "$(state)" = disabled ]; do
        n=$((n + 1)); [ $n -lt 200 ] || { echo "still $(state)"; exit 99; }
        sleep 0.1
    done
}
"#;

/// A script that uses the functions.
pub(crate) fn script(body: &str) -> String {
    format!("{SHELL}\n{body}")
}

pub(crate) fn survives_load(guest: &mut Guest) -> Result<(), Failed> {
    let text = guest.expect(
        0,
        &script(
            "rota run simple --stats 5s >/tmp/out 2>&1 & pid=$!
             up simple
             stress-ng --cpu 4 --switch 2 --fork 2 --pipe 2 --timeout 30 >/tmp/stress 2>&1 & load=$!
             n=0; while kill -0 $load 2>/dev/null; do
                 hackbench -g 1 -l 100 >/dev/null || exit 1; n=$((n + 1))
             done
             wait $load || { cat /tmp/stress; exit 3; }
             [ $n -gt 0 ] || { echo no hackbench; exit 4; }
             [ \"$(state) $(ops)\" = 'enabled simple' ] || { cat /tmp/out; exit 5; }
             kill -INT $pid; wait $pid; echo status $?; cat /tmp/out
             down; [ -z \"$(ops)\" ] || exit 6
             cat /sys/kernel/sched_ext/nr_rejected",
        ),
    )?;
    contains(&text, &["status 0", "simple schedules 4 CPUs of Linux", "was taken off", "Ctrl-C"])?;
    guest.kernel_is_well()
}

pub(crate) fn serves_statistics(guest: &mut Guest) -> Result<(), Failed> {
    let client = r#"
use IO::Socket::UNIX;
my $s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or die "$ARGV[0]: $!";
print $s "$ARGV[1]\n";
$s->shutdown(1) if $ARGV[1] =~ /^GET/;
while (<$s>) { print; last if /^# EOF/ || --$ARGV[2] == 0 }
"#;
    let client = guest.put("ask.pl", client.as_bytes())?;
    let text = guest.expect(
        0,
        &script(&format!(
            "rota run simple --socket /tmp/s.sock >/tmp/out 2>&1 & pid=$!
             up simple; n=0; until [ -S /tmp/s.sock ]; do sleep 0.1; n=$((n+1)); [ $n -lt 100 ] || exit 7; done
             perl {client} /tmp/s.sock stats 1
             perl {client} /tmp/s.sock describe 1
             perl {client} /tmp/s.sock watch 3
             perl {client} /tmp/s.sock openmetrics -1
             perl {client} /tmp/s.sock nonsense 1
             kill -TERM $pid; wait $pid || exit 8
             [ ! -e /tmp/s.sock ] || exit 9"
        )),
    )?;
    contains(&text, &["\"schema\":\"rota-stats/1\"", "\"kind\":\"counter\"", "# EOF"])?;
    contains(&text, &["# TYPE rota_ran_seconds counter", "unknown request 'nonsense'"])?;
    let samples = text.lines().filter(|l| l.contains("\"totals\"")).count();
    ensure(samples == 4, || format!("{samples} samples in:\n{text}"))
}

pub(crate) fn tells_the_service_manager(guest: &mut Guest) -> Result<(), Failed> {
    let manager = r#"
use Socket;
socket(my $s, AF_UNIX, SOCK_DGRAM, 0) or die $!;
bind($s, pack_sockaddr_un('/tmp/notify')) or die $!;
$SIG{ALRM} = sub { exit 1 }; alarm 60;
while (1) { recv($s, my $m, 4096, 0); print "$m\n"; last if $m =~ /STOPPING/ }
"#;
    let manager = guest.put("manager.pl", manager.as_bytes())?;
    let text = guest.expect(
        0,
        &format!(
            "rm -f /tmp/notify; perl {manager} >/tmp/told & m=$!
             until [ -S /tmp/notify ]; do sleep 0.1; done
             NOTIFY_SOCKET=/tmp/notify rota run simple --for 3s >/dev/null || exit 3
             wait $m || exit 4; cat /tmp/told"
        ),
    )?;
    contains(&text, &["READY=1", "STATUS=simple is in charge", "WATCHDOG=1", "STOPPING=1"])
}

pub(crate) fn json_lines(guest: &mut Guest) -> Result<(), Failed> {
    let text = guest.expect(0, "rota run simple --format json --stats 500ms --for 3s")?;
    let mut samples = 0;
    for line in text.lines() {
        let value: serde_json::Value = serde_json::from_str(line)?;
        if value["schema"] == "rota-stats/1" {
            samples += 1;
            ensure(value["totals"]["ran_ns"].as_u64().is_some(), || line.to_owned())?;
        } else {
            ensure(value["schema"] == "rota-exit/1" && value["cause"] == "asked", || line.into())?;
        }
    }
    ensure(samples >= 3, || text.clone())
}

pub(crate) fn leaves_on_signals(guest: &mut Guest) -> Result<(), Failed> {
    for (signal, name) in [("INT", "Ctrl-C"), ("TERM", "SIGTERM")] {
        let text = guest.expect(
            0,
            &script(&format!(
                "rota run simple >/tmp/out 2>&1 & pid=$!; up simple
                 kill -{signal} $pid; wait $pid; echo status $?; cat /tmp/out; state"
            )),
        )?;
        contains(&text, &["status 0", &format!("({name})"), "disabled"])?;
    }
    Ok(())
}

pub(crate) fn sigkill_restores_the_default(guest: &mut Guest) -> Result<(), Failed> {
    let text = guest.expect(
        0,
        &script(
            "rota run simple >/tmp/out 2>&1 & pid=$!; up simple
             kill -KILL $pid; wait $pid; echo status $?; down; state
             rota run simple --for 1s | tail -1",
        ),
    )?;
    // The socket that the killed one left behind is no obstacle to the next.
    contains(&text, &["status 137", "disabled", "was taken off"])
}

pub(crate) fn a_second_one_is_refused(guest: &mut Guest) -> Result<(), Failed> {
    let text = guest.expect(
        0,
        &script(
            "rota run simple >/tmp/out 2>&1 & pid=$!; up simple
             rota run simple --fifo --for 5s; echo second $?
             rota doctor | grep -A3 -i attached
             [ \"$(ops)\" = simple ] || exit 3
             kill -INT $pid; wait $pid; echo first $?",
        )
        .replace("rota run simple --fifo --for 5s;", "rota run simple --fifo --for 5s 2>&1;"),
    )?;
    contains(&text, &["second 2", "another scheduler is attached: simple", "first 0"])
}

/// A user who may do no more than load BPF programs and look at the kernel.
pub(crate) fn two_capabilities_suffice(guest: &mut Guest) -> Result<(), Failed> {
    let user = "setpriv --reuid 65534 --clear-groups --inh-caps +bpf,+perfmon \
                --ambient-caps +bpf,+perfmon";
    let text = guest.expect(0, &format!("{user} rota run simple --for 2s 2>&1"))?;
    contains(&text, &["simple schedules 4 CPUs", "was taken off"])
}

pub(crate) fn bad_input(guest: &mut Guest) -> Result<(), Failed> {
    let foreign = guest.put("foreign.bpf.o", &std::fs::read(std::env::current_exe()?)?)?;
    let simple = rota_programs::simple::OBJECT;
    let cut = guest.put("cut.bpf.o", &simple[..simple.len() / 3])?;
    let cases = [
        ("rota run simpel", "no scheduler 'simpel'; did you mean simple?"),
        ("rota run simple --for 5", "has no unit"),
        ("rota run simple --watchdog 1min", "not from 1ms to 30s"),
        ("rota run simple --slice soon", "no number with a unit"),
        ("rota run simple --set colour=red", "no setting 'colour'; there are: fifo, slice"),
        ("rota run nowhere.bpf.o", "nowhere.bpf.o: No such file"),
        (&format!("rota run {foreign}"), "not for BPF"),
        (&format!("rota run {cut}"), "cut.bpf.o: "),
        ("setpriv --reuid 65534 --clear-groups rota run simple", "no permission"),
        ("rota topology 2s:0c", "2s:0c"),
        ("echo nonsense >/tmp/m.json; rota topology /tmp/m.json", "/tmp/m.json: "),
        ("echo '{\"schema\": 1' >/tmp/m.json; rota topology /tmp/m.json", "/tmp/m.json: "),
        (
            "unshare -m sh -c 'mount -t tmpfs none /sys/kernel/btf; rota run simple'",
            "no type information",
        ),
    ];
    for (command, words) in cases {
        let output = guest.run(&format!("{command} 2>&1"))?;
        ensure(output.status == 2, || format!("{command}: {} {}", output.status, output.stdout))?;
        contains(&output.stdout, &[words])?;
        ensure(!output.stdout.contains("panicked"), || output.stdout.clone())?;
    }
    contains(&guest.expect(0, "cat /sys/kernel/sched_ext/state")?, &["disabled"])
}
