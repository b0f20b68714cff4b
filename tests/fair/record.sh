# SPDX-License-Identifier: GPL-2.0-or-later
# Records what the fair class of this machine does while each of the given scripts runs.
# $1: where the recordings go. $2, ...: the scripts.
here=$(dirname "$0")
into=$1
shift
cd /sys/kernel/tracing || exit
echo 0 >tracing_on
echo 16384 >buffer_size_kb
event() { echo "$1" >>dynamic_events || exit; }
probe() { event "f:fair/$1"; }
preempts=wakeup_preempt_fair h=h_load.weight as_newest=cat
if ! grep -qw "$preempts" /proc/kallsyms; then
	# Before Linux 6.19 it had another name, and switches within the class go another way.
	preempts=check_preempt_wakeup_fair h=load.weight as_newest="awk -f $here/older.awk"
	at=next
	event "t:fair/took sched_switch from=prev->pid pid=$at->pid prio=$at->prio v=$at->se.vruntime d=$at->se.deadline safe=$at->se.vprot h=$at->se.$h"
	echo 0 >/proc/sys/kernel/sched_autogroup_enabled
fi
probe 'come enqueue_task_fair pid=p->pid flags=flags delayed=p->se.sched_delayed vlag=p->se.vlag w=p->se.load.weight tg=p->sched_task_group:u64'
probe 'came enqueue_task_fair%return pid=p->pid v=p->se.vruntime d=p->se.deadline h=p->se.'$h
probe 'go dequeue_task_fair pid=p->pid flags=flags'
probe 'gone dequeue_task_fair%return pid=p->pid vlag=p->se.vlag left=$retval'
probe 'next set_next_task_fair%return pid=p->pid v=p->se.vruntime d=p->se.deadline safe=p->se.vprot first=first h=p->se.'$h
probe 'put put_prev_task_fair%return pid=prev->pid'
probe 'pick pick_task_fair%return pid=$retval->pid task=$retval:u64'
probe 'woken '$preempts'%return pid=p->pid flags=wake_flags safe=rq->curr->se.vprot'
probe 'tick task_tick_fair%return pid=curr->pid timer=queued v=curr->se.vruntime d=curr->se.deadline safe=curr->se.vprot h=curr->se.'$h
probe 'yield yield_task_fair%return pid=rq->curr->pid v=rq->curr->se.vruntime d=rq->curr->se.deadline'
probe 'group sched_online_group tg=tg:u64 parent=parent:u64'
probe 'weigh sched_group_set_shares%return tg=tg:u64 w=shares'
for event in fair sched/sched_switch sched/sched_stat_runtime; do
	echo 1 >"events/$event/enable" || exit
done
# What has to be read for the first time is read, and what was begun ends.
for script in "$@"; do
	(. "$here/$script.sh") >/dev/null 2>&1
done
sleep 0.5
for script in "$@"; do
	echo >trace
	echo 1 >tracing_on
	sleep 0.01
	(. "$here/$script.sh") >/dev/null 2>&1
	echo 0 >tracing_on
	$as_newest trace >"$into/$script"
done
