// SPDX-License-Identifier: GPL-2.0-or-later
//! The user half of each scheduler, written against Engine and World.
