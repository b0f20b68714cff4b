// SPDX-License-Identifier: GPL-2.0-or-later
//! What is done with the bytes that a fuzzer makes up: one function for each target.
//!
//! A target takes any bytes. It is wrong if it panics, and it panics if what must hold does not:
//! both engines do the same, what was written is read back the same. The fuzzers (`targets/`) only
//! call these functions, and a test calls them with every file of `corpus/`, the inputs that led
//! somewhere no smaller one led. `cargo xtask fuzz` runs the fuzzers.
//!
//! Which bytes mean what is said at each target. It depends on the objects of `bpf/`, so an input
//! may lead elsewhere after a change there; what it found before has a test of its own.

mod btf;
mod bytecode;
mod elf;
mod input;
mod kernels;
mod object;
mod reader;
mod recording;
mod run;
mod text;

pub use btf::btf;
pub use bytecode::bytecode;
pub use elf::elf;
pub use object::object;
pub use reader::reader;
pub use recording::recording;
pub use text::text;

/// What takes the bytes.
pub type Target = fn(&[u8]);

/// Every target with its name.
pub const TARGETS: [(&str, Target); 7] = [
    ("elf", elf),
    ("btf", btf),
    ("object", object),
    ("bytecode", bytecode),
    ("text", text),
    ("recording", recording),
    ("reader", reader),
];
