// SPDX-License-Identifier: GPL-2.0-or-later
//! Idle CPUs, as schedulers ask for them (kernel: `kernel/sched/ext/idle.c`).

use crate::errno::Errno;
use crate::kernel::{Answer, value};
use crate::machine::{CPUS_MAX, Machine};
use crate::sched::{Op, TaskId, Wake, cpus, pick_flags};
use rota_bytecode::Fault;

/// No node (kernel: `NUMA_NO_NODE`).
const NO_NODE: i32 = -1;

/// Words of a mask that a program gives, as many as the machine has.
struct Words {
    words: [u64; CPUS_MAX as usize / 64],
    count: usize,
}

impl Words {
    fn read(machine: &Machine, mask: u64) -> Result<Self, Fault> {
        let cpus = machine.shape.cpus;
        let mut read = Self { words: [0; CPUS_MAX as usize / 64], count: cpus::words(cpus) };
        for (at, word) in read.words[..read.count].iter_mut().enumerate() {
            *word = machine.memory.read_u64(mask.wrapping_add(8 * at as u64))?;
        }
        if !cpus.is_multiple_of(64) {
            read.words[read.count - 1] &= (1 << (cpus % 64)) - 1;
        }
        Ok(read)
    }

    fn get(&self) -> &[u64] {
        &self.words[..self.count]
    }
}

/// What a function finds that looks for its scheduler first.
type Asked<T> = Result<T, Errno>;

/// A number, or what is wrong, as the kernel returns it.
fn number(asked: Asked<u32>) -> Result<Answer, Fault> {
    value(asked.map_or_else(Errno::value, u64::from))
}

impl Machine {
    /// Whether a scheduler is in charge. Older kernels did not ask, but found nothing either.
    pub(crate) fn asks_scheduler(&self) -> Asked<()> {
        let there = self.sched.ops.is_attached();
        if there || !self.sched.version.asks_for_scheduler { Ok(()) } else { Err(Errno::NoDevice) }
    }

    /// Ends the scheduler for what it asked, if there is one.
    pub(crate) fn refuse<T>(&mut self, errno: Errno, text: String) -> Asked<T> {
        if self.sched.ops.is_attached() {
            self.error(text);
        }
        Err(errno)
    }

    /// A CPU that the scheduler names.
    pub(crate) fn named_cpu(&mut self, cpu: u64) -> Asked<u32> {
        let cpu = cpu as u32;
        if cpu < self.shape.cpus {
            return Ok(cpu);
        }
        self.refuse(Errno::Invalid, format!("invalid CPU {}", cpu.cast_signed()))
    }

    /// A node that the scheduler names.
    fn named_node(&mut self, node: u64) -> Asked<u32> {
        let node = (node as u32).cast_signed();
        if !self.sched.idle.per_node {
            let text = "per-node idle tracking is disabled".to_owned();
            return self.refuse(Errno::NotSupported, text);
        }
        if node == NO_NODE {
            return Err(Errno::NoEntry);
        }
        let places = &self.sched.idle.places;
        match u32::try_from(node) {
            Ok(node) if places.nodes_after(node).is_some() => Ok(node),
            Ok(node) if node < places.node_ids() => {
                self.refuse(Errno::Invalid, format!("unavailable node {node}"))
            }
            _ => self.refuse(Errno::Invalid, format!("invalid node {node}")),
        }
    }

    fn asks_for_idle(&mut self) -> Asked<()> {
        if self.sched.ops.is_attached() && self.sched.keeps_idle_masks() {
            return Ok(());
        }
        self.refuse(Errno::Busy, "built-in idle tracking is disabled".to_owned())
    }

    /// Whether the masks of the whole machine may be used.
    fn asks_for_one_set(&mut self, text: &str) -> Asked<()> {
        if self.sched.idle.per_node {
            return self.refuse(Errno::Busy, text.to_owned());
        }
        Ok(())
    }

    /// An idle CPU for a task, with or without a mask that limits the choice.
    fn choose_idle(
        &mut self,
        task: TaskId,
        (previous, wake, flags): (u64, u64, u64),
        limit: Option<&[u64]>,
    ) -> Asked<u32> {
        self.asks_scheduler()?;
        let previous = self.named_cpu(previous)?;
        self.asks_for_idle()?;
        self.asks_about(task)?;
        let found = if self.sched.task(task).allowed.count() == 1 {
            self.take_only(task, previous, flags, limit)
        } else {
            self.select_idle(task, Wake { previous, wake, flags }, limit)
        };
        found.ok_or(Errno::Busy)
    }

    /// Whether the scheduler may ask about a task in the callback that runs.
    fn asks_about(&mut self, task: TaskId) -> Asked<()> {
        let Some((op, _)) = self.sched.calling else { return Ok(()) };
        let (cpu, address) = (self.sched.task(task).cpu, self.sched.task(task).address);
        if !self.sched.version.asks_about_others {
            return Ok(());
        }
        match (op, self.locked_rq()) {
            (Op::SelectCpu, _) if self.sched.calling != Some((op, address)) => {
                self.refuse(Errno::Invalid, "called on a task not being operated on".to_owned())
            }
            (_, Some(locked)) if locked != cpu => {
                let (comm, pid) = self.comm_and_pid(task);
                let text = format!("select_cpu kfunc called cross-task on {comm}[{pid}]");
                self.refuse(Errno::Invalid, text)
            }
            _ => Ok(()),
        }
    }

    /// The only CPU that a task may use, if it is idle.
    fn take_only(
        &mut self,
        task: TaskId,
        previous: u32,
        flags: u64,
        limit: Option<&[u64]>,
    ) -> Option<u32> {
        let allowed = &self.sched.tasks[task.0 as usize].allowed;
        let cpu = if self.sched.version.only_cpu_counts { allowed.first()?.0 } else { previous };
        let within = limit.unwrap_or(allowed.words());
        let idle = &mut self.sched.idle;
        let other_node = flags & pick_flags::IN_NODE != 0
            && self.sched.version.only_cpu_counts
            && idle.set_of(cpu) != idle.set_of(previous);
        let fits = cpus::has(within, cpu) && !other_node;
        (fits && idle.test_and_clear(&self.memory, cpu)).then_some(cpu)
    }

    /// Takes an idle CPU of a mask.
    fn pick_idle(&mut self, mask: &[u64], set: usize, flags: u64) -> Asked<u32> {
        let here = self.cpu;
        let found = self.sched.idle.pick(&self.memory, here, mask, set, flags);
        found.ok_or(Errno::Busy)
    }

    /// Any CPU of a mask.
    fn pick_any(&mut self, mask: &[u64]) -> Asked<u32> {
        self.distribute(mask).ok_or(Errno::Busy)
    }
}

/// `scx_bpf_select_cpu_dfl(task, previous, wake_flags, idle)`: a CPU, and whether it is idle.
pub(in crate::kernel) fn select_cpu_dfl(
    machine: &mut Machine,
    [p, previous, wake, idle, _]: [u64; 5],
) -> Result<Answer, Fault> {
    let found = choose(machine, p, (previous, wake, 0), None)?;
    if found == Err(Errno::NoDevice) {
        return number(found);
    }
    machine.memory.write_u8(idle, u8::from(found.is_ok()))?;
    value(found.map_or(previous & 0xffff_ffff, u64::from))
}

/// `scx_bpf_select_cpu_and(task, previous, wake_flags, mask, flags)`.
pub(in crate::kernel) fn select_cpu_and(
    machine: &mut Machine,
    [p, previous, wake, mask, flags]: [u64; 5],
) -> Result<Answer, Fault> {
    number(choose(machine, p, (previous, wake, flags), Some(mask))?)
}

/// `__scx_bpf_select_cpu_and(task, mask, args)`, which takes the numbers in a structure.
pub(in crate::kernel) fn select_cpu_and_args(
    machine: &mut Machine,
    [p, mask, args, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    let previous = u64::from(machine.memory.read_u32(args)?);
    let wake = machine.memory.read_u64(args.wrapping_add(8))?;
    let flags = machine.memory.read_u64(args.wrapping_add(16))?;
    number(choose(machine, p, (previous, wake, flags), Some(mask))?)
}

fn choose(
    machine: &mut Machine,
    p: u64,
    numbers: (u64, u64, u64),
    mask: Option<u64>,
) -> Result<Asked<u32>, Fault> {
    // A task that no scheduler has can be asked about where there is no scheduler.
    if let Err(nobody) = machine.asks_scheduler() {
        return Ok(Err(nobody));
    }
    let limit = mask.map(|mask| Words::read(machine, mask)).transpose()?;
    if !machine.sched.ops.is_attached() {
        let cpu = machine.named_cpu(numbers.0);
        return Ok(cpu.and(Err(Errno::Busy)));
    }
    let task = super::task(machine, p)?;
    Ok(machine.choose_idle(task, numbers, limit.as_ref().map(Words::get)))
}

/// `scx_bpf_test_and_clear_cpu_idle(cpu)`: whether it was idle.
pub(in crate::kernel) fn test_and_clear(
    machine: &mut Machine,
    [cpu, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    let asked = machine.asks_scheduler().and_then(|()| machine.asks_for_idle());
    let cpu = asked.and_then(|()| machine.named_cpu(cpu));
    let was = |cpu| machine.sched.idle.test_and_clear(&machine.memory, cpu);
    value(u64::from(cpu.is_ok_and(was)))
}

/// `scx_bpf_pick_idle_cpu(mask, flags)`.
pub(in crate::kernel) fn pick_idle_cpu(
    machine: &mut Machine,
    [mask, flags, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    let mask = Words::read(machine, mask)?;
    let asked = machine
        .asks_scheduler()
        .and_then(|()| machine.asks_for_one_set("per-node idle tracking is enabled"))
        .and_then(|()| machine.asks_for_idle());
    number(asked.and_then(|()| machine.pick_idle(mask.get(), 0, flags)))
}

/// `scx_bpf_pick_any_cpu(mask, flags)`: an idle one if there is one.
pub(in crate::kernel) fn pick_any_cpu(
    machine: &mut Machine,
    [mask, flags, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    let mask = Words::read(machine, mask)?;
    let asked = machine
        .asks_scheduler()
        .and_then(|()| machine.asks_for_one_set("per-node idle tracking is enabled"));
    let knows = machine.sched.ops.is_attached() && machine.sched.keeps_idle_masks();
    number(asked.and_then(|()| {
        let idle = if knows { machine.pick_idle(mask.get(), 0, flags) } else { Err(Errno::Busy) };
        idle.or_else(|_| machine.pick_any(mask.get()))
    }))
}

/// `scx_bpf_pick_idle_cpu_node(mask, node, flags)`.
pub(in crate::kernel) fn pick_idle_cpu_node(
    machine: &mut Machine,
    [mask, node, flags, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    let mask = Words::read(machine, mask)?;
    let node = machine.asks_scheduler().and_then(|()| machine.named_node(node));
    number(node.and_then(|node| machine.pick_idle(mask.get(), node as usize, flags)))
}

/// `scx_bpf_pick_any_cpu_node(mask, node, flags)`: an idle one if there is one.
pub(in crate::kernel) fn pick_any_cpu_node(
    machine: &mut Machine,
    [mask, node, flags, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    let mut mask = Words::read(machine, mask)?;
    let node = match machine.asks_scheduler().and_then(|()| machine.named_node(node)) {
        Ok(node) => node,
        Err(errno) => return number(Err(errno)),
    };
    let idle = machine.pick_idle(mask.get(), node as usize, flags);
    number(idle.or_else(|_| {
        if flags & pick_flags::IN_NODE != 0 {
            machine.sched.idle.places.limit_to(node, &mut mask.words[..mask.count]);
        }
        machine.pick_any(mask.get())
    }))
}

/// A mask of a set, or that of no CPU.
fn mask(machine: &Machine, set: Asked<usize>, cores: bool) -> Result<Answer, Fault> {
    let cores = cores && machine.sched.idle.places.smt;
    let found = set.ok().and_then(|set| machine.sched.idle.set(set));
    let address = found.map(|set| if cores { set.cores.address } else { set.cpus.address });
    value(address.unwrap_or(machine.shown.none))
}

fn one_set(machine: &mut Machine) -> Asked<usize> {
    machine.asks_scheduler()?;
    machine.asks_for_one_set("SCX_OPS_BUILTIN_IDLE_PER_NODE enabled")?;
    machine.asks_for_idle()?;
    Ok(0)
}

fn set_of_node(machine: &mut Machine, node: u64) -> Asked<usize> {
    machine.asks_scheduler()?;
    machine.named_node(node).map(|node| node as usize)
}

/// `scx_bpf_get_idle_cpumask()`.
pub(in crate::kernel) fn idle_mask(machine: &mut Machine, _: [u64; 5]) -> Result<Answer, Fault> {
    let set = one_set(machine);
    mask(machine, set, false)
}

/// `scx_bpf_get_idle_smtmask()`: the CPUs of cores that are wholly idle.
pub(in crate::kernel) fn idle_cores(machine: &mut Machine, _: [u64; 5]) -> Result<Answer, Fault> {
    let set = one_set(machine);
    mask(machine, set, true)
}

/// `scx_bpf_get_idle_cpumask_node(node)`.
pub(in crate::kernel) fn idle_mask_of_node(
    machine: &mut Machine,
    [node, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    let set = set_of_node(machine, node);
    mask(machine, set, false)
}

/// `scx_bpf_get_idle_smtmask_node(node)`.
pub(in crate::kernel) fn idle_cores_of_node(
    machine: &mut Machine,
    [node, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    let set = set_of_node(machine, node);
    mask(machine, set, true)
}
