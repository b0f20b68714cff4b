// SPDX-License-Identifier: GPL-2.0-or-later
//! What a thread of this process can be told, and tells of itself, for which no library has calls.

#![expect(unsafe_code, reason = "rustix has neither scheduling policies nor the usage of threads")]

use std::io;

/// How a thread is scheduled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThreadPolicy {
    /// As most are: `SCHED_OTHER`.
    Other,
    /// First in, first out, before all others, with a priority from 1 to 99: `SCHED_FIFO`.
    Fifo(i32),
}

/// How often a thread was switched away from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ThreadSwitches {
    /// Since it went to sleep.
    pub voluntary: u64,
    /// While it wanted to go on, or yielded.
    pub involuntary: u64,
}

/// Changes how the calling thread is scheduled.
///
/// # Errors
/// That of the kernel: `EPERM` without the permission to.
pub fn set_thread_policy(policy: ThreadPolicy) -> io::Result<()> {
    let (policy, sched_priority) = match policy {
        ThreadPolicy::Other => (libc::SCHED_OTHER, 0),
        ThreadPolicy::Fifo(priority) => (libc::SCHED_FIFO, priority),
    };
    let parameter = libc::sched_param { sched_priority };
    // SAFETY: the kernel reads the parameter, which lives until the call returns; 0 is the caller.
    let done = unsafe { libc::sched_setscheduler(0, policy, &parameter) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// How often the calling thread was switched away from.
pub fn thread_switches() -> ThreadSwitches {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the kernel writes one rusage, and there is room for it.
    let done = unsafe { libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr()) };
    if done != 0 {
        // It has no reason to fail.
        return ThreadSwitches::default();
    }
    // SAFETY: all of it was zero before the kernel wrote to it, and that is a value too.
    let usage = unsafe { usage.assume_init() };
    ThreadSwitches {
        voluntary: usage.ru_nvcsw.cast_unsigned(),
        involuntary: usage.ru_nivcsw.cast_unsigned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;
    use std::time::Duration;

    #[test]
    fn sleeping_is_a_switch_of_ones_own_will() {
        let before = thread_switches();
        (0..10).for_each(|_| thread::sleep(Duration::from_micros(100)));
        let after = thread_switches();
        assert!(after.voluntary >= before.voluntary + 10, "{before:?} {after:?}");
    }

    #[test]
    fn everybody_may_be_scheduled_as_most_are() {
        thread::spawn(|| set_thread_policy(ThreadPolicy::Other).unwrap()).join().unwrap();
        let wrong = thread::spawn(|| set_thread_policy(ThreadPolicy::Fifo(100))).join().unwrap();
        assert_eq!(wrong.unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
