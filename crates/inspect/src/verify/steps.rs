// SPDX-License-Identifier: GPL-2.0-or-later
//! What matters in a verifier's log: its messages, and the last steps before the end.
//!
//! A log is made of steps (`9: (79) r1 = *(u64 *)(r0 +0) ; R0=…`), of the source lines that they
//! come from (`; *count += 1; @ simple.bpf.c:23`), of messages, and of figures at the end. From
//! 7.1 or so there is a report in prose too, whose body is indented.

use crate::verify::explain::Explanation;

/// How many steps are shown, with their source lines.
const STEPS: usize = 12;
/// What the verifier knows about registers is cut here.
const WIDTH: usize = 110;

/// The lines that are messages.
pub(crate) fn statements(log: &str) -> Vec<&str> {
    log.lines().filter(|line| kind(line) == Kind::Statement).collect()
}

/// The last steps, with the source lines that they come from. What is rejected after all steps
/// were taken has none: then it is the functions and their stacks.
pub(crate) fn last(log: &str) -> Vec<String> {
    let of_kinds = |kinds: [Kind; 2]| {
        log.lines().filter(move |line| kinds.contains(&kind(line))).collect::<Vec<_>>()
    };
    let mut lines = of_kinds([Kind::Step, Kind::Source]);
    if lines.is_empty() {
        lines = of_kinds([Kind::Function, Kind::Function]);
    }
    lines[lines.len().saturating_sub(STEPS)..].iter().map(|line| cut(line)).collect()
}

/// The message that says why: the one that was explained, else the last.
pub(crate) fn message(log: &str, explanation: Option<&Explanation>) -> String {
    let last = || statements(log).last().map(|line| line.trim().to_owned());
    let told = explanation.map(|e| e.message.clone()).or_else(last);
    told.unwrap_or_else(|| "the verifier gave no reason".to_owned())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Step,
    Source,
    /// The stacks of the functions.
    Function,
    Statement,
    Other,
}

/// Headings of the report in prose, and lines about states and figures.
const OTHER: [&str; 13] = [
    "Verification failed:",
    "Reason:",
    "At:",
    "Causal path:",
    "Suggestion:",
    "processed ",
    "verification time ",
    "cur state:",
    "old state:",
    "caller:",
    "callee:",
    "mark_precise:",
    "func '",
];

fn kind(line: &str) -> Kind {
    if line.starts_with(';') {
        return Kind::Source;
    }
    if line.starts_with("stack depth ") || line.starts_with("subprog ") {
        return Kind::Function;
    }
    if line.is_empty() || line.starts_with(' ') || OTHER.iter().any(|o| line.starts_with(o)) {
        return Kind::Other;
    }
    // "9: (79) …" is a step, "9: <invalid kfunc call>" libbpf's word on one, "9: R0=…" a state,
    // "from 5 to 9: …" where a path begins.
    match line.split_once(": ") {
        Some((at, rest)) if at.bytes().all(|b| b.is_ascii_digit()) => match rest.as_bytes() {
            [b'(', ..] => Kind::Step,
            [b'<', ..] => Kind::Statement,
            _ => Kind::Other,
        },
        Some((at, _)) if at.starts_with("from ") && at.contains(" to ") => Kind::Other,
        _ => Kind::Statement,
    }
}

fn cut(line: &str) -> String {
    // The loader's source comment has two blanks where the object carries no source text.
    let line = line.trim_end().replacen(";  @ ", "; @ ", 1);
    let length = line.chars().count();
    if length <= WIDTH {
        return line;
    }
    // Of a source line, its place is what must stay.
    let place = if kind(&line) == Kind::Source { line.rfind(" @ ") } else { None };
    let place = place.map_or("", |at| &line[at..]);
    let room = (WIDTH - 1).saturating_sub(place.chars().count());
    line.chars().take(room).chain(['…']).chain(place.chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "Global function f() doesn't return scalar. Only those are supported.\n\
        0: R1=ctx() R10=fp0\n;  @ a.bpf.c:13\n0: (79) r4 = *(u64 *)(r1 +8)          ; R4=scalar()\n\
        func 'enqueue' arg0 has btf_id 114 type STRUCT 'task_struct'\n\
        from 5 to 9: R0=0\n9: (79) r1 = *(u64 *)(r0 +0)\nR0 invalid mem access 'x_or_null'\n\n\
        Verification failed: Register Type Safety: Invalid dereference\n\nReason:\n  R0 may be \
        NULL.\n\nAt:\n  f @ a.bpf.c:1\n  >>>  9 | (79) r1 = *(u64 *)(r0 +0)\n\n\
        subprog 0 (f) main insns_self 9 insns_total 9 stack 8\nprocessed 9 insns (limit 1)\n";

    #[test]
    fn steps_and_messages() {
        let expected = [
            "; @ a.bpf.c:13",
            "0: (79) r4 = *(u64 *)(r1 +8)          ; R4=scalar()",
            "9: (79) r1 = *(u64 *)(r0 +0)",
        ];
        assert_eq!(last(LOG), expected);
        assert_eq!(statements(LOG).len(), 2);
        assert_eq!(message(LOG, None), "R0 invalid mem access 'x_or_null'");
        assert_eq!(message("", None), "the verifier gave no reason");
    }

    #[test]
    fn without_steps_the_functions_are_shown() {
        let log = "combined stack size of 3 calls is 640. Too large\nstack depth 0+320+320\n";
        assert_eq!(last(log), ["stack depth 0+320+320"]);
    }

    #[test]
    fn the_place_of_a_long_source_line_stays() {
        let line = cut(&format!("; {} @ a.bpf.c:13", "x".repeat(200)));
        assert!(line.ends_with("x… @ a.bpf.c:13"), "{line}");
        assert_eq!(line.chars().count(), WIDTH);
    }

    #[test]
    fn long_logs_and_lines_are_cut() {
        let log: String =
            (0..40).map(|i| format!("{i}: (b7) r1 = 0 ; {}\n", "é".repeat(200))).collect();
        let found = last(&log);
        assert_eq!(found.len(), STEPS);
        assert!(found.iter().all(|l| l.chars().count() == WIDTH && l.ends_with('…')));
        assert!(found[STEPS - 1].starts_with("39: "));
    }
}
