// SPDX-License-Identifier: GPL-2.0-or-later
//! What a queue costs that two CPUs share: really, and as the simulator has it.
//!
//! Two threads on two CPUs insert a task at the end of one list and take one from its beginning, each
//! under the lock of the list, over and over, as CPUs do that have a dispatch queue in common. The lock
//! is queued as the kernel's is for two CPUs: who waits is next. The list, its lock and its length are
//! in one cache line, as in the kernel's structure, and each task has lines of its own.
//!
//! The same is done by one thread alone, and a message goes to and fro between the two, which is
//! what fetching a line takes. Medians and the quartiles beside them; then what the model says, and
//! the ratio. On a busy host it wants to go first: `nice -n -20`.
#![expect(clippy::print_stdout, reason = "it measures and tells")]
#![expect(clippy::disallowed_types, reason = "it measures real time")]

use rota_sim::Model;
use rustix::thread::{CpuSet, sched_setaffinity};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Instant;

/// Many and short, so that few of them are disturbed.
const TURNS: usize = 301;
/// Rounds of one turn, each with an insertion and a removal.
const ROUNDS: u32 = 5_000;
/// Tasks in the list, beside those that the threads have in their hands.
const TASKS: usize = 64;
const NONE: u32 = u32::MAX;

/// The lock is held, or somebody waits for it and is next.
const HELD: u32 = 1;
const WAITS: u32 = 1 << 8;

/// A list of tasks with its lock.
#[repr(align(128))]
struct List {
    lock: AtomicU32,
    first: AtomicU32,
    last: AtomicU32,
    count: AtomicU32,
    tasks: Vec<Task>,
}

/// A task, as far as a list goes.
#[repr(align(128))]
#[derive(Default)]
struct Task {
    next: AtomicU32,
    previous: AtomicU32,
    list: AtomicU32,
}

impl List {
    fn new(tasks: usize) -> Self {
        let [lock, first, last, count] = [0, NONE, NONE, 0].map(AtomicU32::new);
        let tasks = (0..tasks).map(|_| Task::default()).collect();
        Self { lock, first, last, count, tasks }
    }

    fn lock(&self) {
        let free = self.lock.compare_exchange(0, HELD, Ordering::Acquire, Ordering::Relaxed);
        if free.is_err() {
            // Who waited before may be about to take it.
            while self.lock.fetch_or(WAITS, Ordering::Acquire) & WAITS != 0 {
                while self.lock.load(Ordering::Relaxed) & WAITS != 0 {
                    std::hint::spin_loop();
                }
            }
            while self.lock.load(Ordering::Acquire) & HELD != 0 {
                std::hint::spin_loop();
            }
            self.lock.fetch_add(HELD.wrapping_sub(WAITS), Ordering::Acquire);
        }
    }

    fn unlock(&self) {
        self.lock.fetch_sub(HELD, Ordering::Release);
    }

    fn insert(&self, task: u32) {
        self.lock();
        let last = self.last.swap(task, Ordering::Relaxed);
        let this = &self.tasks[task as usize];
        this.previous.store(last, Ordering::Relaxed);
        this.next.store(NONE, Ordering::Relaxed);
        this.list.store(1, Ordering::Relaxed);
        match self.tasks.get(last as usize) {
            Some(last) => last.next.store(task, Ordering::Relaxed),
            None => self.first.store(task, Ordering::Relaxed),
        }
        self.count.store(self.count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        self.unlock();
    }

    fn remove(&self) -> u32 {
        self.lock();
        let first = self.first.load(Ordering::Relaxed);
        if let Some(this) = self.tasks.get(first as usize) {
            let next = this.next.load(Ordering::Relaxed);
            this.list.store(0, Ordering::Relaxed);
            self.first.store(next, Ordering::Relaxed);
            match self.tasks.get(next as usize) {
                Some(next) => next.previous.store(NONE, Ordering::Relaxed),
                None => self.last.store(NONE, Ordering::Relaxed),
            }
            self.count.store(self.count.load(Ordering::Relaxed) - 1, Ordering::Relaxed);
        }
        self.unlock();
        first
    }

    /// Inserts a task and removes one, over and over.
    fn hammer(&self, mut task: u32) {
        for _ in 0..ROUNDS {
            self.insert(task);
            task = self.remove();
        }
    }
}

fn pin(cpu: usize) {
    let mut cpus = CpuSet::new();
    cpus.set(cpu);
    sched_setaffinity(None, &cpus).unwrap();
}

/// How long it takes in ns until both have done something, each on a CPU of its own.
fn together(works: [&(dyn Fn() + Sync); 2]) -> f64 {
    let ready = AtomicU32::new(0);
    let ready = &ready;
    std::thread::scope(|scope| {
        let ends = [0, 1].map(|cpu| {
            scope.spawn(move || {
                pin(cpu);
                ready.fetch_add(1, Ordering::AcqRel);
                while ready.load(Ordering::Acquire) < 2 {
                    std::hint::spin_loop();
                }
                let start = Instant::now();
                works[cpu]();
                start.elapsed().as_nanos() as f64
            })
        });
        ends.map(|end| end.join().unwrap()).into_iter().fold(0.0, f64::max)
    })
}

/// A list of tasks, the first two of which are not in it.
fn list() -> List {
    let list = List::new(TASKS + 2);
    (2..TASKS as u32 + 2).for_each(|task| list.insert(task));
    list
}

/// What an insertion or removal takes, in ns: by one thread.
fn alone() -> f64 {
    let list = list();
    together([&|| list.hammer(0), &|| ()]) / f64::from(2 * ROUNDS)
}

/// By two: from one to the next, whoever makes it.
fn shared() -> f64 {
    let list = list();
    together([&|| list.hammer(0), &|| list.hammer(1)]) / f64::from(4 * ROUNDS)
}

/// What it takes until one CPU sees what another has written, in ns.
fn line() -> f64 {
    #[repr(align(128))]
    struct Ball(AtomicBool);
    let ball = Ball(AtomicBool::new(false));
    let play = |side: bool| {
        for _ in 0..ROUNDS {
            while ball.0.compare_exchange(side, !side, Ordering::AcqRel, Ordering::Relaxed).is_err()
            {
                std::hint::spin_loop();
            }
        }
    };
    together([&|| play(false), &|| play(true)]) / f64::from(2 * ROUNDS)
}

fn main() {
    let mut figures = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..TURNS {
        for (figures, measure) in figures.iter_mut().zip([line, alone, shared]) {
            figures.push(measure());
        }
    }
    let figures = figures.map(|mut turns| {
        turns.sort_by(f64::total_cmp);
        (turns[TURNS / 2], turns[TURNS / 4], turns[TURNS * 3 / 4])
    });
    let model = Model::named("desktop16").unwrap().unwrap();
    let (line, held) = (model.costs.line_ns[1] as f64, model.costs.dsq_ns as f64);
    let said = [line, held, line * model.costs.dsq_lines as f64 + held];
    let names = ["fetching a line", "a task in or out, alone", "the same, shared by two CPUs"];
    for ((name, (median, low, high)), said) in names.iter().zip(figures).zip(said) {
        println!(
            "{name:30} {median:6.1} ns ({low:.1} to {high:.1})   model {said:6.1} ns   {:.2}",
            said / median
        );
    }
}
