// SPDX-License-Identifier: GPL-2.0-or-later
//! Type information.

use rota_object::{Btf, Distance, KernelTypes, Object, minimise};
use std::sync::LazyLock;

/// Objects that ask a kernel for types, functions and layouts.
static OBJECTS: LazyLock<[Object; 2]> = LazyLock::new(|| {
    [rota_programs::simple::OBJECT, rota_programs::test::CORE]
        .map(|bytes| Object::parse(bytes).expect("it is one of ours"))
});

/// The input is the type information of a kernel, raw or in an ELF file. It is written and read
/// again, made smaller, and objects are linked against it.
pub fn btf(data: &[u8]) {
    let kernel = match KernelTypes::from_bytes("7.3", data) {
        Ok(kernel) => kernel,
        Err(error) => return assert_ne!(error.to_string(), ""),
    };
    let types = kernel.btf();
    assert_eq!(Btf::parse(&types.to_bytes()).as_ref(), Ok(types));
    for distance in [0, 1] {
        let small = minimise(types, Distance(distance));
        assert_eq!(Btf::parse(&small.to_bytes()), Ok(small));
    }
    for object in OBJECTS.iter() {
        if let Err(errors) = object.link(&kernel) {
            assert_ne!(errors.to_string(), "");
        }
    }
}
