// SPDX-License-Identifier: GPL-2.0-or-later
//! Machines for tests, and what tests do with them.

use libtest_mimic::Failed;
use rota_vmtest::{Cache, Kernel, Machine, Options, Output, Vm};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// No command of a test may take longer.
const COMMAND_LIMIT: Duration = Duration::from_secs(480);

/// What stands before the shape of a machine whose time is counted in instructions, and where
/// sessions do not share the CPU as groups.
const COUNTED: &str = "counted ";

/// Where a test runs: tests at one place share a machine.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) kernel: String,
    pub(crate) smp: &'static str,
    pub(crate) nodes: u32,
    pub(crate) lane: &'static str,
}

/// More tests than there are.
const MANY: usize = 1_000_000;

/// How many of the longest tests are told.
const LONGEST: usize = 30;

/// One machine for each kernel, shape and lane, of which so many are there at a time: one that
/// waits for its next test takes time from those that work.
pub(crate) struct Pool {
    lanes: Mutex<BTreeMap<Place, Arc<Lane>>>,
    at_a_time: usize,
    turns: Mutex<Turns>,
    changed: Condvar,
    took: Mutex<Vec<(Duration, String)>>,
    second: Mutex<Vec<String>>,
}

/// How many machines there are, and the numbers of those that wait to be: the first comes first.
#[derive(Default)]
struct Turns {
    taken: usize,
    waiting: BTreeSet<usize>,
}

/// Tests that share a machine, one after the other.
#[derive(Default)]
struct Lane {
    /// Lanes that are told of first have their turn first.
    number: usize,
    machine: Mutex<Option<Running>>,
    /// How many tests are to come.
    tests: AtomicUsize,
}

/// A machine, and the right to have it.
struct Running {
    guest: Guest,
    _turn: Turn,
}

/// The right to have a machine; it counts for so many.
struct Turn(Arc<Pool>, usize);

impl Drop for Turn {
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
            lanes: Mutex::default(),
            at_a_time,
            turns: Mutex::default(),
            changed: Condvar::new(),
            took: Mutex::default(),
            second: Mutex::default(),
        }
    }

    /// Waits until there may be so many machines more, and nobody with a lower number waits.
    fn turn(self: &Arc<Self>, number: usize, count: usize) -> Turn {
        let mut turns = lock(&self.turns);
        turns.waiting.insert(number);
        let mine = |turns: &Turns| {
            turns.taken + count <= self.at_a_time && turns.waiting.first() == Some(&number)
        };
        let turns = self.changed.wait_while(turns, |turns| !mine(turns));
        let mut turns = turns.unwrap_or_else(PoisonError::into_inner);
        turns.waiting.remove(&number);
        turns.taken += count;
        drop(turns);
        // There may be room for the next one too.
        self.changed.notify_all();
        Turn(Arc::clone(self), count)
    }

    fn lane(&self, place: &Place) -> Arc<Lane> {
        let mut lanes = lock(&self.lanes);
        let number = lanes.len();
        let new = || Arc::new(Lane { number, ..Lane::default() });
        Arc::clone(lanes.entry(place.clone()).or_insert_with(new))
    }

    /// A test is to come.
    pub(crate) fn expect(&self, place: &Place) {
        self.lane(place).tests.fetch_add(1, Ordering::Relaxed);
    }

    /// Runs a test on the machine at its place, which it has for itself. One that fails is run once
    /// more when all others are done, on a new machine and with the host for itself, since guests
    /// lose seconds on a host that has too much to do. All such tests are named at the end.
    pub(crate) fn with(
        self: &Arc<Self>,
        name: &str,
        place: &Place,
        test: impl Fn(&mut Guest) -> Result<(), Failed>,
    ) -> Result<(), Failed> {
        let lane = self.lane(place);
        let mut machine = lock(&lane.machine);
        let last = lane.tests.fetch_sub(1, Ordering::Relaxed) == 1;
        let first = self.once(name, place, &mut machine, (lane.number, 1), &test);
        if last || first.is_err() {
            // The next test gets a machine that this one has not spoiled.
            *machine = None;
        }
        drop(machine);
        let Err(first) = first else { return Ok(()) };
        let words = first.message().unwrap_or("it panicked").trim();
        say(&format!("{name} failed and is run once more, alone. It said:\n{words}"));
        let mut second = lock(&self.second);
        second.push(name.to_owned());
        let after_all = usize::MAX - MANY + second.len();
        drop(second);
        self.once(name, place, &mut None, (after_all, self.at_a_time), &test)
    }

    /// Runs a test on this machine, or on a new one with this number, which counts for so many.
    fn once(
        self: &Arc<Self>,
        name: &str,
        place: &Place,
        machine: &mut Option<Running>,
        (number, count): (usize, usize),
        test: &impl Fn(&mut Guest) -> Result<(), Failed>,
    ) -> Result<(), Failed> {
        let running = match machine {
            Some(running) => running,
            None => {
                let turn = self.turn(number, count);
                let guest = Guest::boot(&place.kernel, place.smp, place.nodes)?;
                machine.insert(Running { guest, _turn: turn })
            }
        };
        let start = Instant::now();
        let result = test(&mut running.guest);
        lock(&self.took).push((start.elapsed(), name.to_owned()));
        result
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
