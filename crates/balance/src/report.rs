// SPDX-License-Identifier: GPL-2.0-or-later
//! A snapshot and what comes of it, as JSON.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::form::Written;
use crate::{Plan, Policy, Snapshot, Verdict};

/// The version of the form.
const SCHEMA: &str = "rota-balance/1";

/// What a plan does, and why each task moves or stays. It has the snapshot in it, so
/// [`read`](crate::read) reads it.
pub fn report(snapshot: &Snapshot, policy: &Policy, plan: &Plan, verdicts: &[Verdict]) -> Value {
    let domains = snapshot.domains.iter().enumerate().map(|(number, domain)| {
        json!({
            "domain": number,
            "node": domain.node,
            "capacity_cpus": domain.capacity,
            "target_cpus": plan.targets.get(number),
            "load_before_cpus": plan.before.get(number),
            "load_after_cpus": plan.after.get(number),
        })
    });
    let order: BTreeMap<u64, usize> =
        plan.moves.iter().enumerate().map(|(at, one)| (one.id, at)).collect();
    let mut places: Vec<_> = (0..snapshot.tasks.len()).collect();
    places.sort_by_key(|place| snapshot.tasks[*place].id);
    let tasks = places.into_iter().map(|place| {
        let task = &snapshot.tasks[place];
        let verdict = verdicts.get(place);
        let mut value = json!({
            "task": task.id,
            "pid": task.pid,
            "domain": task.domain,
            "weight": task.entity.weight,
            "duty_cpus": task.entity.duty,
            "load_cpus": plan.task_loads.get(place),
            "verdict": verdict.map(Verdict::word),
            "move": order.get(&task.id),
        });
        if let Some((to, worth)) = verdict.and_then(place_and_worth) {
            value["to"] = json!(to);
            value["gain_cpus"] = json!(worth.map(|(gain, _)| gain));
            value["cost_cpus"] = json!(worth.map(|(_, cost)| cost));
        }
        value
    });
    json!({
        "schema": SCHEMA,
        "snapshot": Written::new(snapshot, policy),
        "lambda": plan.lambda,
        "imbalance_before_cpus": plan.imbalance_before,
        "imbalance_after_cpus": plan.imbalance_after,
        "moves": plan.moves.len(),
        "moves_max": policy.moves_max,
        "domains": domains.collect::<Vec<_>>(),
        "tasks": tasks.collect::<Vec<_>>(),
    })
}

/// Where a task goes or would go, with what that brings and costs if that is what decides.
fn place_and_worth(verdict: &Verdict) -> Option<(usize, Option<(f64, f64)>)> {
    match *verdict {
        Verdict::Moves { to, gain, cost }
        | Verdict::TooLittle { to, gain, cost }
        | Verdict::Later { to, gain, cost } => Some((to, Some((gain, cost)))),
        Verdict::TooWeak { to } | Verdict::TooLarge { to } => Some((to, None)),
        Verdict::NoLoad | Verdict::Pinned | Verdict::Rests { .. } | Verdict::Balanced { .. } => {
            None
        }
    }
}
