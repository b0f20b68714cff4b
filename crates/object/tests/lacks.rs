// SPDX-License-Identifier: GPL-2.0-or-later
//! Which kernels take each of Rota's objects, and in what words the others are said not to. That
//! the kernels agree is a test in virtual machines.

use rota_object::{KernelTypes, LinkErrors, Object};

/// What keeps objects from being linked: the object, the kernels, and a part of each line.
const LACKS: [(&str, &[&str], &[&str]); 18] = [
    ("lack_address", &ALL, &["lack_address.bpf.c:14: calls: it takes the address of a program"]),
    ("lack_config", &["6.16", "6.18", "7.0"], &["was built without CONFIG_HAS_SEPARATE"]),
    ("lack_function", &["6.16", "6.18"], &["on_call is attached to the function scx_bpf_task_set"]),
    ("lack_jump", &["6.16", "6.18"], &["ask jumps through a table, which Linux 6.1", " cannot"]),
    ("lack_jump", &["7.0", "7.3"], &["ask jumps through a table, which Rota cannot link; compile"]),
    ("lack_kfunc", &["6.16", "6.18"], &["lack_kfunc.bpf.c:11: Linux 6.1", "no kfunc scx_bpf_task"]),
    ("lack_map", &["6.16", "6.18", "7.0"], &["the map growing is of the kind 35, which Linux"]),
    ("lack_member", &["6.16", "6.18"], &["the member cgroup_set_idle", "the member sub_cgroup_id"]),
    ("lack_member", &["7.0"], &["lack_member sets the member sub_cgroup_id, which Linux 7.0"]),
    ("lack_place", &ALL, &["lack_place_running: no table of callbacks has it"]),
    ("lack_prototype", &["7.0", "7.3"], &["the kfunc bpf_session_is_return has other parameters"]),
    ("lack_section", &ALL, &["ask: no loader knows what programs of the section syscal are"]),
    ("lack_table", &["6.16", "6.18", "7.0"], &["no table of callbacks sched_ext_ops_cid, which"]),
    ("lack_tracepoint", &["6.16", "6.18", "7.0"], &["to the tracepoint sched_ext_exit, which"]),
    ("lack_type", &ALL, &["the variable runqueues has the type rq in Linux", "not unsigned long"]),
    ("witness", &["6.16"], &["the member cgroup_set_bandwidth, which", "cgroup_set_idle, which"]),
    ("witness", &["6.18"], &["witness_ops sets the member cgroup_set_idle, which Linux 6.18"]),
    ("lack_variable", &["7.0", "7.3"], &["lack_variable.bpf.c:13: Linux 7", "no variable kstack"]),
];

/// What is linked, but may still not be loaded.
const UNKNOWN: [(&str, &[&str]); 3] = [
    ("lack_entries", &["the map sized_later has no entries; who loads it has to set"]),
    ("lack_symbol", &["can tell where the symbol no_such_symbol is, which has no type"]),
    ("open_questions", &["where the symbol jiffies is", "on_exit: Linux"]),
];

const ALL: [&str; 4] = ["6.16", "6.18", "7.0", "7.3"];

#[test]
fn every_object_on_every_kernel() {
    assert_eq!(KernelTypes::builtin_names(), ALL);
    for series in ALL {
        let kernel = KernelTypes::builtin(series).unwrap();
        for (name, bytes) in rota_programs::ALL.iter().chain(rota_programs::test::ALL) {
            let found = Object::parse(bytes).unwrap().link(&kernel);
            let lacks = LACKS.iter().find(|l| l.0 == *name && l.1.contains(&series));
            match (found, lacks) {
                (Ok(image), None) => {
                    let unknown = UNKNOWN.iter().find(|u| u.0 == *name).map_or(&[][..], |u| u.1);
                    let told = image.unknown.iter().map(ToString::to_string).collect::<Vec<_>>();
                    assert_eq!(told.len(), unknown.len(), "{name} on {series}: {told:?}");
                    let all = unknown.iter().zip(&told).all(|(words, line)| line.contains(words));
                    assert!(all, "{name} on {series}: {told:?}");
                }
                (Err(errors), Some((.., words))) => {
                    let text = errors.to_string();
                    let all = words.iter().all(|words| text.contains(words));
                    assert!(all, "{name} on {series}: {text}");
                }
                (found, _) => panic!("{name} on {series}: {:?}", found.map(|image| image.entries)),
            }
        }
    }
}

#[test]
fn what_a_part_of_the_types_leaves_open() {
    let object = Object::parse(rota_programs::test::OPEN_QUESTIONS).unwrap();
    let kernel = KernelTypes::builtin("7.3").unwrap();
    let image = object.link(&kernel).unwrap();
    let programs = image.maps.iter().find(|m| m.name == "programs").unwrap();
    let [(1, second)] = programs.programs[..] else { panic!("{:?}", programs.programs) };
    assert_eq!(image.functions[second.0 as usize].name, "second");
    let events = image.maps.iter().find(|m| m.name == "events").unwrap();
    assert_eq!((events.kind, events.max_entries), (4, 0), "an entry for each CPU");
    // Types without a remark on what is left out count as all of the kernel's.
    let empty = KernelTypes::from_bytes("7.3", &EMPTY).unwrap();
    let LinkErrors(errors) = object.link(&empty).unwrap_err();
    let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
    let words = "on_exit is attached to the function do_exit, which Linux 7.3 does not have";
    assert!(lines.iter().any(|line| line.contains(words)), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("jiffies")), "all is told: {lines:?}");
}

/// Types of nothing.
const EMPTY: [u8; 25] =
    [0x9f, 0xeb, 1, 0, 24, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];
