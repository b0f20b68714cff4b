// SPDX-License-Identifier: GPL-2.0-or-later
//! Trees of objects (kernel: `kernel/bpf/helpers.c`).

use super::{Answer, list, value};
use crate::containers::middle;
use crate::machine::Machine;
use crate::run::{Callbacks, Next};
use rota_bytecode::Fault;
use std::ops::Range;

/// `bpf_rbtree_add(root, node, less)`: finds the place by asking the program, from the root down.
pub(super) fn add(
    machine: &mut Machine,
    [root, node, less, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    let within = 0..machine.containers.len(root);
    if machine.containers.hangs(node) || within.is_empty() {
        return list::hang(machine, root, node, Some(0));
    }
    Ok(Answer::Callbacks(Box::new(Descent { root, node, less, within })))
}

/// The search for a node's place.
struct Descent {
    root: u64,
    node: u64,
    less: u64,
    /// The places before one of which it may belong, or at the end.
    within: Range<usize>,
}

impl Callbacks for Descent {
    fn next(&mut self, machine: &mut Machine, last: Option<u64>) -> Result<Next, Fault> {
        if let (Some(is_less), Some(asked)) = (last, middle(&self.within)) {
            // The answer is a bool: the upper bits may hold anything.
            match is_less & 0xff {
                0 => self.within.start = asked + 1,
                _ => self.within.end = asked,
            }
        }
        let other = middle(&self.within).and_then(|place| machine.containers.at(self.root, place));
        match other {
            Some(other) => Ok(Next::Call(self.less, [self.node, other, 0, 0, 0])),
            None => {
                let place = self.within.start.min(machine.containers.len(self.root));
                match list::hang(machine, self.root, self.node, Some(place))? {
                    Answer::Value(value) => Ok(Next::Done(value)),
                    _ => Ok(Next::Done(0)),
                }
            }
        }
    }
}

/// `bpf_rbtree_root(root)`: the node at the root, or NULL.
pub(super) fn top(machine: &mut Machine, [root, ..]: [u64; 5]) -> Result<Answer, Fault> {
    machine.memory.read_u64(root)?;
    value(machine.containers.root(root).unwrap_or(0))
}

/// `bpf_rbtree_left(root, node)`.
pub(super) fn left(machine: &mut Machine, [root, node, ..]: [u64; 5]) -> Result<Answer, Fault> {
    machine.memory.read_u64(node)?;
    value(machine.containers.below(root, node)[0].unwrap_or(0))
}

/// `bpf_rbtree_right(root, node)`.
pub(super) fn right(machine: &mut Machine, [root, node, ..]: [u64; 5]) -> Result<Answer, Fault> {
    machine.memory.read_u64(node)?;
    value(machine.containers.below(root, node)[1].unwrap_or(0))
}
