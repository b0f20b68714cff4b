// SPDX-License-Identifier: GPL-2.0-or-later
//! What a program has taken and must give back: references, locks, sections. The kernel's
//! verifier proves that every path does; no verifier has looked at what runs here.

use crate::effects::{Effect, Kind};
use crate::machine::Machine;
use crate::pool::FreeError;
use rota_bytecode::{Place, Spot};

/// What a program did that the kernel's verifier does not let a program do.
#[derive(Debug, thiserror::Error)]
pub enum Misuse {
    /// It gives back what it does not hold.
    #[error("{what} at {pointer:#x} is not held: it was given back before, or never taken")]
    NotHeld {
        /// What it should be.
        what: &'static str,
        /// Where it should be.
        pointer: u64,
    },
    /// It takes a lock that it holds already.
    #[error("this waits for ever: the lock is held already, since {0}")]
    Deadlock(Box<Place>),
    /// It allocates an object of a type that it does not have.
    #[error("type {0} is no structure of the program's")]
    Type(u32),
    /// It wants to own an object together with others, whose type does not count owners.
    #[error("the object at {0:#x} has no bpf_refcount")]
    Uncounted(u64),
    /// It takes ever more.
    #[error("it holds {HELD_MAX} things already and gives none of them back")]
    TooMany,
    /// It gives up where only a function of the program's own can.
    #[error("this is no call for a function that is called back")]
    Throw,
    /// It calls from a callback what only others may call.
    #[error("no program is loaded that calls it from a callback like this one")]
    Context,
    /// It frees an object that is none.
    #[error(transparent)]
    Free(#[from] FreeError),
}

/// So much can be held at once. What holds more has lost count.
const HELD_MAX: usize = 4096;

/// What was taken and not given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) kind: Kind,
    /// Where it is; 0 of a section.
    pub(crate) pointer: u64,
    /// How deep inside others the execution is that took it.
    depth: usize,
    /// The call that took it.
    pub(crate) at: Spot,
}

/// Everything that the programs hold which are running, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct References {
    held: Vec<Held>,
}

impl References {
    fn take(&mut self, kind: Kind, pointer: u64, depth: usize, at: Spot) {
        self.held.push(Held { kind, pointer, depth, at });
    }

    /// Gives something back; whether it was held. Interrupts are restored in reverse order only.
    pub(crate) fn give_back(&mut self, kind: Kind, pointer: u64) -> bool {
        let same = |held: &Held| {
            let kinds = held.kind == kind || held.kind.is_reference() && kind.is_reference();
            kinds && held.pointer == pointer
        };
        let mut newest = self.held.iter().rposition(same);
        if kind == Kind::Interrupts {
            let last = self.held.iter().rposition(|held| held.kind == kind);
            newest = newest.filter(|found| Some(*found) == last);
        }
        newest.map(|found| self.held.remove(found)).is_some()
    }

    /// Since when something of one of these kinds is held, if it is.
    pub(crate) fn find(&self, kinds: &[Kind], pointer: u64) -> Option<Held> {
        let same = |held: &&Held| kinds.contains(&held.kind) && held.pointer == pointer;
        self.held.iter().find(same).copied()
    }

    /// What an execution holds that ends at this depth, all of which it is then rid of.
    pub(crate) fn end(&mut self, depth: usize) -> Option<Held> {
        let first = self.held.iter().position(|held| held.depth >= depth)?;
        let left = self.held.get(first).copied();
        self.held.retain(|held| held.depth < depth);
        left
    }
}

impl Machine {
    /// What a program may hold a reference to by this pointer: of an object, its start.
    fn referred(&self, kind: Kind, pointer: u64) -> u64 {
        let start = if kind.is_reference() { self.pool.start_of(pointer) } else { None };
        start.unwrap_or(pointer)
    }

    /// What the program gives back with a call.
    pub(crate) fn before_call(
        &mut self,
        effects: &[Effect],
        args: &[u64; 5],
    ) -> Result<(), Misuse> {
        for effect in effects {
            let (kind, pointer) = match *effect {
                Effect::GivesBack(kind, argument) if args[argument] != 0 => {
                    (kind, self.referred(kind, args[argument]))
                }
                Effect::Leaves(kind) => (kind, 0),
                _ => continue,
            };
            if !self.references.give_back(kind, pointer) {
                return Err(Misuse::NotHeld { what: kind.words(), pointer });
            }
        }
        Ok(())
    }

    /// What the program takes with a call that has returned, or that calls back first.
    pub(crate) fn after_call(
        &mut self,
        effects: &[Effect],
        args: &[u64; 5],
        returned: Option<u64>,
        spot: Spot,
    ) -> Result<(), Misuse> {
        for effect in effects {
            let (kind, pointer) = match *effect {
                Effect::Returns(kind) => match returned {
                    None | Some(0) => continue,
                    Some(pointer) => (kind, self.referred(kind, pointer)),
                },
                Effect::Makes(kind, argument) => (kind, args[argument]),
                Effect::Takes(kind, argument) if returned.unwrap_or(0) == 0 => {
                    (kind, args[argument])
                }
                Effect::Enters(kind) => (kind, 0),
                _ => continue,
            };
            if self.references.held.len() == HELD_MAX {
                return Err(Misuse::TooMany);
            }
            // The execution that calls is the innermost one.
            self.references.take(kind, pointer, self.depth.saturating_sub(1), spot);
        }
        Ok(())
    }
}
