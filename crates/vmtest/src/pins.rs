// SPDX-License-Identifier: GPL-2.0-or-later
//! The pinned kernels: `kernels.txt`, which is part of the program, one kernel a line.

use crate::version::{self, Version};
use crate::{Error, Result};

/// Whether Rota promises to work on a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Rota works on it, and every VM test runs on it.
    Supported,
    /// It is there for single tests only, such as that `rota doctor` sees what is wrong with it.
    Extra,
}

/// One pinned kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// The series, such as `6.16`.
    pub series: String,
    /// Whether Rota promises to work on it.
    pub role: Role,
    /// The Debian package with the kernel.
    pub package: String,
    /// That package's version.
    pub package_version: String,
    /// The package with the build configuration, where it is not the kernel's own.
    pub config_package: Option<String>,
}

impl Pin {
    /// The kernel's version, such as 6.16.12.
    pub fn version(&self) -> Version {
        version::of_package(&self.package).expect("checked when the pin was read")
    }
}

/// All pinned kernels, in the order of the file.
#[derive(Debug, Clone)]
pub struct Pins {
    pins: Vec<Pin>,
}

impl Pins {
    /// The pins that this program was built with.
    pub fn embedded() -> Pins {
        Pins::parse(include_str!("../kernels.txt")).expect("a unit test reads this file")
    }

    /// Reads the text of a pins file.
    pub fn parse(text: &str) -> Result<Pins> {
        let lines = text.lines().enumerate();
        let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        let pins = lines.map(|(number, line)| {
            let problem = |what| Error::Usage(format!("pins file, line {}: {what}", number + 1));
            parse_line(line).map_err(problem)
        });
        Ok(Pins { pins: pins.collect::<Result<_>>()? })
    }

    /// Every pinned kernel.
    pub fn all(&self) -> &[Pin] {
        &self.pins
    }

    /// The kernels that Rota promises to work on, oldest first.
    pub fn supported(&self) -> impl Iterator<Item = &Pin> {
        self.pins.iter().filter(|pin| pin.role == Role::Supported)
    }

    /// The newest supported kernel: what a machine boots when nothing else is said.
    pub fn newest(&self) -> &Pin {
        self.supported().max_by_key(|pin| pin.version()).expect("the file pins kernels")
    }

    /// Finds a kernel by series (`6.16`) or full version (`6.16.12`).
    pub fn find(&self, wanted: &str) -> Result<&Pin> {
        let hit = |pin: &&Pin| pin.series == wanted || pin.version().to_string() == wanted;
        self.pins.iter().find(hit).ok_or_else(|| {
            let known: Vec<_> = self.pins.iter().map(|pin| pin.series.as_str()).collect();
            let known = known.join(", ");
            Error::Usage(format!("no kernel `{wanted}` is pinned (there are {known}); a kernel's own file can be given by its path"))
        })
    }
}

fn parse_line(line: &str) -> std::result::Result<Pin, String> {
    let fields: Vec<_> = line.split_whitespace().collect();
    let [series, role, package, package_version, config] = fields[..] else {
        return Err(format!("five fields expected, {} found", fields.len()));
    };
    let role = match role {
        "supported" => Role::Supported,
        "extra" => Role::Extra,
        other => return Err(format!("unknown role `{other}`")),
    };
    let version = version::of_package(package).filter(|version| version.series() == series);
    if version.is_none() {
        return Err(format!("`{package}` is no cloud kernel of series {series}"));
    }
    Ok(Pin {
        series: series.to_string(),
        role,
        package: package.to_string(),
        package_version: package_version.to_string(),
        config_package: (config != "own").then(|| config.to_string()),
    })
}

/// Replaces the pins in the text of a pins file; comments and order stay. Series that are not
/// among the new pins stay as they are.
pub fn rewrite(text: &str, new: &[Pin]) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let series = line.split_whitespace().next().unwrap_or_default();
        match new.iter().find(|pin| pin.series == series) {
            Some(pin) => out.push_str(&format_line(pin)),
            None => out.push_str(line),
        }
        out.push('\n');
    }
    out
}

fn format_line(pin: &Pin) -> String {
    let role = match pin.role {
        Role::Supported => "supported",
        Role::Extra => "extra",
    };
    let config = pin.config_package.as_deref().unwrap_or("own");
    format!("{} {role} {} {} {config}", pin.series, pin.package, pin.package_version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_file_has_the_supported_kernels() {
        let pins = Pins::embedded();
        let series: Vec<_> = pins.supported().map(|pin| pin.series.as_str()).collect();
        assert_eq!(series, ["6.16", "6.18", "7.0", "7.3"]);
        assert_eq!(pins.newest().series, "7.3");
        assert_eq!(pins.find("6.18").unwrap().version().series(), "6.18");
        let version = pins.find("7.2").unwrap().version().to_string();
        assert_eq!(pins.find(&version).unwrap().role, Role::Extra);
        assert!(pins.find("6.1").unwrap_err().to_string().contains("6.16, 6.18"));
    }

    #[test]
    fn rewriting_changes_only_the_named_series() {
        let text = include_str!("../kernels.txt");
        let pins = Pins::parse(text).unwrap();
        assert_eq!(rewrite(text, pins.all()), text);
        let moved = Pin {
            package: "linux-binary-7.3.9+deb13-cloud-amd64".to_string(),
            package_version: "7.3.9-1".to_string(),
            config_package: None,
            ..pins.find("7.3").unwrap().clone()
        };
        let new = rewrite(text, std::slice::from_ref(&moved));
        assert_eq!(Pins::parse(&new).unwrap().find("7.3").unwrap(), &moved);
        let differing = text.lines().zip(new.lines()).filter(|(old, new)| old != new).count();
        assert_eq!((differing, new.lines().count()), (1, text.lines().count()));
    }

    #[test]
    fn mistakes_name_their_line() {
        let check = |text: &str, expected: &str| {
            let message = Pins::parse(text).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        };
        check("# x\n6.16 supported\n", "line 2: five fields expected, 2 found");
        check("6.16 other linux-image-6.16.1+d-cloud-amd64 1 own", "unknown role `other`");
        check("6.16 extra linux-image-6.17.1+d-cloud-amd64 1 own", "no cloud kernel of series");
        check("6.16 extra vim 1 own", "no cloud kernel of series");
    }
}
