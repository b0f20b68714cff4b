// SPDX-License-Identifier: GPL-2.0-or-later
//! Verifier statistics and what a kernel allows.
