// SPDX-License-Identifier: GPL-2.0-or-later
//! Machines that were written down, in `tests/power`: what they say at two times, and what follows.
//! The tables were computed from the same numbers by the formulas of turbostat(8) by hand.

use super::{Choice, Hardware, Interval, Meter, Packages, Source};
use rota_topology::{CpuMask, MemoryTree, Tree};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// What a machine says at one time.
#[derive(Default)]
struct Moment {
    time_ns: u64,
    files: String,
    sys: MemoryTree,
    stat: String,
    cpuinfo: Option<String>,
    registers: BTreeMap<(u32, u32), u64>,
    events: BTreeMap<(u32, u32, u64), u64>,
    /// Why there are no registers or events.
    no_register: Option<String>,
    no_event: Option<String>,
}

/// A machine that was written down.
struct Saved {
    moments: Vec<Moment>,
    now: Rc<Cell<usize>>,
}

impl Saved {
    fn moment(&self) -> &Moment {
        &self.moments[self.now.get()]
    }
}

impl Hardware for Saved {
    fn sys(&self) -> &dyn Tree {
        &self.moment().sys
    }

    fn proc(&self, path: &str) -> Option<String> {
        match path {
            "stat" => Some(self.moment().stat.clone()),
            _ => self.moment().cpuinfo.clone(),
        }
    }

    fn now_ns(&self) -> u64 {
        self.moment().time_ns
    }

    fn register(&mut self, cpu: u32, number: u32) -> Result<u64, String> {
        let moment = self.moment();
        let none = moment
            .no_register
            .clone()
            .unwrap_or_else(|| format!("there is no register {number:#x}"));
        moment.registers.get(&(cpu, number)).copied().ok_or(none)
    }

    fn event(&mut self, cpu: u32, kind: u32, config: u64) -> Result<u64, String> {
        let moment = self.moment();
        let none =
            moment.no_event.clone().unwrap_or_else(|| "No such file or directory".to_owned());
        moment.events.get(&(cpu, kind, config)).copied().ok_or(none)
    }
}

fn integer(text: &str) -> u64 {
    match text.trim().strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).unwrap(),
        None => text.trim().parse().unwrap(),
    }
}

impl Moment {
    fn add(&mut self, line: &str) {
        if let Some(file) = line.strip_prefix("sys ") {
            self.files += &format!("{file}\n");
        } else if let Some(stat) = line.strip_prefix("stat ") {
            self.stat += &format!("{stat}\n");
        } else if let Some(text) = line.strip_prefix("cpuinfo ") {
            self.cpuinfo = Some(text.to_owned());
        } else {
            let (what, value) = line.split_once('=').unwrap();
            let words: Vec<_> = what.split_whitespace().collect();
            match words[..] {
                ["msr"] => self.no_register = Some(value.trim().to_owned()),
                ["event"] => self.no_event = Some(value.trim().to_owned()),
                ["msr", cpus, number] => {
                    for cpu in &CpuMask::from_list(cpus).unwrap() {
                        let at = (cpu.0, integer(number) as u32);
                        self.registers.insert(at, integer(value));
                    }
                }
                ["event", cpus, kind, config] => {
                    for cpu in &CpuMask::from_list(cpus).unwrap() {
                        let at = (cpu.0, integer(kind) as u32, integer(config));
                        self.events.insert(at, integer(value));
                    }
                }
                _ => panic!("{line}"),
            }
        }
    }
}

/// What is said before the first time is so at all times.
fn saved(text: &str) -> Saved {
    let lines = || text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let always: Vec<_> = lines().take_while(|line| !line.starts_with("at ")).collect();
    let mut moments: Vec<Moment> = Vec::new();
    for line in lines().skip(always.len()) {
        if let Some(time) = line.strip_prefix("at ") {
            let mut moment = Moment { time_ns: time.parse().unwrap(), ..Moment::default() };
            always.iter().for_each(|line| moment.add(line));
            moments.push(moment);
        } else {
            moments.last_mut().unwrap().add(line);
        }
    }
    for moment in &mut moments {
        moment.sys = MemoryTree::from_text(&moment.files).unwrap();
    }
    Saved { moments, now: Rc::default() }
}

/// What a machine says of itself, and what happened.
fn measured(text: &str) -> (Vec<Source>, Interval) {
    let saved = saved(text);
    let now = saved.now.clone();
    let mut meter = Meter::new(saved);
    let before = meter.sample();
    now.set(1);
    let after = meter.sample();
    let interval = Interval::between(&meter, &before, &after);
    (meter.sources().to_vec(), interval)
}

fn from<'a>(sources: &'a [Source], what: &str) -> (Option<&'a str>, String) {
    let source = sources.iter().find(|it| it.what == what).unwrap();
    (source.from.as_deref(), source.why.clone().unwrap_or_default())
}

const INTEL: &str = include_str!("../../../../tests/power/intel.txt");
const AMD: &str = include_str!("../../../../tests/power/amd.txt");
const ARM: &str = include_str!("../../../../tests/power/arm.txt");
const NOTHING: &str = include_str!("../../../../tests/power/nothing.txt");

#[track_caller]
fn check(interval: &Interval, choice: Choice, expected: &str) {
    let words = |text: &str| -> Vec<Vec<String>> {
        let line = |line: &str| line.split_whitespace().map(str::to_owned).collect();
        text.trim().lines().map(line).collect()
    };
    let table = interval.to_table(choice);
    assert_eq!(words(&table), words(expected), "\n{table}");
}

#[test]
fn intel_by_registers_and_powercap() {
    let (sources, interval) = measured(INTEL);
    let refused = "perf: no events of msr".to_owned();
    assert_eq!(from(&sources, "busy"), (Some("MSR"), refused.clone()));
    assert_eq!(from(&sources, "frequency"), (Some("MSR"), refused));
    let no_events = "perf: perf_event_paranoid is 3".to_owned();
    assert_eq!(from(&sources, "instructions"), (None, no_events));
    let why = "perf: no such counters".to_owned();
    assert_eq!(from(&sources, "idle states reached"), (Some("MSR"), why));
    assert_eq!(from(&sources, "temperature"), (Some("hwmon"), String::new()));
    let (powercap, why) = from(&sources, "energy");
    assert_eq!(powercap, Some("powercap"));
    assert!(why.starts_with("perf: no energy events; MSR: "), "{why}");
    assert_eq!(interval.changed, [0; 0]);
    // The package: 30.000000 + 262143.328850 - 262140.000000 J in 2.5 s.
    check(&interval, Choice::default(), "
        Package Core CPU Avg_MHz Busy% Bzy_MHz TSC_MHz POLL C1E C6 POLL% C1E% C6% CPU%c1 CPU%c6 CoreTmp PkgTmp Pkg%pc2 Pkg%pc6 PkgWatt CorWatt RAMWatt
        - - -  649 17.62 3681 3000 0 530 940 0.00  3.10 75.00 33.38 49.00 47 47 1.00 3.00 13.33 8.20 1.50
        0 - -  649 17.62 3681 3000 0 530 940 0.00  3.10 75.00 33.38 49.00 47 47 1.00 3.00 13.33 8.20 1.50
        0 0 - 1249 33.25 3758 3000 0 510 340 0.00  5.40 58.00 58.75  8.00 45 - - - - - -
        0 0 0 2451 64.50 3800 3000 0 500  40 0.00 10.00 24.00 27.50  8.00 45 - - - - - -
        0 0 1   48  2.00 2400 3000 0  10 300 0.00  0.80 92.00 90.00  8.00 45 - - - - - -
        0 1 -   48  2.00 2400 3000 0  20 600 0.00  0.80 92.00  8.00 90.00 47 - - - - - -
        0 1 2   48  2.00 2400 3000 0  10 300 0.00  0.80 92.00  8.00 90.00 47 - - - - - -
        0 1 3   48  2.00 2400 3000 0  10 300 0.00  0.80 92.00  8.00 90.00 47 - - - - - -");
    let joules = Choice { summary: true, joules: true };
    let all = interval.to_table(joules);
    let words: Vec<_> = all.lines().map(|line| line.split_whitespace().rev().take(3)).collect();
    let words: Vec<_> = words.into_iter().map(Iterator::collect::<Vec<_>>).collect();
    assert_eq!(words, [["RAM_J", "Cor_J", "Pkg_J"], ["3.75", "20.50", "33.33"]]);
}

#[test]
fn amd_by_events_and_registers() {
    let (sources, interval) = measured(AMD);
    assert_eq!(from(&sources, "busy"), (Some("perf"), String::new()));
    assert_eq!(from(&sources, "instructions"), (Some("perf"), String::new()));
    assert_eq!(from(&sources, "energy").0, Some("MSR"));
    let (none, why) = from(&sources, "idle states reached");
    assert_eq!(
        (none, why.as_str()),
        (None, "perf: no such counters; MSR: there is no register 0x3fa")
    );
    // Units of 2^-16 J; core 1: 100000 + 2^32 - 4294900000 of them. Tdie is without an offset.
    check(
        &interval,
        Choice::default(),
        "
        Package Core CPU Avg_MHz Busy% Bzy_MHz TSC_MHz IPC PkgTmp PkgWatt CorWatt
        - - - 2220 49.41 4493 3400 1.98 61 25.00 14.05
        0 - - 2220 49.41 4493 3400 1.98 61 25.00 14.05
        0 0 0 4100 90.00 4556 3400 2.10  -     - 11.50
        0 1 1  340  8.82 3853 3400 0.50  -     -  2.55",
    );
}

#[test]
fn arm_by_the_kernel_and_sensors() {
    let (sources, interval) = measured(ARM);
    let why = "perf: no events of msr; MSR: /dev/cpu/0/msr is not there; modprobe msr makes it";
    assert_eq!(from(&sources, "busy"), (Some("/proc/stat"), why.to_owned()));
    assert_eq!(from(&sources, "frequency"), (Some("cpufreq"), why.to_owned()));
    assert_eq!(from(&sources, "temperature"), (Some("thermal"), String::new()));
    assert_eq!(from(&sources, "energy").0, Some("hwmon"));
    // CPU 3 went in between.
    assert_eq!(interval.changed, [3]);
    // Busy for 50, 0 and 200 of 200 ticks, where waiting for a disk is idle; 1.8 GHz and then 0.6,
    // 0.6 and 2.4.
    check(
        &interval,
        Choice::default(),
        "
        Package Core CPU Avg_MHz Busy% Bzy_MHz WFI WFI% PkgTmp SysWatt CorWatt
        - - -  625  41.67 1500 60 60.00 51 2.50 1.88
        0 - -  625  41.67 1500 60 60.00  -    - 1.88
        0 0 0  300  25.00 1200 20 60.00  -    -    -
        0 1 1    0   0.00 1200 20 60.00  -    -    -
        0 2 2 2100 100.00 2100 20 60.00  -    -    -",
    );
}

#[test]
fn packages_alone_are_those_of_the_whole() {
    for text in [INTEL, AMD, ARM, NOTHING] {
        let whole = measured(text).1.joules().get("packages").copied();
        let saved = saved(text);
        let now = saved.now.clone();
        let alone = Packages::find(saved).and_then(|mut packages| {
            let before = packages.read();
            now.set(1);
            let after = packages.read();
            packages.joules(&before, &after)
        });
        assert_eq!(alone, whole);
    }
    assert!(measured(INTEL).1.joules()["packages"] > 33.3);
}

#[test]
fn cores_with_the_same_number_are_told_apart() {
    // Numbers begin anew in each cluster.
    let numbers = |text: &str, clusters: &str| {
        let text = text.replace("topology/core_id = {}", "topology/core_id = 0");
        measured(&text.replace("at 1000000000", &format!("{clusters}at 1000000000"))).1
    };
    let siblings = "sys devices/system/cpu/cpu{0-3}/topology/core_cpus_list = {}\n";
    let cores = |interval: &Interval| -> Vec<_> {
        let places = interval.rows.iter().filter_map(|row| row.place);
        places.filter(|place| place.cpu.is_some()).map(|place| place.core.unwrap()).collect()
    };
    assert_eq!(cores(&numbers(ARM, siblings)), [0, 1, 2]);
    assert_eq!(cores(&numbers(ARM, "")), [0, 0, 0]);
}

#[test]
fn what_is_no_energy_of_the_machine_is_none() {
    let energy = |text: &str| from(&measured(text).0, "energy").0.map(str::to_owned);
    // A card's, and one without a label.
    for driver in ["i915", "xe", "acpi"] {
        assert_eq!(energy(&ARM.replace("scmi_sensors", driver)), None);
    }
    assert_eq!(
        energy(
            &ARM.replace("energy1_label", "x")
                .replace("energy2_label", "x")
                .replace("energy3_label", "x")
        ),
        None
    );
    // What powercap calls cores of AMD is one core.
    let amd = format!("cpuinfo vendor_id : AuthenticAMD\n{INTEL}");
    assert!(!measured(&amd).1.columns.iter().any(|column| column.name == "CorWatt"));
    // Registers have what powercap has not: there is one for the package, and none for its cores.
    let both = AMD.replace(
        "event 0-1 11 0 = 0",
        "event 0-1 11 0 = 0
sys class/powercap/intel-rapl:0/name = core
sys class/powercap/intel-rapl:0/energy_uj = 5",
    );
    assert_eq!(energy(&both), Some("powercap, MSR".to_owned()));
}

#[test]
fn counters_that_begin_anew_count_nothing() {
    // CPU 1 was away in between: it and its package's memory are left out.
    let text =
        INTEL.replace("msr 1-3 0xe7 = 4150000000", "msr 1-3 0xe7 = 4150000000\nmsr 1 0xe7 = 5");
    let text = text.replace("sys class/powercap/intel-rapl:0:1/energy_uj = 503750000\n", "");
    let (_, interval) = measured(&text);
    assert_eq!(interval.changed, [1]);
    assert!(interval.rows.iter().all(|row| row.place.and_then(|place| place.cpu) != Some(1)));
    assert!(!interval.columns.iter().any(|column| column.name == "RAMWatt"));
    assert!(interval.columns.iter().any(|column| column.name == "PkgWatt"));
}

#[test]
fn what_is_missing_says_why() {
    let (sources, interval) = measured(NOTHING);
    let (none, why) = from(&sources, "energy");
    assert_eq!(none, None);
    for word in ["perf: ", "powercap: ", "MSR: ", "hwmon: "] {
        assert!(why.contains(word), "{why}");
    }
    for what in ["frequency", "instructions", "idle states asked for", "temperature"] {
        let (none, why) = from(&sources, what);
        assert!(none.is_none() && !why.is_empty(), "{what}");
    }
    check(
        &interval,
        Choice { summary: true, joules: false },
        "Package Core CPU Busy%\n - - - 75.00",
    );
}

#[test]
fn an_interval_between_two_ticks_has_its_column() {
    let (_, interval) = measured(&NOTHING.replace("cpu0 175 0 0 125", "cpu0 100 0 0 100"));
    check(&interval, Choice { summary: true, joules: false }, "Package Core CPU Busy%\n - - - -");
}

#[test]
fn the_book_shows_what_comes_out() {
    let (sources, interval) = measured(AMD);
    let page = include_str!("../../../../docs/power.md");
    let table = interval.to_table(Choice::default());
    let told = sources.iter().map(|source| format!("{source}\n")).collect::<String>();
    assert!(page.contains(&format!("```text\n{told}{table}```\n")), "{told}{table}");
}

#[test]
fn json_has_what_the_table_has() {
    let (_, interval) = measured(AMD);
    let json = interval.to_json(Choice::default());
    let rows = json["rows"].as_array().unwrap();
    assert_eq!(rows.len(), interval.rows.len());
    let core = rows.iter().find(|row| row["cpu"] == 1).unwrap();
    assert_eq!(core["package"], 0);
    assert_eq!(core["CorWatt"].as_f64().unwrap(), 167_296.0 / 65536.0);
    assert!(core.get("PkgWatt").is_none());
    assert!(rows[0]["cpu"].is_null());
}

#[test]
fn damaged_files_are_as_if_they_were_not_there() {
    for text in [INTEL, AMD, ARM] {
        // Each line in turn has no number, one that is as large as can be, or is not there.
        for at in 0..text.lines().count() {
            for value in ["= ?", "= 18446744073709551615", ""] {
                let line = |(number, line): (usize, &str)| match line.split_once('=') {
                    Some((path, _)) if number == at && line.starts_with("sys ") => match value {
                        "" => String::new(),
                        _ => format!("{path}{value}"),
                    },
                    _ => line.to_owned(),
                };
                let lines: Vec<_> = text.lines().enumerate().map(line).collect();
                let (_, interval) = measured(&lines.join("\n"));
                let _ = interval.to_table(Choice::default());
            }
        }
    }
}
