// SPDX-License-Identifier: GPL-2.0-or-later
//! A scheduler as a tree, and programs by what they cost.

use super::cost::{Cost, Costs};
use super::{Objects, Scheduler};
use crate::text::{columns, size};
use rota_kernel::{BpfKind, BpfMap, BpfProgram};
use serde_json::{Value, json};
use std::fmt::Write as _;

const CALLBACKS: [&str; 8] =
    ["CALLBACK", "PROGRAM", "NAME", "RUNS/S", "NS/RUN", "% OF A CPU", "MEMORY", "MAPS"];
const MAPS: [&str; 6] = ["MAP", "TYPE", "NAME", "ENTRIES", "MEMORY", "USED BY"];
const TOP: [&str; 8] =
    ["PROGRAM", "TYPE", "NAME", "RUNS/S", "NS/RUN", "% OF A CPU", "MEMORY", "HELD BY"];

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}

fn ids(ids: &[u32]) -> String {
    let ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
    if ids.is_empty() { "-".to_owned() } else { ids.join(",") }
}

impl Objects {
    /// A scheduler with its callbacks, their programs and maps, and who holds it.
    pub fn to_tree(&self, scheduler: &Scheduler, costs: &Costs) -> String {
        let mut text = self.head(scheduler);
        let rows: Vec<_> = self.rows(scheduler);
        let mut lines = vec![words(&CALLBACKS)];
        let mut all = Cost::default();
        for (at, (callback, program)) in rows.iter().enumerate() {
            let cost = costs.of(program.id);
            all = all.and(cost);
            let branch = if at + 1 == rows.len() { "└─" } else { "├─" };
            let name = callback.as_deref().unwrap_or("(beside)");
            let [rate, each, share] = cost.words();
            lines.push(vec![
                format!("{branch} {name}"),
                program.id.to_string(),
                program.name.clone(),
                rate,
                each,
                share,
                size(program.memory_bytes),
                ids(&program.map_ids),
            ]);
        }
        let memory = rows.iter().map(|(_, program)| program.memory_bytes).sum();
        let [rate, each, share] = all.words();
        let all = ["all", "", "", &rate, &each, &share, &size(memory), ""];
        lines.push(words(&all));
        text += &columns(&lines);
        text + "\n" + &self.maps_used(scheduler)
    }

    fn head(&self, scheduler: &Scheduler) -> String {
        let state = if scheduler.enabled { "enabled" } else { "loaded, not enabled" };
        let mut text = format!("{}: {state}", scheduler.name);
        let _ = write!(text, ", table in map {}", scheduler.map_id);
        for link in &scheduler.links {
            let _ = write!(text, ", link {link}");
        }
        let holders = self.holders_of(scheduler);
        let names: Vec<_> = holders.iter().map(|(pid, comm)| format!("{comm}({pid})")).collect();
        match names.is_empty() {
            true => text += "\n",
            false => {
                let _ = writeln!(text, ", held by {}", names.join(" "));
            }
        }
        text
    }

    /// Callbacks and their programs, then programs beside them.
    fn rows(&self, scheduler: &Scheduler) -> Vec<(Option<String>, &BpfProgram)> {
        let programs = self.programs_of(scheduler);
        let mut rows = Vec::new();
        for (name, id) in &scheduler.callbacks {
            let program = programs.iter().find(|program| program.id == *id);
            rows.extend(program.map(|program| (Some(name.clone()), *program)));
        }
        let is_callback = |id: u32| scheduler.callbacks.iter().any(|(_, it)| *it == id);
        let beside = programs.into_iter().filter(|program| !is_callback(program.id));
        rows.extend(beside.map(|program| (None, program)));
        rows
    }

    fn maps_used(&self, scheduler: &Scheduler) -> String {
        let rows = self.rows(scheduler);
        let mut lines = vec![words(&MAPS)];
        let mut memory = 0;
        for map in self.maps_of(scheduler) {
            let users = rows.iter().filter(|(_, program)| program.map_ids.contains(&map.id));
            let users: Vec<_> =
                users.map(|(name, program)| name.as_ref().unwrap_or(&program.name)).collect();
            let users = match users.len() == rows.len() {
                true => "all".to_owned(),
                false => users.into_iter().map(String::as_str).collect::<Vec<_>>().join(","),
            };
            memory += map.memory_bytes;
            lines.push(vec![
                map.id.to_string(),
                map.kind.clone(),
                map.name.clone(),
                map.max_entries.to_string(),
                size(map.memory_bytes),
                users,
            ]);
        }
        lines.push(words(&["all", "", "", "", &size(memory), ""]));
        columns(&lines)
    }

    /// Who has a descriptor of the table or of a link of it.
    fn holders_of(&self, scheduler: &Scheduler) -> Vec<(u32, String)> {
        let objects = scheduler.links.iter().map(|id| (BpfKind::Link, *id));
        let objects = objects.chain([(BpfKind::Map, scheduler.map_id)]);
        let mut all: Vec<_> =
            objects.filter_map(|object| self.holders.get(&object)).flatten().cloned().collect();
        all.sort();
        all.dedup();
        all
    }

    /// A scheduler as JSON: programs and maps in the field names of bpftool, each program with what it
    /// cost.
    pub fn tree_json(&self, scheduler: &Scheduler, costs: &Costs) -> Value {
        let program = |(callback, it): &(Option<String>, &BpfProgram)| {
            json!({
                "callback": callback, "program": self.program(it), "cost": costs.of(it.id).json(),
            })
        };
        let maps = self.maps_of(scheduler).into_iter();
        let holders = self.holders_of(scheduler);
        let holder = |(pid, comm): &(u32, String)| json!({ "pid": pid, "comm": comm });
        json!({
            "name": scheduler.name, "enabled": scheduler.enabled, "map_id": scheduler.map_id,
            "link_ids": scheduler.links,
            "programs": self.rows(scheduler).iter().map(program).collect::<Vec<_>>(),
            "maps": maps.map(|map: &BpfMap| self.map(map)).collect::<Vec<_>>(),
            "pids": holders.iter().map(holder).collect::<Vec<_>>(),
        })
    }

    /// Programs by what they cost, the most expensive first.
    fn by_cost(&self, costs: &Costs) -> Vec<&BpfProgram> {
        let mut programs: Vec<_> = self.programs.iter().collect();
        programs.sort_by_key(|it| (std::cmp::Reverse(costs.of(it.id).ns), it.id));
        programs
    }

    /// A table of programs by what they cost, the most expensive first.
    pub fn to_top(&self, costs: &Costs) -> String {
        let line = |it: &BpfProgram| {
            let [rate, each, share] = costs.of(it.id).words();
            vec![
                it.id.to_string(),
                it.kind.clone(),
                if it.name.is_empty() { "-".to_owned() } else { it.name.clone() },
                rate,
                each,
                share,
                size(it.memory_bytes),
                self.held_by(BpfKind::Program, it.id),
            ]
        };
        let lines = self.by_cost(costs).into_iter().map(line);
        columns(&std::iter::once(words(&TOP)).chain(lines).collect::<Vec<_>>())
    }

    /// Programs by what they cost, as JSON.
    pub fn top_json(&self, costs: &Costs) -> Value {
        let program = |it: &BpfProgram| json!({ "program": self.program(it), "cost": costs.of(it.id).json() });
        self.by_cost(costs).into_iter().map(program).collect()
    }
}
