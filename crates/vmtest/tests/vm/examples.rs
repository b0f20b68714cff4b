// SPDX-License-Identifier: GPL-2.0-or-later
//! Examples of the kernel crate, which assert things themselves; here they run with the rights
//! that they need.

use crate::guest::{Guest, build, contains, target_dir};
use libtest_mimic::Failed;

/// Every door between the two halves of a scheduler, on a real kernel.
pub(crate) fn every_door(guest: &mut Guest) -> Result<(), Failed> {
    contains(&run(guest, "doors")?, &["every door is open"])
}

/// The cases of `bpf/test/case` return on a real kernel what stands beside them.
pub(crate) fn every_case(guest: &mut Guest) -> Result<(), Failed> {
    contains(&run(guest, "cases")?, &[" right, 0 wrong"])
}

fn run(guest: &mut Guest, name: &str) -> Result<String, Failed> {
    build(&["--workspace", "--example", "doors", "--example", "cases"])?;
    guest.expect(0, &target_dir()?.join("examples").join(name).display().to_string())
}
