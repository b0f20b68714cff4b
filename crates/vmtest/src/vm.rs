// SPDX-License-Identifier: GPL-2.0-or-later
//! A running machine that takes one command after the other.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::cache::{Cache, Progress};
use crate::console;
use crate::error::{Cause, Failure};
use crate::guest::{Options, WorkDir};
use crate::host::Host;
use crate::kernels::Kernel;
use crate::machine::Machine;
use crate::process::Processes;
use crate::{Error, Result};

/// Which of a command's two streams something was printed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A callback that gets a command's output while it runs.
pub type Sink<'a> = &'a mut dyn FnMut(Stream, &[u8]);

/// What a command did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Its exit status as a shell reports it: 128 and the signal's number if a signal ended it.
    pub status: i32,
    /// What it printed to standard output.
    pub stdout: String,
    /// What it printed to standard error.
    pub stderr: String,
    /// What the kernel printed to its console meanwhile (warnings and above).
    pub console: String,
    /// How long it took, measured on the host.
    pub elapsed: Duration,
}

/// A running machine. Dropping it kills it and leaves nothing behind.
///
/// It may be used from any thread, one command at a time. After an error of kind
/// [`Error::Machine`] it is dead, and every further command fails alike.
#[derive(Debug)]
pub struct Vm {
    // Dropped in this order: QEMU ends before its folder goes away.
    processes: Processes,
    control: UnixStream,
    answers: Receiver<String>,
    dir: WorkDir,
    console: PathBuf,
    commands: u32,
    boot_time: Duration,
    retried: bool,
    dead: Option<Cause>,
}

impl Vm {
    /// Boots a machine and waits until it takes commands. If the kernel oopses on the way in the
    /// manner of a patching race under emulation, it is booted once more, with a message.
    pub fn start(
        cache: &Cache,
        machine: &Machine,
        kernel: &Kernel,
        options: &Options,
        progress: Progress<'_>,
    ) -> Result<Vm> {
        match Vm::start_once(cache, machine, kernel, options) {
            Err(Error::Machine(failure)) if console::shows_patching_race(&failure.console) => {
                progress(
                    "the kernel fell over a half-patched instruction (int3), an artefact of emulation; booting once more",
                );
                let vm = Vm::start_once(cache, machine, kernel, options)?;
                Ok(Vm { retried: true, ..vm })
            }
            other => other,
        }
    }

    fn start_once(
        cache: &Cache,
        machine: &Machine,
        kernel: &Kernel,
        options: &Options,
    ) -> Result<Vm> {
        let started = Instant::now();
        let host = Host::find()?;
        let dir = WorkDir::create(cache)?;
        let console = match &options.console {
            Some(path) => std::path::absolute(path).map_err(Error::io("cannot write", path))?,
            None => dir.path().join("console"),
        };
        File::create(&console).map_err(Error::io("cannot write the console to", &console))?;
        let init = dir.fill(cache, kernel, options)?;
        let arguments = machine.arguments(&host, kernel, &console, &init)?;
        let (control, theirs) =
            UnixStream::pair().map_err(Error::io("no socket in", dir.path()))?;
        let log = |name: &str| {
            let path = dir.path().join(name);
            File::create(&path).map_err(Error::io("cannot write", &path))
        };
        let mut virtiofsd = host.virtiofsd();
        virtiofsd.stdin(listen(dir.path(), "fs.sock")?).stdout(log("virtiofsd.log")?);
        virtiofsd.stderr(log("virtiofsd.err")?).current_dir("/");
        let mut qemu = host.qemu();
        qemu.args(arguments).current_dir(dir.path()).stdin(OwnedFd::from(theirs));
        qemu.stdout(log("qemu.log")?).stderr(log("qemu.err")?);
        let processes = Processes::start(virtiofsd, qemu)?;
        let answers = listen_to(&control)?;
        let mut vm = Vm {
            processes,
            control,
            answers,
            dir,
            console,
            commands: 0,
            boot_time: Duration::ZERO,
            retried: false,
            dead: None,
        };
        vm.wait("booting", "ready", options.boot_timeout, &mut || ())?;
        vm.boot_time = started.elapsed();
        Ok(vm)
    }

    /// How long it took until the machine took commands.
    pub fn boot_time(&self) -> Duration {
        self.boot_time
    }

    /// Whether it took two boots.
    pub fn retried(&self) -> bool {
        self.retried
    }

    /// The folder of the host that the guest sees as [`crate::GUEST_SHARE`]; both may write to it.
    /// The host sees at once what the guest writes. The guest sees new files at once, and changes
    /// to a file that it knows within a second.
    pub fn share(&self) -> PathBuf {
        self.dir.share()
    }

    /// Everything that the kernel printed to its console so far.
    pub fn console(&self) -> String {
        console::clean(&console::read_from(&self.console, 0).0)
    }

    /// Runs a shell script as root, with no standard input, and waits for its end. What it leaves
    /// in the background goes on.
    ///
    /// A script that does not end within `timeout` costs the machine its life: what it hangs on
    /// may well be the scheduler under test.
    pub fn run(&mut self, script: &str, timeout: Duration) -> Result<Output> {
        self.run_streaming(script, timeout, &mut |_, _| ())
    }

    /// Like [`Vm::run`], and passes on what the script prints as it comes.
    pub fn run_streaming(
        &mut self,
        script: &str,
        timeout: Duration,
        sink: Sink<'_>,
    ) -> Result<Output> {
        if let Some(cause) = &self.dead {
            let cause = cause.clone();
            return Err(self.failure(cause));
        }
        let (_, console_start) = console::read_from(&self.console, 0);
        let started = Instant::now();
        self.commands += 1;
        let number = self.commands;
        let file = |kind: &str| self.dir.guest().join(format!("{number}.{kind}"));
        let path = file("sh");
        fs::write(&path, script).map_err(Error::io("cannot write", &path))?;
        let mut stdout = Capture::create(&file("out"))?;
        let mut stderr = Capture::create(&file("err"))?;
        // If the guest is gone, the wait below finds out and says why.
        let _ = self.control.write_all(format!("run {number}\n").as_bytes());
        let mut pass_on = || {
            stdout.pass_on(Stream::Stdout, sink);
            stderr.pass_on(Stream::Stderr, sink);
        };
        let answer = self.wait("the command", &format!("done {number} "), timeout, &mut pass_on);
        pass_on();
        let status = answer?;
        let console = console::clean(&console::read_from(&self.console, console_start).0);
        Ok(Output {
            status: status.parse().unwrap_or(255),
            stdout: stdout.text(),
            stderr: stderr.text(),
            console,
            elapsed: started.elapsed(),
        })
    }

    /// Sends a SysRq command to the guest's kernel, such as `'S'`, which ejects a scheduler.
    pub fn sysrq(&mut self, key: char) -> Result<()> {
        let script = format!("echo {key} >/proc/sysrq-trigger");
        self.run(&script, Duration::from_secs(30)).map(|_| ())
    }

    /// Waits for an answer that begins with `expected`, and returns the rest of it.
    fn wait(
        &mut self,
        what: &str,
        expected: &str,
        limit: Duration,
        idle: &mut dyn FnMut(),
    ) -> Result<String> {
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.answers.recv_timeout(left.min(POLL)) {
                Ok(answer) => {
                    if let Some(rest) = answer.strip_prefix(expected) {
                        return Ok(rest.to_string());
                    }
                }
                Err(RecvTimeoutError::Timeout) if left.is_zero() => {
                    self.processes.finish(Duration::ZERO);
                    let cause = Cause::Timeout { what: what.to_string(), limit };
                    return Err(self.failure(cause));
                }
                Err(RecvTimeoutError::Timeout) => idle(),
                Err(RecvTimeoutError::Disconnected) => {
                    let cause = self.ended();
                    return Err(self.failure(cause));
                }
            }
        }
    }

    /// Finds out why QEMU is gone.
    fn ended(&mut self) -> Cause {
        let end = self.processes.finish(Duration::from_secs(5));
        let text = self.console();
        if let Some(line) = console::panic_line(&text) {
            return Cause::Panic { line: line.to_string() };
        }
        if let Some(line) = console::setup_line(&text) {
            return Cause::Setup { detail: line.to_string() };
        }
        let logs = ["qemu.err", "virtiofsd.err"].map(|name| self.dir.path().join(name));
        let logs = logs.map(|path| fs::read_to_string(path).unwrap_or_default());
        let said: Vec<_> = logs.iter().flat_map(|log| log.lines()).collect();
        Cause::Ended { detail: format!("{end}; {}", said.join("; ")) }
    }

    fn failure(&mut self, cause: Cause) -> Error {
        self.dead = Some(cause.clone());
        let console = self.console();
        let console_tail = console::tail(&console);
        Error::from(Box::new(Failure { cause, console_tail, console }))
    }
}

/// How often output is passed on, and so how late it may be.
const POLL: Duration = Duration::from_millis(20);

/// A socket that listens in a folder. A socket's address holds 107 bytes, which the path of the
/// folder may exceed; the path through /proc does not.
fn listen(folder: &Path, name: &str) -> Result<OwnedFd> {
    let open = File::open(folder).map_err(Error::io("cannot open", folder))?;
    let path = format!("/proc/self/fd/{}/{name}", open.as_raw_fd());
    let socket = UnixListener::bind(path).map_err(Error::io("cannot make a socket in", folder))?;
    Ok(socket.into())
}

/// Starts a thread that reads the guest's answers, until QEMU ends.
fn listen_to(control: &UnixStream) -> Result<Receiver<String>> {
    let failed = |source| Error::Io { context: "cannot read from the guest".to_string(), source };
    let control = control.try_clone().map_err(failed)?;
    let (send, answers) = mpsc::channel();
    let read = move || {
        for line in BufReader::new(control).lines() {
            let Ok(line) = line else { return };
            if send.send(line).is_err() {
                return;
            }
        }
    };
    thread::Builder::new().name("rota-vm answers".to_string()).spawn(read).map_err(failed)?;
    Ok(answers)
}

/// A file that the guest writes and that is read while it grows.
struct Capture {
    file: File,
    bytes: Vec<u8>,
}

impl Capture {
    fn create(path: &Path) -> Result<Capture> {
        let failed = Error::io("cannot make", path);
        File::create(path)
            .and_then(|_| File::open(path))
            .map_err(failed)
            .map(|file| Capture { file, bytes: Vec::new() })
    }

    fn pass_on(&mut self, stream: Stream, sink: Sink<'_>) {
        let known = self.bytes.len();
        // What could be read before an error is passed on all the same.
        let _ = self.file.read_to_end(&mut self.bytes);
        if self.bytes.len() > known {
            sink(stream, &self.bytes[known..]);
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}
