/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The exit information as user space reads it. */
#pragma once

#include <rota/types.h>

#define ROTA_EXIT_DUMP_LEN 32768

struct rota_exit {
	u64 kind; /* enum scx_exit_kind; 0 while the scheduler runs */
	s64 code;
	s32 cpu; /* -1 where the kernel does not tell */
	u32 reserved;
	char reason[128];
	char msg[1024];
};

_Static_assert(sizeof(struct rota_exit) == 1176, "user space reads this layout");
