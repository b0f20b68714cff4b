// SPDX-License-Identifier: GPL-2.0-or-later
//! What it takes to be traced: a call of a BPF program that does nothing.

use super::{
    AboutCall, CallObjects, CallOptions, CallTarget, Calls, Returns, missing, object, system,
};
use libbpf_rs::{Program, ProgramInput};
use rota_object::EngineError;
use std::os::fd::AsFd as _;

/// How often it is called.
const CALLS: usize = 1001;

impl Calls {
    /// How long a call of a BPF program that does nothing takes when it is traced, in ns: the median of
    /// 1,001 calls. The time of another call is as much too long.
    ///
    /// # Errors
    /// As [`Calls::start`].
    pub fn of_nothing(objects: CallObjects<'_>) -> Result<u64, EngineError> {
        let options = CallOptions { own: true, ring_bytes: 1 << 20, ..CallOptions::default() };
        let alone = object::load(objects.program, &options)?;
        let nothing = alone.progs_mut().find(|program| program.name() == "nothing");
        let nothing = nothing.ok_or_else(|| missing("a program"))?;
        let id = Program::id_from_fd(nothing.as_fd()).map_err(|e| system("looking at it", &e))?;
        let target = CallTarget {
            name: "nothing".to_owned(),
            program_id: Some(id),
            is_entry: true,
            returns: Returns::Other,
            args_behind: false,
            texts: 0,
        };
        let mut calls = Self::start(objects, &[target], &options)?;
        calls.begin()?;
        let mut records = Vec::new();
        for _ in 0..CALLS {
            nothing.test_run(ProgramInput::default()).map_err(|e| system("calling it", &e))?;
            records.extend(calls.poll()?);
        }
        let mut began = None;
        let mut times = Vec::new();
        for record in records {
            match record.about {
                AboutCall::Enters { .. } => began = Some(record.time_ns),
                AboutCall::Leaves { .. } => {
                    times.extend(began.take().map(|began| record.time_ns - began));
                }
                AboutCall::Stack(_) | AboutCall::Text(_) => {}
            }
        }
        times.sort_unstable();
        times.get(times.len() / 2).copied().ok_or_else(|| missing("calls of its own"))
    }
}
