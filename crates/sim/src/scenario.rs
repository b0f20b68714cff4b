// SPDX-License-Identifier: GPL-2.0-or-later
//! Scenarios on a simulated machine: the same object, settings and commands as on a real kernel.

mod cgroups;

use crate::layout::{Field, ops_member};
use crate::machine::{LoadError, Machine, Shape};
use crate::recorder::machine_facts;
use crate::run::Stop;
use crate::sched::{AttachStop, Class, Done, Orders, TaskId};
use cgroups::Paths;
use rota_events::{Event, MachineFacts, Tables};
use rota_object::{EngineError, ExitInfo, Image, KernelTypes, LinkErrors, Object};
use rota_topology::{CpuId, CpuMask, Spec, SpecError, Topology};
use rota_workload::{Command, End, Order, Record, Scenario, Witnessed};

/// Time between the commands of a step, in ns.
const COMMAND_NS: u64 = 10_000;
/// How long a scheduler may take to end, and its tasks after it, in ns.
const ENDS_WITHIN_NS: u64 = 1_500_000_000;
/// The CPU of whoever tells tasks what to do.
const TELLER: u32 = 0;

/// Why a scenario came to no end.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioStop {
    /// Its machine can't be made.
    #[error(transparent)]
    Machine(#[from] SpecError),
    /// The object does not fit the kernel.
    #[error(transparent)]
    Link(#[from] LinkErrors),
    /// The object has no such setting.
    #[error("the test scheduler has no setting '{0}'")]
    Setting(String),
    /// The object can't be put on the machine.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The scheduler can't be put in charge.
    #[error(transparent)]
    Attach(#[from] AttachStop),
    /// A callback did what it must not.
    #[error(transparent)]
    Stop(#[from] Stop),
    /// The records can't be had.
    #[error(transparent)]
    Records(#[from] EngineError),
    /// The scheduler ended.
    #[error("the scheduler ended: {0}")]
    Ended(String),
    /// It did not, but was to.
    #[error("the scheduler did not end")]
    GoesOn,
    /// The scheduler refused a task at the start.
    #[error("the scheduler refused {0}")]
    Refused(String),
    /// A task was forgotten when the scheduler ended.
    #[error("{0} does not run any more")]
    Lost(String),
}

/// What was recorded of a run.
#[derive(Debug, Default)]
pub struct Recording {
    /// The machine.
    pub machine: MachineFacts,
    /// What the numbers in the events stand for.
    pub tables: Tables,
    /// What happened.
    pub events: Vec<Event>,
}

/// Runs a scenario under a test scheduler, as a kernel would; what the scheduler saw. The machine
/// has as many CPUs as the scenario says.
///
/// # Errors
/// [`ScenarioStop`] says why it could not be run to its end.
pub fn run_scenario(
    object: &Object,
    types: &KernelTypes,
    scenario: &Scenario,
    shape: &Shape,
) -> Result<Witnessed, ScenarioStop> {
    let (mut machine, image, topology, cgroups) = machine(object, types, scenario, shape)?;
    let (machine, image, topology) = (&mut machine, &image, &topology);
    Run { machine, object, image, types, topology, tasks: Vec::new(), cgroups }.whole(scenario)
}

/// The same, and records what happens, also if it comes to no end.
///
/// # Errors
/// As above.
pub fn record_scenario(
    object: &Object,
    types: &KernelTypes,
    scenario: &Scenario,
    shape: &Shape,
    recording: &mut Recording,
) -> Result<Witnessed, ScenarioStop> {
    let (mut machine, image, topology, cgroups) = machine(object, types, scenario, shape)?;
    machine.start_recording();
    let (machine, image, topology) = (&mut machine, &image, &topology);
    let mut run = Run { machine, object, image, types, topology, tasks: Vec::new(), cgroups };
    let seen = run.whole(scenario);
    recording.machine = machine_facts(types, topology);
    recording.tables = run.machine.tables().cloned().unwrap_or_default();
    recording.events = run.machine.take_events();
    seen
}

/// The scenario's machine with the object on it.
fn machine(
    object: &Object,
    types: &KernelTypes,
    scenario: &Scenario,
    shape: &Shape,
) -> Result<(Machine, Image, Topology, Paths), ScenarioStop> {
    let topology = scenario.machine.parse::<Spec>()?.topology();
    let mut object = object.clone();
    object.leave_out_unknown_callbacks(types);
    object.leave_out_callbacks(|name| scenario.without.iter().any(|n| n == name));
    let mut image = object.link(types)?;
    set(&mut image, &object, types, scenario)?;
    let cpus = topology.possible().count() as u32;
    set_hotplug_seq(&mut image, types, u64::from(cpus - 1))?;
    let shape = Shape { cpus, ..shape.clone() };
    let mut machine = Machine::load(shape, &image, types)?;
    machine.set_domains(&topology);
    let mut cgroups = Paths::new();
    for path in &scenario.cgroups {
        // Without a scheduler, nobody refuses them.
        let _ = cgroups.make(&mut machine, path)?;
    }
    Ok((machine, image, topology, cgroups))
}

/// A run of a scenario.
struct Run<'a> {
    machine: &'a mut Machine,
    object: &'a Object,
    image: &'a Image,
    types: &'a KernelTypes,
    topology: &'a Topology,
    tasks: Vec<TaskId>,
    cgroups: Paths,
}

impl Run<'_> {
    fn whole(&mut self, scenario: &Scenario) -> Result<Witnessed, ScenarioStop> {
        let mut seen = Witnessed { hide_cpus: scenario.hide_cpus, ..Witnessed::default() };
        if !scenario.attaches_late() {
            self.attach()?;
        }
        // Whoever tells tasks what to do is a task too, which keeps the first CPU busy meanwhile.
        let driver = self.spawn("driver", &CpuMask::of(CpuId(0)), Class::Realtime)?;
        for task in &scenario.tasks {
            let class = if task.realtime { Class::Realtime } else { Class::Ext };
            let id = self.spawn(&task.name, &task.cpus, class)?;
            self.tasks.push(id);
            let names = if task.realtime { &mut seen.higher } else { &mut seen.names };
            names.insert(self.machine.comm_and_pid(id).1 as i32, task.name.clone());
        }
        let rest_ns = scenario.rest_ms.saturating_mul(1_000_000);
        self.machine.schedule_until(rest_ns)?;
        // It wakes up before it reads what was seen.
        wake(self.machine, driver)?;
        let mut early = Vec::new();
        let mut read = |bytes: &[u8]| early.extend(Record::from_bytes(bytes));
        self.machine.ring_drain("records", &mut read)?;
        seen.records.extend(early.into_iter().filter(|r| r.callback.is_of_cgroup()));
        let counted = self.machine.counters();
        for (number, step) in scenario.steps.iter().enumerate() {
            let before = seen.records.len();
            for command in step {
                if let Command::Wait(ms) = command {
                    tell(self.machine, driver, &Order::Sleep)?;
                    self.machine.schedule_until(
                        self.machine.now_ns().saturating_add(ms.saturating_mul(1_000_000)),
                    )?;
                    tell(self.machine, driver, &Order::Spin)?;
                }
                let done = self.obey(command, &mut seen)?;
                seen.refused.extend(done.err().map(|error| (number, error)));
                self.machine.schedule_until(self.machine.now_ns() + COMMAND_NS)?;
            }
            tell(self.machine, driver, &Order::Sleep)?;
            self.machine.schedule_until(self.machine.now_ns().saturating_add(rest_ns))?;
            let end_ns = self.machine.now_ns() + ENDS_WITHIN_NS;
            let is_to_end = scenario.ends && number + 1 == scenario.steps.len();
            while is_to_end && self.exit()?.is_none() && self.machine.now_ns() < end_ns {
                self.machine.schedule_until(self.machine.now_ns().saturating_add(rest_ns))?;
            }
            wake(self.machine, driver)?;
            let records = &mut seen.records;
            let mut read = |bytes: &[u8]| records.extend(Record::from_bytes(bytes));
            self.machine.ring_drain("records", &mut read)?;
            if let Some(exit) = self.exit()? {
                seen.end = Some(end(exit, before));
                break;
            }
        }
        seen.cgroups = self.cgroups.names();
        match &seen.end {
            Some(end) if !scenario.ends => {
                return Err(ScenarioStop::Ended(format!("{} ({})", end.reason, end.msg)));
            }
            None if scenario.ends => return Err(ScenarioStop::GoesOn),
            _ => {}
        }
        if scenario.counters {
            let now = self.machine.counters().into_iter().zip(counted);
            let more = now.map(|((name, now), (_, before))| (name, now - before));
            // Time is not the same in two runs.
            let kept = more.filter(|(name, count)| *count > 0 && !name.ends_with("DURATION"));
            seen.counters = kept.collect();
        }
        if scenario.ends {
            self.end_all(scenario)?;
        }
        Ok(seen)
    }

    fn spawn(&mut self, name: &str, cpus: &CpuMask, class: Class) -> Result<TaskId, ScenarioStop> {
        let made = self.machine.spawn(name, cpus, class)?;
        made.ok_or_else(|| ScenarioStop::Refused(name.to_owned()))
    }

    fn attach(&mut self) -> Result<(), AttachStop> {
        self.machine.cpu = 0;
        self.machine.attach(self.image, self.types, self.topology)
    }

    /// What the object has recorded of its end.
    fn exit(&self) -> Result<Option<ExitInfo>, EngineError> {
        let Some(layout) = self.object.exit_layout() else { return Ok(None) };
        let read = |name: &String| {
            let global = self.object.globals().find(|g| g.name == *name);
            let missing = EngineError::Missing { what: "global", name: name.clone() };
            let global = global.ok_or(missing)?;
            let mut bytes = vec![0; global.size as usize];
            self.machine.data_read(&global.section, global.offset, &mut bytes)?;
            Ok(bytes)
        };
        let dump = layout.dump.as_ref().map(read).transpose()?;
        Ok(layout.decode(&read(&layout.variable)?, &dump.unwrap_or_default()))
    }

    /// Tells every task to end; each must get to it.
    fn end_all(&mut self, scenario: &Scenario) -> Result<(), ScenarioStop> {
        self.machine.cpu = 0;
        for task in self.tasks.clone() {
            self.machine.sched.task(task).orders = Orders::Exit;
            self.machine.prod(task);
            self.machine.wake_up(task)?;
        }
        self.machine.schedule_until(self.machine.now_ns() + ENDS_WITHIN_NS)?;
        let lives = |task: &TaskId| !self.machine.is_dead(*task);
        match self.tasks.iter().position(lives) {
            Some(at) => Err(ScenarioStop::Lost(scenario.tasks[at].name.clone())),
            None => Ok(()),
        }
    }

    /// Does what a command says; or the number of the error that it was refused with.
    fn obey(&mut self, command: &Command, seen: &mut Witnessed) -> Result<Done, ScenarioStop> {
        let machine = &mut *self.machine;
        // Whoever tells tasks what to do runs there.
        machine.cpu = TELLER;
        match command {
            Command::Task(task, order) => {
                let task = self.tasks[*task];
                if let Order::Fork(count) = order {
                    let (name, first) = (machine.comm_and_pid(task).0, machine.next_pid());
                    let child = |i: u32| (first + i.cast_signed(), format!("{name}.{i}"));
                    seen.names.extend((0..*count).map(child));
                }
                tell(machine, task, order)?;
            }
            Command::Cpu { cpu, online } => {
                let (cpu, online) = (*cpu, *online);
                machine.on_cpu(cpu, move |machine| machine.set_online(cpu, online))?;
            }
            Command::Cgroup(path, change) => {
                machine.settle(TELLER)?;
                return Ok(self.cgroups.change(machine, path, *change)?);
            }
            Command::Move(task, path) => {
                machine.settle(TELLER)?;
                let tasks = task.map_or(&self.tasks[..], |task| &self.tasks[task..=task]);
                return Ok(machine.move_to_cgroup(tasks, self.cgroups.number(path))?);
            }
            // Whoever tells them sleeps meanwhile, and has done so.
            Command::Wait(_) => {}
            Command::Attach => {
                machine.settle(TELLER)?;
                self.attach()?;
            }
            Command::Detach => machine.on_cpu(TELLER, Machine::detach)?,
            Command::Sysrq => machine.sysrq(),
        }
        Ok(Ok(()))
    }
}

fn end(exit: ExitInfo, before: usize) -> End {
    let ExitInfo { kind, code, cpu, reason, msg, dump } = exit;
    End { kind, code, cpu, reason, msg, dump, before }
}

/// Sets what the scenario sets of the scheduler.
fn set(
    image: &mut Image,
    object: &Object,
    types: &KernelTypes,
    scenario: &Scenario,
) -> Result<(), ScenarioStop> {
    for (name, value) in &scenario.settings {
        let missing = || ScenarioStop::Setting(name.clone());
        let global = object.globals().find(|g| g.name == *name).ok_or_else(missing)?;
        let map = image.maps.iter_mut().find(|map| map.data && map.name == global.section);
        let (at, size) = (global.offset as usize, global.size as usize);
        let place = map.and_then(|map| map.initial.get_mut(at..at + size)).ok_or_else(missing)?;
        place.copy_from_slice(value.to_le_bytes().get(..size).ok_or_else(missing)?);
    }
    for table in image.tables.iter_mut().filter(|table| table.kernel_type == "sched_ext_ops") {
        let flags = ops_member(types, "flags").map_err(LoadError::from)?;
        let at = flags.offset as usize;
        if let Some(place) = table.bytes.get_mut(at..at + 8) {
            let known = types.enumerator("SCX_OPS_ALL_FLAGS").map_or(u64::MAX, i64::cast_unsigned);
            let more = (scenario.ops_flags & known).to_le_bytes();
            place.iter_mut().zip(more).for_each(|(byte, more)| *byte |= more);
        }
        for (name, value) in &scenario.ops {
            put(&mut table.bytes, ops_member(types, name).map_err(LoadError::from)?, *value);
        }
    }
    Ok(())
}

/// Sets a number in a table of callbacks.
fn put(table: &mut [u8], field: Field, value: u64) {
    let place = field.offset as usize..(field.offset + field.size) as usize;
    if let Some(place) = table.get_mut(place) {
        place.iter_mut().zip(value.to_le_bytes()).for_each(|(byte, new)| *byte = new);
    }
}

/// The scheduler expects the hotplug events that there were before it was loaded, as loaders of
/// real kernels have it.
fn set_hotplug_seq(image: &mut Image, types: &KernelTypes, seq: u64) -> Result<(), LoadError> {
    for table in image.tables.iter_mut().filter(|table| table.kernel_type == "sched_ext_ops") {
        put(&mut table.bytes, ops_member(types, "hotplug_seq")?, seq);
    }
    Ok(())
}

/// Wakes a task up, which runs from now on.
fn wake(machine: &mut Machine, task: TaskId) -> Result<(), Stop> {
    tell(machine, task, &Order::Spin)?;
    machine.schedule_until(machine.now_ns())
}

fn tell(machine: &mut Machine, task: TaskId, order: &Order) -> Result<(), Stop> {
    machine.cpu = 0;
    let (orders, wakes) = match order {
        Order::Pulse => (Orders::Sleep, true),
        Order::Spin => (Orders::Spin, true),
        Order::Sleep => (Orders::Sleep, false),
        Order::Yield => (Orders::Yield, false),
        Order::Exit => (Orders::Exit, true),
        Order::Fork(count) => (Orders::Fork(*count), true),
        Order::Nice(nice) => {
            let nice = *nice;
            return machine.on_cpu(TELLER, move |machine| machine.set_nice(task, nice));
        }
        Order::Cpus(cpus) => {
            let cpus = cpus.clone();
            return machine.on_cpu(TELLER, move |machine| machine.set_allowed(task, &cpus));
        }
    };
    machine.sched.task(task).orders = orders;
    machine.prod(task);
    if !wakes {
        return Ok(());
    }
    machine.on_cpu(TELLER, move |machine| machine.wake_up(task))
}
