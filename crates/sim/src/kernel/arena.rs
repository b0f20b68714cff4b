// SPDX-License-Identifier: GPL-2.0-or-later
//! Pages of an arena.

use super::{Answer, value};
use crate::machine::Machine;
use crate::maps::Contents;
use crate::run::Stop;
use rota_bytecode::Fault;

/// `bpf_arena_alloc_pages(map, address, pages, node, flags)`: the first page, or NULL.
pub(super) fn alloc_pages(
    machine: &mut Machine,
    [map, address, pages, _, flags]: [u64; 5],
) -> Result<Answer, Fault> {
    let at = (address != 0).then_some(address);
    value(match machine.map(map) {
        Some((memory, map)) if flags == 0 => match &mut map.contents {
            Contents::Arena(arena) => arena.take(memory, at, pages & 0xffff_ffff).unwrap_or(0),
            _ => 0,
        },
        _ => 0,
    })
}

/// `bpf_arena_free_pages(map, address, pages)`.
pub(super) fn free_pages(
    machine: &mut Machine,
    [map, address, pages, ..]: [u64; 5],
) -> Result<Answer, Fault> {
    if let Some((memory, map)) = machine.map(map)
        && let Contents::Arena(arena) = &mut map.contents
        && let Err(error) = arena.give_back(memory, address, pages & 0xffff_ffff)
    {
        return Ok(Answer::Stop(Stop::memory(&error)));
    }
    value(0)
}
