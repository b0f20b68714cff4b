// SPDX-License-Identifier: GPL-2.0-or-later
//! The door to the live kernel.
