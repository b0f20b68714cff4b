// SPDX-License-Identifier: GPL-2.0-or-later
//! Machine files that are wrong: each mistake is told with its place, and with what was meant.
#![expect(clippy::disallowed_methods, reason = "a test reads the files")]

use rota_sim::Model;
use rota_topology::Spec;
use std::path::Path;

/// What every file begins with that does not itself.
const GOOD: &str = "about = \"x\"\ntopology = \"2c\"\n";

/// What follows, and what is said of it.
const WRONG: &[(&str, &str)] = &[
    ("", "1:1: topology is missing: a short form such as 2l:8c, or a file"),
    ("about = \"x\"", "1:1: topology is missing: a short form such as 2l:8c, or a file"),
    ("about = 3\ntopology = \"2c\"", "1:9: about: expected a text in quotes, found 3"),
    ("about = \"x\"\ntopology = \"2z\"", "2:12: machine \"2z\", at offset 1: "),
    ("about = \"x\"\ntopolgy = \"2c\"", "1:1: topology is missing"),
    (
        "[costs]\nswich = { ns = 1, source = \"s\" }",
        "4:1: no key 'costs.swich'; did you mean switch?",
    ),
    ("[cost]\n", "3:2: no key 'cost'; did you mean costs?"),
    (
        "[costs]\nswitch = { us = 1, source = \"s\" }",
        "4:10: costs.switch.ns is missing; there is us",
    ),
    ("[costs]\nswitch = { ns = 1 }", "4:10: costs.switch.source is missing"),
    (
        "[costs]\nswitch = 5",
        "4:10: costs.switch: expected a table, such as { ns = 5, source = \"measured\" }, found 5",
    ),
    (
        "[costs]\nswitch = { ns = -1, source = \"s\" }",
        "4:17: costs.switch.ns: expected a whole number from 0 to 10000000000, found -1",
    ),
    (
        "[costs]\nswitch = { ns = 1.5, source = \"s\" }",
        "4:17: costs.switch.ns: expected a whole number",
    ),
    (
        "[costs]\nswitch = { ns = \"1us\", source = \"s\" }",
        "4:17: costs.switch.ns: expected a whole number",
    ),
    (
        "[costs]\nsmt = { percent = 162, source = \"s\" }",
        "4:19: costs.smt.percent: expected a whole number from 0 to 100, found 162",
    ),
    (
        "[costs]\nsmt = { percent = 0, source = \"s\" }",
        "4:7: costs.smt.percent: a thread that shares its core runs, if slowly: 1 to 100",
    ),
    ("[costs]\nswitch = { ns = 1, source = \" \" }", "4:10: costs.switch.source is empty"),
    ("[costs]\nrefill = { ns = 1, source = \"s\" }", "4:10: costs.refill.after_ns is missing"),
    ("[costs]\ntick = { ns = 1, source = \"s\", mean = 3 }", "4:32: no key 'costs.tick.mean'"),
    ("[idle]\nname = \"C1\"", "3:1: idle: expected tables, each as [[idle]], found table"),
    ("[[idle]]\nname = \"C1\"\nexit_ns = 1\nresidency_ns = 5\n", "3:1: idle.mw is missing"),
    (
        "[[idle]]\nname = \"a\"\nexit_ns = 1\nresidency_ns = 5\nmw = 1\nsource = \"s\"\n[[idle]]\nname = \"b\"\nexit_ns = 1\nresidency_ns = 4\nmw = 1\nsource = \"s\"",
        "9:1: idle state b comes after one with a longer residency",
    ),
    (
        "[[core]]\nkind = \"big\"",
        "3:1: no kind of core 'big'; there are: uniform, performance, efficiency",
    ),
    (
        "[[core]]\nkind = \"eficiency\"",
        "3:1: no kind of core 'eficiency'; did you mean efficiency?",
    ),
    ("[power]\nbase_mw = 1\nthread_percent = 15", "3:1: power.source is missing"),
    (
        "[noise]\ninterrupts = { ppm = 600000, source = \"s\" }",
        "4:22: noise.interrupts.ppm: expected",
    ),
    (
        "[noise]\nworker = { every_ns = 1, run_ns = 1, source = \"s\" }",
        "4:1: no key 'noise.worker'; did you mean workers?",
    ),
    ("about = \"y\"", "3:1: duplicate key"),
    ("[costs\n", "3:7: "),
    ("colour = \"grün\" shade", "3:17: "),
];

#[test]
fn mistakes_are_told_with_their_place_and_what_was_meant() {
    let find = |name: &str| name.parse::<Spec>().map(|s| s.topology()).map_err(|e| e.to_string());
    for (text, expected) in WRONG {
        let whole = if expected.starts_with("1:") || expected.starts_with("2:") {
            (*text).to_owned()
        } else {
            format!("{GOOD}{text}")
        };
        let error = Model::parse(&whole, &find).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{text:?}\n  says {error}\n  not  {expected}");
    }
}

/// Of every file that comes with Rota: cut anywhere, and with any byte changed. Whatever it is then,
/// it is read or refused.
#[test]
fn damaged_files_are_read_or_refused() {
    let find = |name: &str| name.parse::<Spec>().map(|s| s.topology()).map_err(|e| e.to_string());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/machines");
    for name in Model::names() {
        let text = std::fs::read_to_string(folder.join(format!("{name}.toml"))).unwrap();
        for at in (0..text.len()).filter(|at| text.is_char_boundary(*at)) {
            let _ = Model::parse(&text[..at], &find);
            for other in ["", "9", "-", "\"", "]", "=", "x", "\n"] {
                let mut changed = text.clone();
                changed.replace_range(at..at + 1, other);
                let _ = Model::parse(&changed, &find);
            }
        }
    }
}
