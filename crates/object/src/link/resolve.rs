// SPDX-License-Identifier: GPL-2.0-or-later
//! Finds in the kernel what an object takes from it by name.

use crate::btf::TypeId;
use crate::image::{KfuncId, MapDef, VariableId};
use crate::link::code::Target;
use crate::link::error::Problem;
use crate::link::externs::{self, Configured, ExternKind};
use crate::link::{Linker, Resolved};

impl Linker<'_> {
    /// Where a symbol is used first.
    pub(super) fn first_use(&self, symbol: usize) -> Option<(usize, u32)> {
        self.codes.all.iter().enumerate().find_map(|(number, code)| {
            let found = code.targets.iter().find(|(_, t)| **t == Target::Extern(symbol))?;
            Some((number, *found.0))
        })
    }

    pub(super) fn resolve_externs(&mut self) {
        let externs = std::mem::take(&mut self.externs);
        let Configured { bytes, places, problems } = externs::configure(&externs, self.kernel);
        for (name, problem) in problems {
            let symbol = externs.iter().find(|e| e.name == name).map(|e| e.symbol);
            self.error(&name, symbol.and_then(|s| self.first_use(s)), problem);
        }
        if !places.is_empty() {
            let map = self.maps.add(MapDef::configuration(bytes));
            let place = |(symbol, at)| (symbol, Resolved::Config(map, at));
            self.resolved.extend(places.into_iter().map(place));
        }
        for wanted in &externs {
            let resolved = match wanted.kind {
                ExternKind::Config(_) => continue,
                ExternKind::Function(proto) => {
                    externs::function(wanted, proto, self.btf, self.kernel).map(|kfunc| {
                        self.image.kfuncs.push(kfunc);
                        Resolved::Kfunc(KfuncId(self.image.kfuncs.len() as u32 - 1))
                    })
                }
                ExternKind::Variable(ty) => externs::variable(wanted, ty, self.btf, self.kernel)
                    .map(|variable| {
                        if ty == TypeId(0) && variable.var.is_none() && !wanted.weak {
                            let place = self.first_use(wanted.symbol);
                            self.tell(&wanted.name, place, Problem::UntypedSymbol);
                        }
                        self.image.variables.push(variable);
                        Resolved::Variable(VariableId(self.image.variables.len() as u32 - 1))
                    }),
            };
            match resolved {
                Ok(resolved) => drop(self.resolved.insert(wanted.symbol, resolved)),
                Err(problem) => {
                    let place = self.first_use(wanted.symbol);
                    self.error(&wanted.name, place, problem);
                }
            }
        }
    }
}
