// SPDX-License-Identifier: GPL-2.0-or-later
//! JSON in the field names of bpftool. As there, what a kernel does not tell or an object does not have is
//! left out.

use super::{Listing, Objects};
use rota_kernel::{BpfKind, BpfLink, BpfMap, BpfProgram, BpfTypes};
use serde_json::{Map, Value, json};

/// An object without what is null, 0, or empty among what may be left out.
fn object(fields: Value, optional: Value) -> Value {
    let mut all = match fields {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    if let Value::Object(optional) = optional {
        let is_there = |value: &Value| match value {
            Value::Null => false,
            Value::Number(number) => number.as_u64() != Some(0),
            Value::String(text) => !text.is_empty(),
            Value::Array(values) => !values.is_empty(),
            _ => true,
        };
        all.extend(optional.into_iter().filter(|(_, value)| is_there(value)));
    }
    Value::Object(all)
}

impl Objects {
    /// An array of objects, as `bpftool -j prog list` and its like print it.
    pub fn to_json(&self, listing: Listing) -> Value {
        match listing {
            Listing::Programs => self.programs.iter().map(|it| self.program(it)).collect(),
            Listing::Maps => self.maps.iter().map(|it| self.map(it)).collect(),
            Listing::Links => self.links.iter().map(|it| self.link(it)).collect(),
            Listing::Tables => self.tables().map(|it| self.table(it)).collect(),
            Listing::Types => self.types.iter().map(|it| self.types(it)).collect(),
        }
    }

    /// Files that keep it, as `bpftool -f` names them.
    fn pinned(&self, kind: BpfKind, id: u32) -> Vec<Value> {
        let files = self.pins.get(&(kind, id)).into_iter().flatten();
        files.map(|file| json!(file.to_string_lossy())).collect()
    }

    fn pids(&self, kind: BpfKind, id: u32) -> Vec<Value> {
        let holders = self.holders.get(&(kind, id)).into_iter().flatten();
        holders.map(|(pid, comm)| json!({ "pid": pid, "comm": comm })).collect()
    }

    pub(super) fn program(&self, it: &BpfProgram) -> Value {
        object(
            json!({
                "id": it.id, "type": it.kind, "tag": it.tag_text(), "gpl_compatible": it.gpl,
                "loaded_at": self.boot_ns.saturating_add(it.loaded_ns) / 1_000_000_000, "uid": it.uid,
                "bytes_xlated": it.xlated_bytes, "jited": it.jited_bytes > 0,
                "bytes_memlock": it.memory_bytes,
            }),
            json!({
                "name": it.name, "bytes_jited": it.jited_bytes, "map_ids": it.map_ids,
                "btf_id": it.btf_id, "recursion_misses": it.recursion_misses,
                "run_time_ns": it.run_time_ns, "run_cnt": it.runs,
                "pids": self.pids(BpfKind::Program, it.id),
                "pinned": self.pinned(BpfKind::Program, it.id),
            }),
        )
    }

    pub(super) fn map(&self, it: &BpfMap) -> Value {
        object(
            json!({
                "id": it.id, "type": it.kind, "flags": it.flags, "bytes_key": it.key_bytes,
                "bytes_value": it.value_bytes, "max_entries": it.max_entries,
                "bytes_memlock": it.memory_bytes, "frozen": u8::from(it.frozen),
            }),
            json!({
                "name": it.name, "btf_id": it.btf_id, "pids": self.pids(BpfKind::Map, it.id),
                "pinned": self.pinned(BpfKind::Map, it.id),
            }),
        )
    }

    fn table(&self, it: &BpfMap) -> Value {
        object(
            json!({ "id": it.id, "name": it.name }),
            json!({
                "kernel_struct_ops": self.table_names.get(&it.kernel_value_type),
                "pids": self.pids(BpfKind::Map, it.id),
            }),
        )
    }

    fn link(&self, it: &BpfLink) -> Value {
        let program = self.programs.iter().find(|program| program.id == it.program_id);
        let target = it.target.as_ref();
        object(
            json!({ "id": it.id, "type": it.kind, "prog_id": it.program_id }),
            json!({
                "tp_name": it.tracepoint, "map_id": it.map_id,
                "prog_type": target.and(program).map(|program| &program.kind),
                "attach_type": target.map(|it| &it.0), "target_obj_id": target.map(|it| it.1),
                "target_btf_id": target.map(|it| it.2), "pids": self.pids(BpfKind::Link, it.id),
                "pinned": self.pinned(BpfKind::Link, it.id),
            }),
        )
    }

    fn types(&self, it: &BpfTypes) -> Value {
        let programs = self.programs.iter().filter(|program| program.btf_id == it.id);
        let maps = self.maps.iter().filter(|map| map.btf_id == it.id);
        object(
            json!({
                "id": it.id, "size": it.bytes, "kernel": it.kernel,
                "prog_ids": programs.map(|program| program.id).collect::<Vec<_>>(),
                "map_ids": maps.map(|map| map.id).collect::<Vec<_>>(),
            }),
            json!({ "name": it.name, "pids": self.pids(BpfKind::Types, it.id) }),
        )
    }
}
