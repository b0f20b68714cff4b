# SPDX-License-Identifier: GPL-2.0-or-later
"""Decodes a trace for Perfetto with Perfetto's own messages, and compares it with the events it was made
of: JSON lines, as `rota view --as json` writes them. Says what it compared; exit code 1 if anything differs.

    perfetto_trace.py TRACE EVENTS.jsonl [--arrows] [--callbacks]

With --arrows, the trace must have an arrow for each task that was woken by another and then ran.
With --callbacks, it must have every call of a callback.
"""

import json
import sys
from collections import Counter, defaultdict
from itertools import groupby

from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as protos

IN_INTERRUPT = 0x08
CLONE_THREAD = 0x10000
LETTERS = {0: "R", 1: "S", 2: "D", 4: "T", 8: "t", 16: "X", 32: "Z", 64: "P", 128: "I", 256: "R+"}
UNKNOWN = object()
CALLS = "select_cpu runnable quiescent enqueue dequeue dispatch running stopping yield tick".split()


def whole(event):
    """A whole event: when, and what it says."""
    kind = event.WhichOneof("event")
    says = getattr(event, kind)
    interrupt = event.common_flags & IN_INTERRUPT
    by = 0 if interrupt else event.pid
    if kind == "sched_switch":
        return ("switch", says.prev_pid, LETTERS[says.prev_state], says.next_pid, says.next_comm)
    if kind == "sched_waking":
        return ("waking", by, says.pid, says.comm)
    if kind == "sched_wakeup_new":
        return ("wakeup", by, says.pid, says.comm, says.target_cpu)
    if kind == "sched_migrate_task":
        return ("migrate", says.pid, says.orig_cpu, says.dest_cpu)
    if kind == "task_newtask":
        return ("fork", event.pid, says.pid)
    if kind == "sched_process_exit":
        return ("exit", says.pid)
    if kind == "cpu_frequency":
        return ("frequency", says.cpu_id, says.state)
    raise ValueError(kind)


def columns(compact):
    """The switches and wakings of a bundle that are columns."""
    names, now = compact.intern_table, 0
    switches = zip(
        compact.switch_timestamp, compact.switch_prev_state, compact.switch_next_pid,
        compact.switch_next_prio, compact.switch_next_comm_index, strict=True,
    )
    for step, state, pid, _, name in switches:
        now += step
        yield now, ("switch", UNKNOWN, LETTERS[state], pid, names[name])
    now = 0
    wakings = zip(
        compact.waking_timestamp, compact.waking_pid, compact.waking_target_cpu,
        compact.waking_prio, compact.waking_comm_index, compact.waking_common_flags, strict=True,
    )
    for step, pid, _, _, name, flags in wakings:
        now += step
        yield now, ("waking", 0 if flags & IN_INTERRUPT else UNKNOWN, pid, names[name])


def moves_first(found):
    """Of what happens at one time, moves first: Perfetto makes no track of them, and takes them last."""
    by_time = [list(group) for _, group in groupby(found, key=lambda entry: entry[0])]
    return [entry for group in by_time for entry in sorted(group, key=lambda e: e[1][0] != "migrate")]


def cpus_of_trace(trace):
    """What each CPU did, in the order in which Perfetto takes it, with who was there filled in."""
    bundles = defaultdict(list)
    for packet in trace.packet:
        if packet.HasField("ftrace_events"):
            bundles[packet.ftrace_events.cpu].append(packet.ftrace_events)
    cpus = {}
    for cpu, list_of in bundles.items():
        found, running = [], UNKNOWN
        for bundle in list_of:
            if bundle.lost_events:
                found.append((0, ("lost",)))
                running = UNKNOWN
            piece = list(columns(bundle.compact_sched))
            piece += [(event.timestamp, whole(event)) for event in bundle.event]
            for time, says in sorted(piece, key=lambda entry: entry[0]):
                if UNKNOWN in says:
                    assert running is not UNKNOWN, "nobody is known to be there"
                    says = tuple(running if word is UNKNOWN else word for word in says)
                if says[0] == "switch":
                    running = says[3]
                found.append((time, says))
        cpus[cpu] = moves_first(found)
    return cpus


def pid(task):
    return task["pid"] if task else 0


def cpus_of_events(events, names):
    """The same of events. A wake-up that was asked for is told by the asking alone."""
    cpus, asked = defaultdict(list), set()
    for event in events:
        kind, task, cpu = event["event"], event["task"], event["cpu"]
        key, name = pid(task), task["comm"] if task else f"swapper/{cpu}"
        if kind == "switch":
            asked.discard(key)
            state = event.get("state", "R" if event["runnable"] or not event["from"] else "S")
            state = "S" if state == "?" else state
            says = ("switch", pid(event["from"]), state, key, name)
        elif kind == "waking":
            asked.add(key)
            says = ("waking", pid(event["waker"]), key, name)
        elif kind == "wakeup":
            if key in asked:
                asked.discard(key)
                continue
            says = ("wakeup", pid(event["waker"]), key, name, event["on_cpu"])
        elif kind == "migrate":
            says = ("migrate", key, event["from_cpu"], event["to_cpu"])
        elif kind == "fork":
            says = ("fork", pid(event["parent"]), key)
        elif kind == "exit":
            asked.discard(key)
            says = ("exit", key)
        elif kind == "counter" and event["name"] == "cpu_frequency":
            says = ("frequency", cpu, event["value"])
        elif kind == "lost":
            if cpus[cpu] and cpus[cpu][-1][1] == ("lost",):
                continue
            says = ("lost",)
        else:
            continue
        cpus[cpu].append((0 if kind == "lost" else event["time_ns"], says))
        if key:
            names.setdefault(key, set()).add(name)
    return {cpu: moves_first(found) for cpu, found in cpus.items()}


def slices(cpus):
    """Who ran where from when until when."""
    found = []
    for cpu, list_of in cpus.items():
        since = None
        for time, says in list_of:
            if says[0] == "lost":
                since = None
            elif says[0] == "switch":
                if since and since[1] == says[1] and says[1]:
                    found.append((cpu, since[0], time, says[1], says[2]))
                since = (time, says[3])
    return sorted(found)


def tracks(trace):
    """Counters by the names of their tracks, instants, arrows from whom to whom, slices by the names of
    their tracks, and calls."""
    named, threads, counters, instants = {}, {}, defaultdict(list), []
    starts, arrows, open_slices, stays, calls = {}, [], {}, defaultdict(list), []
    numbered = {}
    for packet in trace.packet:
        for name in packet.interned_data.event_names:
            assert name.iid not in numbered, "a number stands for two names"
            numbered[name.iid] = name.name
        if packet.HasField("track_descriptor"):
            track = packet.track_descriptor
            named[track.uuid] = track.name
            if track.HasField("thread"):
                threads[track.uuid] = track.thread.tid
        if packet.HasField("track_event"):
            event = packet.track_event
            name = event.name
            if event.name_iid:
                assert packet.sequence_flags & packet.SEQ_NEEDS_INCREMENTAL_STATE
                name = numbered[event.name_iid]
            beside = zip(event.extra_counter_track_uuids, event.extra_counter_values, strict=True)
            for track, value in beside:
                counters[named[track]].append((packet.timestamp, value))
            if event.type == event.TYPE_COUNTER:
                value = event.counter_value
                if not event.HasField("counter_value"):
                    value = event.double_counter_value
                counters[named[event.track_uuid]].append((packet.timestamp, value))
            elif event.type == event.TYPE_SLICE_BEGIN:
                assert event.track_uuid not in open_slices, "slices of one track overlap"
                open_slices[event.track_uuid] = (packet.timestamp, name)
            elif event.type == event.TYPE_SLICE_END:
                since, title_of = open_slices.pop(event.track_uuid)
                stays[named[event.track_uuid]].append((since, packet.timestamp, title_of))
            elif named[event.track_uuid].endswith(" calls"):
                task = event.debug_annotations[0].string_value if event.debug_annotations else None
                calls.append((packet.timestamp, named[event.track_uuid], event.name, task))
            elif event.track_uuid in threads:
                for flow in event.flow_ids:
                    starts[flow] = (packet.timestamp, threads[event.track_uuid])
                for flow in event.terminating_flow_ids:
                    arrows.append((*starts[flow], packet.timestamp, threads[event.track_uuid]))
            else:
                instants.append((packet.timestamp, named[event.track_uuid], event.name))
    for track, (since, name) in open_slices.items():
        stays[named[track]].append((since, None, name))
    return counters, instants, arrows, stays, calls


def title(task):
    return f"{task['comm']}[{task['pid']}]" if task else None


def stays_of_events(events):
    """Who was in which queue from when until when; until None if the recording ends before."""
    inside, stays = {}, defaultdict(list)

    def leave(task, time):
        if task in inside:
            dsq, since, name = inside.pop(task)
            name_of = dsq.replace(":", " ")
            stays[f"in DSQ {name_of}"].append((since, time, name))

    for event in events:
        kind, time, task = event["event"], event["time_ns"], pid(event["task"])
        if kind == "insert":
            leave(task, time)
            inside[task] = (event["dsq"], time, title(event["task"]))
        elif kind in ("remove", "exit"):
            leave(task, time)
        elif kind == "lost":
            for other in list(inside):
                leave(other, time)
    for task in list(inside):
        leave(task, None)
    return stays


def arrows_of_events(events):
    opened, arrows = {}, []
    for event in events:
        task = pid(event["task"])
        if event["event"] == "waking" and event["waker"]:
            opened[task] = (event["time_ns"], pid(event["waker"]))
        elif event["event"] == "switch" and task in opened:
            arrows.append((*opened.pop(task), event["time_ns"], task))
    return arrows


def busy(events, start, end):
    """For each CPU, the share of a window in which it ran tasks, of the time that is known."""
    state, since, known = {}, {}, defaultdict(lambda: [0, 0])
    for event in events + [{"event": "end", "time_ns": end, "cpu": None}]:
        now = min(max(event["time_ns"], start), end)
        for cpu in list(state) if event["cpu"] is None else [event["cpu"]]:
            if cpu in state:
                known[cpu][state[cpu]] += now - min(max(since[cpu], start), end)
            since[cpu] = now
        if event["event"] == "switch":
            state[event["cpu"]] = int(event["task"] is not None)
        elif event["event"] in ("lost", "hidden"):
            state.pop(event["cpu"], None)
    return {cpu: ran / (ran + idle) for cpu, (idle, ran) in known.items() if ran + idle}


def same(what, found, expected):
    if found != expected:
        pairs = [pair for pair in zip(found, expected) if pair[0] != pair[1]]
        sys.exit(f"{what} differ: {len(found)} and {len(expected)}; the first: {pairs[:1]}")


def main():
    trace = protos.Trace()
    with open(sys.argv[1], "rb") as file:
        trace.ParseFromString(file.read())
    with open(sys.argv[2], encoding="utf-8") as file:
        machine, *events = [json.loads(line) for line in file]
    names = {}
    found, expected = cpus_of_trace(trace), cpus_of_events(events, names)
    same("CPUs", sorted(found), sorted(expected))
    for cpu in expected:
        same(f"events of CPU {cpu}", found[cpu], expected[cpu])
    same("slices", slices(found), slices(expected))
    counters, instants, arrows, stays, calls = tracks(trace)
    depths = defaultdict(list)
    for event in events:
        if event["event"] in ("insert", "remove"):
            depths[event["dsq"]].append((event["time_ns"], event["depth"]))
    queues = {name: values for name, values in counters.items() if name.startswith("DSQ ")}
    same("queues", len(queues), len(depths))
    same("depths", sorted(queues.values()), sorted(depths.values()))
    expected_stays = stays_of_events(events)
    same("queues with tasks", sorted(stays), sorted(expected_stays))
    by_start = lambda stay: (stay[0], stay[2], stay[1] or 0)
    for queue, list_of in expected_stays.items():
        same(queue, sorted(stays[queue], key=by_start), sorted(list_of, key=by_start))
    expected_calls = [
        (e["time_ns"], f"CPU {e['cpu']} calls", e["event"], title(e["task"])) for e in events if e["event"] in CALLS
    ]
    same("calls", calls, expected_calls if "--callbacks" in sys.argv else [])
    lost = [(e["time_ns"], f"{e['events']} events lost on CPU {e['cpu']}") for e in events if e["event"] == "lost"]
    same("losses", [(time, name) for time, _, name in instants if "events lost" in name], lost)
    same("arrows", arrows, arrows_of_events(events) if "--arrows" in sys.argv else [])
    # In one window in the middle of the recording every CPU was as busy as told.
    middle = (events[0]["time_ns"] + events[-1]["time_ns"]) // 2
    start = middle - middle % 10_000_000
    for cpu, share in busy(events, start, start + 10_000_000).items():
        told = [value for time, value in counters[f"CPU {cpu} busy"] if time <= start]
        assert told and abs(told[-1] / 100 - share) <= 0.0051, (cpu, share, told[-1:])
        # So many tasks were runnable as were waiting and running, in the mean.
        runnable, waiting = [
            [value for time, value in counters[name] if time <= start][-1]
            for name in ("runnable tasks", "tasks that wait for a CPU")
        ]
        ran = sum(busy(events, start, start + 10_000_000).values())
        assert abs(runnable - waiting - ran) <= 0.021, (runnable, waiting, ran)
    threads = {}
    for packet in trace.packet:
        for thread in packet.process_tree.threads:
            threads[thread.tid] = thread.name
    for task, called in names.items():
        assert threads.get(task) in called, (task, called, threads.get(task))
    info = [p.system_info.utsname.release for p in trace.packet if p.HasField("system_info")]
    same("kernels", info, [machine["kernel"] or "6.12-unknown"])
    clock = protos.BUILTIN_CLOCK_MONOTONIC
    clock = clock if machine["clock"] == "monotonic" else protos.BUILTIN_CLOCK_BOOTTIME
    same("clocks", trace.packet[0].clock_snapshot.primary_trace_clock, clock)
    kinds = Counter(says[0] for list_of in expected.values() for _, says in list_of)
    kinds.update(slices=len(slices(expected)), queues=len(queues), arrows=len(arrows), names=len(names))
    kinds.update(stays=sum(map(len, stays.values())), calls=len(calls))
    print(json.dumps(kinds))


main()
