// SPDX-License-Identifier: GPL-2.0-or-later
//! `rota run`: a scheduler on the running kernel, until somebody or something ends it.

pub(crate) mod charge;
mod life;
mod reload;
pub(crate) mod report;
pub(crate) mod server;
pub(crate) mod signals;

use crate::args::{duration, name_value};
use crate::exit::Exit;
use crate::output::{self, Format};
use crate::run::life::{Ending, Life};
use crate::run::reload::Reloads;
use crate::run::server::Server;
use crate::run::signals::Signals;
use crate::{choice, doctor};
use anyhow::{Context, Result};
use rota_kernel::{Host, Verbosity, now_ns};
use rota_object::{EngineError, Refusal};
use rota_sched::{Choice, HalfError};
use std::fs::File;
use std::path::PathBuf;

/// Arguments of `rota run`.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    rota run simple\n  \
    rota run simple --fifo --slice 5ms --for 1min\n  \
    rota run simple:fifo,slice=5ms --stats 500ms --format json\n  \
    rota run ./mine.bpf.o --set slice=10ms\n  \
    curl --unix-socket /run/rota/simple.sock http://rota/metrics")]
pub(crate) struct Args {
    /// A scheduler of `rota list`, with settings if you like (simple:fifo), or a compiled object
    #[arg(value_name = "SCHED|FILE.bpf.o", value_hint = clap::ValueHint::FilePath)]
    sched: String,
    /// Set a setting by its name; the same as its own flag
    #[arg(long, value_name = "NAME=VALUE", value_parser = name_value)]
    set: Vec<(String, String)>,
    /// How often to print statistics; 0s for never
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = duration, allow_hyphen_values = true)]
    stats: u64,
    /// A table for people, or JSON lines
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// End by itself after this time
    #[arg(long = "for", value_name = "DURATION", value_parser = duration, allow_hyphen_values = true)]
    run_for: Option<u64>,
    /// End when a CPU comes or goes, instead of loading again
    #[arg(long)]
    no_reload: bool,
    /// Stop loading again after this many times within --reload-within
    #[arg(long, value_name = "N", default_value_t = 5)]
    reloads: usize,
    /// The time in which --reloads are counted
    #[arg(long, value_name = "DURATION", default_value = "1min", value_parser = duration, allow_hyphen_values = true)]
    reload_within: u64,
    /// The kernel's watchdog ends the scheduler if a task waits longer than this [default: the
    /// scheduler's, else the kernel's 30s]
    #[arg(long, value_name = "DURATION", value_parser = watchdog)]
    watchdog: Option<u64>,
    /// Where to serve statistics [default: /run/rota/NAME.sock]
    #[arg(long, value_name = "PATH", conflicts_with = "no_socket")]
    socket: Option<PathBuf>,
    /// Serve no statistics
    #[arg(long)]
    no_socket: bool,
    /// Keep the kernel's debug dump here if the scheduler is ejected [default: /run/rota/NAME.dump;
    /// with --format json it is part of the report]
    #[arg(long, value_name = "FILE")]
    dump: Option<PathBuf>,
    /// Show libbpf's log
    #[arg(short, long)]
    verbose: bool,
    /// The settings that were given as flags of their own.
    #[arg(skip)]
    pub(crate) settings: Vec<(String, String)>,
}

/// The longest time that the kernel's watchdog takes.
const WATCHDOG_NS_MAX: u64 = 30_000_000_000;

/// A duration for the watchdog, in nanoseconds; the kernel counts it in milliseconds.
fn watchdog(text: &str) -> Result<u64, String> {
    match duration(text)? {
        ns if (1_000_000..=WATCHDOG_NS_MAX).contains(&ns) => Ok(ns),
        _ => Err(format!("'{text}' is not from 1ms to 30s, which is what the kernel takes")),
    }
}

/// Runs the scheduler until it ends.
pub(crate) fn run(args: &Args) -> Result<Exit> {
    if args.verbose {
        rota_kernel::set_verbosity(Verbosity::Verbose);
    }
    let mut choice = choice::resolve(&args.sched)?;
    choice.settings.extend(args.set.iter().chain(&args.settings).cloned());
    // Wrong settings are said before the kernel is asked for anything.
    choice.half()?;
    let signals = Signals::catch().context("catching signals")?;
    let mut started_ns = None;
    // Places that were asked for by name are had before anything is attached.
    if let Some(path) = &args.dump {
        let opened = File::options().append(true).create(true).open(path);
        opened.with_context(|| path.display().to_string())?;
    }
    let mut server = match &args.socket {
        Some(path) => Server::open(Some(path), &choice.name)?,
        None => None,
    };
    let mut reloads = Reloads::new(args.reloads, args.reload_within);
    let ending = loop {
        let ending = one_life(args, &choice, &signals, &mut server, &mut started_ns)?;
        let Ending::Exit(info) = &ending else { break ending };
        if !info.wants_restart() || args.no_reload {
            break ending;
        }
        if !reloads.allow(now_ns()) {
            let printed = report::ejected(&choice.name, info, Exit::GaveUp, args);
            output::if_anyone_reads(printed)?;
            output::note(&format!(
                "rota: reloaded {} times within {}; not again",
                args.reloads,
                rota_object::format_ns(args.reload_within)
            ));
            return Ok(Exit::GaveUp);
        }
        report::reloading(&choice.name, info, args.format)?;
    };
    match ending {
        Ending::Asked(why) => {
            let ran_ns = started_ns.map_or(0, |start| now_ns() - start);
            report::asked(&choice.name, why, ran_ns, args.format)?;
            Ok(Exit::Done)
        }
        Ending::Exit(info) => {
            let exit = Exit::Ejected(info.cause());
            output::if_anyone_reads(report::ejected(&choice.name, &info, exit, args))?;
            Ok(exit)
        }
    }
}

/// Loads, attaches and watches, once.
fn one_life(
    args: &Args,
    choice: &Choice,
    signals: &Signals,
    server: &mut Option<Server>,
    started_ns: &mut Option<u64>,
) -> Result<Ending> {
    let host = Host::default();
    match Life::begin(choice, &host, args.watchdog) {
        Ok(mut life) => {
            if server.is_none() && !args.no_socket {
                *server = Server::open(None, &choice.name)?;
            }
            if started_ns.is_none() && args.format == Format::Table {
                report::started(&choice.name, &host, server.as_ref())?;
            }
            let started_ns = *started_ns.get_or_insert_with(now_ns);
            life.watch(args, signals, server.as_mut(), started_ns)
        }
        Err(HalfError::Engine(EngineError::Refused(Refusal::Exit(info)))) => {
            Ok(Ending::Exit(*info))
        }
        Err(error) => Err(explained(&args.sched, &host, error)),
    }
}

/// An error in the words that `rota doctor` uses.
fn explained(sched: &str, host: &Host, error: HalfError) -> anyhow::Error {
    match &error {
        HalfError::Engine(EngineError::Refused(Refusal::Verifier { program, log })) => {
            report::refused(program, log);
        }
        HalfError::Engine(EngineError::Refused(Refusal::Busy(_))) => {
            return anyhow::anyhow!("{error}; only one can be in charge: end that one first");
        }
        HalfError::Engine(EngineError::Refused(refusal)) => {
            let simulated = output::command(&["sim", sched]);
            if let Some(words) = doctor::explained(host, refusal, Some(&simulated)) {
                return anyhow::anyhow!(words);
            }
        }
        _ => {}
    }
    error.into()
}
