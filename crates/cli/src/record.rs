// SPDX-License-Identifier: GPL-2.0-or-later
//! `rota record`.

use crate::exit::Exit;
use crate::output::{self, Format};
use crate::progress;
use crate::run::signals::Signals;
use anyhow::{Context, Result, bail};
use rota_events::{MachineFacts, Writer, parse_bytes};
use rota_kernel::{Host, Recorder, RecorderOptions, now_ns};
use rota_topology::Topology;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::json;
use std::ffi::OsString;
use std::fs::File;
use std::io::{BufWriter, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};

/// Version of the JSON form.
const SCHEMA: &str = "rota-record/1";

/// How long what was recorded waits in the rings.
const POLL_NS: i64 = 5_000_000;

/// Arguments of `rota record`.
#[derive(clap::Args)]
#[command(after_long_help = "Examples:\n  \
    rota record --for 10s                          what all tasks do in ten seconds\n  \
    rota record -o build.rota -- make -j8          while a command runs\n  \
    rota view record.rota --as summary             what came out\n\n\
    All tasks of the machine are recorded, also those that are not of the command. The exit code is\n\
    1 if the command failed, or if events were lost: there was no room for them, so give a larger\n\
    --buffer.")]
pub(crate) struct Args {
    /// Where to write the recording
    #[arg(short, long, value_name = "FILE", default_value = "record.rota", value_hint = clap::ValueHint::FilePath)]
    output: PathBuf,
    /// How long to record [default: until the command ends, or Ctrl-C]
    #[arg(long = "for", value_name = "DURATION", value_parser = crate::args::duration)]
    for_ns: Option<u64>,
    /// Memory for each CPU, in which events wait to be written: a power of two
    #[arg(long, value_name = "SIZE", default_value = "8MiB", value_parser = ring_bytes)]
    buffer: u32,
    /// What to print at the end: a line for people, on standard error, or JSON
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// A command to start as soon as everything is recorded
    #[arg(last = true, value_name = "COMMAND", value_hint = clap::ValueHint::CommandWithArguments)]
    command: Vec<OsString>,
}

/// The size of a ring.
fn ring_bytes(text: &str) -> Result<u32, String> {
    let bytes = parse_bytes(text)?;
    let fits = bytes.is_power_of_two() && (64 << 10..=1 << 30).contains(&bytes);
    let fitting = u32::try_from(bytes).ok().filter(|_| fits);
    fitting.ok_or_else(|| "a power of two from 64KiB to 1GiB is wanted".to_owned())
}

/// Records.
pub(crate) fn run(args: &Args) -> Result<Exit> {
    let host = Host::default();
    let topology = host.topology()?.topology;
    let facts = facts(&host, &topology);
    let cpus = facts.cpus.len() as u32;
    let signals = Signals::catch().context("catching signals")?;
    let options = RecorderOptions { ring_bytes: args.buffer, cpus };
    let recorder = Recorder::start(rota_programs::trace::RECORD, &host, options)?;
    // Only now, so that a file which was there stays if nothing can be recorded.
    let place = || args.output.display().to_string();
    let file = File::create(&args.output).with_context(place)?;
    let writer = Writer::new(BufWriter::new(file), &facts).with_context(place)?;
    let mut recording = Recording { recorder, writer, path: &args.output, started_ns: now_ns() };
    let mut child = start(&args.command)?;
    let ended = recording.go_on(args.for_ns, &signals, child.as_mut());
    let written = ended.and_then(|status| Ok((status, recording.finish(args.format)?)));
    // A command does not outlive its recording, whatever became of that.
    let status = child.map(end).transpose()?;
    let (ended, lossless) = written?;
    let failed = ended.and(status).filter(|status| !status.success());
    if let Some(status) = failed {
        output::note(&format!("the command failed: {status}"));
    }
    Ok(if lossless && failed.is_none() { Exit::Done } else { Exit::Negative })
}

/// What stands in the file about the machine.
fn facts(host: &Host, topology: &Topology) -> MachineFacts {
    MachineFacts {
        kernel: host.proc_text("sys/kernel/osrelease").unwrap_or_default(),
        clock: "monotonic".to_owned(),
        cpus: rota_sim::cpu_places(topology),
        command: output::own_command(),
        ..MachineFacts::default()
    }
}

fn start(command: &[OsString]) -> Result<Option<Child>> {
    let Some((program, arguments)) = command.split_first() else { return Ok(None) };
    let started = Command::new(program).args(arguments).spawn();
    let name = || format!("starting {}", program.display());
    Ok(Some(started.with_context(name)?))
}

/// Ends a command, if it still runs.
fn end(mut child: Child) -> Result<ExitStatus> {
    if child.try_wait()?.is_none() {
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)
            .context("ending the command")?;
    }
    child.wait().context("waiting for the command")
}

struct Recording<'a> {
    recorder: Recorder,
    writer: Writer<BufWriter<File>>,
    path: &'a Path,
    started_ns: u64,
}

impl Recording<'_> {
    /// Records until the time is over, the command has ended, which is returned, or a signal comes.
    fn go_on(
        &mut self,
        for_ns: Option<u64>,
        signals: &Signals,
        mut child: Option<&mut Child>,
    ) -> Result<Option<ExitStatus>> {
        let terminal = std::io::stderr().is_terminal();
        let mut shown_ns = self.started_ns;
        loop {
            wait(signals)?;
            let events = self.recorder.poll()?;
            let place = || self.path.display().to_string();
            self.writer.write(self.recorder.tables(), &events).with_context(place)?;
            let now_ns = now_ns();
            if terminal && now_ns - shown_ns > progress::EVERY.as_nanos() as u64 {
                shown_ns = now_ns;
                output::over(&self.told(now_ns));
            }
            let ended = child.as_mut().map(|child| child.try_wait()).transpose()?.flatten();
            let over = for_ns.is_some_and(|most| now_ns - self.started_ns >= most);
            if ended.is_some() || over || signals.taken().is_some() {
                if terminal {
                    output::over("");
                }
                return Ok(ended);
            }
        }
    }

    /// Ends the file, tells what is in it, and says whether nothing was lost.
    fn finish(mut self, format: Format) -> Result<bool> {
        let place = || self.path.display().to_string();
        let events = self.recorder.finish()?;
        self.writer.write(self.recorder.tables(), &events).with_context(place)?;
        let (told, long_ns) = (self.told(now_ns()), now_ns() - self.started_ns);
        self.writer.finish().with_context(place)?;
        let bytes = self.path.metadata().map_or(0, |about| about.len());
        let recorded = self.recorder.recorded();
        match format {
            Format::Table => {
                let megabytes = bytes as f64 / 1e6;
                output::note(&format!("{}: {told}, {megabytes:.1} MB", self.path.display()));
            }
            Format::Json => output::line(
                &json!({
                    "schema": SCHEMA,
                    "file": self.path,
                    "duration_ns": long_ns,
                    "bytes": bytes,
                    "events": recorded.events,
                    "lost_events": recorded.lost,
                    "hidden_switches": recorded.hidden,
                    "late_events": recorded.late,
                })
                .to_string(),
            )?,
        }
        Ok(recorded.lost == 0)
    }

    /// What there is so far, in words.
    fn told(&self, now_ns: u64) -> String {
        let recorded = self.recorder.recorded();
        let seconds = (now_ns - self.started_ns) as f64 / 1e9;
        let rate = recorded.events as f64 / seconds;
        let mut told = format!(
            "{} events in {seconds:.1} s ({rate:.0} a second), {} lost",
            recorded.events, recorded.lost
        );
        if recorded.hidden > 0 {
            told += &format!(", {} switches that the kernel hides", recorded.hidden);
        }
        told
    }
}

/// Waits for a signal, or until it is time to poll.
fn wait(signals: &Signals) -> Result<()> {
    let mut fds: Vec<_> =
        signals.fds().map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
    match poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: POLL_NS })) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => bail!("waiting: {error}"),
    }
}
