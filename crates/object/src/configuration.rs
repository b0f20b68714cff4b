// SPDX-License-Identifier: GPL-2.0-or-later
//! The version and the build configuration of a kernel, of which objects may ask values.

use std::collections::BTreeMap;

/// The version and the build configuration of a kernel.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Configuration {
    /// Version, patch level and sublevel: 7.3.4 is `[7, 3, 4]`.
    pub version: [u32; 3],
    /// Values by name, as they stand in the configuration: `CONFIG_HZ` is `250`.
    pub values: BTreeMap<String, String>,
}

impl Configuration {
    /// Reads a configuration file: lines `CONFIG_HZ=250`. The version is taken from the first
    /// comment that has one, such as `# Linux/x86 7.3.4 Kernel Configuration`.
    pub fn parse(text: &str) -> Self {
        let mut found = Self::default();
        for line in text.lines() {
            if let Some(comment) = line.strip_prefix('#') {
                if found.version == [0; 3] {
                    let version = comment.split_whitespace().find_map(version);
                    found.version = version.unwrap_or_default();
                }
            } else if let Some((name, value)) = line.split_once('=')
                && name.starts_with("CONFIG_")
                && !value.is_empty()
            {
                found.values.insert(name.to_owned(), value.trim_end().to_owned());
            }
        }
        found
    }

    /// The form that [`Configuration::parse`] reads.
    pub fn to_text(&self) -> String {
        let [major, minor, patch] = self.version;
        let mut text = format!("# Linux {major}.{minor}.{patch}\n");
        for (name, value) in &self.values {
            text.push_str(&format!("{name}={value}\n"));
        }
        text
    }

    /// The version as one number, as `LINUX_KERNEL_VERSION` has it.
    pub fn version_code(&self) -> u64 {
        let [major, minor, patch] = self.version.map(u64::from);
        (major << 16) + (minor << 8) + patch.min(255)
    }

    /// Whether the version is this one or later.
    pub(crate) fn is_at_least(&self, major: u32, minor: u32) -> bool {
        (self.version[0], self.version[1]) >= (major, minor)
    }
}

/// Two or three numbers with dots.
pub(crate) fn version(word: &str) -> Option<[u32; 3]> {
    let mut numbers = [0; 3];
    let mut parts = word.split(['.', '-', '+']);
    for (i, place) in numbers.iter_mut().enumerate() {
        match parts.next().map(str::parse) {
            Some(Ok(number)) => *place = number,
            _ if i == 2 => {}
            _ => return None,
        }
    }
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files() {
        let text = "#\n# Automatically generated file; DO NOT EDIT.\n\
                    # Linux/x86 7.3.4+deb13 Kernel Configuration\n#\n\
                    CONFIG_HZ=250\n# CONFIG_SMP is not set\nCONFIG_NAME=\"a b\"\nCONFIG_X=\n";
        let found = Configuration::parse(text);
        assert_eq!(found.version, [7, 3, 4]);
        assert_eq!(found.version_code(), 0x0007_0304);
        let expected = [("CONFIG_HZ", "250"), ("CONFIG_NAME", "\"a b\"")];
        let values: Vec<_> = found.values.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(values, expected);
    }

    #[test]
    fn versions() {
        assert_eq!(version("6.16"), Some([6, 16, 0]));
        assert_eq!(version("6.16.12+deb13-cloud-amd64"), Some([6, 16, 12]));
        assert_eq!(version("7"), None);
        assert_eq!(version("x.y"), None);
    }
}
