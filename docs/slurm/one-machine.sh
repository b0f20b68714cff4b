#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Runs a command with a Slurm cluster of one node, this machine, and takes the cluster down again.
# Everything is in a new folder and on ports of its own: it meets no other Slurm. Debian has it in
# the packages slurmctld, slurmd, slurm-client and munge.
#
#     docs/slurm/one-machine.sh sbatch --wait --array=1-4 docs/slurm/part.sh simple eevdf
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin

for program in munged slurmctld slurmd sbatch sinfo; do
	if ! command -v "$program" >/dev/null; then
		echo "one-machine.sh: there is no $program; apt-get install slurmctld slurmd slurm-client munge" >&2
		exit 1
	fi
done

folder=$(mktemp -d)
daemons=()
stop() {
	# The last that was started is the first that goes.
	for ((i = ${#daemons[@]} - 1; i >= 0; i--)); do
		kill "${daemons[i]}" 2>/dev/null || true
		wait "${daemons[i]}" 2>/dev/null || true
	done
	rm -rf "$folder"
}
trap stop EXIT

# Slurm's daemons trust each other by a key.
head -c 128 /dev/urandom >"$folder/key"
chmod 600 "$folder/key"
chmod 755 "$folder"
munged --foreground --force --key-file="$folder/key" --socket="$folder/munge" \
	--pid-file="$folder/munge.pid" --seed-file="$folder/munge.seed" --log-file="$folder/munge.log" \
	>"$folder/munge.out" 2>&1 &
daemons+=($!)

mkdir "$folder/state" "$folder/spool"
host=$(hostname -s)
port=$((20000 + $$ % 10000 * 2))
cat >"$folder/slurm.conf" <<END
ClusterName=one
SlurmctldHost=$host(127.0.0.1)
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
SlurmctldPort=$port
SlurmdPort=$((port + 1))
AuthType=auth/munge
AuthInfo=socket=$folder/munge
CredType=cred/munge
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc)
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
END
export SLURM_CONF=$folder/slurm.conf

for try in {1..100}; do
	[ -S "$folder/munge" ] && break
	sleep 0.1
done
slurmctld -D >"$folder/slurmctld.out" 2>&1 &
daemons+=($!)
slurmd -D >"$folder/slurmd.out" 2>&1 &
daemons+=($!)
for try in {1..300}; do
	state=$(sinfo --noheader --format=%t 2>/dev/null || true)
	[ "$state" = idle ] && break
	sleep 0.1
done
if [ "$state" != idle ]; then
	echo "one-machine.sh: the cluster did not come up, its node is ${state:-unknown}:" >&2
	tail -n 5 "$folder"/*.log "$folder"/*.out >&2
	exit 1
fi
"$@"
