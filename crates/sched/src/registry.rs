// SPDX-License-Identifier: GPL-2.0-or-later
//! One line for each scheduler.

use crate::domains;
use crate::half::{HalfError, UserHalf};
use crate::simple;
use rota_object::Object;

/// Makes the user half of an object with settings given as (name, value) texts.
pub type NewHalf = fn(&Object, &[(String, String)]) -> Result<Box<dyn UserHalf>, HalfError>;

/// A setting of a user half, which BPF does not know: a text.
#[derive(Debug, Clone, Copy)]
pub struct TextSetting {
    /// Name of the flag.
    pub flag: &'static str,
    /// What it is if nobody sets it.
    pub default: &'static str,
    /// What it means, in one line.
    pub help: &'static str,
}

/// A scheduler that Rota brings along.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// Its name, as in `rota run NAME`.
    pub name: &'static str,
    /// The compiled object.
    pub object: &'static [u8],
    /// Its user half.
    pub new: NewHalf,
    /// Settings of its user half alone.
    pub texts: &'static [TextSetting],
}

/// Every scheduler, in the order of `rota list`.
pub const SCHEDULERS: &[Entry] = &[
    Entry {
        name: "domains",
        object: rota_programs::domains::OBJECT,
        new: domains::new,
        texts: &[domains::LISTS],
    },
    Entry { name: "simple", object: rota_programs::simple::OBJECT, new: simple::new, texts: &[] },
];

/// The scheduler with this name.
pub fn find(name: &str) -> Option<&'static Entry> {
    SCHEDULERS.iter().find(|e| e.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_compiled_scheduler_has_its_line() {
        let compiled: Vec<_> = rota_programs::ALL.iter().map(|(name, _)| *name).collect();
        let mut registered: Vec<_> = SCHEDULERS.iter().map(|e| e.name).collect();
        registered.sort_unstable();
        assert_eq!(registered, compiled);
    }
}
