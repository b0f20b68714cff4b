// SPDX-License-Identifier: GPL-2.0-or-later
//! Kernel versions, and the choice among the names of Debian's kernel packages.

use std::cmp::Reverse;
use std::fmt;
use std::str::FromStr;

/// A kernel version, such as 6.16.12.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The 6 of 6.16.12.
    pub major: u32,
    /// The 16 of 6.16.12.
    pub minor: u32,
    /// The 12 of 6.16.12.
    pub patch: u32,
}

impl Version {
    /// The series that this version belongs to, such as `6.16`.
    pub fn series(self) -> String {
        format!("{}.{}", self.major, self.minor)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl FromStr for Version {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.split('.').map(|part| part.parse().map_err(|_| ()));
        let mut next = || parts.next().unwrap_or(Err(()));
        let version = Version { major: next()?, minor: next()?, patch: next()? };
        if parts.next().is_some() { Err(()) } else { Ok(version) }
    }
}

/// The kernel version in a package's name, if the package belongs to a cloud kernel:
/// `linux-binary-7.0.13+deb13-cloud-amd64` gives 7.0.13.
pub(crate) fn of_package(name: &str) -> Option<Version> {
    let rest = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix))?;
    let (version, flavour) = rest.split_once('+')?;
    if !flavour.ends_with("-cloud-amd64") {
        return None;
    }
    version.parse().ok()
}

const PREFIXES: [&str; 3] = [BINARY, IMAGE, BASE];
pub(crate) const BINARY: &str = "linux-binary-";
pub(crate) const IMAGE: &str = "linux-image-";
pub(crate) const BASE: &str = "linux-base-";

/// The package with the newest kernel of a series. From 6.19 the kernel is in `linux-binary-…`
/// and `linux-image-…` holds nothing, so the former wins.
pub(crate) fn newest_of_series<'a>(names: &'a [String], series: &str) -> Option<&'a str> {
    let key = |name: &str| {
        let version = of_package(name).filter(|version| version.series() == series)?;
        (!name.starts_with(BASE)).then_some((version, name.starts_with(BINARY)))
    };
    let candidates = names.iter().filter_map(|name| Some((key(name)?, name.as_str())));
    candidates.max().map(|(_, name)| name)
}

/// Where the build configuration of the kernel in `package` is found: `None` in that package, else
/// the package of its own version, else the newest one of the nearest series, above rather than
/// below.
pub(crate) fn config_package(names: &[String], package: &str) -> Option<String> {
    let version = of_package(package)?;
    if package.starts_with(IMAGE) {
        return None;
    }
    let bases = names.iter().filter(|name| name.starts_with(BASE));
    let rank = |other: Version| {
        let below = other < version;
        let series = (i64::from(other.major), i64::from(other.minor));
        let distance = if below { (-series.0, -series.1) } else { series };
        (other != version, below, distance, Reverse(other))
    };
    let ranked = bases.filter_map(|name| Some((rank(of_package(name)?), name)));
    ranked.min().map(|(_, name)| name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Vec<String> {
        let names = "linux-image-6.16.3+deb13-cloud-amd64 linux-image-6.16.12+deb13-cloud-amd64 \
            linux-image-6.16.12+deb13-amd64 linux-image-6.16.13+deb13-cloud-amd64-dbg \
            linux-image-7.0.13+deb13-cloud-amd64 linux-binary-7.0.9+deb13-cloud-amd64 \
            linux-binary-7.0.13+deb13-cloud-amd64 linux-binary-unsigned-7.0.14+deb13-cloud-amd64 \
            linux-base-7.2.9+deb13-cloud-amd64 linux-base-7.2.12+deb13-cloud-amd64 \
            linux-base-7.5.1+deb13-cloud-amd64 linux-base-7";
        names.split_whitespace().map(str::to_string).collect()
    }

    #[test]
    fn versions_order_by_number() {
        let version = |text: &str| text.parse::<Version>().unwrap();
        assert!(version("6.16.12") > version("6.16.3"));
        assert!(version("7.0.0") > version("6.19.14"));
        assert_eq!(version("7.3.4").to_string(), "7.3.4");
        for bad in ["", "7", "7.3", "7.3.4.5", "7.x.1", "7..1"] {
            assert!(bad.parse::<Version>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_newest_cloud_kernel_of_a_series_wins() {
        let newest = |series| newest_of_series(&names(), series).map(str::to_string);
        assert_eq!(newest("6.16").as_deref(), Some("linux-image-6.16.12+deb13-cloud-amd64"));
        assert_eq!(newest("7.0").as_deref(), Some("linux-binary-7.0.13+deb13-cloud-amd64"));
        assert_eq!(newest("7.2"), None);
        assert_eq!(newest("6.1"), None);
    }

    #[test]
    fn the_nearest_configuration_is_found() {
        let config = |package| config_package(&names(), package);
        assert_eq!(config("linux-image-6.16.12+deb13-cloud-amd64"), None);
        let own = config("linux-binary-7.2.12+deb13-cloud-amd64");
        assert_eq!(own.as_deref(), Some("linux-base-7.2.12+deb13-cloud-amd64"));
        let above = config("linux-binary-7.0.13+deb13-cloud-amd64");
        assert_eq!(above.as_deref(), Some("linux-base-7.2.12+deb13-cloud-amd64"));
        let below = config("linux-binary-8.0.1+deb13-cloud-amd64");
        assert_eq!(below.as_deref(), Some("linux-base-7.5.1+deb13-cloud-amd64"));
    }
}
