// SPDX-License-Identifier: GPL-2.0-or-later
//! What is written down of a scheduler that failed (kernel: `scx_dump_state`). The lines are those
//! of the kernel, but for stacks, which nobody has here.

use super::exit::cut;
use super::queue::{BYPASS, GLOBAL, LOCAL};
use super::task::{Class, Owner, Stage};
use super::{Op, QueueId, TICK_NS, TaskId};
use crate::machine::Machine;
use crate::run::Stop;
use rota_object::ExitInfo;
use std::fmt::Write;

/// The last line of a dump that had not enough room.
const TRUNCATED: &str = "\n\n~~~~ TRUNCATED ~~~~\n";
/// Room for a line of the scheduler's, in bytes (kernel: `SCX_EXIT_MSG_LEN`).
const LINE_LEN: usize = 1024;

/// What a callback that dumps has said so far.
#[derive(Debug, Default)]
pub(crate) struct Dumping {
    text: String,
    prefix: &'static str,
    line: String,
    /// Whether it has said something.
    began: bool,
}

impl Dumping {
    /// Adds to the line that is being made; whole lines go into the dump.
    pub(crate) fn say(&mut self, text: &str) {
        self.line.push_str(text);
        cut(&mut self.line, LINE_LEN);
        if self.line.len() >= LINE_LEN || self.line.ends_with('\n') {
            self.flush();
        }
    }

    fn flush(&mut self) {
        let said = std::mem::take(&mut self.line);
        if said.is_empty() {
            return;
        }
        if !std::mem::replace(&mut self.began, true) {
            self.text.push('\n');
        }
        for line in said.strip_suffix('\n').unwrap_or(&said).split('\n') {
            // Writing to a string can't fail.
            let _ = writeln!(self.text, "{}{line}", self.prefix);
        }
    }
}

impl Machine {
    /// Writes down what there is, and lets the scheduler add to it.
    pub(super) fn dump(&mut self, exit: &ExitInfo) -> Result<String, Stop> {
        let reason = self.text(&exit.reason, exit.reason.len() as u64 + 1)?;
        let layout = &self.layout.dump;
        let members = [
            (layout.kind, exit.kind),
            (layout.code, exit.code.cast_unsigned()),
            (layout.reason, reason),
            (layout.at_ns, self.now_ns),
            (layout.at_jiffies, self.now_ns / TICK_NS),
        ];
        let context = self.scratch(layout.size, &members)?;
        let dumped = self.dump_all(exit, context);
        for place in [reason, context] {
            // They were allocated by us, so they can be given back.
            let _ = self.drop_owner(place);
        }
        let mut text = dumped?;
        let room = self.sched.ops.dump_len as usize;
        if text.len() >= room && room > TRUNCATED.len() {
            cut(&mut text, room - TRUNCATED.len() - 1);
            text.push_str(TRUNCATED);
        }
        Ok(text)
    }

    fn dump_all(&mut self, exit: &ExitInfo, context: u64) -> Result<String, Stop> {
        let mut text = String::new();
        if self.sched.version.dump_names {
            let _ = writeln!(text, "{}: root", self.sched.ops.name);
        }
        let (comm, pid) = self.name_at(self.current());
        let on = exit.cpu.map_or(String::new(), |cpu| format!(" on CPU {cpu}"));
        let _ = writeln!(text, "{comm}[{pid}] triggered exit kind {}{on}:", exit.kind);
        let _ = writeln!(text, "  {} ({})\n\nBacktrace:", exit.reason, exit.msg);
        text += &self.said(Op::Dump, "", &[context])?;
        text.push_str("\nCPU states\n----------\n");
        let first = exit.cpu.into_iter();
        let others = (0..self.shape.cpus).filter(|cpu| Some(*cpu) != exit.cpu);
        for cpu in first.chain(others) {
            text += &self.dump_cpu(context, cpu)?;
        }
        text.push_str("\nEvent counters\n--------------\n");
        for (name, count) in self.counters() {
            let _ = writeln!(text, "{name:>40}: {count:>16}");
        }
        Ok(text)
    }

    /// What a callback has to say.
    fn said(&mut self, op: Op, prefix: &'static str, args: &[u64]) -> Result<String, Stop> {
        self.sched.dumping = Some(Dumping { prefix, ..Dumping::default() });
        let called = self.op(op, args);
        let mut dumping = self.sched.dumping.take().unwrap_or_default();
        called?;
        dumping.flush();
        Ok(dumping.text)
    }

    fn dump_cpu(&mut self, context: u64, cpu: u32) -> Result<String, Stop> {
        let current = self.sched.rq(cpu).current;
        let waiting = self.waiting(cpu);
        let idle = current.is_none() && waiting.is_empty();
        if idle && !self.sched.ops.has(Op::DumpCpu) {
            return Ok(String::new());
        }
        let said = self.said(Op::DumpCpu, "  ", &[context, u64::from(cpu), u64::from(idle)])?;
        if idle && said.is_empty() {
            return Ok(String::new());
        }
        let own = current.filter(|task| self.is_ext(*task));
        let wants = own.is_some_and(|task| self.sched.task(task).queued);
        let count = waiting.len() + usize::from(wants);
        let rq = self.sched.rq(cpu);
        let (online, released) = (u8::from(rq.online), u8::from(rq.released));
        let counts = if self.sched.version.dump_names { "ksync=0" } else { "ops_qseq=0 pnt_seq=0" };
        let class = match current.map(|task| self.sched.task(task).class) {
            None => "idle_sched_class",
            Some(Class::Realtime) => "rt_sched_class",
            Some(Class::Fair) => "fair_sched_class",
            Some(Class::Ext) => "ext_sched_class",
        };
        let at =
            current.map_or(self.tasks.idle[cpu as usize], |task| self.sched.task(task).address);
        let (comm, pid) = self.name_at(at);
        let mut text = format!(
            "\nCPU {cpu:<4}: nr_run={count} flags={online:#x} cpu_rel={released} {counts}\n          \
             curr={comm}[{pid}] class={class}\n"
        );
        text += &said;
        for task in own.into_iter().chain(waiting) {
            text += &self.dump_task(context, task, if Some(task) == own { '*' } else { ' ' })?;
        }
        Ok(text)
    }

    fn dump_task(&mut self, context: u64, task: TaskId, marker: char) -> Result<String, Stop> {
        let (comm, pid) = self.comm_and_pid(task);
        let state = &self.sched.tasks[task.0 as usize];
        let get = |field: crate::layout::Field| field.get(&self.memory, state.address).unwrap_or(0);
        let layout = &self.layout.task;
        let jiffies = (self.now_ns / TICK_NS) - (state.runnable_at_ns / TICK_NS);
        let waited = if jiffies == 0 { "+0".to_owned() } else { format!("-{}", jiffies * 4) };
        let whose = if self.sched.version.dump_names { " *root" } else { "" };
        let stage = match state.stage {
            Stage::None | Stage::Dead => 0,
            Stage::Ready => self.sched.version.stage_ready,
            Stage::Enabled => self.sched.version.stage_ready + 1,
        };
        let flags = get(layout.scx_flags) & !0x700;
        let by_vtime = u8::from(self.is_queued_by_vtime(task));
        let owner = match state.owner {
            Owner::Core => 0,
            Owner::Queueing => 1,
            Owner::Scheduler => 2,
        };
        let round = if state.owner == Owner::Core { 0 } else { state.round };
        let queue = match state.queue {
            None => "(n/a)".to_owned(),
            Some((queue, _)) => format!("{:#x}", number(queue)),
        };
        let (vtime, slice, weight) =
            (get(layout.dsq_vtime), get(layout.slice), get(layout.weight) as u32);
        let cpus = mask(state.allowed.words(), self.shape.cpus);
        let text = format!(
            "\n {marker}R {comm}[{pid}]{whose} {waited}ms\n      scx_state/flags={stage}/{flags:#x} \
             dsq_flags={by_vtime:#x} ops_state/qseq={owner}/{round}\n      \
             sticky/holding_cpu=-1/-1 dsq_id={queue}\n      dsq_vtime={vtime} slice={slice} \
             weight={weight}\n      cpus={cpus} no_mig=0\n"
        );
        let address = state.address;
        Ok(text + &self.said(Op::DumpTask, "    ", &[context, address])?)
    }
}

/// The number that a queue has for the scheduler.
fn number(queue: QueueId) -> u64 {
    match queue {
        QueueId::Local(_) => LOCAL,
        QueueId::Global => GLOBAL,
        QueueId::Bypass(_) => BYPASS,
        QueueId::User(id) => id,
    }
}

/// A mask as the kernel writes it: words of 32 bits in hexadecimal digits, as many as there are
/// CPUs.
fn mask(cpus: &[u64], count: u32) -> String {
    let words = (0..count.div_ceil(32)).rev().map(|word| {
        let both = cpus.get(word as usize / 2).copied().unwrap_or(0);
        let bits = both >> (32 * (word % 2)) & u64::from(u32::MAX);
        let width = (count - 32 * word).min(32).div_ceil(4) as usize;
        format!("{bits:0width$x}")
    });
    words.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::{Dumping, mask};

    #[test]
    fn masks_are_written_as_the_kernel_does() {
        assert_eq!(mask(&[0xf], 4), "f");
        assert_eq!(mask(&[2], 6), "02");
        assert_eq!(mask(&[2 << 32 | 1], 36), "2,00000001");
    }

    #[test]
    fn whole_lines_are_kept() {
        let mut dumping = Dumping { prefix: "> ", ..Dumping::default() };
        dumping.say("one");
        dumping.say(" line\ntwo\n");
        assert_eq!(dumping.text, "\n> one line\n> two\n");
        dumping.say("rest");
        dumping.flush();
        assert_eq!(dumping.text, "\n> one line\n> two\n> rest\n");
    }
}
