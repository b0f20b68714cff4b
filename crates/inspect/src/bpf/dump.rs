// SPDX-License-Identifier: GPL-2.0-or-later
//! Entries of a map, as text and as JSON.

use super::typed::Typed;
use rota_kernel::{BpfEntry, BpfMap, BpfValue};
use rota_object::{Btf, Type, TypeId};
use serde_json::{Value, json};

/// How long lines are where values can be cut.
const WIDTH: usize = 100;

/// How the bytes of a map are to be read.
#[derive(Debug, Clone, PartialEq)]
pub struct Layout {
    /// The types, with that of a key, if there is any, and of a value.
    types: Option<(Btf, Option<TypeId>, TypeId)>,
    /// Whether keys, and values, are numbers without having a type.
    numbers: (bool, bool),
}

impl Layout {
    /// The layout of a map. `types` are the map's own, or the kernel's for a table of callbacks; without
    /// them, or if they have no such types, there are only bytes.
    pub fn of(map: &BpfMap, types: Option<Btf>) -> Self {
        let (key, value) = match map.kernel_value_type {
            0 => (map.key_type, map.value_type),
            // The key is the only one there is.
            kernel => (0, kernel),
        };
        let types = types.and_then(|btf| {
            let last = btf.iter().last().map_or(0, |(id, _)| id.0);
            let fits = value != 0 && value <= last && key <= last;
            fits.then(|| (btf, (key != 0).then_some(TypeId(key)), TypeId(value)))
        });
        // Of maps of maps and of programs, the kernel tells which these are.
        let holds = map.kind.ends_with("_of_maps") || map.kind == "prog_array";
        let numbers = (map.kind.contains("array"), holds && map.value_bytes == 4);
        Self { types, numbers }
    }

    /// Variables of a section, if that is what the values are.
    fn section(&self) -> Option<&str> {
        let (btf, _, value) = self.types.as_ref()?;
        match btf.resolve(*value).1 {
            Type::DataSec { name, .. } => Some(btf.text(*name)),
            _ => None,
        }
    }

    fn key(&self, bytes: &[u8]) -> Typed {
        match &self.types {
            Some((btf, Some(key), _)) => Typed::read(btf, *key, bytes),
            _ => plain(bytes, self.numbers.0),
        }
    }

    fn value(&self, bytes: &[u8]) -> Typed {
        match &self.types {
            Some((btf, _, value)) => Typed::read(btf, *value, bytes),
            None => plain(bytes, self.numbers.1),
        }
    }

    /// An entry in lines: `[key] = value`, one for each CPU where there are several, and of a section
    /// a line for each variable.
    pub fn text(&self, entry: &BpfEntry) -> String {
        let key = self.key(&entry.key).to_line();
        let line = |head: &str, value: &Typed| {
            let value = value.to_text(WIDTH, head.chars().count() + 3, 0);
            format!("{head} = {value}\n")
        };
        match &entry.value {
            BpfValue::Refused(why) => format!("[{key}]: {why}\n"),
            BpfValue::PerCpu(values) => {
                let values = values.iter().enumerate();
                let each = |(cpu, value): (usize, &Vec<u8>)| {
                    line(&format!("[{key}] on CPU {cpu}"), &self.value(value))
                };
                values.map(each).collect()
            }
            BpfValue::One(value) => match (self.section(), self.value(value)) {
                (Some(_), Typed::Fields(variables)) => {
                    variables.iter().map(|(name, value)| line(name, value)).collect()
                }
                (_, value) => line(&format!("[{key}]"), &value),
            },
        }
    }

    /// An entry as `bpftool -j map dump` prints it: `key` and `value`, or `values` by CPU, as bytes, and
    /// under `formatted` by their types if they are known.
    pub fn json(&self, entry: &BpfEntry) -> Value {
        let bytes = |bytes: &[u8]| Typed::Bytes(bytes.to_vec()).to_json();
        let typed = |bytes: &[u8]| match (self.section(), self.value(bytes)) {
            (Some(name), Typed::Fields(variables)) => {
                let each = variables.iter().map(|(name, value)| json!({ name: value.to_json() }));
                json!({ name: each.collect::<Vec<_>>() })
            }
            (_, value) => value.to_json(),
        };
        let mut object = json!({ "key": bytes(&entry.key) });
        let mut formatted = json!({});
        if let Some((btf, Some(key), _)) = &self.types {
            formatted["key"] = Typed::read(btf, *key, &entry.key).to_json();
        }
        match &entry.value {
            BpfValue::One(value) => {
                object["value"] = bytes(value);
                formatted["value"] = typed(value);
            }
            BpfValue::PerCpu(values) => {
                object["values"] = by_cpu(values, bytes);
                formatted["values"] = by_cpu(values, typed);
            }
            BpfValue::Refused(why) => {
                object["value"] = json!({ "error": why });
                return object;
            }
        }
        if self.types.is_some() {
            object["formatted"] = formatted;
        }
        object
    }
}

/// Bytes without a type.
fn plain(bytes: &[u8], is_number: bool) -> Typed {
    match <[u8; 4]>::try_from(bytes) {
        Ok(bytes) if is_number => Typed::Integer(u32::from_le_bytes(bytes).into()),
        _ => Typed::Bytes(bytes.to_vec()),
    }
}

fn by_cpu(values: &[Vec<u8>], show: impl Fn(&[u8]) -> Value) -> Value {
    let each = values.iter().enumerate();
    each.map(|(cpu, value)| json!({ "cpu": cpu, "value": show(value) })).collect()
}
