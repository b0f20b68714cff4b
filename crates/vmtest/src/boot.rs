// SPDX-License-Identifier: GPL-2.0-or-later
//! One machine for one command.

use std::time::Duration;

use crate::cache::{Cache, Progress};
use crate::console;
use crate::guest::Options;
use crate::kernels::Kernel;
use crate::machine::Machine;
use crate::vm::{Output, Sink, Vm};
use crate::{Error, Result};

/// What to boot and what to run there.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The shape of the machine.
    pub machine: &'a Machine,
    /// Its kernel.
    pub kernel: &'a Kernel,
    /// What it sees of the host.
    pub options: &'a Options,
    /// A shell script.
    pub script: &'a str,
    /// How long the script may take, counted from the end of booting.
    pub timeout: Duration,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What the script did.
    pub output: Output,
    /// The whole console of the kernel.
    pub console: String,
    /// How long booting took.
    pub boot_time: Duration,
    /// Whether it took two attempts.
    pub retried: bool,
}

/// Boots a machine, runs a script, and ends the machine. If the kernel oopses in the manner of a
/// patching race under emulation, everything is done once more, with a message; what the first
/// attempt printed has then been passed on already.
pub fn boot(
    cache: &Cache,
    request: &Request<'_>,
    sink: Sink<'_>,
    progress: Progress<'_>,
) -> Result<Outcome> {
    let start = |progress: Progress<'_>| {
        Vm::start(cache, request.machine, request.kernel, request.options, progress)
    };
    let mut vm = start(progress)?;
    let mut retried = vm.retried();
    let output = match vm.run_streaming(request.script, request.timeout, sink) {
        Err(Error::Machine(failure))
            if !retried && console::shows_patching_race(&failure.console) =>
        {
            progress(
                "the kernel fell over a half-patched instruction (int3), an artefact of emulation; running everything once more",
            );
            retried = true;
            vm = start(progress)?;
            vm.run_streaming(request.script, request.timeout, sink)?
        }
        other => other?,
    };
    Ok(Outcome { output, console: vm.console(), boot_time: vm.boot_time(), retried })
}
