// SPDX-License-Identifier: GPL-2.0-or-later
//! Runs every case of `bpf/test/case` on the running kernel and says which did not return what
//! stands beside it. It needs the right to load BPF programs, so the tests in the virtual machine
//! run it.

use rota_kernel::{Host, Live};
use rota_object::{Engine, EngineError, Object, Refusal};
use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write;
use std::num::ParseIntError;
use std::time::Duration;

fn main() -> Result<(), Box<dyn Error>> {
    let mut out = std::io::stdout();
    let (mut right, mut wrong) = (0, 0);
    for (name, bytes) in rota_programs::test::CASES {
        let object = Object::parse(bytes)?;
        let mut world = Live::open(bytes, &object, &Host::default())?;
        if let Err(error) = world.load() {
            writeln!(out, "{name}: {error}\n{}", verifier(&error))?;
            wrong += 1;
            continue;
        }
        for (program, expected, after) in expectations(&object)? {
            std::thread::sleep(Duration::from_millis(after));
            let found = world.run_program(&program, &mut [])?;
            if found == expected {
                right += 1;
            } else {
                wrong += 1;
                writeln!(out, "{name}/{program}: {found} instead of {expected}")?;
            }
        }
    }
    writeln!(out, "{right} right, {wrong} wrong")?;
    if wrong == 0 { Ok(()) } else { Err("the kernel and the cases disagree".into()) }
}

/// The programs that say what they must return, and how many milliseconds each comes after the one
/// before it.
fn expectations(object: &Object) -> Result<Vec<(String, i32, u64)>, ParseIntError> {
    let pauses: BTreeMap<&str, &str> = object.functions_with("after:").collect();
    let read = |(program, expected): (&str, &str)| {
        let after = pauses.get(program).map_or(Ok(0), |text| text.parse())?;
        Ok((program.to_owned(), expected.parse()?, after))
    };
    object.functions_with("expect:").map(read).collect()
}

/// The last steps of the verifier.
fn verifier(error: &EngineError) -> String {
    match error {
        EngineError::Refused(Refusal::Verifier { program, log }) => {
            let lines: Vec<&str> = log.lines().collect();
            format!("{program}:\n{}", lines[lines.len().saturating_sub(30)..].join("\n"))
        }
        _ => String::new(),
    }
}
