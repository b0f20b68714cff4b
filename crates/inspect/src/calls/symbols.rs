// SPDX-License-Identifier: GPL-2.0-or-later
//! Names of the kernel's addresses.

use std::fmt::Write as _;

/// The kernel's functions by their addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Symbols {
    all: Vec<(u64, String)>,
    /// Places in `all`, by names.
    by_name: Vec<usize>,
}

impl Symbols {
    /// From `/proc/kallsyms`: lines `address kind name [module]`. Without permission its addresses are all
    /// 0, and none is known.
    pub fn parse(text: &str) -> Self {
        let mut all = Vec::new();
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            let (Some(address), Some(kind), Some(name)) =
                (words.next(), words.next(), words.next())
            else {
                continue;
            };
            let address = u64::from_str_radix(address, 16).unwrap_or(0);
            if address == 0 || !["t", "T", "w", "W"].contains(&kind) {
                continue;
            }
            let mut name = name.to_owned();
            if let Some(module) = words.next() {
                let _ = write!(name, " {module}");
            }
            all.push((address, name));
        }
        all.sort_by_key(|(address, _)| *address);
        let mut by_name: Vec<usize> = (0..all.len()).collect();
        by_name.sort_by_key(|place| &all[*place].1);
        Self { all, by_name }
    }

    /// The address of a function; that of the first, if several have the name.
    pub fn address(&self, name: &str) -> Option<u64> {
        let before = self.by_name.partition_point(|place| *self.all[*place].1 < *name);
        let (address, found) = &self.all[*self.by_name.get(before)?];
        (found == name).then_some(*address)
    }

    /// The function at an address, and how far within it that is.
    pub fn find(&self, address: u64) -> Option<(&str, u64)> {
        let place = self.all.partition_point(|(start, _)| *start <= address).checked_sub(1)?;
        let (start, name) = self.all.get(place)?;
        Some((name, address - start))
    }

    /// An address in words.
    pub fn text(&self, address: u64) -> String {
        match self.find(address) {
            Some((name, offset)) => format!("{name}+{offset:#x}"),
            None => format!("{address:#x}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_names() {
        let text = "ffffffff81000100 T start\nffffffff81000000 t first\nffffffff81000050 d data\n\
                    ffffffffc0000000 t read\t[ext4]\n";
        let symbols = Symbols::parse(text);
        assert_eq!(symbols.text(0xffff_ffff_8100_0060), "first+0x60");
        assert_eq!(symbols.text(0xffff_ffff_8100_0100), "start+0x0");
        assert_eq!(symbols.text(0xffff_ffff_c000_0004), "read [ext4]+0x4");
        assert_eq!(symbols.text(0x10), "0x10");
        let address = |name| symbols.address(name);
        assert_eq!(
            (address("start"), address("first")),
            (Some(0xffff_ffff_8100_0100), Some(0xffff_ffff_8100_0000))
        );
        assert_eq!(
            (address("read [ext4]"), address("data"), address("zz")),
            (Some(0xffff_ffff_c000_0000), None, None)
        );
        assert_eq!(Symbols::parse("0000000000000000 T start\n").text(1), "0x1");
    }
}
