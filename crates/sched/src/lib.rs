// SPDX-License-Identifier: GPL-2.0-or-later
//! The user half of each scheduler.
//!
//! A user half is a state machine ([`UserHalf`]) that a world calls and that never blocks. What
//! every scheduler needs (settings into read-only data, statistics out of the map `stats`) is in
//! [`Plain`], which is all that an object without a half of its own gets. The registry has one
//! line for each scheduler.

mod domains;
mod half;
mod limits;
mod plain;
mod registry;
mod session;
mod simple;

pub use half::{HalfError, UserHalf, Wake};
pub use plain::Plain;
pub use registry::{Entry, NewHalf, SCHEDULERS, TextSetting, find};
pub use session::{Choice, Session, SessionError};
