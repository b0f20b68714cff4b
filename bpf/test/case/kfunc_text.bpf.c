/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Comparing, measuring and searching text: what kernels have learned since 6.17. */
#include "case.h"

LICENSE_GPL;

/* 6.17 */
int bpf_strcmp(const char *one, const char *other) __ksym __weak;
int bpf_strchr(const char *text, char c) __ksym __weak;
int bpf_strchrnul(const char *text, char c) __ksym __weak;
int bpf_strnchr(const char *text, unsigned long most, char c) __ksym __weak;
int bpf_strrchr(const char *text, int c) __ksym __weak;
int bpf_strlen(const char *text) __ksym __weak;
int bpf_strnlen(const char *text, unsigned long most) __ksym __weak;
int bpf_strspn(const char *text, const char *accepted) __ksym __weak;
int bpf_strcspn(const char *text, const char *rejected) __ksym __weak;
int bpf_strstr(const char *text, const char *wanted) __ksym __weak;
int bpf_strnstr(const char *text, const char *wanted, unsigned long most) __ksym __weak;
/* 6.18 */
int bpf_strcasecmp(const char *one, const char *other) __ksym __weak;
/* 7.0 */
int bpf_strncasecmp(const char *one, const char *other, unsigned long most) __ksym __weak;
int bpf_strcasestr(const char *text, const char *wanted) __ksym __weak;
int bpf_strncasestr(const char *text, const char *wanted, unsigned long most) __ksym __weak;

static char text[] = "round and round", same[] = "ROUND AND ROUND", late[] = "round trip";

/* A case of a function that this kernel may not have. */
#define CASE_IF(name, function, expected, expression)                                              \
	CASE(name, expected)                                                                       \
	{                                                                                          \
		return ksym_exists(function) ? (expression) : (expected);                          \
	}

CASE_IF(same_text, bpf_strcmp, 0, bpf_strcmp(text, text))
CASE_IF(earlier, bpf_strcmp, -1, bpf_strcmp(text, late))
CASE_IF(later, bpf_strcmp, 1, bpf_strcmp(late, text))
CASE_IF(other_letters, bpf_strcmp, 1, bpf_strcmp(text, same))
CASE_IF(same_but_for_case, bpf_strcasecmp, 0, bpf_strcasecmp(text, same))
CASE_IF(same_start, bpf_strncasecmp, 0, bpf_strncasecmp(same, late, 6))
CASE_IF(other_start, bpf_strncasecmp, -1, bpf_strncasecmp(same, late, 7))
CASE_IF(no_text, bpf_strcmp, -34, bpf_strcmp(text, (char *)unknown(8ULL))) /* ERANGE */
CASE_IF(first, bpf_strchr, 1, bpf_strchr(text, 'o'))
CASE_IF(nowhere, bpf_strchr, -2, bpf_strchr(text, 'x')) /* ENOENT */
CASE_IF(the_end, bpf_strchr, 15, bpf_strchr(text, 0))
CASE_IF(or_the_end, bpf_strchrnul, 15, bpf_strchrnul(text, 'x'))
CASE_IF(too_far, bpf_strnchr, -2, bpf_strnchr(text, 6, 'a')) /* ENOENT */
CASE_IF(within, bpf_strnchr, 6, bpf_strnchr(text, 7, 'a'))
CASE_IF(last, bpf_strrchr, 11, bpf_strrchr(text, 'o'))
CASE_IF(length, bpf_strlen, 15, bpf_strlen(text))
CASE_IF(length_at_most, bpf_strnlen, 4, bpf_strnlen(text, 4))
CASE_IF(made_of, bpf_strspn, 6, bpf_strspn(text, late))
CASE_IF(not_made_of, bpf_strcspn, 5, bpf_strcspn(text, " "))
CASE_IF(part, bpf_strstr, 6, bpf_strstr(text, "and"))
CASE_IF(no_part, bpf_strstr, -2, bpf_strstr(text, "or"))            /* ENOENT */
CASE_IF(part_too_far, bpf_strnstr, -2, bpf_strnstr(text, "and", 8)) /* ENOENT */
CASE_IF(part_within, bpf_strnstr, 6, bpf_strnstr(text, "and", 9))
CASE_IF(part_but_for_case, bpf_strcasestr, 6, bpf_strcasestr(same, "and"))
CASE_IF(part_but_for_case_too_far, bpf_strncasestr, -2,
        bpf_strncasestr(same, "and", 8)) /* ENOENT */
CASE_IF(part_but_for_case_within, bpf_strncasestr, 6, bpf_strncasestr(same, "and", 9))
