// SPDX-License-Identifier: GPL-2.0-or-later
//! `rota bpf` while a scheduler is attached, against bpftool.

use crate::guest::{Guest, ensure};
use crate::run::script;
use libtest_mimic::Failed;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What stands between two outputs.
const CUT: &str = "----";

/// Objects one by one, since `map list` of bpftool tells types of the map before; the variables of the
/// scheduler; and what the tree says.
const SCRIPT: &str = "
    rota run domains >/tmp/out 2>&1 & pid=$!; up domains
    next() { echo; echo ----; }
    rota bpf sched --format json || exit 1; next
    rota bpf sched --interval 0s || exit 1; next
    for list in progs:prog maps:map links:link btf:btf; do
        rota bpf ${list%:*} --format json; next
        for id in $(rota bpf ${list%:*} | awk 'NR > 1 { print $1 }'); do
            bpftool -j ${list#*:} show id $id; echo
        done; next
    done
    rota bpf struct_ops --format json; next
    bpftool -j struct_ops list; next
    for map in $(rota bpf maps | awk '/ array .*\\.(bss|data|rodata)/ || $3 == \"cpus\" { print $1 }'); do
        rota bpf map dump $map --format json; next; bpftool -j map dump id $map; next
    done
    kill -INT $pid; wait $pid; down";

/// Lists are those of bpftool, field by field; the tree has every callback and every map of its programs;
/// and values of variables are those that bpftool dumps.
pub(crate) fn says_what_bpftool_says(guest: &mut Guest) -> Result<(), Failed> {
    let text = guest.expect(0, &script(SCRIPT))?;
    let parts: Vec<&str> = text.split(CUT).map(str::trim).collect();
    let [tree, drawn, rest @ ..] = &parts[..] else { return Err(text.into()) };
    let (lists, rest) = rest.split_at_checked(10).ok_or(text.as_str())?;
    let mut own = Vec::new();
    for pair in lists.chunks(2) {
        let ours = values(pair[0])?;
        let theirs = values(pair[1])?;
        same_lists(&ours, &theirs)?;
        own.push(ours);
    }
    whole(&serde_json::from_str(tree)?, drawn, &own[0], &own[1])?;
    let dumps = rest.chunks_exact(2);
    ensure(dumps.len() >= 3, || format!("{} dumps", dumps.len()))?;
    for pair in dumps {
        // What is written meanwhile may differ, types and names may not.
        let shapes = [pair[0], pair[1]].map(|text| serde_json::from_str(text).map(|it| shape(&it)));
        let [ours, theirs] = shapes;
        let (ours, theirs) = (ours?, theirs?);
        ensure(ours == theirs, || format!("{ours}\n{theirs}"))?;
    }
    Ok(())
}

/// The objects in a list, or in lists and objects behind each other.
fn values(text: &str) -> Result<Vec<Value>, Failed> {
    let mut all = Vec::new();
    for value in serde_json::Deserializer::from_str(text).into_iter() {
        match value? {
            Value::Array(list) => all.extend(list),
            one => all.push(one),
        }
    }
    Ok(all)
}

/// All fields that bpftool tells of an object are ours as well.
fn same_lists(ours: &[Value], theirs: &[Value]) -> Result<(), Failed> {
    ensure(ours.len() == theirs.len() && !ours.is_empty(), || format!("{ours:?}\n{theirs:?}"))?;
    for (ours, theirs) in ours.iter().zip(theirs) {
        for (name, theirs) in theirs.as_object().into_iter().flatten() {
            // These go on; of types that bpftool does not know, it tells the number.
            let moves = ["run_cnt", "run_time_ns", "bytes_memlock"].contains(&name.as_str());
            let unknown = name == "type" && theirs.is_number();
            let same = moves || unknown || sorted(&ours[name]) == sorted(theirs);
            ensure(same, || format!("{name}: {ours}\n{theirs}"))?;
        }
    }
    Ok(())
}

fn sorted(value: &Value) -> Value {
    match value.as_array() {
        Some(list) => {
            list.iter().filter_map(Value::as_u64).collect::<BTreeSet<_>>().into_iter().collect()
        }
        None => value.clone(),
    }
}

/// Names of fields and kinds of values, without the values.
fn shape(value: &Value) -> Value {
    match value {
        Value::Array(list) => list.iter().map(shape).collect(),
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(name, it)| (name.clone(), shape(it))).collect())
        }
        Value::Number(_) => "number".into(),
        Value::Bool(_) => "truth".into(),
        _ => "text".into(),
    }
}

/// The tree has all callbacks that the process has loaded, all their maps, and costs.
fn whole(tree: &Value, drawn: &str, programs: &[Value], maps: &[Value]) -> Result<(), Failed> {
    let scheduler = &tree["schedulers"][0];
    ensure(scheduler["name"] == "domains" && scheduler["enabled"] == true, || tree.to_string())?;
    let pid = &scheduler["pids"][0]["pid"];
    let callbacks: BTreeMap<u64, &Value> = scheduler["programs"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|it| Some((it["program"]["id"].as_u64()?, it)))
        .collect();
    let loaded = programs.iter().filter(|it| it["pids"][0]["pid"] == *pid);
    let loaded: BTreeSet<u64> = loaded.filter_map(|it| it["id"].as_u64()).collect();
    let found: BTreeSet<u64> = callbacks.keys().copied().collect();
    ensure(found == loaded && found.len() > 15, || format!("{found:?} of {loaded:?}"))?;
    for it in callbacks.values() {
        // A program is called as its callback is.
        let name = it["program"]["name"].as_str().unwrap_or_default();
        let callback = it["callback"].as_str().unwrap_or_default();
        ensure(name.strip_prefix("domains_") == Some(callback), || it.to_string())?;
    }
    let used = programs.iter().filter(|it| loaded.contains(&it["id"].as_u64().unwrap_or(0)));
    let used: BTreeSet<u64> = used
        .flat_map(|it| it["map_ids"].as_array().into_iter().flatten().filter_map(Value::as_u64))
        .collect();
    let named = scheduler["maps"].as_array().into_iter().flatten();
    let named: BTreeSet<u64> = named.filter_map(|map| map["id"].as_u64()).collect();
    ensure(named == used && named.len() > 10, || format!("{named:?} of {used:?}"))?;
    for map in maps.iter().filter(|map| named.contains(&map["id"].as_u64().unwrap_or(0))) {
        let line = format!("{}  ", map["id"]);
        let name = map["name"].as_str().unwrap_or("?");
        let found = drawn.lines().any(|it| it.starts_with(&line) && it.contains(name));
        ensure(found, || format!("{name} is not in\n{drawn}"))?;
    }
    let ran = callbacks.values().any(|it| it["cost"]["runs"].as_u64() > Some(0));
    ensure(ran && drawn.contains("├─ dispatch"), || format!("{tree}\n{drawn}"))
}
