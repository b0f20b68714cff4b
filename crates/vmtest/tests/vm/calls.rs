// SPDX-License-Identifier: GPL-2.0-or-later
//! `rota fn` against the kernel's own tracers and counts.

use crate::guest::{Guest, contains, ensure, say};
use crate::run::script;
use libtest_mimic::Failed;
use serde_json::Value;
use std::collections::BTreeMap;

/// What stands between two outputs.
const CUT: &str = "\n----\n";

/// A verification: its calls are those that the function graph tracer shows at the same time, and they
/// return what probes of returns tell.
const GRAPH: &str = r#"
    cat >/tmp/traced <<'END'
        cd /sys/kernel/tracing
        echo 0 >tracing_on; echo >trace
        for it in bpf_check FUNCTIONS; do echo "$it" >>set_ftrace_filter; done
        echo bpf_check >set_graph_function
        echo function_graph >current_tracer
        for it in bpf_check do_check_common check_reg_arg; do
            echo "r:returns_$it $it ret=\$retval:s32" >>kprobe_events
        done
        mkdir instances/returns
        echo 1 >instances/returns/events/kprobes/enable
        echo 1 >tracing_on
        bpftool prog load OBJECT /sys/fs/bpf/graph 2>&1
        echo 0 >tracing_on
        echo 0 >instances/returns/events/kprobes/enable
        cat trace >/tmp/graph; cat instances/returns/trace >/tmp/returns
        rmdir instances/returns; echo >kprobe_events; echo nop >current_tracer
        echo >set_graph_function; echo >set_ftrace_filter
END
    sed -i 's/^        //' /tmp/traced
    rota fn bpf_check $(for it in FUNCTIONS; do echo -a "$it"; done) -S --format json -n bpftool \
        -- sh /tmp/traced || exit 1
    echo ----; cat /tmp/graph; echo; echo ----; cat /tmp/returns; rm -f /sys/fs/bpf/graph"#;

/// Traced within a verification.
const FUNCTIONS: &str =
    "'do_check*' 'check_reg_arg*' check_alu_op 'check_helper_call*' 'check_return_code*'";

/// A call: how many are around it, and its name.
type Line = (usize, String);

pub(crate) fn are_those_of_the_kernel(guest: &mut Guest) -> Result<(), Failed> {
    let object = guest.put("values.bpf.o", rota_programs::test::VALUES)?;
    let body = GRAPH.replace("FUNCTIONS", FUNCTIONS).replace("OBJECT", &object);
    let text = guest.expect(0, &script(&body))?;
    let parts: Vec<&str> = text.split(CUT).collect();
    let [sessions, graph, returns] = &parts[..] else { return Err(text.into()) };
    let (mut ours, mut results) = (Vec::new(), BTreeMap::<String, Vec<i64>>::new());
    for line in sessions.lines().filter(|line| line.contains("\"call\"")) {
        let session: Value = serde_json::from_str(line)?;
        flatten(&session["call"], 0, &mut ours, &mut results);
    }
    let theirs = graph_lines(graph);
    ensure(ours.len() > 30 && ours == theirs, || {
        let at = ours.iter().zip(&theirs).position(|(a, b)| a != b);
        format!("{} and {} calls, unlike from {at:?}:\n{text}", ours.len(), theirs.len())
    })?;
    for name in ["bpf_check", "do_check_common", "check_reg_arg"] {
        let told = format!("returns_{name}: ");
        let lines = returns.lines().filter(|line| line.contains(&told));
        let theirs =
            lines.filter_map(|line| line.rsplit_once("ret=")?.1.trim().parse::<i64>().ok());
        let theirs: Vec<_> = theirs.collect();
        let ours = results.remove(name).unwrap_or_default();
        ensure(!ours.is_empty() && ours == theirs, || format!("{name}: {ours:?} {theirs:?}"))?;
    }
    say(&format!("{} calls are those of function_graph", ours.len()));
    Ok(())
}

/// Calls in the order of their begins, and results in that of their ends.
fn flatten(
    call: &Value,
    depth: usize,
    lines: &mut Vec<Line>,
    results: &mut BTreeMap<String, Vec<i64>>,
) {
    let name = call["function"].as_str().unwrap_or("?").to_owned();
    lines.push((depth, name.clone()));
    for call in call["calls"].as_array().into_iter().flatten() {
        flatten(call, depth + 1, lines, results);
    }
    let error = call["error"].as_i64().map(|error| -error);
    let result = || call["result"].as_str()?.parse().ok();
    results.entry(name).or_default().extend(error.or_else(result));
}

/// Calls as function_graph draws them: `name() {` and what is in it, `}`; or `name();`.
fn graph_lines(text: &str) -> Vec<Line> {
    let (mut depth, mut lines) = (0_usize, Vec::new());
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Some((_, drawn)) = line.split_once('|') else { continue };
        let drawn = drawn.trim();
        if drawn.starts_with('}') {
            depth = depth.saturating_sub(1);
        } else if let Some((name, rest)) = drawn.split_once("()") {
            lines.push((depth, name.trim_end().to_owned()));
            depth += usize::from(rest.trim_start().starts_with('{'));
        }
    }
    lines
}

/// Callbacks of a scheduler: exact counts, and times as the kernel measures them.
pub(crate) fn callbacks(guest: &mut Guest) -> Result<(), Failed> {
    let nothing = guest.put("nothing.bpf.o", rota_programs::test::NOTHING)?;
    let text = guest.expect(
        0,
        &script(&format!(
            "sysctl -q kernel.bpf_stats_enabled=1
             bpftool prog load {nothing} /sys/fs/bpf/nothing
             head -c 64 /dev/zero >/tmp/packet
             bpftool prog run pinned /sys/fs/bpf/nothing data_in /tmp/packet repeat 1000 >/dev/null
             rota bpf progs nothing --format json; echo; echo ----
             rota run domains >/tmp/out 2>&1 & pid=$!; up domains
             rota fn ops:set_weight -n renice --hist --format json -- \\
                 sh -c 'for i in $(seq 100); do renice -n $((i % 10 + 1)) -p $$ >/dev/null; done' || exit 1
             echo ----
             work='stress-ng --temp-path /tmp --switch 1 --pipe 1 --timeout'
             $work 60 >/dev/null 2>&1 & load=$!
             sleep 1
             rota bpf sched --interval 2s --format json; echo ----
             kill $load; wait $load
             rota fn 'ops:*' --hist --format json --buffer 128MiB -- $work 2 2>/dev/null || exit 1
             kill -INT $pid; wait $pid; down
             rm /sys/fs/bpf/nothing; sysctl -q kernel.bpf_stats_enabled=0"
        )),
    )?;
    let parts: Vec<&str> = text.split(CUT).collect();
    let [nothing, exact, counted, traced] = &parts[..] else { return Err(text.into()) };
    let nothing: Value = serde_json::from_str(nothing)?;
    let number = |value: &Value, name: &str| value[name].as_u64().unwrap_or(0) as f64;
    let measuring = number(&nothing[0], "run_time_ns") / number(&nothing[0], "run_cnt");
    // Weights that tasks get when they begin are not counted: these are by who makes them.
    let exact = times(exact)?;
    ensure(exact["domains_set_weight"]["calls"] == 100, || format!("{exact:?}"))?;
    let counted: Value = serde_json::from_str(counted)?;
    let traced = times(traced)?;
    let mut compared = 0;
    for it in counted["schedulers"][0]["programs"].as_array().into_iter().flatten() {
        let name = it["program"]["name"].as_str().unwrap_or("?");
        let Some(ours) = traced.get(name).filter(|ours| number(ours, "calls") >= 200.0) else {
            continue;
        };
        let theirs = number(&it["cost"], "ns_per_run") - measuring;
        let ours = number(ours, "mean_ns");
        say(&format!("{name}: {ours:.0} ns traced, {theirs:.0} ns counted"));
        ensure((ours - theirs).abs() <= 0.2 * theirs, || {
            format!("{name}: {ours} {theirs}\n{text}")
        })?;
        compared += 1;
    }
    ensure(compared >= 5, || text.clone())
}

/// What `--hist --format json` tells of each function; nothing may be missing.
fn times(text: &str) -> Result<BTreeMap<String, Value>, Failed> {
    let last = text.lines().rfind(|line| line.contains("\"missing\"")).ok_or(text)?;
    let last: Value = serde_json::from_str(last)?;
    ensure(last["missing"] == 0, || text.to_owned())?;
    let functions = last["functions"].as_array().into_iter().flatten();
    let named = |it: &Value| Some((it["function"].as_str()?.to_owned(), it.clone()));
    Ok(functions.filter_map(named).collect())
}

/// Many functions at once, and nothing that stays when the process is killed.
pub(crate) fn nothing_stays(guest: &mut Guest) -> Result<(), Failed> {
    let text = guest.expect(
        0,
        &script(
            "rota fn 'bpf_*' --hist --for 1s >/tmp/out 2>&1; cat /tmp/out | grep traced; echo ----
             left() {
                 bpftool link list | grep -c -e kprobe_multi -e tracing -e perf_event
                 wc -l </sys/kernel/tracing/enabled_functions
             }
             rota run simple >/dev/null 2>&1 & run=$!; up simple
             left
             rota fn 'schedule*' 'ops:*' --hist >/dev/null 2>/tmp/out & pid=$!
             until grep -q traced /tmp/out; do sleep 0.2; done; left
             kill -9 $pid; wait $pid; sleep 1; left
             rota fn 'schedule*' --one-by-one --hist >/dev/null 2>/tmp/out & pid=$!
             until grep -q traced /tmp/out; do sleep 0.2; done
             cat /tmp/out; left
             kill -9 $pid; wait $pid; sleep 1; left
             kill -INT $run; wait $run; down",
        ),
    )?;
    contains(&text, &["at once", "one by one"])?;
    let (attached, rest) = text.split_once(CUT).ok_or(text.as_str())?;
    say(attached.trim());
    let count = attached.split(' ').next().and_then(|word| word.trim().parse::<u32>().ok());
    ensure(count >= Some(1000), || attached.to_owned())?;
    let numbers = rest.lines().filter_map(|line| line.trim().parse::<u64>().ok());
    let numbers: Vec<_> = numbers.collect();
    let [links, functions, at_once @ ..] = &numbers[..] else { return Err(text.into()) };
    let [more_links, more, same_links, same, single_links, single, last_links, last] = at_once
    else {
        return Err(text.into());
    };
    let attached =
        more_links > links && more > functions && single_links > links && single > functions;
    let gone = [same_links, last_links] == [links; 2] && [same, last] == [functions; 2];
    ensure(attached && gone, || text.clone())
}
