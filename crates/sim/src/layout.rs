// SPDX-License-Identifier: GPL-2.0-or-later
//! Where things lie in the kernel's structures: looked up once, in the types of the kernel that an
//! object is linked against.

use rota_bytecode::{Fault, Memory};
use rota_object::{Btf, KernelTypes, Type, TypeId};
use std::collections::BTreeSet;

/// A structure, or a member of one, that the machine needs and the kernel's types do not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{kernel} has no {what} in its types, without which no machine can be made for it; take the \
     types of a kernel with sched_ext"
)]
pub struct LayoutError {
    kernel: String,
    what: String,
}

/// A member: its offset from the start of the outermost structure, and its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) offset: u64,
    pub(crate) size: u64,
}

impl Field {
    /// The member's number in an object.
    pub(crate) fn get(self, memory: &Memory, object: u64) -> Result<u64, Fault> {
        memory.read_number(object.wrapping_add(self.offset), self.size)
    }

    /// Sets the member's number in an object: as many of the lowest bytes as it has.
    pub(crate) fn set(self, memory: &Memory, object: u64, value: u64) -> Result<(), Fault> {
        memory.write_number(object.wrapping_add(self.offset), self.size, value)
    }

    /// Replaces the member's number in an object, in the same way.
    pub(crate) fn update(
        self,
        memory: &Memory,
        object: u64,
        make: impl FnOnce(u64) -> u64,
    ) -> Result<(), Fault> {
        memory.update_number(object.wrapping_add(self.offset), self.size, make)
    }
}

/// Declares the structures in use: name in Rust, name in the kernel, members with their paths; then
/// members that not every kernel has.
macro_rules! structures {
    ($($(#[$doc:meta])* $name:ident = $kernel:literal {
        $($field:ident: $path:literal,)*
        $(? $newer:ident: $newer_path:literal,)*
    })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone)]
            pub(crate) struct $name {
                pub(crate) size: u64,
                $(pub(crate) $field: Field,)*
                $(pub(crate) $newer: Option<Field>,)*
            }

            impl $name {
                fn find(types: &KernelTypes) -> Result<Self, LayoutError> {
                    let found = Structure::find(types, $kernel)?;
                    Ok(Self {
                        size: found.size,
                        $($field: found.member($path)?,)*
                        $($newer: found.member($newer_path).ok(),)*
                    })
                }
            }
        )*

        /// The members that the machine sets, by the structures that they are in.
        const SET: &[(&str, &[&str])] = &[$(($kernel, &[$($path,)* $($newer_path,)*])),*];
    };
}

structures! {
    /// A task.
    Task = "task_struct" {
        pid: "pid",
        tgid: "tgid",
        comm: "comm",
        flags: "flags",
        policy: "policy",
        prio: "prio",
        static_prio: "static_prio",
        normal_prio: "normal_prio",
        on_rq: "on_rq",
        on_cpu: "on_cpu",
        mm: "mm",
        voluntary: "nvcsw",
        involuntary: "nivcsw",
        real_parent: "real_parent",
        group_leader: "group_leader",
        cgroups: "cgroups",
        cpus_ptr: "cpus_ptr",
        cpus_mask: "cpus_mask",
        nr_cpus_allowed: "nr_cpus_allowed",
        start_time: "start_time",
        cpu: "thread_info.cpu",
        sum_exec_runtime: "se.sum_exec_runtime",
        scx_flags: "scx.flags",
        disallow: "scx.disallow",
        selected_cpu: "scx.selected_cpu",
        weight: "scx.weight",
        slice: "scx.slice",
        dsq_vtime: "scx.dsq_vtime",
        ? mempolicy: "mempolicy",
    }
    /// A task's memory policy.
    Mempolicy = "mempolicy" {
        mode: "mode",
        nodes: "nodes",
    }
    /// A CPU's run queue.
    Rq = "rq" {
        cpu: "cpu",
        online: "online",
        curr: "curr",
        nr_running: "nr_running",
        nr_switches: "nr_switches",
        clock: "clock",
        scx_flags: "scx.flags",
        scx_nr_running: "scx.nr_running",
        cpuperf_target: "scx.cpuperf_target",
        idle: "idle",
    }
    /// What a task has of cgroups.
    CssSet = "css_set" {
        dfl_cgrp: "dfl_cgrp",
    }
    /// A cgroup.
    Cgroup = "cgroup" {
        kn: "kn",
        level: "level",
        ancestors: "ancestors",
        css: "self",
        css_cgroup: "self.cgroup",
        css_parent: "self.parent",
        css_id: "self.id",
        css_serial: "self.serial_nr",
    }
    /// What a scheduler is told of a cgroup at first.
    CgroupInitArgs = "scx_cgroup_init_args" {
        weight: "weight",
        ? period_us: "bw_period_us",
        ? quota_us: "bw_quota_us",
        ? burst_us: "bw_burst_us",
        ? idle: "sched_idle",
    }
    /// Why a scheduler ended.
    Exit = "scx_exit_info" {
        kind: "kind",
        code: "exit_code",
        reason: "reason",
        msg: "msg",
        dump: "dump",
    }
    /// What `init_task` is told.
    InitTask = "scx_init_task_args" {
        fork: "fork",
    }
    /// What `exit_task` is told.
    ExitTask = "scx_exit_task_args" {
        cancelled: "cancelled",
    }
    /// What `cpu_release` is told.
    CpuRelease = "scx_cpu_release_args" {
        reason: "reason",
        task: "task",
    }
    /// What callbacks that dump are told.
    DumpContext = "scx_dump_ctx" {
        kind: "kind",
        code: "exit_code",
        reason: "reason",
        at_ns: "at_ns",
        at_jiffies: "at_jiffies",
    }
    /// A cgroup in its file system.
    Node = "kernfs_node" {
        id: "id",
    }
}

/// Where everything lies that the machine itself reads or writes.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub(crate) task: Task,
    /// Where a kernel has policies.
    pub(crate) mempolicy: Option<Mempolicy>,
    pub(crate) rq: Rq,
    pub(crate) css_set: CssSet,
    pub(crate) cgroup: Cgroup,
    pub(crate) node: Node,
    pub(crate) cgroup_init_args: CgroupInitArgs,
    pub(crate) exit: Exit,
    /// The CPU in that structure; after Linux 7.0.
    pub(crate) exit_cpu: Option<Field>,
    pub(crate) init_task: InitTask,
    /// The cgroup in that structure, where cgroups have schedulers.
    pub(crate) init_task_cgroup: Option<Field>,
    pub(crate) exit_task: ExitTask,
    pub(crate) cpu_release: CpuRelease,
    pub(crate) dump: DumpContext,
    /// The counters, by their names.
    pub(crate) counters: Vec<(String, Field)>,
}

impl Layout {
    /// Looks everything up.
    pub(crate) fn find(types: &KernelTypes) -> Result<Self, LayoutError> {
        Ok(Self {
            task: Task::find(types)?,
            mempolicy: Mempolicy::find(types).ok(),
            rq: Rq::find(types)?,
            css_set: CssSet::find(types)?,
            cgroup: Cgroup::find(types)?,
            node: Node::find(types)?,
            cgroup_init_args: CgroupInitArgs::find(types)?,
            exit: Exit::find(types)?,
            exit_cpu: Structure::find(types, "scx_exit_info")?.member("exit_cpu").ok(),
            init_task: InitTask::find(types)?,
            init_task_cgroup: Structure::find(types, "scx_init_task_args")?.member("cgroup").ok(),
            exit_task: ExitTask::find(types)?,
            cpu_release: CpuRelease::find(types)?,
            dump: DumpContext::find(types)?,
            counters: Structure::find(types, "scx_event_stats")?.members(),
        })
    }
}

/// Structure and name of each member that the machine sets: of one in a structure in a structure,
/// the inner one's.
pub(crate) fn members_set(types: &KernelTypes) -> BTreeSet<(String, String)> {
    let mut set = BTreeSet::new();
    for (structure, paths) in SET {
        let Ok(found) = Structure::find(types, structure) else { continue };
        for path in *paths {
            let (outer, name) = path.rsplit_once('.').unwrap_or(("", path));
            let inner = found.type_of(outer).unwrap_or_default();
            set.insert((inner, (*name).to_owned()));
        }
    }
    set
}

/// Whether one of the kernel's structures has a member.
pub(crate) fn has_member(types: &KernelTypes, structure: &str, name: &str) -> bool {
    Structure::find(types, structure).is_ok_and(|found| found.member(name).is_ok())
}

/// A member of the table of a scheduler's callbacks.
pub(crate) fn ops_member(types: &KernelTypes, path: &str) -> Result<Field, LayoutError> {
    Structure::find(types, "sched_ext_ops")?.member(path)
}

/// One of the kernel's structures.
struct Structure<'a> {
    types: &'a KernelTypes,
    name: &'a str,
    id: TypeId,
    size: u64,
}

impl<'a> Structure<'a> {
    fn find(types: &'a KernelTypes, name: &'a str) -> Result<Self, LayoutError> {
        let id = types.structure(name);
        let found = id.and_then(|id| Some((id, types.btf().size_of(id)?)));
        let (id, size) = found.ok_or_else(|| missing(types, format!("struct {name}")))?;
        Ok(Self { types, name, id, size })
    }

    /// All members, by their names.
    fn members(&self) -> Vec<(String, Field)> {
        let btf = self.types.btf();
        let Type::Struct { members, .. } = btf.resolve(self.id).1 else { return Vec::new() };
        let names = members.iter().map(|member| btf.text(member.name).to_owned());
        names.filter_map(|name| Some((name.clone(), self.member(&name).ok()?))).collect()
    }

    /// A member, by its path: names with dots between them.
    fn member(&self, path: &str) -> Result<Field, LayoutError> {
        let btf = self.types.btf();
        let mut at = (0, self.id);
        for name in path.split('.') {
            let found = member(btf, at.1, name, 8);
            let (bits, ty) = found.ok_or_else(|| {
                missing(self.types, format!("member {path} of struct {}", self.name))
            })?;
            at = (at.0 + u64::from(bits), ty);
        }
        // An array without a length has no size.
        Ok(Field { offset: at.0 / 8, size: btf.size_of(at.1).unwrap_or(0) })
    }

    /// The name of the structure that a member is, by its path; of no path, its own.
    fn type_of(&self, path: &str) -> Option<String> {
        let btf = self.types.btf();
        let (mut id, mut found) = (self.id, self.name);
        for step in path.split('.').filter(|step| !step.is_empty()) {
            id = member(btf, id, step, 8)?.1;
            let Type::Struct { name, .. } = btf.resolve(id).1 else { return None };
            // One without a name counts as part of the one around it.
            found = Some(btf.text(*name)).filter(|name| !name.is_empty()).unwrap_or(found);
        }
        Some(found.to_owned())
    }
}

/// Offset in bits and type of a member, which may lie in a member without a name. A bit-field is
/// none.
fn member(btf: &Btf, ty: TypeId, wanted: &str, depth: u32) -> Option<(u32, TypeId)> {
    let Type::Struct { members, .. } = btf.resolve(ty).1 else { return None };
    members.iter().find_map(|m| match btf.text(m.name) {
        "" if depth > 0 => {
            let (bits, ty) = member(btf, m.ty, wanted, depth - 1)?;
            Some((m.offset_bits + bits, ty))
        }
        name => (name == wanted && m.width_bits == 0).then_some((m.offset_bits, m.ty)),
    })
}

fn missing(types: &KernelTypes, what: String) -> LayoutError {
    LayoutError { kernel: types.shown_name(), what }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_supported_kernel_has_all_of_it() {
        for name in KernelTypes::builtin_names() {
            let types = KernelTypes::builtin(name).unwrap();
            let layout = Layout::find(&types).unwrap();
            assert_eq!(layout.task.pid.size, 4);
            assert_eq!(layout.task.comm.size, 16);
            assert!(layout.task.size > layout.task.start_time.offset);
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let types = KernelTypes::builtin("7.3").unwrap();
        let error = Structure::find(&types, "task_struct").unwrap().member("scx.nothing");
        let text = error.unwrap_err().to_string();
        assert!(text.starts_with("Linux 7.3 has no member scx.nothing of struct task_struct"));
    }
}
