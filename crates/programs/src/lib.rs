// SPDX-License-Identifier: GPL-2.0-or-later
//! Every BPF object of Rota as bytes, and the structures it shares with Rust.
//!
//! `build/` compiles them: one translation unit an object, from `bpf/sched/*/*.bpf.c`,
//! `bpf/trace/*.bpf.c` and `bpf/test/*.bpf.c`. The bytes do not depend on where the source tree lies.
//! A structure that carries the remark `shared` in C becomes a plain-data Rust type of the same layout, with size
//! and offsets asserted.

/// Bytes at an address that an ELF reader can use in place.
#[repr(C, align(16))]
struct Aligned<const N: usize>([u8; N]);

include!(concat!(env!("OUT_DIR"), "/objects.rs"));
