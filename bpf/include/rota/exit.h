/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Why the scheduler ended, for user space. Every scheduler includes this once and calls
 * exit_record(info) in its exit callback.
 */
#pragma once

#include <rota/compat.h>
#include <rota/exit_abi.h>

struct rota_exit rota_exit;
char rota_exit_dump[ROTA_EXIT_DUMP_LEN];

static __always_inline void exit_record(const struct scx_exit_info *info)
{
	rota_exit.code = info->exit_code;
	rota_exit.cpu = scx_exit_cpu(info);
	bpf_probe_read_kernel_str(rota_exit.reason, sizeof(rota_exit.reason), info->reason);
	bpf_probe_read_kernel_str(rota_exit.msg, sizeof(rota_exit.msg), info->msg);
	bpf_probe_read_kernel_str(rota_exit_dump, sizeof(rota_exit_dump), info->dump);
	/* User space takes a kind other than zero as the sign that the rest is there. */
	__sync_val_compare_and_swap(&rota_exit.kind, 0, (u64)info->kind);
}
