// SPDX-License-Identifier: GPL-2.0-or-later
//! Counters of the hardware: registers of a CPU, and events of perf.

use perf_event::events::Event;
use perf_event::{Builder, Counter};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::{Errno, pread};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use std::path::PathBuf;

/// An event by its numbers (kernel: `struct perf_event_attr`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Numbers {
    cpu: u32,
    kind: u32,
    config: u64,
}

impl Event for Numbers {
    fn update_attrs(self, attr: &mut perf_event_open_sys::bindings::perf_event_attr) {
        attr.type_ = self.kind;
        attr.config = self.config;
    }
}

/// What the hardware counts, of all tasks. Events stay open as long as this lives.
#[derive(Default)]
pub struct Counters {
    events: BTreeMap<Numbers, Counter>,
}

impl Counters {
    /// A model-specific register of a CPU.
    ///
    /// # Errors
    /// Why it can't be read: no driver, no permission, no such register.
    pub fn register(&mut self, cpu: u32, number: u32) -> Result<u64, String> {
        let path = PathBuf::from(format!("/dev/cpu/{cpu}/msr"));
        let mut bytes = [0; 8];
        let mut read = || {
            let file = open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
            pread(&file, &mut bytes, u64::from(number))
        };
        match read() {
            Ok(8) => Ok(u64::from_ne_bytes(bytes)),
            Ok(_) | Err(Errno::IO) => Err(format!("there is no register {number:#x}")),
            Err(Errno::NOENT) => {
                Err(format!("{} is not there; modprobe msr makes it", path.display()))
            }
            Err(error) => Err(format!("{}: {}", path.display(), io::Error::from(error))),
        }
    }

    /// What an event of perf has counted on a CPU since it was asked for the first time.
    ///
    /// # Errors
    /// Why it can't be counted.
    pub fn event(&mut self, cpu: u32, kind: u32, config: u64) -> Result<u64, String> {
        let numbers = Numbers { cpu, kind, config };
        let words = |error: io::Error| error.to_string();
        let counter = match self.events.entry(numbers) {
            Entry::Occupied(counter) => counter.into_mut(),
            Entry::Vacant(place) => {
                let mut builder = Builder::new(numbers);
                // Some events of the hardware know nothing of whom they count.
                builder.any_pid().one_cpu(cpu as usize).exclude_kernel(false).exclude_hv(false);
                let mut counter = builder.build().map_err(words)?;
                counter.enable().map_err(words)?;
                place.insert(counter)
            }
        };
        counter.read().map_err(words)
    }
}
