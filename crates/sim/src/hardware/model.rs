// SPDX-License-Identifier: GPL-2.0-or-later
//! Machine files: a machine as TOML, with where each of its numbers comes from.
//!
//! What a file leaves out is as in `data/machines/default.toml`, which leaves out nothing.

use super::text::{ModelError, Section, parse};
use super::{CorePower, Costs, IdleState, Platform};
use rota_events::hint;
use rota_topology::{CAPACITY_FULL, CoreType, CpuId, Spec, Topology};
use rota_workload::Capacity;

/// The longest time that a file may state, in ns: ten seconds.
const NS_MAX: u64 = 10_000_000_000;
/// The most cache lines that a task in a queue has.
const LINES_MAX: u64 = 1000;
/// The most power, in mW: a megawatt.
const MW_MAX: u64 = 1_000_000_000;

/// A machine of which everything is known.
#[derive(Debug, Clone)]
pub struct Model {
    /// What it is, in a line.
    pub about: String,
    /// Its CPUs.
    pub topology: Topology,
    /// What things take.
    pub costs: Costs,
    /// Idle states, power, noise.
    pub platform: Platform,
    /// Where the numbers come from.
    pub sources: Vec<Stated>,
}

/// A number of a machine, and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stated {
    /// Its key in the file.
    pub name: String,
    /// Its value, as the file has it.
    pub value: String,
    /// Where it comes from.
    pub text: String,
}

/// Finds the topology that a machine file names: a short form, or a file.
pub type FindTopology<'a> = dyn Fn(&str) -> Result<Topology, String> + 'a;

macro_rules! machines {
    ($($name:literal)*) => {
        /// The machines that have names, with their files.
        const MACHINES: &[(&str, &str)] = &[
            $(($name, include_str!(concat!("../../../../data/machines/", $name, ".toml")))),*
        ];
    };
}
machines!("laptop" "desktop16" "server256" "server1024");

const DEFAULT: &str = include_str!("../../../../data/machines/default.toml");
const LAPTOP: &str = include_str!("../../../../data/machines/laptop.json");

impl Model {
    /// The machines that have names.
    pub fn names() -> impl Iterator<Item = &'static str> {
        MACHINES.iter().map(|machine| machine.0)
    }

    /// The machine of that name, if there is one.
    pub fn named(name: &str) -> Option<Result<Self, ModelError>> {
        let (_, text) = MACHINES.iter().find(|machine| machine.0 == name)?;
        Some(Self::parse(text, &built_in_topology))
    }

    /// What its CPUs can do while all of them are busy.
    pub fn capacity(&self) -> Capacity {
        let last = self.topology.possible().last().map_or(0, |last| last.0 + 1);
        let speed = |id: u32| {
            let id = CpuId(id);
            let cpu = self.topology.cpu(id).filter(|_| self.topology.online().contains(id));
            let shared = self.topology.siblings(id).is_some_and(|threads| threads.count() > 1);
            let percent = if shared { self.costs.smt_percent } else { 100 };
            cpu.map_or(0, |cpu| cpu.capacity.min(CAPACITY_FULL) * percent / 100)
        };
        Capacity::new((0..last).map(speed).collect())
    }

    /// A machine of which only the CPUs are known; the rest is as in the default.
    ///
    /// # Errors
    /// [`ModelError`] if the default can't be read, which a test excludes.
    pub fn of(topology: Topology) -> Result<Self, ModelError> {
        let model = Self::parse(DEFAULT, &built_in_topology)?;
        let about = match topology.online().count() {
            1 => "1 CPU, the rest as in the default".to_owned(),
            cpus => format!("{cpus} CPUs, the rest as in the default"),
        };
        Ok(Self { about, topology, ..model })
    }

    /// The same with all costs `times / of` as high, those of leaving idle states among them.
    #[must_use]
    pub fn scaled(&self, times: u64, of: u64) -> Self {
        let mut scaled = Self { costs: self.costs.scaled(times, of), ..self.clone() };
        for state in &mut scaled.platform.idle {
            state.exit_ns = state.exit_ns.saturating_mul(times) / of.max(1);
        }
        scaled
    }

    /// Reads a machine file.
    ///
    /// # Errors
    /// [`ModelError`] says where it is wrong and what is expected there.
    pub fn parse(text: &str, find: &FindTopology<'_>) -> Result<Self, ModelError> {
        let table = parse(text)?;
        let mut file = Section::new(text, "", 0, table.get_ref());
        let about = file.text("about")?.map(|(about, _)| about.to_owned());
        let topology = match file.text("topology")? {
            None => {
                return Err(
                    file.wrong("topology is missing: a short form such as 2l:8c, or a file")
                );
            }
            Some((name, place)) => find(name).map_err(|e| ModelError::at(text, place, e))?,
        };
        let mut model = match text == DEFAULT {
            // Everything is in it.
            true => Self {
                about: about.unwrap_or_default(),
                topology,
                costs: Costs::NONE,
                platform: Platform::default(),
                sources: Vec::new(),
            },
            false => {
                let model = Self::of(topology)?;
                Self { about: about.unwrap_or(model.about), ..model }
            }
        };
        if let Some(costs) = file.section("costs")? {
            model.read_costs(costs)?;
        }
        if let Some(states) = file.sections("idle")? {
            model.read_idle(states)?;
        }
        if let Some(power) = file.section("power")? {
            model.read_power(power)?;
        }
        if let Some(cores) = file.sections("core")? {
            model.read_cores(cores)?;
        }
        if let Some(noise) = file.section("noise")? {
            model.read_noise(noise)?;
        }
        file.finish()?;
        Ok(model)
    }

    /// Notes where something comes from, in the place of what was known of it.
    fn source(&mut self, name: &str, mut section: Section<'_>) -> Result<(), ModelError> {
        let text = section.needed_text("source")?.to_owned();
        if text.trim().is_empty() {
            return Err(
                section.wrong(format!("{name}.source is empty: say where the number is from"))
            );
        }
        let stated = Stated { name: name.to_owned(), value: section.shown(), text };
        match self.sources.iter_mut().find(|known| known.name == name) {
            Some(known) => *known = stated,
            None => self.sources.push(stated),
        }
        section.finish()
    }

    fn read_costs(&mut self, mut costs: Section<'_>) -> Result<(), ModelError> {
        let c = &mut self.costs;
        let [core, llc, node, remote] = &mut c.migration_ns;
        let [line_core, line_llc, line_node, line_remote] = &mut c.line_ns;
        let plain = [
            ("switch", "ns", &mut c.switch_ns),
            ("interrupt", "ns", &mut c.interrupt_ns),
            ("kick", "ns", &mut c.kick_ns),
            ("kicked", "ns", &mut c.kicked_ns),
            ("tick", "ns", &mut c.tick_ns),
            ("callback", "ns", &mut c.callback_ns),
            ("call", "ns", &mut c.call_ns),
            ("insn", "ps", &mut c.insn_ps),
            ("line_core", "ns", line_core),
            ("line_llc", "ns", line_llc),
            ("line_node", "ns", line_node),
            ("line_remote", "ns", line_remote),
            ("migrate_core", "ns", core),
            ("migrate_llc", "ns", llc),
            ("migrate_node", "ns", node),
            ("migrate_remote", "ns", remote),
        ];
        let mut read = Vec::new();
        for (name, unit, place) in plain {
            if let Some(mut section) = costs.section(name)? {
                *place = section.needed(unit, NS_MAX)?;
                read.push((name, section));
            }
        }
        if let Some(mut section) = costs.section("dsq")? {
            c.dsq_ns = section.needed("ns", NS_MAX)?;
            c.dsq_lines = section.needed("lines", LINES_MAX)?;
            read.push(("dsq", section));
        }
        if let Some(mut section) = costs.section("refill")? {
            c.refill_ns = section.needed("ns", NS_MAX)?;
            c.refill_after_ns = section.needed("after_ns", NS_MAX)?.max(1);
            read.push(("refill", section));
        }
        if let Some(mut section) = costs.section("smt")? {
            c.smt_percent = section.needed("percent", 100)? as u32;
            if c.smt_percent == 0 {
                return Err(section.wrong(
                    "costs.smt.percent: a thread that shares its core runs, if \
                                          slowly: 1 to 100",
                ));
            }
            read.push(("smt", section));
        }
        for (name, section) in read {
            self.source(&format!("costs.{name}"), section)?;
        }
        costs.finish()
    }

    fn read_idle(&mut self, states: Vec<Section<'_>>) -> Result<(), ModelError> {
        self.platform.idle.clear();
        self.sources.retain(|known| !known.name.starts_with("idle"));
        for mut state in states {
            let read = IdleState {
                name: state.needed_text("name")?.to_owned(),
                exit_ns: state.needed("exit_ns", NS_MAX)?,
                residency_ns: state.needed("residency_ns", NS_MAX)?,
                power_mw: state.needed("mw", MW_MAX)?,
            };
            let before = self.platform.idle.last().map_or(0, |state| state.residency_ns);
            if read.residency_ns < before {
                return Err(state.wrong(format!(
                    "idle state {} comes after one with a longer residency: the shallowest first",
                    read.name
                )));
            }
            let name = format!("idle {}", read.name);
            self.platform.idle.push(read);
            self.source(&name, state)?;
        }
        Ok(())
    }

    fn read_power(&mut self, mut power: Section<'_>) -> Result<(), ModelError> {
        self.platform.power.base_mw = power.needed("base_mw", MW_MAX)?;
        self.platform.power.thread_percent = power.needed("thread_percent", 100)?;
        self.source("power", power)
    }

    fn read_cores(&mut self, cores: Vec<Section<'_>>) -> Result<(), ModelError> {
        self.platform.power.cores.clear();
        self.sources.retain(|known| !known.name.starts_with("core "));
        for mut core in cores {
            let kind = core.needed_text("kind")?;
            let kinds = [
                ("uniform", CoreType::Uniform),
                ("performance", CoreType::Performance),
                ("efficiency", CoreType::Efficiency),
            ];
            let found = kinds.iter().find(|known| known.0 == kind).map(|known| known.1);
            let names = kinds.map(|known| known.0);
            let wrong = || core.wrong(format!("no kind of core '{kind}'{}", hint(kind, &names)));
            let kind = found.ok_or_else(wrong)?;
            if self.platform.power.cores.iter().any(|known| known.kind == kind) {
                return Err(core.wrong(format!("two cores of kind {kind}")));
            }
            let read = CorePower {
                kind,
                static_mw: core.needed("static_mw", MW_MAX)?,
                dynamic_mw: core.needed("dynamic_mw", MW_MAX)?,
                least: core.needed("least", 1024)? as u32,
            };
            self.platform.power.cores.push(read);
            self.source(&format!("core {kind}"), core)?;
        }
        Ok(())
    }

    fn read_noise(&mut self, mut noise: Section<'_>) -> Result<(), ModelError> {
        let n = &mut self.platform.noise;
        let mut read = Vec::new();
        if let Some(mut section) = noise.section("interrupts")? {
            n.interrupt_ppm = section.needed("ppm", 500_000)?;
            read.push(("interrupts", section));
        }
        if let Some(mut section) = noise.section("timers")? {
            n.timer_late_ns = section.needed("late_ns", NS_MAX)?;
            read.push(("timers", section));
        }
        let tasks = [
            ("workers", &mut n.worker_every_ns, &mut n.worker_run_ns),
            ("realtime", &mut n.realtime_every_ns, &mut n.realtime_run_ns),
        ];
        for (name, every_ns, run_ns) in tasks {
            if let Some(mut section) = noise.section(name)? {
                *every_ns = section.needed("every_ns", 60 * NS_MAX)?;
                *run_ns = section.needed("run_ns", NS_MAX)?;
                read.push((name, section));
            }
        }
        for (name, section) in read {
            self.source(&format!("noise.{name}"), section)?;
        }
        noise.finish()
    }
}

/// What the files of the machines with names may name.
fn built_in_topology(name: &str) -> Result<Topology, String> {
    match name {
        "laptop.json" => Topology::from_json(LAPTOP).map_err(|e| e.to_string()),
        _ => name.parse::<Spec>().map(|spec| spec.topology()).map_err(|e| e.to_string()),
    }
}
