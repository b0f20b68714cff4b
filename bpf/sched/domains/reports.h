/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What user space is told of tasks, and what it wants of them.
 *
 * A task has a slot for as long as it lives; what is in it says which task that is. So an order
 * that comes when the task is gone is for nobody, and nothing is left that could point to it.
 */
#pragma once

#include <rota/average.h>
#include <rota/stack.h>

/* What is told of a task. */
struct SHARED domains_report {
	u64 task; /* how many tasks came before it, and one; 0 while the slot is free */
	/* What it could use: how long it runs, of the time for which it does not wait. */
	struct average duty;
	u64 moved_at_ns;
	u32 pid;
	u32 weight;
	u32 domain;
	u32 group;    /* the place of its cgroup; NO_PLACE if that has none */
	u32 confined; /* it may not use every domain; then allowed says which */
	u32 reserved;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct domains_report);
} reports SEC(".maps");

/* The domain that a task is to go to. It counts if the slot is still that task's. */
struct SHARED domains_order {
	u64 task;
	u32 domain;
	u32 reserved;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct domains_order);
} orders SEC(".maps");

/* The domains that a confined task may use, 64 to a word, and so many words a slot. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} allowed SEC(".maps");

/* Slots that were used and are free. */
struct {
	__uint(type, BPF_MAP_TYPE_STACK);
	__uint(max_entries, 1);
	__type(value, u32);
} free_slots SEC(".maps");

u32 slots_used;
static u64 tasks_seen;

static struct domains_report *report_at(u32 slot)
{
	return bpf_map_lookup_elem(&reports, &slot);
}

/* Takes a slot for a new task; NO_PLACE if none is left. */
static u32 take_slot(const struct task_struct *p, u32 domain, u32 group)
{
	u32 slot = take_place(&free_slots, &slots_used, tasks_max);
	struct domains_report *report = report_at(slot);

	if (!report)
		return NO_PLACE;
	__builtin_memset(&report->duty, 0, sizeof(report->duty));
	report->pid = p->pid;
	report->weight = p->scx.weight;
	report->domain = domain;
	report->group = group;
	report->moved_at_ns = report->duty.at_ns = bpf_ktime_get_ns();
	report->task = __sync_fetch_and_add(&tasks_seen, 1) + 1;
	return slot;
}

/* Gives back the slot of a task that is gone. */
static void give_slot(u32 slot)
{
	struct domains_report *report = report_at(slot);

	if (!report || !report->task)
		return;
	report->task = 0;
	bpf_map_push_elem(&free_slots, &slot, 0);
}

/* What a task does from now on: it runs, waits, or sleeps. */
static void tell_duty(u32 slot, enum average_state state)
{
	struct domains_report *report = report_at(slot);

	if (report)
		average_set(&report->duty, bpf_ktime_get_ns(), state, half_life_ns);
}

/* Where a task is from now on. */
static void tell_domain(u32 slot, u32 domain)
{
	struct domains_report *report = report_at(slot);

	if (!report)
		return;
	report->domain = domain;
	report->moved_at_ns = bpf_ktime_get_ns();
}

static void tell_weight(u32 slot, u32 weight)
{
	struct domains_report *report = report_at(slot);

	if (report)
		report->weight = weight;
}

static void tell_group(u32 slot, u32 group)
{
	struct domains_report *report = report_at(slot);

	if (report)
		report->group = group;
}

/* Notes whether a task may use a domain, of which it may not use all. */
static void tell_allowed(u32 slot, u32 domain, bool may)
{
	u32 words = (domain_count + 63) / 64, at = slot * words + domain / 64;
	u64 *word = bpf_map_lookup_elem(&allowed, &at), bit = 1ULL << (domain & 63);

	if (word)
		*word = may ? *word | bit : *word & ~bit;
}

/* The domain that user space wants the task of a slot to go to; NONE if there is none. */
static u32 order_for(u32 slot)
{
	struct domains_order *order = bpf_map_lookup_elem(&orders, &slot);
	struct domains_report *report = report_at(slot);

	if (!order || !report || !order->task || order->task != report->task)
		return NONE;
	return order->domain;
}

/* The same, once. */
static u32 take_order(u32 slot)
{
	u32 domain = order_for(slot);
	struct domains_order *order = bpf_map_lookup_elem(&orders, &slot);

	if (order && domain != NONE)
		order->task = 0;
	return domain;
}
