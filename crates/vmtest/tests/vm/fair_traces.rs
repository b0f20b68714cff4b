// SPDX-License-Identifier: GPL-2.0-or-later
//! The model of the fair class against a kernel, event by event: the scripts of `tests/fair` run
//! on a machine with one CPU, whose time is counted in instructions, and what its queue did is done
//! to the model. `BLESS=1` keeps the recordings for the test that needs no kernel.

use crate::guest::{Guest, ensure};
use libtest_mimic::Failed;
use rota_sim::FairTrace;
use std::path::{Path, PathBuf};

/// So many events are kept of each.
const KEPT: usize = 7_000;
/// So often a task has to be picked at least in each.
const PICKS: usize = 150;

pub(crate) fn every_pick(guest: &mut Guest) -> Result<(), Failed> {
    let folder = folder()?;
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        names.extend(name.strip_suffix(".sh").filter(|n| *n != "record").map(str::to_owned));
    }
    names.sort();
    let (here, there) = guest.dir("fair")?;
    let record = folder.join("record.sh");
    guest.expect(0, &format!("sh {} {there} {}", record.display(), names.join(" ")))?;
    for name in &names {
        let trace = FairTrace::from_ftrace(&std::fs::read_to_string(here.join(name))?);
        let agreement = trace.replay().map_err(|error| format!("{name}: {error}"))?;
        ensure(agreement.picks >= PICKS, || format!("{name}: only {agreement}"))?;
        if std::env::var_os("BLESS").is_some() {
            let part = trace.first(KEPT);
            let agreement = part.replay().map_err(|error| format!("{name}: {error}"))?;
            let text = format!("# {agreement}\n# Linux {}, {name}.sh\n{part}", guest.series);
            std::fs::write(folder.join(format!("{name}.txt")), text)?;
        }
    }
    Ok(())
}

fn folder() -> Result<PathBuf, Failed> {
    Ok(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fair").canonicalize()?)
}
