// SPDX-License-Identifier: GPL-2.0-or-later
//! What is said about workload files that can run.

use rota_workload::rtapp::RtApp;

#[test]
fn who_names_a_barrier_twice_is_told_so() {
    let remarks = |second: &str| -> Vec<String> {
        let text = format!(
            "{{ \"tasks\": {{ \"both\": {{\n\"barrier\": \"start\", \"run\": 1,\n\
             \"barrier2\": \"{second}\"\n}} }} }}"
        );
        let found = RtApp::parse(&text).and_then(|file| file.workload(4)).unwrap().1;
        found.iter().map(ToString::to_string).collect()
    };
    assert_eq!(remarks("end"), [""; 0]);
    let twice = "3:1: barrier: both names start once more, and counts as another one that has to \
                 be there";
    assert_eq!(remarks("start"), [twice]);
}
