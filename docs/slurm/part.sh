#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# One part of a comparison, as a task of a Slurm job array: sbatch --array=1-4 part.sh simple eevdf
# The results are in part-1.parquet and so on, in the folder where the job was handed in.
exec rota compare "$@" --jobs "${SLURM_CPUS_PER_TASK:-1}" \
	--shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT" --out "part-$SLURM_ARRAY_TASK_ID.parquet"
