// SPDX-License-Identifier: GPL-2.0-or-later
//! `rota fn`.

mod keep;
mod lines;
mod list;
mod select;
mod show;

use crate::exit::Exit;
use crate::output::{self, Format};
use crate::record;
use crate::recorder::{self, wait};
use crate::run::signals::Signals;
use anyhow::{Context, Result};
use rota_inspect::calls::{Filter, Function, Pattern};
use rota_kernel::{CallObjects, CallOptions, CallTarget, Calls, now_ns};
use show::Show;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Child;

/// What is loaded.
const OBJECTS: CallObjects<'_> = CallObjects {
    kernel: rota_programs::trace::CALLS,
    program: rota_programs::trace::CALLS_PROGRAM,
};

/// Arguments of `rota fn`.
#[derive(clap::Args)]
#[command(after_long_help = "Examples:\n  \
    rota fn bpf_check -T                      why is my program refused?\n  \
    rota fn '*_sys_bpf' -a 'bpf_*' -T -S      all that a system call calls\n  \
    rota fn 'ops:*' --hist --for 10s          what callbacks of a scheduler take\n  \
    rota fn do_unlinkat -x ENOENT -- make     while a command runs\n\n\
    Patterns: GLOB or 'GLOB [MODULE]' for functions of the kernel, bpf:GLOB for BPF programs, ops:GLOB\n\
    for callbacks of the attached scheduler; * stands for any letters. What is called within a call of\n\
    GLOB is told if --allow takes it. Times are longer than without tracing; see docs/fn.md.\n\n\
    Lines of source stand beside call stacks: those of BPF programs are known to the kernel, its own need\n\
    a package such as linux-image-amd64-dbg (Debian), kernel-debuginfo (Fedora) or a vmlinux from a build.\n\n\
    It takes root. The exit code is 1 if calls were lost, or --output could not be written.")]
pub(crate) struct Args {
    /// Functions whose calls are told
    #[arg(required = true, value_name = "GLOB", value_parser = Pattern::parse)]
    entries: Vec<Pattern>,
    /// Functions that are told within those calls
    #[arg(short, long, value_name = "GLOB", value_parser = Pattern::parse)]
    allow: Vec<Pattern>,
    /// Functions that are not told, whatever else takes them
    #[arg(short, long, value_name = "GLOB", value_parser = Pattern::parse)]
    deny: Vec<Pattern>,
    /// All calls with results and times, besides the stack
    #[arg(short = 'T', long)]
    trace: bool,
    /// Arguments of calls, too
    #[arg(short = 'A', long)]
    args: bool,
    /// How often and how long each function was called, at the end, instead of calls
    #[arg(long, conflicts_with_all = ["trace", "args"])]
    hist: bool,
    /// Calls that did not fail, too
    #[arg(short = 'S', long)]
    successes: bool,
    /// Only calls that failed with this error
    #[arg(short = 'x', long, value_name = "ERROR", value_parser = Filter::error, allow_hyphen_values = true)]
    error: Vec<i64>,
    /// Not calls that failed with this error
    #[arg(short = 'X', long, value_name = "ERROR", value_parser = Filter::error, allow_hyphen_values = true)]
    not_error: Vec<i64>,
    /// Only calls that took at least so long
    #[arg(short = 'L', long, value_name = "DURATION", value_parser = crate::args::duration)]
    longer: Option<u64>,
    /// Only threads and processes with this id
    #[arg(short, long, value_name = "PID", value_parser = clap::value_parser!(i32).range(1..))]
    pid: Vec<i32>,
    /// Only threads with this name
    #[arg(short, long, value_name = "GLOB")]
    name: Vec<String>,
    /// How long to trace [default: until the command ends, or Ctrl-C]
    #[arg(long = "for", value_name = "DURATION", value_parser = crate::args::duration)]
    for_ns: Option<u64>,
    /// Say which functions would be traced, and end
    #[arg(long)]
    dry_run: bool,
    /// Attach to functions of the kernel one by one, as older kernels need it
    #[arg(long)]
    one_by_one: bool,
    /// The kernel with its debug information, for lines of source [default: where packages of
    /// distributions have it, if it is there]
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    vmlinux: Option<PathBuf>,
    /// No files and lines of source
    #[arg(long, conflicts_with = "vmlinux")]
    no_lines: bool,
    /// Memory for calls that wait to be read
    #[arg(long, value_name = "SIZE", default_value = "8MiB", value_parser = record::ring_bytes)]
    buffer: u32,
    /// Also keep the calls in this file, as a trace for Perfetto
    #[arg(short, long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    output: Option<PathBuf>,
    /// Text for people, or JSON, an object for each call of GLOB
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// A command to start as soon as calls are traced
    #[arg(last = true, value_name = "COMMAND", value_hint = clap::ValueHint::CommandWithArguments)]
    command: Vec<OsString>,
}

/// Traces calls.
pub(crate) fn run(args: &Args) -> Result<Exit> {
    let functions = match select::select(args)? {
        Ok(functions) => functions,
        Err(pattern) => {
            output::error(&format!("nothing is called '{}' that can be traced", pattern.text()));
            return Ok(Exit::Negative);
        }
    };
    if args.dry_run {
        let symbols = select::symbols()?;
        return list::list(&functions, &symbols, &lines::lines(args, &symbols)?);
    }
    let signals = Signals::catch().context("catching signals")?;
    // What it takes to be traced is known for BPF programs only.
    let is_program = |it: &Function| it.target.program_id.is_some();
    let cost_ns = match functions.iter().any(is_program) {
        true => Calls::of_nothing(OBJECTS)?,
        false => 0,
    };
    let target = |it: &Function| {
        let texts = if args.args { it.target.texts } else { 0 };
        CallTarget { texts, ..it.target.clone() }
    };
    let targets: Vec<_> = functions.iter().map(target).collect();
    let options = CallOptions {
        pids: args.pid.clone(),
        stacks: !args.hist,
        ring_bytes: args.buffer,
        one_by_one: args.one_by_one,
        own: false,
    };
    let calls = Calls::start(OBJECTS, &targets, &options)?;
    tell_attached(&calls, functions.len(), cost_ns);
    let symbols = select::symbols()?;
    let lines = lines::lines(args, &symbols)?;
    let mut show = Show::new(args, (&functions, &symbols, &lines), cost_ns)?;
    go_on(args, calls, &mut show, &signals)
}

/// Shows calls until the time is over, the command has ended, or a signal comes.
fn go_on(args: &Args, mut calls: Calls, show: &mut Show<'_>, signals: &Signals) -> Result<Exit> {
    calls.begin()?;
    let mut child = record::start(&args.command)?;
    recorder::hurry();
    let shown = follow(args.for_ns, &mut calls, child.as_mut(), show, signals);
    // Whatever happened, the command ends.
    child.map(record::end).transpose()?;
    let records = calls.finish()?;
    if shown.is_err() {
        // Who does not read what is printed may want the file.
        show.keep_rest(records)?;
        return shown.map(|()| Exit::Done);
    }
    show.records(records)?;
    let missing = calls.missing()?;
    show.finish(missing.sum())?;
    for (count, why) in [
        (missing.lost, "there was no room for: --buffer gives more"),
        (missing.deep, "were more than 64 deep"),
        (missing.missed, "came while another was told on their CPU"),
    ] {
        if count > 0 {
            output::note(&format!("{count} calls or returns are missing that {why}"));
        }
    }
    Ok(if missing.sum() > 0 || show.kept.failed { Exit::Negative } else { Exit::Done })
}

fn follow(
    for_ns: Option<u64>,
    calls: &mut Calls,
    mut child: Option<&mut Child>,
    show: &mut Show<'_>,
    signals: &Signals,
) -> Result<()> {
    let began_ns = now_ns();
    loop {
        wait(signals)?;
        show.records(calls.poll()?)?;
        let ended = child.as_mut().map(|child| child.try_wait()).transpose()?.flatten();
        let over = for_ns.is_some_and(|most| now_ns() - began_ns >= most);
        if ended.is_some() || over || signals.taken().is_some() {
            return Ok(());
        }
    }
}

fn tell_attached(calls: &Calls, wanted: usize, cost_ns: u64) {
    let count = wanted - calls.refused.len();
    let how = match calls.at_once {
        Some(true) => ", those of the kernel at once",
        Some(false) => ", those of the kernel one by one",
        None => "",
    };
    let ms = calls.attach_ns as f64 / 1e6;
    output::note(&format!("{count} functions are traced{how}; attaching took {ms:.0} ms"));
    for (name, why) in &calls.refused {
        output::note(&format!("{name} can't be traced: {why}"));
    }
    if cost_ns > 0 {
        output::note(&format!(
            "a call of a BPF program takes {cost_ns} ns more to be traced, which is taken off"
        ));
    }
}
