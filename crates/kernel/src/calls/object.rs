// SPDX-License-Identifier: GPL-2.0-or-later
//! Loads the objects that trace.

use super::{CallOptions, missing, system};
use crate::host::Host;
use crate::plan::write;
use crate::{log, refusal};
use libbpf_rs::{MapCore as _, Object, ObjectBuilder, OpenObject, Program};
use rota_object::EngineError;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};

/// Loads an object by itself.
pub(super) fn load(bytes: &[u8], options: &CallOptions) -> Result<Object, EngineError> {
    let (loaded, printed) = log::capture(|| {
        let open = open(bytes, options, 0, false)?;
        open.load().map_err(Failed::Libbpf)
    });
    loaded.map_err(|failed| failed.explained(&printed))
}

/// Why an object is not there.
pub(super) enum Failed {
    /// As libbpf says.
    Libbpf(libbpf_rs::Error),
    /// Something else.
    Other(EngineError),
}

impl Failed {
    /// With what libbpf printed.
    pub(super) fn explained(self, printed: &str) -> EngineError {
        match self {
            Self::Libbpf(error) => {
                EngineError::Refused(refusal::of_load(&Host::default(), &error, printed))
            }
            Self::Other(error) => error,
        }
    }
}

/// Opens an object. That for BPF programs has a target.
fn open(
    bytes: &[u8],
    options: &CallOptions,
    cookie: u64,
    has_target: bool,
) -> Result<OpenObject, Failed> {
    let mut open = ObjectBuilder::default().open_memory(bytes).map_err(Failed::Libbpf)?;
    let own = if options.own { 0 } else { std::process::id() };
    let by_pid = u32::from(!options.pids.is_empty());
    let mut choice = cookie.to_ne_bytes().to_vec();
    for word in [own, by_pid, u32::from(options.stacks), 0] {
        choice.extend(word.to_ne_bytes());
    }
    write(&mut open, |name| name.ends_with(".rodata"), 0, &choice)
        .ok_or_else(|| Failed::Other(missing("what to trace")))?;
    for mut map in open.maps_mut().filter(|map| map.name() == "calls") {
        let sized = map.set_max_entries(options.ring_bytes);
        sized.map_err(|e| Failed::Other(system("making a ring", &e)))?;
    }
    // Programs without a target can't be loaded, nor can many kernels attach to many functions.
    for mut program in open.progs_mut() {
        let section = program.section().to_string_lossy().into_owned();
        let leave_out = match section.as_str() {
            "fentry" | "fexit" => !has_target,
            "kprobe.multi" | "kretprobe.multi" => options.one_by_one,
            "syscall" => has_target,
            _ => false,
        };
        program.set_autoload(!leave_out);
    }
    Ok(open)
}

/// A BPF program that is to be traced: its number and name.
pub(super) type Traced<'a> = (u32, &'a str);

/// Loads the object for a BPF program, which uses the maps of the first.
pub(super) fn load_for(
    bytes: &[u8],
    options: &CallOptions,
    cookie: u64,
    (id, name): Traced<'_>,
    first: &Object,
) -> Result<Object, Failed> {
    let mut open = open(bytes, options, cookie, true)?;
    // libbpf keeps the number of the descriptor only.
    let _program = aim(&mut open, id, name, first).map_err(Failed::Other)?;
    let what = format!("tracing the program {name}");
    open.load().map_err(|error| Failed::Other(system(&what, &error)))
}

/// Points the two programs at another, which is returned, and takes the maps of the first object.
fn aim(open: &mut OpenObject, id: u32, name: &str, first: &Object) -> Result<OwnedFd, EngineError> {
    let fd = Program::fd_from_id(id).map_err(|e| system("looking for the program", &e))?;
    for mut program in open.progs_mut().filter(|program| program.autoload()) {
        let aimed = program.set_attach_target(fd.as_raw_fd(), Some(name.to_owned()));
        aimed.map_err(|e| system("looking for the program", &e))?;
    }
    for shared in first.maps() {
        let name = shared.name().to_owned();
        for mut map in open.maps_mut().filter(|map| map.name() == name) {
            if !name.to_string_lossy().contains('.') {
                map.reuse_fd(shared.as_fd()).map_err(|e| system("sharing a map", &e))?;
            }
        }
    }
    Ok(fd)
}
