// SPDX-License-Identifier: GPL-2.0-or-later
//! What the fair class' model decides about CPUs against what a kernel decided that knew the same:
//! the recordings of `tests/decisions`.

use rota_sim::{Decisions, DecisionsAgreement};
use rota_topology::Spec;

/// The scenarios on the machine whose recordings are in this folder.
macro_rules! recordings {
    ($folder:literal) => {
        recordings!($folder, "bursts", "forks", "mixed", "packed", "pairs", "pinned")
    };
    ($folder:literal, $($name:literal),*) => {
        [$((
            $name,
            include_str!(concat!("../../../tests/decisions/", $folder, "/", $name, ".txt")),
        )),*]
    };
}

/// The machines, and what was recorded on them.
const MACHINES: [(&str, [(&str, &str); 6]); 3] = [
    ("2s:2l:2c", recordings!("caches")),
    ("2s:2c:2t", recordings!("threads")),
    ("4c:2t", recordings!("cores")),
];

#[test]
fn every_decision_is_the_kernels() {
    let (mut wrong, mut all) = (String::new(), DecisionsAgreement::default());
    for (machine, scenarios) in MACHINES {
        let topology = machine.parse::<Spec>().unwrap().topology();
        for (scenario, text) in scenarios {
            let agreement = Decisions::parse(text).unwrap().replay(&topology);
            for disagreement in &agreement.disagreements {
                wrong += &format!("{scenario}, {machine}: {disagreement}\n");
            }
            all.wakes += agreement.wakes;
            all.forks += agreement.forks;
            all.found += agreement.found;
            all.before_idle += agreement.before_idle;
            all.moves += agreement.moves;
            all.raced += agreement.raced;
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    let enough = all.wakes > 2000 && all.forks > 100 && all.found > 300 && all.moves > 100;
    let enough = enough && all.before_idle > 100;
    assert!(enough && all.raced < 200, "{all:?}");
}

#[test]
fn text_is_read_as_it_is_written() {
    for (_, scenarios) in MACHINES {
        for (_, text) in scenarios {
            let decisions = Decisions::parse(text).unwrap();
            let body: String =
                text.lines().filter(|l| !l.starts_with('#')).map(|l| format!("{l}\n")).collect();
            assert_eq!(decisions.to_string(), body);
        }
    }
    let wrong = Decisions::parse("# Linux\nf 0 0 255 0 1\nf 0 0\n").unwrap_err();
    assert_eq!(wrong.to_string(), "line 3 is no decision of the fair class: f 0 0");
}

#[test]
fn damaged_recordings_are_read_or_refused() {
    let (_, scenarios) = MACHINES[0];
    let topology = "4c".parse::<Spec>().unwrap().topology();
    for (_, text) in scenarios {
        // On another machine, and with every number in turn as large as can be.
        for step in 0..40 {
            let lines: Vec<String> = text
                .lines()
                .enumerate()
                .filter(|(number, _)| number % 40 != step)
                .map(|(number, line)| {
                    let mut words: Vec<&str> = line.split(' ').collect();
                    if number % 20 == step % 20 {
                        let at = (number + step) % words.len();
                        words[at] = if at == 0 { "x" } else { "9223372036854775807" };
                    }
                    words.join(" ")
                })
                .filter(|line| step % 2 == 0 || !line.starts_with('x'))
                .collect();
            if let Ok(decisions) = Decisions::parse(&lines.join("\n")) {
                let _ = decisions.replay(&topology);
            }
        }
    }
}
