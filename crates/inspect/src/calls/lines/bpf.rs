// SPDX-License-Identifier: GPL-2.0-or-later
//! Lines of BPF programs.

use super::Place;
use rota_kernel::BpfCode;

/// The program that an address is in, and the place, if the program has lines.
pub(super) fn find(programs: &[BpfCode], address: u64) -> Option<(u32, Option<Place>)> {
    let start_in = |code: &BpfCode| {
        let mut functions = code.functions.iter();
        functions
            .find(|(start, size)| (*start..start + u64::from(*size)).contains(&address))
            .copied()
    };
    programs.iter().find_map(|code| {
        let (start, _) = start_in(code)?;
        let after = code.lines.partition_point(|line| line.address <= address);
        // What comes before the first line of a function is of it too.
        let line = code.lines[..after].last().filter(|line| line.address >= start);
        let line = line.or_else(|| code.lines.get(after));
        let place = line.map(|it| Place { inlined: None, file: it.file.clone(), line: it.line });
        Some((code.program_id, place))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rota_kernel::BpfLine;

    #[test]
    fn the_last_line_before_an_address() {
        let line = |address, line| BpfLine { address, file: "a.bpf.c".to_owned(), line };
        let lines = vec![line(0x1010, 7), line(0x1020, 9), line(0x5004, 3)];
        let code = BpfCode { program_id: 4, functions: vec![(0x5000, 16), (0x1000, 64)], lines };
        let bare = BpfCode { program_id: 5, functions: vec![(0x3000, 8)], lines: Vec::new() };
        let programs = [code, bare];
        let line = |address| {
            let (id, place) = find(&programs, address)?;
            Some((id, place.map(|place| place.to_string())))
        };
        let at = |number| Some((4, Some(format!("a.bpf.c:{number}"))));
        for (address, expected) in [
            (0xfff, None),
            // A prologue that has no line.
            (0x1000, at(7)),
            (0x101f, at(7)),
            (0x1020, at(9)),
            (0x103f, at(9)),
            (0x1040, None),
            // The line before it is of another function.
            (0x5000, at(3)),
            (0x500f, at(3)),
            (0x3001, Some((5, None))),
        ] {
            assert_eq!(line(address), expected, "{address:#x}");
        }
    }
}
