/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Flags of enqueue() and of insertions. Their numbers are the running kernel's, so none stand here.
 */
#pragma once

enum scx_enq_flags {
	SCX_ENQ_WAKEUP = 0,
	SCX_ENQ_PREEMPT = 0,
	SCX_ENQ_LAST = 0,
};
#define enq_flag(name) __builtin_preserve_enum_value(*(enum scx_enq_flags *)name, 1)
