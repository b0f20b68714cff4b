// SPDX-License-Identifier: GPL-2.0-or-later
//! Machines for tests, and what tests do with them.

use libtest_mimic::Failed;
use rota_vmtest::{Cache, Kernel, Machine, Options, Output, Vm};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// No command of a test may take longer.
const COMMAND_LIMIT: Duration = Duration::from_secs(240);

/// What stands before the shape of a machine whose time is counted in instructions, and where
/// sessions do not share the CPU as groups.
const COUNTED: &str = "counted ";

/// How many of the longest tests are told.
const LONGEST: usize = 30;

/// One machine for each kernel, shape and lane, of which so many work at a time.
pub(crate) struct Pool {
    machines: Mutex<BTreeMap<String, Arc<Mutex<Option<Guest>>>>>,
    at_a_time: usize,
    turns: Mutex<Turns>,
    changed: Condvar,
    took: Mutex<Vec<(Duration, String)>>,
    second: Mutex<Vec<String>>,
}

/// Who works.
#[derive(Default)]
struct Turns {
    taken: usize,
    /// How many want to be the only one. Nobody else begins meanwhile.
    alone: usize,
}

/// The right to have a machine work; it counts for so many.
struct Turn<'a>(&'a Pool, usize);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        lock(&self.0.turns).taken -= self.1;
        self.0.changed.notify_all();
    }
}

/// A running machine.
pub(crate) struct Guest {
    pub(crate) series: String,
    pub(crate) cache: Cache,
    smp: String,
    nodes: u32,
    vm: Vm,
}

impl Pool {
    pub(crate) fn new(at_a_time: usize) -> Self {
        Self {
            machines: Mutex::default(),
            at_a_time,
            turns: Mutex::default(),
            changed: Condvar::new(),
            took: Mutex::default(),
            second: Mutex::default(),
        }
    }

    /// Waits until one more machine may work.
    fn turn(&self) -> Turn<'_> {
        let busy = |turns: &mut Turns| turns.taken >= self.at_a_time || turns.alone > 0;
        let turns = self.changed.wait_while(lock(&self.turns), busy);
        turns.unwrap_or_else(PoisonError::into_inner).taken += 1;
        Turn(self, 1)
    }

    /// Waits until no other machine works, and none will.
    fn alone(&self) -> Turn<'_> {
        let mut turns = lock(&self.turns);
        turns.alone += 1;
        let turns = self.changed.wait_while(turns, |turns| turns.taken > 0);
        let mut turns = turns.unwrap_or_else(PoisonError::into_inner);
        turns.alone -= 1;
        turns.taken = self.at_a_time;
        Turn(self, self.at_a_time)
    }

    /// Runs a test on the machine of this kernel, shape and lane, which it has for itself. One that
    /// fails is run once more, on a new machine and with the host for itself, since guests lose
    /// seconds on a host that has too much to do. All such tests are named at the end.
    pub(crate) fn with(
        &self,
        name: &str,
        kernel: &str,
        smp: &str,
        nodes: u32,
        lane: &str,
        test: impl Fn(&mut Guest) -> Result<(), Failed>,
    ) -> Result<(), Failed> {
        let key = format!("{kernel} {smp} {nodes} {lane}");
        let slot = Arc::clone(lock(&self.machines).entry(key).or_default());
        let mut guest = lock(&slot);
        let mut once = |_turn: Turn<'_>| {
            if guest.is_none() {
                *guest = Some(Guest::boot(kernel, smp, nodes)?);
            }
            let start = Instant::now();
            let result = guest.as_mut().map_or(Ok(()), &test);
            lock(&self.took).push((start.elapsed(), name.to_owned()));
            if result.is_err() {
                // The next test gets a machine that this one has not spoiled.
                *guest = None;
            }
            result
        };
        // Only now: who waits for its machine keeps no other from working.
        let Err(first) = once(self.turn()) else { return Ok(()) };
        let words = first.message().unwrap_or("it panicked").trim();
        say(&format!("{name} failed and is run once more, alone. It said:\n{words}"));
        lock(&self.second).push(name.to_owned());
        once(self.alone())
    }

    /// Says which tests took longest, so that a slow suite shows where to trim it.
    pub(crate) fn tell_the_longest(&self) {
        let mut took = std::mem::take(&mut *lock(&self.took));
        took.sort_by(|a, b| b.cmp(a));
        let total: Duration = took.iter().map(|(time, _)| *time).sum();
        say(&format!("{:.0} s in machines; longest:", total.as_secs_f64()));
        for (time, name) in took.iter().take(LONGEST) {
            say(&format!("{:7.1} s  {name}", time.as_secs_f64()));
        }
        for name in lock(&self.second).iter() {
            say(&format!("run a second time, alone, since it failed beside others: {name}"));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Guest {
    fn boot(kernel: &str, smp: &str, nodes: u32) -> Result<Self, Failed> {
        let cache = Cache::from_env()?;
        let mut say = say;
        let image = Kernel::select(kernel, &cache, &mut say)?;
        let machine = match smp.strip_prefix(COUNTED) {
            Some(smp) => {
                let (icount, append) = (Some(2), "noautogroup".to_owned());
                Machine { nodes, icount, append, ..Machine::shaped(smp)? }
            }
            None => Machine { nodes, ..Machine::shaped(smp)? },
        };
        let bin = rota_dir()?;
        let tree = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
        let options = Options {
            path_dirs: vec![bin.clone()],
            visible: vec![bin, tree],
            ..Options::default()
        };
        let vm = Vm::start(&cache, &machine, &image, &options, &mut say)?;
        Ok(Self { series: kernel.to_owned(), cache, smp: smp.to_owned(), nodes, vm })
    }

    /// Another machine takes the place of this one.
    pub(crate) fn reboot(&mut self) -> Result<(), Failed> {
        *self = Self::boot(&self.series, &self.smp, self.nodes)?;
        Ok(())
    }

    /// Runs a script, whatever its exit status.
    pub(crate) fn run(&mut self, script: &str) -> Result<Output, Failed> {
        Ok(self.vm.run(script, COMMAND_LIMIT)?)
    }

    /// Runs a script that is to exit with this status; its standard output.
    pub(crate) fn expect(&mut self, status: i32, script: &str) -> Result<String, Failed> {
        let output = self.run(script)?;
        if output.status == status {
            return Ok(output.stdout);
        }
        Err(format!(
            "status {} instead of {status} from:\n{script}\nstdout:\n{}\nstderr:\n{}\nconsole:\n{}",
            output.status, output.stdout, output.stderr, output.console
        )
        .into())
    }

    /// Puts a file where the guest sees it; its path there.
    pub(crate) fn put(&self, name: &str, bytes: &[u8]) -> Result<String, Failed> {
        std::fs::write(self.vm.share().join(name), bytes)?;
        Ok(format!("{}/{name}", rota_vmtest::GUEST_SHARE))
    }

    /// An empty folder that host and guest share: its path here, and its path there.
    pub(crate) fn dir(&self, name: &str) -> Result<(PathBuf, String), Failed> {
        let here = self.vm.share().join(name);
        std::fs::create_dir_all(&here)?;
        Ok((here, format!("{}/{name}", rota_vmtest::GUEST_SHARE)))
    }

    /// Fails if the kernel itself complained in its log.
    pub(crate) fn kernel_is_well(&mut self) -> Result<(), Failed> {
        let log = self.expect(0, "dmesg")?;
        for word in ["BUG:", "WARNING:", "Oops", "soft lockup"] {
            if let Some(line) = log.lines().find(|l| l.contains(word)) {
                return Err(format!("the kernel complained: {line}").into());
            }
        }
        Ok(())
    }
}

/// Says something that a passing test has to say too.
pub(crate) fn say(text: &str) {
    // There is nowhere left to say that standard error is closed.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// The folder of the `rota` that belongs to this source tree, built if need be.
fn rota_dir() -> Result<PathBuf, Failed> {
    static BUILT: OnceLock<Result<(), String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| build(&["--package", "rota"]));
    built.clone().map_err(Failed::from)?;
    target_dir()
}

/// Builds something with the cargo and the target folder of this test run.
pub(crate) fn build(what: &[&str]) -> Result<(), String> {
    let dir = target_dir().map_err(|e| format!("{e:?}"))?;
    let target = dir.parent().ok_or("the test runs outside a target folder")?;
    let output = Command::new(env!("CARGO"))
        .arg("build")
        .args(what)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("CARGO_TARGET_DIR", target)
        .output()
        .map_err(|e| format!("cargo: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("building {what:?} failed:\n{}", String::from_utf8_lossy(&output.stderr)))
}

/// `…/target/debug`, from the place of this test.
pub(crate) fn target_dir() -> Result<PathBuf, Failed> {
    let exe = std::env::current_exe()?;
    let dir = exe.ancestors().nth(2).ok_or("the test runs outside a target folder")?;
    Ok(dir.to_owned())
}

/// Fails with this text unless it holds.
pub(crate) fn ensure(holds: bool, text: impl FnOnce() -> String) -> Result<(), Failed> {
    if holds { Ok(()) } else { Err(text().into()) }
}

/// Fails unless the text has every one of these in it.
pub(crate) fn contains(text: &str, words: &[&str]) -> Result<(), Failed> {
    let missing: Vec<_> = words.iter().filter(|w| !text.contains(**w)).collect();
    ensure(missing.is_empty(), || format!("{missing:?} not in:\n{text}"))
}
