# SPDX-License-Identifier: GPL-2.0-or-later
"""Decodes a trace of `rota fn --output` with Perfetto's own messages, and compares it with what was printed
at the same time by `--args --format json`. Says what it compared; exit code 1 if anything differs.

    calls_trace.py TRACE.base64 SESSIONS.jsonl PROGRAMS

PROGRAMS is what the names of BPF programs begin with: of their times, what tracing took is taken off.
"""

import base64
import json
import sys
from collections import Counter, defaultdict

from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as protos


def decoded(trace):
    """The calls of each thread, each (name, begin, end, what is known, calls within it), and its name."""
    owners, names, roots, stacks = {}, {}, defaultdict(list), defaultdict(list)
    for packet in trace.packet:
        if packet.HasField("track_descriptor"):
            track = packet.track_descriptor
            thread = track.thread
            owner = (thread.pid, thread.tid) if track.HasField("thread") else (0, track.name)
            if owner in names:
                sys.exit(f"{owner} has two tracks")
            owners[track.uuid] = owner
            names[owner] = thread.thread_name or track.name
        if not packet.HasField("track_event"):
            continue
        event = packet.track_event
        owner = owners[event.track_uuid]
        if event.type == event.TYPE_SLICE_BEGIN:
            known = {it.name: it.string_value for it in event.debug_annotations}
            call = [event.name, packet.timestamp, None, known, []]
            around = stacks[owner][-1][4] if stacks[owner] else roots[owner]
            around.append(call)
            stacks[owner].append(call)
        elif event.type == event.TYPE_SLICE_END:
            stacks[owner].pop()[2] = packet.timestamp
        else:
            sys.exit(f"an event that nobody wrote: {event}")
    if any(stacks.values()):
        sys.exit("calls that do not end")
    return roots, names


class Comparison:
    """Compares calls, and counts them."""

    def __init__(self, cost_ns, programs):
        self.cost_ns, self.programs, self.counts = cost_ns, programs, Counter()

    def call(self, ours, theirs, began_ns):
        name, begin, end, known, calls = theirs
        if (name, begin - began_ns) != (ours["function"], ours["after_ns"]):
            sys.exit(f"{theirs[:4]} is not {ours}")
        cost = self.cost_ns if name.startswith(self.programs) else 0
        if ours["duration_ns"] not in (None, max(end - begin - cost, 0)):
            sys.exit(f"{name} takes {end - begin}, not {ours['duration_ns']} and {cost}")
        expected = {it["name"]: it["value"] for it in ours["args"]}
        expected["result"] = ours["result"] or "?"
        if "place" in ours:
            expected["source"] = ours["place"]
            self.counts["places"] += 1
        if known != expected:
            sys.exit(f"of {name} {known} is known, not {expected}")
        self.counts["calls"] += 1
        self.counts["args"] += len(ours["args"])
        inner = ours.get("calls", [])
        self.counts["nested"] += len(inner)
        if len(inner) != len(calls):
            sys.exit(f"within {name} are {len(calls)} calls, not {len(inner)}")
        for ours, theirs in zip(inner, calls, strict=True):
            self.call(ours, theirs, began_ns)


def main(path, sessions, programs):
    trace = protos.Trace()
    with open(path, "rb") as file:
        trace.ParseFromString(base64.b64decode(file.read()))
    roots, names = decoded(trace)
    with open(sessions, encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    comparison, offsets, seen = Comparison(lines[0]["cost_ns"], programs), set(), Counter()
    for session in lines:
        if "call" not in session:
            continue
        pid = session["pid"]
        owner = (session["tgid"], pid) if pid else (0, session["comm"])
        # Threads change their names.
        if not seen[owner] and names[owner] != session["comm"]:
            sys.exit(f"{owner} is named {names[owner]}, not {session['comm']}")
        root = roots[owner][seen[owner]]
        seen[owner] += 1
        comparison.call(session["call"], root, root[1])
        offsets.add(session["time_ns"] - root[1])
    if len(offsets) != 1:
        sys.exit(f"begins are apart by {offsets}")
    if {owner: len(calls) for owner, calls in roots.items()} != dict(seen):
        sys.exit(f"threads have other calls: {seen}")
    idle = sum(owner[0] == 0 for owner in names)
    print(json.dumps({"threads": len(names), "idle": idle, **comparison.counts}))


main(*sys.argv[1:])
