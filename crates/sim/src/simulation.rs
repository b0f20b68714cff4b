// SPDX-License-Identifier: GPL-2.0-or-later
//! A scheduler on a simulated machine, from being opened to the end of the run.
//!
//! As a world for user halves ([`rota_object::World`]) it is in `world.rs`.

use crate::machine::{Machine, Shape};
use crate::run::Stop;
use crate::sched::{Called, TaskId, Waker};
use rota_events::{Event, MachineFacts, Tables};
use rota_object::{Engine, EngineError, Image, KernelTypes, LinkErrors, Object};
use rota_topology::Topology;
use rota_workload::{
    Event as WorkEvent, EventId, Group, Pieces, Program, Span, Step, Template, TemplateId, Workload,
};
use std::cell::RefCell;
use std::sync::Arc;

/// Why a run stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// The time that was asked for has come.
    Time,
    /// The user half's task has had the CPU time that its step takes.
    Half,
    /// The scheduler has ended.
    Exit,
}

/// The task that a user half is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Half {
    task: TaskId,
    go: EventId,
}

/// A scheduler's object, and a machine that it is put on.
///
/// ```text
/// new ─► (Setup) ─► load ─► attach ─► add a workload ─► run_until, again and again
/// ```
pub struct Simulation {
    /// `None` if there is no scheduler but the kernel's own.
    pub(crate) object: Option<Object>,
    pub(crate) types: KernelTypes,
    pub(crate) topology: Topology,
    pub(crate) shape: Shape,
    pub(crate) image: Image,
    /// Once it is loaded. Looking something up in a map can change the order in that map.
    pub(crate) machine: Option<RefCell<Machine>>,
    /// Elements that maps get as soon as they are there: map, key and value.
    pub(crate) preloads: Vec<(String, Vec<u8>, Vec<u8>)>,
    pub(crate) records: bool,
    half: Option<Half>,
}

impl Simulation {
    /// Opens an object for a machine with a kernel. The shape's number of CPUs is that of the
    /// topology.
    ///
    /// # Errors
    /// [`LinkErrors`] has everything that the kernel lacks.
    pub fn new(
        object: &Object,
        types: &KernelTypes,
        topology: &Topology,
        shape: &Shape,
    ) -> Result<Self, LinkErrors> {
        let image = object.link(types)?;
        Ok(Self::with(Some(object.clone()), image, types, topology, shape))
    }

    /// A machine without a scheduler of sched_ext, whose tasks are those of the kernel's fair
    /// class. It is loaded, and there is nothing to attach. The shape's number of CPUs is that of
    /// the topology.
    ///
    /// # Errors
    /// [`EngineError::Refused`] says why there can't be such a machine.
    pub fn fair(
        types: &KernelTypes,
        topology: &Topology,
        shape: &Shape,
    ) -> Result<Self, EngineError> {
        let image = Image { kernel: types.name().to_owned(), ..Image::default() };
        let mut fair = Self::with(None, image, types, topology, shape);
        fair.load()?;
        Ok(fair)
    }

    fn with(
        object: Option<Object>,
        image: Image,
        types: &KernelTypes,
        topology: &Topology,
        shape: &Shape,
    ) -> Self {
        let cpus = topology.possible().last().map_or(0, |last| last.0 + 1);
        Self {
            object,
            types: types.clone(),
            topology: topology.clone(),
            shape: Shape { cpus, ..shape.clone() },
            image,
            machine: None,
            preloads: Vec::new(),
            records: false,
            half: None,
        }
    }

    /// The object, linked against the machine's kernel.
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// Sets an element of a map as soon as that is there, before the scheduler starts. Where every
    /// CPU has a value of its own, all get this one.
    ///
    /// # Errors
    /// [`EngineError::Missing`], [`EngineError::Size`], or [`EngineError::Phase`] once it is
    /// loaded.
    pub fn preload(&mut self, map: &str, key: &[u8], value: &[u8]) -> Result<(), EngineError> {
        let found = self.image.maps.iter().find(|m| m.name == map);
        let found =
            found.ok_or_else(|| EngineError::Missing { what: "map", name: map.to_owned() })?;
        let sizes = [(key, found.key_size), (value, found.value_size)];
        for (given, expected) in sizes.map(|(bytes, size)| (bytes.len(), size as usize)) {
            if given != expected {
                return Err(EngineError::Size { name: map.to_owned(), given, expected });
            }
        }
        if self.machine.is_some() {
            let problem = "the machine is running";
            return Err(EngineError::Phase { name: map.to_owned(), problem });
        }
        self.preloads.push((map.to_owned(), key.to_vec(), value.to_vec()));
        Ok(())
    }

    /// The machine's clock, in ns. It stands at the start as long as nothing is loaded.
    pub fn now_ns(&self) -> u64 {
        self.machine.as_ref().map_or(0, |machine| machine.borrow().now_ns())
    }

    /// Adds a workload: its tasks are made, and wake up. Before loading there is nowhere to put
    /// them, and nothing happens.
    ///
    /// # Errors
    /// [`Stop`] if the scheduler did what it must not.
    pub fn add(&mut self, workload: &Workload) -> Result<(), Stop> {
        match &mut self.machine {
            Some(machine) => {
                let machine = machine.get_mut();
                machine.settle_outside()?;
                machine.add_work(workload.clone())
            }
            None => Ok(()),
        }
    }

    /// Adds what disturbs the machine, as its platform has it: tasks of a group `noise`.
    ///
    /// # Errors
    /// [`Stop`] if the scheduler did what it must not.
    pub fn add_noise(&mut self) -> Result<(), Stop> {
        self.add(&self.shape.platform.noise_tasks(self.topology.online()))
    }

    /// The energy that the machine has used since it was switched on, in pJ, as its platform
    /// models it. A core that has been idle for long enough for a deeper state counts as if it had
    /// been in that from the beginning, so the number can fall a little.
    pub fn energy_pj(&self) -> u64 {
        self.machine.as_ref().map_or(0, |machine| machine.borrow().drawn_pj())
    }

    /// Makes the user half a task of the machine, each of whose steps takes so much CPU time.
    ///
    /// # Errors
    /// [`Stop`] if the scheduler did what it must not.
    pub fn add_half(&mut self, cost_ns: u64) -> Result<(), Stop> {
        let Some(machine) = &mut self.machine else { return Ok(()) };
        let machine = machine.get_mut();
        machine.settle_outside()?;
        let run = Step::Run(Span::Fixed(cost_ns));
        let template = Template {
            name: "rota".to_owned(),
            group: 0,
            nice: 0,
            partners: 0,
            cpus: None,
            cgroup: None,
            realtime: false,
            program: Arc::new(
                Program::default().repeated(None, [Step::Wait(EventId(0)), run, Step::Done]),
            ),
        };
        let watched = machine.add_watched(Workload {
            groups: vec![Group { name: "user half".to_owned(), deadline_ns: None }],
            templates: vec![template],
            starts: vec![TemplateId(0)],
            events: vec![WorkEvent::COUNTER],
            ..Workload::default()
        })?;
        self.half = watched.map(|(task, go)| Half { task, go });
        Ok(())
    }

    /// Wakes up the user half's task, so that [`Simulation::run_until`] will end with
    /// [`Pause::Half`] when it has had its CPU time. Whether there is such a task.
    ///
    /// # Errors
    /// [`Stop`] if the scheduler did what it must not.
    pub fn wake_half(&mut self) -> Result<bool, Stop> {
        let (Some(machine), Some(half)) = (&mut self.machine, self.half) else { return Ok(false) };
        let machine = machine.get_mut();
        machine.cpu = machine.sched.task(half.task).cpu;
        let (go, now) = (half.go, machine.now_ns());
        machine.on_cpu(machine.cpu, move |machine| machine.signal(go, 1, now, Waker::Interrupt))?;
        Ok(true)
    }

    /// Lets time go on to a point, unless something comes in between.
    ///
    /// # Errors
    /// [`Stop`] if the scheduler did what it must not.
    pub fn run_until(&mut self, time_ns: u64) -> Result<Pause, Stop> {
        let Some(machine) = &mut self.machine else { return Ok(Pause::Time) };
        let machine = machine.get_mut();
        machine.schedule_until(time_ns)?;
        if machine.ended().is_some() {
            return Ok(Pause::Exit);
        }
        Ok(if std::mem::take(&mut machine.work.paused) { Pause::Half } else { Pause::Time })
    }

    /// Records events from now on, for [`Simulation::take_events`].
    pub fn start_recording(&mut self) {
        self.records = true;
        if let Some(machine) = &mut self.machine {
            machine.get_mut().start_recording();
        }
    }

    /// The events since the last call, or since the recording started. Take them often: all are
    /// kept until then.
    pub fn take_events(&mut self) -> Vec<Event> {
        self.machine.as_mut().map(|machine| machine.get_mut().take_events()).unwrap_or_default()
    }

    /// What the numbers in the events stand for; `None` if nothing is recorded.
    pub fn tables(&mut self) -> Option<&Tables> {
        self.machine.as_mut()?.get_mut().tables()
    }

    /// What a recording says of the machine.
    pub fn machine_facts(&self) -> MachineFacts {
        crate::recorder::machine_facts(&self.types, &self.topology)
    }

    /// The groups of all workloads, with the pieces of work that each has done.
    pub fn work_done(&self) -> Vec<(String, u64)> {
        self.pieces().into_iter().map(|pieces| (pieces.group, pieces.done)).collect()
    }

    /// The pieces of work that the groups of all workloads have done, and how long who asked for
    /// them had to wait, or has to wait yet.
    pub fn pieces(&self) -> Vec<Pieces> {
        let Some(machine) = &self.machine else { return Vec::new() };
        machine.borrow().pieces()
    }

    /// How often CPUs have switched to a task.
    pub fn switches(&self) -> u64 {
        self.machine.as_ref().map_or(0, |machine| machine.borrow().sched.switches)
    }

    /// Every kernel function that the object names and the kernel has, with how often it was
    /// called; `None` for one that is not simulated, at whose first call a run stops.
    pub fn kfuncs(&self) -> Vec<(String, Option<u64>)> {
        let machine = self.machine.as_ref().map(RefCell::borrow);
        let calls = |i: usize| machine.as_ref().and_then(|m| m.kfunc_calls.get(i).copied());
        let there = self.image.kfuncs.iter().enumerate().filter(|(_, k)| k.func.is_some());
        let counted = there.map(|(i, kfunc)| {
            let simulated = crate::kernel::kfunc(&kfunc.name).is_some();
            (kfunc.name.clone(), simulated.then(|| calls(i).unwrap_or(0)))
        });
        counted.collect()
    }

    /// Every callback that the scheduler has, by its name, with how often it was called.
    pub fn callbacks(&self) -> Vec<(&'static str, Called)> {
        let Some(machine) = &self.machine else { return Vec::new() };
        machine.borrow().sched.called().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Simulation;
    use crate::machine::Shape;
    use rota_bytecode::Protection;
    use rota_object::KernelTypes;
    use rota_topology::Spec;
    use rota_workload::Workload;
    use rota_workload::rtapp::RtApp;

    /// A machine that has memory for some hundred tasks.
    fn small() -> Simulation {
        let types = KernelTypes::builtin("7.3").unwrap();
        let topology = "4c".parse::<Spec>().unwrap().topology();
        let mut world = Simulation::fair(&types, &topology, &Shape::default()).unwrap();
        let memory = &world.machine.as_mut().unwrap().get_mut().memory;
        for log2 in (22..31).rev() {
            while memory.alloc(1 << log2, 64, Protection::ReadWrite).is_ok() {}
        }
        world
    }

    #[test]
    fn a_workload_with_more_tasks_than_there_is_memory_for_is_named() {
        let many = Workload::parse("cpu:tasks=90000,name=many", 4).unwrap();
        let stop = small().add(&many).unwrap_err().to_string();
        assert!(stop.starts_with("no room for many/"), "{stop}");
    }

    #[test]
    fn who_forks_without_end_is_named() {
        let file = r#"{ "tasks" : {
            "parent" : { "fork" : "child", "run" : 10 },
            "child" : { "instance" : 0, "run" : 1000000 }
        } }"#;
        let (workload, _) = RtApp::parse(file).unwrap().workload(4).unwrap();
        let mut world = small();
        world.add(&workload).unwrap();
        let stop = world.run_until(u64::MAX).unwrap_err().to_string();
        assert!(stop.starts_with("no room for a child of parent/0: there are "), "{stop}");
        assert!(stop.contains("`loop` says when"), "{stop}");
    }

    #[test]
    fn who_forks_without_end_has_room_if_as_many_end() {
        let mut world = small();
        world.add(&Workload::parse("forkstorm:children=20,run=10us", 4).unwrap()).unwrap();
        world.run_until(30_000_000_000).unwrap();
        assert!(world.machine.as_mut().unwrap().get_mut().sched.tasks.len() > 10_000);
    }
}
