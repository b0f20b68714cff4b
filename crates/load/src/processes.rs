// SPDX-License-Identifier: GPL-2.0-or-later
//! A workload with a process for each of its parts.

use crate::cgroups::Cgroups;
use crate::compute::Calibration;
use crate::error::LoadError;
use crate::job::Job;
use crate::machine::MachineUse;
use crate::parts::{self, Part, parts};
use crate::process::{Orders, Word};
use crate::report::Report;
use crate::run::{LEAVE, LOOK, calibrated, cgroups};
use rota_kernel::{Host, now_ns};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// The most processes that there can be.
pub const PROCESSES_MAX: usize = 2_000;
/// So long before the start all processes are told of it, in ns.
const LEAD_NS: u64 = 20_000_000;

/// Does the workload as [`run()`](crate::run()) does, with a process for each of its
/// [parts](crate::parts()). `process` makes the command of one: it has to call
/// [`serve`](crate::serve) with the same job, its standard input and its standard output.
///
/// # Errors
/// [`LoadError`] if it can't be done here; nothing runs any more then.
pub fn run_in_processes(
    job: &Job<'_>,
    process: &dyn Fn() -> Command,
    look: &mut dyn FnMut(u64) -> bool,
) -> Result<Report, LoadError> {
    let host = Host::default();
    job.check(&host)?;
    let parts = parts(job.workload);
    if parts.len() > PROCESSES_MAX {
        return Err(LoadError::Processes { processes: parts.len(), most: PROCESSES_MAX });
    }
    let calibration = calibrated(job)?;
    let mut warnings = Vec::new();
    let cgroups = cgroups(job, &host, &mut warnings);
    let work = || {
        let base = cgroups.as_ref().map(Cgroups::base);
        let mut crew = Crew::start(process, parts, calibration, base)?;
        crew.all_ready(look)?;
        let start_ns = now_ns().saturating_add(LEAD_NS);
        crew.tell(&start_ns.to_string());
        thread::sleep(Duration::from_nanos(start_ns.saturating_sub(now_ns())));
        let before = MachineUse::now(&host);
        let told = crew.go_on(start_ns, job.run_ns, look);
        let machine = MachineUse::now(&host).zip(before).map(|(now, then)| now.since(then));
        if told {
            crew.tell("stop");
        }
        let missing = crew.finish();
        let mut report = crew.report()?;
        report.machine = machine;
        report.warnings.extend(missing);
        Ok(report)
    };
    let done = work();
    if let Some(cgroups) = &cgroups {
        cgroups.close();
    }
    let mut report = done?;
    report.warnings.splice(0..0, warnings);
    Ok(report)
}

/// The processes.
struct Crew {
    children: Vec<(Child, ChildStdin)>,
    /// What they tell; an error is that one does not tell any more.
    words: Receiver<Result<Word, String>>,
    /// Those that have told what came of it.
    reports: Vec<Report>,
    calibration: Calibration,
    /// Those that have ended without.
    lost: usize,
}

impl Crew {
    /// Starts all.
    fn start(
        process: &dyn Fn() -> Command,
        parts: Vec<Part>,
        calibration: Calibration,
        cgroups: Option<&Path>,
    ) -> Result<Self, LoadError> {
        let (send, words) = channel();
        let (children, reports) = (Vec::new(), Vec::new());
        let mut crew = Self { children, words, reports, calibration, lost: 0 };
        let wanted = parts.len();
        for part in parts {
            let made = crew.children.len();
            let cgroups = cgroups.map(Path::to_owned);
            let orders = Orders { part, calibration, cgroups };
            crew.add(process(), &orders, &send).map_err(|error| LoadError::Spawn {
                made,
                wanted,
                error: error.to_string(),
            })?;
        }
        Ok(crew)
    }

    /// Waits until all are ready.
    fn all_ready(&mut self, look: &mut dyn FnMut(u64) -> bool) -> Result<(), LoadError> {
        let mut missing = self.children.len();
        let failed = |error| LoadError::System { what: "a process".to_owned(), error };
        while missing > 0 {
            match self.words.recv_timeout(LOOK) {
                Ok(Ok(Word::Ready)) => missing -= 1,
                Ok(Ok(Word::Failed(error)) | Err(error)) => return Err(failed(error)),
                Err(RecvTimeoutError::Timeout) if look(0) => {}
                Err(RecvTimeoutError::Timeout) => return Err(LoadError::Interrupted),
                Ok(Ok(Word::Report(_))) | Err(_) => {
                    return Err(failed("it ended before it began".to_owned()));
                }
            }
        }
        Ok(())
    }

    fn add(
        &mut self,
        mut process: Command,
        orders: &Orders,
        words: &Sender<Result<Word, String>>,
    ) -> std::io::Result<()> {
        process.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Ctrl-C of a terminal is for the first process only, which tells the others.
        let mut child = process.process_group(0).spawn()?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(mut input), Some(output), Some(mut errors)) = pipes else {
            return Err(std::io::Error::other("without pipes"));
        };
        // One that has ended is noticed where its words are read.
        let _ = writeln!(input, "{}", serde_json::to_string(orders)?);
        self.children.push((child, input));
        let words = words.clone();
        let listen = move || {
            let mut lines = BufReader::new(output).lines();
            loop {
                let word = match lines.next() {
                    Some(Ok(line)) => serde_json::from_str(&line).map_err(|e| e.to_string()),
                    Some(Err(error)) => Err(error.to_string()),
                    None => Err(ended_early(&mut errors)),
                };
                let last = !matches!(word, Ok(Word::Ready));
                if words.send(word).is_err() || last {
                    return;
                }
            }
        };
        thread::Builder::new().spawn(listen).map(drop)
    }

    /// Tells all of them.
    fn tell(&mut self, line: &str) {
        for (_, input) in &mut self.children {
            let _ = writeln!(input, "{line}");
        }
    }

    fn take(&mut self, word: Result<Word, String>) {
        let report = match word {
            Ok(Word::Report(told)) => told.report(self.calibration),
            _ => None,
        };
        match report {
            Some(report) => self.reports.push(report),
            None => self.lost += 1,
        }
    }

    fn have_ended(&self) -> bool {
        self.reports.len() + self.lost >= self.children.len()
    }

    /// Waits until it is over; whether they have to be told.
    fn go_on(&mut self, start_ns: u64, run_ns: u64, look: &mut dyn FnMut(u64) -> bool) -> bool {
        let end_ns = start_ns.saturating_add(run_ns);
        loop {
            let now = now_ns();
            if now >= end_ns || self.have_ended() {
                return false;
            }
            if !look(now.saturating_sub(start_ns)) {
                return true;
            }
            let left = Duration::from_nanos(end_ns - now);
            match self.words.recv_timeout(left.min(LOOK)) {
                Ok(word) => self.take(word),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
    }

    /// Takes what all tell at the end; who did not in time, in words.
    fn finish(&mut self) -> Option<String> {
        let until = Instant::now() + LEAVE + LEAVE;
        while !self.have_ended() {
            let left = until.saturating_duration_since(Instant::now());
            match self.words.recv_timeout(left) {
                Ok(word) => self.take(word),
                Err(_) => break,
            }
        }
        let missing = self.children.len() - self.reports.len();
        let words = if missing == 1 { "process" } else { "processes" };
        (missing > 0)
            .then(|| format!("{missing} {words} told nothing: what was done there is in no figure"))
    }

    /// What all told together.
    fn report(&mut self) -> Result<Report, LoadError> {
        let together = parts::together(std::mem::take(&mut self.reports));
        together.ok_or_else(|| LoadError::System {
            what: "processes".to_owned(),
            error: "none of them told what it did".to_owned(),
        })
    }
}

/// That a process ended without a word, with the last line that it printed.
fn ended_early(errors: &mut impl Read) -> String {
    let mut text = String::new();
    // What can't be read is not told.
    let _ = errors.read_to_string(&mut text);
    match text.trim_end().lines().last() {
        Some(line) => format!("it ended early: {line}"),
        None => "it ended early".to_owned(),
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        for (child, _) in &mut self.children {
            // Most have ended by themselves.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
