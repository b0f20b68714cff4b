// SPDX-License-Identifier: GPL-2.0-or-later
//! Whole object files.

use crate::kernels::KERNELS;
use rota_inspect::object::{describe, table, to_json};
use rota_object::Object;

/// The input is an object file, which is read, linked against every kernel and described.
pub fn elf(data: &[u8]) {
    let object = match Object::parse(data) {
        Ok(object) => object,
        Err(error) => return assert_ne!(error.to_string(), ""),
    };
    for setting in object.settings() {
        assert_eq!(setting.bytes(setting.default).len(), setting.size);
    }
    let _ = (object.stats(), object.exit_layout(), object.summary());
    if let Ok(description) = describe("fuzz", &object, &KERNELS) {
        assert!(table(&description).contains("fuzz"));
        assert!(to_json(&description).contains("fuzz"));
    }
}
