// SPDX-License-Identifier: GPL-2.0-or-later
//! Each kind of relocation on small types made by hand. That real objects come out as libbpf
//! makes them is a test in virtual machines.

use crate::btf::{Btf, TypeId};
use crate::btf_decl::Type;
use crate::btf_ext::CoreRelo;
use crate::insn::Insn;
use crate::kernel_types::KernelTypes;
use crate::relocate::{Answer, Relocator, Unanswered, patch};
use crate::types_for_tests::{INT, Types, U64};

/// A relocation on a type of an object.
struct Asking {
    btf: Btf,
    relo: CoreRelo,
}

fn ask(mut types: Types, ty: TypeId, access: &str, kind: u32) -> Asking {
    let access = types.0.name(access);
    let relo = CoreRelo { section: 0, offset: 0, ty, access, kind };
    Asking { btf: types.0.finish(), relo }
}

impl Asking {
    fn answer(&self, kernel: &KernelTypes) -> Result<Answer, Unanswered> {
        Relocator::new(&self.btf, kernel).answer(&self.relo)
    }

    /// The words with which it is refused.
    fn refused(&self, kernel: &KernelTypes) -> String {
        match self.answer(kernel) {
            Err(Unanswered::Refused(words)) => words,
            other => format!("not refused: {other:?}"),
        }
    }

    /// The number before and after; `None` is poison.
    fn numbers(&self, kernel: &KernelTypes) -> (u64, Option<u64>) {
        let answer = self.answer(kernel).unwrap();
        (answer.before.number, answer.after.map(|v| v.number))
    }
}

/// The object's `struct s { int a; int b; }`, asked about `b`.
fn about_b(kind: u32) -> Asking {
    let mut types = Types::new();
    let s = types.structure("s___mine", 8, &[("a", INT, 0, 0), ("b", INT, 32, 0)]);
    ask(types, s, "0:1", kind)
}

/// The kernel's `struct s`, where `b` stands in a structure without a name.
fn kernel_of_b() -> KernelTypes {
    let mut types = Types::new();
    let inner = types.structure("", 16, &[("x", U64, 0, 0), ("b", U64, 64, 0)]);
    types.structure("s", 24, &[("", inner, 64, 0)]);
    types.kernel()
}

#[test]
fn fields() {
    let expected = [(0, 4, 16), (1, 4, 8), (2, 1, 1), (3, 1, 0), (4, 32, 0), (5, 32, 0)];
    for (kind, before, after) in expected {
        assert_eq!(about_b(kind).numbers(&kernel_of_b()), (before, Some(after)), "kind {kind}");
    }
}

#[test]
fn fields_that_are_not_there() {
    let mut types = Types::new();
    types.structure("s", 4, &[("a", INT, 0, 0)]);
    let kernel = types.kernel();
    for kind in [0, 1, 3, 4, 5] {
        assert_eq!(about_b(kind).numbers(&kernel).1, None, "kind {kind}");
    }
    assert_eq!(about_b(2).numbers(&kernel), (1, Some(0)));
}

#[test]
fn a_field_of_another_kind_is_not_there() {
    let mut types = Types::new();
    let inner = types.structure("inner", 4, &[("a", INT, 0, 0)]);
    types.structure("s", 4, &[("b", inner, 0, 0)]);
    assert_eq!(about_b(0).numbers(&types.kernel()).1, None);
}

#[test]
fn bit_fields_are_read_as_aligned_numbers() {
    let local = || {
        let mut types = Types::new();
        let s = types.structure("s", 4, &[("b", INT, 0, 1)]);
        (types, s)
    };
    let mut types = Types::new();
    // Bits 40 to 44 of a structure: in the second number of 32 bits.
    types.structure("s", 8, &[("b", INT, 40, 5)]);
    let kernel = types.kernel();
    for (kind, number) in [(0, 4), (1, 4), (4, 64 - 8 - 5), (5, 64 - 5)] {
        let (types, s) = local();
        assert_eq!(ask(types, s, "0:0", kind).numbers(&kernel).1, Some(number), "kind {kind}");
    }
    // Bits 30 to 34 lie in no number of 32 bits.
    let mut types = Types::new();
    types.structure("s", 8, &[("b", INT, 30, 5)]);
    let kernel = types.kernel();
    for (kind, number) in [(0, 0), (1, 8)] {
        let (types, s) = local();
        assert_eq!(ask(types, s, "0:0", kind).numbers(&kernel).1, Some(number), "kind {kind}");
    }
}

#[test]
fn arrays() {
    let asking = |len, access: &str| {
        let mut types = Types::new();
        let array = types.array(INT, len);
        let s = types.structure("s", 4 * len, &[("b", array, 0, 0)]);
        ask(types, s, access, 0)
    };
    let kernel = |len| {
        let mut types = Types::new();
        let array = types.array(INT, len);
        types.structure("s", 8 + 4 * len, &[("a", U64, 0, 0), ("b", array, 64, 0)]);
        types.kernel()
    };
    assert_eq!(asking(8, "0:0:3").numbers(&kernel(4)), (12, Some(20)));
    assert_eq!(asking(8, "0:0:4").numbers(&kernel(4)), (16, None), "beyond the kernel's end");
    assert_eq!(asking(0, "0:0:3").numbers(&kernel(0)), (12, Some(20)), "both are flexible");
    assert!(asking(2, "0:0:3").answer(&kernel(4)).is_err(), "beyond the object's own end");
    assert_eq!(asking(2, "2:0:1").numbers(&kernel(4)), (20, Some(2 * 24 + 12)), "s[2].b[1]");
    for damaged in ["", ":", "0:", "0:x", "0:7", "0:0:1:0", &"0:".repeat(80)] {
        assert!(asking(2, damaged).answer(&kernel(4)).is_err(), "{damaged}");
    }
}

#[test]
fn types() {
    let asking = |kind| {
        let mut types = Types::new();
        let s = types.structure("s___old___mine", 8, &[("a", INT, 0, 0)]);
        ask(types, s, "0", kind)
    };
    let mut types = Types::new();
    // The flavour is cut on both sides, once.
    let s = types.structure("s___old___kernel", 24, &[("b", INT, 0, 0), ("a", INT, 32, 0)]);
    let kernel = types.kernel();
    assert_eq!(asking(6).numbers(&kernel), (3, Some(3)), "its own number");
    assert_eq!(asking(7).numbers(&kernel), (3, Some(u64::from(s.0))));
    assert_eq!(asking(8).numbers(&kernel), (1, Some(1)));
    assert_eq!(asking(9).numbers(&kernel), (8, Some(24)));
    assert_eq!(asking(12).numbers(&kernel), (1, Some(1)));
    let mut types = Types::new();
    types.structure("s___old", 24, &[("a", INT, 32, 0)]);
    let none = types.kernel();
    for kind in [7, 8, 9, 12] {
        assert_eq!(asking(kind).numbers(&none).1, Some(0), "kind {kind}");
    }
    assert!(asking(13).refused(&kernel).contains("unknown kind 13"));
}

#[test]
fn matching_compares_members() {
    let asking = || {
        let mut types = Types::new();
        let s = types.structure("s", 8, &[("a", INT, 0, 0)]);
        ask(types, s, "0", 12)
    };
    let mut types = Types::new();
    types.structure("s", 8, &[("a", U64, 0, 0)]);
    assert_eq!(asking().numbers(&types.kernel()).1, Some(0), "another size");
    let mut types = Types::new();
    types.structure("s", 8, &[("b", INT, 0, 0)]);
    assert_eq!(asking().numbers(&types.kernel()).1, Some(0), "another name");
}

#[test]
fn typedefs_are_found_by_their_own_name() {
    let asking = || {
        let mut types = Types::new();
        let s = types.structure("", 4, &[("a", INT, 0, 0)]);
        let t = types.typedef("t", s);
        ask(types, t, "0:0", 0)
    };
    let mut types = Types::new();
    let s = types.structure("other", 16, &[("x", U64, 0, 0), ("a", INT, 64, 0)]);
    types.typedef("t", s);
    assert_eq!(asking().numbers(&types.kernel()), (0, Some(8)));
    let mut types = Types::new();
    types.structure("t", 16, &[("a", INT, 64, 0)]);
    assert_eq!(asking().numbers(&types.kernel()).1, None, "a structure of that name is no typedef");
}

#[test]
fn enumerators() {
    let asking = |kind| {
        let mut types = Types::new();
        let e = types.enumeration("e___mine", &[("A", 1), ("B___mine", 2)]);
        ask(types, e, "1", kind)
    };
    let mut types = Types::new();
    types.enumeration("e", &[("B", 7), ("C", 9)]);
    let kernel = types.kernel();
    assert_eq!(asking(10).numbers(&kernel), (1, Some(1)));
    assert_eq!(asking(11).numbers(&kernel), (2, Some(7)));
    let none = Types::new().kernel();
    assert_eq!(asking(10).numbers(&none), (1, Some(0)));
    assert_eq!(asking(11).numbers(&none), (2, None));
}

#[test]
fn candidates_have_to_agree() {
    let two = |second: u32| {
        let mut types = Types::new();
        types.structure("s", 8, &[("b", INT, 32, 0)]);
        types.structure("s___other", 16, &[("b", INT, second, 0)]);
        types.structure("s", 4, &[("unrelated", INT, 0, 0)]);
        types.kernel()
    };
    assert_eq!(about_b(0).numbers(&two(32)).1, Some(4));
    let error = about_b(0).refused(&two(64));
    assert!(error.contains("field s.b is ambiguous"), "{error}");
    assert!(about_b(2).answer(&two(64)).is_err(), "even to ask whether it exists");
}

fn patched(insns: &[Insn], answer: &Answer) -> Result<(Vec<Insn>, Option<String>), String> {
    let mut insns = insns.to_vec();
    let words = patch(&mut insns, 0, answer, "Linux 7.3")?;
    Ok((insns, words))
}

#[test]
fn instructions() {
    let answer = about_b(0).answer(&kernel_of_b()).unwrap();
    let mov = Insn { code: 0xb7, dst: 1, imm: 4, ..Insn::default() };
    assert_eq!(patched(&[mov], &answer), Ok((vec![Insn { imm: 16, ..mov }], None)));
    let wide = [Insn { code: 0x18, imm: 4, ..Insn::default() }, Insn::default()];
    let expected = vec![Insn { imm: 16, ..wide[0] }, wide[1]];
    assert_eq!(patched(&wide, &answer), Ok((expected, None)));
    // The compiler's number has to stand there.
    assert!(patched(&[Insn { imm: 5, ..mov }], &answer).is_err());
    assert!(patched(&[Insn { code: 0xbf, ..mov }], &answer).is_err(), "a register");
    assert!(patched(&[Insn { code: 0x95, ..mov }], &answer).is_err(), "an exit");
    assert!(patched(&wide[..1], &answer).is_err(), "half a load");
    assert!(patched(&[], &answer).is_err());
    // A signed number may not become wider.
    let load = Insn { code: 0x61, off: 4, ..Insn::default() };
    let (insns, words) = patched(&[load], &answer).unwrap();
    assert_eq!((insns[0].code, insns[0].imm), (0x85, 0x0bad_2310));
    assert!(words.unwrap().contains("field s.b has 4 bytes here and 8 in Linux 7.3"));
}

#[test]
fn unsigned_loads_change_their_size() {
    let sized = |size: u32, at: u32| {
        let mut types = Types::new();
        let number = types.int("unsigned", size, false);
        let s = types.structure("s", 16, &[("b", number, at * 8, 0)]);
        (types, s)
    };
    let sizes = [(1u32, 0x71u8), (2, 0x69), (4, 0x61), (8, 0x79)];
    for (ours, code) in sizes {
        for (theirs, expected) in sizes {
            let (types, s) = sized(ours, 0);
            let answer = ask(types, s, "0:0", 0).answer(&sized(theirs, 8).0.kernel()).unwrap();
            let load = Insn { code, off: 0, ..Insn::default() };
            let (insns, words) = patched(&[load], &answer).unwrap();
            assert_eq!((insns[0].code, insns[0].off, words), (expected, 8, None));
        }
    }
}

#[test]
fn what_is_not_there_is_poisoned_with_words() {
    let kernel = Types::new().kernel();
    let wide = [Insn { code: 0x18, imm: 4, ..Insn::default() }, Insn::default()];
    let (insns, words) = patched(&wide, &about_b(0).answer(&kernel).unwrap()).unwrap();
    assert_eq!(words.as_deref(), Some("field s.b does not exist in Linux 7.3"));
    assert!(insns.iter().all(|i| i.code == 0x85 && i.imm == 0x0bad_2310), "both halves");
}

#[test]
fn what_a_file_leaves_out_is_no_answer() {
    let mut types = Types::new();
    types.leave_out("s");
    let left_out = Unanswered::LeftOut("field s.b".into());
    assert_eq!(about_b(2).answer(&types.kernel()), Err(left_out));
}

#[test]
fn types_without_end_are_given_up() {
    let asking = || {
        let mut types = Types::new();
        let pointer = types.0.add(Type::Ptr(TypeId(3)));
        let t = types.typedef("t", pointer);
        ask(types, t, "0", 8)
    };
    let kernel = asking().btf;
    let kernel = KernelTypes::new("7.3", kernel);
    assert!(asking().refused(&kernel).contains("too deeply"));
}
