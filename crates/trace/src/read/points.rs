// SPDX-License-Identifier: GPL-2.0-or-later
//! Binary records of the kernel's tracepoints, by the kernel's own description of them.

use super::format::{Field, Format, States};
use super::kernel::{Named, Point};
use super::order::Order;
use rota_events::Paged;

/// Bit of a record's flags: it was made in a hardware interrupt, or in one that nothing masks.
const IN_INTERRUPT: i64 = 0x08 | 0x40;

/// What is wanted of the tracepoints of a kernel.
#[derive(Debug, Default)]
pub(super) struct Points {
    layouts: Vec<Layout>,
    /// Which of them each number stands for, and one more; 0 is none.
    places: Paged<usize>,
    /// Fields that all records have.
    common: Option<Common>,
}

#[derive(Debug, Clone, Copy)]
struct Common {
    id: Field,
    flags: Option<Field>,
    pid: Option<Field>,
}

/// Where a task's thread id and name are.
#[derive(Debug, Clone, Copy)]
struct Task {
    pid: Field,
    name: Field,
}

#[derive(Debug)]
enum Layout {
    Switch { from: Task, state: Field, states: States, to: Task },
    Waking(Task),
    Wakeup(Task, Field),
    WakeupNew(Task, Field),
    Migrate(Task, Field, Field),
    Fork(Task, Task),
    Rename(Task),
    Exit(Task),
    Frequency { cpu: Field, khz: Field },
}

/// A record that is wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found<'a> {
    pub(super) point: Point<Named<'a>>,
    /// Who ran, if the record says it.
    pub(super) current: Option<i32>,
    /// It was made in a hardware interrupt.
    pub(super) interrupt: bool,
}

impl Points {
    /// Takes the description of a tracepoint, if it is wanted and has all fields that it should.
    pub(super) fn add(&mut self, format: &Format) {
        let field = |name: &str| format.field(name);
        if let (None, Some(id)) = (self.common, field("common_type")) {
            self.common =
                Some(Common { id, flags: field("common_flags"), pid: field("common_pid") });
        }
        if let Some(layout) = Layout::of(format) {
            self.layouts.push(layout);
            *self.places.entry(format.id.into()) = self.layouts.len();
        }
    }

    /// Whether anything is known.
    pub(super) fn is_empty(&self) -> bool {
        self.layouts.is_empty()
    }

    /// Whether the tracepoint with this number is wanted.
    pub(super) fn wants(&self, id: u64) -> bool {
        self.layout(id).is_some()
    }

    fn layout(&self, id: u64) -> Option<&Layout> {
        let place = self.places.get(u16::try_from(id).ok()?.into())?;
        self.layouts.get(place.checked_sub(1)?)
    }

    /// Whether forks, and ends, are known.
    pub(super) fn has(&self, is: impl Fn(&str) -> bool) -> bool {
        self.layouts.iter().any(|layout| is(layout.name()))
    }

    /// What a record says: nothing if it is not wanted, an error if it is too short.
    pub(super) fn read<'a>(&self, record: &'a [u8], order: Order) -> Result<Option<Found<'a>>, ()> {
        let common = self.common.ok_or(())?;
        let id = common.id.number(record, order).ok_or(())?;
        let Some(layout) = self.layout(id.cast_unsigned()) else {
            return Ok(None);
        };
        let number = |field: Field| field.number(record, order);
        let point = layout.read(record, order).ok_or(())?;
        let interrupt =
            common.flags.and_then(number).is_some_and(|flags| flags & IN_INTERRUPT != 0);
        let current = common.pid.and_then(number).map(|pid| pid as i32);
        Ok(Some(Found { point, current, interrupt }))
    }
}

impl Task {
    fn of(format: &Format, pid: &str, name: &str) -> Option<Self> {
        Some(Self { pid: format.field(pid)?, name: format.field(name)? })
    }

    fn read(self, record: &[u8], order: Order) -> Option<Named<'_>> {
        let pid = self.pid.number(record, order)? as i32;
        Some(Named { pid, name: self.name.text(record, order)? })
    }
}

impl Layout {
    fn of(format: &Format) -> Option<Self> {
        let field = |name: &str| format.field(name);
        let task = |pid: &str, name: &str| Task::of(format, pid, name);
        let one = || task("pid", "comm");
        Some(match format.name.as_str() {
            "sched_switch" => Self::Switch {
                from: task("prev_pid", "prev_comm")?,
                state: field("prev_state")?,
                states: format.states(),
                to: task("next_pid", "next_comm")?,
            },
            "sched_waking" => Self::Waking(one()?),
            "sched_wakeup" => Self::Wakeup(one()?, field("target_cpu")?),
            "sched_wakeup_new" => Self::WakeupNew(one()?, field("target_cpu")?),
            "sched_migrate_task" => Self::Migrate(one()?, field("orig_cpu")?, field("dest_cpu")?),
            "sched_process_fork" => {
                let parent = task("parent_pid", "parent_comm")?;
                Self::Fork(parent, task("child_pid", "child_comm")?)
            }
            "task_rename" => Self::Rename(task("pid", "newcomm")?),
            "sched_process_exit" => Self::Exit(one()?),
            "cpu_frequency" => Self::Frequency { cpu: field("cpu_id")?, khz: field("state")? },
            _ => return None,
        })
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Switch { .. } => "switch",
            Self::Waking(_) => "waking",
            Self::Wakeup(..) | Self::WakeupNew(..) => "wakeup",
            Self::Migrate(..) => "migrate",
            Self::Fork(..) => "fork",
            Self::Rename(_) => "rename",
            Self::Exit(_) => "exit",
            Self::Frequency { .. } => "frequency",
        }
    }

    fn read<'a>(&self, record: &'a [u8], order: Order) -> Option<Point<Named<'a>>> {
        let cpu = |field: Field| Some(field.number(record, order)? as u32);
        Some(match self {
            Self::Switch { from, state, states, to } => Point::Switch {
                from: from.read(record, order)?,
                leaves: states.leaves(state.number(record, order)?.cast_unsigned()),
                to: to.read(record, order)?,
            },
            Self::Waking(task) => Point::Waking { task: task.read(record, order)? },
            Self::Wakeup(task, on) => {
                Point::Wakeup { task: task.read(record, order)?, on: cpu(*on)? }
            }
            Self::WakeupNew(task, on) => {
                Point::WakeupNew { task: task.read(record, order)?, on: cpu(*on)? }
            }
            Self::Migrate(task, from, to) => {
                let task = task.read(record, order)?;
                Point::Migrate { task, from: cpu(*from)?, to: cpu(*to)? }
            }
            Self::Fork(parent, child) => Point::Fork {
                parent: parent.read(record, order)?,
                child: child.read(record, order)?,
            },
            Self::Rename(task) => Point::Rename { task: task.read(record, order)? },
            Self::Exit(task) => Point::Exit { task: task.read(record, order)? },
            Self::Frequency { cpu: of, khz } => {
                let khz = khz.number(record, order)?.cast_unsigned();
                Point::Frequency { cpu: cpu(*of)?, khz }
            }
        })
    }
}
