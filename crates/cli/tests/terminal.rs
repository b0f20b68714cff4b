// SPDX-License-Identifier: GPL-2.0-or-later
//! What somebody sees who sits at a terminal, and nobody else: how far something long is, and tables
//! that fit.

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::process::{Child, Command, Stdio};

fn rota(line: &str, stdout: Stdio, stderr: Stdio) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rota"));
    command.args(line.split(' ')).stdout(stdout).stderr(stderr).spawn().unwrap()
}

/// A terminal of so many columns: who sits at it, and what programs write to.
fn terminal(columns: u16) -> (File, File) {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let path = ptsname(&terminal, Vec::new()).unwrap().into_string().unwrap();
    let end = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&end, size).unwrap();
    (terminal.into(), end)
}

/// What stands on the terminal once so long a run has gone on for a while, or has ended.
fn seen_within(line: &str) -> String {
    let (mut terminal, end) = terminal(80);
    let mut child = rota(line, Stdio::null(), end.into());
    let (mut seen, mut bytes) = (String::new(), [0; 4096]);
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
    let line = "compare simple eevdf --machine 16c --workload web --for 2s --seeds 4 --costs 1";
    let output = rota(line, Stdio::null(), Stdio::piped()).wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

/// What is printed on a terminal of so many columns.
fn printed(line: &str, columns: u16) -> String {
    let (mut terminal, end) = terminal(columns);
    let mut child = rota(line, end.into(), Stdio::null());
    let mut text = Vec::new();
    let mut bytes = [0; 4096];
    // It fails once nobody has the terminal any more.
    while let Ok(count @ 1..) = terminal.read(&mut bytes) {
        text.extend(&bytes[..count]);
    }
    assert!(child.wait().unwrap().success());
    String::from_utf8(text).unwrap().replace("\r\n", "\n")
}

#[test]
fn tables_fit_the_terminal() {
    let compare =
        "compare simple simple:fifo eevdf --machine 2c --workload web --for 100ms --costs 1";
    let sim = "sim simple --machine 2c --workload periodic --for 100ms";
    let longest = |text: &str| text.lines().map(|line| line.chars().count()).max();
    let narrow = printed(compare, 80);
    assert!(longest(&narrow) <= Some(80) && !narrow.contains(".."), "{narrow}");
    let wide = printed(compare, 200);
    assert!(longest(&wide) <= Some(100) && wide.contains(".."), "{wide}");
    let narrow = printed(sim, 80);
    let (_, table) = narrow.split_once("\n\n").unwrap();
    let (table, _) = table.split_once("\n\n").unwrap();
    assert!(longest(table) <= Some(80) && !table.contains("preempt/s"), "{narrow}");
    assert!(table.ends_with("in a wider terminal"), "{narrow}");
    assert!(printed(sim, 200).contains("preempt/s"));
}
