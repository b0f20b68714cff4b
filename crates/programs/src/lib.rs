// SPDX-License-Identifier: GPL-2.0-or-later
//! Every BPF object of Rota as bytes, and the structures it shares with Rust.
