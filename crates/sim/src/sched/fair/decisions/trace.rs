// SPDX-License-Identifier: GPL-2.0-or-later
//! The text of a recording of decisions: a letter and numbers a line, as `bpf/trace/decisions.bpf.c`
//! puts them.

use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

/// What the numbers of each kind of line are.
const LINES: &[(&str, &[&str])] = &[
    // A domain of a CPU: what does not change of it, and four of its groups, from its own on.
    (
        "d",
        &[
            "cpu", "level", "cpus", "flags", "percent", "tries", "spared", "least", "most",
            "group0", "cores0", "flags0", "group1", "cores1", "flags1", "group2", "cores2",
            "flags2", "group3", "cores3", "flags3",
        ],
    ),
    // A CPU, until the next such line; `imbalanced` has a bit for its group on each level.
    (
        "c",
        &[
            "cpu",
            "count",
            "runnable",
            "queued",
            "idle",
            "load",
            "wanted",
            "used",
            "estimate",
            "since",
            "capacity",
            "imbalanced",
        ],
    ),
    // A task wakes up. What ends with `_here` or `_there` is of who wakes it, and where it was.
    (
        "w",
        &[
            "here",
            "there",
            "sync",
            "allowed",
            "idle",
            "count",
            "delayed",
            "load_here",
            "load_there",
            "task_load",
            "waker_load",
            "capacity_here",
            "capacity_there",
            "flips",
            "flips_ticks",
            "same",
            "task_flips",
            "recent",
            "cores_here",
            "scans_here",
            "cores_there",
            "scans_there",
            "bound",
            "flags",
            "raced",
            "chosen",
            "then_flips",
            "then_recent",
            "then_cores_here",
            "then_cores_there",
        ],
    ),
    // A task is new.
    ("f", &["here", "there", "allowed", "raced", "chosen", "flips", "task_flips", "same_partner"]),
    // A domain is looked at: what is to be moved from which group.
    (
        "b",
        &[
            "by_cpu",
            "cpu",
            "level",
            "idle",
            "cpus",
            "raced",
            "measure",
            "amount",
            "group",
            "scans",
            "overloaded",
            "others",
        ],
    ),
    // Tasks of a CPU are looked at.
    (
        "m",
        &[
            "by_cpu", "cpu", "level", "from", "idle", "measure", "amount", "cpus", "failed",
            "count", "most", "queued0", "queued1", "queued2", "queued3", "queued4", "queued5",
            "queued6", "queued7",
        ],
    ),
    // One of them, in the order in which they are looked at.
    (
        "t",
        &[
            "by_cpu", "task", "allowed", "delayed", "runs", "ago", "vruntime", "weight", "bound",
            "queued",
        ],
    ),
    // It may be moved to a CPU or not, and what it then loads and uses; it is, and so much is left to
    // be moved.
    ("l", &["by_cpu", "task", "to", "may", "load", "use"]),
    ("x", &["by_cpu", "task", "to", "left"]),
    // Domains of a CPU are balanced for which it is time: the levels as bits. Of each level: when it
    // was last, in ticks from now, and the interval in ms. `last` to `next` are times in ticks.
    (
        "p",
        &[
            "by_cpu",
            "cpu",
            "idle",
            "last0",
            "interval0",
            "last1",
            "interval1",
            "last2",
            "interval2",
            "raced",
            "levels",
            "moved",
            "others_turn",
            "then_idle",
            "then_next",
            "then_last0",
            "then_interval0",
            "then_last1",
            "then_interval1",
            "then_last2",
            "then_interval2",
        ],
    ),
    // A CPU that has nothing looks for work, or not. Of each level: as before, then what looking
    // costs, how much of 1024 it is worth it, how often it was tried, and with success.
    (
        "n",
        &[
            "by_cpu",
            "cpu",
            "pending",
            "overloaded",
            "idle_ns",
            "next",
            "count",
            "last0",
            "interval0",
            "cost0",
            "worth0",
            "calls0",
            "found0",
            "last1",
            "interval1",
            "cost1",
            "worth1",
            "calls1",
            "found1",
            "last2",
            "interval2",
            "cost2",
            "worth2",
            "calls2",
            "found2",
            "raced",
            "levels",
            "moved",
            "others_turn",
            "then_idle",
            "took_ns",
            "then_next",
            "then_calls0",
            "then_found0",
            "then_calls1",
            "then_found1",
            "then_calls2",
            "then_found2",
        ],
    ),
    // A tick: a CPU that sleeps may be called to balance for all that do.
    (
        "k",
        &[
            "cpu",
            "idle",
            "next",
            "asleep",
            "idle_cpus",
            "count",
            "awake",
            "called",
            "raced",
            "then_called",
            "then_next",
        ],
    ),
    // The end of balancing a domain.
    (
        "r",
        &[
            "by_cpu",
            "cpu",
            "level",
            "idle",
            "idle_cpus",
            "count",
            "pending",
            "failed",
            "interval",
            "raced",
            "looked",
            "found",
            "from",
            "flags",
            "moved",
            "then_failed",
            "then_interval",
            "others",
            "counts",
            "switched",
        ],
    ),
];

/// Text that is no recording of decisions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {number} is no decision of the fair class: {text}")]
pub struct DecisionsError {
    /// The line, from 1.
    pub number: usize,
    /// What it says.
    pub text: String,
}

/// A line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    kind: usize,
    numbers: Vec<i64>,
}

impl Line {
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let letter = words.next()?;
        let kind = LINES.iter().position(|line| line.0 == letter)?;
        let numbers: Vec<i64> = words.map(|word| word.parse().ok()).collect::<Option<_>>()?;
        (numbers.len() == LINES[kind].1.len()).then_some(Self { kind, numbers })
    }

    pub(super) fn letter(&self) -> &'static str {
        LINES[self.kind].0
    }

    /// The number of this name, if such lines have one.
    fn find(&self, name: &str) -> Option<i64> {
        let place = LINES[self.kind].1.iter().position(|known| *known == name);
        place.map(|place| self.numbers[place])
    }

    /// The number of this name, which such lines have: with another name, nothing would be compared.
    pub(super) fn get(&self, name: &str) -> i64 {
        let number = self.find(name);
        assert!(number.is_some(), "a line {} has no {name}", self.letter());
        number.unwrap_or_default()
    }

    /// The same, where it can't be negative, or so large that sums of it overflow.
    pub(super) fn count(&self, name: &str) -> u64 {
        self.get(name).clamp(0, 1 << 44).cast_unsigned()
    }

    /// The same, where it is a small one.
    pub(super) fn small(&self, name: &str) -> u32 {
        self.get(name).clamp(0, 1 << 16) as u32
    }

    /// The same, if it is the number of a CPU.
    pub(super) fn cpu(&self, name: &str) -> u32 {
        self.small(name).min(CPUS as u32)
    }

    pub(super) fn is(&self, name: &str) -> bool {
        self.get(name) != 0
    }

    /// Whether a line of a CPU says the same, but for since when it is idle.
    fn is_near(&self, other: &Self) -> bool {
        let names = LINES[self.kind].1.iter();
        names
            .zip(self.numbers.iter().zip(&other.numbers))
            .all(|(n, (a, b))| *n == "since" || a == b)
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.letter())?;
        self.numbers.iter().try_for_each(|number| write!(f, " {number}"))
    }
}

/// So many CPUs are recorded at most.
pub(super) const CPUS: usize = 8;

/// What was known of each CPU.
pub(super) type State = Vec<Rc<Line>>;

/// Something that was decided, with what was known.
#[derive(Debug, Clone)]
pub(super) enum Decision {
    Wake(Line),
    Fork(Line, State),
    Balance(Balancing),
    /// When domains of a CPU are balanced.
    When(Line),
}

/// One CPU balances one domain.
#[derive(Debug, Clone)]
pub(super) struct Balancing {
    /// What was found, each time that it was looked for.
    pub(super) found: Vec<(Line, State)>,
    pub(super) pulls: Vec<Pulling>,
    pub(super) end: Line,
}

/// Balancing that has not ended.
#[derive(Default)]
struct Begun {
    found: Vec<(Line, State)>,
    pulls: Vec<Pulling>,
}

/// The tasks of one CPU are looked at.
#[derive(Debug, Clone)]
pub(super) struct Pulling {
    pub(super) line: Line,
    pub(super) tasks: Vec<Line>,
    pub(super) looks: Vec<Line>,
    pub(super) moves: Vec<Line>,
}

/// Decisions of a kernel's fair class on a machine.
#[derive(Debug, Clone)]
pub struct Decisions {
    pub(super) domains: Vec<Line>,
    pub(super) all: Vec<Decision>,
}

impl Decisions {
    /// Reads a recording.
    ///
    /// # Errors
    /// The first line that is none of a recording.
    pub fn parse(text: &str) -> Result<Self, DecisionsError> {
        let mut decisions = Self { domains: Vec::new(), all: Vec::new() };
        let mut state: State = Vec::new();
        let mut begun: BTreeMap<i64, Begun> = BTreeMap::new();
        let lines = text.lines().enumerate().filter(|(_, line)| !line.starts_with('#'));
        for (number, text) in lines {
            let error = || DecisionsError { number: number + 1, text: text.to_owned() };
            let line = Line::parse(text).ok_or_else(error)?;
            let by = line.find("by_cpu").unwrap_or_default();
            match line.letter() {
                "d" => decisions.domains.push(line),
                "c" => {
                    let cpu = line.cpu("cpu") as usize;
                    if cpu < state.len() {
                        state[cpu] = Rc::new(line);
                    } else if cpu == state.len() {
                        state.push(Rc::new(line));
                    } else {
                        return Err(error());
                    }
                }
                "w" => decisions.all.push(Decision::Wake(line)),
                "p" | "n" | "k" => decisions.all.push(Decision::When(line)),
                "f" => decisions.all.push(Decision::Fork(line, state.clone())),
                "b" => begun.entry(by).or_default().found.push((line, state.clone())),
                "r" => {
                    let Begun { found, pulls } = begun.remove(&by).unwrap_or_default();
                    decisions.all.push(Decision::Balance(Balancing { found, pulls, end: line }));
                }
                "m" => {
                    let (tasks, looks, moves) = Default::default();
                    let pulling = Pulling { line, tasks, looks, moves };
                    begun.entry(by).or_default().pulls.push(pulling);
                }
                letter => {
                    let pulling = begun.entry(by).or_default().pulls.last_mut();
                    // A recording may begin in the midst.
                    let Some(pulling) = pulling else { continue };
                    match letter {
                        "t" => pulling.tasks.push(line),
                        "l" => pulling.looks.push(line),
                        _ => pulling.moves.push(line),
                    }
                }
            }
        }
        Ok(decisions)
    }

    /// A part of it that is worth keeping: of decisions that came out alike, the first ones, and
    /// twice as many of the others; of new tasks, and of wake-ups, which are short, several times as
    /// many. Those in whose midst something changed are left out.
    #[must_use]
    pub fn thinned(&self, first: usize) -> Self {
        let mut seen: BTreeMap<Vec<i64>, (usize, usize)> = BTreeMap::new();
        let mut keep = |decision: &&Decision| {
            let first = match decision {
                Decision::Wake(_) => 9 * first,
                Decision::Fork(..) => 7 * first,
                Decision::Balance(_) | Decision::When(_) => first,
            };
            let (number, kept) = seen.entry(decision.outcome()).or_default();
            *number += 1;
            let keeps = *number <= first || *number % 7 == 0 && *kept < 2 * first;
            *kept += usize::from(keeps);
            keeps
        };
        let still = self.all.iter().filter(|decision| !decision.raced());
        let all = still.filter(|decision| keep(decision)).cloned().collect();
        Self { domains: self.domains.clone(), all }
    }
}

impl Decision {
    fn raced(&self) -> bool {
        match self {
            Self::Wake(line) | Self::Fork(line, _) | Self::When(line) => line.is("raced"),
            Self::Balance(Balancing { found, end, .. }) => {
                end.is("raced") || found.iter().any(|(line, _)| line.is("raced"))
            }
        }
    }

    /// What it came to, roughly.
    fn outcome(&self) -> Vec<i64> {
        match self {
            Self::Wake(line) => {
                let chosen = line.get("chosen");
                let same = |name| i64::from(line.get(name) == chosen);
                vec![0, same("here"), same("there"), same("recent"), line.get("sync")]
            }
            Self::Fork(..) => vec![1],
            Self::When(line) => {
                let get = |name| line.find(name).unwrap_or_default();
                let changed = i64::from(get("called") != get("then_called"));
                let (levels, moved) = (get("levels"), i64::from(get("moved") != 0));
                let letter = line.letter().bytes().next().map_or(0, i64::from);
                vec![letter, get("idle"), levels, moved, changed, get("overloaded")]
            }
            Self::Balance(Balancing { end, found, .. }) => {
                let measure = found.first().map_or(-1, |(line, _)| line.get("measure"));
                let moved = i64::from(end.is("moved"));
                vec![2, end.get("idle"), end.get("looked"), end.get("found"), moved, measure]
            }
        }
    }
}

impl fmt::Display for Decisions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.domains.iter().try_for_each(|line| writeln!(f, "{line}"))?;
        let mut written = Written::default();
        for decision in &self.all {
            match decision {
                Decision::Wake(line) | Decision::When(line) => writeln!(f, "{line}")?,
                Decision::Fork(line, state) => {
                    written.show(f, state, u64::MAX)?;
                    writeln!(f, "{line}")?;
                }
                Decision::Balance(balancing) => {
                    for (line, state) in &balancing.found {
                        written.show(f, state, line.count("cpus"))?;
                        writeln!(f, "{line}")?;
                    }
                    for pull in &balancing.pulls {
                        writeln!(f, "{}", pull.line)?;
                        for line in pull.tasks.iter().chain(&pull.looks).chain(&pull.moves) {
                            writeln!(f, "{line}")?;
                        }
                    }
                    writeln!(f, "{}", balancing.end)?;
                }
            }
        }
        Ok(())
    }
}

/// What was last written of each CPU.
#[derive(Default)]
struct Written(State);

impl Written {
    /// Writes what is not known yet of CPUs that matter. Of each, something has to be known.
    fn show(&mut self, f: &mut fmt::Formatter<'_>, state: &State, matter: u64) -> fmt::Result {
        for (cpu, line) in state.iter().enumerate() {
            let known = self.0.get(cpu);
            // Since when a CPU is idle counts for new tasks only.
            let same = |known: &Line| *known == **line || matter != u64::MAX && known.is_near(line);
            if known.is_some_and(|known| same(known) || matter >> cpu & 1 == 0) {
                continue;
            }
            writeln!(f, "{line}")?;
            if cpu < self.0.len() {
                self.0[cpu] = Rc::clone(line);
            } else {
                self.0.push(Rc::clone(line));
            }
        }
        Ok(())
    }
}
