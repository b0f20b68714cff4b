// SPDX-License-Identifier: GPL-2.0-or-later
//! What a compiled object is, what it needs of a kernel, and which kernels have that.

mod c_type;
mod json;
mod render;

pub use json::{SCHEMA, to_json};
pub use render::table;

use rota_object::{
    Btf, Global, Image, KernelTypes, LinkErrors, MapDef, Needs, Object, ObjectError, StructOps,
    Type,
};
use std::collections::BTreeMap;

/// Everything that is shown of an object.
#[derive(Debug, Clone, PartialEq)]
pub struct Description {
    /// Its name: of the scheduler, or of the file.
    pub name: String,
    /// What it says about itself.
    pub summary: Option<String>,
    /// Its tables of callbacks.
    pub tables: Vec<StructOps>,
    /// Its global variables.
    pub globals: Vec<Variable>,
    /// What it is made of and asks for.
    pub needs: Needs,
    /// Number and name of each helper that it calls.
    pub helpers: Vec<(u32, String)>,
    /// Names of the kinds of its maps.
    pub map_kinds: BTreeMap<u32, String>,
    /// What each kernel says to it.
    pub kernels: Vec<Fit>,
}

/// A global variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its section.
    pub section: String,
    /// Its declaration in C, without the name: `const volatile u64`.
    pub ty: String,
    /// Size in bytes.
    pub size: u64,
    /// What the file holds for it.
    pub value: String,
}

/// Whether a kernel has what an object needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fit {
    /// The kernel, as `Linux 7.3`.
    pub kernel: String,
    /// What keeps the object from being loaded, each in a line.
    pub missing: Vec<String>,
    /// What may keep it from being loaded, but can't be told from the kernel's types, each in a
    /// line.
    pub unknown: Vec<String>,
    /// What the kernel lacks and the object can do without, each in a line.
    pub without: Vec<String>,
}

/// Looks at an object, and how it fits each of the kernels.
///
/// # Errors
/// [`ObjectError`] says where the object is damaged.
pub fn describe(
    name: &str,
    object: &Object,
    kernels: &[KernelTypes],
) -> Result<Description, ObjectError> {
    let needs = object.needs()?;
    // The newest kernel that is built in knows the most names.
    let newest = KernelTypes::builtin_names().last().map(|name| KernelTypes::builtin(name));
    let newest = newest.and_then(Result::ok);
    let names = |of: &str| newest.as_ref().map(|k| values_of(k.btf(), of)).unwrap_or_default();
    let (helper_names, kinds) = (names("bpf_func_id"), names("bpf_map_type"));
    let helper = |number: &u32| {
        let name = helper_names.get(number).and_then(|n| n.strip_prefix("BPF_FUNC_"));
        (*number, name.map_or_else(|| "unknown".to_owned(), |n| format!("bpf_{n}")))
    };
    let kind = |map: &MapDef| {
        let name = kinds.get(&map.kind).and_then(|n| n.strip_prefix("BPF_MAP_TYPE_"));
        (map.kind, name.map_or_else(|| map.kind.to_string(), str::to_lowercase))
    };
    Ok(Description {
        name: name.to_owned(),
        summary: object.summary().map(str::to_owned),
        tables: object.struct_ops().to_vec(),
        globals: object.globals().map(|g| variable(object.btf(), g)).collect(),
        helpers: needs.helpers.iter().map(helper).collect(),
        map_kinds: needs.maps.iter().map(kind).collect(),
        kernels: kernels.iter().map(|k| fit(object, k)).collect(),
        needs,
    })
}

fn variable(btf: &Btf, global: &Global) -> Variable {
    Variable {
        name: global.name.clone(),
        section: global.section.clone(),
        ty: c_type::declaration(btf, global.ty),
        size: global.size,
        value: c_type::value(btf, global.ty, &global.initial),
    }
}

fn fit(object: &Object, kernel: &KernelTypes) -> Fit {
    let kernel_name = kernel.shown_name();
    let (problems, without) = match object.link(kernel) {
        Ok(image) => (image.unknown.clone(), without(&image, &kernel_name)),
        Err(LinkErrors(errors)) => (errors, Vec::new()),
    };
    let lines = |unknown: bool| {
        let these = problems.iter().filter(|e| e.problem.is_unknown() == unknown);
        these.map(ToString::to_string).collect()
    };
    Fit { missing: lines(false), unknown: lines(true), kernel: kernel_name, without }
}

impl Fit {
    /// Whether the kernel's loader takes the object; `None` if that can't be told from its types.
    pub fn loads(&self) -> Option<bool> {
        match (self.missing.is_empty(), self.unknown.is_empty()) {
            (true, true) => Some(true),
            (true, false) => None,
            (false, _) => Some(false),
        }
    }
}

/// What an image was linked without.
fn without(image: &Image, kernel: &str) -> Vec<String> {
    let poisoned = image.functions.iter().flat_map(|f| f.poisoned.values());
    let mut lines: Vec<String> = poisoned.cloned().collect();
    let told = |name: &str| image.unknown.iter().any(|e| e.symbol == name);
    let absent = image.variables.iter().filter(|v| v.var.is_none() && !told(&v.name));
    let words = |name: &str| format!("symbol {name} is not among the types of {kernel}");
    lines.extend(absent.map(|v| words(&v.name)));
    lines.sort_unstable();
    lines.dedup();
    lines
}

/// The names of an enumeration, by their values.
fn values_of(btf: &Btf, wanted: &str) -> BTreeMap<u32, String> {
    let found = btf.iter().find_map(|(_, ty)| match ty {
        Type::Enum { name, values, .. } if btf.text(*name) == wanted => Some(values),
        _ => None,
    });
    let mut names = BTreeMap::new();
    for value in found.into_iter().flatten() {
        if let Ok(number) = u32::try_from(value.value) {
            // Of several names for a number, the first is the one in use today.
            names.entry(number).or_insert_with(|| btf.text(value.name).to_owned());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn simple() -> Description {
        let object = Object::parse(rota_programs::simple::OBJECT).unwrap();
        let names = KernelTypes::builtin_names();
        let kernels: Vec<_> = names.iter().map(|n| KernelTypes::builtin(n).unwrap()).collect();
        describe("simple", &object, &kernels).unwrap()
    }

    #[test]
    fn a_scheduler() {
        let found = simple();
        let helper = (1, "bpf_map_lookup_elem".to_owned());
        assert!(found.helpers.contains(&helper), "{:?}", found.helpers);
        assert_eq!(found.map_kinds[&6], "percpu_array");
        let slice = found.globals.iter().find(|g| g.name == "slice_ns").unwrap();
        assert_eq!((slice.ty.as_str(), slice.value.as_str()), ("const volatile u64", "20000000"));
        assert!(found.needs.types.contains(&"field task_struct.scx.weight".to_owned()));
        for kernel in &found.kernels {
            assert_eq!(kernel.missing, [""; 0], "{}", kernel.kernel);
        }
        let old = &found.kernels[0];
        let words = "kfunc scx_bpf_dsq_insert___v2 does not exist in Linux 6.16";
        assert!(old.without.contains(&words.to_owned()), "{:?}", old.without);
    }

    #[test]
    fn both_forms_name_everything() {
        let found = simple();
        let (table, json) = (table(&found), to_json(&found));
        for word in ["simple_enqueue", "stats", "slice_ns", "bpf_map_lookup_elem", "Linux 7.3"] {
            assert!(table.contains(word) && json.contains(word), "{word}:\n{table}\n{json}");
        }
        assert!(json.contains("\"schema\": \"rota-object/1\""));
    }

    #[test]
    fn what_a_kernel_lacks_is_named_with_its_line() {
        let object = Object::parse(rota_programs::simple::OBJECT).unwrap();
        let empty = Btf::parse(&[
            0x9f, 0xeb, 1, 0, 24, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0,
        ]);
        let nothing = KernelTypes::new("6.1", empty.unwrap());
        let found = describe("simple", &object, &[nothing]).unwrap();
        let missing = &found.kernels[0].missing;
        let has = |words: &str| missing.iter().any(|line| line.contains(words));
        assert!(has("Linux 6.1 has no kfunc scx_bpf_create_dsq"), "{missing:?}");
        assert!(has("simple.bpf.c:"), "{missing:?}");
        assert!(has("Linux 6.1 has no table of callbacks"), "{missing:?}");
    }
}
