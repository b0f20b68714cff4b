// SPDX-License-Identifier: GPL-2.0-or-later
//! What is in maps, and the types that say how to read it.
#![expect(
    unsafe_code,
    reason = "libbpf-rs does not tell why there is no next key, nor gives types"
)]

use crate::bpf_objects::about;
use libbpf_rs::{MapCore as _, MapFlags, MapHandle};
use libbpf_sys::{bpf_btf_get_fd_by_id, bpf_btf_info, bpf_map_get_next_key};
use rota_object::EngineError;
use std::collections::BTreeSet;
use std::io;
use std::ops::ControlFlow;
use std::os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd};
use std::ptr;

/// The kernel's own number for what is not there, which is not one for user space.
const ENOTSUPP: i32 = 524;
/// Said of maps such as ring buffers and stores of tasks.
const NO_KEYS: &str = "maps of its type have no keys to go through";

/// What a map has for a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BpfValue {
    /// A value.
    One(Vec<u8>),
    /// A value for each possible CPU, in their order.
    PerCpu(Vec<Vec<u8>>),
    /// It can't be read, and why.
    Refused(String),
}

/// A key of a map and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BpfEntry {
    /// The key.
    pub key: Vec<u8>,
    /// What is there.
    pub value: BpfValue,
}

fn failed(id: u32, error: &impl ToString) -> EngineError {
    EngineError::System { what: format!("reading map {id}"), error: error.to_string() }
}

/// Gives each entry of a map, in the kernel's order, until told to stop. Who writes it meanwhile may be
/// seen half; a key that is deleted while it is next makes the kernel begin anew, and what was given is
/// not given again.
///
/// # Errors
/// [`EngineError::System`] if there is no such map, it can't be read (`CAP_SYS_ADMIN`), or it has no keys
/// to go through, as ring buffers.
pub fn bpf_map_entries(
    id: u32,
    mut take: impl FnMut(BpfEntry) -> ControlFlow<()>,
) -> Result<(), EngineError> {
    let map = MapHandle::from_map_id(id).map_err(|error| failed(id, &error))?;
    if map.key_size() == 0 {
        return Err(failed(id, &NO_KEYS));
    }
    let (mut seen, mut repeated) = (BTreeSet::new(), 0);
    let mut last = None;
    while let Some(key) = next_key(&map, last.as_deref()).map_err(|error| failed(id, &error))? {
        if seen.insert(key.clone()) {
            if let Some(value) = value(&map, &key)
                && take(BpfEntry { key: key.clone(), value }).is_break()
            {
                break;
            }
        } else {
            repeated += 1;
            if repeated > map.max_entries() {
                break;
            }
        }
        last = Some(key);
    }
    Ok(())
}

/// The key after one, or the first.
fn next_key(map: &MapHandle, last: Option<&[u8]>) -> io::Result<Option<Vec<u8>>> {
    let mut key = vec![0_u8; map.key_size() as usize];
    let before = last.map_or(ptr::null(), <[u8]>::as_ptr);
    let fd = map.as_fd().as_raw_fd();
    // SAFETY: both keys are as long as keys of this map are.
    match unsafe { bpf_map_get_next_key(fd, before.cast(), key.as_mut_ptr().cast()) } {
        0 => Ok(Some(key)),
        _ => match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::NotFound => Ok(None),
            error if error.raw_os_error() == Some(ENOTSUPP) => Err(io::Error::other(NO_KEYS)),
            error => Err(error),
        },
    }
}

/// What is there for a key; `None` if it has gone meanwhile.
fn value(map: &MapHandle, key: &[u8]) -> Option<BpfValue> {
    let value = match map.map_type().is_percpu() {
        true => map.lookup_percpu(key, MapFlags::ANY).map(|it| it.map(BpfValue::PerCpu)),
        false => map.lookup(key, MapFlags::ANY).map(|it| it.map(BpfValue::One)),
    };
    value.unwrap_or_else(|error| Some(BpfValue::Refused(error.to_string())))
}

/// A blob of types by their number, as `Btf` of rota-object reads it.
///
/// # Errors
/// [`EngineError::System`] if there are none with this number, or without the permission
/// (`CAP_SYS_ADMIN`).
pub fn bpf_type_bytes(id: u32) -> Result<Vec<u8>, EngineError> {
    let system = |error: io::Error| EngineError::System {
        what: format!("reading the types {id} of BPF"),
        error: error.to_string(),
    };
    // SAFETY: a call with a number, which gives a descriptor or an error.
    let fd = unsafe { bpf_btf_get_fd_by_id(id) };
    if fd < 0 {
        return Err(system(io::Error::last_os_error()));
    }
    // SAFETY: it was just opened, and nobody else has it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    let mut info = bpf_btf_info::default();
    // SAFETY: these are types, and nothing is asked for that needs memory.
    unsafe { about(&fd, &mut info) }.ok_or_else(|| system(io::Error::last_os_error()))?;
    let mut bytes = vec![0_u8; info.btf_size as usize];
    let mut info = bpf_btf_info {
        btf: bytes.as_mut_ptr() as u64,
        btf_size: info.btf_size,
        ..bpf_btf_info::default()
    };
    // SAFETY: there is memory for as many bytes.
    unsafe { about(&fd, &mut info) }.ok_or_else(|| system(io::Error::last_os_error()))?;
    Ok(bytes)
}

/// Lets the kernel measure how often and how long programs run, as long as this is open.
///
/// # Errors
/// The kernel's, without the permission (`CAP_SYS_ADMIN`).
pub fn bpf_run_stats() -> io::Result<OwnedFd> {
    // SAFETY: a call with a number, which gives a file descriptor or an error.
    let fd = unsafe { libbpf_sys::bpf_enable_stats(libbpf_sys::BPF_STATS_RUN_TIME) };
    match fd >= 0 {
        // SAFETY: it was just opened, and nobody else has it.
        true => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        false => Err(io::Error::last_os_error()),
    }
}
