// SPDX-License-Identifier: GPL-2.0-or-later
//! Counters of energy: events of perf, powercap, registers, hwmon; for each domain the first that can be
//! read.

use super::sample::Place;
use super::{At, Hardware, Pmu, number, text};
use rota_topology::{CpuMask, Tree};

/// What takes energy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Domain {
    /// All of the machine that is measured (`psys`).
    System,
    /// A package.
    Package,
    /// The cores of a package, or one core.
    Cores,
    /// Its graphics (`uncore` of powercap).
    Graphics,
    /// Its memory.
    Memory,
}

impl Domain {
    /// In the order of columns, with their names: watts, then joules.
    pub(super) const ALL: [(Self, &'static str, &'static str); 5] = [
        (Self::System, "SysWatt", "Sys_J"),
        (Self::Package, "PkgWatt", "Pkg_J"),
        (Self::Cores, "CorWatt", "Cor_J"),
        (Self::Graphics, "GFXWatt", "GFX_J"),
        (Self::Memory, "RAMWatt", "RAM_J"),
    ];

    /// Its name in words.
    pub fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Package => "packages",
            Self::Cores => "cores",
            Self::Graphics => "graphics",
            Self::Memory => "memory",
        }
    }

    fn of_powercap(name: &str) -> Option<Self> {
        match name {
            "psys" => Some(Self::System),
            "core" => Some(Self::Cores),
            "uncore" => Some(Self::Graphics),
            "dram" => Some(Self::Memory),
            _ => name.starts_with("package-").then_some(Self::Package),
        }
    }
}

/// A counter of energy.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Counter {
    pub(super) domain: Domain,
    pub(super) place: Place,
    at: At,
    /// Who reads it.
    cpu: u32,
    /// Joules of one.
    joules: f64,
    /// From how many on it begins anew; 0 if it never does.
    wraps_at: u64,
}

impl Counter {
    pub(super) fn read(&self, hardware: &mut dyn Hardware) -> Option<u64> {
        let value = self.at.read(hardware, self.cpu).ok()?;
        // The upper half of a register is something else.
        Some(if let At::Register(_) = self.at { value & u64::from(u32::MAX) } else { value })
    }

    /// Joules between two readings; once it may have begun anew.
    pub(super) fn joules(&self, before: u64, after: u64) -> f64 {
        let count = match after.checked_sub(before) {
            Some(count) => count,
            None => after.saturating_add(self.wraps_at).saturating_sub(before),
        };
        count as f64 * self.joules
    }
}

/// Where a machine's CPUs are, for whom a counter belongs to one.
type PlaceOf<'a> = &'a dyn Fn(u32) -> Option<Place>;

/// All counters; where they are from, and why others can't be read.
pub(super) fn find(
    hardware: &mut dyn Hardware,
    place_of: PlaceOf<'_>,
) -> (Vec<Counter>, Vec<&'static str>, Vec<String>) {
    let (mut all, mut sources, mut whys) = (Vec::<Counter>::new(), Vec::new(), Vec::new());
    for (name, found) in [
        ("perf", events(hardware, place_of)),
        ("powercap", powercap(hardware)),
        ("MSR", registers(hardware, place_of)),
        ("hwmon", hwmon(hardware)),
    ] {
        match found {
            Ok(mut counters) => {
                let known: Vec<_> = all.iter().map(|it| it.domain).collect();
                counters.retain(|it| !known.contains(&it.domain));
                if !counters.is_empty() {
                    sources.push(name);
                    all.extend(counters);
                }
            }
            Err(why) => whys.push(format!("{name}: {why}")),
        }
    }
    (all, sources, whys)
}

/// Counters that can be read, if there are any.
fn readable(
    hardware: &mut dyn Hardware,
    counters: Vec<Counter>,
    none: &str,
) -> Result<Vec<Counter>, String> {
    let read: Vec<_> = counters.into_iter().filter(|it| it.read(hardware).is_some()).collect();
    if read.is_empty() { Err(none.to_owned()) } else { Ok(read) }
}

fn events(hardware: &mut dyn Hardware, place_of: PlaceOf<'_>) -> Result<Vec<Counter>, String> {
    const EVENTS: [(&str, &str, Domain); 6] = [
        ("power", "energy-psys", Domain::System),
        ("power", "energy-pkg", Domain::Package),
        ("power", "energy-cores", Domain::Cores),
        ("power", "energy-gpu", Domain::Graphics),
        ("power", "energy-ram", Domain::Memory),
        ("power_core", "energy-core", Domain::Cores),
    ];
    let mut counters = Vec::new();
    let mut why = None;
    for (name, event, domain) in EVENTS {
        let pmu = Pmu { sys: hardware.sys(), name };
        let numbers = (pmu.kind(), pmu.config(event), pmu.scale(event));
        let (Some(kind), Some(config), Some(joules)) = numbers else { continue };
        let cpus = pmu.file("cpumask").and_then(|list| CpuMask::from_list(&list).ok());
        for cpu in &cpus.unwrap_or_default() {
            let Some(place) = place_of(cpu.0) else { continue };
            if let Err(error) = hardware.event(cpu.0, kind, config) {
                why = Some(format!("{event}: {error}"));
                continue;
            }
            let place = if name == "power_core" { place.core() } else { place.package() };
            let at = At::Event { kind, config };
            counters.push(Counter { domain, place, at, cpu: cpu.0, joules, wraps_at: 0 });
        }
    }
    let none = why.unwrap_or_else(|| "no energy events".to_owned());
    readable(hardware, counters, &none)
}

fn powercap(hardware: &mut dyn Hardware) -> Result<Vec<Counter>, String> {
    // There it is what one core has taken.
    let amd = hardware.proc("cpuinfo").is_some_and(|text| text.contains("AuthenticAMD"));
    let sys = hardware.sys();
    let zones = sys.list("class/powercap");
    let mut counters = Vec::new();
    for zone in zones.iter().filter_map(|name| name.strip_prefix("intel-rapl:")) {
        let folder = format!("class/powercap/intel-rapl:{zone}");
        let Some(name) = text(sys, &format!("{folder}/name")) else { continue };
        let domain = Domain::of_powercap(&name).filter(|it| !amd || *it != Domain::Cores);
        let Some(domain) = domain else { continue };
        // A zone within another one belongs to its package.
        let outer = zone.split(':').next().unwrap_or(zone);
        let package = text(sys, &format!("class/powercap/intel-rapl:{outer}/name"))
            .and_then(|name| name.strip_prefix("package-")?.split('-').next()?.parse().ok());
        counters.push(Counter {
            domain,
            place: Place { package: package.unwrap_or(0), ..Place::default() },
            at: At::File(format!("{folder}/energy_uj")),
            cpu: 0,
            joules: 1e-6,
            wraps_at: number(sys, &format!("{folder}/max_energy_range_uj")).unwrap_or(0),
        });
    }
    let none = match counters.is_empty() {
        true => "no zones of intel-rapl",
        false => "energy_uj can't be read, only root may",
    };
    readable(hardware, counters, none)
}

/// A register of energy: its number, what it is of, and whether each core has one.
type Register = (u32, Domain, bool);

/// Registers of energy: their unit, and each. Intel's, then AMD's (kernel:
/// `arch/x86/include/asm/msr-index.h`).
const REGISTERS: [(u32, &[Register]); 2] = [
    (
        0x606,
        &[
            (0x611, Domain::Package, false),
            (0x639, Domain::Cores, false),
            (0x641, Domain::Graphics, false),
        ],
    ),
    (0xc001_0299, &[(0xc001_029b, Domain::Package, false), (0xc001_029a, Domain::Cores, true)]),
];

fn registers(hardware: &mut dyn Hardware, place_of: PlaceOf<'_>) -> Result<Vec<Counter>, String> {
    let online = super::sample::online(hardware.sys());
    let cpus: Vec<_> = online.iter().filter_map(|cpu| Some((cpu.0, place_of(cpu.0)?))).collect();
    let Some((first, _)) = cpus.first().copied() else { return Err("no CPU".to_owned()) };
    let mut why = String::new();
    for (unit, domains) in REGISTERS {
        let unit = match hardware.register(first, unit) {
            Ok(unit) => unit,
            Err(error) => {
                why = error;
                continue;
            }
        };
        let joules = 1.0 / (1_u64 << (unit >> 8 & 31)) as f64;
        let mut counters: Vec<Counter> = Vec::new();
        for (number, domain, of_cores) in domains.iter().copied() {
            for (cpu, place) in &cpus {
                let place = if of_cores { place.core() } else { place.package() };
                if counters.iter().any(|it| it.domain == domain && it.place == place) {
                    continue;
                }
                let at = At::Register(number);
                counters.push(Counter { domain, place, at, cpu: *cpu, joules, wraps_at: 1 << 32 });
            }
        }
        return readable(hardware, counters, "none of the registers can be read");
    }
    Err(why)
}

/// Drivers of sensors that measure what a machine takes, and the domains of their labels: boards of Arm name
/// clusters of cores, graphics, or the whole.
fn sensor(driver: &str, label: &str) -> Option<Domain> {
    let of_boards =
        ["vexpress", "scmi_sensors", "scpi_sensors"].iter().any(|it| driver.starts_with(it));
    let has = |words: &[&str]| words.iter().any(|word| label.contains(word));
    match driver {
        "amd_energy" if label.starts_with("esocket") => Some(Domain::Package),
        "amd_energy" if label.starts_with("ecore") => Some(Domain::Cores),
        _ if !of_boards => None,
        _ if has(&["sys"]) => Some(Domain::System),
        _ if has(&["gpu"]) => Some(Domain::Graphics),
        _ if has(&["big", "little", "cpu", "cluster", "a5", "a7"]) => Some(Domain::Cores),
        _ => None,
    }
}

/// Whether a machine has such sensors at all.
pub(crate) fn has_sensors(sys: &dyn Tree) -> bool {
    !sensors(sys).is_empty()
}

fn sensors(sys: &dyn Tree) -> Vec<Counter> {
    let mut counters = Vec::new();
    for chip in sys.list("class/hwmon") {
        let folder = format!("class/hwmon/{chip}");
        let driver = text(sys, &format!("{folder}/name")).unwrap_or_default();
        for name in sys.list(&folder) {
            let file = name.strip_suffix("_input").filter(|it| it.starts_with("energy"));
            let label = file.and_then(|it| text(sys, &format!("{folder}/{it}_label")));
            let domain = label.and_then(|label| sensor(&driver, &label.to_lowercase()));
            counters.extend(domain.map(|domain| Counter {
                domain,
                place: Place::default(),
                at: At::File(format!("{folder}/{name}")),
                cpu: 0,
                joules: 1e-6,
                wraps_at: 0,
            }));
        }
    }
    counters
}

fn hwmon(hardware: &mut dyn Hardware) -> Result<Vec<Counter>, String> {
    let counters = sensors(hardware.sys());
    readable(hardware, counters, "no sensor of energy")
}
