// SPDX-License-Identifier: GPL-2.0-or-later
//! Scenarios on a simulated machine: the same object, settings and commands as on a real kernel.

use crate::layout::ops_member;
use crate::machine::{LoadError, Machine, Shape};
use crate::recorder::machine_facts;
use crate::run::Stop;
use crate::sched::{AttachStop, Class, Orders, TaskId};
use rota_bytecode::Mode;
use rota_events::{Event, MachineFacts, Tables};
use rota_object::{EngineError, ExitInfo, Image, KernelTypes, LinkErrors, Object};
use rota_topology::{Spec, SpecError, Topology};
use rota_workload::{Command, Order, Record, Scenario, Witnessed};

/// Time between steps, in ns, and between the commands of a step.
const REST_NS: u64 = 150_000_000;
const COMMAND_NS: u64 = 10_000;

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

/// Runs a scenario under a test scheduler, as a kernel would; what the scheduler saw.
///
/// # Errors
/// [`ScenarioStop`] says why it could not be run to its end.
pub fn run_scenario(
    object: &Object,
    types: &KernelTypes,
    scenario: &Scenario,
    mode: Mode,
) -> Result<Witnessed, ScenarioStop> {
    let (mut machine, image, topology) = machine(object, types, scenario, mode)?;
    machine.attach(&image, types, &topology)?;
    drive(&mut machine, scenario)
}

/// The same, and records what happens, also if it comes to no end.
///
/// # Errors
/// As above.
pub fn record_scenario(
    object: &Object,
    types: &KernelTypes,
    scenario: &Scenario,
    mode: Mode,
    recording: &mut Recording,
) -> Result<Witnessed, ScenarioStop> {
    let (mut machine, image, topology) = machine(object, types, scenario, mode)?;
    machine.start_recording();
    let attached = machine.attach(&image, types, &topology).map_err(ScenarioStop::from);
    let seen = attached.and_then(|()| drive(&mut machine, scenario));
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
    mode: Mode,
) -> Result<(Machine, Image, Topology), ScenarioStop> {
    let topology = scenario.machine.parse::<Spec>()?.topology();
    let mut image = object.link(types)?;
    set(&mut image, object, types, scenario)?;
    let cpus = topology.possible().count() as u32;
    let shape = Shape { cpus, mode, ..Shape::default() };
    let machine = Machine::load(shape, &image, types)?;
    Ok((machine, image, topology))
}

/// Makes the scenario's tasks and carries out its steps.
fn drive(machine: &mut Machine, scenario: &Scenario) -> Result<Witnessed, ScenarioStop> {
    let mut tasks = Vec::new();
    let mut seen = Witnessed::default();
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
    machine.ring_drain("records", &mut |_| {})?;
    for step in &scenario.steps {
        for command in step {
            obey(machine, &tasks, command)?;
            machine.schedule_until(machine.now_ns() + COMMAND_NS)?;
        }
        machine.schedule_until(machine.now_ns() + REST_NS)?;
    }
    machine.ring_drain("records", &mut |bytes| seen.records.extend(Record::from_bytes(bytes)))?;
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

fn obey(machine: &mut Machine, tasks: &[TaskId], command: &Command) -> Result<(), Stop> {
    // Whoever tells tasks what to do runs on the first CPU.
    machine.cpu = 0;
    let (task, order) = match command {
        Command::Task(task, order) => (tasks[*task], order),
        Command::Cpu { cpu, online } => return machine.set_online(*cpu, *online),
    };
    let (orders, wakes) = match order {
        Order::Pulse => (Orders::Sleep, true),
        Order::Spin => (Orders::Spin, true),
        Order::Sleep => (Orders::Sleep, false),
        Order::Yield => (Orders::Yield, false),
        Order::Exit => (Orders::Exit, true),
        Order::Nice(nice) => return machine.set_nice(task, *nice),
        Order::Cpus(cpus) => return machine.set_allowed(task, cpus),
    };
    machine.sched.task(task).orders = orders;
    machine.prod(task);
    if wakes { machine.wake_up(task) } else { Ok(()) }
}
