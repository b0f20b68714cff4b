// SPDX-License-Identifier: GPL-2.0-or-later
//! The types of one kernel, against which objects are linked.

use crate::btf::{Btf, BtfError, TypeId};
use crate::btf_decl::Type;
use crate::configuration::{Configuration, version};
use crate::name::essential;
use crate::relocate::compat::name_of;
use object::{Object as _, ObjectSection};
use thiserror::Error;

/// Why there are no types of a kernel.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KernelTypesError {
    /// Rota brings none along for this kernel.
    #[error("no types of Linux {name} are built in; there are those of {}", BUILTIN.map(|b| b.0).join(", "))]
    Unknown {
        /// The kernel asked for.
        name: String,
    },
    /// The file is damaged, or something else.
    #[error(transparent)]
    Btf(#[from] BtfError),
    /// An ELF file without type information.
    #[error(
        "an ELF file without type information (.BTF); a vmlinux has it if built with CONFIG_DEBUG_INFO_BTF"
    )]
    NoBtf,
    /// An ELF file that cannot be read.
    #[error("not a usable ELF file ({0})")]
    Elf(String),
}

/// A remark on a type of which the minimised file keeps only the name.
pub(crate) const LEFT_OUT: &str = "left out";

/// Name, types and configuration of each kernel that Rota supports.
const BUILTIN: [(&str, &[u8], &str); 4] = [
    (
        "6.16",
        include_bytes!("../../../data/btf/6.16.btf"),
        include_str!("../../../data/btf/6.16.config"),
    ),
    (
        "6.18",
        include_bytes!("../../../data/btf/6.18.btf"),
        include_str!("../../../data/btf/6.18.config"),
    ),
    (
        "7.0",
        include_bytes!("../../../data/btf/7.0.btf"),
        include_str!("../../../data/btf/7.0.config"),
    ),
    (
        "7.3",
        include_bytes!("../../../data/btf/7.3.btf"),
        include_str!("../../../data/btf/7.3.config"),
    ),
];

/// The types of one kernel, with its configuration.
#[derive(Debug, Clone)]
pub struct KernelTypes {
    name: String,
    btf: Btf,
    /// Every type with a name, by the name without its flavour, then by number.
    by_name: Vec<TypeId>,
    configuration: Configuration,
    left_out: Vec<TypeId>,
}

/// Major and minor version at the start of a release such as `6.18.44-cloud-amd64`.
pub fn series(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

impl KernelTypes {
    /// The kernels whose types are built in, the oldest first.
    pub fn builtin_names() -> [&'static str; 4] {
        BUILTIN.map(|b| b.0)
    }

    /// The types of a kernel that Rota supports: `7.3`.
    ///
    /// # Errors
    /// [`KernelTypesError::Unknown`] says which there are.
    pub fn builtin(name: &str) -> Result<Self, KernelTypesError> {
        let found = BUILTIN.iter().find(|b| b.0 == name);
        let (_, bytes, configuration) =
            found.ok_or_else(|| KernelTypesError::Unknown { name: name.to_owned() })?;
        let kernel = Self::new(name, Btf::parse(bytes)?);
        Ok(kernel.with_configuration(Configuration::parse(configuration)))
    }

    /// The newest of them that is not newer than a kernel by its release, as `uname -r` prints it; of
    /// one that is older than all, the oldest, and the newest if it is not known which one it is. One of
    /// the same series has that kernel's version.
    ///
    /// # Errors
    /// None: they are built in.
    pub fn nearest(release: &str) -> Result<Self, KernelTypesError> {
        let asked = series(release);
        let known = BUILTIN.iter().map(|b| b.0);
        let older = known.rev().find(|name| asked.is_none() || series(name) <= asked);
        let mut found = Self::builtin(older.unwrap_or(BUILTIN[0].0))?;
        if let Some(version) = version(release).filter(|_| series(&found.name) == asked) {
            found.configuration.version = version;
        }
        Ok(found)
    }

    /// Types from a file: `/sys/kernel/btf/vmlinux`, or any ELF file with a section `.BTF`. The
    /// configuration is empty but for the version, if the name is one.
    ///
    /// # Errors
    /// [`KernelTypesError`] says what the file is instead, or where it is damaged.
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Self, KernelTypesError> {
        if !bytes.starts_with(b"\x7fELF") {
            return Ok(Self::new(name, Btf::parse(bytes)?));
        }
        let elf = |e: object::Error| KernelTypesError::Elf(e.to_string());
        let file = object::File::parse(bytes).map_err(elf)?;
        let section = file.section_by_name(".BTF").ok_or(KernelTypesError::NoBtf)?;
        Ok(Self::new(name, Btf::parse(section.data().map_err(elf)?)?))
    }

    /// Types with a name for their kernel.
    pub fn new(name: &str, btf: Btf) -> Self {
        let mut named: Vec<(&str, TypeId)> = btf
            .iter()
            .map(|(id, ty)| (essential(name_of(&btf, ty)), id))
            .filter(|(name, _)| !name.is_empty())
            .collect();
        named.sort_unstable();
        let by_name = named.into_iter().map(|(_, id)| id).collect();
        let left_out = btf.iter().filter_map(|(_, ty)| match ty {
            Type::DeclTag { text, target, .. } if btf.text(*text) == LEFT_OUT => Some(*target),
            _ => None,
        });
        let mut left_out: Vec<TypeId> = left_out.collect();
        left_out.sort_unstable();
        let version = version(name).unwrap_or_default();
        let configuration = Configuration { version, ..Configuration::default() };
        Self { name: name.to_owned(), by_name, left_out, configuration, btf }
    }

    /// The same types with another configuration.
    #[must_use]
    pub fn with_configuration(self, configuration: Configuration) -> Self {
        Self { configuration, ..self }
    }

    /// The kernel's name, such as `7.3`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name for messages: `Linux 7.3`.
    pub fn shown_name(&self) -> String {
        if self.name.starts_with(|c: char| c.is_ascii_digit()) {
            format!("Linux {}", self.name)
        } else {
            self.name.clone()
        }
    }

    /// The types.
    pub fn btf(&self) -> &Btf {
        &self.btf
    }

    /// Version and configuration.
    pub fn configuration(&self) -> &Configuration {
        &self.configuration
    }

    /// The structure with this name.
    pub fn structure(&self, name: &str) -> Option<TypeId> {
        self.find(name, |ty| matches!(ty, Type::Struct { union: false, .. }))
    }

    /// The function with this name.
    pub fn function(&self, name: &str) -> Option<TypeId> {
        self.find(name, |ty| matches!(ty, Type::Func { .. }))
    }

    /// The typedef with this name.
    pub fn typedef(&self, name: &str) -> Option<TypeId> {
        self.find(name, |ty| matches!(ty, Type::Typedef { .. }))
    }

    /// The variable with this name.
    pub fn variable(&self, name: &str) -> Option<TypeId> {
        self.find(name, |ty| matches!(ty, Type::Var { .. }))
    }

    /// The value of an enumerator, of whatever enumeration.
    pub fn enumerator(&self, name: &str) -> Option<i64> {
        self.btf.iter().find_map(|(_, ty)| {
            let Type::Enum { values, .. } = ty else { return None };
            let value = values.iter().find(|value| self.btf.text(value.name) == name)?;
            Some(value.value)
        })
    }

    /// Whether a variable has an instance for each CPU.
    pub fn is_per_cpu(&self, var: TypeId) -> bool {
        self.btf.iter().any(|(_, ty)| match ty {
            Type::DataSec { name, vars, .. } => {
                self.btf.text(*name) == ".data..percpu" && vars.iter().any(|v| v.0 == var)
            }
            _ => false,
        })
    }

    /// All types whose name without the flavour is that of `name`, in order.
    pub(crate) fn named_like(&self, name: &str) -> &[TypeId] {
        let wanted = essential(name);
        let name_of = |id: &TypeId| essential(name_of(&self.btf, self.btf.get(*id)));
        let from = self.by_name.partition_point(|id| name_of(id) < wanted);
        let tail = self.by_name.get(from..).unwrap_or(&[]);
        let len = tail.partition_point(|id| name_of(id) == wanted);
        tail.get(..len).unwrap_or(&[])
    }

    /// Whether the types are a part of the kernel's only.
    pub(crate) fn is_abridged(&self) -> bool {
        !self.left_out.is_empty()
    }

    /// Whether only the name of a type is left in a minimised file.
    pub(crate) fn leaves_out(&self, name: &str) -> bool {
        self.named_like(name).iter().any(|id| self.left_out.binary_search(id).is_ok())
    }

    fn find(&self, name: &str, wanted: impl Fn(&Type) -> bool) -> Option<TypeId> {
        let fits = |id: &&TypeId| {
            let ty = self.btf.get(**id);
            wanted(ty) && name_of(&self.btf, ty) == name
        };
        self.named_like(name).iter().find(fits).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_of_releases() {
        assert_eq!(series("6.18.44-fc-v657"), Some((6, 18)));
        assert_eq!(series("7.3-rc1"), Some((7, 3)));
        assert_eq!(series("7.0.13+deb13-cloud-amd64"), Some((7, 0)));
        assert_eq!(series("next-20261122"), None);
        assert_eq!(series("7"), None);
    }

    #[test]
    fn the_nearest_is_not_newer() {
        let nearest = |release| KernelTypes::nearest(release).unwrap().name().to_owned();
        let of =
            ["6.18.44-fc", "6.17.9", "6.1.0-50-amd64", "7.2", "8.0.1", "next", ""].map(nearest);
        assert_eq!(of, ["6.18", "6.16", "6.16", "7.0", "7.3", "7.3", "7.3"]);
        let version = |release| KernelTypes::nearest(release).unwrap().configuration().version;
        assert_eq!(version("6.18.44-fc"), [6, 18, 44], "its own");
        assert_eq!(version("6.17.9"), version("6.16.12"), "there are none of 6.17");
    }
}
