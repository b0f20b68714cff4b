// SPDX-License-Identifier: GPL-2.0-or-later
//! Maps as Rota reads them against libbpf: opening an object takes no rights.

#![expect(unsafe_code, reason = "libbpf-rs has no call for the shape of a map that is not loaded")]

use libbpf_rs::{AsRawLibbpf, ObjectBuilder};
use rota_object::Object;
use std::collections::BTreeMap;

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
