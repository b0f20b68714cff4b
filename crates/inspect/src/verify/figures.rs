// SPDX-License-Identifier: GPL-2.0-or-later
//! The figures of the verifier: one table for every format, and the reading of the kernel's lines.

use rota_kernel::VerifiedProgram;

/// A figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Figure {
    /// Instructions that the verifier walked.
    Insns,
    /// States that it kept.
    States,
    /// The most states that it kept at once.
    PeakStates,
    /// The most states of one instruction.
    MaxStatesPerInsn,
    /// The longest walk through kept states.
    MarkRead,
    /// Time that it took.
    VerificationUs,
    /// Size of the program in instructions.
    SizeInsns,
    /// Size of its machine code.
    JitedBytes,
    /// Stack that it and the functions that it calls use.
    StackBytes,
}

/// How a figure is called, and what it means.
#[derive(Debug, Clone, Copy)]
pub struct FigureInfo {
    /// The figure.
    pub figure: Figure,
    /// Head of its column in the table.
    pub header: &'static str,
    /// Its name in JSON.
    pub json: &'static str,
    /// Its names in CSV, which are veristat's; the first one is written.
    pub csv: &'static [&'static str],
    /// What it means, in a line.
    pub help: &'static str,
}

/// Every figure, in the order of the table.
pub const FIGURES: [FigureInfo; 9] = [
    FigureInfo {
        figure: Figure::Insns,
        header: "insns",
        json: "insns",
        csv: &["total_insns", "insns"],
        help: "instructions that the verifier walked, on all paths; its limit is 1000000",
    },
    FigureInfo {
        figure: Figure::States,
        header: "states",
        json: "states",
        csv: &["total_states", "states"],
        help: "states (contents of registers and stack) that it kept, to compare later ones with",
    },
    FigureInfo {
        figure: Figure::PeakStates,
        header: "peak",
        json: "peak_states",
        csv: &["peak_states"],
        help: "the most states that it kept at once",
    },
    FigureInfo {
        figure: Figure::MaxStatesPerInsn,
        header: "per insn",
        json: "max_states_per_insn",
        csv: &["max_states_per_insn"],
        help: "the most states that it kept for one instruction",
    },
    FigureInfo {
        figure: Figure::MarkRead,
        header: "read",
        json: "mark_read",
        csv: &["max_mark_read_len", "mark_read"],
        help: "the longest walk back through states to mark what was read",
    },
    FigureInfo {
        figure: Figure::VerificationUs,
        header: "time us",
        json: "verification_us",
        csv: &["duration", "dur"],
        help: "time that the verifier took, in microseconds",
    },
    FigureInfo {
        figure: Figure::SizeInsns,
        header: "size",
        json: "size_insns",
        csv: &["prog_size"],
        help: "size of the program in instructions, with the functions that it calls",
    },
    FigureInfo {
        figure: Figure::JitedBytes,
        header: "jited",
        json: "jited_bytes",
        csv: &["prog_size_jited"],
        help: "size of its machine code in bytes",
    },
    FigureInfo {
        figure: Figure::StackBytes,
        header: "stack",
        json: "stack_bytes",
        csv: &["stack_depth", "stack"],
        help: "stack of the program and of each function that it calls, added up, in bytes",
    },
];

/// The figures of one program. One that nobody told is `None`, which is not the same as 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures([Option<u64>; FIGURES.len()]);

impl Figures {
    /// The figures of a program that was loaded, or rejected.
    pub(crate) fn of(program: &VerifiedProgram) -> Self {
        let mut figures = Self::of_log(&program.stats);
        figures.set(Figure::SizeInsns, program.insns as u64);
        figures.set(Figure::JitedBytes, program.jited_bytes);
        figures
    }

    /// The figures that the verifier prints at the end of its log.
    pub fn of_log(log: &str) -> Self {
        let mut figures = Self::default();
        for line in log.lines() {
            figures.read(line);
        }
        figures
    }

    /// One figure.
    pub fn get(&self, figure: Figure) -> Option<u64> {
        self.0[figure as usize]
    }

    /// Sets a figure.
    pub fn set(&mut self, figure: Figure, value: u64) {
        self.0[figure as usize] = Some(value);
    }

    fn read(&mut self, line: &str) {
        if let Some(rest) = line.strip_prefix("processed ") {
            let words: Vec<&str> = rest.split_ascii_whitespace().collect();
            let number = |at: usize| words.get(at).and_then(|w| w.parse().ok());
            let after = |name| number(words.iter().position(|w| *w == name)? + 1);
            self.0[Figure::Insns as usize] = number(0);
            self.0[Figure::MaxStatesPerInsn as usize] = after("max_states_per_insn");
            self.0[Figure::States as usize] = after("total_states");
            self.0[Figure::PeakStates as usize] = after("peak_states");
            self.0[Figure::MarkRead as usize] = after("mark_read");
        } else if let Some(rest) = line.strip_prefix("verification time ") {
            let time = rest.split_ascii_whitespace().next().and_then(|w| w.parse().ok());
            self.0[Figure::VerificationUs as usize] = time;
        } else if let Some(stack) = stack(line) {
            let slot = &mut self.0[Figure::StackBytes as usize];
            *slot = Some(slot.unwrap_or(0) + stack);
        }
    }
}

/// The stack that a line tells of. Until some version before 7.3 one line has all functions,
/// `stack depth 0+320`; later each has its own, `subprog 1 (both) static … stack 320`.
fn stack(line: &str) -> Option<u64> {
    if let Some(parts) = line.strip_prefix("stack depth ") {
        return parts.split('+').map(|part| part.trim().parse::<u64>().ok()).sum();
    }
    let (_, bytes) = line.strip_prefix("subprog ")?.rsplit_once(" stack ")?;
    bytes.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(log: &str, expected: [Option<u64>; 9]) {
        assert_eq!(Figures::of_log(log).0, expected, "{log}");
    }

    #[test]
    fn the_table_is_in_the_order_of_the_figures() {
        assert!(FIGURES.iter().enumerate().all(|(i, info)| info.figure as usize == i));
    }

    #[test]
    fn lines_of_6_16() {
        let log = "verification time 11203 usec\nstack depth 0+320+320\nprocessed 128 insns (limit \
                   1000000) max_states_per_insn 1 total_states 3 peak_states 2 mark_read 4\n";
        let figures = [128, 3, 2, 1, 4, 11203].map(Some);
        check(log, [&figures[..], &[None, None, Some(640)]].concat().try_into().unwrap());
    }

    #[test]
    fn lines_of_7_3() {
        let log = "verification time 10 usec\nstack depth max 640\n\
                   subprog 0 (a) main insns_self 16 insns_total 129 stack 8\n\
                   subprog 1 (b) static insns_self 58 insns_total 113 stack 320\n\
                   processed 129 insns (limit 1000000) max_states_per_insn 0 total_states 3 \
                   peak_states 3 mark_read 0\n";
        let figures = [129, 3, 3, 0, 0, 10].map(Some);
        check(log, [&figures[..], &[None, None, Some(328)]].concat().try_into().unwrap());
    }

    #[test]
    fn what_is_not_told_is_not_zero() {
        check("", [None; 9]);
        check("processed x insns\nverification time\nstack depth\nsubprog 0 stack\n", [None; 9]);
        let mut expected = [None; 9];
        expected[0] = Some(7);
        check("processed 7 insns", expected);
    }
}
