// SPDX-License-Identifier: GPL-2.0-or-later
//! From the verifier's messages to a cause.
//!
//! The table holds pieces of messages of Linux 6.16 to 7.3, and of libbpf. The last line of a log
//! that any rule knows decides, since the verifier says what it stumbled over at the end.

use crate::verify::cause::Cause;
use crate::verify::steps;
use std::fmt::Write;

/// A guess at why a program was rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The cause.
    pub cause: Cause,
    /// The verifier's own words for it.
    pub message: String,
}

/// The pieces of a message that stand in one line in this order, and what the message means. Of
/// several rules that fit, the first one counts.
const RULES: &[(&[&str], Cause)] = &[
    (&["infinite loop detected"], Cause::Loop),
    (&["back-edge from insn"], Cause::Loop),
    (&["BPF program is too large. Processed"], Cause::Complexity),
    (&["The sequence of ", " jumps is too complex"], Cause::Complexity),
    (&["invalid mem access '", "_or_null'"], Cause::Null),
    (&["Possibly NULL pointer passed to"], Cause::Null),
    (&["null-check it first"], Cause::Null),
    (&[" type=", "_or_null", " expected="], Cause::Null),
    (&["Unreleased reference id="], Cause::Reference),
    (&["Leaking reference id="], Cause::Reference),
    (&["would lead to reference leak"], Cause::Reference),
    (&["calling kernel function ", " is not allowed"], Cause::Kfunc),
    (&["program must be sleepable to call sleepable kfunc"], Cause::Kfunc),
    (&["sleepable helper ", " in non-sleepable"], Cause::Kfunc),
    (&["helper call might sleep in a non-sleepable"], Cause::Kfunc),
    (&["combined stack size of ", "Too large"], Cause::Stack),
    (&["stack size of subprog ", "Too large"], Cause::Stack),
    (&["tail_calls are not allowed when call stack"], Cause::Stack),
    (&["stack size ", " is too large"], Cause::Stack),
    (&["invalid write to stack"], Cause::Stack),
    (&["stack limit is exceeded"], Cause::Stack),
    (&["call stack of ", " frames is too deep"], Cause::CallDepth),
    (&["invalid access to map value"], Cause::Bounds),
    (&["invalid access to memory"], Cause::Bounds),
    (&["min value is negative"], Cause::Bounds),
    (&["is outside of the allowed memory range"], Cause::Bounds),
    (&["unbounded memory access"], Cause::Bounds),
    (&["unbounded min value is not allowed"], Cause::Bounds),
    (&["variable-offset", " stack "], Cause::Bounds),
    (&["!read_ok"], Cause::Uninitialised),
    (&["invalid read from stack"], Cause::Uninitialised),
    (&["invalid indirect read from stack"], Cause::Uninitialised),
    (&["uninitialized variable"], Cause::Uninitialised),
    (&["must be referenced or trusted"], Cause::Untrusted),
    (&["must be a rcu pointer"], Cause::Untrusted),
    (&["invalid mem access 'scalar'"], Cause::Untrusted),
    (&["invalid mem access 'untrusted"], Cause::Untrusted),
    (&["dereference of modified"], Cause::Untrusted),
    (&[" type=", " expected="], Cause::ArgumentType),
    (&["kernel function ", " expected pointer to "], Cause::ArgumentType),
    (&["must be a known constant"], Cause::ArgumentType),
    (&[" is of type ", " but ", " is expected"], Cause::ArgumentType),
    (&["only read is supported"], Cause::ReadOnly),
    (&["cannot write into"], Cause::ReadOnly),
    (&["write into map forbidden"], Cause::ReadOnly),
    (&["cannot be used inside bpf_", "-ed region"], Cause::Lock),
    (&["calls are not allowed while holding a lock"], Cause::Lock),
    (&["is sleepable within"], Cause::Lock),
    (&["_unlock without taking a lock"], Cause::Lock),
    (&["_unlock of different lock"], Cause::Lock),
    (&["_unlock cannot be out of order"], Cause::Lock),
    (&["deadlock detected"], Cause::Lock),
    (&["cannot restore irq state out of order"], Cause::Lock),
    (&["from non-GPL compatible program"], Cause::Licence),
    (&["must have a GPL compatible license"], Cause::Licence),
    (&["extern (func ksym) ", "not found in kernel"], Cause::MissingFunction),
    (&["extern (func ksym) ", " incompatible with "], Cause::MissingFunction),
    (&["<invalid kfunc call>"], Cause::MissingFunction),
    (&["is referenced but wasn't resolved"], Cause::MissingFunction),
    (&["Cannot find member ", " in kernel BTF"], Cause::MissingField),
    (&["<invalid CO-RE relocation>"], Cause::MissingField),
    (&["failed to resolve CO-RE relocation"], Cause::MissingField),
    (&["program of this type cannot use helper"], Cause::Helper),
    (&["unknown func "], Cause::Helper),
    (&["invalid func unknown#"], Cause::Helper),
    (&["At program exit the register R0 "], Cause::ReturnValue),
    (&["attach to unsupported member"], Cause::Callback),
];

/// Guesses at the cause of a rejection, from the verifier's log or the loader's words.
pub fn explain(log: &str) -> Option<Explanation> {
    let lines = steps::statements(log);
    let causes: Vec<Option<Cause>> = lines.iter().map(|line| cause_of(line)).collect();
    let mut at = causes.iter().rposition(Option::is_some)?;
    // Where the verifier says the same twice, the first time is the more precise one.
    while at > 0 && causes[at - 1] == causes[at] {
        at -= 1;
    }
    Some(Explanation { cause: causes[at]?, message: lines[at].trim().to_owned() })
}

fn cause_of(line: &str) -> Option<Cause> {
    RULES.iter().find(|(pieces, _)| fits(line, pieces)).map(|(_, cause)| *cause)
}

fn fits(line: &str, pieces: &[&str]) -> bool {
    let mut rest = line;
    pieces.iter().all(|piece| match rest.split_once(piece) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}

/// A rejection as people read it: the last steps, what the verifier said, the likely cause.
pub fn rejection_text(program: &str, log: &str) -> String {
    let explanation = explain(log);
    let message = steps::message(log, explanation.as_ref());
    text(program, &message, explanation.map(|e| e.cause), &steps::last(log))
}

/// The text of a rejection whose parts are known.
pub(crate) fn text(name: &str, message: &str, cause: Option<Cause>, steps: &[String]) -> String {
    let mut text = format!("{name} was rejected: {message}\n");
    match cause {
        Some(cause) => {
            push(&mut text, "likely cause:", cause.means());
            push(&mut text, "what to do:", cause.advice());
        }
        None => {
            push(&mut text, "likely cause:", "none that Rota knows; see the verifier's words");
        }
    }
    if !steps.is_empty() {
        text += "  the verifier's last steps:\n";
        for step in steps {
            let _ = writeln!(text, "    {step}");
        }
    }
    text
}

/// Appends a label and a text beside it.
fn push(text: &mut String, label: &str, words: &str) {
    const INDENT: usize = 16;
    const WIDTH: usize = 100;
    let head = format!("  {label:<0$}", INDENT - 2);
    crate::text::push(text, (&head, INDENT), words, WIDTH);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(log: &str, expected: Option<Cause>) {
        assert_eq!(explain(log).map(|e| e.cause), expected, "{log}");
    }

    /// A message for each rule, as kernels and libbpf print it.
    const MESSAGES: &[(&str, Cause)] = &[
        ("infinite loop detected at insn 4", Cause::Loop),
        ("back-edge from insn 7 to 3", Cause::Loop),
        ("BPF program is too large. Processed 1000001 insn", Cause::Complexity),
        ("The sequence of 8193 jumps is too complex.", Cause::Complexity),
        ("R0 invalid mem access 'map_value_or_null'", Cause::Null),
        ("Possibly NULL pointer passed to trusted arg0", Cause::Null),
        ("R1 pointer arithmetic on map_value_or_null prohibited, null-check it first", Cause::Null),
        ("R1 type=ptr_or_null_ expected=ptr_, trusted_ptr_, rcu_ptr_", Cause::Null),
        ("Unreleased reference id=2 alloc_insn=3", Cause::Reference),
        ("Leaking reference id=1 alloc_insn=2. Release it first.", Cause::Reference),
        ("BPF_EXIT instruction in main prog would lead to reference leak", Cause::Reference),
        ("calling kernel function scx_bpf_create_dsq is not allowed", Cause::Kfunc),
        ("program must be sleepable to call sleepable kfunc scx_bpf_create_dsq", Cause::Kfunc),
        ("sleepable helper bpf_copy_from_user#148 in non-sleepable prog", Cause::Kfunc),
        ("helper call might sleep in a non-sleepable prog", Cause::Kfunc),
        ("combined stack size of 3 calls is 640. Too large", Cause::Stack),
        ("stack size of subprog 1 is 576. Too large", Cause::Stack),
        (
            "tail_calls are not allowed when call stack of previous frames is 256 bytes. Too large",
            Cause::Stack,
        ),
        ("stack size 520(extra 8) is too large", Cause::Stack),
        ("invalid write to stack R10 off=-520 size=8", Cause::Stack),
        ("error: Looks like the BPF stack limit is exceeded.", Cause::Stack),
        ("the call stack of 9 frames is too deep !", Cause::CallDepth),
        ("invalid access to map value, value_size=8 off=8 size=8", Cause::Bounds),
        ("invalid access to memory, mem_size=64 off=64 size=8", Cause::Bounds),
        ("R2 min value is negative, either use unsigned or 'var &= const'", Cause::Bounds),
        ("R1 max value is outside of the allowed memory range", Cause::Bounds),
        ("R1 unbounded memory access, make sure to bounds check any such access", Cause::Bounds),
        (
            "math between fp pointer and register with unbounded min value is not allowed",
            Cause::Bounds,
        ),
        ("invalid unbounded variable-offset write to stack R8", Cause::Bounds),
        ("R3 !read_ok", Cause::Uninitialised),
        ("invalid read from stack off -8+0 size 8", Cause::Uninitialised),
        ("invalid indirect read from stack R2 off -16+4 size 16", Cause::Uninitialised),
        ("unexpected __bpf_trap() due to uninitialized variable?", Cause::Uninitialised),
        ("R1 must be referenced or trusted", Cause::Untrusted),
        ("R1 must be a rcu pointer", Cause::Untrusted),
        ("R1 invalid mem access 'scalar'", Cause::Untrusted),
        ("R1 invalid mem access 'untrusted_ptr_'", Cause::Untrusted),
        ("dereference of modified ptr_ ptr R1 off=8 disallowed", Cause::Untrusted),
        ("R1 type=scalar expected=fp", Cause::ArgumentType),
        (
            "kernel function bpf_task_release args#0 expected pointer to STRUCT task_struct but R1 \
             has a pointer to STRUCT cgroup",
            Cause::ArgumentType,
        ),
        ("R3 must be a known constant", Cause::ArgumentType),
        ("R2 is of type file but task_struct is expected", Cause::ArgumentType),
        ("only read is supported", Cause::ReadOnly),
        ("R1 cannot write into rdonly_mem", Cause::ReadOnly),
        ("write into map forbidden, value_size=8 off=0 size=8", Cause::ReadOnly),
        (
            "BPF_EXIT instruction in main prog cannot be used inside bpf_rcu_read_lock-ed region",
            Cause::Lock,
        ),
        ("function calls are not allowed while holding a lock", Cause::Lock),
        ("kernel func bpf_f is sleepable within rcu_read_lock region", Cause::Lock),
        ("bpf_spin_unlock without taking a lock", Cause::Lock),
        ("bpf_spin_unlock of different lock", Cause::Lock),
        ("bpf_spin_unlock cannot be out of order", Cause::Lock),
        ("Acquiring the same lock again, AA deadlock detected", Cause::Lock),
        (
            "cannot restore irq state out of order, expected id=2 acquired at insn_idx=4",
            Cause::Lock,
        ),
        ("cannot call kernel function from non-GPL compatible program", Cause::Licence),
        ("struct ops programs must have a GPL compatible license", Cause::Licence),
        ("extern (func ksym) 'f': not found in kernel or module BTFs", Cause::MissingFunction),
        (
            "extern (func ksym) 'f': func_proto [6] incompatible with vmlinux [53478]",
            Cause::MissingFunction,
        ),
        ("12: <invalid kfunc call>", Cause::MissingFunction),
        ("kfunc 'f' is referenced but wasn't resolved", Cause::MissingFunction),
        (
            "struct_ops init_kern mine: Cannot find member cpu_gone in kernel BTF",
            Cause::MissingField,
        ),
        ("7: <invalid CO-RE relocation>", Cause::MissingField),
        ("failed to resolve CO-RE relocation <byte_off> [5]", Cause::MissingField),
        ("program of this type cannot use helper bpf_redirect#23", Cause::Helper),
        ("unknown func bpf_nothing#999", Cause::Helper),
        ("invalid func unknown#4711", Cause::Helper),
        (
            "At program exit the register R0 has value (0x5; 0x0) should have been in [0, 1]",
            Cause::ReturnValue,
        ),
        ("attach to unsupported member dispatch of struct sched_ext_ops", Cause::Callback),
    ];

    #[test]
    fn every_rule_knows_its_message_and_only_that() {
        assert_eq!(RULES.len(), MESSAGES.len());
        for ((pieces, cause), (message, expected)) in RULES.iter().zip(MESSAGES) {
            assert!(fits(message, pieces), "{pieces:?} and {message}");
            assert_eq!(cause, expected, "{message}");
            check(message, Some(*expected));
            // Without its last piece the message means nothing to this rule.
            let damaged = message.replace(pieces[pieces.len() - 1], " ");
            assert!(!fits(&damaged, pieces), "{damaged}");
        }
    }

    #[test]
    fn what_is_no_message() {
        check("", None);
        check("0: R1=ctx() R10=fp0\n1: (95) exit\nprocessed 2 insns\n", None);
        // A harmless remark of 6.16 about every callback that returns nothing.
        check("Global function f() doesn't return scalar. Only those are supported.\n", None);
        // Source lines and the kernel's own report quote programs.
        check("; puts(\"infinite loop detected\"); @ a.c:3\n", None);
        check("At:\n  f @ a.c:1\n       | ^-- infinite loop detected\n", None);
    }

    #[test]
    fn the_last_message_counts() {
        let log = "R0 invalid mem access 'scalar'\n1: (95) exit\nUnreleased reference id=2 \
                   alloc_insn=3\nBPF_EXIT instruction in main prog would lead to reference \
                   leak\nprocessed 2 insns (limit 1000000)\n";
        let found = explain(log).unwrap();
        assert_eq!(found.cause, Cause::Reference);
        assert_eq!(found.message, "Unreleased reference id=2 alloc_insn=3");
    }

    #[test]
    fn a_text_for_people() {
        let log = "; *count += 1; @ a.bpf.c:23\n9: (79) r1 = *(u64 *)(r0 +0)\n\
                   R0 invalid mem access 'map_value_or_null'\nprocessed 9 insns (limit 1000000)\n";
        let text = rejection_text("f", log);
        assert!(text.starts_with("f was rejected: R0 invalid mem access 'map_value_or_null'\n"));
        assert!(text.contains("likely cause: a missing NULL check"));
        assert!(text.contains("\n    ; *count += 1; @ a.bpf.c:23\n    9: (79) r1"));
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        assert!(rejection_text("f", "odd\n").contains("f was rejected: odd\n"));
    }
}
