// SPDX-License-Identifier: GPL-2.0-or-later
//! CPU masks against a plain set of numbers, and the errors of their texts.

use std::collections::BTreeSet;

use proptest::prelude::*;
use rota_topology::{CpuId, CpuMask};

/// Wider than the kernel's 8,192 and dense enough to touch word borders.
const WIDTH: u32 = 10_000;

fn set() -> impl Strategy<Value = BTreeSet<u32>> {
    let sparse = prop::collection::btree_set(0..WIDTH, 0..40);
    let runs = prop::collection::vec((0..WIDTH, 0..200u32), 0..6).prop_map(|runs| {
        runs.into_iter().flat_map(|(from, len)| from..from.saturating_add(len).min(WIDTH)).collect()
    });
    prop_oneof![sparse, runs]
}

fn mask(set: &BTreeSet<u32>) -> CpuMask {
    set.iter().copied().map(CpuId).collect()
}

fn numbers(mask: &CpuMask) -> BTreeSet<u32> {
    mask.iter().map(|cpu| cpu.0).collect()
}

proptest! {
    #[test]
    fn set_operations(a in set(), b in set(), probe in 0..WIDTH) {
        let (ma, mb) = (mask(&a), mask(&b));
        prop_assert_eq!(numbers(&ma), a.clone());
        prop_assert_eq!(numbers(&(&ma | &mb)), &a | &b);
        prop_assert_eq!(numbers(&(&ma & &mb)), &a & &b);
        prop_assert_eq!(numbers(&(&ma - &mb)), &a - &b);
        prop_assert_eq!(ma.intersects(&mb), !a.is_disjoint(&b));
        prop_assert_eq!(ma.is_subset(&mb), a.is_subset(&b));
        prop_assert!((&ma & &mb).is_subset(&mb));
        prop_assert_eq!(ma == mb, a == b);
        prop_assert_eq!(ma.count(), a.len());
        prop_assert_eq!(ma.is_empty(), a.is_empty());
        prop_assert_eq!(ma.contains(CpuId(probe)), a.contains(&probe));
        prop_assert_eq!(ma.first().map(|c| c.0), a.first().copied());
        prop_assert_eq!(ma.last().map(|c| c.0), a.last().copied());
        prop_assert_eq!(ma.next_after(CpuId(probe)).map(|c| c.0), a.range(probe + 1..).next().copied());
    }

    #[test]
    fn insert_and_remove(a in set(), cpu in 0..WIDTH) {
        let (mut set, mut mask) = (a.clone(), mask(&a));
        prop_assert_eq!(mask.insert(CpuId(cpu)), set.insert(cpu));
        prop_assert!(!mask.insert(CpuId(cpu)));
        prop_assert_eq!(numbers(&mask), set.clone());
        prop_assert!(mask.remove(CpuId(cpu)) && set.remove(&cpu));
        prop_assert!(!mask.remove(CpuId(cpu)));
        // One representation only: equal sets are equal masks, however they came about.
        prop_assert_eq!(mask, set.into_iter().map(CpuId).rev().collect::<CpuMask>());
    }

    #[test]
    fn texts(a in set(), width in 0..WIDTH) {
        let mask = mask(&a);
        prop_assert_eq!(CpuMask::from_list(&mask.to_string()), Ok(mask.clone()));
        prop_assert_eq!(CpuMask::from_hex(&mask.to_hex()), Ok(mask.clone()));
        prop_assert_eq!(CpuMask::from_hex(&mask.to_hex_padded(width)), Ok(mask.clone()));
        let wide = format!("0x{}\n", mask.to_hex_padded(WIDTH).replace(',', ""));
        prop_assert_eq!(CpuMask::from_hex(&wide), Ok(mask.clone()));
        let json = serde_json::to_string(&mask).unwrap_or_default();
        prop_assert_eq!(serde_json::from_str::<CpuMask>(&json).ok(), Some(mask));
    }

    #[test]
    fn group_ranges(first in 0..WIDTH, len in 0..500u32, used in 1..9u32, more in 0..9u32) {
        let (last, group) = (first + len, used + more);
        let expected: BTreeSet<u32> =
            (first..=last).filter(|cpu| (cpu - first) % group < used).collect();
        let parsed = CpuMask::from_list(&format!("{first}-{last}:{used}/{group}"));
        prop_assert_eq!(parsed.map(|mask| numbers(&mask)), Ok(expected));
    }

    #[test]
    fn any_text_is_taken_or_refused(text in "[-0-9a-fx:/, \u{e9}]{0,24}") {
        for parsed in [CpuMask::from_list(&text), CpuMask::from_hex(&text)] {
            if let Err(error) = parsed {
                prop_assert!(error.offset <= text.len() && text.is_char_boundary(error.offset));
            }
        }
    }
}

/// Every subset of four CPUs with every other.
#[test]
fn small_masks_exhaustively() {
    let sets: Vec<BTreeSet<u32>> =
        (0..16u32).map(|bits| (0..4).filter(|cpu| bits >> cpu & 1 == 1).collect()).collect();
    for a in &sets {
        assert_eq!(mask(a).to_hex(), format!("{:x}", a.iter().map(|cpu| 1 << cpu).sum::<u32>()));
        for b in &sets {
            assert_eq!(numbers(&(&mask(a) - &mask(b))), a - b);
            assert_eq!(mask(a).is_subset(&mask(b)), a.is_subset(b));
        }
    }
}

#[test]
fn hex_is_the_kernels() {
    let wide = CpuMask::range(CpuId(0), CpuId(39));
    assert_eq!(wide.to_hex(), "ff,ffffffff");
    assert_eq!(wide.to_hex_padded(128), "00000000,00000000,000000ff,ffffffff");
    assert_eq!(CpuMask::of(CpuId(32)).to_hex(), "1,00000000");
    assert_eq!(CpuMask::new().to_hex(), "0");
    assert_eq!(CpuMask::new().to_hex_padded(6), "00");
    assert_eq!(CpuMask::from_hex("f,1"), CpuMask::from_list("0,32-35"));
}

fn check_list(text: &str, expected: &str) {
    let got = match CpuMask::from_list(text) {
        Ok(mask) => format!("{:?}", mask.to_string()),
        Err(error) => error.to_string(),
    };
    assert_eq!(got, expected, "of {text:?}");
}

#[test]
fn lists() {
    check_list("", "\"\"");
    check_list("\n", "\"\"");
    check_list("0-3,8,10-12\n", "\"0-3,8,10-12\"");
    check_list(" 5 , 1-2 ", "\"1-2,5\"");
    check_list("0-10:2/4", "\"0-1,4-5,8-9\"");
    check_list("1048575", "\"1048575\"");
    let prefix = "CPU mask, at offset";
    check_list("1048576", &format!("{prefix} 0: CPU numbers end at 1048575"));
    check_list("0-99999999999999", &format!("{prefix} 2: CPU numbers end at 1048575"));
    check_list("0,,1", &format!("{prefix} 2: expected a CPU number, found ','"));
    check_list("0-", &format!("{prefix} 2: expected the last CPU of the range, found the end"));
    check_list("0-3;4", &format!("{prefix} 3: expected ',' or the end, found ';'"));
    check_list("0,7-4", &format!("{prefix} 2: range 7-4 runs backwards"));
    check_list("0-9:2", &format!("{prefix} 5: expected '/', found the end"));
    let group = "in a group 3/2 the first number must be from 1 to the second";
    check_list("0-9:3/2", &format!("{prefix} 4: {group}"));
}

fn check_hex_error(text: &str, expected: &str) {
    let error = CpuMask::from_hex(text).map_err(|error| error.to_string());
    assert_eq!(error, Err(format!("CPU mask, at offset {expected}")), "of {text:?}");
}

#[test]
fn hex_errors() {
    check_hex_error("", "0: expected a hexadecimal digit, found the end");
    check_hex_error("0x", "2: expected a hexadecimal digit, found the end");
    check_hex_error("ff,,1", "3: expected a hexadecimal digit, found ','");
    check_hex_error("ff,fg", "4: expected a hexadecimal digit, found 'g'");
    check_hex_error("1,123456789", "10: a word between commas has at most 8 digits");
    check_hex_error(&format!("1{}", "0".repeat(1 << 18)), "0: CPU numbers end at 1048575");
}

#[test]
#[should_panic(expected = "CPU 1048576 is not below the limit")]
fn inserting_beyond_the_limit_is_a_bug() {
    CpuMask::of(CpuId(CpuMask::LIMIT));
}
