// SPDX-License-Identifier: GPL-2.0-or-later
//! The tables of callbacks of sched_ext: what is called, what that uses, and who holds it.

use super::Objects;
use super::typed::Typed;
use rota_kernel::{BpfMap, BpfProgram};
use rota_object::{Btf, Type};
use std::collections::BTreeSet;

/// The kernel's type of a map that holds such a table.
const TABLE: &str = "bpf_struct_ops_sched_ext_ops";
/// What comes before the names of tables of callbacks in the kernel's types.
const PREFIX: &str = "bpf_struct_ops_";

/// A table of callbacks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scheduler {
    /// The number of the map that it is in.
    pub map_id: u32,
    /// Its name, as sched_ext tells it.
    pub name: String,
    /// Whether it is the one that sched_ext runs.
    pub enabled: bool,
    /// The links that keep it attached.
    pub links: Vec<u32>,
    /// Callbacks and the numbers of their programs, in the kernel's order.
    pub callbacks: Vec<(String, u32)>,
}

/// Names of the kinds of tables of callbacks by the numbers of their types in the kernel.
pub fn table_name(kernel: &Btf, map: &BpfMap) -> Option<String> {
    let known = kernel.iter().nth(map.kernel_value_type as usize);
    match known {
        Some((_, Type::Struct { name, .. })) => {
            Some(kernel.text(*name).strip_prefix(PREFIX)?.to_owned())
        }
        _ => None,
    }
}

impl Objects {
    /// All schedulers of sched_ext that are loaded, by the numbers of their maps. `value` gives what a
    /// map has at its first key: of tables of callbacks, the kernel gives numbers of programs in place
    /// of functions. `enabled` is what sched_ext runs.
    pub fn schedulers(
        &self,
        kernel: &Btf,
        enabled: Option<&str>,
        value: impl Fn(u32) -> Option<Vec<u8>>,
    ) -> Vec<Scheduler> {
        let Some((table, _)) = kernel.find_struct(TABLE) else { return Vec::new() };
        let maps = self.maps.iter().filter(|map| map.kernel_value_type == table.0);
        let scheduler = |map: &BpfMap| {
            let links = self.links.iter().filter(|link| link.map_id == Some(map.id));
            let read = read(kernel, &value(map.id)?)?;
            Some(Scheduler {
                map_id: map.id,
                links: links.map(|link| link.id).collect(),
                enabled: enabled == Some(&read.name),
                ..read
            })
        };
        maps.filter_map(scheduler).collect()
    }

    /// The programs of a scheduler: its callbacks, and what else uses one of their maps, as timers and
    /// calls from user space do.
    pub fn programs_of(&self, scheduler: &Scheduler) -> Vec<&BpfProgram> {
        let is_callback =
            |program: &BpfProgram| scheduler.callbacks.iter().any(|(_, id)| *id == program.id);
        let callbacks = self.programs.iter().filter(|program| is_callback(program));
        let maps: BTreeSet<u32> = callbacks.flat_map(|it| it.map_ids.iter().copied()).collect();
        let shares = |program: &BpfProgram| program.map_ids.iter().any(|id| maps.contains(id));
        self.programs.iter().filter(|program| is_callback(program) || shares(program)).collect()
    }

    /// The maps that programs of a scheduler use, by their numbers.
    pub fn maps_of(&self, scheduler: &Scheduler) -> Vec<&BpfMap> {
        let programs = self.programs_of(scheduler);
        let ids: BTreeSet<u32> =
            programs.into_iter().flat_map(|program| program.map_ids.iter().copied()).collect();
        self.maps.iter().filter(|map| ids.contains(&map.id)).collect()
    }
}

/// What a table says: `data` of a `bpf_struct_ops_sched_ext_ops`.
fn read(kernel: &Btf, bytes: &[u8]) -> Option<Scheduler> {
    let (id, members) = kernel.find_struct(TABLE)?;
    let Typed::Fields(fields) = Typed::read(kernel, id, bytes) else { return None };
    let data = field_list(&fields, "data")?;
    let name = match field(data, "name") {
        Some(Typed::Text(name)) => name.clone(),
        _ => String::new(),
    };
    let ops = members.iter().find(|member| kernel.text(member.name) == "data")?;
    let Type::Struct { members, .. } = kernel.resolve(ops.ty).1 else { return None };
    let is_function = |name: &str| {
        let member = members.iter().find(|member| kernel.text(member.name) == name);
        let Some(Type::Ptr(target)) = member.map(|member| kernel.resolve(member.ty).1) else {
            return false;
        };
        matches!(kernel.resolve(*target).1, Type::FuncProto { .. })
    };
    let callbacks = data.iter().filter_map(|(name, value)| match value {
        Typed::Pointer(program) if *program != 0 && is_function(name) => {
            Some((name.clone(), u32::try_from(*program).ok()?))
        }
        _ => None,
    });
    Some(Scheduler { name, callbacks: callbacks.collect(), ..Scheduler::default() })
}

fn field<'a>(fields: &'a [(String, Typed)], name: &str) -> Option<&'a Typed> {
    fields.iter().find(|(field, _)| field == name).map(|(_, value)| value)
}

fn field_list<'a>(fields: &'a [(String, Typed)], name: &str) -> Option<&'a [(String, Typed)]> {
    match field(fields, name)? {
        Typed::Fields(fields) => Some(fields),
        _ => None,
    }
}
