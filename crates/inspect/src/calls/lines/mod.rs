// SPDX-License-Identifier: GPL-2.0-or-later
//! Files and lines of addresses: of BPF programs as the kernel tells them, of the kernel itself by a
//! `vmlinux` with DWARF.

mod bpf;
mod dwarf;
mod note;
#[cfg(test)]
mod tests;

pub use dwarf::{ANCHOR, Dwarf};
pub use note::build_id;

use super::{Function, Symbols};
use rota_kernel::BpfCode;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;

/// A place in the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The function that was inlined there, of which there may be several for an address; `None` for
    /// the function itself that the address is in.
    pub inlined: Option<String>,
    /// The file.
    pub file: String,
    /// The number of the line.
    pub line: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.file, self.line)
    }
}

/// What is known of files and lines.
#[derive(Debug, Default)]
pub struct Lines {
    /// The machine code of BPF programs.
    pub programs: Vec<BpfCode>,
    /// Of the kernel.
    pub kernel: Option<Dwarf>,
    /// Where functions begin, of those that were asked for.
    begins: RefCell<BTreeMap<String, Option<Place>>>,
}

impl Lines {
    /// From what is known.
    pub fn new(programs: Vec<BpfCode>, kernel: Option<Dwarf>) -> Self {
        Self { programs, kernel, begins: RefCell::default() }
    }

    /// The places of an address in a stack, the outermost first. It is where a call returns to, and the
    /// call is before that, unless it is where a function begins.
    pub fn of_frame(&self, address: u64, symbols: &Symbols) -> Vec<Place> {
        let begins = symbols.find(address).is_some_and(|(_, offset)| offset == 0);
        self.find(if begins { address } else { address.saturating_sub(1) })
    }

    fn find(&self, address: u64) -> Vec<Place> {
        match bpf::find(&self.programs, address) {
            Some((_, place)) => place.into_iter().collect(),
            None => self.kernel.as_ref().map(|it| it.find(address)).unwrap_or_default(),
        }
    }

    /// The number of the BPF program that an address is in.
    pub fn program_at(&self, address: u64) -> Option<u32> {
        bpf::find(&self.programs, address).map(|(id, _)| id)
    }

    /// Where a function begins.
    pub fn of_function(&self, function: &Function, symbols: &Symbols) -> Option<Place> {
        if let Some(id) = function.target.program_id {
            let code = self.programs.iter().find(|code| code.program_id == id)?;
            return self.find(code.functions.first()?.0).pop();
        }
        // Modules have files of their own.
        if self.kernel.is_none() || function.module.is_some() {
            return None;
        }
        let name = &function.target.name;
        let find = || self.find(symbols.address(name)?).into_iter().next();
        self.begins.borrow_mut().entry(name.clone()).or_insert_with(find).clone()
    }
}
