// SPDX-License-Identifier: GPL-2.0-or-later
//! The model of the fair class against a kernel, decision by decision: the scripts of
//! `tests/decisions` run on machines with several CPUs, and what the kernel decided about CPUs is
//! decided once more by the model, which knows what the kernel knew. `BLESS=1` keeps a part of the
//! recordings for the test that needs no kernel.

use crate::guest::{Guest, build, ensure, target_dir};
use libtest_mimic::Failed;
use rota_sim::{Decisions, DecisionsAgreement};
use rota_topology::Spec;
use std::path::Path;

/// So many decisions that came out alike are kept, and as many of the later ones.
const KEPT: usize = 2;
/// So many decisions out of a hundred may come out otherwise, as others changed what they were about
/// in the midst; and so many out of ten thousand without that this was seen.
const RACED_PERCENT: usize = 5;
const UNSEEN: usize = 5;

pub(crate) fn every_decision(guest: &mut Guest, name: &str, machine: &str) -> Result<(), Failed> {
    build(&["--workspace", "--example", "decisions"])?;
    let program = target_dir()?.join("examples/decisions").display().to_string();
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/decisions").canonicalize()?;
    let (here, there) = guest.dir("decisions")?;
    guest.expect(0, &format!("sh {}/record.sh {program} {there}", folder.display()))?;
    let topology = machine.parse::<Spec>()?.topology();
    let mut scripts: Vec<_> =
        std::fs::read_dir(&here)?.map(|entry| Ok(entry?.path())).collect::<Result<_, Failed>>()?;
    scripts.sort();
    ensure(scripts.len() >= 6, || format!("only {scripts:?} were recorded"))?;
    for recorded in scripts {
        let script = recorded.file_name().unwrap_or_default().display().to_string();
        let decisions = Decisions::parse(&std::fs::read_to_string(&recorded)?)?;
        let agreement = decisions.replay(&topology);
        is_good(&agreement).map_err(|wrong| format!("{script}, {machine}: {wrong}"))?;
        if std::env::var_os("BLESS").is_some() {
            let part = decisions.thinned(KEPT);
            let text = format!("# Linux {}, {machine}, {script}.sh\n{part}", guest.series);
            std::fs::create_dir_all(folder.join(name))?;
            std::fs::write(folder.join(name).join(format!("{script}.txt")), text)?;
        }
    }
    Ok(())
}

fn is_good(agreement: &DecisionsAgreement) -> Result<(), String> {
    let DecisionsAgreement { wakes, turns, periods, before_idle, ticks, .. } = agreement;
    let all = wakes + turns + periods + before_idle + ticks;
    if agreement.disagreements.len() * 10_000 > all * UNSEEN {
        return Err(agreement.disagreements.join("\n"));
    }
    let raced: usize = agreement.raced.values().sum();
    if *wakes < 100 || *turns < 400 || raced * 100 > all * RACED_PERCENT {
        return Err(format!("not enough that counts: {agreement:?}"));
    }
    Ok(())
}
