// SPDX-License-Identifier: GPL-2.0-or-later
//! One line for each scheduler.

use crate::domains;
use crate::half::{HalfError, UserHalf};
use crate::simple;
use rota_object::Object;

/// Makes the user half of an object with settings given as (name, value) texts.
pub type NewHalf = fn(&Object, &[(String, String)]) -> Result<Box<dyn UserHalf>, HalfError>;

/// A scheduler that Rota brings along.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// Its name, as in `rota run NAME`.
    pub name: &'static str,
    /// The compiled object.
    pub object: &'static [u8],
    /// Its user half.
    pub new: NewHalf,
}

/// Every scheduler, in the order of `rota list`.
pub const SCHEDULERS: &[Entry] = &[
    Entry { name: "domains", object: rota_programs::domains::OBJECT, new: domains::new },
    Entry { name: "simple", object: rota_programs::simple::OBJECT, new: simple::new },
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
