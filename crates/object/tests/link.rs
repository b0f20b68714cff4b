// SPDX-License-Identifier: GPL-2.0-or-later
//! Rota's own objects, linked against the kernels that are built in.

use rota_object::{Image, KernelTypes, Object, Operand, Type};
use std::collections::BTreeSet;

fn link(bytes: &[u8], kernel: &str) -> Image {
    let kernel = KernelTypes::builtin(kernel).unwrap();
    Object::parse(bytes).unwrap().link(&kernel).unwrap_or_else(|e| panic!("{e}"))
}

/// Whatever an image refers to is there.
fn is_whole(image: &Image) {
    for function in &image.functions {
        for (at, operand) in &function.operands {
            let insn = function.insns[*at as usize];
            assert!(insn.is_wide() || insn.code == 0x85, "{}: {insn:?}", function.name);
            let there = match *operand {
                Operand::Map(map) => (map.0 as usize) < image.maps.len(),
                Operand::MapValue(map, at) => {
                    let map = &image.maps[map.0 as usize];
                    at <= u64::from(map.value_size).max(u64::from(map.max_entries) * 4096)
                }
                Operand::Function(id) => (id.0 as usize) < image.functions.len(),
                Operand::Kfunc(id) => (id.0 as usize) < image.kfuncs.len(),
                Operand::Variable(id) => (id.0 as usize) < image.variables.len(),
            };
            assert!(there, "{}: {operand:?}", function.name);
        }
        let calls = function.insns.iter().zip(0u32..).filter(|(i, _)| i.code == 0x85 && i.src > 0);
        for (insn, at) in calls {
            assert!(function.operands.contains_key(&at), "{} at {at}: {insn:?}", function.name);
        }
        assert!(function.insns.last().is_some_and(|i| i.code == 0x95 || i.code == 0x05));
    }
}

#[test]
fn every_object_links_against_every_kernel() {
    for kernel in KernelTypes::builtin_names() {
        for (name, bytes) in rota_programs::ALL {
            let image = link(bytes, kernel);
            is_whole(&image);
            assert_eq!(image.tables.len(), 1, "{name}");
            assert_eq!(image.tables[0].kernel_type, "sched_ext_ops");
            assert!(image.tables[0].callbacks.contains_key("enqueue"));
        }
        for bytes in [
            rota_programs::test::DOORS,
            rota_programs::test::GIVE_UP,
            rota_programs::test::STALL,
            rota_programs::test::MUTE,
        ] {
            is_whole(&link(bytes, kernel));
        }
    }
}

#[test]
fn callbacks_that_a_kernel_does_not_know_can_be_left_out() {
    let knobs = ["cgroup_set_bandwidth", "cgroup_set_idle"];
    for (kernel, unknown) in [("6.16", &knobs[..]), ("6.18", &knobs[1..]), ("7.3", &[])] {
        let types = KernelTypes::builtin(kernel).unwrap();
        let mut object = Object::parse(rota_programs::test::WITNESS).unwrap();
        assert_eq!(object.link(&types).is_err(), !unknown.is_empty());
        assert_eq!(object.leave_out_unknown_callbacks(&types), unknown);
        let image = object.link(&types).unwrap_or_else(|e| panic!("{e}"));
        is_whole(&image);
        for name in knobs {
            let there = !unknown.contains(&name);
            let program = format!("witness_{name}");
            assert_eq!(image.tables[0].callbacks.contains_key(name), there, "{kernel}");
            assert_eq!(image.entries.iter().any(|e| e.name == program), there, "{kernel}");
        }
    }
}

#[test]
fn the_kernel_decides_which_function_is_called() {
    for (kernel, new) in [("6.16", false), ("6.18", false), ("7.0", true), ("7.3", true)] {
        let image = link(rota_programs::simple::OBJECT, kernel);
        let there = |name: &str| image.kfuncs.iter().find(|k| k.name == name).unwrap().func;
        assert_eq!(there("scx_bpf_dsq_insert___v2").is_some(), new, "{kernel}");
        // The first form was kept beside the second.
        assert!(there("scx_bpf_dsq_insert").is_some(), "{kernel}");
        let poisoned: Vec<&String> =
            image.functions.iter().flat_map(|f| f.poisoned.values()).collect();
        let words = format!("kfunc scx_bpf_dsq_insert___v2 does not exist in Linux {kernel}");
        assert_eq!(poisoned.contains(&&words), !new, "{poisoned:?}");
    }
}

#[test]
fn offsets_are_those_of_the_kernel() {
    let kernel = KernelTypes::builtin("7.3").unwrap();
    let btf = kernel.btf();
    let offset = |name: &str, member: &str| {
        let (_, members) = btf.find_struct(name).unwrap();
        members.iter().find(|m| btf.text(m.name) == member).unwrap().offset_bits / 8
    };
    let weight = offset("task_struct", "scx") + offset("sched_ext_entity", "weight");
    let image = link(rota_programs::simple::OBJECT, "7.3");
    let offsets: BTreeSet<u32> = image
        .functions
        .iter()
        .flat_map(|f| &f.insns)
        .filter(|i| i.class() == 1)
        .filter_map(|i| u32::try_from(i.off).ok())
        .collect();
    assert!(offsets.contains(&weight), "{weight}: {offsets:?}");
}

#[test]
fn the_table_is_laid_out_for_the_kernel() {
    for name in KernelTypes::builtin_names() {
        let kernel = KernelTypes::builtin(name).unwrap();
        let image = link(rota_programs::simple::OBJECT, name);
        let table = &image.tables[0];
        let btf = kernel.btf();
        let (id, members) = btf.find_struct("sched_ext_ops").unwrap();
        assert_eq!(Some(table.bytes.len() as u64), btf.size_of(id));
        let at = members.iter().find(|m| btf.text(m.name) == "name").unwrap().offset_bits / 8;
        assert!(table.bytes[at as usize..].starts_with(b"simple\0"));
        for member in table.callbacks.keys() {
            let member = members.iter().find(|m| btf.text(m.name) == *member).unwrap();
            assert!(matches!(btf.resolve(member.ty).1, Type::Ptr(_)));
        }
    }
}

#[test]
fn maps_and_globals() {
    let image = link(rota_programs::test::DOORS, "7.3");
    let map = |name: &str| image.maps.iter().find(|m| m.name == name).unwrap();
    let shape = |name: &str| {
        let m = map(name);
        (m.kind, m.key_size, m.value_size, m.max_entries, m.flags)
    };
    assert_eq!(shape("results"), (1, 4, 8, 8, 0));
    assert_eq!(shape("stats"), (6, 4, 8, 1, 0));
    assert_eq!(shape("out"), (27, 0, 0, 4096, 0));
    assert_eq!(shape("arena"), (33, 0, 0, 2, 1 << 10));
    assert!(map(".rodata").read_only && map(".rodata").data);
    assert_eq!(map(".rodata").initial, 3u64.to_le_bytes());
    assert_eq!(map(".bss").initial, b"");
    let names: Vec<&str> = image.entries.iter().map(|e| e.name.as_str()).collect();
    assert_eq!(names, ["ask", "on_switch"]);
    let ask = &image.functions[image.entries[0].function.0 as usize];
    let callback = ask.operands.iter().find_map(|(at, o)| match o {
        Operand::Function(id) if ask.insns[*at as usize].is_wide() => Some(id),
        _ => None,
    });
    assert_eq!(image.functions[callback.unwrap().0 as usize].name, "on_record");
    let line = ask.line_of(ask.insns.len() as u32 - 1).unwrap();
    assert!(line.file.ends_with("doors.bpf.c") && line.line > 80, "{line:?}");
}

#[test]
fn what_a_loader_puts_in_place() {
    for (kernel, version, start) in [("6.18", [15, 18, 6, 0], 0), ("7.3", [4, 3, 7, 0], 3 * 4096)] {
        let image = link(rota_programs::test::ARENA, kernel);
        is_whole(&image);
        let map = |name: &str| image.maps.iter().find(|m| m.name == name).unwrap();
        let values: Vec<u8> = [3u64, 7].into_iter().flat_map(u64::to_le_bytes).collect();
        assert_eq!((map("arena").initial.len(), map("arena").initial_at), (16, start));
        let mut found: Vec<u8> = map("arena").initial.clone();
        // The compiler chooses which variable comes first.
        if found[0] == 7 {
            found.rotate_left(8);
        }
        assert_eq!(found, values);
        let slots: Vec<(u32, &str)> = map("outer")
            .slots
            .iter()
            .map(|(slot, id)| (*slot, image.maps[id.0 as usize].name.as_str()))
            .collect();
        assert_eq!(slots, [(0, "first"), (2, "second")]);
        let inner = map("outer").inner.as_ref().unwrap();
        assert_eq!((inner.kind, inner.value_size, inner.max_entries), (2, 8, 2));
        // By falling alignment: CONFIG_HZ, LINUX_KERNEL_VERSION, and one that no kernel has.
        let config = &map(".kconfig").initial;
        assert_eq!(config[..8], 250u64.to_le_bytes());
        assert_eq!(config[8..12], version);
        assert_eq!(config[12..], [0]);
        assert_eq!((image.variables.len(), image.variables[0].var), (1, None));
        let names: Vec<&str> = image.entries.iter().map(|e| e.name.as_str()).collect();
        assert_eq!(names, ["look"], "the other has a question mark");
        let look = &image.functions[image.entries[0].function.0 as usize];
        let inside = look.operands.values().filter_map(|o| match o {
            Operand::MapValue(id, at) => Some((image.maps[id.0 as usize].name.as_str(), *at)),
            _ => None,
        });
        let inside: BTreeSet<_> = inside.collect();
        let expected = [
            (".kconfig", 0),
            (".kconfig", 8),
            (".kconfig", 12),
            ("arena", start),
            ("arena", start + 8),
        ];
        assert_eq!(inside, expected.into_iter().collect());
    }
}

#[test]
fn programs_can_be_left_out() {
    let kernel = KernelTypes::builtin("7.3").unwrap();
    let object = Object::parse(rota_programs::test::DOORS).unwrap();
    let image = object.link_programs(&kernel, &|p| p.section == "syscall").unwrap();
    let names: Vec<&str> = image.entries.iter().map(|e| e.name.as_str()).collect();
    assert_eq!(names, ["ask"]);
    // Callbacks of a table always come along.
    let object = Object::parse(rota_programs::simple::OBJECT).unwrap();
    let image = object.link_programs(&kernel, &|_| false).unwrap();
    assert_eq!(image.entries.len(), image.tables[0].callbacks.len());
}
