// SPDX-License-Identifier: GPL-2.0-or-later
//! What happened between two samples: the formulas.
//!
//! With Δ for what a counter counted meanwhile, t for the time in seconds, and of a package, a core or
//! the machine the sums over its CPUs, of which there are n (turbostat(8)):
//!
//! | column | formula |
//! | --- | --- |
//! | `Avg_MHz` | Δaperf / 10⁶ / t / n |
//! | `Busy%` | 100 · Δmperf / Δtsc; of `/proc/stat`: 100 · busy ticks / all |
//! | `Bzy_MHz` | Δtsc / 10⁶ / t / n · Δaperf / Δmperf; of cpufreq: the mean of both samples |
//! | `TSC_MHz` | Δtsc / 10⁶ / t / n |
//! | `IPC` | Δinstructions / Δaperf |
//! | `C1`, ... | Δusage |
//! | `C1%`, ... | Δtime in us / (t · 10⁴) / n |
//! | `CPU%c1` | what is left of 100 after `Busy%` and the ones below, and not less than 0 |
//! | `CPU%c3`, `c6`, `c7`, `Pkg%pc2`, ... | 100 · Δ / Δtsc, of one CPU of the core or package |
//! | `PkgWatt`, ... | Δ · unit / t |

use super::energy::Domain;
use super::idle::State;
use super::meter::Meter;
use super::sample::{Cpu, Place, Sample};
use super::{Hardware, sample::Cycles};
use std::collections::{BTreeMap, BTreeSet};

/// The columns that belong to cycles, in their order.
const OF_CYCLES: [&str; 5] = ["Avg_MHz", "Busy%", "Bzy_MHz", "TSC_MHz", "IPC"];
/// Those of idle states that the hardware reached.
const REACHED: [&str; 8] =
    ["CPU%c1", "CPU%c3", "CPU%c6", "CPU%c7", "Pkg%pc2", "Pkg%pc3", "Pkg%pc6", "Pkg%pc7"];

/// A column, and with how many digits after the point it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// As turbostat names it.
    pub name: String,
    /// Digits after the point.
    pub digits: usize,
}

/// The machine, a package, a core or a CPU.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Which; `None` for the machine.
    pub place: Option<Place>,
    /// By the names of columns; what can't be had is not there.
    pub values: BTreeMap<String, f64>,
}

/// What happened between two samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Interval {
    /// How long it was, in seconds.
    pub seconds: f64,
    /// The columns of which any row has a value, and `Busy%` if ticks count that.
    pub columns: Vec<Column>,
    /// The machine first, then packages, cores and CPUs in their order. A core of one CPU has no row of
    /// its own.
    pub rows: Vec<Row>,
    /// CPUs that came or went meanwhile, or whose counters began anew, which are in no row.
    pub changed: Vec<u32>,
}

/// What CPUs counted between two samples, in all.
#[derive(Debug, Default)]
struct Counted {
    cpus: u64,
    cycles: Option<Cycles>,
    instructions: Option<u64>,
    ticks: Option<(u64, u64)>,
    /// The sum of their frequencies in both samples.
    khz: Option<u64>,
    states: Vec<(String, u64, u64)>,
}

impl Counted {
    fn add(&mut self, before: &Cpu, after: &Cpu) {
        let first = self.cpus == 0;
        self.cpus += 1;
        let since = |a: u64, b: u64| b.saturating_sub(a);
        let cycles = before.cycles.zip(after.cycles).map(|(a, b)| Cycles {
            aperf: since(a.aperf, b.aperf),
            mperf: since(a.mperf, b.mperf),
            tsc: since(a.tsc, b.tsc),
        });
        self.cycles = sum(first, self.cycles, cycles, |a, b| Cycles {
            aperf: a.aperf.saturating_add(b.aperf),
            mperf: a.mperf.saturating_add(b.mperf),
            tsc: a.tsc.saturating_add(b.tsc),
        });
        let instructions = before.instructions.zip(after.instructions);
        let instructions = instructions.map(|(a, b)| since(a, b));
        self.instructions = sum(first, self.instructions, instructions, u64::saturating_add);
        let ticks = before.ticks.zip(after.ticks);
        // The kernel may take some of the time back that a CPU was idle.
        let ticks = ticks.map(|(a, b)| (b.0.saturating_sub(a.0), b.1.saturating_sub(a.1)));
        self.ticks = sum(first, self.ticks, ticks, |a, b| {
            (a.0.saturating_add(b.0), a.1.saturating_add(b.1))
        });
        let khz = before.khz.zip(after.khz).map(|(a, b)| a.saturating_add(b));
        self.khz = sum(first, self.khz, khz, u64::saturating_add);
        for state in &after.states {
            let Some(old) = before.states.iter().find(|it| it.name == state.name) else { continue };
            let (entered, us) = (since(old.entered, state.entered), since(old.us, state.us));
            match self.states.iter_mut().find(|it| it.0 == state.name) {
                Some(sums) => {
                    sums.1 = sums.1.saturating_add(entered);
                    sums.2 = sums.2.saturating_add(us);
                }
                None => self.states.push((state.name.clone(), entered, us)),
            }
        }
    }

    fn values(&self, seconds: f64) -> BTreeMap<String, f64> {
        let n = self.cpus.max(1) as f64;
        let mut values = BTreeMap::new();
        let mut put = |name: &str, value: f64| {
            if value.is_finite() {
                values.insert(name.to_owned(), value);
            }
        };
        if let Some(Cycles { aperf, mperf, tsc }) = self.cycles {
            let (aperf, mperf, tsc) = (aperf as f64, mperf as f64, tsc as f64);
            put("Avg_MHz", aperf / 1e6 / seconds / n);
            put("Busy%", 100.0 * mperf / tsc);
            put("Bzy_MHz", tsc / 1e6 / seconds / n * aperf / mperf);
            put("TSC_MHz", tsc / 1e6 / seconds / n);
            if let Some(instructions) = self.instructions {
                put("IPC", instructions as f64 / aperf);
            }
        } else if let Some((busy, all)) = self.ticks {
            let busy = busy as f64 / all as f64;
            put("Busy%", 100.0 * busy);
            if let Some(khz) = self.khz {
                let mhz = khz as f64 / 2.0 / 1e3 / n;
                put("Bzy_MHz", mhz);
                put("Avg_MHz", mhz * busy);
            }
        }
        for (name, entered, us) in &self.states {
            put(name, *entered as f64);
            put(&format!("{name}%"), *us as f64 / (seconds * 1e4) / n);
        }
        values
    }
}

/// A sum of which every part has to be known.
fn sum<T>(first: bool, sum: Option<T>, part: Option<T>, add: impl Fn(T, T) -> T) -> Option<T> {
    if first { part } else { sum.zip(part).map(|(a, b)| add(a, b)) }
}

/// Whether no counter of a CPU has begun anew, as they do when it sleeps with the whole machine, or goes
/// and comes back.
fn went_on(before: &Cpu, after: &Cpu) -> bool {
    let cycles = before.cycles.zip(after.cycles);
    let states = |state: &State| {
        let old = before.states.iter().find(|it| it.name == state.name);
        old.is_none_or(|old| old.entered <= state.entered && old.us <= state.us)
    };
    cycles.is_none_or(|(a, b)| a.aperf <= b.aperf && a.mperf <= b.mperf && a.tsc <= b.tsc)
        && before.instructions.zip(after.instructions).is_none_or(|(a, b)| a <= b)
        && after.states.iter().all(states)
}

impl Interval {
    /// What happened between two samples of a meter.
    pub fn between<H: Hardware>(meter: &Meter<H>, before: &Sample, after: &Sample) -> Self {
        let seconds = after.time_ns.saturating_sub(before.time_ns).max(1) as f64 / 1e9;
        let numbers: BTreeSet<u32> = before.cpus.keys().chain(after.cpus.keys()).copied().collect();
        let pair = |cpu: &u32| {
            let pair = (before.cpus.get(cpu)?, after.cpus.get(cpu)?);
            went_on(pair.0, pair.1).then_some(pair)
        };
        let cpus: Vec<_> = numbers.iter().filter_map(pair).collect();
        let changed = numbers.iter().filter(|cpu| pair(cpu).is_none()).copied().collect();
        let mut places = BTreeSet::new();
        let mut cores = BTreeMap::new();
        for (_, cpu) in &cpus {
            places.extend([cpu.place.package(), cpu.place]);
            *cores.entry(cpu.place.core()).or_insert(0) += 1;
        }
        places.extend(cores.into_iter().filter(|(_, cpus)| *cpus > 1).map(|(core, _)| core));
        let mut rows = Vec::new();
        for place in std::iter::once(None).chain(places.into_iter().map(Some)) {
            let own = |it: &&(&Cpu, &Cpu)| place.is_none_or(|place| place.has(it.1.place));
            let mut counted = Counted::default();
            cpus.iter().filter(own).for_each(|(before, after)| counted.add(before, after));
            let mut values = counted.values(seconds);
            let own: Vec<_> = cpus.iter().filter(own).copied().collect();
            reached(meter, place, &own, &mut values);
            energy(meter, place, (before, after), seconds, &mut values);
            warmth(place, after, &mut values);
            rows.push(Row { place, values });
        }
        let columns = columns(&rows, &cpus);
        Self { seconds, columns, rows, changed }
    }

    /// Joules of the whole machine by what took them.
    pub fn joules(&self) -> BTreeMap<&'static str, f64> {
        let all = self.rows.iter().find(|row| row.place.is_none());
        let value = |name: &str| all?.values.get(name).copied();
        Domain::ALL
            .iter()
            .filter_map(|(domain, _, name)| Some((domain.name(), value(name)?)))
            .collect()
    }
}

/// Idle states that the hardware reached, of rows that are as large as what counts them: a core with
/// one CPU is shown as that.
fn reached<H: Hardware>(
    meter: &Meter<H>,
    place: Option<Place>,
    cpus: &[(&Cpu, &Cpu)],
    values: &mut BTreeMap<String, f64>,
) {
    let share = |(before, after): &(&Cpu, &Cpu), column: &str| {
        let count = after.residencies.get(column)?.checked_sub(*before.residencies.get(column)?)?;
        let tsc = after.cycles?.tsc.checked_sub(before.cycles?.tsc)?;
        (tsc > 0).then(|| 100.0 * count as f64 / tsc as f64)
    };
    let mut deeper = None;
    for column in REACHED {
        // What packages count is no core's.
        let fits = place.is_none_or(|it| it.core.is_none() || meter.is_of_cores(column));
        let shares: Vec<f64> = cpus.iter().filter_map(|pair| share(pair, column)).collect();
        if shares.is_empty() || !fits {
            continue;
        }
        let mean = shares.iter().sum::<f64>() / shares.len() as f64;
        values.insert(column.to_owned(), mean);
        if meter.is_of_cores(column) {
            *deeper.get_or_insert(0.0) += mean;
        }
    }
    if let (Some(deeper), Some(busy)) = (deeper, values.get("Busy%")) {
        let left = (100.0 - busy - deeper).max(0.0);
        values.insert("CPU%c1".to_owned(), left);
    }
}

/// What was taken by a package, a core that has a counter, or all.
fn energy<H: Hardware>(
    meter: &Meter<H>,
    place: Option<Place>,
    (before, after): (&Sample, &Sample),
    seconds: f64,
    values: &mut BTreeMap<String, f64>,
) {
    for (domain, watts, joules) in Domain::ALL {
        let mut all = Some(0.0);
        let mut any = false;
        for (number, counter) in meter.energy.iter().enumerate() {
            let read = |sample: &Sample| sample.energy.get(number).copied().flatten();
            let fits = match place {
                None => true,
                Some(_) if domain == Domain::System => false,
                Some(place) => match counter.place.core {
                    // A core with one CPU has no row of its own.
                    Some(_) => place.has(counter.place) || is_alone(place, counter.place, after),
                    None => place == counter.place,
                },
            };
            if counter.domain == domain && fits {
                any = true;
                let both = read(before).zip(read(after));
                // Of a part there is no whole.
                all = all.zip(both).map(|(all, (a, b))| all + counter.joules(a, b));
            }
        }
        if let Some(all) = all.filter(|_| any) {
            values.insert(watts.to_owned(), all / seconds);
            values.insert(joules.to_owned(), all);
        }
    }
}

/// Whether a CPU is the only one of a core.
fn is_alone(cpu: Place, core: Place, sample: &Sample) -> bool {
    cpu.cpu.is_some()
        && cpu.core() == core
        && sample.cpus.values().filter(|it| core.has(it.place)).count() == 1
}

/// How warm it is now: a core, a package, the warmest of all.
fn warmth(place: Option<Place>, now: &Sample, values: &mut BTreeMap<String, f64>) {
    for (at, degrees) in &now.warmth {
        let of_core = at.is_some_and(|at| at.core.is_some());
        let fits = match (place, at) {
            (None, _) => true,
            (Some(place), Some(at)) if of_core => place.core() == *at || place.has(*at),
            (Some(place), Some(at)) => place == *at,
            (Some(_), None) => false,
        };
        if fits {
            let name = if of_core { "CoreTmp" } else { "PkgTmp" };
            let warmest = values.entry(name.to_owned()).or_insert(*degrees);
            *warmest = warmest.max(*degrees);
        }
    }
}

/// The columns of which any row has a value, in their order, and how busy it was though nothing
/// was counted yet: ticks come every few milliseconds, which may be more than an interval.
fn columns(rows: &[Row], cpus: &[(&Cpu, &Cpu)]) -> Vec<Column> {
    let mut columns = Vec::new();
    let mut add = |name: &str, digits| columns.push(Column { name: name.to_owned(), digits });
    for name in OF_CYCLES {
        add(name, if name.ends_with("MHz") { 0 } else { 2 });
    }
    let mut states: Vec<&str> = Vec::new();
    for state in cpus.iter().flat_map(|(_, cpu)| &cpu.states) {
        if !states.contains(&state.name.as_str()) {
            states.push(&state.name);
        }
    }
    states.iter().for_each(|name| add(name, 0));
    states.iter().for_each(|name| add(&format!("{name}%"), 2));
    REACHED[..4].iter().for_each(|name| add(name, 2));
    add("CoreTmp", 0);
    add("PkgTmp", 0);
    REACHED[4..].iter().for_each(|name| add(name, 2));
    Domain::ALL.iter().for_each(|(_, watts, _)| add(watts, 2));
    Domain::ALL.iter().for_each(|(_, _, joules)| add(joules, 2));
    let busy = cpus.iter().any(|(_, cpu)| cpu.ticks.is_some());
    columns.retain(|column| {
        let counted = busy && column.name == "Busy%";
        counted || rows.iter().any(|row| row.values.contains_key(&column.name))
    });
    columns
}
