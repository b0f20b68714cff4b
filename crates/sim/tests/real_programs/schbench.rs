// SPDX-License-Identifier: GPL-2.0-or-later
//! A program that does what schbench does, with threads and futexes (which `park` and `unpark`
//! are): message threads wake all their workers that wait; a worker sleeps, computes, and asks its
//! message thread for more.

use std::sync::Mutex;
use std::thread::{self, Thread};
use std::time::Duration;

/// How many message threads there are, and workers of each.
pub(crate) const MESSAGES: usize = 2;
pub(crate) const WORKERS: usize = 6;
/// How many requests each worker works on.
pub(crate) const REQUESTS: usize = 300;
const THINK: Duration = Duration::from_micros(100);
const RUN_NS: i64 = 200_000;

/// Workers that wait for their message thread, and how many will come back.
#[derive(Default)]
struct Waiting {
    workers: Vec<Thread>,
    working: usize,
}

/// The CPU time that a thread has had, in ns.
fn cpu_time_ns() -> i64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

/// Runs to the end.
pub(crate) fn main() {
    thread::scope(|scope| {
        for _ in 0..MESSAGES {
            let message = thread::Builder::new().name("message".to_owned());
            message.spawn_scoped(scope, message_thread).unwrap();
        }
    });
}

fn message_thread() {
    let waiting = Mutex::new(Waiting { workers: Vec::new(), working: WORKERS });
    let own = thread::current();
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            let (waiting, own) = (&waiting, &own);
            let worker = thread::Builder::new().name("worker".to_owned());
            worker.spawn_scoped(scope, move || worker_thread(waiting, own)).unwrap();
        }
        loop {
            thread::park();
            let mut all = waiting.lock().unwrap();
            let workers = std::mem::take(&mut all.workers);
            let ended = all.working == 0;
            drop(all);
            workers.iter().for_each(Thread::unpark);
            if ended {
                return;
            }
        }
    });
}

fn worker_thread(waiting: &Mutex<Waiting>, message: &Thread) {
    for _ in 0..REQUESTS {
        waiting.lock().unwrap().workers.push(thread::current());
        message.unpark();
        thread::park();
        thread::sleep(THINK);
        let start = cpu_time_ns();
        while cpu_time_ns() - start < RUN_NS {
            std::hint::spin_loop();
        }
    }
    waiting.lock().unwrap().working -= 1;
    message.unpark();
}
