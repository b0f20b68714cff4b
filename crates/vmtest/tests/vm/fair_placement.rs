// SPDX-License-Identifier: GPL-2.0-or-later
//! Where a kernel puts tasks of the fair class, and how it balances them, on machines with several
//! CPUs: the numbers that the model is compared with, measured anew. `BLESS=1` adds them to what is
//! kept in `tests/placement/numbers.txt`.

#[path = "../../../sim/tests/fair_placement/measure.rs"]
mod measure;

use crate::guest::{Guest, ensure};
use libtest_mimic::Failed;
use measure::{Moment, SCENARIOS, What, measure, slack};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// So many recordings are kept of each.
const KEPT: usize = 6;

pub(crate) fn every_number(guest: &mut Guest, machine: &str) -> Result<(), Failed> {
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/placement").canonicalize()?;
    let (here, there) = guest.dir("placement")?;
    guest.expect(0, &format!("sh {}/record.sh {there}", folder.display()))?;
    let file = folder.join("numbers.txt");
    let mut kept = read(&file);
    let bless = std::env::var_os("BLESS").is_some();
    let mut wrong = String::new();
    for scenario in SCENARIOS.iter().filter(|scenario| scenario.1 == machine) {
        let moments = moments(&std::fs::read_to_string(here.join(scenario.0))?);
        for (what, now) in measure(*scenario, &moments) {
            let numbers = kept.entry(format!("{} {machine} {what}", scenario.0)).or_default();
            if bless {
                numbers.push(now);
                let old = numbers.len().saturating_sub(KEPT);
                numbers.drain(..old);
                continue;
            }
            let (least, most) = (numbers.iter().min(), numbers.iter().max());
            let fits = least.zip(most).is_some_and(|(least, most)| {
                (least - slack(what)..=most + slack(what)).contains(&now)
            });
            if !fits {
                let _ = writeln!(wrong, "{} {machine} {what}: {numbers:?}, now {now}", scenario.0);
            }
        }
    }
    if bless {
        let mut text =
            format!("# Linux {}: scenario, machine, number: each recording\n", guest.series);
        for (what, numbers) in &kept {
            let numbers: Vec<String> = numbers.iter().map(i64::to_string).collect();
            let _ = writeln!(text, "{what}: {}", numbers.join(" "));
        }
        std::fs::write(file, text)?;
    }
    ensure(wrong.is_empty(), || wrong.clone())
}

fn read(file: &PathBuf) -> BTreeMap<String, Vec<i64>> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let lines =
        text.lines().filter_map(|line| line.split_once(": ").filter(|_| !line.starts_with('#')));
    let numbers = |text: &str| text.split(' ').filter_map(|number| number.parse().ok()).collect();
    lines.map(|(what, text)| (what.to_owned(), numbers(text))).collect()
}

/// What ftrace printed of tasks that are called `parent`.
fn moments(text: &str) -> Vec<Moment> {
    text.lines().filter_map(moment).collect()
}

fn moment(line: &str) -> Option<Moment> {
    let (before, after) = line.split_once(": ")?;
    let us = (before.rsplit(' ').next()?.parse::<f64>().ok()? * 1e6) as u64;
    let cpu = before.split_once('[')?.1.split_once(']')?.0.parse().ok()?;
    let (name, rest) = after.split_once(": ")?;
    let field = |name: &str| {
        let word = rest.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        word.map(str::to_owned)
    };
    let number = |name: &str| field(name)?.parse::<u32>().ok();
    let counts = field("comm").is_some_and(|comm| comm == "parent");
    let what = match name {
        "sched_wakeup_new" if counts => {
            What::New { task: number("pid")?, on: number("target_cpu")? }
        }
        "sched_wakeup" if counts => What::Woken { task: number("pid")?, on: number("target_cpu")? },
        "sched_migrate_task" if counts => What::Moves { task: number("pid")? },
        "sched_switch" => {
            let counts = field("next_comm").is_some_and(|comm| comm == "parent");
            What::Runs { task: number("next_pid").filter(|_| counts) }
        }
        _ => return None,
    };
    Some(Moment { us, cpu, what })
}
