// SPDX-License-Identifier: GPL-2.0-or-later
//! Reads single values and remembers what was wrong with them.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;

use super::CPU_DIR;
use crate::{CpuId, CpuMask, Tree};

/// Something missing or damaged in a sysfs tree, and what was assumed. The same for many CPUs is
/// one warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// What kind of problem it is.
    pub kind: WarningKind,
    /// The file, relative to `/sys`; `cpu*` where it is the same for several CPUs.
    pub file: String,
    /// The CPUs it is about; empty if it is about the machine.
    pub cpus: CpuMask,
    /// What was assumed.
    pub text: String,
}

/// The kinds of [`Warning`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WarningKind {
    /// The file is not there.
    Missing,
    /// The file holds nonsense.
    Unreadable,
    /// The file contradicts another.
    Inconsistent,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            WarningKind::Missing => "missing",
            WarningKind::Unreadable => "unreadable",
            WarningKind::Inconsistent => "inconsistent",
        };
        write!(f, "{}: {kind}", self.file)?;
        match self.cpus.count() {
            0 => {}
            1 => write!(f, " for CPU {}", self.cpus)?,
            _ => write!(f, " for CPUs {}", self.cpus)?,
        }
        write!(f, ": {}", self.text)
    }
}

pub(super) struct Reader<'a> {
    tree: &'a dyn Tree,
    notes: BTreeMap<(WarningKind, String, String), CpuMask>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(tree: &'a dyn Tree) -> Self {
        Self { tree, notes: BTreeMap::new() }
    }

    pub(super) fn into_warnings(self) -> Vec<Warning> {
        let warning = |((kind, file, text), cpus)| Warning { kind, file, cpus, text };
        self.notes.into_iter().map(warning).collect()
    }

    pub(super) fn missing(&mut self, file: &str, cpus: &CpuMask, text: &str) {
        self.note(WarningKind::Missing, file, cpus, text);
    }

    pub(super) fn unreadable(&mut self, file: &str, cpus: &CpuMask, text: &str) {
        self.note(WarningKind::Unreadable, file, cpus, text);
    }

    pub(super) fn inconsistent(&mut self, file: &str, cpus: &CpuMask, text: &str) {
        self.note(WarningKind::Inconsistent, file, cpus, text);
    }

    /// The names in a folder.
    pub(super) fn names(&self, dir: &str) -> Vec<String> {
        self.tree.list(dir)
    }

    /// The trimmed text of a file of the machine.
    pub(super) fn text(&self, path: &str) -> Option<String> {
        let bytes = self.tree.read(path)?;
        Some(String::from_utf8_lossy(&bytes).trim().to_owned())
    }

    /// The trimmed text of a file of a CPU.
    pub(super) fn cpu_text(&self, cpu: CpuId, file: &str) -> Option<String> {
        self.text(&format!("{CPU_DIR}/cpu{cpu}/{file}"))
    }

    /// A cpulist of the machine; `None` with a warning if it is nonsense.
    pub(super) fn global_list(&mut self, path: &str) -> Option<CpuMask> {
        let text = self.text(path)?;
        CpuMask::from_list(&text)
            .map_err(|error| self.unreadable(path, &CpuMask::new(), &error.to_string()))
            .ok()
    }

    /// A cpulist of a CPU, which must have the CPU itself.
    pub(super) fn list(&mut self, cpu: CpuId, file: &str) -> Option<CpuMask> {
        let text = self.cpu_text(cpu, file)?;
        self.own_mask(cpu, file, CpuMask::from_list(&text))
    }

    /// A hexadecimal mask of a CPU, which must have the CPU itself.
    pub(super) fn hex(&mut self, cpu: CpuId, file: &str) -> Option<CpuMask> {
        let text = self.cpu_text(cpu, file)?;
        self.own_mask(cpu, file, CpuMask::from_hex(&text))
    }

    /// A number of a CPU. -1 is the kernel's word for "unknown" and gives no warning.
    pub(super) fn number(
        &mut self,
        cpu: CpuId,
        file: &str,
        range: RangeInclusive<u64>,
    ) -> Option<u64> {
        let text = self.cpu_text(cpu, file)?;
        if text == "-1" {
            return None;
        }
        let value = text.parse().ok().filter(|value| range.contains(value));
        if value.is_none() {
            let (least, most) = (range.start(), range.end());
            let expected = format!("ignored, expected a number from {least} to {most}");
            self.unreadable(&of_cpus(file), &CpuMask::of(cpu), &expected);
        }
        value
    }

    /// An id of a CPU, as far as the kernel knows one.
    pub(super) fn id(&mut self, cpu: CpuId, file: &str) -> Option<u32> {
        let id = self.number(cpu, file, 0..=u64::from(u32::MAX))?;
        u32::try_from(id).ok()
    }

    fn own_mask(
        &mut self,
        cpu: CpuId,
        file: &str,
        mask: Result<CpuMask, crate::MaskError>,
    ) -> Option<CpuMask> {
        let file = of_cpus(file);
        match mask {
            Ok(mask) if mask.contains(cpu) => Some(mask),
            Ok(_) => {
                self.inconsistent(&file, &CpuMask::of(cpu), "ignored, the CPU itself is missing");
                None
            }
            Err(error) => {
                self.unreadable(&file, &CpuMask::of(cpu), &error.to_string());
                None
            }
        }
    }

    fn note(&mut self, kind: WarningKind, file: &str, cpus: &CpuMask, text: &str) {
        let all = self.notes.entry((kind, file.to_owned(), text.to_owned())).or_default();
        *all = &*all | cpus;
    }
}

/// The name of a file of CPUs in warnings.
pub(super) fn of_cpus(file: &str) -> String {
    format!("{CPU_DIR}/cpu*/{file}")
}
