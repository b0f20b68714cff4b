// SPDX-License-Identifier: GPL-2.0-or-later
//! What the kernel's log says of schedulers of sched_ext that end.

use rustix::fs::OFlags;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;

/// The kernel's words for what ends a scheduler, with their numbers (kernel: `scx_exit_reason`).
const REASONS: &[(&str, u64)] = &[
    ("unregistered from user space", 64),
    ("unregistered from BPF", 65),
    ("unregistered from the main kernel", 66),
    ("disabled by sysrq-S", 67),
    ("runtime error", 1024),
    ("scx_bpf_error", 1025),
    ("runnable task stall", 1026),
];

/// The log from some moment on.
#[derive(Debug)]
pub(super) struct Said {
    log: Option<File>,
}

/// Why a scheduler ended.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Ended {
    /// 0 if it is not known.
    pub(super) kind: u64,
    /// The kernel's word for it, and what exactly happened if it was an error.
    pub(super) message: String,
}

impl Said {
    /// The log from now on; nothing for who may not read it.
    pub(super) fn new() -> Self {
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        let log = OpenOptions::new().read(true).custom_flags(flags).open("/dev/kmsg");
        let log = log.and_then(|mut log| log.seek(SeekFrom::End(0)).map(|_| log));
        Self { log: log.ok() }
    }

    /// Why a scheduler ended, as far as it was said since this was asked last.
    pub(super) fn ended(&mut self, scheduler: &str) -> Ended {
        let records = self.records();
        ended(records.iter().filter_map(|record| text(record)), scheduler)
    }

    fn records(&mut self) -> Vec<String> {
        let (mut records, mut room) = (Vec::new(), vec![0; 8192]);
        let Some(log) = &mut self.log else { return records };
        loop {
            match log.read(&mut room) {
                Ok(bytes @ 1..) => {
                    let record = room.get(..bytes).unwrap_or_default();
                    records.push(String::from_utf8_lossy(record).into_owned());
                }
                // Some were overwritten before they were read, or a signal came.
                Err(e) if matches!(e.kind(), ErrorKind::BrokenPipe | ErrorKind::Interrupted) => {}
                _ => return records,
            }
        }
    }
}

/// The text of a record of the log: `priority,number,time,flags;text`, and lines about the device.
fn text(record: &str) -> Option<&str> {
    record.split_once(';')?.1.lines().next()
}

fn ended<'a>(lines: impl Iterator<Item = &'a str>, scheduler: &str) -> Ended {
    let first = format!("sched_ext: BPF scheduler \"{scheduler}\" disabled (");
    let second = format!("sched_ext: {scheduler}: ");
    let mut found = Ended::default();
    let mut is_next = false;
    for line in lines {
        let reason = line.strip_prefix(&first).and_then(|rest| rest.strip_suffix(')'));
        if let Some(reason) = reason {
            let known = REASONS.iter().find(|(word, _)| *word == reason);
            found = Ended { kind: known.map_or(0, |known| known.1), message: reason.to_owned() };
        } else if let Some(more) = line.strip_prefix(&second).filter(|_| is_next) {
            found.message += &format!(": {more}");
        }
        is_next = reason.is_some();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_end_counts() {
        let records = [
            "6,339,5140900,-;sched_ext: BPF scheduler \"a\" disabled (unregistered from BPF)\n",
            "6,340,5140901,-;sched_ext: a: is no part of it\n SUBSYSTEM=x\n",
            "3,341,5140902,-;sched_ext: BPF scheduler \"a\" disabled (runnable task stall)\n",
            "3,342,5140903,-;sched_ext: a: b[7] failed to run for 5.1s\n",
            "3,343,5140904,-;sched_ext: a: a line of a stack\n",
            "6,344,5140905,-;sched_ext: BPF scheduler \"b\" disabled (something new)\n",
            "no record",
        ];
        let of = |count: usize, name| {
            ended(records[..count].iter().filter_map(|record| text(record)), name)
        };
        let told = |kind, message: &str| Ended { kind, message: message.to_owned() };
        assert_eq!(of(7, "a"), told(1026, "runnable task stall: b[7] failed to run for 5.1s"));
        assert_eq!(of(2, "a"), told(65, "unregistered from BPF: is no part of it"));
        assert_eq!(of(7, "b"), told(0, "something new"));
        assert_eq!(of(7, "c"), Ended::default());
    }

    #[test]
    fn a_log_that_may_not_be_read_says_nothing() {
        assert_eq!(Said { log: None }.ended("a"), Ended::default());
        assert_eq!(Said::new().ended("a"), Ended::default());
    }
}
