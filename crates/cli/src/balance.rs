// SPDX-License-Identifier: GPL-2.0-or-later
//! `rota balance`.

use crate::exit::Exit;
use crate::file;
use crate::output::{self, Format};
use anyhow::{Context, Result, anyhow};
use rota_balance::{Plan, Policy, Snapshot, Task, Verdict, explain, plan};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

/// The version of the form in JSON.
const SCHEMA: &str = "rota-balance/1";

/// Arguments of `rota balance`.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// Show loads, λ, and why each task of a snapshot would move or stay
    #[command(after_long_help = EXPLAIN)]
    Explain(Explain),
}

const EXPLAIN: &str = "\
A snapshot is TOML. An example, six busy tasks in one domain and two in another:

  [[domain]]
  cpus = 4               # of strength 1; or strengths = [1, 1, 0.5, 0.5]
  node = 0               # default 0
  other = 0.5            # CPUs busy with what can't move; default 0

  [[domain]]             # domains are numbered from 0, in their order
  cpus = 4

  [[task]]
  id = 7                 # default: one more than the highest so far
  count = 6              # so many alike, with the ids that follow; default 1
  domain = 0             # where it is
  weight = 100           # default 100
  duty = 1.0             # CPU time it could use, in CPUs
  domains = [0, 1]       # where it may run; default everywhere
  footprint_bytes = 2097152   # cache to fill again elsewhere; default 0
  stayed_ms = 5000       # since it came here; default long

  [[task]]
  count = 2
  domain = 1
  duty = 1.0

  # All optional. Distances between nodes are 10 within one and 20 between two by default.
  # distances = [[10, 20], [20, 10]]    (stands before the first [[…]])
  [policy]
  moves_max = 256        # moves of one plan
  start = 0.05           # even out if a domain is busier than another by this,
  stop = 0.025           # until they differ by less than this: parts of capacity
  gain_min = 0.0001      # what a move has to bring beyond its cost, in CPUs
  rest_ms = 1000         # how long a task stays at least
  horizon_ms = 2000      # in which time a move has to pay
  move_ns = 20000        # cost of a move, and of each byte of its footprint
  refill_ns_per_byte = 0.1

A task's load is its fair share of the machine, in CPUs: its duty while there is room; else the
part duty·min(1, weight/λ). A move brings its load times how much less busy the other domain is,
on average over the move. docs/balance.md explains both.

What happens to a task:
  moves       what it brings and costs
  no load     it has no duty
  pinned      it may use no other domain
  rests       it came a while ago only
  balanced    no domain that it may use is less busy by enough, after all moves
  too weak    no CPU there is strong enough
  too little  what it would bring is too little beyond its cost, after all moves
  too large   it would make the sum of imbalances larger
  later       the next plan may move it";

/// Arguments of `rota balance explain`.
#[derive(clap::Args)]
struct Explain {
    /// The snapshot; see below
    #[arg(value_hint = clap::ValueHint::FilePath)]
    file: PathBuf,
    /// A table for people, or JSON
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// Explains a plan.
pub(crate) fn run(args: &Args) -> Result<Exit> {
    let Verb::Explain(args) = &args.verb;
    let name = args.file.display();
    let text = file::read_text(&args.file)?;
    let (snapshot, policy) = rota_balance::read(&text).map_err(|e| anyhow!("{name}:{e}"))?;
    let plan = plan(&snapshot, &policy).with_context(|| name.to_string())?;
    let verdicts = explain(&snapshot, &policy, &plan).with_context(|| name.to_string())?;
    match args.format {
        Format::Table => output::text(&table(&snapshot, &plan, &verdicts))?,
        Format::Json => {
            let json = json(&snapshot, &policy, &plan, &verdicts);
            output::line(&serde_json::to_string_pretty(&json)?)?;
        }
    }
    Ok(Exit::Done)
}

/// How busy a domain is; a dash if it has no capacity.
fn percent(load: f64, capacity: f64) -> String {
    if capacity > 0.0 { format!("{:.0}%", 100.0 * load / capacity) } else { "-".to_owned() }
}

fn table(snapshot: &Snapshot, plan: &Plan, verdicts: &[Verdict]) -> String {
    let mut text = head(snapshot, plan);
    let _ = writeln!(text, "\ndomain  node  capacity  target    load   busy   after   busy");
    for (number, domain) in snapshot.domains.iter().enumerate() {
        let (before, after) = (plan.before[number], plan.after[number]);
        let _ = writeln!(
            text,
            "{number:6}  {:4}  {:8.2}  {:6.2}  {before:6.2}  {:>5}  {after:6.2}  {:>5}",
            domain.node,
            domain.capacity,
            plan.targets[number],
            percent(before, domain.capacity),
            percent(after, domain.capacity),
        );
    }
    let _ = writeln!(text, "\n{:>11}  domain    weight    duty    load  what happens", "task");
    let mut places: Vec<_> = (0..snapshot.tasks.len()).collect();
    places.sort_by_key(|place| snapshot.tasks[*place].id);
    for alike in places.chunk_by(|a, b| follows(snapshot, verdicts, *a, *b)) {
        let (first, last) = (&snapshot.tasks[alike[0]], &snapshot.tasks[alike[alike.len() - 1]]);
        let ids = if alike.len() == 1 {
            first.id.to_string()
        } else {
            format!("{}-{}", first.id, last.id)
        };
        let _ = writeln!(
            text,
            "{ids:>11}  {:6}  {:8}  {:6.3}  {:6.3}  {}",
            first.domain,
            first.entity.weight,
            first.entity.duty,
            plan.task_loads[alike[0]],
            verdicts[alike[0]],
        );
    }
    text
}

/// Whether a task can be told in one line with the one before.
fn follows(snapshot: &Snapshot, verdicts: &[Verdict], before: usize, place: usize) -> bool {
    let (a, b): (&Task, &Task) = (&snapshot.tasks[before], &snapshot.tasks[place]);
    let next = a.id.checked_add(1) == Some(b.id) && a.domain == b.domain && a.entity == b.entity;
    next && verdicts[before] == verdicts[place]
}

fn head(snapshot: &Snapshot, plan: &Plan) -> String {
    let capacity: f64 = snapshot.domains.iter().map(|domain| domain.capacity).sum();
    let duty: f64 = snapshot.tasks.iter().map(|task| task.entity.duty).sum();
    let mut text = format!(
        "{} of {capacity:.2} CPUs; {} with a duty of {duty:.2} CPUs\n",
        many(snapshot.domains.len(), "domain"),
        many(snapshot.tasks.len(), "task"),
    );
    text += &match plan.lambda {
        Some(lambda) => {
            let above = |task: &&Task| task.entity.weight > lambda;
            let count = snapshot.tasks.iter().filter(above).count();
            let what = if count == 1 { "weight is" } else { "weights are" };
            format!("λ is {lambda:.6}: {count} {what} infeasible\n")
        }
        None => "no λ: everyone can have their duty\n".to_owned(),
    };
    let (before, after) = (plan.imbalance_before, plan.imbalance_after);
    let moves = many(plan.moves.len(), "move");
    text + &format!("imbalance {before:.2} CPUs; after {moves} {after:.2}\n")
}

fn many(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn json(snapshot: &Snapshot, policy: &Policy, plan: &Plan, verdicts: &[Verdict]) -> Value {
    let domains = snapshot.domains.iter().enumerate().map(|(number, domain)| {
        json!({
            "domain": number,
            "node": domain.node,
            "capacity_cpus": domain.capacity,
            "target_cpus": plan.targets[number],
            "load_before_cpus": plan.before[number],
            "load_after_cpus": plan.after[number],
        })
    });
    let order: BTreeMap<u64, usize> =
        plan.moves.iter().enumerate().map(|(at, one)| (one.id, at)).collect();
    let mut places: Vec<_> = (0..snapshot.tasks.len()).collect();
    places.sort_by_key(|place| snapshot.tasks[*place].id);
    let tasks = places.into_iter().map(|place| {
        let task = &snapshot.tasks[place];
        let mut value = json!({
            "task": task.id,
            "domain": task.domain,
            "weight": task.entity.weight,
            "duty_cpus": task.entity.duty,
            "load_cpus": plan.task_loads[place],
            "verdict": verdicts[place].word(),
            "move": order.get(&task.id),
        });
        if let Some((to, worth)) = place_and_worth(&verdicts[place]) {
            value["to"] = json!(to);
            value["gain_cpus"] = json!(worth.map(|(gain, _)| gain));
            value["cost_cpus"] = json!(worth.map(|(_, cost)| cost));
        }
        value
    });
    json!({
        "schema": SCHEMA,
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
