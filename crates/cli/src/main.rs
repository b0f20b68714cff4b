// SPDX-License-Identifier: GPL-2.0-or-later
//! The one binary, `rota`.

fn main() {}
