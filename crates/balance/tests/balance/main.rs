// SPDX-License-Identifier: GPL-2.0-or-later
//! Shares and plans against slow references that share no code with them.
//!
//! `ROTA_CASES` says how many random cases each test tries, `ROTA_SEED` from which seed on. A test
//! that fails names the seed of its case.
#![expect(clippy::disallowed_methods, reason = "tests are told by the environment how many")]

mod bad_plans;
mod confined;
mod groups;
mod lp;
mod numbers;
mod plan;
mod random;
mod reference;
mod shares;
