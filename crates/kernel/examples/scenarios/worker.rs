// SPDX-License-Identifier: GPL-2.0-or-later
//! The tasks of a scenario.

use crate::{Result, SCHED_EXT, on_cpus};
use rota_workload::Order;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How many tasks one may make.
const FORKS_MAX: usize = 64;

/// What a worker has been told last; 0 is to sleep.
mod word {
    pub(super) const SLEEP: u32 = 0;
    pub(super) const PULSE: u32 = 1;
    pub(super) const SPIN: u32 = 2;
    pub(super) const YIELD: u32 = 3;
    pub(super) const EXIT: u32 = 4;
    pub(super) const FORK: u32 = 5;
    /// By which the number of tasks stands in the word, if it is about making some.
    pub(super) const COUNT: u32 = 256;
}

/// A task of a scenario: a thread that does as it is told.
pub(crate) struct Worker {
    pub(crate) tid: i32,
    told: Arc<AtomicU32>,
    children: Arc<[AtomicI32]>,
    thread: JoinHandle<()>,
}

impl Worker {
    pub(crate) fn start(task: &rota_workload::TaskSpec) -> Result<Self> {
        let told = Arc::new(AtomicU32::new(word::SLEEP));
        let (send, receive) = std::sync::mpsc::channel();
        let heard = Arc::clone(&told);
        let children: Arc<[AtomicI32]> = (0..FORKS_MAX).map(|_| AtomicI32::new(0)).collect();
        let made = Arc::clone(&children);
        let cpus: Vec<usize> = task.cpus.iter().map(|cpu| cpu.0 as usize).collect();
        let first = cpus[..1].to_vec();
        let thread = thread::Builder::new().name(task.name.clone()).spawn(move || {
            // It goes to its first CPU, and falls asleep there.
            let there = on_cpus(0, &first).is_ok();
            let _ = send.send(there.then(rustix::thread::gettid));
            work(&heard, &made);
        })?;
        let tid = receive.recv()?.ok_or("a task can't be bound to its CPU")?;
        let tid = tid.as_raw_nonzero().get();
        // It sleeps now, so that it comes to the scheduler asleep.
        thread::sleep(Duration::from_millis(20));
        on_cpus(tid, &cpus)?;
        let (class, sched_priority) =
            if task.realtime { (libc::SCHED_FIFO, 1) } else { (SCHED_EXT, 0) };
        let parameter = libc::sched_param { sched_priority };
        // SAFETY: the kernel reads the parameter, which lives until the call returns.
        #[expect(unsafe_code, reason = "no library sets this class for another thread")]
        let done = unsafe { libc::sched_setscheduler(tid, class, &parameter) };
        if done != 0 {
            return Err(std::io::Error::last_os_error().into());
        }
        Ok(Self { tid, told, children, thread })
    }

    pub(crate) fn tell(&self, order: &Order) -> Result<()> {
        let (word, wake) = match order {
            Order::Pulse => (word::PULSE, true),
            Order::Spin => (word::SPIN, true),
            Order::Sleep => (word::SLEEP, false),
            Order::Yield => (word::YIELD, false),
            Order::Exit => (word::EXIT, true),
            Order::Fork(count) => (word::FORK + word::COUNT * count, true),
            Order::Nice(nice) => {
                let tid = rustix::process::Pid::from_raw(self.tid);
                return Ok(rustix::process::setpriority_process(tid, *nice)?);
            }
            Order::Cpus(cpus) => {
                let cpus: Vec<usize> = cpus.iter().map(|cpu| cpu.0 as usize).collect();
                return on_cpus(self.tid, &cpus);
            }
        };
        self.told.store(word, Ordering::SeqCst);
        if wake {
            self.thread.thread().unpark();
        }
        Ok(())
    }

    /// The tasks that it has made, with their places in the order of making.
    pub(crate) fn children(&self) -> impl Iterator<Item = (usize, i32)> {
        let all = self.children.iter().map(|child| child.load(Ordering::SeqCst)).enumerate();
        all.filter(|(_, tid)| *tid != 0)
    }

    /// Tells it to end, and waits until it has.
    pub(crate) fn end(self) -> Result<()> {
        self.tell(&Order::Exit)?;
        self.thread.join().map_err(|_| "a worker panicked".into())
    }
}

/// Does what it is told until it is told to end.
fn work(told: &AtomicU32, children: &Arc<[AtomicI32]>) {
    loop {
        let word = told.load(Ordering::SeqCst);
        match word % word::COUNT {
            word::EXIT => return,
            word::SPIN => std::hint::spin_loop(),
            word::YIELD => {
                told.store(word::SPIN, Ordering::SeqCst);
                thread::yield_now();
            }
            word::PULSE => told.store(word::SLEEP, Ordering::SeqCst),
            word::FORK => {
                told.store(word::SLEEP, Ordering::SeqCst);
                fork(word / word::COUNT, children);
            }
            _ => thread::park(),
        }
    }
}

/// Makes threads that end at once.
fn fork(count: u32, children: &Arc<[AtomicI32]>) {
    for i in 0..count as usize {
        let children = Arc::clone(children);
        // One that can't be made leaves no number, and is missed.
        drop(thread::spawn(move || {
            let tid = rustix::thread::gettid().as_raw_nonzero().get();
            children[i].store(tid, Ordering::SeqCst);
        }));
    }
}
