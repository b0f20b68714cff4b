// SPDX-License-Identifier: GPL-2.0-or-later
//! `rota record`.

use crate::exit::Exit;
use crate::output::{self, Format};
use crate::progress;
use crate::recent::{MOST_BYTES, Recent};
use crate::recorder::{self, AttachChoice, wait};
use crate::run::signals::Signals;
use crate::until::{Until, Watch};
use anyhow::{Context, Result, bail};
use rota_events::{Event, MachineFacts, Writer, parse_bytes};
use rota_kernel::{Host, Recorder, RecorderOptions, Wanted, now_ns};
use rota_topology::{CpuMask, Topology};
use serde_json::json;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};

/// Version of the JSON form.
const SCHEMA: &str = "rota-record/1";

/// Arguments of `rota record`.
#[derive(clap::Args)]
#[command(after_long_help = "Examples:\n  \
    rota record --for 10s                          what all tasks do in ten seconds\n  \
    rota record -o build.rota -- make -j8          while a command runs\n  \
    rota record --pid 4711 --cpus 0-3 --for 10s    one process, on some CPUs\n  \
    rota record --ring 5s --until 'latency>10ms'   the 5 s before a long wait\n  \
    rota view record.rota --as summary             what came out\n\n\
    All tasks of the machine are recorded, also those that are not of the command, unless --cpus,\n\
    --pid or --cgroup choose: then each that is given must be met. Tasks not wanted are \"others\". The exit code is\n\
    1 if the command failed, or if events were lost: there was no room for them, so give a larger\n\
    --buffer.")]
pub(crate) struct Args {
    /// Where to write the recording
    #[arg(short, long, value_name = "FILE", default_value = "record.rota", value_hint = clap::ValueHint::FilePath)]
    output: PathBuf,
    /// How long to record [default: until the command ends, or Ctrl-C]
    #[arg(long = "for", value_name = "DURATION", value_parser = crate::args::duration)]
    for_ns: Option<u64>,
    /// Only what happens on these CPUs
    #[arg(long, value_name = "LIST", value_parser = CpuMask::from_list)]
    cpus: Option<CpuMask>,
    /// Only this thread or process, and what it starts
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(i32).range(1..))]
    pid: Vec<i32>,
    /// Only tasks in this cgroup or below
    #[arg(long, value_name = "PATH")]
    cgroup: Vec<String>,
    /// Also what is sent and received through Unix sockets, so that a replay knows who waits for whom
    #[arg(long)]
    messages: bool,
    /// Stop when a time is longer: latency, wake, oncpu, offcpu or dsq, as in `latency[NAME]>10ms`
    #[arg(long, value_name = "CONDITION", value_parser = Until::parse)]
    until: Option<Until>,
    /// Write only what happened in the last so many seconds
    #[arg(long, value_name = "DURATION", value_parser = crate::args::duration)]
    ring: Option<u64>,
    /// How to be called by the kernel
    #[arg(long, value_enum, default_value = "auto", hide = true)]
    attach: AttachChoice,
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
pub(crate) fn ring_bytes(text: &str) -> Result<u32, String> {
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
    check(args, &host, &topology)?;
    let signals = Signals::catch().context("catching signals")?;
    let cpu_list = args.cpus.as_ref().map(|mask| mask.iter().map(|cpu| cpu.0).collect());
    let wanted = Wanted {
        cpus: cpu_list.unwrap_or_default(),
        pids: args.pid.clone(),
        groups: args.cgroup.clone(),
        messages: args.messages,
    };
    let attach = args.attach.attach();
    let options = RecorderOptions { wanted, attach, ring_bytes: args.buffer, cpus };
    let recorder = recorder::start_as(&host, &options)?;
    if recorder.is_raw() && host.sched_ext().is_some() {
        let why = recorder.why_raw().map_or(String::new(), |why| format!(" ({why})"));
        output::note(&format!(
            "rota: only raw tracepoints can be used{why}: of sched_ext, which this kernel has, only \
             coming and going of schedulers and what their callbacks take are recorded"
        ));
    }
    // What is there stays until the command has started.
    let output = Output::open(&args.output)?;
    let started_ns = now_ns();
    let mut child = start(&args.command).inspect_err(|_| output.give_up())?;
    let writer = match output.begin(&facts) {
        Ok(writer) => writer,
        Err(error) => {
            child.map(end).transpose()?;
            return Err(error);
        }
    };
    recorder::hurry();
    let mut recording = Recording {
        recorder,
        writer,
        path: &args.output,
        started_ns,
        recent: args.ring.map(Recent::new),
        watch: args.until.clone().map(Watch::new),
        met: None,
    };
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

/// Whether what is chosen is there at all: else nothing would be recorded, without a word.
fn check(args: &Args, host: &Host, topology: &Topology) -> Result<()> {
    if args.output == Path::new("-") {
        bail!("-o -: a recording is written to a file; ./- is one of that name");
    }
    let possible = topology.possible();
    if let Some(cpu) = args.cpus.iter().flat_map(CpuMask::iter).find(|cpu| !possible.contains(*cpu))
    {
        bail!("--cpus: this machine has no CPU {}, but {possible}", cpu.0);
    }
    let gone = args.pid.iter().find(|pid| !host.proc_has(&pid.to_string()));
    if let Some(pid) = gone {
        bail!("--pid: there is no process or thread {pid}");
    }
    Ok(())
}

/// The file that is to be written.
struct Output<'a> {
    path: &'a Path,
    file: File,
    /// Whether it was there before.
    was_there: bool,
}

impl<'a> Output<'a> {
    fn open(path: &'a Path) -> Result<Self> {
        let was_there = path.exists();
        let opened = OpenOptions::new().write(true).create(true).truncate(false).open(path);
        let file = opened.with_context(|| path.display().to_string())?;
        Ok(Self { path, file, was_there })
    }

    /// Leaves everything as it was.
    fn give_up(&self) {
        if !self.was_there {
            // It is empty, so it does no harm if it stays.
            let _ = fs::remove_file(self.path);
        }
    }

    fn begin(self, facts: &MachineFacts) -> Result<Writer<BufWriter<File>>> {
        let place = || self.path.display().to_string();
        if self.file.metadata().with_context(place)?.is_file() {
            self.file.set_len(0).with_context(place)?;
        }
        Writer::new(BufWriter::new(self.file), facts).with_context(place)
    }
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

/// Starts a command, if there is one.
pub(crate) fn start(command: &[OsString]) -> Result<Option<Child>> {
    let Some((program, arguments)) = command.split_first() else { return Ok(None) };
    let started = Command::new(program).args(arguments).spawn();
    let name = || format!("starting {}", program.display());
    Ok(Some(started.with_context(name)?))
}

/// Ends a command, if it still runs.
pub(crate) fn end(mut child: Child) -> Result<ExitStatus> {
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
    /// The last seconds, if only these are wanted.
    recent: Option<Recent>,
    watch: Option<Watch>,
    /// What has met the condition.
    met: Option<String>,
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
            self.keep(&events)?;
            let now_ns = now_ns();
            if terminal && now_ns - shown_ns > progress::EVERY.as_nanos() as u64 {
                shown_ns = now_ns;
                output::over(&self.told(now_ns));
            }
            let ended = child.as_mut().map(|child| child.try_wait()).transpose()?.flatten();
            let over = for_ns.is_some_and(|most| now_ns - self.started_ns >= most);
            if ended.is_some() || over || self.met.is_some() || signals.taken().is_some() {
                if terminal {
                    output::over("");
                }
                return Ok(ended);
            }
        }
    }

    /// Writes events, or keeps them, and looks whether they meet the condition.
    fn keep(&mut self, events: &[Event]) -> Result<()> {
        let tables = self.recorder.tables();
        match &mut self.recent {
            Some(recent) => recent.add(events),
            None => {
                let place = || self.path.display().to_string();
                self.writer.write(tables, events).with_context(place)?;
            }
        }
        if let Some(watch) = self.watch.as_mut().filter(|_| self.met.is_none()) {
            self.met = watch.add(events, tables);
        }
        Ok(())
    }

    /// Ends the file, tells what is in it, and says whether nothing was lost.
    fn finish(mut self, format: Format) -> Result<bool> {
        let place = || self.path.display().to_string();
        let events = self.recorder.finish()?;
        self.keep(&events)?;
        let mut kept = None;
        if let Some(recent) = self.recent.take() {
            if recent.is_short {
                let most = MOST_BYTES >> 20;
                output::note(&format!("only what fits into {most} MiB could be kept"));
            }
            let mut count = 0;
            for events in recent.into_blocks() {
                self.writer.write(self.recorder.tables(), &events).with_context(place)?;
                count += events.len();
            }
            kept = Some(count);
        }
        match (&self.met, &self.watch) {
            (Some(met), _) => output::note(met),
            (None, Some(_)) => output::note("nothing met the condition of --until"),
            (None, None) => {}
        }
        let about = self.about();
        let (told, long_ns) = (self.told(now_ns()), now_ns() - self.started_ns);
        self.writer.finish().with_context(place)?;
        let bytes = self.path.metadata().map_or(0, |about| about.len());
        let recorded = self.recorder.recorded();
        match format {
            Format::Table => {
                let megabytes = bytes as f64 / 1e6;
                let kept = kept.map_or(String::new(), |kept| format!(", the last {kept} kept"));
                let place = self.path.display();
                output::note(&format!("{place}: {told}{kept}, {megabytes:.1} MB{about}"));
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
                    "kept_events": kept,
                    "met": self.met,
                    "scheduler": self.recorder.scheduler(),
                    "attach": if self.recorder.is_raw() { "raw_tp" } else { "tp_btf" },
                })
                .to_string(),
            )?,
        }
        Ok(recorded.lost == 0)
    }

    /// What was recorded beside the usual, in words.
    fn about(&self) -> String {
        let raw = match self.recorder.is_raw() {
            true => "; by raw tracepoints, so without what happens in queues of sched_ext",
            false => "",
        };
        let scheduler = self.recorder.scheduler();
        let scheduler = scheduler.map_or(String::new(), |name| format!("; with sched_ext: {name}"));
        format!("{scheduler}{raw}")
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
