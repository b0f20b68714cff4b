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
/// So many decisions of a script may come out otherwise without that it was seen that another CPU had
/// changed what they were about; and so many out of a thousand may be left out.
const UNSEEN: usize = 4;
const LEFT_OUT_PER_1000: usize = 10;

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

/// Of each kind of decision: how many there were, how many have to come out alike at least, and how many
/// of a hundred may come out otherwise as something changed in the midst. Most of these are choices of
/// the busiest CPU, whose tasks come and go meanwhile: more so if the host has much else to do.
fn kinds(all: &DecisionsAgreement) -> [(&'static str, usize, usize, usize); 14] {
    [
        ("domains", all.domains, 16, 0),
        ("wakes", all.wakes, 70, 5),
        ("forks", all.forks, 6, 25),
        ("turns", all.turns, 300, 5),
        ("searches", all.searches, 300, 5),
        ("found", all.found, 25, 0),
        ("sources", all.sources, 10, 75),
        ("pulls", all.pulls, 7, 10),
        ("looks", all.looks, 14, 0),
        ("moves", all.moves, 1, 0),
        ("ends", all.ends, 300, 5),
        ("periods", all.periods, 250, 15),
        ("before_idle", all.before_idle, 200, 5),
        ("ticks", all.ticks, 400, 5),
    ]
}

fn is_good(agreement: &DecisionsAgreement) -> Result<(), String> {
    if agreement.disagreements.len() > UNSEEN {
        return Err(agreement.disagreements.join("\n"));
    }
    let mut all = 0;
    for (kind, count, least, raced_percent) in kinds(agreement) {
        let raced = agreement.raced.get(kind).copied().unwrap_or_default();
        if count < least + raced || raced * 100 > count * raced_percent {
            return Err(format!("{count} {kind}, {raced} of them in a race: {agreement:?}"));
        }
        all += count;
    }
    if agreement.left_out * 1000 > all * LEFT_OUT_PER_1000 {
        return Err(format!("too much is left out: {agreement:?}"));
    }
    Ok(())
}
