// SPDX-License-Identifier: GPL-2.0-or-later
//! What ends a scheduler against its will: each cause has its own words and its own exit code.

use crate::guest::{Guest, contains, ensure};
use crate::run::script;
use libtest_mimic::Failed;

pub(crate) fn stall(guest: &mut Guest) -> Result<(), Failed> {
    let object = guest.put("stall.bpf.o", rota_programs::test::STALL)?;
    let text = guest.expect(
        15,
        &script(&format!(
            "cp /bin/sleep /tmp/victim; mount -o remount,exec /tmp 2>/dev/null
             rota run {object} --dump /tmp/dump >/tmp/out 2>&1 & pid=$!; up stall
             /tmp/victim 1 & v=$!
             wait $pid; status=$?; cat /tmp/out; wait $v; state; head -3 /tmp/dump; exit $status"
        )),
    )?;
    contains(&text, &["stall ended: victim (pid ", "was ready to run and did not get a CPU"])?;
    contains(&text, &["the kernel said: ", "kind 1026", "failed to run for", "task: victim, pid"])?;
    contains(&text, &["the kernel's dump: /tmp/dump", "disabled", "victim"])
}

pub(crate) fn sysrq(guest: &mut Guest) -> Result<(), Failed> {
    let text = guest.expect(
        12,
        &script(
            "echo 1 >/proc/sys/kernel/sysrq
             rota run simple >/tmp/out 2>&1 & pid=$!; up simple
             echo S >/proc/sysrq-trigger; wait $pid; status=$?; cat /tmp/out; state; exit $status",
        ),
    )?;
    contains(&text, &["simple ended: somebody pressed SysRq-S", "kind 67", "disabled"])
}

/// Work for more CPUs than there are, once the scheduler had time to come.
const SOON_BUSY: &str = "(sleep 2; exec stress-ng --cpu 6 --timeout 4) >/dev/null 2>&1 &";

pub(crate) fn error_of_its_own(guest: &mut Guest) -> Result<(), Failed> {
    let object = guest.put("give_up.bpf.o", rota_programs::test::GIVE_UP)?;
    let text =
        guest.expect(14, &format!("{SOON_BUSY} rota run {object} 2>&1; s=$?; wait; exit $s"))?;
    contains(&text, &["give_up ended: it reported an error of its own", "kind 1025"])?;
    contains(&text, &["gave up at task", "task: "])
}

pub(crate) fn exit_of_its_own(guest: &mut Guest) -> Result<(), Failed> {
    let object = guest.put("give_up.bpf.o", rota_programs::test::GIVE_UP)?;
    let text = guest.expect(
        10,
        &format!(
            "{SOON_BUSY} rota run {object} --politely --after 20 --format json >/tmp/out; s=$?
             wait; tail -1 /tmp/out; exit $s"
        ),
    )?;
    let value: serde_json::Value = serde_json::from_str(text.trim())?;
    ensure(value["cause"] == "bpf_exit" && value["code"] == 7, || text.clone())?;
    ensure(value["exit_code"] == 10 && value["msg"] == "served 20 tasks, that is enough", || text)
}

pub(crate) fn without_a_record(guest: &mut Guest) -> Result<(), Failed> {
    let object = guest.put("mute.bpf.o", rota_programs::test::MUTE)?;
    let text = guest.expect(
        31,
        &script(&format!(
            "rota run {object} --stats 0s >/tmp/out 2>&1 & pid=$!; up mute
             echo S >/proc/sysrq-trigger; wait $pid; status=$?; cat /tmp/out; state; exit $status"
        )),
    )?;
    contains(&text, &["mute ended: ", "not recorded by the object", "dmesg", "disabled"])
}

/// Takes CPU 2 away and brings it back.
const BLINK: &str = "echo 0 >/sys/devices/system/cpu/cpu2/online; sleep 1
                     echo 1 >/sys/devices/system/cpu/cpu2/online";

pub(crate) fn hotplug_reloads(guest: &mut Guest) -> Result<(), Failed> {
    let text = guest.expect(
        0,
        &script(&format!(
            "rota run simple >/tmp/out 2>&1 & pid=$!; up simple
             {BLINK}
             sleep 3; up simple; kill -INT $pid; wait $pid; echo status $?; cat /tmp/out; state"
        )),
    )?;
    contains(&text, &["simple is loaded again: a CPU came or went", "status 0", "disabled"])
}

pub(crate) fn hotplug_without_reload(guest: &mut Guest) -> Result<(), Failed> {
    let text = guest.expect(
        16,
        &script(&format!(
            "rota run simple --no-reload >/tmp/out 2>&1 & pid=$!; up simple
             {BLINK}
             wait $pid; status=$?; cat /tmp/out; state; exit $status"
        )),
    )?;
    contains(&text, &["simple ended: a CPU came or went", "kind 66", "disabled"])
}

pub(crate) fn too_many_reloads(guest: &mut Guest) -> Result<(), Failed> {
    let text = guest.expect(
        30,
        &script(&format!(
            "rota run simple --reloads 1 --reload-within 10min >/tmp/out 2>&1 & pid=$!; up simple
             {BLINK}
             sleep 3; {BLINK}
             wait $pid; status=$?; cat /tmp/out; state; exit $status"
        )),
    )?;
    contains(&text, &["is loaded again", "reloaded 1 times within 10min; not again", "disabled"])
}

pub(crate) fn taken_off_by_somebody(guest: &mut Guest) -> Result<(), Failed> {
    let bpftool = rota_vmtest::bpftool(&guest.cache, &mut |_| ())?;
    let text = guest.expect(
        17,
        &script(&format!(
            "rota run simple >/tmp/out 2>&1 & pid=$!; up simple
             {tool} link show | grep -B0 struct_ops
             id=$({tool} link show | sed -n 's/^\\([0-9]*\\): struct_ops.*/\\1/p'); {tool} link detach id $id
             wait $pid; status=$?; cat /tmp/out; state; exit $status",
            tool = bpftool.display()
        )),
    )?;
    contains(&text, &["simple ended: somebody else took it off", "disabled"])
}
