// SPDX-License-Identifier: GPL-2.0-or-later
//! How far something long is, as somebody sees it who sits at a terminal, and nobody else.

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::process::{Child, Command, Stdio};

fn rota(line: &str, stderr: Stdio) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rota"));
    command.args(line.split(' ')).stdout(Stdio::null()).stderr(stderr).spawn().unwrap()
}

/// What stands on the terminal once so long a run has gone on for a while, or has ended.
fn seen_within(line: &str) -> String {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let path = ptsname(&terminal, Vec::new()).unwrap().into_string().unwrap();
    let end = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut child = rota(line, end.into());
    let (mut terminal, mut seen, mut bytes) = (File::from(terminal), String::new(), [0; 4096]);
    let goes_on = |seen: &str| {
        let shown = seen.split_once(" of 9999.0 s simulated (");
        shown.is_some_and(|(before, _)| !before.ends_with(" 0.0"))
    };
    while !goes_on(&seen) {
        // It fails once nobody has the terminal any more.
        let Ok(count @ 1..) = terminal.read(&mut bytes) else { break };
        seen = String::from_utf8_lossy(&bytes[..count]).replace("\x1b[K", " ");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    seen
}

/// There is one run only, which takes far longer than the test.
#[test]
fn the_time_within_a_run_is_shown() {
    let seen = seen_within("sim simple --machine 4c --workload cpu --for 9999s");
    assert!(seen.contains(" of 9999.0 s simulated ("), "{seen}");
    let seen = seen_within(
        "compare simple --machine 4c --workload cpu --for 9999s --seeds 1 --costs 1 --jobs 1",
    );
    assert!(seen.contains("0 of 1 runs, ") && seen.contains(" of 9999.0 s simulated"), "{seen}");
}

#[test]
fn nobody_else_sees_it() {
    let line = "compare simple --machine 16c --workload web --for 5s --seeds 4 --costs 1";
    let output = rota(line, Stdio::piped()).wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
