// SPDX-License-Identifier: GPL-2.0-or-later
//! `rota balance`.

mod live;

use crate::choice;
use crate::exit::Exit;
use crate::file;
use crate::output::{self, Format};
use crate::run::server::socket_of;
use anyhow::{Context, Result, anyhow};
use rota_balance::{Plan, Snapshot, Task, Verdict, explain, plan, report};
use std::fmt::Write;
use std::path::PathBuf;

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
A snapshot is TOML, or JSON with the same names. What --format json prints has
the snapshot in it, so it can be read again. An example in TOML, six busy tasks
in one domain and two in another:

  [[domain]]
  cpus = 4               # of strength 1; or strengths = [1, 1, 0.5, 0.5],
                         # or capacity = 3.0, the sum, and strongest = 1.0
  node = 0               # default 0
  other = 0.5            # CPUs busy with what can't move; default 0

  [[domain]]             # domains are numbered from 0, in their order
  cpus = 4

  [[task]]
  id = 7                 # default: one more than the highest so far
  count = 6              # so many alike, with the ids that follow
  domain = 0             # where it is
  weight = 100           # default 100
  duty = 1.0             # CPU time it could use, in CPUs
  domains = [0, 1]       # where it may run; default everywhere
  footprint_bytes = 2097152   # cache to fill again elsewhere; default 0
  stayed_ns = 5_000_000_000   # since it came here; default long
  pid = 4711             # for people only

  [[task]]
  count = 2
  domain = 1
  duty = 1.0

  # All optional. Distances between nodes, by default 10 within one and 20
  # between two, would stand before the first [[…]]:
  # distances = [[10, 20], [20, 10]]
  [policy]
  moves_max = 256        # moves of one plan
  start = 0.05           # even out if a domain is so much busier,
  stop = 0.025           # until they differ by less: parts of capacity
  gain_min = 0.0001      # what a move has to bring beyond its cost, in CPUs
  rest_ns = 1_000_000_000    # how long a task stays at least
  horizon_ns = 2e9       # in which time a move has to pay
  move_ns = 20000        # cost of a move, and of each byte of its footprint
  refill_ns_per_byte = 0.1

A task's load is its fair share of the machine, in CPUs: its duty while there is
room; else the part duty·min(1, weight/λ). A move brings its load times how much
less busy the other domain is, on average over the move. docs/balance.md
explains both.

What happens to a task, by the words of --format json; tables have sentences:
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
    #[arg(value_hint = clap::ValueHint::FilePath, required_unless_present = "live")]
    file: Option<PathBuf>,
    /// What a scheduler would do now that is in charge of this machine
    #[arg(long, value_name = "SCHED", num_args = 0..=1, require_equals = true, default_missing_value = "domains", conflicts_with = "file")]
    live: Option<String>,
    /// Where it serves its statistics [default: /run/rota/SCHED.sock]
    #[arg(long, value_name = "PATH", requires = "live", value_hint = clap::ValueHint::FilePath)]
    socket: Option<PathBuf>,
    /// A table for people, or JSON
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// Explains a plan.
pub(crate) fn run(args: &Args) -> Result<Exit> {
    let Verb::Explain(args) = &args.verb;
    let (name, text) = match (&args.file, &args.live) {
        (Some(file), _) => (file.display().to_string(), file::read_text(file)?),
        (None, scheduler) => {
            let scheduler = scheduler.as_deref().unwrap_or_default();
            if args.socket.is_none() {
                // Nobody serves statistics under another name.
                choice::resolve(scheduler)?;
            }
            let path = args.socket.clone().unwrap_or_else(|| socket_of(scheduler));
            (path.display().to_string(), live::snapshot(scheduler, &path)?)
        }
    };
    let (snapshot, policy) = rota_balance::read(&text).map_err(|e| anyhow!("{name}:{e}"))?;
    let plan = plan(&snapshot, &policy).with_context(|| name.clone())?;
    let verdicts = explain(&snapshot, &policy, &plan).with_context(|| name.clone())?;
    match args.format {
        Format::Table => output::text(&table(&snapshot, &plan, &verdicts))?,
        Format::Json => {
            let json = report(&snapshot, &policy, &plan, &verdicts);
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
    // Only what was taken from a machine has numbers there.
    let pids = snapshot.tasks.iter().any(|task| task.pid.is_some());
    let pid = |what: &str| if pids { format!("  {what:>8}") } else { String::new() };
    let _ = writeln!(
        text,
        "\n{:>11}{}  domain    weight    duty    load  what happens",
        "task",
        pid("pid"),
    );
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
            "{ids:>11}{}  {:6}  {:8}  {:6.3}  {:6.3}  {}",
            pid(&first.pid.map_or("-".to_owned(), |pid| pid.to_string())),
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
    next && a.pid.is_none() && b.pid.is_none() && verdicts[before] == verdicts[place]
}

fn head(snapshot: &Snapshot, plan: &Plan) -> String {
    let capacity = snapshot.domains.iter().fold(0.0, |sum, domain| sum + domain.capacity);
    let duty = snapshot.tasks.iter().fold(0.0, |sum, task| sum + task.entity.duty);
    let mut text = format!(
        "{}, {capacity:.2} CPUs in all; {}, which want {duty:.2} CPUs\n",
        many(snapshot.domains.len(), "domain"),
        many(snapshot.tasks.len(), "task"),
    );
    text += &match plan.lambda {
        Some(lambda) => {
            let above = |task: &&Task| task.entity.weight > lambda;
            let count = snapshot.tasks.iter().filter(above).count();
            let which = match count {
                0 => "no weight is".to_owned(),
                1 => "1 weight is".to_owned(),
                _ => format!("{count} weights are"),
            };
            format!("λ is {lambda:.6}: {which} infeasible\n")
        }
        None if capacity == 0.0 => "no λ: there is nothing to share\n".to_owned(),
        None => "no λ: everyone can have their duty\n".to_owned(),
    };
    let (before, after) = (plan.imbalance_before, plan.imbalance_after);
    let moves = many(plan.moves.len(), "move");
    text + &format!("imbalance {before:.2} CPUs; after {moves} {after:.2}\n")
}

fn many(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
