// SPDX-License-Identifier: GPL-2.0-or-later
//! Runs every case of `bpf/test/case` on the running kernel and says which did not return what
//! stands beside it. It needs the right to load BPF programs, so the tests in the virtual machine
//! run it.

use rota_kernel::{Host, Live};
use rota_object::{Engine, EngineError, Object, Refusal, Type};
use std::error::Error;
use std::io::Write;
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
        for (program, expected, after) in expectations(&object) {
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
fn expectations(object: &Object) -> Vec<(String, i32, u64)> {
    let btf = object.btf();
    let mut found = Vec::new();
    for (id, ty) in btf.iter() {
        let Type::Func { name, .. } = ty else { continue };
        let tags: Vec<&str> = btf.tags_of(id).map(|(_, text)| text).collect();
        let number = tags.iter().find_map(|t| t.strip_prefix("expect:")?.parse().ok());
        let after = tags.iter().find_map(|t| t.strip_prefix("after:")?.parse().ok());
        found.extend(number.map(|n| (btf.text(*name).to_owned(), n, after.unwrap_or(0))));
    }
    found
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
