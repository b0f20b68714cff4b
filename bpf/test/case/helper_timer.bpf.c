/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Timers, and work that is done later. */
#include "case.h"
#include <rota/map.h>

LICENSE_GPL;

#define CLOCK_MONOTONIC 1
#define SECOND          1000000000ULL
#define MILLISECOND     1000000ULL
#define BPF_F_TIMER_ABS 1

struct bpf_timer {
	u64 __opaque[2];
} __attribute__((aligned(8)));
struct bpf_wq {
	u64 __opaque[2];
} __attribute__((aligned(8)));

static u64 (*const bpf_ktime_get_ns)(void) = (void *)5;
static long (*const bpf_timer_init)(struct bpf_timer *timer, void *map, u64 clock) = (void *)169;
static long (*const bpf_timer_set_callback)(struct bpf_timer *timer, void *callback) = (void *)170;
static long (*const bpf_timer_start)(struct bpf_timer *timer, u64 nsecs, u64 flags) = (void *)171;
static long (*const bpf_timer_cancel)(struct bpf_timer *timer) = (void *)172;

int bpf_wq_init(struct bpf_wq *wq, void *map, unsigned int flags) __ksym;
int bpf_wq_start(struct bpf_wq *wq, unsigned int flags) __ksym;
/* 7.0: the verifier supplies the last argument. */
int bpf_wq_set_callback___new(struct bpf_wq *wq, int (*callback)(void *map, int *key, void *value),
                              unsigned int flags) __ksym __weak;
int bpf_wq_set_callback_impl(struct bpf_wq *wq, int (*callback)(void *map, int *key, void *value),
                             unsigned int flags, void *aux) __ksym __weak;

/* 7.0 */
int bpf_timer_cancel_async___new(struct bpf_timer *timer) __ksym __weak;

struct value {
	struct bpf_timer timer;
	struct bpf_wq work;
	u64 fired;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, u32);
	__type(value, struct value);
} array SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4);
	__type(key, u32);
	__type(value, struct value);
} hash SEC(".maps");

static struct value *get(u32 key)
{
	return bpf_map_lookup_elem(&array, &key);
}

/* Leaves its key in its value. */
static int on_time(void *map, u32 *key, struct value *value)
{
	value->fired = 100 + *key;
	return 0;
}

/* Comes three times. */
static int again(void *map, u32 *key, struct value *value)
{
	if (++value->fired < 3)
		bpf_timer_start(&value->timer, MILLISECOND, 0);
	return 0;
}

CASE(not_made_yet, -22) /* EINVAL */
{
	struct value *value = get(0);

	return value ? bpf_timer_start(&value->timer, SECOND, 0) : 99;
}

CASE(unknown_clock, -22) /* EINVAL */
{
	struct value *value = get(0);

	return value ? bpf_timer_init(&value->timer, &array, 3) : 99;
}

CASE(made_once, -16) /* EBUSY */
{
	struct value *value = get(0);

	if (!value || bpf_timer_init(&value->timer, &array, CLOCK_MONOTONIC))
		return 99;
	return bpf_timer_init(&value->timer, &array, CLOCK_MONOTONIC);
}

CASE(without_a_callback, -22) /* EINVAL */
{
	struct value *value = get(0);

	return value ? bpf_timer_start(&value->timer, SECOND, 0) : 99;
}

CASE(cancelled_in_time, 10)
{
	struct value *value = get(0);
	long first;

	if (!value || bpf_timer_set_callback(&value->timer, on_time) ||
	    bpf_timer_start(&value->timer, 60 * SECOND, 0))
		return 99;
	first = bpf_timer_cancel(&value->timer);
	return 10 * first + bpf_timer_cancel(&value->timer);
}

CASE(cancelling_takes_the_callback, -22) /* EINVAL */
{
	struct value *value = get(0);

	return value ? bpf_timer_start(&value->timer, SECOND, 0) : 99;
}

CASE(bad_flags, -22) /* EINVAL */
{
	struct value *value = get(0);

	if (!value || bpf_timer_set_callback(&value->timer, on_time))
		return 99;
	return bpf_timer_start(&value->timer, SECOND, 8);
}

/* This way it keeps its callback, and can be started again. */
CASE(cancelled_without_waiting, 101)
{
	struct value *value = get(0);
	long first, again;

	if (!ksym_exists(bpf_timer_cancel_async___new))
		return 101;
	if (!value || bpf_timer_start(&value->timer, 60 * SECOND, 0))
		return 99;
	first = bpf_timer_cancel_async___new(&value->timer);
	again = bpf_timer_cancel_async___new(&value->timer);
	if (bpf_timer_start(&value->timer, 60 * SECOND, 0))
		return 98;
	return 100 * first + 10 * again + bpf_timer_cancel(&value->timer);
}

CASE(start_one, 0)
{
	struct value *value = get(1);

	if (!value || bpf_timer_init(&value->timer, &array, CLOCK_MONOTONIC) ||
	    bpf_timer_set_callback(&value->timer, on_time))
		return 99;
	return bpf_timer_start(&value->timer, MILLISECOND, 0);
}

CASE_AFTER(one_came, 200, 101)
{
	struct value *value = get(1);

	return value ? value->fired : 99;
}

CASE(start_a_series, 0)
{
	struct value *value = get(2);

	if (!value || bpf_timer_init(&value->timer, &array, CLOCK_MONOTONIC) ||
	    bpf_timer_set_callback(&value->timer, again))
		return 99;
	return bpf_timer_start(&value->timer, bpf_ktime_get_ns() + MILLISECOND, BPF_F_TIMER_ABS);
}

CASE_AFTER(all_three_came, 200, 3)
{
	struct value *value = get(2);

	return value ? value->fired : 99;
}

/* A timer goes with its value. */
CASE(start_in_a_table, 0)
{
	struct value empty = {}, *value;
	u32 stays = 7, goes = 8;

	bpf_map_update_elem(&hash, &stays, &empty, BPF_ANY);
	bpf_map_update_elem(&hash, &goes, &empty, BPF_ANY);
	value = bpf_map_lookup_elem(&hash, &stays);
	if (!value || bpf_timer_init(&value->timer, &hash, CLOCK_MONOTONIC) ||
	    bpf_timer_set_callback(&value->timer, on_time) ||
	    bpf_timer_start(&value->timer, MILLISECOND, 0))
		return 99;
	value = bpf_map_lookup_elem(&hash, &goes);
	if (!value || bpf_timer_init(&value->timer, &hash, CLOCK_MONOTONIC) ||
	    bpf_timer_set_callback(&value->timer, on_time) ||
	    bpf_timer_start(&value->timer, SECOND / 2, 0))
		return 98;
	bpf_map_delete_elem(&hash, &goes);
	bpf_map_update_elem(&hash, &goes, &empty, BPF_ANY);
	return 0;
}

CASE_AFTER(only_what_stayed_came, 700, 107)
{
	u32 stays = 7, goes = 8;
	struct value *one = bpf_map_lookup_elem(&hash, &stays);
	struct value *other = bpf_map_lookup_elem(&hash, &goes);

	return one && other && !other->fired ? one->fired : 99;
}

static int work(void *map, int *key, void *at)
{
	struct value *value = at;

	value->fired = 200 + *key;
	return 0;
}

CASE(start_work, 0)
{
	struct value *value = get(3);
	int error;

	if (!value || bpf_wq_start(&value->work, 0) != -22 ||
	    bpf_wq_init(&value->work, &array, 0) || bpf_wq_init(&value->work, &array, 0) != -16)
		return 99;
	if (ksym_exists(bpf_wq_set_callback___new))
		error = bpf_wq_set_callback___new(&value->work, work, 0);
	else
		error = bpf_wq_set_callback_impl(&value->work, work, 0, NULL);
	return error ?: bpf_wq_start(&value->work, 0);
}

CASE_AFTER(work_was_done, 200, 203)
{
	struct value *value = get(3);

	return value ? value->fired : 99;
}
