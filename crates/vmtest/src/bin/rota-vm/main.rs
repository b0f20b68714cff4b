// SPDX-License-Identifier: GPL-2.0-or-later
//! `rota-vm`: boots kernels in QEMU, fetches them, and moves their pins. `cargo xtask vm` is this.

mod args;
mod pins;
mod run;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use rota_vmtest::{Cache, Error, Result};

use args::{Arguments, Verb};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let code = Cache::from_env().and_then(|cache| match arguments.verb {
        Verb::Run(run) => run::run(&cache, &run),
        Verb::Kernels => pins::list(&cache),
        Verb::Fetch { versions } => pins::fetch(&cache, &versions),
        Verb::Update { pins } => pins::update(&cache, pins.as_deref()),
    });
    let code = code.unwrap_or_else(|error| {
        say(&format!("error: {error}"));
        error.exit_code()
    });
    ExitCode::from(code)
}

/// Prints a message line; a closed standard error is nobody's fault.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "rota-vm: {line}");
}

/// Prints a line of the result.
fn print(line: &str) -> Result<()> {
    writeln!(std::io::stdout(), "{line}").map_err(|source| {
        let context = "cannot write to standard output".to_string();
        Error::Io { context, source }
    })
}
