// SPDX-License-Identifier: GPL-2.0-or-later
//! Everything that can be observed of an execution, in both modes.

mod asm;
mod checks;
mod control;
mod families;
mod generate;
mod machine;
mod random;
mod sandbox;
mod suspended;
