// SPDX-License-Identifier: GPL-2.0-or-later
//! The short form of a machine.

use proptest::prelude::*;
use rota_topology::{CpuId, CpuMask, Level, LlcId, NodeId, PackageId, Spec, Topology};

fn machine(text: &str) -> Topology {
    text.parse::<Spec>().expect("a machine").topology()
}

#[test]
fn the_example() {
    let machine = machine("2s:4l:8c:2t");
    assert_eq!(machine.online(), &CpuMask::range(CpuId(0), CpuId(127)));
    assert_eq!(machine.packages().len(), 2);
    assert_eq!(machine.nodes().len(), 2);
    assert_eq!(machine.llcs().len(), 8);
    assert_eq!(machine.cores().len(), 64);
    assert_eq!(machine.llcs()[1].cpus.to_string(), "16-31");
    assert_eq!(machine.siblings(CpuId(65)).map(ToString::to_string), Some("64-65".to_owned()));
    let place = machine.place(CpuId(65)).expect("every CPU is placed");
    assert_eq!((place.thread, place.llc, place.package), (1, LlcId(4), PackageId(1)));
    assert_eq!(machine.distance(NodeId(0), NodeId(1)), Some(20));
}

#[test]
fn what_is_left_out_is_one() {
    let sixteen = machine("16c");
    assert_eq!((sixteen.llcs().len(), sixteen.cores().len()), (1, 16));
    assert_eq!((sixteen.packages().len(), sixteen.nodes().len()), (1, 1));
    assert_eq!(machine("2t").cores().len(), 1);
    assert_eq!(machine("3l").groups(Level::Llc).len(), 3);
}

#[test]
fn nodes_are_within_sockets_and_llcs_within_nodes() {
    let machine = machine("2s:4n:2l:8c");
    assert_eq!(machine.nodes().len(), 8);
    assert_eq!(machine.llcs().len(), 16);
    assert_eq!(machine.distance(NodeId(0), NodeId(3)), Some(12));
    assert_eq!(machine.distance(NodeId(3), NodeId(4)), Some(20));
    assert_eq!(machine.nodes()[7].cpus.to_string(), "112-127");
}

fn check(text: &str, expected: &str) {
    let error = text.parse::<Spec>().map_err(|error| error.to_string());
    assert_eq!(error, Err(format!("machine {text:?}, at offset {expected}")));
}

#[test]
fn errors() {
    check("", "0: expected a number, found the end");
    check("c", "0: expected a number, found 'c'");
    check(
        "4x",
        "1: expected one of 's' (sockets), 'n' (nodes), 'l' (LLCs), 'c' (cores), 't' (threads), \
         found 'x'",
    );
    check("4c:2l", "4: expected 't' (threads), found 'l'");
    check("4l:2l", "4: expected one of 'c' (cores), 't' (threads), found 'l'");
    check("4c:", "3: expected a number, found the end");
    check("4c2t", "2: expected ':' or the end, found '2'");
    check("4c:2t:", "5: expected the end (threads come last), found ':'");
    check("2s:0c", "3: 0 cores make no machine, expected at least 1");
    let large = "the machine would have more than 65536 CPUs or 1024 nodes";
    check("2s:32769c", &format!("3: {large}"));
    check("99999999999999999999c", &format!("0: {large}"));
    check("65536s:65536c", &format!("0: {large}"));
    check("1025s", &format!("0: {large}"));
    check(
        "4é",
        "1: expected one of 's' (sockets), 'n' (nodes), 'l' (LLCs), 'c' (cores), \
                't' (threads), found 'é'",
    );
}

/// The largest machine takes little memory and time.
#[test]
fn largest() {
    let machine = machine("65536c");
    assert_eq!(machine.cores().len(), 65536);
    assert!(machine.tree().lines().count() < 10);
}

proptest! {
    #[test]
    fn counts(s in 1..4u32, n in 1..4u32, l in 1..4u32, c in 1..5u32, t in 1..4u32) {
        let spec = Spec::new(s, n, l, c, t).expect("small enough");
        prop_assert_eq!(spec.to_string().parse::<Spec>(), Ok(spec));
        let machine = spec.topology();
        let counts = [Level::Package, Level::Node, Level::Llc, Level::Core]
            .map(|level| machine.groups(level).len() as u32);
        prop_assert_eq!(counts, [s, s * n, s * n * l, s * n * l * c]);
        prop_assert_eq!(machine.threads_max() as u32, t);
        prop_assert_eq!(machine.online().count() as u32, spec.cpus());
    }

    #[test]
    fn any_text_is_taken_or_refused(text in "[0-9snlct:é ]{0,12}") {
        if let Err(error) = text.parse::<Spec>() {
            prop_assert!(text.is_char_boundary(error.offset));
        }
    }
}
