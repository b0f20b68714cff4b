# SPDX-License-Identifier: GPL-2.0-or-later
# What probes on the fair class of Linux 6.18 say, as those on 7.3 would say it.
function field(name,  i) {
	for (i = 1; i <= NF; i++)
		if (index($i, name "=") == 1)
			return substr($i, length(name) + 2)
	return ""
}
function say(what) { print before " " what }
function next_is() {
	say("next: (x) pid=" field("pid") " v=" field("v") " d=" field("d") " safe=" field("safe") \
		" first=1 h=" field("h"))
}
{
	before = $0
	sub(/: [a-z_]+: .*/, ":", before)
}
# A switch within the class calls neither what takes a task off the CPU nor what puts one on it.
/ sched_switch: / || / put: / { next }
/ took: / {
	say("put: (x) pid=" field("from"))
	if (field("prio") >= 100 && field("pid") != 0)
		next_is()
	say("sched_switch: next_pid=" field("pid"))
	next
}
# A task that runs and is changed begins anew.
/ next: / {
	if (field("first") == 0) {
		say("put: (x) pid=" field("pid"))
		next_is()
	}
	next
}
# Two flags have other numbers: of tasks that are new, and of sleeps that can't be disturbed.
/ come: / && int(field("flags") / 128) % 2 {
	sub("flags=" field("flags"), "flags=" field("flags") - 128 + 524288)
}
/ go: / && int(field("flags") / 16) % 2 {
	sub("flags=" field("flags"), "flags=" field("flags") - 16 + 65536)
}
{ print }
