// SPDX-License-Identifier: GPL-2.0-or-later
//! The grammar: which keys there are, and what they take.

use super::json::{Reader, parse};
use super::{Action, Global, Loops, Phase, Policy, Position, RtApp, RtAppError, Settings, Task};
use jsonc_parser::ast::{Object, ObjectProp, Value};
use rota_events::{hint, nearest};
use rota_topology::{CpuId, CpuMask};
use std::collections::BTreeSet;

/// Keys of the file.
const TOP: [&str; 3] = ["tasks", "global", "resources"];
/// Keys of what holds for all.
const GLOBAL: [&str; 16] = [
    "duration",
    "calibration",
    "default_policy",
    "pi_enabled",
    "lock_pages",
    "logdir",
    "log_basename",
    "log_size",
    "ftrace",
    "gnuplot",
    "io_device",
    "mem_buffer_size",
    "cumulative_slack",
    // Those of older versions.
    "frag",
    "fragment",
    "spacing",
];
/// Keys of a task beside those of a phase.
const TASK: [&str; 5] = ["instance", "delay", "phases", "period", "deadline"];
/// Keys of a phase that are no actions.
const SETTINGS: [&str; 12] = [
    "loop",
    "policy",
    "priority",
    "cpus",
    "dl-runtime",
    "dl-period",
    "dl-deadline",
    "util_min",
    "util_max",
    "taskgroup",
    "nodes_membind",
    "membind_nodes",
];
/// Actions. A key that begins so is one, whatever stands behind; those that begin alike stand
/// longest first.
const ACTIONS: [&str; 20] = [
    "runtime", "run", "sleep", "timer", "lock", "unlock", "wait", "signal", "broad", "sync",
    "barrier", "suspend", "resume", "memrun", "mem", "iorun", "yield", "fork", "sem_post",
    "sem_wait",
];
/// Names of policies.
const POLICIES: [(&str, Policy); 6] = [
    ("SCHED_OTHER", Policy::Other),
    ("SCHED_BATCH", Policy::Batch),
    ("SCHED_IDLE", Policy::Idle),
    ("SCHED_FIFO", Policy::Fifo),
    ("SCHED_RR", Policy::RoundRobin),
    ("SCHED_DEADLINE", Policy::Deadline),
];

/// The most tasks of a kind.
const INSTANCES_MAX: i64 = 250_000;
/// The longest time, in µs: rt-app has no room for more.
const TIME_MAX_US: i64 = i32::MAX as i64;
/// No limit.
const ANY: (i64, i64) = (0, i64::MAX);

impl RtApp {
    /// Every key that a task can have, with the actions.
    pub fn keys() -> impl Iterator<Item = &'static str> {
        TASK.into_iter().chain(SETTINGS).chain(ACTIONS)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// Everything that is wrong, each with its place.
    pub fn parse(text: &str) -> Result<Self, RtAppError> {
        let value = parse(text)?;
        let mut reader = Reader::new(text);
        let read = reader.file(value.as_ref());
        reader.mistakes.sort();
        reader.mistakes.dedup();
        match read {
            Some((global, tasks)) if reader.mistakes.is_empty() => {
                reader.warnings.sort();
                Ok(Self { global, tasks, warnings: reader.warnings })
            }
            _ => Err(RtAppError(reader.mistakes)),
        }
    }
}

/// The action that a key stands for.
fn action(key: &str) -> Option<&'static str> {
    if SETTINGS.contains(&key) {
        return None;
    }
    ACTIONS.into_iter().find(|action| key.starts_with(action))
}

/// Names that refer to tasks, and such that somebody waits by.
#[derive(Default)]
struct Names {
    /// Each with its place and what refers to it.
    used: Vec<(Position, &'static str, String)>,
    waited_by: BTreeSet<String>,
}

impl<'a> Reader<'a> {
    fn file(&mut self, value: Option<&Value<'a>>) -> Option<(Global, Vec<Task>)> {
        let start = Position { line: 1, column: 1 };
        let Some(value) = value else {
            let text = "nothing is in it; a workload is an object with tasks".to_owned();
            self.mistakes.push(super::Remark { at: start, text });
            return None;
        };
        let top = self.object("a workload", value)?;
        let all_known = self.keys(top, "a workload", |key| TOP.contains(&key), &TOP);
        let find = |name: &str| top.properties.iter().find(|p| p.name.as_str() == name);
        let global = match find("global") {
            Some(property) => self.global(&property.value),
            None => Global::default(),
        };
        let Some(tasks) = find("tasks") else {
            if all_known {
                self.wrong(top, "there are no tasks");
            }
            return None;
        };
        let tasks = self.tasks(&tasks.value)?;
        Some((global, tasks))
    }

    /// Names keys that there are not, and such that are given twice; whether it knows all of them.
    /// If it does not, what seems to be missing may be there under a wrong name.
    fn keys(
        &mut self,
        object: &Object<'a>,
        of: &str,
        known: impl Fn(&str) -> bool,
        names: &[&str],
    ) -> bool {
        let mut seen = BTreeSet::new();
        let mut all_known = true;
        for property in &object.properties {
            let key = property.name.as_str();
            if !known(key) {
                all_known = false;
                self.wrong(property, format!("{of} has no '{key}'{}", hint(key, names)));
            } else if action(key).is_none() && !seen.insert(key.to_owned()) {
                self.wrong(property, format!("{key} is given twice"));
            }
        }
        all_known
    }

    fn global(&mut self, value: &Value<'a>) -> Global {
        let mut global = Global::default();
        let Some(object) = self.object("global", value) else { return global };
        self.keys(object, "global", |key| GLOBAL.contains(&key), &GLOBAL);
        for ObjectProp { name, value, .. } in &object.properties {
            let key = name.as_str();
            match key {
                "duration" => {
                    let given = self.number(key, value, (-1, TIME_MAX_US));
                    global.duration_s = given.and_then(|s| u64::try_from(s).ok());
                }
                "default_policy" => {
                    global.policy = self.policy(key, value).unwrap_or(global.policy);
                }
                "calibration" => global.calibration_ns = self.calibration(value),
                "pi_enabled" => global.inherits_priority = self.truth(key, value) == Some(true),
                "io_device" => global.io_device = self.text(key, value).unwrap_or_default(),
                "mem_buffer_size" => {
                    let given = self.number(key, value, (1, i64::MAX));
                    global.mem_buffer_bytes = given.unwrap_or(1).cast_unsigned();
                }
                _ => {}
            }
        }
        global
    }

    fn calibration(&mut self, value: &Value<'a>) -> Option<u64> {
        if value.as_number_lit().is_some() {
            return self.number("calibration", value, ANY).map(i64::cast_unsigned);
        }
        let text = self.text("calibration", value)?;
        if text.strip_prefix("CPU").is_none_or(|cpu| cpu.parse::<u32>().is_err()) {
            let problem = format!("'{text}' is neither ns for each loop nor a CPU such as CPU0");
            self.wrong(value, problem);
        }
        None
    }

    fn policy(&mut self, key: &str, value: &Value<'a>) -> Option<Policy> {
        let text = self.text(key, value)?;
        let found = POLICIES.iter().find(|(name, _)| *name == text);
        if found.is_none() {
            let names = POLICIES.map(|(name, _)| name);
            self.wrong(value, format!("no policy '{text}'{}", hint(&text, &names)));
        }
        found.map(|(_, policy)| *policy)
    }

    fn tasks(&mut self, value: &Value<'a>) -> Option<Vec<Task>> {
        let object = self.object("tasks", value)?;
        if object.properties.is_empty() {
            self.wrong(object, "there are no tasks");
        }
        let mut names = Names::default();
        let mut tasks: Vec<Task> = Vec::new();
        for property in &object.properties {
            let name = property.name.as_str();
            if tasks.iter().any(|task| task.name == name) {
                self.wrong(property, format!("there are two tasks '{name}'"));
            }
            tasks.extend(self.task(property, &mut names));
        }
        let all: u64 = tasks.iter().map(|task| u64::from(task.instances)).sum();
        if all > INSTANCES_MAX.cast_unsigned() {
            self.wrong(object, format!("{all} tasks; there can be {INSTANCES_MAX}"));
        }
        let known: Vec<&str> = object.properties.iter().map(|p| p.name.as_str()).collect();
        for (at, key, name) in names.used {
            let waited = key == "resume" && names.waited_by.contains(&name);
            if !waited && !known.contains(&name.as_str()) {
                let text = format!("{key}: no task '{name}'{}", hint(&name, &known));
                self.mistakes.push(super::Remark { at, text });
            }
        }
        Some(tasks)
    }

    fn task(&mut self, property: &ObjectProp<'a>, names: &mut Names) -> Option<Task> {
        let (name, at) = (property.name.as_str(), self.at(property));
        let object = self.object("a task", &property.value)?;
        let all: Vec<&str> = [&TASK[..], &SETTINGS, &ACTIONS].concat();
        let known =
            |key: &str| TASK.contains(&key) || SETTINGS.contains(&key) || action(key).is_some();
        self.keys(object, "a task", known, &all);
        let mut task = Task {
            name: name.to_owned(),
            instances: 1,
            delay_us: 0,
            settings: self.settings(object),
            loops: Loops::Forever,
            phases: Vec::new(),
            at,
        };
        let mut phases = None;
        let mut loops = None;
        for property in &object.properties {
            let (key, value) = (property.name.as_str(), &property.value);
            match key {
                "instance" => {
                    let given = self.number(key, value, (0, INSTANCES_MAX));
                    task.instances = given.unwrap_or(0) as u32;
                }
                "delay" => {
                    let given = self.number(key, value, (0, TIME_MAX_US));
                    task.delay_us = given.unwrap_or(0).cast_unsigned();
                }
                "loop" => loops = self.loops(value),
                "phases" => phases = Some(property),
                _ => {}
            }
        }
        let Some(phases) = phases else {
            // A loop of the only phase: then the task ends.
            task.loops = loops.map_or(Loops::Forever, |_| Loops::Times(1));
            let mut only = self.phase(property, names)?;
            only.settings = Settings::default();
            task.phases.push(only);
            return Some(task);
        };
        task.loops = loops.unwrap_or(Loops::Forever);
        let beside = object.properties.iter().find(|p| action(p.name.as_str()).is_some());
        if let Some(beside) = beside {
            let key = beside.name.as_str();
            self.wrong(beside, format!("'{key}' stands beside phases; actions are in one of them"));
        }
        let list = self.object("phases", &phases.value)?;
        if list.properties.is_empty() {
            self.wrong(list, "there are no phases");
        }
        for phase in &list.properties {
            let all: Vec<&str> = [&SETTINGS[..], &ACTIONS].concat();
            let known = |key: &str| SETTINGS.contains(&key) || action(key).is_some();
            if let Some(object) = phase.value.as_object() {
                self.keys(object, "a phase", known, &all);
            }
            task.phases.extend(self.phase(phase, names));
        }
        Some(task)
    }

    fn loops(&mut self, value: &Value<'a>) -> Option<Loops> {
        let times = self.number("loop", value, (-1, i32::MAX.into()))?;
        Some(u32::try_from(times).map_or(Loops::Forever, Loops::Times))
    }

    fn phase(&mut self, property: &ObjectProp<'a>, names: &mut Names) -> Option<Phase> {
        let at = self.at(property);
        let object = self.object("a phase", &property.value)?;
        let mut phase = Phase {
            loops: Loops::Times(1),
            settings: self.settings(object),
            actions: Vec::new(),
            at,
        };
        for property in &object.properties {
            let key = property.name.as_str();
            if key == "loop" {
                phase.loops = self.loops(&property.value).unwrap_or(Loops::Times(1));
            } else if let Some(found) = action(key) {
                self.check_suffix(property, found);
                let place = self.at(property);
                if let Some(action) = self.action(found, &property.value, names) {
                    phase.actions.push((place, action));
                }
            }
        }
        let may_act =
            |key: &str| action(key).is_some() || !TASK.contains(&key) && !SETTINGS.contains(&key);
        if !object.properties.iter().any(|p| may_act(p.name.as_str())) {
            self.wrong(property, format!("'{}' does nothing", property.name.as_str()));
        }
        Some(phase)
    }

    /// What begins like an action is one; but it may be that another one was meant.
    fn check_suffix(&mut self, property: &ObjectProp<'a>, action: &str) {
        let key = property.name.as_str();
        let rest = &key[action.len()..];
        if !rest.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return;
        }
        let all = [&TASK[..], &SETTINGS, &ACTIONS].concat();
        if let Some(meant) = nearest(key, &all).filter(|meant| *meant != action) {
            self.warn(property, format!("'{key}' is read as {action}; did you mean {meant}?"));
        }
    }

    fn settings(&mut self, object: &Object<'a>) -> Settings {
        let mut settings = Settings::default();
        for ObjectProp { name, value, .. } in &object.properties {
            let key = name.as_str();
            if SETTINGS.contains(&key) {
                settings.places.insert(key.to_owned(), self.at(value));
            }
            let time = |reader: &mut Self| {
                reader.number(key, value, (0, TIME_MAX_US)).map(i64::cast_unsigned)
            };
            match key {
                "policy" => settings.policy = self.policy(key, value),
                "priority" => {
                    // The policy may stand behind it, or be that of the task.
                    let policy = object.get_string("policy").map(|policy| policy.value.as_ref());
                    let range = match policy {
                        Some("SCHED_OTHER" | "SCHED_BATCH" | "SCHED_IDLE") => (-20, 19),
                        Some("SCHED_FIFO" | "SCHED_RR") => (1, 99),
                        _ => (-20, 99),
                    };
                    let given = self.number(key, value, range);
                    settings.priority = given.map(|priority| priority as i32);
                }
                "cpus" => {
                    let list = self.numbers(key, value);
                    if list.as_ref().is_some_and(Vec::is_empty) {
                        self.wrong(value, "cpus: no CPU at all");
                    }
                    settings.cpus = list.map(|l| l.into_iter().map(CpuId).collect::<CpuMask>());
                }
                "dl-runtime" => settings.deadline_us[0] = time(self),
                "dl-period" | "period" => settings.deadline_us[1] = time(self),
                "dl-deadline" | "deadline" => settings.deadline_us[2] = time(self),
                "util_min" | "util_max" => {
                    let given = self.number(key, value, (0, 1024)).map(|parts| parts as u32);
                    settings.clamp[usize::from(key == "util_max")] = given;
                }
                "taskgroup" => {
                    let group = self.text(key, value).filter(|group| !group.is_empty());
                    if group.as_ref().is_some_and(|group| !group.starts_with('/')) {
                        self.wrong(value, "taskgroup is a path that begins with /");
                    }
                    settings.group = group;
                }
                "nodes_membind" | "membind_nodes" => {
                    settings.memory_nodes = self.numbers(key, value);
                }
                _ => {}
            }
        }
        settings
    }

    fn action(
        &mut self,
        key: &'static str,
        value: &Value<'a>,
        names: &mut Names,
    ) -> Option<Action> {
        let mut named = |reader: &mut Self| {
            let name = reader.text(key, value)?;
            names.used.push((reader.at(value), key, name.clone()));
            Some(name)
        };
        Some(match key {
            "run" => Action::Run(self.time(key, value)?),
            "runtime" => Action::Runtime(self.time(key, value)?),
            "sleep" => Action::Sleep(self.time(key, value)?),
            "timer" => self.timer(value)?,
            "lock" => Action::Lock(self.text(key, value)?),
            "unlock" => Action::Unlock(self.text(key, value)?),
            "signal" => Action::Signal(self.text(key, value)?),
            "broad" => Action::Broadcast(self.text(key, value)?),
            "wait" | "sync" => {
                let [condition, mutex] = self.pair(key, value)?;
                let wait = key == "wait";
                if wait { Action::Wait(condition, mutex) } else { Action::Sync(condition, mutex) }
            }
            "barrier" => Action::Barrier(self.text(key, value)?),
            "suspend" => {
                let name = Some(self.text(key, value)?).filter(|name| !name.is_empty());
                names.waited_by.extend(name.clone());
                Action::Suspend(name)
            }
            "yield" => self.text(key, value).map(|_| Action::Yield)?,
            "resume" => Action::Resume(named(self)?),
            "fork" => Action::Fork(named(self)?),
            "sem_post" => Action::Post(self.text(key, value)?),
            "sem_wait" => Action::Take(self.text(key, value)?),
            "memrun" => self.memory_run(value)?,
            "mem" => Action::Memory(self.number(key, value, ANY)?.cast_unsigned()),
            _ => Action::Io(self.number(key, value, ANY)?.cast_unsigned()),
        })
    }

    fn time(&mut self, key: &str, value: &Value<'a>) -> Option<u64> {
        self.number(key, value, (0, TIME_MAX_US)).map(i64::cast_unsigned)
    }

    fn timer(&mut self, value: &Value<'a>) -> Option<Action> {
        let keys = ["ref", "period", "mode"];
        let object = self.object("timer", value)?;
        let all_known = self.keys(object, "a timer", |key| keys.contains(&key), &keys);
        let (mut name, mut period_us, mut absolute) = ("unknown".to_owned(), None, false);
        for ObjectProp { name: key, value, .. } in &object.properties {
            match key.as_str() {
                "ref" => name = self.text("ref", value)?,
                "period" => period_us = Some(self.time("period", value)?),
                "mode" => {
                    let mode = self.text("mode", value)?;
                    let modes = ["relative", "absolute"];
                    if !modes.contains(&mode.as_str()) {
                        let problem = format!("no mode '{mode}' of timers{}", hint(&mode, &modes));
                        self.wrong(value, problem);
                    }
                    absolute = mode == "absolute";
                }
                _ => {}
            }
        }
        if period_us.is_none() && all_known {
            self.wrong(object, "a timer needs a period");
        }
        let unique = name.starts_with("unique");
        Some(Action::Timer { name, period_us: period_us?, unique, absolute })
    }

    /// A condition and the mutex that belongs to it.
    fn pair(&mut self, key: &str, value: &Value<'a>) -> Option<[String; 2]> {
        let keys = ["ref", "mutex"];
        let object = self.object(key, value)?;
        let all_known = self.keys(object, key, |key| keys.contains(&key), &keys);
        let found = keys.map(|wanted| {
            let property = object.properties.iter().find(|p| p.name.as_str() == wanted);
            if property.is_none() && all_known {
                self.wrong(object, format!("{key} needs a {wanted}"));
            }
            property.and_then(|property| self.text(wanted, &property.value))
        });
        let [condition, mutex] = found;
        Some([condition?, mutex?])
    }

    fn memory_run(&mut self, value: &Value<'a>) -> Option<Action> {
        let keys = ["type", "size", "count", "ref", "pattern", "stride"];
        let object = self.object("memrun", value)?;
        let all_known = self.keys(object, "memrun", |key| keys.contains(&key), &keys);
        let find = |wanted: &str| object.properties.iter().find(|p| p.name.as_str() == wanted);
        for wanted in ["type", "size", "count"] {
            if find(wanted).is_none() && all_known {
                self.wrong(object, format!("memrun needs a {wanted}"));
            }
        }
        let kinds = ["chase", "read", "write"];
        let how = &find("type")?.value;
        let kind = self.text("type", how)?;
        if !kinds.contains(&kind.as_str()) {
            self.wrong(how, format!("no type '{kind}' of memrun{}", hint(&kind, &kinds)));
        }
        let [size, count] = ["size", "count"]
            .map(|key| self.number(key, &find(key)?.value, ANY).map(i64::cast_unsigned));
        Some(Action::MemoryRun(kind, size?, count?))
    }
}

impl Default for Global {
    fn default() -> Self {
        Self {
            duration_s: None,
            policy: Policy::Other,
            calibration_ns: None,
            inherits_priority: false,
            io_device: "/dev/null".to_owned(),
            mem_buffer_bytes: 4 << 20,
        }
    }
}
