// SPDX-License-Identifier: GPL-2.0-or-later
//! What an event says beside time, CPU, task and kind: names and values, for every form in which
//! they can be read.

use rota_events::{DsqId, Event, Leaves, Tables, Target, TaskRef, TextRef, What};
use serde_json::{Value, json};

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Field {
    Number(u64),
    Signed(i64),
    Flags(u64),
    Yes(bool),
    Word(&'static str),
    Task(TaskRef),
    Text(TextRef),
    Dsq(DsqId),
    Target(Target),
}

/// The values of an event with their names.
pub(crate) fn fields(event: &Event) -> Vec<(&'static str, Field)> {
    use Field::{Dsq, Flags, Number, Signed, Task, Text, Word, Yes};
    match event.what() {
        What::Switch { from, leaves } => {
            let mut all = vec![("from", Task(from)), ("runnable", Yes(leaves.is_runnable()))];
            let plain = matches!(leaves, Leaves::Runnable | Leaves::Sleeping);
            all.extend((!plain).then_some(("state", Word(leaves.letter()))));
            all
        }
        What::Waking { waker } => vec![("waker", Task(waker))],
        What::Wakeup { on, waker } => {
            vec![("on_cpu", Number(on.0.into())), ("waker", Task(waker))]
        }
        What::SelectCpu { chosen, previous, flags } => vec![
            ("chosen_cpu", Number(chosen.0.into())),
            ("previous_cpu", Number(previous.0.into())),
            ("flags", Flags(flags)),
        ],
        What::Runnable { flags } | What::Enqueue { flags } | What::Dequeue { flags } => {
            vec![("flags", Flags(flags))]
        }
        What::Quiescent { flags, sleeps } => {
            vec![("sleeps", Yes(sleeps)), ("flags", Flags(flags))]
        }
        What::Insert { dsq, depth, vtime, at_head } => {
            let mut all = vec![("dsq", Dsq(dsq)), ("depth", Number(depth.into()))];
            all.extend(vtime.map(|vtime| ("vtime", Number(vtime))));
            all.extend(at_head.then_some(("at_head", Yes(true))));
            all
        }
        What::Remove { dsq, depth } => {
            vec![("dsq", Dsq(dsq)), ("depth", Number(depth.into()))]
        }
        What::MoveToLocal { from } => vec![("from_dsq", Dsq(from))],
        What::Running { slice_ns } | What::Tick { slice_ns } => {
            vec![("slice_ns", Number(slice_ns))]
        }
        What::Stopping { ran_ns, runnable } => {
            vec![("ran_ns", Number(ran_ns)), ("runnable", Yes(runnable))]
        }
        What::Yield { to } => vec![("to", Task(to))],
        What::Kick { target, flags } => {
            vec![("target_cpu", Field::Target(target)), ("flags", Flags(flags))]
        }
        What::Migrate { from, to } => {
            vec![("from_cpu", Number(from.0.into())), ("to_cpu", Number(to.0.into()))]
        }
        What::Fork { parent, partners } => fork(parent, partners),
        What::Weight { nice, weight } => {
            vec![("nice", Signed(nice.into())), ("weight", Number(weight.into()))]
        }
        What::Affinity { cpus, first } => {
            vec![("cpus", Number(cpus.into())), ("first_cpus", Flags(first))]
        }
        What::Group { group, id } => vec![("group", Text(group)), ("id", Number(id))],
        What::Hotplug { online } => vec![("online", Yes(online))],
        What::Attach { scheduler } => vec![("scheduler", Text(scheduler))],
        What::Detach { message, kind, code } => vec![
            ("exit_kind", Number(kind)),
            ("exit_code", Signed(code)),
            ("message", Text(message)),
        ],
        What::Counter { name, value } => vec![("name", Text(name)), ("value", Number(value))],
        What::Hidden => vec![],
        What::Lost { events } => vec![("events", Number(events))],
        What::Clock { clock, now_ns } => vec![("clock", Text(clock)), ("now_ns", Number(now_ns))],
        What::Send { channel, bytes } | What::Receive { channel, bytes } => {
            vec![("channel", Number(channel)), ("bytes", Number(bytes.into()))]
        }
        What::Dispatch | What::Idle | What::Busy | What::Exit => Vec::new(),
    }
}

/// Partners only if they are known.
fn fork(parent: TaskRef, partners: u32) -> Vec<(&'static str, Field)> {
    let partners = (partners > 0).then_some(("partners", Field::Number(partners.into())));
    [("parent", Field::Task(parent))].into_iter().chain(partners).collect()
}

impl Field {
    /// As people read it.
    pub(crate) fn text(&self, tables: &Tables) -> String {
        match *self {
            Self::Number(value) => value.to_string(),
            Self::Signed(value) => value.to_string(),
            Self::Flags(flags) => format!("{flags:#x}"),
            Self::Word(word) => word.to_owned(),
            Self::Yes(yes) => (if yes { "yes" } else { "no" }).to_owned(),
            Self::Task(task) => tables.task_name(task),
            Self::Text(text) => format!("{:?}", tables.text_of(text)),
            // One word.
            Self::Dsq(dsq) => dsq.to_string().replace(' ', ":"),
            Self::Target(target) => target.to_string().replace(' ', ":"),
        }
    }

    /// As programs read it. Flags and queues are texts: not every program has numbers so large.
    pub(crate) fn json(&self, tables: &Tables) -> Value {
        match *self {
            Self::Number(value) => value.into(),
            Self::Signed(value) => value.into(),
            Self::Word(word) => word.into(),
            Self::Yes(yes) => yes.into(),
            Self::Task(task) => task_json(task, tables),
            Self::Text(text) => tables.text_of(text).into(),
            Self::Target(Target::Cpu(cpu)) => cpu.0.into(),
            Self::Target(Target::Cid(cid)) => json!({ "cid": cid.0 }),
            Self::Flags(_) | Self::Dsq(_) => self.text(tables).into(),
        }
    }
}

/// A task as programs read it.
pub(crate) fn task_json(task: TaskRef, tables: &Tables) -> Value {
    match tables.task_of(task) {
        Some(info) => json!({ "comm": tables.text_of(info.name), "pid": info.pid }),
        None => Value::Null,
    }
}
