// SPDX-License-Identifier: GPL-2.0-or-later
//! A BPF object file: its ELF, its BTF, and the traits Engine and World.
