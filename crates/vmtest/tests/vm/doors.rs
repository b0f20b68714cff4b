// SPDX-License-Identifier: GPL-2.0-or-later
//! Every door between the two halves of a scheduler, on a real kernel: the example `doors` of the
//! kernel crate asserts each; here it runs with the rights that it needs.

use crate::guest::{Guest, build, contains, target_dir};
use libtest_mimic::Failed;

pub(crate) fn every_door(guest: &mut Guest) -> Result<(), Failed> {
    build(&["--workspace", "--example", "doors"])?;
    let program = target_dir()?.join("examples/doors");
    contains(&guest.expect(0, &program.display().to_string())?, &["every door is open"])
}
