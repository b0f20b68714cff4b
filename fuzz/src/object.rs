// SPDX-License-Identifier: GPL-2.0-or-later
//! Objects of ours, damaged where it matters.

use crate::input::Input;
use crate::kernels::KERNELS;
use crate::run::both_do_the_same;
use object::{Object as _, ObjectSection};
use rota_object::Object;
use std::cell::Cell;
use std::ops::Range;
use std::sync::LazyLock;

/// Of an object with many programs, one in so many is run.
const SHARE: usize = 8;

/// An object, and what of it is worth changing.
struct Whole {
    bytes: &'static [u8],
    parts: Vec<Part>,
}

/// A part of a file that consists of records of one size.
struct Part {
    range: Range<usize>,
    record: usize,
}

/// The objects, by their numbers in an input.
static OBJECTS: LazyLock<Vec<Whole>> = LazyLock::new(|| {
    let schedulers = rota_programs::ALL.iter().map(|(_, bytes)| *bytes);
    let cases = rota_programs::test::CASES.iter().map(|(_, bytes)| *bytes);
    let others =
        [rota_programs::test::ARENA, rota_programs::test::CORE, rota_programs::test::DOORS];
    let all = schedulers.chain(cases).chain(others);
    all.map(|bytes| Whole { bytes, parts: parts(bytes) }).collect()
});

/// What reading and linking look at: not what is for debuggers.
fn parts(bytes: &[u8]) -> Vec<Part> {
    let file = object::File::parse(bytes).expect("it is one of ours");
    let section = |section: object::Section<'_, '_>| {
        let name = section.name().ok()?;
        let (start, len) = section.file_range()?;
        let record = match name {
            _ if name.contains(".debug") || name.contains("llvm") || len == 0 => return None,
            ".BTF" | ".BTF.ext" => 4,
            ".symtab" => 24,
            ".strtab" => 1,
            _ if name.starts_with(".rel") => 16,
            _ => 8,
        };
        let start = start as usize;
        Some(Part { range: start..start + len as usize, record })
    };
    let mut parts: Vec<Part> = file.sections().filter_map(section).collect();
    // Where the headers of the sections start stands in the one of the file.
    let place = bytes.get(0x28..0x30).and_then(|place| place.try_into().ok());
    let headers = usize::try_from(u64::from_le_bytes(place.expect("it has a header")));
    let headers = headers.expect("it is in the file");
    parts.extend([
        Part { range: 0..64, record: 1 },
        Part { range: headers..bytes.len(), record: 8 },
    ]);
    parts
}

/// The input says which object, which kernel and which programs; then, again and again, which
/// part, which record of it, how many bytes, and the bytes to be put there. The object is read,
/// linked and run on both engines.
pub fn object(data: &[u8]) {
    let mut input = Input(data);
    let (Some(number), Some(kernel), Some(programs)) = (input.byte(), input.byte(), input.byte())
    else {
        return;
    };
    let whole = &OBJECTS[usize::from(number) % OBJECTS.len()];
    let kernel = &KERNELS[usize::from(kernel) % KERNELS.len()];
    let mut bytes = whole.bytes.to_vec();
    while let (Some(part), Some(record), Some(count)) = (input.byte(), input.short(), input.byte())
    {
        let Part { range, record: size } = &whole.parts[usize::from(part) % whole.parts.len()];
        let from = range.start + record * size % range.len();
        for (to, byte) in bytes[from..range.end].iter_mut().zip(input.take(usize::from(count))) {
            *to = *byte;
        }
    }
    let Ok(object) = Object::parse(&bytes) else { return };
    let seen = Cell::new(usize::from(programs));
    let wanted =
        |_: &_| object.programs().len() < SHARE || seen.replace(seen.get() + 1) % SHARE == 0;
    match object.link_programs(kernel, &wanted) {
        Ok(image) => both_do_the_same(&image, kernel),
        Err(errors) => assert_ne!(errors.to_string(), ""),
    }
}
