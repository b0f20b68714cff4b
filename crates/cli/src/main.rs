// SPDX-License-Identifier: GPL-2.0-or-later
//! `rota`: writes, proves, watches and runs Linux CPU schedulers built on sched_ext.
//!
//! This is the only crate that prints and the only one that picks exit codes. Each verb is a
//! module with its arguments (`Args`) and one function, `run`.

mod args;
mod balance;
mod bpf;
mod calls;
mod choice;
mod compare;
mod completions;
mod diff;
mod doctor;
mod exit;
mod file;
mod hist;
mod http;
mod list;
mod load;
mod machine;
mod object;
mod output;
mod power;
mod progress;
mod recent;
mod record;
mod recorder;
mod replay;
mod run;
mod sim;
mod table;
mod top;
mod topology;
mod until;
mod verify;
mod view;

use crate::args::Verb;
use crate::exit::Exit;
use std::process::ExitCode;

fn main() -> ExitCode {
    let command = match args::parse(&std::env::args_os().collect::<Vec<_>>()) {
        Ok(command) => command,
        Err(exit) => return exit.into(),
    };
    let result = match command {
        Verb::Run(args) => run::run(&args),
        Verb::Sim(args) => sim::run(&args),
        Verb::Load(args) => load::run(&args),
        Verb::Compare(args) => compare::run(&args),
        Verb::List(args) => list::run(&args),
        Verb::Verify(args) => verify::run(&args),
        Verb::Doctor(args) => doctor::run(&args),
        Verb::Object(args) => object::run(&args),
        Verb::Topology(args) => topology::run(&args),
        Verb::Balance(args) => balance::run(&args),
        Verb::View(args) => view::run(&args),
        Verb::Record(args) => record::run(&args),
        Verb::Bpf(args) => bpf::run(&args),
        Verb::Fn(args) => calls::run(&args),
        Verb::Power(args) => power::run(&args),
        Verb::Top(args) => top::run(&args),
        Verb::Hist(args) => hist::run(&args),
        Verb::Diff(args) => diff::run(&args),
        Verb::Completions(args) => completions::run(&args),
    };
    result.unwrap_or_else(|error| report(&error)).into()
}

/// One line for the error with its causes; a closed pipe is no error.
fn report(error: &anyhow::Error) -> Exit {
    if output::is_broken_pipe(error) {
        return Exit::Done;
    }
    output::error(&format!("{error:#}"));
    Exit::Unusable
}
