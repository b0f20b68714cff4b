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
/// So many events of a kernel before the newest are kept, and compared: later, times of tasks of other
/// weights are 1 ns off now and then, as the kernel does not divide exactly.
const KEPT_BEFORE: usize = 3_000;
/// So often a task has to be picked at least in each.
const PICKS: usize = 150;
/// Scripts that make groups: before Linux 7.3 these had queues of their own, which the model has not.
const GROUPS: [&str; 3] = ["groups", "nested", "regroup"];

pub(crate) fn every_pick(guest: &mut Guest) -> Result<(), Failed> {
    compare(guest, &folder()?, KEPT, usize::MAX, &scripts()?)
}

/// The same on a kernel whose fair class has other rules.
pub(crate) fn every_pick_before(guest: &mut Guest) -> Result<(), Failed> {
    let mut names = scripts()?;
    names.retain(|name| !GROUPS.contains(&name.as_str()));
    let series = guest.series.clone();
    compare(guest, &folder()?.join(series), KEPT_BEFORE, KEPT_BEFORE, &names)
}

/// Records the scripts anew, compares up to so many events of each, and keeps some in a folder if that
/// is asked for.
fn compare(
    guest: &mut Guest,
    keep: &Path,
    kept: usize,
    most: usize,
    names: &[String],
) -> Result<(), Failed> {
    let (here, there) = guest.dir("fair")?;
    let record = folder()?.join("record.sh");
    guest.expect(0, &format!("sh {} {there} {}", record.display(), names.join(" ")))?;
    for name in names {
        let trace = FairTrace::from_ftrace(&std::fs::read_to_string(here.join(name))?).first(most);
        let agreement = trace.replay(&guest.series).map_err(|error| format!("{name}: {error}"))?;
        ensure(agreement.picks >= PICKS, || format!("{name}: only {agreement}"))?;
        if std::env::var_os("BLESS").is_some() {
            let part = trace.first(kept);
            let agreement =
                part.replay(&guest.series).map_err(|error| format!("{name}: {error}"))?;
            let text = format!("# {agreement}\n# Linux {}, {name}.sh\n{part}", guest.series);
            std::fs::write(keep.join(format!("{name}.txt")), text)?;
        }
    }
    Ok(())
}

fn scripts() -> Result<Vec<String>, Failed> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder()?)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        names.extend(name.strip_suffix(".sh").filter(|n| *n != "record").map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

fn folder() -> Result<PathBuf, Failed> {
    Ok(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fair").canonicalize()?)
}
