// SPDX-License-Identifier: GPL-2.0-or-later
//! `rota doctor` on kernels that can and on kernels that cannot.

use crate::guest::{Guest, contains, ensure};
use crate::run::script;
use libtest_mimic::Failed;
use serde_json::Value;

pub(crate) fn a_kernel_that_can(guest: &mut Guest) -> Result<(), Failed> {
    let report = diagnosis(guest, 0)?;
    ensure(report["can_run"] == true, || report.to_string())?;
    for id in ["kernel_version", "sched_ext", "btf", "kfunc_prototypes", "scheduler_simple"] {
        let finding = finding(&report, id)?;
        ensure(finding["status"] == "ok", || finding.to_string())?;
    }
    let attached = guest.expect(
        0,
        &script(
            "rota run simple >/tmp/out 2>&1 & pid=$!; up simple
             rota doctor; status=$?; echo pid $pid; kill -INT $pid; wait $pid; exit $status",
        ),
    )?;
    let pid = attached.lines().find_map(|l| l.strip_prefix("pid ")).unwrap_or("?").to_owned();
    contains(&attached, &[&format!("simple, held by rota (pid {pid})")])?;
    let nobody = "setpriv --reuid 65534 --clear-groups rota doctor --format json";
    let nobody: Value = serde_json::from_str(&guest.expect(1, nobody)?)?;
    ensure(finding(&nobody, "capabilities")?["status"] == "missing", || nobody.to_string())
}

pub(crate) fn broken_prototypes(guest: &mut Guest) -> Result<(), Failed> {
    let report = diagnosis(guest, 1)?;
    for id in ["kfunc_prototypes", "scheduler_simple"] {
        let finding = finding(&report, id)?;
        ensure(finding["status"] == "missing", || finding.to_string())?;
        contains(&finding.to_string(), &["scx_bpf_create_dsq"])?;
    }
    let refused = guest.run("rota run simple --for 1s 2>&1")?;
    ensure(refused.status == 2, || refused.stdout.clone())?;
    contains(&refused.stdout, &["broken function prototypes"])
}

fn diagnosis(guest: &mut Guest, status: i32) -> Result<Value, Failed> {
    Ok(serde_json::from_str(&guest.expect(status, "rota doctor --format json")?)?)
}

fn finding<'a>(report: &'a Value, id: &str) -> Result<&'a Value, Failed> {
    let findings = report["findings"].as_array().into_iter().flatten();
    let mut found = findings.filter(|f| f["id"] == id);
    found.next().ok_or_else(|| format!("no finding '{id}' in {report}").into())
}
