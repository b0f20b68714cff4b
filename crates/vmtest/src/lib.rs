// SPDX-License-Identifier: GPL-2.0-or-later
//! QEMU with a real sched_ext kernel, and the tests that run in it.
