/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Asks for a value of the configuration that is there from Linux 7.3 on. */
#include <rota/types.h>

LICENSE_GPL;

extern bool CONFIG_HAS_SEPARATE_PREEMPT_RESCHED_BITS __attribute__((section(".kconfig")));

SEC("syscall") int ask(void *ctx)
{
	return CONFIG_HAS_SEPARATE_PREEMPT_RESCHED_BITS;
}
