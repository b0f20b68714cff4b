// SPDX-License-Identifier: GPL-2.0-or-later
//! Records what the running kernel's fair class decides about CPUs while each of the given scripts
//! runs: `decisions FOLDER SCRIPT...` writes a file with the name of each script into the folder.
//! It needs the right to load BPF programs, so the tests in the virtual machine run it.
//!
//! A line of a file is a letter and numbers, as `bpf/trace/decisions.bpf.c` puts them. What is known
//! of CPUs (`c`) and of domains (`d`) stands there only if it is another than the last time.

use rota_kernel::{Host, Live};
use rota_object::{Engine, Object, Setup};
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// The programs, in the order in which they are attached.
const PROGRAMS: &[&str] = &[
    "select_begins",
    "select_ends",
    "balance_begins",
    "balance_ends",
    "find_begins",
    "find_ends",
    "look_begins",
    "look_ends",
    "detached",
    "periodic_begins",
    "periodic_ends",
    "newly_begins",
    "newly_ends",
    "kick_begins",
    "kick_ends",
];
/// How many numbers a record has of each CPU, and of how many CPUs.
const OF_CPU: usize = 11;
const CPUS: usize = 8;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("the folder is missing")?;
    let bytes = rota_programs::trace::DECISIONS;
    let object = Object::parse(bytes)?;
    let mut world = Live::open(bytes, &object, &Host::default())?;
    if world.topology().possible().count() > CPUS {
        return Err(format!("machines of more than {CPUS} CPUs are not recorded").into());
    }
    world.load()?;
    for program in PROGRAMS {
        world.attach_program(program)?;
    }
    for script in arguments {
        std::thread::sleep(Duration::from_millis(300));
        world.ring_drain("records", &mut |_| ())?;
        let mut command = Command::new("sh");
        command.arg(&script).stdin(Stdio::null()).stdout(Stdio::null());
        if !command.status()?.success() {
            return Err(format!("{script} failed").into());
        }
        let mut lines = Lines::default();
        world.ring_drain("records", &mut |record| lines.add(record))?;
        if world.read_global("lost")?.iter().any(|byte| *byte != 0) {
            return Err(format!("records of {script} were lost").into());
        }
        let name = Path::new(&script).file_stem().ok_or("a script without a name")?;
        std::fs::write(Path::new(&folder).join(name), lines.text)?;
    }
    Ok(())
}

/// The text of a recording.
#[derive(Default)]
struct Lines {
    text: String,
    /// The last line of each CPU and of each domain.
    last: BTreeMap<(char, i64, i64), String>,
}

impl Lines {
    /// Adds a record: its letter, how many numbers it has, the numbers.
    fn add(&mut self, record: &[u8]) {
        let numbers: Vec<i64> = record
            .chunks_exact(8)
            .map(|bytes| bytes.iter().rev().fold(0, |sum, byte| sum << 8 | i64::from(*byte)))
            .collect();
        let [kind, count, numbers @ ..] = &numbers[..] else { return };
        let letter = char::from(*kind as u8);
        let numbers = &numbers[..numbers.len().min(*count as usize)];
        match letter {
            'b' | 'f' if numbers.len() > OF_CPU * CPUS => {
                let (state, rest) = numbers.split_at(OF_CPU * CPUS);
                for (cpu, state) in (0..).zip(state.chunks(OF_CPU)) {
                    let mut all = vec![cpu];
                    all.extend(state);
                    self.line_of(('c', cpu, 0), &all);
                }
                self.line(letter, rest);
            }
            'd' if numbers.len() > 1 => self.line_of(('d', numbers[0], numbers[1]), numbers),
            _ => self.line(letter, numbers),
        }
    }

    fn line(&mut self, letter: char, numbers: &[i64]) {
        self.text.push(letter);
        for number in numbers {
            let _ = write!(self.text, " {number}");
        }
        self.text.push('\n');
    }

    /// A line that is left out if it is the last one of what it is about.
    fn line_of(&mut self, key: (char, i64, i64), numbers: &[i64]) {
        let mut alone = Self::default();
        alone.line(key.0, numbers);
        if self.last.get(&key) != Some(&alone.text) {
            self.text.push_str(&alone.text);
            self.last.insert(key, alone.text);
        }
    }
}
