// SPDX-License-Identifier: GPL-2.0-or-later
//! The rules by which names, values and tables are found in a kernel, on small types.

use crate::btf::TypeId;
use crate::configuration::Configuration;
use crate::image::Variable;
use crate::kernel_types::KernelTypes;
use crate::link::code::Codes;
use crate::link::error::Problem;
use crate::link::externs::{self, Configured, Extern, ExternKind, kind};
use crate::link::table::{self, RawTable};
use crate::types_for_tests::{INT, Types, U64};

fn wanted(name: &str, weak: bool, kind: ExternKind) -> Extern {
    Extern { name: name.into(), symbol: 0, weak, kind }
}

/// The kernel's `int f(struct s *, u64)` and `f___v2` of another kind.
fn kernel_of_f() -> KernelTypes {
    let mut types = Types::new();
    let s = types.structure("s", 4, &[("a", INT, 0, 0)]);
    let s = types.pointer(s);
    let proto = types.proto(&[s, U64]);
    types.function("f", proto);
    let proto = types.proto(&[U64]);
    types.function("f___v2", proto);
    types.kernel()
}

/// What comes of asking for a function with these parameters: a pointer, and so many numbers.
fn function(name: &str, weak: bool, numbers: usize) -> Result<bool, Problem> {
    let mut types = Types::new();
    let s = types.structure("another_name", 8, &[]);
    let s = types.pointer(s);
    let params: Vec<TypeId> = [s].into_iter().chain(vec![INT; numbers]).collect();
    let proto = types.proto(&params);
    let local = types.0.finish();
    let wanted = wanted(name, weak, ExternKind::Function(proto));
    externs::function(&wanted, proto, &local, &kernel_of_f()).map(|k| k.func.is_some())
}

#[test]
fn functions() {
    assert_eq!(function("f", false, 1), Ok(true), "names and sizes do not count");
    assert_eq!(function("f___mine", false, 1), Ok(true), "without its flavour");
    assert_eq!(function("f", false, 2), Err(Problem::Prototype));
    assert_eq!(function("f", true, 2), Ok(false), "a weak one is missing then");
    assert_eq!(function("g", false, 1), Err(Problem::NoFunction));
    assert_eq!(function("g", true, 1), Ok(false));
    assert_eq!(function("f___v2", false, 1), Ok(true), "the flavour is cut, so this is f");
    assert_eq!(function("f___v2___mine", false, 1), Err(Problem::Prototype), "only the last one");
}

#[test]
fn variables() {
    let mut types = Types::new();
    let s = types.structure("rq", 24, &[]);
    types.variable("runqueues", s);
    let kernel = types.kernel();
    let find = |name: &str, weak, ty| {
        let mut types = Types::new();
        types.structure("rq", 8, &[]);
        let wanted = wanted(name, weak, ExternKind::Variable(ty));
        externs::variable(&wanted, ty, &types.0.finish(), &kernel)
    };
    let found = find("runqueues", false, TypeId(3)).unwrap();
    assert_eq!((found.var.is_some(), found.size, found.per_cpu), (true, 24, false));
    let types = ("int".to_owned(), "rq".to_owned());
    assert_eq!(find("runqueues", true, INT), Err(Problem::VariableType(types.0, types.1)));
    assert_eq!(find("other", false, INT), Err(Problem::NoVariable));
    let absent = Variable { name: "other".into(), var: None, size: 0, per_cpu: false };
    assert_eq!(find("other", true, INT), Ok(absent.clone()));
    // Without a type, only the running kernel knows.
    assert_eq!(find("other", true, TypeId(0)), Ok(absent.clone()));
    assert_eq!(find("other", false, TypeId(0)), Ok(absent));
}

/// Of a part of a kernel's types, what is not there may be in the rest.
#[test]
fn variables_of_abridged_types() {
    let mut types = Types::new();
    let s = types.structure("rq", 24, &[]);
    types.variable("runqueues", s);
    types.leave_out("other");
    let kernel = types.kernel();
    let find = |name: &str, of: &str| {
        let mut types = Types::new();
        let ty = types.structure(of, 8, &[]);
        let wanted = wanted(name, true, ExternKind::Variable(ty));
        externs::variable(&wanted, ty, &types.0.finish(), &kernel).map(|v| v.var.is_some())
    };
    assert_eq!(find("runqueues", "rq"), Ok(true));
    assert_eq!(find("walkqueues", "rq"), Ok(false), "all of this type are kept");
    assert_eq!(find("tlb", "tlb_state"), Err(Problem::LeftOut("variable".into())));
}

/// The bytes of one value of the configuration, for a variable of this type.
fn config(name: &str, weak: bool, ty: &dyn Fn(&mut Types) -> TypeId) -> Result<Vec<u8>, Problem> {
    let text = "# Linux 7.3.4\nCONFIG_HZ=250\nCONFIG_SMP=y\nCONFIG_MOD=m\nCONFIG_HEX=0x1ff\n\
                CONFIG_NAME=\"abc\"\nCONFIG_NEGATIVE=-2\n";
    let kernel = Types::new().kernel().with_configuration(Configuration::parse(text));
    let mut types = Types::new();
    let ty = ty(&mut types);
    let kind = kind(&types.0.finish(), ty, ".kconfig").unwrap();
    let Configured { bytes, places, mut problems } =
        externs::configure(&[wanted(name, weak, kind)], &kernel);
    assert_eq!(places[&0], 0);
    problems.pop().map_or(Ok(bytes), |(_, problem)| Err(problem))
}

#[test]
fn values_of_the_configuration() {
    let number = |size, signed| move |t: &mut Types| t.int("n", size, signed);
    let text = |t: &mut Types| {
        let char = t.int("char", 1, true);
        t.array(char, 3)
    };
    let tristate = |t: &mut Types| t.enumeration("libbpf_tristate", &[("TRI_NO", 0)]);
    let unfit = |value: &str| Err(Problem::ConfigValue(value.into()));
    assert_eq!(config("CONFIG_HZ", false, &number(4, false)), Ok(vec![250, 0, 0, 0]));
    assert_eq!(config("CONFIG_HZ", false, &number(8, true)).map(|b| b.len()), Ok(8));
    assert_eq!(config("CONFIG_HEX", false, &number(2, true)), Ok(vec![0xff, 1]));
    assert_eq!(config("CONFIG_HEX", false, &number(1, false)), unfit("0x1ff"));
    assert_eq!(config("CONFIG_NEGATIVE", false, &number(2, true)), Ok(vec![0xfe, 0xff]));
    assert_eq!(config("CONFIG_NEGATIVE", false, &number(4, false)), unfit("-2"));
    assert_eq!(config("CONFIG_SMP", false, &number(4, true)), unfit("y"));
    assert_eq!(config("CONFIG_SMP", false, &number(1, true)), Ok(vec![b'y']), "a character");
    assert_eq!(config("CONFIG_SMP", false, &tristate), Ok(vec![1, 0, 0, 0]));
    assert_eq!(config("CONFIG_MOD", false, &tristate), Ok(vec![2, 0, 0, 0]));
    assert_eq!(config("CONFIG_NAME", false, &text), Ok(b"ab\0".to_vec()), "cut to fit");
    assert_eq!(config("CONFIG_NONE", false, &number(4, true)), Err(Problem::NoConfig));
    assert_eq!(config("CONFIG_NONE", true, &number(4, true)), Ok(vec![0; 4]));
    let version = config("LINUX_KERNEL_VERSION", false, &number(4, false));
    assert_eq!(version, Ok(vec![4, 3, 7, 0]));
    assert_eq!(config("LINUX_OTHER", true, &number(4, true)), Ok(vec![0; 4]));
    assert_eq!(config("LINUX_OTHER", false, &number(4, true)), Err(Problem::UnknownVirtual));
}

/// The kernel's table: a flag, then a callback, then a name; and the type that holds it.
fn kernel_of_ops() -> KernelTypes {
    let mut types = Types::new();
    let proto = types.proto(&[]);
    let callback = types.pointer(proto);
    let members = [("flags", U64, 0, 0), ("run", callback, 64, 0), ("small", INT, 128, 0)];
    types.structure("ops", 24, &members);
    types.structure("bpf_struct_ops_ops", 64, &[]);
    types.kernel()
}

#[test]
fn tables() {
    let fit = |member: &str, ty: TypeId, bytes: Vec<u8>| {
        let mut types = Types::new();
        let size = bytes.len() as u32;
        let ops = types.structure("ops___mine", size, &[(member, ty, 0, 0)]);
        let table = RawTable::for_tests(ops, bytes);
        table::fit(&table, &types.0.finish(), &kernel_of_ops(), &Codes::default())
    };
    let fitted = fit("small", INT, vec![1, 2, 3, 4]).unwrap();
    assert_eq!(fitted.bytes[16..20], [1, 2, 3, 4]);
    assert_eq!((fitted.bytes.len(), fitted.kernel_type.as_str()), (24, "ops"));
    assert!(fit("unknown", INT, vec![0; 4]).is_ok(), "unset");
    let unknown = fit("unknown", INT, vec![0, 0, 1, 0]).unwrap_err();
    assert_eq!(unknown, [Problem::NoMember("unknown".into())]);
    assert!(fit("small", U64, vec![0; 8]).is_err(), "another size");
    assert!(fit("run", U64, vec![0; 8]).is_err(), "another kind");
    let mut types = Types::new();
    let other = types.structure("other_ops", 8, &[]);
    let table = RawTable::for_tests(other, vec![0; 8]);
    let missing = table::fit(&table, &types.0.finish(), &kernel_of_ops(), &Codes::default());
    assert_eq!(missing, Err(vec![Problem::NoTable("other_ops".into())]));
}
