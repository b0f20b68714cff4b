// SPDX-License-Identifier: GPL-2.0-or-later
//! What people write: machines, masks, settings, configurations.

use crate::input::Input;
use rota_object::{Configuration, Duration, Object, Setting, parse_bytes, parse_ns};
use rota_topology::{CpuMask, MemoryTree, Spec, Topology};
use rota_workload::Scenario;
use rota_workload::rtapp::RtApp;
use std::sync::LazyLock;

/// Settings of every kind that there is among ours.
static SETTINGS: LazyLock<Vec<Setting>> = LazyLock::new(|| {
    let objects = [rota_programs::simple::OBJECT, rota_programs::test::DOORS];
    let object = |bytes| Object::parse(bytes).expect("it is one of ours");
    objects.into_iter().flat_map(|bytes| object(bytes).settings()).collect()
});

/// Larger machines are not written again: that takes long, and has nothing that small ones don't.
const CPUS_MAX: usize = 128;

/// The first byte says what the rest is. What is read is written and read again.
pub fn text(data: &[u8]) {
    let mut input = Input(data);
    let Some(kind) = input.byte() else { return };
    let text = String::from_utf8_lossy(input.0);
    match kind % 7 {
        0 => snapshot(&text),
        1 => {
            if let Ok(spec) = text.parse::<Spec>() {
                assert_eq!(spec.to_string().parse(), Ok(spec));
                machine(&spec.topology());
            }
        }
        2 => {
            let masks =
                [text.parse::<CpuMask>(), CpuMask::from_list(&text), CpuMask::from_hex(&text)];
            for mask in masks.into_iter().flatten() {
                assert_eq!(CpuMask::from_list(&mask.to_string()).as_ref(), Ok(&mask));
                assert_eq!(CpuMask::from_hex(&mask.to_hex()), Ok(mask));
            }
        }
        3 => {
            let tree = MemoryTree::from_text(&text).ok();
            if let Some(Ok(reading)) = tree.map(|tree| Topology::from_sysfs(&tree)) {
                machine(&reading.topology);
            }
        }
        4 => {
            if let Ok(ns) = parse_ns(&text) {
                assert_eq!(parse_ns(&Duration(ns).to_string()), Ok(ns));
            }
            let _ = parse_bytes(&text);
            for setting in SETTINGS.iter() {
                if let Ok(value) = setting.parse(&text) {
                    assert_eq!(setting.parse(&value.to_string()), Ok(value), "{}", setting.flag);
                }
            }
        }
        5 => {
            if let Err(error) = Scenario::from_toml(&text) {
                assert_ne!(error.to_string(), "");
            }
            if let Err(error) = RtApp::parse(&text).and_then(|file| file.workload(8)) {
                assert_ne!(error.to_string(), "");
            }
        }
        _ => {
            let read = Configuration::parse(&text);
            assert_eq!(Configuration::parse(&read.to_text()), read);
        }
    }
}

fn snapshot(text: &str) {
    match Topology::from_json(text) {
        Ok(topology) => machine(&topology),
        Err(error) => assert_ne!(error.to_string(), ""),
    }
}

fn machine(topology: &Topology) {
    if topology.cpus().len() > CPUS_MAX {
        return;
    }
    let again = Topology::from_json(&topology.to_json());
    assert_eq!(again.ok().as_ref(), Some(topology));
    assert_ne!(topology.tree(), "");
}
