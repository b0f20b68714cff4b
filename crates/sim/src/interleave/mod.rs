// SPDX-License-Identifier: GPL-2.0-or-later
//! CPUs that are interleaved within callbacks, if a machine asks for it.
//!
//! Without it, what a CPU does happens at once: nothing comes between. With it, what a CPU does is
//! a lane, and a lane can stand still at each call of a helper or kernel function, for as long as
//! the policy says, while time goes on and others do what is due. A CPU has one lane at most, as
//! its interrupts are off meanwhile: what else it has to do waits, in order. So what may be touched
//! by two CPUs at once needs the locks that the kernel has; they are in [`locks`].
//!
//! The machine itself goes from lane to lane. A lane that stands still keeps a hollow one in its
//! place, with nothing in it that anybody looks at.

mod locks;

pub(crate) use locks::Lock;

use crate::machine::{CONTEXT_BYTES, Machine, STACKS};
use crate::references::References;
use crate::run::{Stop, StopKind};
use crate::sched::{Due, Op};
use locks::Locks;
use rota_bytecode::{
    Lane, Memory, MemoryError, Pause, Protection, STACK_BYTES, Standing, StartError,
};
use rota_workload::Random;
use std::collections::VecDeque;
use std::mem;

/// One call in so many stands still.
const PAUSES: u64 = 4;
/// The shortest that it does, in ns.
const SHORTEST_NS: u64 = 50;
/// Below what a pause lies, in ns: most of them, one of eight, one of 64.
const BELOW_NS: [u64; 3] = [500, 5_000, 50_000];

/// Something that a CPU has to do.
type Work = Box<dyn FnOnce(&mut Machine) -> Result<(), Stop>>;

/// Memory for what a lane executes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room {
    /// Stacks of programs.
    pub(crate) stacks: u64,
    /// Arguments of callbacks.
    pub(crate) contexts: u64,
}

impl Room {
    /// Takes it out of a machine's memory.
    pub(crate) fn new(memory: &Memory) -> Result<Self, MemoryError> {
        let alloc = |bytes| memory.alloc(STACKS as u64 * bytes, 8, Protection::ReadWrite);
        Ok(Self { stacks: alloc(STACK_BYTES)?, contexts: alloc(CONTEXT_BYTES)? })
    }
}

/// A lane, and what of the machine is its own.
struct CpuLane {
    lane: Lane<Box<Machine>>,
    room: Room,
}

/// What a CPU does, and has to do.
#[derive(Default)]
struct Cpu {
    lane: Option<CpuLane>,
    work: VecDeque<Work>,
    /// The lock that its lane waits for.
    waits_for: Option<Lock>,
}

/// The lane that runs.
struct Running {
    cpu: u32,
    pause: Pause<Box<Machine>>,
}

/// All lanes of a machine.
pub(crate) struct Interleaving {
    random: Random,
    cpus: Vec<Cpu>,
    running: Option<Running>,
    locks: Locks,
    /// Machines that are not in use.
    hollows: Vec<Box<Machine>>,
    /// Memory that is not in use.
    rooms: Vec<Room>,
    /// What the lane that has just ended came to.
    result: Result<(), Stop>,
}

impl Interleaving {
    /// With a seed, which determines who stands still where and how long.
    pub(crate) fn new(seed: u64, cpus: u32) -> Self {
        Self {
            random: Random::new(seed),
            cpus: (0..cpus).map(|_| Cpu::default()).collect(),
            running: None,
            locks: Locks::default(),
            hollows: Vec::new(),
            rooms: Vec::new(),
            result: Ok(()),
        }
    }

    /// For how long the lane that runs stands still at a call, in ns, if it does.
    fn pause_ns(&mut self) -> Option<u64> {
        let random = self.random.next();
        if !random.is_multiple_of(PAUSES) {
            return None;
        }
        let kind = match random >> 58 {
            0 => 2,
            1..8 => 1,
            _ => 0,
        };
        Some(SHORTEST_NS + (random >> 8 & 0xffff_ffff) % BELOW_NS[kind])
    }

    fn cpu(&mut self, cpu: u32) -> &mut Cpu {
        &mut self.cpus[cpu as usize]
    }

    /// The CPU whose lane runs.
    fn here(&self) -> Option<u32> {
        self.running.as_ref().map(|running| running.cpu)
    }
}

/// What of a machine belongs to whoever executes on it.
struct Own {
    cpu: u32,
    depth: usize,
    insns: u64,
    calls: u64,
    stood_ns: u64,
    references: References,
    timer: Option<u64>,
    /// The callback that is being called.
    calling: Option<(Op, u64)>,
    room: Room,
}

impl Own {
    /// Of work that begins.
    fn new(cpu: u32, room: Room) -> Self {
        Self {
            cpu,
            depth: 0,
            insns: 0,
            calls: 0,
            stood_ns: 0,
            references: References::default(),
            timer: None,
            calling: None,
            room,
        }
    }

    fn take(machine: &mut Machine) -> Self {
        Self {
            cpu: machine.cpu,
            depth: mem::take(&mut machine.depth),
            insns: mem::take(&mut machine.insns),
            calls: mem::take(&mut machine.calls),
            stood_ns: mem::take(&mut machine.stood_ns),
            references: mem::take(&mut machine.references),
            timer: machine.timers.running.take(),
            calling: machine.sched.calling.take(),
            room: machine.room,
        }
    }

    fn give(self, machine: &mut Machine) {
        machine.cpu = self.cpu;
        machine.depth = self.depth;
        machine.insns = self.insns;
        machine.calls = self.calls;
        machine.stood_ns = self.stood_ns;
        machine.references = self.references;
        machine.timers.running = self.timer;
        machine.sched.calling = self.calling;
        machine.room = self.room;
    }
}

impl Machine {
    /// Lets a CPU do something: at once, unless its lane has not come to its end yet, or another
    /// lane runs.
    pub(crate) fn on_cpu(
        &mut self,
        cpu: u32,
        work: impl FnOnce(&mut Self) -> Result<(), Stop> + 'static,
    ) -> Result<(), Stop> {
        let Some(lanes) = &mut self.interleaving else {
            self.cpu = cpu;
            return work(self);
        };
        lanes.cpu(cpu).work.push_back(Box::new(work));
        if lanes.running.is_some() {
            self.sched.agenda.add(self.now_ns, Due::Begin(cpu));
            return Ok(());
        }
        self.begin(cpu)
    }

    /// A CPU does what it has to, unless its lane has not come to its end yet.
    pub(crate) fn begin(&mut self, cpu: u32) -> Result<(), Stop> {
        let free = self.interleaving.as_mut().is_some_and(|lanes| lanes.cpu(cpu).lane.is_none());
        if free { self.go_on(cpu) } else { Ok(()) }
    }

    /// A CPU goes on with its lane, and then with what else it has to do, until it stands still.
    pub(crate) fn go_on(&mut self, cpu: u32) -> Result<(), Stop> {
        while let Some(mut lane) = self.next_lane(cpu)? {
            let own = Own::take(self);
            let mut machine = self.spare();
            mem::swap(self, &mut machine);
            let (mut machine, paused) = match lane.lane.resume(machine) {
                Ok(Standing::Paused(machine)) => (machine, true),
                Ok(Standing::Ended(machine)) | Err(machine) => (machine, false),
            };
            mem::swap(self, &mut machine);
            own.give(self);
            let Some(lanes) = &mut self.interleaving else { return Ok(()) };
            lanes.hollows.push(machine);
            if paused {
                lanes.cpu(cpu).lane = Some(lane);
                return Ok(());
            }
            lanes.rooms.push(lane.room);
            mem::replace(&mut lanes.result, Ok(()))?;
        }
        Ok(())
    }

    /// The lane of a CPU, or a new one for what it has to do next, if there is something.
    fn next_lane(&mut self, cpu: u32) -> Result<Option<CpuLane>, Stop> {
        let Some(lanes) = &mut self.interleaving else { return Ok(None) };
        let here = &mut lanes.cpus[cpu as usize];
        if here.lane.is_some() {
            return Ok(here.lane.take());
        }
        let Some(work) = here.work.pop_front() else { return Ok(None) };
        let room = match lanes.rooms.pop() {
            Some(room) => room,
            None => Room::new(&self.memory).map_err(|e| Stop::memory(&e))?,
        };
        let lane = Lane::new(move |pause, mut machine: Box<Self>| {
            Own::new(cpu, room).give(&mut machine);
            if let Some(lanes) = &mut machine.interleaving {
                lanes.running = Some(Running { cpu, pause: pause.clone() });
            }
            let result = work(&mut machine);
            if let Some(lanes) = &mut machine.interleaving {
                lanes.running = None;
                lanes.result = result;
            }
            machine
        });
        let lane = lane.map_err(|e| Stop::new(StopKind::Start(StartError::Host(e)), None))?;
        Ok(Some(CpuLane { lane, room }))
    }

    /// A hollow machine.
    fn spare(&mut self) -> Box<Self> {
        let spare = self.interleaving.as_mut().and_then(|lanes| lanes.hollows.pop());
        spare.unwrap_or_else(|| Box::new(self.hollow()))
    }

    /// Lets time go on until no CPU is in the middle of anything, for what is done to the machine
    /// from outside and can't wait itself. From then on it is done by this CPU.
    pub(crate) fn settle(&mut self, cpu: u32) -> Result<(), Stop> {
        let is_amid = |machine: &Self| {
            let lanes = machine.interleaving.as_ref();
            lanes.is_some_and(|lanes| lanes.cpus.iter().any(|cpu| cpu.lane.is_some()))
        };
        while is_amid(self)
            && let Some(next) = self.sched.agenda.next_time()
        {
            self.schedule_until(next)?;
        }
        self.cpu = cpu;
        Ok(())
    }

    /// The same, for what is done from outside by no CPU in particular: the first one that is online
    /// does it.
    pub(crate) fn settle_outside(&mut self) -> Result<(), Stop> {
        let first = self.sched.online.iter().next().map_or(0, |cpu| cpu.0);
        self.settle(first)
    }

    /// Before a program's call is answered: others may go first, if the policy says so.
    pub(crate) fn before_answer(&mut self) {
        let Some(lanes) = &mut self.interleaving else { return };
        let Some(cpu) = lanes.here() else { return };
        if let Some(pause_ns) = lanes.pause_ns() {
            self.sched.agenda.add(self.now_ns + pause_ns, Due::GoOn(cpu));
            self.stand_still();
        }
    }

    /// The lane that runs stands still until its CPU is told to go on.
    fn stand_still(&mut self) {
        let Some(lanes) = &mut self.interleaving else { return };
        let Some(running) = lanes.running.take() else { return };
        let own = Own::take(self);
        let mut machine = self.spare();
        mem::swap(self, &mut machine);
        // It can only be refused outside of the lane, and nobody else has its pause.
        let (Ok(mut machine) | Err(mut machine)) = running.pause.pause(machine);
        mem::swap(self, &mut machine);
        own.give(self);
        if let Some(lanes) = &mut self.interleaving {
            lanes.hollows.push(machine);
            lanes.running = Some(running);
        }
    }
}
