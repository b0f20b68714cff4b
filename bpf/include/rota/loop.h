/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Loops whose length the verifier need not know. */
#pragma once

#include <rota/types.h>

struct bpf_iter_num {
	u64 __opaque[1];
} __attribute__((aligned(8)));

s32 bpf_iter_num_new(struct bpf_iter_num *it, s32 start, s32 end) __ksym;
s32 *bpf_iter_num_next(struct bpf_iter_num *it) __ksym;
void bpf_iter_num_destroy(struct bpf_iter_num *it) __ksym;

/* Ends the loop's iterator however its body is left. */
static __always_inline void __loop_end(struct bpf_iter_num *it)
{
	bpf_iter_num_destroy(it);
}

/* For i from start to end, not included: the body may break, continue, and return. */
#define loop(i, start, end)                                                                        \
	for (struct bpf_iter_num __it __attribute__((cleanup(__loop_end))) = {},                   \
	                              *__begun = (bpf_iter_num_new(&__it, (start), (end)), &__it); \
	     ({                                                                                    \
		     s32 *__at = bpf_iter_num_next(__begun);                                       \
		     __at && (i = *__at, (void)i, 1);                                              \
	     });)
