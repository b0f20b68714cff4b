// SPDX-License-Identifier: GPL-2.0-or-later
//! How a scheduler ends (kernel: `scx_exit`, `scx_disable`).

use super::ext::flags;
use super::ops::Op;
use super::task::{Class, Stage};
use super::{Due, Phase, TaskId, ops::Ops, queue::Queues};
use crate::machine::Machine;
use crate::objects::What;
use crate::run::{Stop, StopKind};
use rota_object::ExitInfo;

/// Kinds of exit (kernel: `enum scx_exit_kind`).
pub(crate) const UNREG: u64 = 64;
pub(crate) const BPF: u64 = 65;
pub(crate) const UNREG_KERN: u64 = 66;
pub(crate) const SYSRQ: u64 = 67;
pub(crate) const ERROR: u64 = 1024;
pub(crate) const BPF_ERROR: u64 = 1025;
pub(crate) const STALL: u64 = 1026;
pub(crate) const REENQUEUE: u64 = 1027;
/// Exit codes of the kernel's own (kernel: `enum scx_exit_code`).
pub(crate) const RSN_HOTPLUG: i64 = 1 << 32;
pub(crate) const ACT_RESTART: i64 = 1 << 48;

/// Room for a message, in bytes, with its end (kernel: `SCX_EXIT_MSG_LEN`).
const MSG_LEN: usize = 1024;

/// The kernel's words for a kind (kernel: `scx_exit_reason`).
fn reason(kind: u64) -> &'static str {
    match kind {
        UNREG => "unregistered from user space",
        BPF => "unregistered from BPF",
        UNREG_KERN => "unregistered from the main kernel",
        SYSRQ => "disabled by sysrq-S",
        ERROR => "runtime error",
        BPF_ERROR => "scx_bpf_error",
        STALL => "runnable task stall",
        REENQUEUE => "reenqueue limit",
        1028 => "rescue bandwidth overload",
        _ => "<UNKNOWN>",
    }
}

/// As much of a text as there is room for.
pub(super) fn cut(text: &mut String, room: usize) {
    while text.len() > room {
        text.pop();
    }
}

impl Machine {
    /// Ends the scheduler. What happens first is why it ended; it goes when what the CPU is doing
    /// is done.
    pub(crate) fn end(&mut self, kind: u64, code: i64, msg: String) {
        self.end_on(self.cpu, kind, code, msg);
    }

    /// The same, for something that has happened on a CPU.
    pub(super) fn end_on(&mut self, cpu: u32, kind: u64, code: i64, mut msg: String) {
        if self.sched.exit.is_some() || matches!(self.sched.phase, Phase::Off | Phase::Disabling) {
            return;
        }
        cut(&mut msg, MSG_LEN - 1);
        self.record_detach(kind, code, &msg);
        let cpu = self.layout.exit_cpu.map(|_| cpu);
        let (reason, dump) = (reason(kind).to_owned(), String::new());
        self.sched.exit = Some(ExitInfo { kind, code, cpu, reason, msg, dump });
        self.sched.agenda.add(self.now_ns, Due::Disable(self.cpu));
    }

    /// Ends the scheduler, which has broken a rule.
    pub(crate) fn error(&mut self, msg: String) {
        self.end(ERROR, 0, msg);
    }

    /// Why the scheduler ended, once it is off.
    pub(crate) fn ended(&self) -> Option<&ExitInfo> {
        self.sched.exit.as_ref().filter(|_| self.sched.phase == Phase::Off)
    }

    /// Takes the scheduler off, as its owner does.
    pub(crate) fn detach(&mut self) -> Result<(), Stop> {
        self.end(UNREG, 0, String::new());
        if let Some(exit) = self.sched.exit.as_mut().filter(|exit| exit.kind == UNREG) {
            // Nobody has said where.
            exit.cpu = None;
        }
        self.disable()
    }

    /// Somebody pressed SysRq-S.
    pub(crate) fn sysrq(&mut self) {
        self.end(SYSRQ, 0, String::new());
        if let Some(exit) = self.sched.exit.as_mut().filter(|exit| exit.kind == SYSRQ) {
            exit.cpu = None;
        }
    }

    /// Takes a scheduler that has ended off: every task goes to its other class.
    pub(super) fn disable(&mut self) -> Result<(), Stop> {
        if matches!(self.sched.phase, Phase::Off | Phase::Disabling) {
            return Ok(());
        }
        let Some(mut exit) = self.sched.exit.clone() else { return Ok(()) };
        if exit.kind >= ERROR {
            exit.dump = self.dump(&exit)?;
            self.sched.exit = Some(exit.clone());
        }
        self.bypass(true)?;
        self.sched.phase = Phase::Disabling;
        self.exit_cgroups()?;
        for id in 0..self.sched.tasks.len() as u32 {
            let task = TaskId(id);
            if self.sched.task(task).stage == Stage::Dead {
                continue;
            }
            let class = self.sched.task(task).class;
            if class == Class::Ext {
                let more = flags::MOVE | self.sched.version.class_change;
                self.change_class(task, Class::Fair, more)?;
            }
            self.leave_scheduler(task)?;
        }
        self.sched.ops.call_none();
        self.tell_exit(&exit)?;
        self.sched.queues = Queues::new(self.shape.cpus);
        self.bypass(false)?;
        self.sched.ops = Ops::default();
        self.sched.phase = Phase::Off;
        Ok(())
    }

    /// Tells the scheduler why it ended.
    fn tell_exit(&mut self, exit: &ExitInfo) -> Result<(), Stop> {
        if !self.sched.ops.names(Op::Exit) {
            return Ok(());
        }
        let dump_room = self.sched.ops.dump_len.max(1);
        let texts = [
            (exit.reason.as_str(), exit.reason.len() as u64 + 1),
            (exit.msg.as_str(), MSG_LEN as u64),
            (exit.dump.as_str(), dump_room),
        ];
        let mut at = [0; 3];
        for (at, (text, room)) in at.iter_mut().zip(texts) {
            *at = self.text(text, room)?;
        }
        let layout = &self.layout.exit;
        let mut members = vec![
            (layout.kind, exit.kind),
            (layout.code, exit.code.cast_unsigned()),
            (layout.reason, at[0]),
            (layout.msg, at[1]),
            (layout.dump, at[2]),
        ];
        let cpu = exit.cpu.map_or(u64::MAX, u64::from);
        members.extend(self.layout.exit_cpu.map(|field| (field, cpu)));
        let info = self.scratch(self.layout.exit.size, &members)?;
        let told = self.op_at_the_ends(Op::Exit, &[info]);
        for place in at.into_iter().chain([info]) {
            // They were allocated by us, so they can be given back.
            let _ = self.drop_owner(place);
        }
        told.map(drop)
    }

    /// A text in the machine's memory.
    pub(super) fn text(&mut self, text: &str, room: u64) -> Result<u64, Stop> {
        let at = self.new_object(room, What::Scratch);
        let at = at.ok_or_else(|| Stop::new(StopKind::Memory("it is used up".into()), None))?;
        let length = text.len().min(room as usize - 1);
        // It has just been allocated, with room for that.
        let _ = self.memory.write(at, &text.as_bytes()[..length]);
        Ok(at)
    }
}
