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

/// The name of a machine, its short form, scenarios with their recordings.
type Recorded = (&'static str, &'static str, [(&'static str, &'static str); 6]);

/// The machines, and what was recorded on them.
const MACHINES: [Recorded; 3] = [
    ("caches", "2s:2l:2c", recordings!("caches")),
    ("threads", "2s:2c:2t", recordings!("threads")),
    ("cores", "4c:2t", recordings!("cores")),
];

/// What was compared of each recording, and what came out otherwise in a race.
const NUMBERS: &str = include_str!("../../../tests/decisions/numbers.txt");

#[test]
fn every_decision_is_the_kernels() {
    let (mut wrong, mut numbers) = (String::new(), String::new());
    for (folder, machine, scenarios) in MACHINES {
        let topology = machine.parse::<Spec>().unwrap().topology();
        for (scenario, text) in scenarios {
            let agreement = Decisions::parse(text).unwrap().replay(&topology);
            for disagreement in &agreement.disagreements {
                wrong += &format!("{scenario}, {machine}: {disagreement}\n");
            }
            numbers += &format!("{folder}/{scenario}: {}\n", in_words(&agreement));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    // Fewer would be compared if the model left more out.
    assert_eq!(numbers, NUMBERS, "in tests/decisions/numbers.txt:\n{numbers}");
}

fn in_words(agreement: &DecisionsAgreement) -> String {
    let text = format!("{agreement:?}");
    let (_, text) = text.split_once(" { ").unwrap();
    let (text, _) = text.split_once(", disagreements").unwrap();
    text.replace('"', "")
}

#[test]
fn text_is_read_as_it_is_written() {
    for (_, _, scenarios) in MACHINES {
        for (_, text) in scenarios {
            let decisions = Decisions::parse(text).unwrap();
            let body: String =
                text.lines().filter(|l| !l.starts_with('#')).map(|l| format!("{l}\n")).collect();
            assert_eq!(decisions.to_string(), body);
        }
    }
    let wrong = Decisions::parse("# Linux\nf 0 0 255 0 1 2 2 1\nf 0 0\n").unwrap_err();
    assert_eq!(wrong.to_string(), "line 3 is no decision of the fair class: f 0 0");
}

#[test]
fn damaged_recordings_are_read_or_refused() {
    // On other machines, and with every number in turn as large and as small as can be.
    let machines = ["4c", "1c", "2s:2l:2c", "2s:2c:2t"];
    let topologies = machines.map(|machine| machine.parse::<Spec>().unwrap().topology());
    let numbers = ["9223372036854775807", "-9223372036854775808", "-1", "64"];
    let texts = MACHINES.iter().flat_map(|(_, _, scenarios)| scenarios);
    for (number, (_, text)) in texts.enumerate() {
        for step in 0..40 {
            let damaged = damaged(text, step, numbers[(step + number) % numbers.len()]);
            if let Ok(decisions) = Decisions::parse(&damaged) {
                for topology in &topologies {
                    let _ = decisions.replay(topology);
                }
            }
        }
    }
}

fn damaged(text: &str, step: usize, wrong: &str) -> String {
    let lines: Vec<String> = text
        .lines()
        .enumerate()
        .filter(|(number, _)| number % 40 != step)
        .map(|(number, line)| {
            let mut words: Vec<&str> = line.split(' ').collect();
            if number % 20 == step % 20 {
                let at = (number / 20 + step) % words.len();
                words[at] = if at == 0 { "x" } else { wrong };
            }
            words.join(" ")
        })
        .filter(|line| step % 8 == 7 || !line.starts_with('x'))
        .collect();
    lines.join("\n")
}

#[test]
fn larger_machines_are_refused() {
    let (_, _, [(_, text), ..]) = MACHINES[0];
    let agreement =
        Decisions::parse(text).unwrap().replay(&"128c".parse::<Spec>().unwrap().topology());
    let disagreements = vec!["128 CPUs, and 8 can be recorded".to_owned()];
    assert_eq!(agreement, DecisionsAgreement { disagreements, ..DecisionsAgreement::default() });
}

#[test]
fn decisions_with_absurd_weights_are_made() {
    let (_, _, [.., (_, text)]) = MACHINES[0];
    // The virtual time and the weight of all tasks that are looked at.
    let absurd = text.lines().map(|line| {
        let mut words: Vec<&str> = line.split(' ').collect();
        if words[0] == "t" {
            (words[7], words[8]) = ("-9223372036854775808", "9223372036854775807");
        }
        words.join(" ")
    });
    let absurd: Vec<String> = absurd.collect();
    let agreement = Decisions::parse(&absurd.join("\n")).unwrap();
    let agreement = agreement.replay(&"2s:2l:2c".parse::<Spec>().unwrap().topology());
    assert!(agreement.looks > 0);
}
