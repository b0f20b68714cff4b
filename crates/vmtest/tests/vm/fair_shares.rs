// SPDX-License-Identifier: GPL-2.0-or-later
//! How a kernel shares several CPUs among groups with weights: the shares that the model of the fair
//! class is compared with, measured anew. `BLESS=1` adds them to what is kept in
//! `tests/fair/shares/numbers.txt`.

use crate::guest::{Guest, ensure};
use libtest_mimic::Failed;
use std::fmt::Write;
use std::path::Path;

/// So many measurements are kept of each.
const KEPT: usize = 6;
/// By how many thousandths a share may be outside of what was measured: a host with much to do was
/// seen to make it 29.
const SLACK: u64 = 40;

pub(crate) fn every_share(guest: &mut Guest, machine: &str) -> Result<(), Failed> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fair/shares");
    let folder = folder.canonicalize()?;
    let printed = guest.expect(0, &format!("perl {}/measure.pl", folder.display()))?;
    let file = folder.join("numbers.txt");
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    let mut lines: Vec<String> =
        kept.lines().filter(|l| !l.starts_with('#')).map(str::to_owned).collect();
    let mut wrong = String::new();
    for line in printed.lines() {
        let Some((name, numbers)) = line.split_once(' ') else { continue };
        let head = format!("{name} {machine} ");
        let now = shares(numbers);
        let known: Vec<Vec<u64>> =
            lines.iter().filter_map(|line| line.strip_prefix(&head)).map(numbers_of).collect();
        for (at, share) in now.iter().enumerate() {
            let each = || known.iter().filter_map(|shares| shares.get(at));
            let fits = each().min().zip(each().max()).is_some_and(|(least, most)| {
                (least.saturating_sub(SLACK)..=most + SLACK).contains(share)
            });
            if !fits {
                let _ = writeln!(wrong, "{head}{known:?}, now {now:?}");
            }
        }
        let texts: Vec<String> = now.iter().map(u64::to_string).collect();
        lines.push(format!("{head}{}", texts.join(" ")));
        while lines.iter().filter(|line| line.starts_with(&head)).count() > KEPT {
            let first = lines.iter().position(|line| line.starts_with(&head)).unwrap_or(0);
            lines.remove(first);
        }
    }
    if std::env::var_os("BLESS").is_some() {
        // By scenario and machine, each in the order of recording: the oldest goes first.
        lines.sort_by(|one, other| about(one).cmp(&about(other)));
        let head = format!("# Linux {}: thousandths of each group", guest.series);
        std::fs::write(file, format!("{head}\n{}\n", lines.join("\n")))?;
        return Ok(());
    }
    ensure(wrong.is_empty(), || wrong.clone())
}

/// What a line is about: its scenario and machine.
fn about(line: &str) -> Vec<&str> {
    line.split(' ').take(2).collect()
}

fn numbers_of(text: &str) -> Vec<u64> {
    text.split(' ').filter_map(|word| word.parse().ok()).collect()
}

/// CPU times as thousandths of all.
fn shares(text: &str) -> Vec<u64> {
    let times = numbers_of(text);
    let all = times.iter().sum::<u64>().max(1);
    times.iter().map(|time| (time * 1000 + all / 2) / all).collect()
}
