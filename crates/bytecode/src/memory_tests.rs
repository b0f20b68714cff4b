// SPDX-License-Identifier: GPL-2.0-or-later
//! Tests of the memory, from Rust's side.

use super::*;
