// SPDX-License-Identifier: GPL-2.0-or-later
//! Maps that are filled before the scheduler starts, as its user half would: `--map NAME=FILE`.
//!
//! A file in JSON, as which it counts if its name ends with `.json` or it is a list in JSON, is a list of entries, `[{"key": 1, "value": 20}, …]`. Each key and value is
//!
//! * a number, of as many bytes as the map's,
//! * a text: `hex:` and bytes, or else the text's own bytes with zeros behind,
//! * a list of numbers, each of them a byte.
//!
//! Any other file holds the bytes themselves: of an array, values one after the other, from the
//! first index on; of other maps, keys each with its value. A value of a map in which every CPU
//! has its own goes to all of them.

use super::value;
use crate::file;
use anyhow::{Context, Result, anyhow, bail};
use rota_object::{EngineError, MapDef, Setup};
use rota_sim::Simulation;
use serde_json::Value;
use std::path::Path;

/// The largest file that is read.
const BYTES_MAX: u64 = 256 << 20;
/// Arrays, by their numbers among the kinds of maps (kernel: `enum bpf_map_type`).
const ARRAYS: [u32; 2] = [2, 6];

/// Sets numbers of entries, and fills maps of maps with empty ones.
pub(super) fn resize(
    world: &mut Simulation,
    entries: &[(String, u32)],
    inner: &[(String, u32)],
) -> Result<()> {
    for (name, number) in entries {
        world.resize_map(name, *number).with_context(|| format!("--map-entries {name}"))?;
    }
    for (name, number) in inner {
        world.fill_with_maps(name, *number).map_err(|error| match error {
            EngineError::Size { expected, .. } => {
                anyhow!("--map-inner {name}: it has {expected} slots, not {number}")
            }
            other => anyhow!("--map-inner {name}: {other}"),
        })?;
    }
    Ok(())
}

/// Fills maps.
pub(super) fn fill(world: &mut Simulation, maps: &[(String, String)]) -> Result<()> {
    for (name, path) in maps {
        let known = world.image().maps.iter().filter(|map| !map.data);
        let Some(map) = known.clone().find(|map| map.name == *name).cloned() else {
            let names: Vec<_> = known.map(|map| map.name.as_str()).collect();
            let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            bail!("--map {name}: the object has no such map; there are: {names}");
        };
        let bytes = file::read(Path::new(path), BYTES_MAX)?;
        let is_json = path.ends_with(".json");
        let entries =
            entries(&map, &bytes, is_json).map_err(|problem| anyhow!("{path}: {problem}"))?;
        for (key, value) in entries {
            world.preload(name, &key, &value).with_context(|| path.clone())?;
        }
    }
    Ok(())
}

type Entry = (Vec<u8>, Vec<u8>);

fn entries(map: &MapDef, bytes: &[u8], is_json: bool) -> Result<Vec<Entry>, String> {
    match serde_json::from_slice::<Vec<Value>>(bytes) {
        Ok(list) => return from_json(map, &list),
        Err(error) if is_json => return Err(format!("it is no list in JSON: {error}")),
        Err(_) => {}
    }
    let (key, value) = (map.key_size as usize, map.value_size as usize);
    let is_array = ARRAYS.contains(&map.kind);
    let size = if is_array { value } else { key + value };
    if size == 0 || !bytes.len().is_multiple_of(size) {
        let (n, what) = (bytes.len(), if is_array { "values" } else { "keys and values" });
        return Err(format!(
            "{n} bytes are neither JSON nor {what} of {size} bytes each, which map {} has",
            map.name
        ));
    }
    let entry = |(i, entry): (usize, &[u8])| match is_array {
        true => ((i as u32).to_le_bytes().to_vec(), entry.to_vec()),
        false => (entry[..key].to_vec(), entry[key..].to_vec()),
    };
    Ok(bytes.chunks(size).enumerate().map(entry).collect())
}

fn from_json(map: &MapDef, list: &[Value]) -> Result<Vec<Entry>, String> {
    let entry = |(i, entry): (usize, &Value)| {
        let part = |name: &str, size: u32| match entry.get(name) {
            Some(part) => of_json(part, size as usize)
                .map_err(|problem| format!("entry {i}: {name}: {problem}")),
            None => {
                Err(format!("entry {i} has no {name}; an entry is {{\"key\": …, \"value\": …}}"))
            }
        };
        Ok((part("key", map.key_size)?, part("value", map.value_size)?))
    };
    list.iter().enumerate().map(entry).collect()
}

/// A key or a value.
fn of_json(part: &Value, size: usize) -> Result<Vec<u8>, String> {
    let mut bytes = match part {
        Value::Number(number) => value::number(&number.to_string(), size)?,
        Value::String(text) => match text.strip_prefix("hex:") {
            Some(digits) => value::from_hex(digits)?,
            None => text.as_bytes().to_vec(),
        },
        Value::Array(list) => {
            let byte = |v: &Value| v.as_u64().and_then(|byte| u8::try_from(byte).ok());
            let bytes = list.iter().map(byte).collect::<Option<Vec<_>>>();
            bytes.ok_or("a list is one of bytes, numbers from 0 to 255")?
        }
        _ => return Err("it is a number, a text, or a list of bytes".to_owned()),
    };
    if bytes.len() > size {
        return Err(format!("{} bytes are more than the map's {size}", bytes.len()));
    }
    bytes.resize(size, 0);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(kind: u32) -> MapDef {
        let name = "m".to_owned();
        MapDef { name, kind, key_size: 4, value_size: 2, max_entries: 9, ..MapDef::default() }
    }

    #[test]
    fn json_and_bytes() {
        let json = br#" [{"key": 1, "value": "hex:0102"}, {"key": [2], "value": "a"}]"#;
        let expected = [(vec![1, 0, 0, 0], vec![1, 2]), (vec![2, 0, 0, 0], vec![97, 0])];
        assert_eq!(entries(&map(1), json, false).unwrap(), expected);
        let expected = [(vec![0; 4], vec![5, 6]), (vec![1, 0, 0, 0], vec![7, 8])];
        assert_eq!(entries(&map(2), &[5, 6, 7, 8], false).unwrap(), expected);
        let expected = [(vec![1, 2, 3, 4], vec![5, 6])];
        assert_eq!(entries(&map(1), &[1, 2, 3, 4, 5, 6], false).unwrap(), expected);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let problem = |text: &[u8]| entries(&map(1), text, false).unwrap_err();
        assert_eq!(
            problem(b"12345"),
            "5 bytes are neither JSON nor keys and values of 6 bytes each, which map m has"
        );
        let typo = entries(&map(1), br#"[{"key": 1, "value" 2}]  "#, true).unwrap_err();
        assert_eq!(typo, "it is no list in JSON: expected `:` at line 1 column 21");
        assert!(problem(br#"[{"key": 1}]"#).contains("entry 0 has no value"));
        assert_eq!(
            problem(br#"[{"key": 1, "value": 70000}]"#),
            "entry 0: value: 70000 does not fit into 2 bytes"
        );
        assert!(
            problem(br#"[{"key": "hex:0000000000", "value": 1}]"#).contains("5 bytes are more")
        );
        assert!(problem(br#"[{"key": [256], "value": 1}]"#).contains("0 to 255"));
        assert!(problem(br#"[{"key": null, "value": 1}]"#).contains("it is a number"));
    }
}
