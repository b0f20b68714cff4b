// SPDX-License-Identifier: GPL-2.0-or-later
//! Scenarios on a simulated machine: the same object, settings and commands as on a real kernel.

mod cgroups;

use crate::layout::ops_member;
use crate::machine::{LoadError, Machine, Shape};
use crate::recorder::machine_facts;
use crate::run::Stop;
use crate::sched::{AttachStop, Class, Done, Orders, TaskId};
use cgroups::Paths;
use rota_events::{Event, MachineFacts, Tables};
use rota_object::{EngineError, ExitInfo, Image, KernelTypes, LinkErrors, Object};
use rota_topology::{CpuId, CpuMask, Spec, SpecError, Topology};
use rota_workload::{Command, Order, Record, Scenario, Witnessed};

/// Time between steps, in ns, and between the commands of a step.
const REST_NS: u64 = 150_000_000;
const COMMAND_NS: u64 = 10_000;
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
    #[error("the scheduler ended: {} ({})", .0.reason, .0.msg)]
    Exit(Box<ExitInfo>),
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
    machine.attach(&image, types, &topology)?;
    drive(&mut machine, scenario, cgroups)
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
    let attached = machine.attach(&image, types, &topology).map_err(ScenarioStop::from);
    let seen = attached.and_then(|()| drive(&mut machine, scenario, cgroups));
    recording.machine = machine_facts(types, &topology);
    recording.tables = machine.tables().cloned().unwrap_or_default();
    recording.events = machine.take_events();
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
    let mut image = object.link(types)?;
    set(&mut image, &object, types, scenario)?;
    let cpus = topology.possible().count() as u32;
    let shape = Shape { cpus, ..shape.clone() };
    let mut machine = Machine::load(shape, &image, types)?;
    let mut cgroups = Paths::new();
    for path in &scenario.cgroups {
        // Without a scheduler, nobody refuses them.
        let _ = cgroups.make(&mut machine, path)?;
    }
    Ok((machine, image, topology, cgroups))
}

/// Makes the scenario's tasks and carries out its steps.
fn drive(
    machine: &mut Machine,
    scenario: &Scenario,
    mut cgroups: Paths,
) -> Result<Witnessed, ScenarioStop> {
    let mut tasks = Vec::new();
    let mut seen = Witnessed::default();
    // Whoever tells tasks what to do is a task too, which keeps the first CPU busy meanwhile.
    let driver = machine.spawn("driver", &CpuMask::of(CpuId(0)), Class::Realtime)?;
    for task in &scenario.tasks {
        let class = if task.realtime { Class::Realtime } else { Class::Ext };
        let id = machine.spawn(&task.name, &task.cpus, class)?;
        tasks.push(id);
        if !task.realtime {
            let pid = machine.comm_and_pid(id).1 as i32;
            seen.names.insert(pid, task.name.clone());
        }
    }
    machine.schedule_until(REST_NS)?;
    let mut early = Vec::new();
    machine.ring_drain("records", &mut |bytes| early.extend(Record::from_bytes(bytes)))?;
    seen.records.extend(early.into_iter().filter(|r| r.callback.is_of_cgroup()));
    for (number, step) in scenario.steps.iter().enumerate() {
        tell(machine, driver, &Order::Spin)?;
        machine.schedule_until(machine.now_ns())?;
        for command in step {
            let done = obey(machine, &tasks, &mut cgroups, command)?;
            seen.refused.extend(done.err().map(|error| (number, error)));
            machine.schedule_until(machine.now_ns() + COMMAND_NS)?;
        }
        tell(machine, driver, &Order::Sleep)?;
        machine.schedule_until(machine.now_ns() + REST_NS)?;
    }
    machine.ring_drain("records", &mut |bytes| seen.records.extend(Record::from_bytes(bytes)))?;
    seen.cgroups = cgroups.names();
    match machine.sched.exit.take() {
        Some(exit) => Err(ScenarioStop::Exit(Box::new(exit))),
        None => Ok(seen),
    }
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
    let flags = ops_member(types, "flags").map_err(LoadError::from)?;
    for table in image.tables.iter_mut().filter(|table| table.kernel_type == "sched_ext_ops") {
        let at = flags.offset as usize;
        if let Some(place) = table.bytes.get_mut(at..at + 8) {
            let more = scenario.ops_flags.to_le_bytes();
            place.iter_mut().zip(more).for_each(|(byte, more)| *byte |= more);
        }
    }
    Ok(())
}

/// Does what a command says; or the number of the error that it was refused with.
fn obey(
    machine: &mut Machine,
    tasks: &[TaskId],
    cgroups: &mut Paths,
    command: &Command,
) -> Result<Done, Stop> {
    match command {
        Command::Task(task, order) => tell(machine, tasks[*task], order).map(Ok),
        Command::Cpu { cpu, online } => {
            let (cpu, online) = (*cpu, *online);
            machine.on_cpu(cpu, move |machine| machine.set_online(cpu, online)).map(Ok)
        }
        Command::Cgroup(path, change) => {
            machine.settle(TELLER)?;
            cgroups.change(machine, path, *change)
        }
        Command::Move(task, path) => {
            machine.settle(TELLER)?;
            let tasks = task.map_or(tasks, |task| &tasks[task..=task]);
            machine.move_to_cgroup(tasks, cgroups.number(path))
        }
    }
}

fn tell(machine: &mut Machine, task: TaskId, order: &Order) -> Result<(), Stop> {
    machine.cpu = 0;
    let (orders, wakes) = match order {
        Order::Pulse => (Orders::Sleep, true),
        Order::Spin => (Orders::Spin, true),
        Order::Sleep => (Orders::Sleep, false),
        Order::Yield => (Orders::Yield, false),
        Order::Exit => (Orders::Exit, true),
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
