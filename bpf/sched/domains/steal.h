/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Taking tasks from the queues of other domains. One that stays on the nodes of its memory is left
 * there: what it gains from a CPU that is idle elsewhere, it loses to memory that is far.
 */
#pragma once

#define TAKE_STEPS 16 /* so many who wait are looked at for one that does not stay */

bool scx_bpf_dsq_move(struct bpf_iter_scx_dsq *it, struct task_struct *p, u64 dsq_id,
                      u64 enq_flags) __ksym;

/* Whether a CPU may take a task that waits elsewhere. */
static bool may_take(struct task_struct *p, s32 cpu)
{
	struct domains_task *task = task_ctx(p);

	return task && !p->migration_disabled && bpf_cpumask_test_cpu(cpu, p->cpus_ptr) &&
	       bpf_cpumask_test_cpu(cpu, fit_cpus(p, task));
}

/* Takes the first task that a CPU may take from the queue of a domain of another node. */
static bool take_free(u32 from, s32 cpu)
{
	struct bpf_iter_scx_dsq it;
	struct task_struct *p;
	bool taken = false;
	u32 step;

	if (!bpf_iter_scx_dsq_new(&it, from, 0)) {
		loop(step, 0, TAKE_STEPS) {
			p = bpf_iter_scx_dsq_next(&it);
			if (!p)
				break;
			if (!may_take(p, cpu))
				continue;
			taken = scx_bpf_dsq_move(&it, p, SCX_DSQ_LOCAL, 0);
			if (taken)
				break;
		}
	}
	bpf_iter_scx_dsq_destroy(&it);
	return taken;
}

/* Takes a task from a domain's queue for a CPU: the first, unless it stays on another node. */
static bool take(u32 from, s32 cpu, const struct domains_cpu *here)
{
	if (!staying || node_of(from) == node_of(here->domain))
		return scx_bpf_dsq_move_to_local(from);
	return take_free(from, cpu);
}

/* Takes a task from the queue of a domain among 64 in which somebody waits, if there is one. */
static bool take_waiting(u32 at, s32 cpu, const struct domains_cpu *here)
{
	u64 *word = bpf_map_lookup_elem(&waiting, &at), left = word ? *word : 0;
	u32 step;

	loop(step, 0, 64) {
		u32 id = at * 64 + __builtin_ctzll(left | 1ULL << 63);

		if (!left)
			return false;
		if (scx_bpf_dsq_nr_queued(id) > 0 && take(id, cpu, here))
			return true;
		left &= left - 1;
		if (!scx_bpf_dsq_nr_queued(id))
			note_empty(id, word);
	}
	return false;
}

/* Takes a task from the queue of a domain that has no CPU left. */
static bool take_deserted(void)
{
	u32 id;

	loop(id, 0, domain_count) {
		struct domain *domain = domain_at(id);

		if (domain && !domain->cpus_online && scx_bpf_dsq_move_to_local(id))
			return true;
	}
	return false;
}

/* Takes a task from another domain's queue: one that called, a near one, or any. */
static bool steal(struct domains_cpu *here, s32 cpu)
{
	u32 step, words = (domain_count + 63) / 64;

	if (here->called_by) {
		u32 caller = here->called_by - 1;

		here->called_by = 0;
		if (take(caller, cpu, here))
			return true;
	}
	loop(step, 0, near_domains) {
		u32 other = nearest(here->domain, step);

		if (other == NONE)
			return false;
		if (scx_bpf_dsq_nr_queued(other) > 0 && take(other, cpu, here))
			return true;
	}
	/* Then 64 of all at a time, each time others. */
	return take_waiting(here->next++ % words, cpu, here);
}
