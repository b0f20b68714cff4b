// SPDX-License-Identifier: GPL-2.0-or-later
//! Calls of functions: which are traced, how they are put together, and how they are shown.

mod catalogue;
mod errno;
mod filter;
mod glob;
mod json;
mod lines;
mod session;
mod signature;
mod symbols;
mod table;
mod text;

pub use catalogue::{Function, Wanted};
pub use filter::Filter;
pub use glob::Pattern;
pub use lines::{ANCHOR, Dwarf, Lines, Place, build_id};
pub use session::{Call, Session, Sessions};
pub use signature::{Kind, Signature};
pub use symbols::Symbols;
pub use table::Times;

use rota_kernel::CallText;

/// What is needed to show calls.
#[derive(Debug)]
pub struct Shown<'a> {
    /// The functions that are traced.
    pub functions: &'a [Function],
    /// Names of addresses.
    pub symbols: &'a Symbols,
    /// Files and lines of addresses.
    pub lines: &'a Lines,
    /// From the monotonic clock to that of the day, in ns.
    pub boot_ns: u64,
    /// What it takes a call of a BPF program to be traced, in ns, which is taken off.
    pub cost_ns: u64,
    /// Whether to show arguments.
    pub args: bool,
}

impl Shown<'_> {
    /// How long a call took, in ns, without what it takes to trace that.
    pub fn ns(&self, call: &Call) -> Option<u64> {
        let is_program = |it: &Function| it.target.program_id.is_some();
        let cost = self.functions.get(call.function as usize).filter(|it| is_program(it));
        Some(call.ns()?.saturating_sub(cost.map_or(0, |_| self.cost_ns)))
    }

    /// When a call ended; where that was not seen, when what was called within it last did.
    pub fn end_ns(&self, call: &Call) -> u64 {
        let last = || call.calls.last().map_or(call.began_ns, |call| self.end_ns(call));
        call.ended.map_or_else(last, |(end, _)| end)
    }

    /// What is known of a call: its result and, if wanted, its arguments.
    pub fn known(&self, call: &Call) -> Vec<(String, String)> {
        let mut known = if self.args { self.arguments(call) } else { Vec::new() };
        known.push(("result".to_owned(), self.result(call)));
        known.extend(self.begin(call).map(|place| ("source".to_owned(), place.to_string())));
        known
    }

    /// Where a call's function begins in the source.
    fn begin(&self, call: &Call) -> Option<Place> {
        let function = self.functions.get(call.function as usize)?;
        self.lines.of_function(function, self.symbols)
    }

    /// The name of a call's function.
    pub fn name(&self, call: &Call) -> &str {
        self.functions.get(call.function as usize).map_or("?", |it| &it.target.name)
    }

    /// A result as text; `?` if it was not seen.
    fn result(&self, call: &Call) -> String {
        let Some((_, register)) = call.ended else { return "?".to_owned() };
        let function = self.functions.get(call.function as usize);
        match function.and_then(|it| it.signature.as_ref()) {
            Some(signature) => signature.ret.result(register),
            None => format!("{register:#x}"),
        }
    }

    /// Names and values of arguments.
    fn arguments(&self, call: &Call) -> Vec<(String, String)> {
        let function = self.functions.get(call.function as usize);
        let params = function.and_then(|it| it.signature.as_ref()).map(|it| &it.params);
        let params = params.into_iter().flatten().zip(call.args);
        // A structure may take any number of registers, so those after it are not known either.
        let mut known = true;
        let text = |(place, ((name, kind), register)): (usize, (&(String, Kind), u64))| {
            known &= *kind != Kind::Unknown;
            let behind = call.texts.iter().find(|text| text.arg as usize == place);
            let value = match (known, behind) {
                (false, _) => "?".to_owned(),
                (true, Some(behind)) => quoted(behind),
                (true, None) => kind.text(register),
            };
            (name.clone(), value)
        };
        params.enumerate().map(text).collect()
    }
}

/// A text in quotes; what goes on has dots behind it.
fn quoted(behind: &CallText) -> String {
    format!("{:?}{}", behind.text, if behind.cut { "…" } else { "" })
}
