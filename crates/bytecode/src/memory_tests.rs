// SPDX-License-Identifier: GPL-2.0-or-later
//! Tests of the memory, from Rust's side.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn fault_at(pointer: u64, size: u64, write: bool) -> Fault {
    Fault { pointer, size, write }
}

#[test]
fn allocations_are_zeroed_pages_with_a_gap_behind() {
    let memory = Memory::new().unwrap();
    let first = memory.alloc(1, 1, Protection::ReadWrite).unwrap();
    let second = memory.alloc(PAGE + 1, 8, Protection::ReadOnly).unwrap();
    assert_eq!(first, KERNEL + (128 << 10));
    assert_eq!(second, first + 2 * PAGE);
    assert_eq!(memory.read_u64(first + PAGE - 8), Ok(0));
    assert_eq!(memory.read_u64(first + PAGE - 4), Err(fault_at(first + PAGE, 8, false)));
    assert_eq!(memory.read_u8(second + 2 * PAGE - 1), Ok(0));
    assert_eq!(memory.write_u8(second, 1), Err(fault_at(second, 1, true)));
    memory.protect(second, Protection::ReadWrite).unwrap();
    memory.write_u32(second + PAGE - 2, 0x0403_0201).unwrap();
    assert_eq!(memory.read_u32(second + PAGE - 1), Ok(0x04_0302));
    let aligned = memory.alloc(1, 1 << 20, Protection::ReadWrite).unwrap();
    assert_eq!(aligned % (1 << 20), 0);
}

#[test]
fn freed_memory_is_gone_and_comes_back_zeroed() {
    let memory = Memory::new().unwrap();
    let pointer = memory.alloc(8, 8, Protection::ReadWrite).unwrap();
    memory.write_u64(pointer, 7).unwrap();
    memory.free(pointer).unwrap();
    assert_eq!(memory.read_u64(pointer), Err(fault_at(pointer, 8, false)));
    assert!(matches!(memory.free(pointer), Err(MemoryError::Pointer(_))));
    // Not given out again while there is other room.
    let half = (KERNEL_PAGES.end - KERNEL_PAGES.start) / 2 * PAGE;
    let next = memory.alloc(half, 1, Protection::ReadWrite).unwrap();
    assert!(next > pointer);
    let most = half - (2 << 20);
    let rest = memory.alloc(most, 1, Protection::ReadWrite).unwrap();
    assert!(matches!(memory.alloc(half, 1, Protection::ReadWrite), Err(MemoryError::Full(_))));
    assert_eq!(memory.alloc(PAGE, 1, Protection::ReadWrite).unwrap(), rest + most + PAGE);
    while memory.alloc(64 * PAGE, 1, Protection::ReadWrite).is_ok() {}
    while let Ok(again) = memory.alloc(1, 1, Protection::ReadWrite) {
        if again == pointer {
            assert_eq!(memory.read_u64(pointer), Ok(0));
            return;
        }
    }
    panic!("the first page was never given out again");
}

#[test]
fn what_is_refused() {
    let memory = Memory::new().unwrap();
    for (size, align) in [(0, 1), (1, 0), (1, 3)] {
        let refused = memory.alloc(size, align, Protection::ReadWrite);
        assert!(matches!(refused, Err(MemoryError::Request { .. })));
    }
    for (size, align) in [(u64::MAX, 1), (WINDOW, 1), (1, 1 << 63), (1, WINDOW)] {
        let refused = memory.alloc(size, align, Protection::ReadWrite);
        assert!(matches!(refused, Err(MemoryError::Full(_))), "{size:#x} {align:#x}");
    }
    let pointer = memory.alloc(2 * PAGE, 1, Protection::ReadWrite).unwrap();
    for bad in [pointer + 8, pointer + PAGE, pointer & 0xffff_ffff, 0] {
        assert!(matches!(memory.free(bad), Err(MemoryError::Pointer(_))));
        assert!(matches!(memory.protect(bad, Protection::ReadOnly), Err(MemoryError::Pointer(_))));
    }
    let kernel = KERNEL_PLACES;
    for (at, size) in [
        (8, PAGE),
        (PAGE, 0),
        (0, u64::MAX),
        (WINDOW - PAGE, 2 * PAGE),
        (KERNEL, 1),
        (kernel.start - PAGE, 2 * PAGE),
        (kernel.end - PAGE, PAGE),
    ] {
        assert!(memory.map(at, size, Protection::ReadWrite).is_err(), "{at:#x} {size:#x}");
    }
    memory.map(kernel.start - PAGE, PAGE, Protection::ReadWrite).unwrap();
    memory.map(kernel.end, WINDOW - kernel.end, Protection::ReadWrite).unwrap();
}

#[test]
fn the_arena_has_pages_where_it_is_told() {
    let memory = Memory::new().unwrap();
    let user = 0x7f00_2000_0000;
    memory.map(user, 3 * PAGE, Protection::ReadWrite).unwrap();
    assert!(memory.map(0x2000_0000 + 2 * PAGE, PAGE, Protection::ReadWrite).is_err());
    memory.write_u64(user + 8, 5).unwrap();
    assert_eq!(memory.read_u64(0x2000_0008), Ok(5));
    memory.unmap(user + PAGE, PAGE).unwrap();
    assert_eq!(memory.read_u8(user + PAGE), Err(fault_at(0x2000_0000 + PAGE, 1, false)));
    assert!(memory.unmap(user, 3 * PAGE).is_err());
    memory.unmap(user, PAGE).unwrap();
    memory.map(user, PAGE, Protection::ReadOnly).unwrap();
    assert_eq!(memory.read_u64(user + 8), Ok(0));
}

#[test]
fn an_arena_may_have_the_pages_behind_null() {
    let memory = Memory::new().unwrap();
    assert_eq!(memory.read_u64(0), Ok(0));
    assert_eq!(memory.write_u8(0, 1), Err(fault_at(0, 1, true)));
    memory.map(0, NULL_BYTES + PAGE, Protection::ReadWrite).unwrap();
    memory.write_u64(NULL_BYTES - 4, u64::MAX).unwrap();
    memory.unmap(0, NULL_BYTES + PAGE).unwrap();
    assert_eq!(memory.read_u32(NULL_BYTES - 4), Ok(0));
    assert_eq!(memory.read_u8(NULL_BYTES), Err(fault_at(NULL_BYTES, 1, false)));
}

#[test]
fn a_write_is_whole_or_not_at_all() {
    let memory = Memory::new().unwrap();
    let pointer = memory.alloc(PAGE, 1, Protection::ReadWrite).unwrap();
    let bytes = vec![9; 3 * PAGE as usize];
    assert_eq!(memory.write(pointer, &bytes), Err(fault_at(pointer + PAGE, 3 * PAGE, true)));
    let mut back = vec![1; PAGE as usize];
    memory.read(pointer, &mut back).unwrap();
    assert!(back.iter().all(|byte| *byte == 0));
    assert_eq!(memory.read(u64::MAX - 3, &mut back), Err(fault_at(WINDOW - 4, PAGE, false)));
    assert_eq!(memory.read(KERNEL, &mut []), Ok(()));
}

/// Maps every second page of the arena from `from` on, until that is refused; says how many.
fn map_every_second(memory: &Memory, from: u64) -> u64 {
    for number in 0.. {
        let pointer = from + 2 * number * PAGE;
        match memory.map(pointer, PAGE, Protection::ReadWrite) {
            Ok(()) => memory.write_u64(pointer, number).unwrap(),
            Err(MemoryError::Pieces) => return number,
            Err(other) => panic!("{other}"),
        }
    }
    0
}

/// How many mappings start inside a memory. The one at its start does not count: the host may have
/// joined it with what lies before, such as another machine's.
#[expect(clippy::disallowed_methods, reason = "only the host knows what it keeps")]
fn mappings(memory: &Memory) -> usize {
    let all = std::fs::read_to_string("/proc/self/maps").unwrap();
    let start = |line: &str| usize::from_str_radix(line.split('-').next().unwrap(), 16).unwrap();
    let range = memory.host_range();
    all.lines().filter(|line| range.contains(&start(line)) && start(line) != range.start).count()
}

#[test]
fn a_machine_in_too_many_pieces_is_refused_and_others_go_on() {
    let (greedy, other) = (Memory::new().unwrap(), Memory::new().unwrap());
    let from = 0x1000_0000;
    let count = map_every_second(&greedy, from);
    // One change is that behind the pages of NULL.
    assert_eq!(count, (MOST_PIECES as u64 - 1) / 2);
    assert!(mappings(&greedy) <= MOST_PIECES + 1);
    let refused = greedy.alloc(1, 1, Protection::ReadWrite).unwrap_err();
    assert!(refused.to_string().contains("in more than 16384 pieces"), "{refused}");
    // What it has is its own still, and what makes no more pieces is allowed.
    assert_eq!(greedy.read_u64(from + 2 * (count - 1) * PAGE), Ok(count - 1));
    greedy.map(from + PAGE, PAGE, Protection::ReadWrite).unwrap();
    let pointer = greedy.alloc(3 * PAGE, 1, Protection::ReadWrite).unwrap();
    greedy.free(pointer).unwrap();
    // The other knows nothing of all that.
    assert_eq!(map_every_second(&other, from), count);
    assert_eq!(other.read_u64(from), Ok(0));
}

#[test]
fn a_page_that_would_break_a_piece_stays_as_it_was() {
    let memory = Memory::new().unwrap();
    let whole = 0x7000_0000;
    memory.map(whole, 3 * PAGE, Protection::ReadWrite).unwrap();
    memory.write_u64(whole + PAGE, 7).unwrap();
    map_every_second(&memory, 0x1000_0000);
    assert!(matches!(memory.unmap(whole + PAGE, PAGE), Err(MemoryError::Pieces)));
    assert_eq!(memory.read_u64(whole + PAGE), Ok(7));
    memory.unmap(whole, 3 * PAGE).unwrap();
    assert!(memory.read_u64(whole + PAGE).is_err());
}

#[test]
fn the_host_keeps_one_mapping_for_a_piece() {
    let memory = Memory::new().unwrap();
    let from = 0x1000_0000;
    let page = |number| from + number * PAGE;
    let few = mappings(&memory);
    for number in (0..200).step_by(2).chain((1..200).step_by(2)) {
        memory.map(page(number), PAGE, Protection::ReadWrite).unwrap();
        memory.write_u64(page(number), number).unwrap();
    }
    // The piece, and the one behind it.
    assert_eq!(mappings(&memory), few + 2);
    for number in 0..200 {
        assert_eq!(memory.read_u64(page(number)), Ok(number));
        memory.unmap(page(number), PAGE).unwrap();
    }
    assert_eq!(mappings(&memory), few);
}

proptest! {
    /// Against a map from pages to what they hold.
    #[test]
    fn any_order_of_calls(calls in prop::collection::vec((0..4_u8, 1..5_u64, any::<u8>()), 1..60)) {
        let memory = Memory::new().unwrap();
        let mut live: BTreeMap<u64, (u64, u8)> = BTreeMap::new();
        for (call, pages, byte) in calls {
            let picked = live.keys().copied().nth(usize::from(byte) % live.len().max(1));
            match (call, picked) {
                (0, Some(pointer)) => {
                    memory.free(pointer).unwrap();
                    live.remove(&pointer);
                    prop_assert!(memory.read_u8(pointer).is_err());
                }
                (1, Some(pointer)) => {
                    let (pages, _) = live[&pointer];
                    memory.write(pointer, &vec![byte; (pages * PAGE) as usize]).unwrap();
                    live.insert(pointer, (pages, byte));
                }
                _ => {
                    let align = 1 << (byte % 16);
                    let pointer = memory.alloc(pages * PAGE, align, Protection::ReadWrite).unwrap();
                    prop_assert_eq!(pointer % align, 0);
                    live.insert(pointer, (pages, 0));
                }
            }
            for (pointer, (pages, byte)) in &live {
                let mut bytes = vec![!byte; (pages * PAGE) as usize];
                memory.read(*pointer, &mut bytes).unwrap();
                prop_assert!(bytes.iter().all(|found| found == byte));
                prop_assert!(memory.read_u8(pointer + pages * PAGE).is_err());
            }
        }
    }
}
