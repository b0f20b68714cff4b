// SPDX-License-Identifier: GPL-2.0-or-later
//! How busy CPUs are, how fast, how deep they sleep, how warm they get and what energy they take.
//!
//! A [`Meter`] chooses its sources once, by asking each of them, best first, and knows why a column
//! can't be had. It takes [`Sample`]s, all counters as they are at one time; an [`Interval`] is
//! what happened between two. The formulas are those that turbostat documents in its manual page.

mod energy;
mod idle;
mod interval;
mod meter;
mod packages;
mod render;
mod sample;

#[cfg(test)]
mod tests;

pub use energy::Domain;
pub(crate) use energy::has_sensors;
pub use interval::{Column, Interval, Row};
pub use meter::{Meter, Source};
pub use packages::Packages;
pub use render::Choice;
pub use sample::Sample;

use rota_topology::Tree;

/// What a machine can be asked: its `/sys`, its `/proc`, and counters of its hardware.
pub trait Hardware {
    /// The files below `/sys`.
    fn sys(&self) -> &dyn Tree;

    /// The text of a file below `/proc`.
    fn proc(&self, path: &str) -> Option<String>;

    /// The monotonic clock, in ns.
    fn now_ns(&self) -> u64;

    /// A register of a CPU by its number (an MSR of x86).
    ///
    /// # Errors
    /// Why it can't be read.
    fn register(&mut self, cpu: u32, number: u32) -> Result<u64, String>;

    /// What an event of perf, of this type and with this configuration, has counted on a CPU since it
    /// was asked for the first time.
    ///
    /// # Errors
    /// Why it can't be counted.
    fn event(&mut self, cpu: u32, kind: u32, config: u64) -> Result<u64, String>;
}

/// A file below `/sys` as text, without the white space around it.
fn text(sys: &dyn Tree, path: &str) -> Option<String> {
    Some(String::from_utf8(sys.read(path)?).ok()?.trim().to_owned())
}

/// A file below `/sys` that has a number.
fn number(sys: &dyn Tree, path: &str) -> Option<u64> {
    text(sys, path)?.parse().ok()
}

/// A file below `/sys` that has a temperature, in degrees.
fn degrees(sys: &dyn Tree, path: &str) -> Option<f64> {
    Some(text(sys, path)?.parse::<i64>().ok()? as f64 / 1000.0)
}

/// Where a counter of the hardware is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum At {
    Event { kind: u32, config: u64 },
    Register(u32),
    File(String),
}

impl At {
    /// What it says on a CPU.
    fn read(&self, hardware: &mut dyn Hardware, cpu: u32) -> Result<u64, String> {
        match self {
            Self::Event { kind, config } => hardware.event(cpu, *kind, *config),
            Self::Register(number) => hardware.register(cpu, *number),
            Self::File(path) => {
                number(hardware.sys(), path).ok_or_else(|| format!("{path} can't be read"))
            }
        }
    }
}

/// A source of events of perf.
#[derive(Clone, Copy)]
struct Pmu<'a> {
    sys: &'a dyn Tree,
    name: &'a str,
}

impl Pmu<'_> {
    fn file(&self, path: &str) -> Option<String> {
        text(self.sys, &format!("bus/event_source/devices/{}/{path}", self.name))
    }

    fn kind(&self) -> Option<u32> {
        self.file("type")?.parse().ok()
    }

    /// The configuration of an event, such as `event=0x02`.
    fn config(&self, event: &str) -> Option<u64> {
        let text = self.file(&format!("events/{event}"))?;
        let value = text.split(',').next()?.strip_prefix("event=")?;
        match value.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).ok(),
            None => value.parse().ok(),
        }
    }

    /// By what a count is to be multiplied.
    fn scale(&self, event: &str) -> Option<f64> {
        self.file(&format!("events/{event}.scale"))?.parse().ok()
    }
}
