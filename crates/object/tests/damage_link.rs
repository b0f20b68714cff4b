// SPDX-License-Identifier: GPL-2.0-or-later
//! Damaged objects and kernels: linking ends with a result or errors, whatever was changed, and
//! takes no more memory than the file is worth.

use proptest::prelude::*;
use rota_object::{Image, KernelTypes, Object};
use std::sync::LazyLock;

static KERNEL: LazyLock<KernelTypes> = LazyLock::new(|| KernelTypes::builtin("7.3").unwrap());

const OBJECTS: [&[u8]; 5] = [
    rota_programs::simple::OBJECT,
    rota_programs::test::DOORS,
    rota_programs::test::CORE,
    rota_programs::test::ARENA,
    rota_programs::test::OPEN_QUESTIONS,
];

fn link(bytes: &[u8]) -> Option<Image> {
    Object::parse(bytes).ok()?.link(&KERNEL).ok()
}

/// Bytes that an image holds, roughly.
fn weight(image: &Image) -> usize {
    let maps: usize = image.maps.iter().map(|m| m.initial.len() + m.slots.len() * 8 + 200).sum();
    let of_function = |f: &rota_object::Function| {
        let lines: usize = f.lines.iter().map(|l| l.text.len() + l.file.len() + 64).sum();
        f.insns.len() * 12 + f.operands.len() * 24 + lines
    };
    let functions: usize = image.functions.iter().map(of_function).sum();
    maps + functions + image.tables.iter().map(|t| t.bytes.len()).sum::<usize>()
}

fn check(bytes: &[u8]) {
    if let Some(image) = link(bytes) {
        assert!(weight(&image) < bytes.len() * 16 + (1 << 17), "{}", weight(&image));
    }
}

/// Where a section of the file starts, with its length.
fn section(bytes: &[u8], name: &str) -> (usize, usize) {
    use object::{Object as _, ObjectSection};
    let file = object::File::parse(bytes).unwrap();
    let (at, len) = file.section_by_name(name).unwrap().file_range().unwrap();
    (at as usize, len as usize)
}

#[test]
fn every_byte_of_the_information_on_instructions() {
    for whole in OBJECTS {
        assert!(link(whole).is_some());
        let (at, len) = section(whole, ".BTF.ext");
        let mut damaged = whole.to_vec();
        for place in (at..at + len).step_by(3) {
            for byte in [0, 0xff, whole[place] ^ 0x01] {
                damaged[place] = byte;
                check(&damaged);
            }
            damaged[place] = whole[place];
        }
    }
}

#[test]
fn cut_short() {
    for whole in OBJECTS {
        for len in (0..whole.len()).step_by(97) {
            assert!(link(&whole[..len]).is_none(), "the section table stands at the end");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn bytes_changed_anywhere(
        which in 0..OBJECTS.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut damaged = OBJECTS[which].to_vec();
        for (place, byte) in changes {
            let at = place.index(damaged.len());
            damaged[at] = byte;
        }
        check(&damaged);
    }

    #[test]
    fn damaged_kernels(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
    ) {
        let mut damaged = KERNEL.btf().to_bytes();
        for (place, byte) in changes {
            let at = place.index(damaged.len());
            damaged[at] = byte;
        }
        if let Ok(kernel) = KernelTypes::from_bytes("damaged", &damaged) {
            for whole in OBJECTS {
                let _ = Object::parse(whole).unwrap().link(&kernel);
            }
        }
    }
}
