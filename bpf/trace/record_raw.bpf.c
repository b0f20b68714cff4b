/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The same recorder for kernels that do not let tracepoints be used with types: it is given
 * addresses, and looks at what is there.
 */
#define RAW
#include "record.bpf.c"
