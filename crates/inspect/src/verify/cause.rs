// SPDX-License-Identifier: GPL-2.0-or-later
//! The typical causes of a rejection, in plain words.

/// A typical cause of a rejection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// A loop without an end.
    Loop,
    /// Too many paths or steps.
    Complexity,
    /// A pointer that may be NULL.
    Null,
    /// A reference that is not released.
    Reference,
    /// A kernel function in a callback that may not call it.
    Kfunc,
    /// Too large a stack.
    Stack,
    /// Too many calls inside each other.
    CallDepth,
    /// An access outside of what a pointer points to.
    Bounds,
    /// A read of something that nobody wrote.
    Uninitialised,
    /// A pointer that the kernel does not vouch for.
    Untrusted,
    /// An argument of another type.
    ArgumentType,
    /// A write to memory of the kernel that is read-only.
    ReadOnly,
    /// A lock, or the like, held where it must not be.
    Lock,
    /// A licence other than the GPL.
    Licence,
    /// A function that this kernel does not have.
    MissingFunction,
    /// A field, type or member that this kernel does not have.
    MissingField,
    /// A helper that is not there for this kind of program.
    Helper,
    /// A value returned that the caller does not accept.
    ReturnValue,
    /// A callback that the kernel does not take as it is declared.
    Callback,
}

/// A cause with its word, what it means, and what to do.
struct Words {
    cause: Cause,
    word: &'static str,
    means: &'static str,
    advice: &'static str,
}

const fn words(
    cause: Cause,
    word: &'static str,
    means: &'static str,
    advice: &'static str,
) -> Words {
    Words { cause, word, means, advice }
}

const WORDS: [Words; 19] = [
    words(
        Cause::Loop,
        "loop",
        "an unbounded loop: the verifier sees no end to it",
        "give the loop a fixed bound (for (i = 0; i < N; i++)), or use bpf_for() or bpf_loop(); \
         never wait in a loop for another CPU",
    ),
    words(
        Cause::Complexity,
        "complexity",
        "too many paths or steps to check, mostly from an unbounded loop or from a loop with many \
         branches inside",
        "lower the bounds of loops, move their bodies into bpf_loop() callbacks or into global \
         functions (which are checked once), or make constants of settings that decide branches",
    ),
    words(
        Cause::Null,
        "null",
        "a missing NULL check: the pointer may be NULL where it is used",
        "test the result of the lookup or call right after it (if (!p) return), on every path to \
         this use",
    ),
    words(
        Cause::Reference,
        "reference",
        "an unreleased reference: something was acquired and is not given back on every path",
        "release it before each return (bpf_task_release, bpf_cpumask_release, \
         scx_bpf_put_cpumask, ...), also where the rest fails; steps with refs= hold one",
    ),
    words(
        Cause::Kfunc,
        "kfunc",
        "a kernel function that is not allowed in this callback",
        "a function that may sleep belongs into init, init_task or another callback that may sleep \
         (BPF_STRUCT_OPS_SLEEPABLE); one that inserts or moves tasks belongs into select_cpu, \
         enqueue or dispatch",
    ),
    words(
        Cause::Stack,
        "stack",
        "too large a stack: a program and the functions that it calls share 512 bytes",
        "keep large variables in a per-CPU array map, or in task storage; smaller arrays, fewer \
         calls inside each other",
    ),
    words(
        Cause::CallDepth,
        "call_depth",
        "functions that call each other too deeply: 8 calls inside each other is the limit",
        "make the innermost ones __always_inline, or do their work in turn",
    ),
    words(
        Cause::Bounds,
        "bounds",
        "an access that may lie outside of the memory that the pointer points to",
        "test the index against the size right before the access, with an unsigned type, or mask \
         it (i & (N - 1)); the compiler may have moved an earlier test to another register",
    ),
    words(
        Cause::Uninitialised,
        "uninitialised",
        "a read of a variable that was not written on this path",
        "give the variable a value where it is declared; of a structure, write the padding too \
         (= {})",
    ),
    words(
        Cause::Untrusted,
        "untrusted",
        "a pointer that the kernel does not vouch for: it was read from memory, or changed",
        "take the pointer from an argument or from a function that acquires it \
         (bpf_task_from_pid), or read the field with bpf_probe_read_kernel()",
    ),
    words(
        Cause::ArgumentType,
        "argument_type",
        "an argument of another type than the function takes",
        "compare the call with the function's declaration: which pointer, which size, a constant?",
    ),
    words(
        Cause::ReadOnly,
        "read_only",
        "a write to memory of the kernel that programs may only read",
        "of a task, a scheduler may write scx.slice, scx.dsq_vtime and scx.disallow only (newer \
         kernels have functions for these); keep what else you have per task in task storage",
    ),
    words(
        Cause::Lock,
        "lock",
        "a lock, or a region with preemption or interrupts off, held where it must not be",
        "unlock on every path, in reverse order, and before calling a function that may sleep",
    ),
    words(
        Cause::Licence,
        "licence",
        "the object has no licence that is compatible with the GPL",
        "say LICENSE_GPL; (a variable in the section \"license\")",
    ),
    words(
        Cause::MissingFunction,
        "missing_function",
        "a kernel function that this kernel does not have, or has with other arguments",
        "declare it __weak and test it with ksym_exists() (see compat.h for those that changed); \
         a struct that stands in the declaration has to be defined, not only declared",
    ),
    words(
        Cause::MissingField,
        "missing_field",
        "a field, type or member that this kernel does not have",
        "test it with core_field_exists() and have another way where it is missing",
    ),
    words(
        Cause::Helper,
        "helper",
        "a helper that this kind of program may not use, or that this kernel does not have",
        "look for a kernel function with the same purpose",
    ),
    words(
        Cause::ReturnValue,
        "return_value",
        "a value is returned that the kernel does not accept here",
        "return a value from the range that the message names, on every path",
    ),
    words(
        Cause::Callback,
        "callback",
        "a callback that the kernel does not take in this form: most may not sleep",
        "declare it with BPF_STRUCT_OPS instead of BPF_STRUCT_OPS_SLEEPABLE, unless it is init, \
         exit, init_task or one for CPUs or cgroups that come and go",
    ),
];

impl Cause {
    /// All causes.
    pub fn all() -> impl Iterator<Item = Self> {
        WORDS.iter().map(|w| w.cause)
    }

    /// One word for it, which scripts may rely on.
    pub fn word(self) -> &'static str {
        self.words().word
    }

    /// The cause with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        WORDS.iter().find(|w| w.word == word).map(|w| w.cause)
    }

    /// What it means, in plain words.
    pub fn means(self) -> &'static str {
        self.words().means
    }

    /// What to do about it.
    pub fn advice(self) -> &'static str {
        self.words().advice
    }

    fn words(self) -> &'static Words {
        &WORDS[self as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_cause_has_words_of_its_own() {
        assert!(WORDS.iter().enumerate().all(|(i, w)| w.cause as usize == i));
        let words: BTreeSet<_> = Cause::all().map(Cause::word).collect();
        assert_eq!(words.len(), WORDS.len());
        assert!(Cause::all().all(|c| Cause::from_word(c.word()) == Some(c)));
        assert_eq!(Cause::from_word("weather"), None);
    }
}
