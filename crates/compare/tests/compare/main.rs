// SPDX-License-Identifier: GPL-2.0-or-later
//! Reports, parts and pages of an experiment whose truth is known.

#![expect(clippy::disallowed_methods, reason = "tests read and write what they expect")]

mod page;
mod part;
mod report;
mod sample;
