// SPDX-License-Identifier: GPL-2.0-or-later
//! CO-RE as Rota does it against libbpf: the same object, relocated by both against the same
//! types of a kernel, has the same instructions.
//!
//! libbpf relocates against any kernel's types without loading a program, but asks the running
//! kernel first whether it may: the test takes root, or CAP_BPF.

#![expect(unsafe_code, reason = "libbpf-rs has no call that relocates without loading")]

use libbpf_rs::{AsRawLibbpf, ObjectBuilder};
use rota_object::{Entry, Insn, KernelTypes, Object};
use std::collections::BTreeMap;
use std::path::Path;

type Programs = BTreeMap<String, Vec<Insn>>;

/// The programs of the object after libbpf has relocated them.
fn by_libbpf(types: &Path) -> Programs {
    let mut builder = ObjectBuilder::default();
    builder.btf_custom_path(types).unwrap();
    let open = builder.open_memory(rota_programs::test::CORE).unwrap();
    // SAFETY: the object is open and not yet loaded, and outlives the call.
    let status = unsafe { libbpf_sys::bpf_object__prepare(open.as_libbpf_object().as_ptr()) };
    assert_eq!(status, 0, "libbpf could not relocate; this test needs root or CAP_BPF");
    open.progs()
        .map(|program| {
            let name = program.name().to_string_lossy().into_owned();
            let insns = program.insns().iter();
            let insns = insns.map(|i| Insn {
                code: i.code,
                dst: i.dst_reg(),
                src: i.src_reg(),
                off: i.off,
                imm: i.imm,
            });
            (name, insns.collect())
        })
        .collect()
}

fn by_rota(kernel: &KernelTypes) -> Programs {
    let image = Object::parse(rota_programs::test::CORE).unwrap().link(kernel).unwrap();
    let insns = |e: &Entry| image.functions[e.function.0 as usize].insns.clone();
    image.entries.iter().map(|e| (e.name.clone(), insns(e))).collect()
}

fn compare(name: &str, types: &Path) {
    let bytes = std::fs::read(types).unwrap();
    let kernel = KernelTypes::from_bytes(name, &bytes).unwrap();
    let (ours, theirs) = (by_rota(&kernel), by_libbpf(types));
    assert_eq!(ours.len(), 5);
    for (program, insns) in &theirs {
        let pairs = ours[program].iter().zip(insns).enumerate();
        for (at, (ours, theirs)) in pairs {
            assert_eq!(ours, theirs, "{program}, instruction {at}, on {name}");
        }
        assert_eq!(ours[program].len(), insns.len());
    }
}

#[test]
fn supported_kernels() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/btf");
    for name in KernelTypes::builtin_names() {
        compare(name, &folder.join(format!("{name}.btf")));
    }
}

/// All types of a kernel, with many of the same name.
#[test]
fn the_running_kernel() {
    compare("this kernel", Path::new("/sys/kernel/btf/vmlinux"));
}

/// Kind, sizes, entries and flags of each map by its name; of a data section without the name of
/// the object, which libbpf puts before.
type Shapes = BTreeMap<String, [u32; 5]>;

fn maps_of_libbpf(object: &[u8]) -> Shapes {
    let open = ObjectBuilder::default().open_memory(object).unwrap();
    let shape = |map: libbpf_rs::OpenMap<'_>| {
        let raw = map.as_libbpf_object().as_ptr();
        // SAFETY: the map belongs to an open object, and the calls only read it.
        let shape = unsafe {
            [
                libbpf_sys::bpf_map__type(raw),
                libbpf_sys::bpf_map__key_size(raw),
                libbpf_sys::bpf_map__value_size(raw),
                libbpf_sys::bpf_map__max_entries(raw),
                libbpf_sys::bpf_map__map_flags(raw),
            ]
        };
        let name = map.name().to_string_lossy().into_owned();
        (name.find('.').map_or(name.clone(), |dot| name[dot..].to_owned()), shape)
    };
    // Tables of callbacks are maps only to libbpf.
    open.maps()
        .map(shape)
        .filter(|(_, [kind, ..])| *kind != libbpf_sys::BPF_MAP_TYPE_STRUCT_OPS)
        .collect()
}

#[test]
fn maps() {
    let objects =
        [rota_programs::simple::OBJECT, rota_programs::test::DOORS, rota_programs::test::ARENA];
    for object in objects {
        let needs = Object::parse(object).unwrap().needs().unwrap();
        let shape = |m: &rota_object::MapDef| {
            (m.name.clone(), [m.kind, m.key_size, m.value_size, m.max_entries, m.flags])
        };
        let ours: Shapes = needs.maps.iter().map(shape).collect();
        let mut theirs = maps_of_libbpf(object);
        // Filled in when an object is linked.
        theirs.remove(".kconfig");
        assert_eq!(ours, theirs);
    }
}
