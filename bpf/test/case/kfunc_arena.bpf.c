/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An arena: pages that both halves of a scheduler see, with pointers between them. */
#include "case.h"
#include <rota/map.h>

LICENSE_GPL;

#define __arena __attribute__((address_space(1)))

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 8);
} arena SEC(".maps");

void __arena *bpf_arena_alloc_pages(void *map, void __arena *address, u32 pages, int node,
                                    u64 flags) __ksym;
void bpf_arena_free_pages(void *map, void __arena *address, u32 pages) __ksym;

struct element {
	struct element __arena *next;
	u64 number;
};

struct element __arena *head;
u64 __arena counter;

CASE(pages_are_zero, 0)
{
	u64 __arena *page = bpf_arena_alloc_pages(&arena, NULL, 1, -1, 0);
	u64 sum;

	if (!page)
		return 99;
	sum = page[0] + page[511];
	page[0] = 5; /* for whoever gets the page next: it must not see this */
	bpf_arena_free_pages(&arena, page, 1);
	return sum;
}

CASE(linked_list, 30)
{
	struct element __arena *page = bpf_arena_alloc_pages(&arena, NULL, 1, -1, 0), *element;
	u64 sum = 0;
	u32 i;

	if (!page)
		return 99;
	head = NULL;
	for (i = 0; i < 5; i++) {
		element = &page[i];
		element->number = 2 * (i + 1);
		element->next = head;
		head = element;
	}
	for (element = head, i = 0; element && i < 100; element = element->next, i++)
		sum += element->number;
	bpf_arena_free_pages(&arena, page, 1);
	return sum;
}

CASE(globals, 7)
{
	counter = unknown(5);
	__sync_fetch_and_add(&counter, 2);
	return counter;
}

CASE(too_many_pages, 1)
{
	return bpf_arena_alloc_pages(&arena, NULL, 9, -1, 0) == NULL;
}

CASE(pages_side_by_side, 1)
{
	char __arena *pages = bpf_arena_alloc_pages(&arena, NULL, 2, -1, 0);
	bool whole;

	if (!pages)
		return 99;
	pages[0] = 1;
	pages[4096] = 2;
	whole = pages[0] == 1 && pages[4096] == 2;
	bpf_arena_free_pages(&arena, pages, 2);
	return whole;
}
